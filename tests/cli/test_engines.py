"""``vhash encode --output`` and ``--index milvus-lite://…``, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from vhash_sdk import cli
from vhash_sdk.cli.app import app

SAMPLES = Path(cli.__file__).parents[1] / "samples"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads(Path(cli.__file__).with_name("schema.json").read_text())
)
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("remembered")


def test_encode_into_parquet(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'vhash-sdk[ray]'")
    pytest.importorskip("fsspec")
    command = [
        "encode",
        str(SAMPLES / "chair.mp4"),
        "missing.mp4",
        "-m",
        "small",
        "-o",
        str(tmp_path / "out"),
    ]
    run = CliRunner().invoke(app, [*command, "--engine", "ray", "--address", "nowhere:1", "--json"])
    document = json.loads(run.stdout)
    VALIDATOR.validate(document)
    found = document["dataset"]
    assert run.exit_code == 1 and (found["rows"], found["failed"], found["engine"]) == (2, 1, "local")
    assert "Ray would take longer to start than 2 videos are worth" in found["reason"]
    assert len(pq.read_table(tmp_path / "out")) == 2
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and "0 encoded now" in again.stdout
    for wrong in (["--csv"], ["--index", "x"]):
        assert CliRunner().invoke(app, [*command, *wrong]).exit_code == 2
    assert CliRunner().invoke(app, ["encode", "a.mp4", "--engine", "ray"]).exit_code == 2


def test_a_library_served_from_milvus(tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="pip install 'vhash-sdk[milvus]'")
    place = f"milvus-lite://{tmp_path}/codes.db/films"
    library = str(tmp_path / "library")
    clips = [str(SAMPLES / name) for name in ("chair.mp4", "legs.mp4")]
    added = CliRunner().invoke(app, ["add", library, *clips, "-m", "small", "--index", place])
    assert added.exit_code == 0 and "2 codes served from milvus-lite://" in added.stderr
    run = CliRunner().invoke(app, ["search", library, clips[1], "--index", place, "--json"])
    document = json.loads(run.stdout)
    VALIDATOR.validate(document)
    nearest = document["queries"][0]["neighbours"][0]
    assert (nearest["distance"], nearest["path"]) == (0, clips[1])
    assert CliRunner().invoke(app, ["verify", library, "--index", place]).exit_code == 0
    assert CliRunner().invoke(app, ["search", str(SAMPLES), clips[0], "--index", place]).exit_code == 2
