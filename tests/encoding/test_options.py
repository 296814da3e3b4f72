"""Options are checked where they enter: what they are called, what is allowed, never the file's fault."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_cli import run
from tests.tiny_model import save_tiny_model
from vhash_sdk import Encoder
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.errors import OptionError
from vhash_sdk.models.modelfile import read_model
from vhash_sdk.video import Limits, PyavDecoder

HUGE = 10**5000
VALUES: dict[str, Any] = {
    "inf": math.inf, "-inf": -math.inf, "nan": math.nan, "0": 0, "-1": -1, "1e20": 1e20, "huge": HUGE,
    "text": "5", "bool": True, "list": [1], "complex": 1j,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.mark.parametrize("name", ["pixels", "duration", "wall_time", "memory"])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_limits_that_are_none(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=name) as caught:
        Limits(**{name: VALUES[value]})
    assert isinstance(caught.value, ValueError) and len(str(caught.value)) < 200


def test_limits_of_whole_numbers_and_of_numpys() -> None:
    for name in ("pixels", "memory"):
        with pytest.raises(OptionError, match="whole number"):
            Limits(**{name: 1e6})
    assert Limits(pixels=np.int64(5), wall_time=np.float32(2.5)) == Limits(pixels=5, wall_time=2.5)
    assert Limits(pixels=None, duration=None, wall_time=None, memory=None).pixels is None


def test_the_largest_limits_work(tiny: Path) -> None:
    most = Limits(pixels=2**31 - 1, duration=1e9, wall_time=1e6, memory=1 << 50)
    with PyavDecoder(limits=most).open(SAMPLES / "chair.mp4") as reader:
        assert reader.info.width > 0
    with Encoder(tiny, limits=most) as encoder:
        (result,) = encoder.encode_many([SAMPLES / "chair.mp4"], isolate=True)
    assert result.error is None


@pytest.mark.parametrize("option", ["--max-pixels", "--max-seconds", "--max-memory", "--max-duration"])
@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e20", "0", "x"])
def test_limits_of_the_command_line(tmp_path: Path, option: str, value: str) -> None:
    result = run("add", tmp_path / "library", SAMPLES / "chair.mp4", option, value, code=2)
    assert option in result.stderr and not (tmp_path / "library").exists()


OPTIONS = ("model", "device", "backend", "precision", "threads", "limits", "calibration")
OTHERS: tuple[Any, ...] = (5, 5.0, True, b"x", ["x"], {"x": 1}, object(), "a\0b", "")


@pytest.mark.parametrize("value", [*OTHERS, None], ids=lambda value: repr(value).partition(" at ")[0])
@pytest.mark.parametrize(
    "name", ["model", "device", "backend", "precision", "threads", "limits", "calibration"]
)
def test_encoders_options_of_other_types(tiny: Path, name: str, value: Any) -> None:
    if (name, value) == ("threads", 5) or (value is None and name in ("threads", "limits", "calibration")):
        return
    given = {"model": tiny, name: value}
    with pytest.raises(OptionError, match=name) as caught:
        Encoder(**given)
    assert isinstance(caught.value, ValueError)


def test_threads_that_no_machine_has(tiny: Path) -> None:
    for threads in (0, -1, 100_000, HUGE):
        with pytest.raises(OptionError, match=r"1 to 1024"):
            Encoder(tiny, threads=threads)
    for device in ("cuda:", "cuda:-1", "cuda:٣", "cuda:" + "9" * 5000, "gpu", "CPU", "cuda:01"):
        with pytest.raises(OptionError, match="device"):
            Encoder(tiny, device=device)
    with pytest.raises(OptionError, match="no file name|without NUL"):
        Encoder("a\0b.onnx")


def test_options_of_its_methods(tiny: Path) -> None:
    with Encoder(tiny) as encoder:
        for bad in (
            {"workers": 0},
            {"workers": "2"},
            {"workers": 1e9},
            {"workers": 10**9},
            {"batch_size": 1.5},
        ):
            with pytest.raises(OptionError, match=next(iter(bad))):
                encoder.encode_many([], **bad)  # type: ignore[arg-type]
        for detail in ("frames", "codes", True, None, 5):
            with pytest.raises(OptionError, match=r"detail=.*allowed: 'code', 'box', 'views'"):
                encoder.encode_many([], detail=detail)  # type: ignore[arg-type]
        for sources in ("a.mp4", b"a", Path("a"), 5, None):
            with pytest.raises(OptionError, match="sources"):
                encoder.encode_many(sources)  # type: ignore[arg-type]
        clip = np.zeros((5, 8, 8, 3), np.uint8)
        for rate in (0, -1, math.nan, math.inf, 1e9, "2", None, HUGE, True):
            with pytest.raises(OptionError, match="rate"):
                encoder.encode_sequence(clip, rate=rate)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="box"):
            encoder.encode_sequence(clip, box=(0, 0, 1, 1))  # type: ignore[arg-type]
        for seconds in (0, -1, math.nan, math.inf, 1e9, 1e-9, "2", None, HUGE):
            with pytest.raises(OptionError, match="window"):
                encoder.encode_segments(clip, window=seconds, hop=1.0)  # type: ignore[arg-type]
            with pytest.raises(OptionError, match="hop"):
                encoder.encode_segments(clip, window=1.0, hop=seconds)  # type: ignore[arg-type]
        for fmr in (0, 2, math.nan, "x"):
            with pytest.raises(OptionError):
                encoder.threshold(fmr)  # type: ignore[arg-type]
        for isolate in (False, True):
            results = list(encoder.encode_many(["a\0b.mp4", 5, None, "", b""], isolate=isolate))
            assert all(isinstance(result.error, OSError) for result in results), results
        for source in ("a\0b", 5, None, {}):
            with pytest.raises(OSError):
                encoder.encode(source)  # type: ignore[arg-type]


def test_a_model_of_no_possible_name() -> None:
    with pytest.raises(OptionError, match="NUL"):
        read_model("a\0b.onnx")
