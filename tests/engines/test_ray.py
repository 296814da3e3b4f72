"""Encoding at scale: rows, errors, resume; and what is left after kill -9 of an actor and of the driver."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vhash_sdk
from tests.engine_jobs import Job, wait_for
from tests.milvus_server import private_network_refused
from vhash_sdk import Encoder
from vhash_sdk.engines.ray import EncodedDataset, EncoderOptions, VideoEncoder, encode_dataset
from vhash_sdk.errors import ModelMismatchError, OptionError, StoreError

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'vhash-sdk[ray]'")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec", reason="needs fsspec: pip install 'vhash-sdk[ray]'")
onnx = pytest.importorskip("onnx", reason="builds a tiny model: pip install 'vhash-sdk[export]'")
pytest.importorskip("onnxruntime")

SAMPLES = Path(vhash_sdk.__file__).parent / "samples"
CLIPS = sorted(SAMPLES.glob("*.mp4"))
SMALL = sorted(CLIPS, key=os.path.getsize)[:3]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.tiny_model import tiny_model, tiny_spec

    file = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(tiny_model(tiny_spec(bits=64)), file)
    return str(file)


def rows(output: Path) -> list[dict[str, Any]]:
    return sorted(pq.read_table(output).to_pylist(), key=lambda row: row["id"])


def many_files(folder: Path, count: int) -> list[str]:
    """So many files with the clips' content."""
    folder.mkdir()
    paths = [folder / f"{number:04d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        shutil.copyfile(SMALL[number % len(SMALL)], path)
    return [str(path) for path in paths]


def test_rows_are_what_the_encoder_says(tmp_path: Path, model: str) -> None:
    bad = tmp_path / os.fsdecode(b"not\xff utf-8.mp4")
    bad.write_bytes(b"not a video")
    source = [*CLIPS[:3], bad, "missing.mp4", CLIPS[0].as_uri(), "file:///missing.mp4", CLIPS[0]]
    seen: list[tuple[int, int, int]] = []
    done = encode_dataset(
        source,
        tmp_path / "out",
        options=EncoderOptions(model),
        part_rows=3,
        progress=lambda *counts: seen.append(counts),
    )
    assert (done.rows, done.encoded, done.failed, done.engine) == (7, 7, 3, "local")  # one was given twice
    assert seen == [(3, 7, 0), (6, 7, 2), (7, 7, 3)]
    found = rows(tmp_path / "out")
    assert [row["id"] for row in found] == list(range(7))
    with Encoder(model) as encoder:
        for row, path in zip(found[:3], CLIPS, strict=False):
            code = encoder.encode(path)
            assert row["code"] == code.code.tobytes() and row["error"] is None
            assert (row["bits"], row["fingerprint"]) == (64, code.fingerprint)
            assert row["duration"] == code.duration and abs(row["confidence"] - code.confidence) < 1e-6
    assert found[3]["path"].endswith("not\\xff utf-8.mp4") and found[3]["error"].startswith(
        "UnsupportedVideo"
    )
    assert found[4]["error"].startswith("SourceError") and found[4]["code"] is None
    assert found[5]["code"] == found[0]["code"]
    assert found[6]["error"].startswith("SourceError") and "file:///missing.mp4" in found[6]["error"]


def test_goes_on_where_it_was(tmp_path: Path, model: str) -> None:
    paths, out = many_files(tmp_path / "in", 10), tmp_path / "out"
    options = EncoderOptions(model, isolate=False)

    def run(source: Any) -> EncodedDataset:
        return encode_dataset(source, out, options=options, part_rows=3)

    assert run(paths).encoded == 10
    assert run(paths).encoded == 0
    (out / "part-000001.parquet").unlink()
    again = run(str(tmp_path / "in"))  # the folder means the same files
    assert (again.encoded, again.rows) == (3, 10)
    more = run([*paths[:2], *many_files(tmp_path / "more", 2)])
    assert (more.encoded, more.rows) == (2, 12)
    assert Counter(row["path"] for row in rows(out)) == Counter(dict.fromkeys(paths, 1)) + Counter(
        {str(tmp_path / "more" / f"{n:04d}.mp4"): 1 for n in range(2)}
    )
    with pytest.raises(ModelMismatchError, match="holds codes of model"):
        encode_dataset(paths, out, options=EncoderOptions("small"))


@pytest.mark.parametrize("form", ["glob", "parquet", "parquet folder", "url of a folder", "url glob"])
def test_sources(tmp_path: Path, model: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = many_files(tmp_path / "in", 3)
    (tmp_path / "in" / "notes.txt").write_text("no video")
    table = pyarrow.table({"path": paths, "more": [1, 2, 3]})
    source = {
        "glob": f"{tmp_path}/in/*.mp4",
        "parquet": f"{tmp_path}/list.parquet",
        "parquet folder": f"{tmp_path}/folder.parquet",
        "url of a folder": f"file://{tmp_path}/in",
        "url glob": f"file://{tmp_path}/in/*.mp4",
    }[form]
    (tmp_path / "folder.parquet").mkdir()
    pq.write_table(table, tmp_path / "list.parquet")
    pq.write_table(table[:2], tmp_path / "folder.parquet" / "a.parquet")
    pq.write_table(table[2:], tmp_path / "folder.parquet" / "b.parquet")
    monkeypatch.chdir(tmp_path)
    done = encode_dataset(source, "out", options=EncoderOptions(model, isolate=False))
    assert (done.rows, done.failed, done.output) == (3, 0, str(tmp_path / "out"))


def test_errors_say_what_to_do(tmp_path: Path, model: str) -> None:
    with pytest.raises(OptionError, match="part_rows=0"):
        encode_dataset([], tmp_path, part_rows=0)
    pq.write_table(pyarrow.table({"file": ["a"]}), tmp_path / "list.parquet")
    with pytest.raises(StoreError, match="columns path"):
        encode_dataset(str(tmp_path / "list.parquet"), tmp_path / "out", options=EncoderOptions(model))
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        encode_dataset(["a.mp4"], tmp_path / "file", options=EncoderOptions(model))


def test_the_class_that_others_map(model: str) -> None:
    encode = VideoEncoder(model=model, isolate=False)
    batch = encode({"path": np.array([str(CLIPS[0]), "missing.mp4"], object), "owner": ["ann", "bob"]})
    assert batch["owner"] == ["ann", "bob"] and [code is None for code in batch["code"]] == [False, True]
    encode.close()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'vhash-sdk[ray]'")
def test_every_video_has_one_row_after_kills(tmp_path: Path, model: str) -> None:
    """An actor is killed, then the driver; the second run ends with one row for each video."""
    if reason := private_network_refused():
        pytest.skip(reason)
    paths, out = many_files(tmp_path / "in", 60), tmp_path / "out"
    job = {"source": str(tmp_path / "in"), "output": str(out), "model": model, "part_rows": 3}

    def parts() -> int:
        return len(list(out.glob("part-*.parquet")))

    with Job("encode", **job) as first:
        wait_for(lambda: parts() >= 2 and first.actors(), first, 200)
        os.kill(first.actors()[0], signal.SIGKILL)
        at_kill = parts()
        wait_for(lambda: parts() >= min(19, at_kill + 3), first, 200)
        first.kill()
    assert parts() < 20, "the driver was killed too late to show anything"
    with Job("encode", **job) as second:
        done = second.result(200)
    assert (done["engine"], done["rows"], done["failed"]) == ("ray", 60, 0) and 0 < done["encoded"] < 60
    found = rows(out)
    assert [row["path"] for row in found] == paths and [row["id"] for row in found] == list(range(60))
    assert all(row["error"] is None for row in found)
