"""NVDEC and the resident pipeline, over a pretended chip (``host_nvcodec``) and the emulated kernels."""

from __future__ import annotations

import ctypes
import logging
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests import host_nvcodec
from tests.cuda_emulator.fixture import compiled, emulated
from tests.host_gpu import pretend
from tests.tiny_model import save_tiny_model
from tests.video.test_media_shown import with_clap
from tests.video_files import Case, make
from vhash_sdk import Encoder, Index
from vhash_sdk.encoding.resident import Resident
from vhash_sdk.errors import BackendError, DecodeError, MissingDependencyError
from vhash_sdk.gpu import probe
from vhash_sdk.gpu.cuda import DeviceArray
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import Limits, PyavDecoder
from vhash_sdk.video.box import Box
from vhash_sdk.video.nvdec import NvdecDecoder

__all__ = ["compiled", "emulated"]
RESIZE = Resize("exact", 12, 16)
GOP = {"g": "25", "bf": "3", "preset": "ultrafast"}
CASES = [
    Case("plain", options=GOP),
    Case("one-gop", frames=90, options={"g": "300", "bf": "2"}),
    Case("mkv", suffix="mkv", options=GOP),
    Case("ts", suffix="ts", options=GOP),
    Case("short", frames=3, options=GOP),
    Case("single", frames=1, options=GOP),
    Case("turned", rotation=90, options=GOP),
    Case("mirrored", flips=(True, False), options=GOP),
    Case("transposed", rotation=90, flips=(True, False), options=GOP),
    Case("variable", times=(0, 1, 5, 6, 30, 31, 32, 80, 81, 82, 83, 120), options=GOP),
    Case("film", rate=Fraction(24000, 1001), frames=60, options=GOP),
    Case("full", pixels="yuvj420p", options=GOP),
    Case("hevc", codec="libx265", frames=40, options={"x265-params": "log-level=none:keyint=20"}),
    Case(
        "vp9", suffix="webm", codec="libvpx-vp9", frames=40, options={"deadline": "realtime", "cpu-used": "8"}
    ),
]


