from __future__ import annotations

import dataclasses
import json

import pytest

from vhash_sdk.errors import ModelError
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling

SPEC = ModelSpec(
    "lite0-phash-256", 1, "fused", 256, (Part("cnn", (0, 192)), Part("phash", (192, 256))),
    Sampling("uniform", 25), Resize("exact", 224, 224), 1, 1280, "ab" * 32,
)  # fmt: skip


def test_the_fingerprint_is_frozen() -> None:
    # codes stored anywhere in the world carry it: it may never change for the same specification
    assert SPEC.fingerprint == "e4924fe6020bcf29ab7652f185e538c1c8e26987629c95717f66ebea99530b9c"


def test_json_round_trips_and_every_field_counts() -> None:
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    for change in (
        {"version": 2},
        {"digest": "cd" * 32},
        {"sampling": Sampling("middle", 25)},
        {"embedding": 7},
    ):
        assert dataclasses.replace(SPEC, **change).fingerprint != SPEC.fingerprint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bits", 0), ("bits", 5000), ("bits", True), ("bits", "256"), ("version", 0), ("crops", 3),
        ("name", ""), ("name", "x" * 200), ("parts", []), ("parts", [{"name": "a", "bits": [0, 100]}]),
        ("sampling", {"kind": "random", "frames": 25}), ("sampling", {"kind": "uniform", "frames": 10**6}),
        ("resize", {"rule": "exact", "height": 10**9, "width": 1}), ("resize", None), ("surprise", 1),
    ],
)  # fmt: skip
def test_bad_specifications_are_refused(field: str, value: object) -> None:
    data = json.loads(SPEC.to_json()) | {field: value}
    with pytest.raises(ModelError):
        ModelSpec.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"parts": 3}'])
def test_text_that_is_no_specification_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        ModelSpec.from_json(text)


def test_short_side_rounds_half_up() -> None:
    rule = Resize("short_side", 128, 128, crop=(112, 112), filter="bilinear")
    assert (
        rule.scaled(240, 320) == (128, 171)
        and rule.scaled(320, 240) == (171, 128)
        and rule.output == (112, 112)
    )
