"""What is coded is what a person sees, for every property that a video may have (docs/media.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.robustness.making import Property
from benchmarks.robustness.properties import NEAR, measure, properties
from vhash_sdk import Encoder

pytestmark = pytest.mark.usefixtures("remembered")


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    with Encoder("default", device="cpu") as encoder:
        yield encoder


@pytest.mark.parametrize(
    "property", properties(), ids=lambda property: f"{property.kind}-{property.value}".replace(" ", "_")
)
def test_distance_to_the_shown_picture(property: Property, encoder: Encoder, tmp_path: Path) -> None:
    row = measure(property, encoder, tmp_path, judge=False)
    if "not_made" in row:
        pytest.skip(f"this PyAV cannot make it: {row['not_made']}")
    assert row["bits"] is not None or property.policy, row["error"]
    assert property.policy or row["bits"] <= NEAR


def test_properties_that_are_asked_for_have_rows() -> None:
    kinds = {property.kind for property in properties()}
    assert kinds >= {
        "container", "codec", "pixel format", "range", "matrix", "transfer", "orientation", "crop", "alpha",
        "interlace", "variable rate", "edit list", "discontinuity", "several streams", "animation",
    }  # fmt: skip
    policies = {property.kind for property in properties() if property.policy}
    assert policies <= {"container", "transfer", "crop", "alpha", "animation"}
