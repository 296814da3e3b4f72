"""Calibration: thresholds, rates with intervals, what the pairs cannot support, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk import Encoder
from vhash_sdk.errors import ModelError, ModelMismatchError, OptionError
from vhash_sdk.matching.calibration import Calibration, SecondLook, calibrate
from vhash_sdk.matching.second_look import Evidence
from vhash_sdk.models import zoo

MODEL = "ab" * 32


def table(counts: dict[int, int], **rest: object) -> Calibration:
    negatives = [counts.get(distance, 0) for distance in range(65)]
    return Calibration(MODEL, 64, 10, tuple(negatives), (0.0,) * 65, (1.0,) * 65, **rest)


def random_table(scenes: int = 40, each: int = 3, seed: int = 1) -> tuple[Calibration, np.ndarray, list[str]]:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 2, (scenes * each, 64))
    distances = (codes[:, None] != codes[None]).sum(2)
    names = [f"scene {i // each}" for i in range(scenes * each)]
    made = calibrate(distances, names, fingerprint=MODEL, bits=64, copies={"crop": [3, 9]}, made="noise")
    return made, distances, names


def test_threshold_is_the_largest_distance_within_the_rate() -> None:
    found = table({8: 1, 10: 1, 30: 9998})
    assert found.threshold(1e-3) == 29
    assert found.threshold(0.01) == 29
    assert found.threshold(1.0) == 64
    assert table({8: 4, 10: 1, 30: 9995}).threshold(4e-4) == 9
    assert table({8: 5, 10: 1, 30: 9994}).threshold(4e-4) == 7


@pytest.mark.parametrize("rate", [1e-3, 1e-2, 0.1, 0.7])
def test_threshold_agrees_with_counting(rate: float) -> None:
    found, distances, names = random_table()
    scene = np.array(names)
    values = distances[np.triu(scene[:, None] != scene[None])]
    limit = found.threshold(rate)
    assert np.mean(values <= limit) <= rate < np.mean(values <= limit + 1)
    assert found.false_match_rate(limit).estimate == pytest.approx(np.mean(values <= limit))


def test_a_rate_the_pairs_cannot_support_says_what_would() -> None:
    found = table({30: 10_000})
    assert found.threshold(found.smallest_rate) == 29
    with pytest.raises(OptionError, match=r"10,000 pairs support rates down to 0.0003; .* 3,000,000 pairs"):
        found.threshold(1e-6)
    with pytest.raises(OptionError, match="even equal codes"):
        table({0: 5000, 30: 5000}).threshold(1e-3)
    for wrong in (0, -1, 2, float("nan")):
        with pytest.raises(OptionError, match="false-match rate is above 0"):
            found.threshold(wrong)


def test_the_usual_rate_leaves_one_pair_of_a_library_as_far_as_the_pairs_tell() -> None:
    found = table({30: 1_000_000})
    assert [found.rate_for(videos) for videos in (0, 1, 2, 100)] == [1e-4] * 4
    assert found.rate_for(500) == pytest.approx(2 / (500 * 499))
    assert found.rate_for(100_000) == found.smallest_rate == 3e-6
    assert found.threshold(found.rate_for(100_000)) == 29
    with pytest.raises(OptionError, match="100 pairs support"):  # never a larger one instead
        few = table({30: 100})
        few.threshold(few.rate_for(5))


def test_interval_holds_the_estimate_and_knows_its_ignorance() -> None:
    found, _, _ = random_table()
    for distance in range(65):
        low, estimate, high = found.false_match_rate(distance)
        assert 0 <= low <= estimate * (1 + 1e-5) <= high * (1 + 2e-5) <= 1.001  # they are stored rounded
        assert high >= found.smallest_rate * (1 - 1e-5)  # no false match seen is no proof of none
    assert found.scenes == 40
    assert found.pairs == 40 * 39 // 2 * 9


def test_clustered_scenes_give_a_wider_interval() -> None:
    # the same number of pairs, but only 8 scenes whose clips all agree: far less is known
    generator = np.random.default_rng(3)
    centres = np.repeat(generator.integers(0, 2, (8, 64)), 15, axis=0)
    distances = (centres[:, None] != centres[None]).sum(2)
    few = calibrate(distances, [str(i // 15) for i in range(120)], fingerprint=MODEL, bits=64)
    many, _, _ = random_table()
    widths = [rate.high - rate.low for rate in (few.false_match_rate(31), many.false_match_rate(31))]
    assert widths[0] > 3 * widths[1]


def test_miss_rate() -> None:
    found, _, _ = random_table()
    assert [found.miss_rate(d, "crop") for d in (2, 3, 8, 9)] == [1.0, 0.5, 0.5, 0.0]
    with pytest.raises(OptionError, match="'rotation'.*measured are crop"):
        found.miss_rate(3, "rotation")
    for wrong in (-1, 65, 2.5, True):
        with pytest.raises(OptionError, match="distance="):
            found.false_match_rate(wrong)


def test_one_scene_is_not_enough() -> None:
    with pytest.raises(OptionError, match="two scenes"):
        calibrate(np.zeros((3, 3), int), ["a"] * 3, fingerprint=MODEL, bits=64)


def test_file_and_json_round_trip(tmp_path: Path) -> None:
    found, _, _ = random_table()
    found.save(tmp_path / "mine.json")
    assert Calibration.load(tmp_path / "mine.json") == found
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"bits": 63}, {"bits": "64"}, {"negatives": [0] * 65}, {"negatives": [0.5] * 65},
        {"low": [2.0] * 65}, {"high": [None] * 65}, {"copies": [1]}, {"other": 1},
    ],
)  # fmt: skip
def test_documents_that_are_none(change: dict[str, object]) -> None:
    data = json.loads(random_table()[0].to_json()) | change
    with pytest.raises(ModelError, match="calibration"):
        Calibration.from_json(json.dumps(data))


def test_files_that_are_none(tmp_path: Path) -> None:
    for text in ("", "[]", '"x"', "null", "{}"):
        with pytest.raises(ModelError, match="calibration"):
            Calibration.from_json(text)
    with pytest.raises(ModelError, match=r"missing\.json"):
        Calibration.load(tmp_path / "missing.json")


def test_encoder_takes_a_table_of_its_own_model_only(tmp_path: Path) -> None:
    with Encoder() as plain:
        fingerprint, bits = plain.spec.fingerprint, plain.spec.bits
    counts = tuple([0] * 60 + [1] + [0] * 9 + [9999] + [0] * (bits - 70))
    flat = (0.0,) * (bits + 1), (1.0,) * (bits + 1)
    Calibration(fingerprint, bits, 10, counts, *flat).save(tmp_path / "own.json")
    with Encoder(calibration=tmp_path / "own.json") as encoder:
        assert encoder.threshold(fmr=1e-3) == 69
        assert encoder.calibration is not None and encoder.calibration.pairs == 10_000
    with pytest.raises(ModelMismatchError, match="abababab"):
        Encoder(calibration=Calibration(MODEL, bits, 10, counts, *flat))


def test_verification_travels_with_the_table(tmp_path: Path) -> None:
    found, _, _ = random_table()
    evidence = Evidence(-2.0, -0.05, (12.0, 7.5))
    whole = replace(found, second_look=SecondLook(20, evidence, found))
    whole.save(tmp_path / "mine.json")
    assert Calibration.load(tmp_path / "mine.json") == whole
    for change in ({"radius": "x"}, {"verifier": {}}, {"table": None}):
        data = json.loads(whole.to_json())
        data["verification"] |= change
        with pytest.raises(ModelError, match="calibration"):
            Calibration.from_json(json.dumps(data))


def test_the_default_model_is_calibrated() -> None:
    table = zoo.load("default").calibration
    assert table is not None and table.pairs > 100_000
    assert 40 < table.threshold(1e-4) < table.threshold(1e-3) < 90
    assert table.second_look is not None
    assert 100 < table.second_look.table.threshold(1e-4) < 200
    assert zoo.load("default", "fp32").calibration == table
    with pytest.raises(OptionError, match="3,000,000 pairs"):
        table.threshold(1e-6)
