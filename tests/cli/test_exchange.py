"""``vhash export`` and ``vhash match``: what they print, and how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from vhash_sdk import Library, VideoCode

from .test_cli import SAMPLES, run, run_json

A = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
B = "f8f8f0cee0f4a84f06370a2a038f63f0b36e26d596621e1d33e6b39c4e9c9b22"  # 2 bits from A


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    shutil.copy(SAMPLES / "chair.mp4", folder / "=1+1.mp4")
    shutil.copy(SAMPLES / "glass.mp4", folder / "glass.mp4")
    with Library(folder / "lib") as library:
        library.add([folder])
    return folder / "lib"


def test_export_writes_every_code_in_every_form(library: Path) -> None:
    with Library(library, create=False) as opened:
        codes = [entry.code.text for entry in opened]
    assert len(codes) == 2
    assert run("export", library, "--form", "lines").stdout.splitlines() == [
        f"vhash {text}" for text in codes
    ]
    lines = run("export", library, "--form", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"vhash": text} for text in codes]
    head, *rows = run("export", library).stdout.splitlines()
    assert head == "signal_type,signal_str,collab,category,tags,path"
    assert [row.split(",")[:5] for row in rows] == [
        ["vhash", text, "lib", "INVESTIGATION_SEED", ""] for text in codes
    ]
    document = run_json("export", library)
    assert [signal["signal_str"] for signal in document["signals"]] == codes and document["left_out"] == 0
    assert all(VideoCode.from_text(text).bits == document["model"]["bits"] for text in codes)


def test_export_refuses_other_forms(library: Path) -> None:
    assert "csv, jsonl, lines" in run("export", library, "--form", "xml", code=2).stderr


def test_match_tells_hits_and_bad_lines(tmp_path: Path) -> None:
    known, queries = tmp_path / "known.csv", tmp_path / "queries.txt"
    known.write_text(f"{A},100,bridge.jpg\n{'0' * 64},10,blank.jpg\n")
    queries.write_text(f"pdq {B}\njunk\nvideo_md5 {'0' * 32}\npdq {'f' * 64}\n")
    result = run("match", known, queries, code=1)
    assert result.stdout.strip() == f"{queries}:1  2 bits  {known}:1 bridge.jpg"
    assert f"{queries}, line 2: 'junk'" in result.stderr
    assert "1 of 2 queries match; 1 hash of quality below 50" in result.stderr
    assert "1 signal of the kind video_md5 left out" in result.stderr
    document = run_json("match", known, queries, code=1)
    assert [[m["distance"] for m in each["matches"]] for each in document["results"]] == [[2], []]
    assert document["queries"]["bad"][0]["line"] == 2
    assert run("match", known, queries, "--radius", "1", code=1).stdout == ""
    assert "--radius" in run("match", known, queries, "--radius", "257", code=2).stderr
    assert "none.csv" in run("match", tmp_path / "none.csv", queries, code=3).stderr


def test_match_keeps_known_videos_in_an_index(tmp_path: Path) -> None:
    known, query = tmp_path / "known.jsonl", tmp_path / "query.txt"
    known.write_text(json.dumps([f"{A},100,0.0", f"{'0' * 64},100,1.0"]) + "\n")
    query.write_text(f"0,100,{B},0.000\n")
    for _ in range(2):
        document = run_json("match", known, query, "--index", tmp_path / "bank")
        (found,) = document["results"][0]["matches"]
        assert (found["query_share"], found["known_share"], found["distance"]) == (100, 50, 2)
    assert run("match", known, query, "--known-share", "51").stdout == ""
    known.write_text(json.dumps([f"{B},100,0.0"]) + "\n")
    assert "give an empty one" in run("match", known, query, "--index", tmp_path / "bank", code=3).stderr
