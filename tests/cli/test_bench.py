"""`vhash bench`: what it prints follows the schema, and its figures belong to what was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

import vhash_sdk
from tests.cli.test_cli import VALIDATOR
from vhash_sdk.cli import bench
from vhash_sdk.cli.app import app

SAMPLE = Path(vhash_sdk.__file__).parent / "samples" / "bunny.mp4"


def run(*arguments: str) -> dict:
    done = CliRunner().invoke(app, ["bench", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    VALIDATOR.validate(document)
    return document


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_SECONDS", 0.0)


def test_search() -> None:
    document = run(
        "search", "--bits", "64", "--bits", "100", "--codes", "5000", "--queries", "3", "--threads", "1"
    )
    assert [case["bits"] for case in document["cases"]] == [64, 100] and document["threads"] == 1
    for case in document["cases"]:
        assert 0 < case["seconds"]["min"] <= case["seconds"]["median"] and case["seconds"]["runs"] == 3


def test_encode() -> None:
    pytest.importorskip("onnxruntime")
    (case,) = run("encode", str(SAMPLE))["cases"]
    assert case["file_to_code"]["median"] > 0 and case["path"] == str(SAMPLE)
    assert max(case["decode"]["min"], case["network"]["min"]) < case["file_to_code"]["median"]


def test_a_missing_file_is_named() -> None:
    done = CliRunner().invoke(app, ["bench", "encode", "nowhere.mp4"])
    assert done.exit_code == 3 and "nowhere.mp4" in done.stderr
