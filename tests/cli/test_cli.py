"""The command line, run in this process: every command, its JSON, its exit codes."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

import vhash_sdk
from vhash_sdk import Encoder, VideoCode, cli
from vhash_sdk.cli.app import app
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS, Variant
from vhash_sdk.models import zoo
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import open_source

pytestmark = pytest.mark.usefixtures("remembered")

SCHEMA = json.loads(Path(cli.__file__).with_name("schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def run(*arguments: object, code: int = 0, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def run_json(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = run(*arguments, "--json", code=code)
    assert not result.stderr
    document = json.loads(result.stdout)
    VALIDATOR.validate(document)
    assert document["command"] == arguments[0]
    return document


def write_still(path: Path, picture: NDArray[np.uint8], *, crf: int) -> None:
    """Two seconds of one picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        for _ in range(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two videos, a text that pretends to be one, and a text that does not."""
    folder = tmp_path_factory.mktemp("clips")
    shutil.copy(SAMPLES / "chair.mp4", folder / "a.mp4")
    (folder / "deeper").mkdir()
    shutil.copy(SAMPLES / "glass.mp4", folder / "deeper" / "b.MP4")
    (folder / "broken.mp4").write_bytes(b"not a video at all")
    (folder / "notes.txt").write_text("no video, and not called one")
    return folder


def test_schema_is_a_schema_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    good = {"schema": 1, "command": "doctor", "works": True, "checks": []}
    VALIDATOR.validate(good)
    for bad in ({**good, "schema": 2}, {**good, "more": 1}, {**good, "command": "encode"}):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(bad)


def test_version_and_help() -> None:
    shown = re.escape(f"vhash {vhash_sdk.__version__}") + r"( \(commit [0-9a-f]{12}\+?\))?\n"
    assert re.fullmatch(shown, run("--version").stdout)
    commands = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert {"encode", "search", "compare", "models", "doctor", "demo"} <= set(commands)
    for command in commands:
        text = run(command, "--help").stdout
        assert "Examples" in text and f"vhash {command}" in text and "--json" in text


def test_encode_lists_good_videos_and_reports_bad_ones(clips: Path) -> None:
    result = run("encode", clips, code=1)
    lines = result.stdout.splitlines()
    assert [line.split()[-1] for line in lines] == [str(clips / "a.mp4"), str(clips / "deeper" / "b.MP4")]
    code, confidence, duration, _ = lines[0].split()
    with Encoder() as encoder:
        expected = encoder.encode(clips / "a.mp4")
    assert VideoCode.from_text(code) == expected
    assert float(confidence) == pytest.approx(expected.confidence, abs=0.005)
    assert float(duration) == pytest.approx(3.4, abs=0.05)
    assert "broken.mp4" in result.stderr and "1 of 3 videos failed" in result.stderr
    assert "notes.txt" not in result.output


def test_encode_json_and_csv_say_the_same(clips: Path) -> None:
    document = run_json("encode", clips, code=1)
    rows = list(csv.DictReader(io.StringIO(run("encode", clips, "--csv", code=1).stdout)))
    assert [row["path"] for row in rows] == [str(clips / n) for n in ("a.mp4", "broken.mp4", "deeper/b.MP4")]
    assert [row["code"] for row in rows if row["code"]] == [video["code"] for video in document["videos"]]
    assert [row["path"] for row in rows if row["error"]] == [error["path"] for error in document["errors"]]
    assert document["errors"][0]["error"]["type"] == "UnsupportedVideoError"
    assert document["model"]["fingerprint"].startswith(document["videos"][0]["code"][4:12])


def test_encode_exit_codes(clips: Path, tmp_path: Path) -> None:
    run("encode", clips / "a.mp4")
    run("encode", clips / "missing.mp4", code=3)
    assert "no videos" in run("encode", tmp_path, code=3).stderr
    run("encode", code=2)
    run("encode", clips, "--precision", "int4", code=2)
    run("encode", clips, "--json", "--csv", code=2)
    assert "bundled" in run("encode", clips, "--model", "nonsense", code=3).stderr
    error = run_json("encode", clips, "--model", "nonsense", code=3)["error"]
    assert error["type"] == "ModelNotFoundError"


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\0"])
def test_list_on_standard_input(clips: Path, separator: bytes) -> None:
    names = [os.fsencode(clips / "a.mp4"), os.fsencode(clips / "deeper")]
    assert len(run("encode", "-", stdin=separator.join(names) + separator).stdout.splitlines()) == 2


def test_strange_names(tmp_path: Path) -> None:
    names = [b"line\nbreak.mp4", b"caf\xe9 latin.mp4", b"esc\x1b[2J.mp4", b'comma, "quote" back\\slash.mp4']
    for name in names:
        shutil.copy(SAMPLES / "chair.mp4", os.fsencode(tmp_path) + b"/" + name)
    text = run("encode", tmp_path).stdout
    assert len(text.splitlines()) == 4 and "\x1b" not in text
    assert "line\\nbreak.mp4" in text and "caf\\xe9 latin.mp4" in text and "back\\\\slash.mp4" in text
    rows = list(csv.DictReader(io.StringIO(run("encode", tmp_path, "--csv").stdout)))
    assert len(rows) == 4 and all(row["path"].endswith(".mp4") for row in rows)
    exact = {
        base64.b64decode(v["path_base64"]) if "path_base64" in v else v["path"].encode()
        for v in run_json("encode", tmp_path)["videos"]
    }
    assert exact == {os.fsencode(tmp_path) + b"/" + name for name in names}
    nul = b"\0".join(os.fsencode(tmp_path) + b"/" + name for name in names)
    assert run("encode", "-", stdin=nul).stdout.splitlines() == sorted(text.splitlines(), key=lambda line: [
        i for i, name in enumerate(("line", "caf", "esc", "comma")) if f"/{name}" in line
    ])  # fmt: skip


def test_search_a_folder(clips: Path) -> None:
    document = run_json("search", clips, SAMPLES / "glass.mp4", "-k", 5, code=1)
    (query,) = document["queries"]
    assert [n["path"] for n in query["neighbours"]] == [str(clips / "deeper" / "b.MP4"), str(clips / "a.mp4")]
    assert query["neighbours"][0]["distance"] == 0 < query["neighbours"][1]["distance"]
    assert document["gallery"] == {"kind": "folder", "path": str(clips), "videos": 2}
    text = run("search", clips, SAMPLES / "glass.mp4", "-k", 1, code=1).stdout.splitlines()
    assert len(text) == 2 and text[1].split() == ["0", "0.0", "%", str(clips / "deeper" / "b.MP4")]


def test_saved_index_gives_the_same_neighbours(clips: Path, tmp_path: Path) -> None:
    file = tmp_path / "saved.vhi"
    saved = run_json("encode", SAMPLES, "--index", file)
    assert saved["index"] == {"path": str(file)}
    names = json.loads((tmp_path / "saved.vhi.names.json").read_text())
    VALIDATOR.validate(names)
    by_index = run_json("search", file, clips / "a.mp4")
    by_folder = run_json("search", SAMPLES, clips / "a.mp4")
    assert by_index["queries"] == by_folder["queries"]
    nearest = by_index["queries"][0]["neighbours"][0]
    assert Path(nearest["path"]) == SAMPLES / "chair.mp4" and nearest["distance"] == 0
    radius = by_index["queries"][0]["neighbours"][2]["distance"]
    within = run_json("search", file, clips / "a.mp4", "--radius", radius)["queries"][0]["neighbours"]
    assert within == [n for n in by_index["queries"][0]["neighbours"] if n["distance"] <= radius]
    assert (
        len(
            run_json("search", file, clips / "a.mp4", "--radius", radius, "-k", 1)["queries"][0]["neighbours"]
        )
        == 1
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["saved.vhi", "saved.vhi.names.json"]


def test_index_and_names_must_belong_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one.vhi", tmp_path / "two.vhi"
    run("encode", SAMPLES / "chair.mp4", "--index", one)
    run("encode", SAMPLES / "glass.mp4", "--index", two)
    query = SAMPLES / "chair.mp4"
    shutil.copy(tmp_path / "two.vhi.names.json", tmp_path / "one.vhi.names.json")
    assert "another index" in run("search", one, query, code=3).stderr
    (tmp_path / "one.vhi.names.json").write_text('{"videos": [1')
    assert "not readable" in run("search", one, query, code=3).stderr
    (tmp_path / "one.vhi.names.json").unlink()
    assert "missing" in run("search", one, query, code=3).stderr
    two.write_bytes(two.read_bytes()[:-1])
    assert run_json("search", two, query, code=3)["error"]["type"] == "IndexFormatError"
    assert "no such library, folder or index" in run("search", tmp_path / "three.vhi", query, code=3).stderr


def test_an_index_that_cannot_be_written(tmp_path: Path) -> None:
    result = run("encode", SAMPLES / "chair.mp4", "--index", tmp_path / "no" / "folder.vhi", code=3)
    assert "folder.vhi" in result.stderr


def test_compare(clips: Path) -> None:
    chair, glass = SAMPLES / "chair.mp4", SAMPLES / "glass.mp4"
    document = run_json("compare", chair, glass)
    with Encoder() as encoder:
        a, b = encoder.encode(chair), encoder.encode(glass)
        parts, threshold = encoder.spec.parts, encoder.threshold(1e-4)
    assert document["distance"] == a - b == sum(part["distance"] for part in document["parts"])
    assert [part["name"] for part in document["parts"]] == [part.name for part in parts]
    assert threshold < a - b and document["same"] is False and document["spans"] == []
    assert document["verified"] is not None and document["threshold"] < document["verified"]
    assert 0 < document["false_match_rate"]["high"] < 1
    assert (document["a"]["width"], document["a"]["height"], document["a"]["codec"]) == (240, 416, "h264")
    text = run("compare", chair, b.text).stdout
    assert f"{a - b} of {a.bits} bits" in text and "not the same video" in text and b.text in text
    same = run_json("compare", chair, clips / "a.mp4")
    assert same["distance"] == 0 and same["spans"][0]["speed"] == 1
    other = f"vh1:00000000:{a.bits}:{a.code.tobytes().hex()}"
    assert run_json("compare", chair, other, code=3)["error"]["type"] == "ModelMismatchError"
    assert "broken.mp4" in run("compare", chair, clips / "broken.mp4", code=3).stderr
    assert "not a code" in run("compare", chair, "vh1:zz", code=3).stderr
    assert "these codes are not of copy-256" in run("compare", other, other).stdout
    foreign = run_json("compare", other, other)  # of a model that is not at hand: no table says what it means
    assert (
        foreign["distance"] == 0 and foreign["threshold"] is foreign["same"] is None and not foreign["parts"]
    )


def test_compare_sees_what_is_inside_bars_and_looks_again(tmp_path: Path) -> None:
    bunny, barred = SAMPLES / "bunny.mp4", tmp_path / "barred.mp4"
    Variant("bars", (("pad", "iw:ih+400:0:200"),)).write(bunny, barred)
    document = run_json("compare", bunny, barred)
    assert document["views"] == {"a": "whole picture", "b": "content box"} and document["a"]["box"] is None
    assert document["b"]["box"]["top"] == pytest.approx(200 / 670, abs=0.01)
    assert document["distance"] <= 32 < document["whole"] and document["same"]
    assert document["verified"] <= document["threshold"]
    text = run("compare", bunny, barred).stdout
    assert "b's content box" in text and "second look" in text and "span 1" in text
    assert f"{document['threshold']} bits of the second look" in text


def test_a_picture_that_is_held_is_told_by_its_detail_alone(tmp_path: Path) -> None:
    with open_source(SAMPLES / "bunny.mp4") as reader:
        picture = reader.sample(Sampling("uniform", 1), Resize("exact", 270, 480, filter="area")).frames[0]
    good, poor = tmp_path / "good.mp4", tmp_path / "poor.mp4"
    write_still(good, picture, crf=20)
    write_still(poor, picture[20:240, 30:450], crf=36)
    document = run_json("compare", good, poor)
    assert document["verified"] is None and document["distance"] <= document["threshold"]
    assert document["same"] is True and document["spans"] is not None
    assert "the same in detail" in run("compare", good, poor).stdout
    assert run_json("compare", "--no-pixels", good, poor)["same"] is None
    text = run("compare", "--no-pixels", good, poor).stdout
    assert "nothing moves" in text and "nothing is concluded" in text and "second look" not in text
    lib = tmp_path / "lib"
    run("add", lib, good, poor, SAMPLES / "glass.mp4", SAMPLES / "chair.mp4")
    (hit, *_) = run_json("search", lib, good)["queries"][0]["neighbours"]
    assert hit["distance"] == 0 and hit["verified"] is None


def test_compare_with_a_model_of_whole_clips_looks_for_no_parts(tmp_path: Path) -> None:
    bunny, glass = SAMPLES / "bunny.mp4", SAMPLES / "glass.mp4"
    document = run_json("compare", "--model", "semantic", bunny, glass)
    assert document["spans"] is None and document["threshold"] is None and document["distance"] > 0
    result = run("compare", "--model", "semantic", bunny, glass, "--strip", tmp_path / "x.png", code=3)
    assert "codes whole clips" in result.stderr


def test_models(tmp_path: Path) -> None:
    document = run_json("models")
    assert [model["name"] for model in document["models"]] == zoo.names()
    assert document["errors"] == []
    (default,) = run_json("models", "default")["models"]
    assert default["fingerprint"] == zoo.load().spec.fingerprint and "default" in default["aliases"]
    for file in default["files"]:
        assert file["bytes"] == (zoo.FOLDER / file["file"]).stat().st_size
    table = run("models").stdout
    assert all(name in table for name in zoo.names())
    assert default["fingerprint"] in run("models", "default").stdout
    assert run_json("models", zoo.model_path("default"))["models"][0]["name"] == default["name"]
    (tmp_path / "x.onnx").write_bytes(b"junk")
    run("models", tmp_path / "x.onnx", code=3)


@pytest.mark.slow
def test_demo_finds_every_copy(tmp_path: Path) -> None:
    document = run_json("demo", "--keep", tmp_path)
    clips = sorted(path.stem for path in SAMPLES.glob("*.mp4"))
    assert document["total"] == len(clips) * len(VARIANTS) == len(list(tmp_path.iterdir()))
    assert document["correct"] == document["total"]
    for copy in document["copies"]:
        distances = [n["distance"] for n in copy["neighbours"]]
        assert distances == sorted(distances) and len(distances) == len(clips)
        assert copy["neighbours"][0]["name"] == copy["original"]
        assert distances[0] + 4 < distances[1]  # four of the clips show one room, so no threshold fits all
    assert set(document["seconds"]) == {"make copies", "load model", "encode", "index", "search"}