@pytest.fixture
def chip(emulated: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A pretended GPU with NVDEC; the module that stands for PyNvVideoCodec."""
    pytest.importorskip("cuda.bindings", reason="needs cuda-bindings, of the extra gpu")
    pretend(monkeypatch, tmp_path)
    return install(monkeypatch)


def install(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    library = host_nvcodec.module(**options)
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", library)
    return library


def on_host(frames: Any) -> np.ndarray:
    if not isinstance(frames, DeviceArray):
        return np.asarray(frames)
    return np.frombuffer(ctypes.string_at(frames.pointer, frames.nbytes), np.uint8).reshape(frames.shape)


def assert_same_clip(
    path: Path, decoder: NvdecDecoder, sampling: Sampling, *, device: bool = True, resize: Resize = RESIZE
) -> None:
    with PyavDecoder().open(path) as reader:
        expected = reader.sample(sampling, resize)
    with decoder.open(path) as reader:
        found = reader.sample(sampling, resize)
    assert isinstance(found.frames, DeviceArray) is device
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(on_host(found.frames), expected.frames)
    assert found.info == expected.info


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames_are_those_of_pyav(chip: Any, tmp_path: Path, case: Case) -> None:
    path, decoder = make(case, tmp_path), NvdecDecoder()
    for sampling in (Sampling("uniform", 7), Sampling("middle", 5)):
        assert_same_clip(path, decoder, sampling)
    assert len(chip.made) == 1  # the second clip had the decoder of the first


def test_times_that_the_user_names(chip: Any, tmp_path: Path) -> None:
    path = make(CASES[0], tmp_path)
    wanted = np.array([0.0, 0.01, 0.5, 0.5, 2.9, 50.0])
    with PyavDecoder().open(path) as reader, NvdecDecoder().open(path) as other:
        expected, found = reader.frames_at(wanted, RESIZE), other.frames_at(wanted, RESIZE)
        np.testing.assert_array_equal(on_host(found.frames), expected.frames)
        box = Box(0.0, 0.25, 1.0, 0.75)  # of the picture: decoded by PyAV
        part = other.sample(Sampling("uniform", 2), RESIZE, box=box)
        np.testing.assert_array_equal(
            part.frames, reader.sample(Sampling("uniform", 2), RESIZE, box=box).frames
        )


def test_pictures_that_nobody_needs_are_not_sent(chip: Any, tmp_path: Path) -> None:
    path = make(Case("long", frames=120, options={"g": "300", "bf": "3", "b-pyramid": "none"}), tmp_path)
    assert_same_clip(path, NvdecDecoder(), Sampling("uniform", 3))
    assert chip.made[0].packets < 80


def test_a_file_that_is_cut_off(chip: Any, tmp_path: Path) -> None:
    whole = make(Case("whole", suffix="mkv", options=GOP), tmp_path)
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert_same_clip(path, NvdecDecoder(), Sampling("uniform", 5))


SHOWN = Resize("exact", 12, 16, picture=2)


@pytest.mark.parametrize("turn", [{}, {"rotation": 90}, {"rotation": 90, "flips": (True, False)}], ids=str)
def test_what_the_container_hides(chip: Any, tmp_path: Path, turn: dict[str, Any]) -> None:
    path = make(Case("hidden", **turn, options=GOP), tmp_path)
    with_clap(path, Fraction(60), Fraction(40), Fraction(8), Fraction(-4))
    decoder = NvdecDecoder()
    assert_same_clip(path, decoder, Sampling("uniform", 5), resize=SHOWN)
    assert_same_clip(path, decoder, Sampling("uniform", 5))
    with decoder.open(path) as reader:
        whole, part = (reader.sample(Sampling("uniform", 5), one).frames for one in (RESIZE, SHOWN))
    assert not np.array_equal(on_host(whole), on_host(part))


@pytest.mark.parametrize("samples", [False, True])
@pytest.mark.parametrize("curve", ["smpte2084", "arib-std-b67"])
def test_hdr_is_mapped_on_the_device(
    chip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, curve: str, samples: bool
) -> None:
    """Surfaces of 16 bits, whose strides the library may give in bytes or in samples."""
    library = install(monkeypatch, samples=samples)
    tags = f"log-level=none:keyint=20:transfer={curve}:colorprim=bt2020:colormatrix=bt2020nc"
    case = Case("hdr", codec="libx265", pixels="yuv420p10le", frames=40, options={"x265-params": tags})
    path, decoder = make(case, tmp_path), NvdecDecoder()
    for sampling in (Sampling("uniform", 7), Sampling("middle", 5)):
        assert_same_clip(path, decoder, sampling, resize=SHOWN)
    assert len(library.made) == 1
    assert_same_clip(path, decoder, Sampling("uniform", 3), device=False)  # rule 1 rounds on the CPU
    plain = make(
        Case("plain", codec="libx265", frames=9, options={"x265-params": "log-level=none"}), tmp_path
    )
    assert_same_clip(plain, decoder, Sampling("uniform", 3), resize=SHOWN)
    assert len(library.made) == 2  # of another depth


def test_hdr_of_8_bits_is_mapped_on_the_cpu(
    chip: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = "log-level=none:transfer=arib-std-b67:colorprim=bt2020:colormatrix=bt2020nc"
    path = make(Case("hlg", codec="libx265", frames=9, options={"x265-params": tags}), tmp_path)
    assert_same_clip(path, NvdecDecoder(), Sampling("uniform", 3), device=False, resize=SHOWN)
    assert "HDR of 10 bits" in caplog.text


@pytest.mark.parametrize(
    ("case", "options", "reason"),
    [
        (Case("mpeg", codec="mpeg4"), {}, "not used for mpeg4"),
        (Case("deep", pixels="yuv444p", options=GOP), {}, "8-bit 4:2:0"),
        (CASES[0], {"engines": 0}, "does not decode h264"),
        (CASES[0], {"widest": 64}, "48 × 16 to 64"),
    ],
)
def test_what_the_chip_cannot(
    chip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    case: Case, options: dict[str, int], reason: str,
) -> None:  # fmt: skip
    install(monkeypatch, **options)
    path, decoder = make(case, tmp_path), NvdecDecoder()
    with caplog.at_level(logging.WARNING, "vhash_sdk"):
        for _ in range(2):
            assert_same_clip(path, decoder, Sampling("uniform", 4), device=False)
    assert len(caplog.records) == 1 and reason in caplog.text


def test_a_decoder_that_fails(
    chip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Any, packet: Any) -> list[Any]:
        raise RuntimeError("CUDA_ERROR_UNKNOWN")

    path, decoder = make(CASES[0], tmp_path), NvdecDecoder()
    monkeypatch.setattr(host_nvcodec.Decoder, "Decode", broken)
    assert_same_clip(path, decoder, Sampling("uniform", 4), device=False)
    assert "CUDA_ERROR_UNKNOWN" in caplog.text
    assert not decoder._spare  # it is not used again


def test_limits_hold(chip: Any, tmp_path: Path) -> None:
    path = make(CASES[0], tmp_path)
    with pytest.raises(OSError, match="pixels"):
        NvdecDecoder(limits=Limits(pixels=100)).open(path)
    (tmp_path / "bad.mp4").write_bytes(path.read_bytes()[:400])
    with pytest.raises(DecodeError):
        NvdecDecoder().open(tmp_path / "bad.mp4")


def test_codes_of_the_resident_pipeline(chip: Any, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "tiny.onnx")
    paths = [make(case, tmp_path) for case in (CASES[0], CASES[2], Case("mpeg", codec="mpeg4"), CASES[6])]
    with Encoder(model, device="cpu", backend="onnxruntime") as encoder:
        expected = [encoder.encode(path) for path in paths]
        index = Index(encoder.spec.bits, model=encoder.spec.fingerprint)
        index.add(expected)
    with Encoder(model, device="cuda:0", backend="onnxruntime") as encoder:
        info = encoder.info()
        assert (info["decoder"], info["frames"], info["device"]) == ("nvdec", "cuda:0", "cuda:0")
        assert [encoder.encode(path) - code for path, code in zip(paths, expected, strict=True)] == [0] * 4
        found = list(encoder.encode_many([*paths, "missing.mp4"], workers=2, batch_size=3))
        assert [one.code - code for one, code in zip(found[:4], expected, strict=True) if one.code] == [0] * 4
        assert found[4].error is not None
        assert [one.code and one.code.unreliable for one in found[:4]] == [
            code.unreliable for code in expected
        ]
        resident: Resident = encoder._resident  # type: ignore[assignment]
        spec = encoder.spec
        clips = [resident.decode(path, spec.sampling, spec.resize) for path in paths]
        nearest = resident.nearest(clips, index.to("cuda"), 2)
        np.testing.assert_array_equal(nearest.ids, index.search(expected, 2).ids)
        np.testing.assert_array_equal(nearest.distances[:, 0], 0)


@pytest.mark.parametrize("missing", ["library", "driver of the library", "kernels"])
def test_without_a_stage_the_cpu_does_it(
    chip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    path, model = make(CASES[0], tmp_path), save_tiny_model(tmp_path / "tiny.onnx")
    if missing == "driver of the library":
        monkeypatch.delitem(sys.modules, "PyNvVideoCodec")
        with pytest.raises((BackendError, MissingDependencyError)):
            NvdecDecoder()
    else:
        name = {"library": "PyNvVideoCodec", "kernels": "vhash_sdk._cuda"}[missing]
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependencyError):
            NvdecDecoder()
    with Encoder(model, device="cuda:0", backend="onnxruntime") as encoder:
        assert (encoder.info()["decoder"], encoder.info()["frames"]) == ("pyav", "cpu")
        code = encoder.encode(path)
    assert caplog.text.count("decoding and scaling frames on the CPU") == 1
    with Encoder(model, device="cpu", backend="onnxruntime") as encoder:
        assert encoder.encode(path) - code == 0


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cuda_devices", lambda: 0)
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        NvdecDecoder()


@pytest.mark.needs_cuda
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_chip_itself(tmp_path: Path, case: Case) -> None:
    try:
        decoder = NvdecDecoder()
    except (BackendError, MissingDependencyError) as error:
        pytest.xfail(f"this machine has no NVDEC for us: {error}")  # the README says where it has run
    from vhash_sdk.gpu.cuda import Stream, download

    with (
        decoder.open(make(case, tmp_path)) as reader,
        PyavDecoder().open(tmp_path / f"{case.name}.{case.suffix}") as other,
    ):
        found, expected = (
            reader.sample(Sampling("uniform", 7), RESIZE),
            other.sample(Sampling("uniform", 7), RESIZE),
        )
    frames: Any = found.frames
    if isinstance(frames, DeviceArray):
        host, stream = np.empty(frames.shape, np.uint8), Stream()
        download(host, frames, stream.handle)
        stream.synchronize()
        frames = host
    np.testing.assert_array_equal(frames, expected.frames)
    np.testing.assert_array_equal(found.times, expected.times)
