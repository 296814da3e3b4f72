"""``vhash search`` says of its queries what ``vhash encode`` says of its videos."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.cli.test_cli import run, run_json
from vhash_sdk.cli.demo import SAMPLES


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A sample that lost its end, in a container that says how long it was."""
    whole = tmp_path / "whole.mp4"
    with (
        av.open(str(SAMPLES / "bunny.mp4")) as reader,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as writer,
    ):
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(reader.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 4 // 5])
    return tmp_path / "cut.mp4"


def test_a_damaged_query_is_called_so(cut: Path, tmp_path: Path) -> None:
    index = tmp_path / "saved.vhi"
    (encoded,) = run_json("encode", cut, "--index", index)["videos"]
    assert encoded["damaged"].startswith("cut off: ") and encoded["notes"] == []
    run("add", tmp_path / "library", SAMPLES / "bunny.mp4")
    for where in (index, tmp_path / "library", SAMPLES):
        (query,) = run_json("search", where, cut)["queries"]
        assert {name: query[name] for name in encoded} == encoded
    (query,) = run_json("search", index, SAMPLES / "bunny.mp4")["queries"]
    assert "damaged" not in query and query["notes"] == []


def test_index_goes_with_a_library(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    said = run("search", tmp_path / "videos", "x.mp4", "--index", "milvus://a:1/b", code=2).stderr
    assert "--index goes with a library" in said
