"""JSON that nobody vouches for: one reader, one error, whatever the document."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import vhash_sdk
from vhash_sdk import Encoder
from vhash_sdk.cli.gallery import load_index
from vhash_sdk.errors import IndexFormatError, JsonError, ModelError, OptionError
from vhash_sdk.index import Index
from vhash_sdk.library.judgements import read_judgements
from vhash_sdk.matching.calibration import Calibration
from vhash_sdk.matching.second_look import Evidence
from vhash_sdk.models.modelfile import ModelFile
from vhash_sdk.spec import ModelSpec
from vhash_sdk.system.strict_json import parse_json

SDK = Path(vhash_sdk.__file__).parent
SPEC = (
    '{"bits":64,"crops":1,"digest":"00","embedding":3,"family":"test","name":"tiny","parts":[{"bits":[0,64],'
    '"name":"all"}],"resize":{"crop":null,"filter":"area","height":16,"rule":"exact","width":24},"sampling":'
    '{"frames":5,"kind":"uniform"},"version":1}'
)
TABLE = {
    "schema": 1, "fingerprint": "0" * 64, "bits": 2, "scenes": 9, "negatives": [0, 1, 8],
    "low": [0.0, 0.1, 1.0], "high": [0.1, 0.2, 1.0], "copies": {"crf": [3, 0, 0]}, "made": "",
    "verification": None,
}  # fmt: skip
NONSENSE = (
    "NaN",
    "-Infinity",
    "1e999",
    "1" + "0" * 400,
    "-" + "9" * 5000,
    '"\\ud800"',
    "[" * 5000,
    '{"a":1,"a":2}',
)


@pytest.mark.parametrize("text", [*NONSENSE, "[" * 70 + "]" * 70, b"\xff", "", "{", "[1,]", str(2**63)])
def test_what_is_no_json_or_no_value_of_ours_is_one_error(text: str | bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(text)
    if isinstance(text, str) and text:
        with pytest.raises(JsonError):
            parse_json(f'{{"inner": [{text}]}}')


def test_what_is_json_is_read_as_ever() -> None:
    document = {"a": [1, -(2**63), 2**63 - 1, 0.1, 1e300, None, True, "café \U0001f3ac"], "b": {"": []}}
    assert parse_json(json.dumps(document)) == document
    assert parse_json(json.dumps(document, ensure_ascii=False).encode()) == document
    name = os.fsdecode(b"caf\xe9")
    assert parse_json(json.dumps([name]), surrogates=True) == [name]


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize(
    "field", ["version", "bits", "sampling.frames", "resize.height", "resize.crop", "name", "parts"]
)
def test_a_specification_of_nonsense_is_a_model_error(field: str, value: str) -> None:
    outer, _, inner = field.partition(".")
    text = json.dumps(
        {**json.loads(SPEC), outer: "@"} if not inner else json.loads(SPEC) | {outer: {inner: "@"}}
    )
    with pytest.raises(ModelError):
        ModelSpec.from_json(text.replace('"@"', value))


@pytest.mark.parametrize("value", [*NONSENSE, "5", '"x"', "[1, 2, 1e300]", "{}"])
@pytest.mark.parametrize("field", sorted(TABLE))
def test_a_calibration_of_nonsense_is_a_model_error(field: str, value: str, tmp_path: Path) -> None:
    if (field, value) in (("scenes", "5"), ("made", '"x"'), ("fingerprint", '"x"'), ("copies", "{}")):
        return
    file = tmp_path / "c.json"
    file.write_text(json.dumps(TABLE | {field: "@"}).replace('"@"', value))
    with pytest.raises(ModelError):
        Calibration.load(file)


def test_a_second_look_of_nonsense_is_a_model_error() -> None:
    look = {"radius": 1, "verifier": {"bias": 0.0, "distance": 1.0, "parts": [1.0]}, "table": TABLE}
    for wrong in (
        {"radius": 3}, {"radius": -1}, {"radius": 1.5}, {"table": TABLE | {"verification": look}},
        {"verifier": {"bias": 1e300, "distance": 1e300, "parts": [1.0]}}, {"table": {}},
    ):  # fmt: skip
        with pytest.raises(ModelError):
            Calibration.from_json(json.dumps(TABLE | {"verification": look | wrong}))
    assert Calibration.from_json(json.dumps(TABLE | {"verification": look})).second_look is not None


@pytest.mark.parametrize("text", [*NONSENSE, "[1e39, 0]", '["a", "b"]', "[[1], 2]", "{}"])
def test_scales_of_nonsense_are_a_model_error(text: str) -> None:
    spec = ModelSpec.from_json(SPEC.replace("64", "2"))
    file = ModelFile(Path("m.onnx"), b"", spec, {"vhash.scales": text, "vhash.card": text})
    with pytest.raises(ModelError):
        _ = file.scales
    if text in NONSENSE:
        with pytest.raises(ModelError):
            _ = file.card


@pytest.mark.parametrize("text", NONSENSE)
def test_judgements_and_names_of_nonsense(text: str, tmp_path: Path) -> None:
    file = tmp_path / "j.json"
    file.write_text(f'{{"kind": "vhash judgements", "schema": 1, "pairs": {text}}}')
    with pytest.raises(OptionError):
        read_judgements(file)
    Index(8).save(tmp_path / "i.vhi")
    (tmp_path / "i.vhi.names.json").write_text(f'{{"model": {{"name": "m"}}, "videos": {text}}}')
    with pytest.raises(IndexFormatError):
        load_index(tmp_path / "i.vhi")


def test_every_reader_of_json_is_the_strict_one() -> None:
    own = {"strict_json.py", "process.py"}  # the latter starts a worker with a line of Python
    found = [path for path in SDK.rglob("*.py") if "json.load" in path.read_text() and path.name not in own]
    assert found == []


@pytest.mark.parametrize("given", [5, 1.5, b"x", ["a"], True])
def test_a_calibration_that_is_none_is_an_option_error(given: object) -> None:
    with pytest.raises(OptionError, match="calibration="):
        Encoder(calibration=given)  # type: ignore[arg-type]


def test_weights_for_other_parts_are_a_model_error() -> None:
    from vhash_sdk.matching.second_look import View
    from vhash_sdk.matching.trajectory import Trajectory

    spec = ModelSpec.from_json(SPEC)
    steps = np.random.default_rng(0).integers(-9, 9, (spec.sampling.frames, 64)).astype(np.int8)
    spec = ModelSpec.from_json(SPEC.replace('"frames":5', '"frames":25'))
    steps = np.random.default_rng(0).integers(-9, 9, (25, 64)).astype(np.int8)
    view = View(np.zeros(8, np.uint8), Trajectory(steps, spec, 5.0))
    with pytest.raises(ModelError, match="weights for 2 measures"):
        Evidence(0.0, 1.0, (1.0, 2.0)).verified((view,), (view,), 64)
