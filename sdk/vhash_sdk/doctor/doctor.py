"""What works on this machine, found out by trying it.

Lists of providers lie: ONNX Runtime names providers that cannot run and falls back without a word.
So each one runs a tiny network here, in a process of its own, since some crash rather than raise.
"""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal, get_args

from ..codes import VideoCode
from ..errors import MissingDependencyError, VhashError
from ..gpu import probe
from ..runtime.onnx import usable_cores
from ..runtime.trt_library import Flavour
from ..system.extras import Extra, pip_install
from . import references
from .trials import in_process

Status = Literal["ok", "warning", "absent", "failed"]

_ORT_WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
_VERSIONS = ("numpy", "av", *_ORT_WHEELS, "openvino", "tensorrt-cu13", "tensorrt-rtx", "PyNvVideoCodec")
_AGAIN = pip_install(again=True)
_REQUIRED = {"numpy": "vhash-sdk", "av": "vhash-sdk"}


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        section: ``machine``, ``packages``, ``engine``, ``backends``, ``gpu`` or ``models``.
        name: what was looked at.
        status: ``ok``; ``warning``: it works, but not as well as it could; ``absent``: optional and not
            here; ``failed``: needed and broken.
        detail: what was found.
        remedy: what to do about it; empty where nothing is needed.
    """

    section: str
    name: str
    status: Status
    detail: str
    remedy: str = ""


def diagnose() -> Iterator[Check]:
    """Look at everything that decides whether and how fast vhash runs here.

    >>> any(check.name == "python" for check in diagnose())
    True
    """
    for look in (_machine, _packages, _engine, _backends, _gpu, _models):
        try:
            yield from look()
        except Exception as error:  # a doctor reports, whatever it meets
            yield Check(look.__name__.strip("_"), "check", "failed", f"{type(error).__name__}: {error}")


def _machine() -> Iterator[Check]:
    yield Check("machine", "python", "ok", f"{platform.python_version()} on {platform.platform()}")
    cores, total = usable_cores(), os.cpu_count()
    yield Check("machine", "cpu", "ok", f"{_cpu_name()}, {cores} of {total} cores usable")


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _packages() -> Iterator[Check]:
    from .. import __version__
    from ..system.commit import commit

    known = commit()
    yield Check("packages", "vhash-sdk", "ok", __version__ + (f", commit {known}" if known else ""))
    versions = {name: _version(name) for name in _VERSIONS}
    for name, version in versions.items():
        if version is not None:
            yield Check("packages", name, "ok", version)
        elif name in _REQUIRED:
            yield Check("packages", name, "failed", "not installed", f"pip install {_REQUIRED[name]}")
    if versions["av"] is not None:
        yield _ffmpeg()
        yield _sound()
    wheels = [name for name in _ORT_WHEELS if versions[name] is not None]
    if len(wheels) > 1:
        best = "onnxruntime-gpu" if "onnxruntime-gpu" in wheels else wheels[-1]
        yield Check(
            "packages",
            "onnxruntime wheels",
            "warning",
            f"{' and '.join(wheels)} overwrite each other's files; which one runs is chance",
            f"pip uninstall -y {' '.join(wheels)} && pip install --force-reinstall {best}",
        )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _ffmpeg() -> Check:
    try:
        import av
    except ImportError as error:
        return Check(
            "packages", "ffmpeg", "failed", f"av does not load: {error}", "pip install --force-reinstall av"
        )
    codecs = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4") if name in av.codecs_available]
    libav = ".".join(map(str, av.library_versions["libavcodec"]))
    return Check("packages", "ffmpeg", "ok", f"libavcodec {libav}, decodes {', '.join(codecs)} and more")


def _sound() -> Check:
    from ..video.sound import check_sound

    try:
        check_sound()
    except MissingDependencyError as error:
        what, _, remedy = str(error).partition(": ")
        return Check("packages", "sound", "absent", what, remedy)
    return Check("packages", "sound", "ok", f"Chromaprint, by pyacoustid {_version('pyacoustid')}")


def _engine() -> Iterator[Check]:
    try:
        core = importlib.import_module("vhash_sdk._core")
    except ImportError as error:
        remedy = f"{_AGAIN}, or from a clone: pip install ."
        yield Check("engine", "_core", "failed", f"the C++ engine does not load: {error}", remedy)
        return
    level, levels = core.simd_level(), list(core.simd_levels())
    yield Check("engine", "simd", "ok", f"{level} in use; this CPU has {', '.join(levels)}")


def _backends() -> Iterator[Check]:
    try:
        ort = importlib.import_module("onnxruntime")
        providers = list(ort.get_available_providers())
    except (ImportError, AttributeError) as error:  # two clashing wheels leave a module without contents
        yield Check(
            "backends",
            "onnxruntime",
            "failed",
            str(error),
            f"{pip_install('cpu')}, or for an NVIDIA GPU {pip_install('gpu')}",
        )
        return
    with ThreadPoolExecutor(2) as pool:
        for provider, answer in zip(
            providers, pool.map(lambda p: in_process("provider", p), providers), strict=True
        ):
            status: Status = "ok" if answer == "ok" else "absent"
            remedy = ""
            if answer != "ok" and provider == "CPUExecutionProvider":
                status, remedy = "failed", "pip install --force-reinstall onnxruntime"
            elif answer != "ok" and provider == "CUDAExecutionProvider" and probe.cuda_devices():
                status, remedy = "warning", f"{pip_install('gpu')} brings CUDA's and cuDNN's libraries"
            detail = "runs" if answer == "ok" else f"listed, but does not run here: {answer}"
            yield Check("backends", provider, status, detail, remedy)
    if _version("openvino") is None:
        yield Check("backends", "openvino", "absent", "not installed", pip_install("openvino"))
    else:
        answer = in_process("openvino", "")
        yield Check("backends", "openvino", "ok" if answer.startswith("runs") else "warning", answer)
    yield from map(_tensorrt, get_args(Flavour))


def _tensorrt(flavour: Flavour) -> Check:
    """Whether an engine can be built, and run, with one flavour of TensorRT."""
    name = "tensorrt" if flavour == "tensorrt" else "tensorrt_rtx"
    extra: Extra = "trt" if flavour == "tensorrt" else "rtx"
    if util.find_spec(name) is None:
        return Check("backends", name, "absent", "not installed", pip_install(extra))
    answer = in_process("tensorrt", flavour)
    if answer.startswith("runs"):
        return Check("backends", name, "ok", answer)
    if not probe.cuda_devices():
        return Check("backends", name, "absent", f"{answer}; no NVIDIA driver, so it runs nothing here")
    return Check("backends", name, "warning", answer, pip_install(extra, again=True))


def _gpu() -> Iterator[Check]:
    devices = probe.cuda_devices()
    if not devices:
        yield Check("gpu", "cuda", "absent", "no NVIDIA driver or no device; everything runs on the CPU")
        return
    yield Check("gpu", "cuda", "ok", f"{devices} device(s)")
    answer = in_process("nvdec", "")
    works = answer.startswith("decodes")
    remedy = "" if works else "in a container: NVIDIA_DRIVER_CAPABILITIES must contain video"
    yield Check("gpu", "nvdec", "ok" if works else "warning", answer, remedy)


def _models() -> Iterator[Check]:
    from ..models import zoo

    if not zoo.names():
        yield Check(
            "models",
            "bundled",
            "failed",
            f"no models in {zoo.FOLDER}",
            _AGAIN,
        )
    known = references.known()
    for path in sorted(zoo.FOLDER.glob("*.onnx")):
        yield _model(path, known)


def _model(path: Path, known: dict[str, str]) -> Check:
    precision = "int8" if path.name.endswith(".int8.onnx") else "fp32"
    try:
        code, runs_in = references.code_of_synthetic_clip(path)
    except VhashError as error:
        return Check("models", path.name, "failed", str(error), _AGAIN)
    if code.fingerprint not in known:
        remedy = "from a clone: python -m vhash_sdk.doctor"
        return Check("models", path.name, "warning", f"loads; no reference for its code {code.text}", remedy)
    distance = code - VideoCode.from_text(known[code.fingerprint])
    detail = f"loads; {distance} of {code.bits} bits from the reference code of a synthetic clip"
    # quantised arithmetic differs a little between CPUs; float32 only in the order of its sums
    allowed = code.bits // (16 if precision == "int8" else 64)
    if distance > allowed:
        return Check(
            "models",
            path.name,
            "failed",
            f"{detail}, at most {allowed} expected",
            _AGAIN,
        )
    if runs_in != precision:
        return Check(
            "models", path.name, "warning", f"{detail}; says that it is {runs_in}", "export it again"
        )
    return Check("models", path.name, "ok", detail)
