"""NVDEC against PyAV, and the resident pipeline from file to neighbours (see run.py)."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, summary
from vhash_sdk import Encoder, Index
from vhash_sdk.errors import BackendError, MissingDependencyError, OptionError
from vhash_sdk.gpu.cuda import DeviceArray, Stream, download
from vhash_sdk.video import PyavDecoder
from vhash_sdk.video.nvdec import NvdecDecoder

Case = tuple[str, Callable[[], dict[str, Any]]]
SAMPLES = sorted((ROOT / "sdk/vhash_sdk/samples").glob("*.mp4"))
ASKED = 15e-3  # seconds, file to neighbours, on an H100


def library() -> dict[str, Any]:
    """Whether the driver has its video library and what the chip decodes."""
    from vhash_sdk.gpu.probe import nvdec_codecs

    try:
        ctypes.CDLL("libnvcuvid.so.1")
    except OSError as error:
        return {"libnvcuvid": False, "reason": str(error)}
    return {"libnvcuvid": True, "codecs": list(nvdec_codecs())}


def nvdec(dry: bool) -> Iterator[Case]:
    """What is there; planes of the sample clips bit for bit; latencies."""
    yield "library", library
    yield "frames of the sample clips", lambda: same_frames(dry)
    for backend in ("tensorrt", "onnxruntime"):
        yield f"file to neighbours, {backend}", lambda b=backend: file_to_neighbours(b, dry)  # type: ignore[misc]


def same_frames(dry: bool) -> dict[str, Any]:
    """Every sample clip by both decoders: equal bytes, and how long each takes."""
    with Encoder(device="cpu") as encoder:
        sampling, resize = encoder.spec.sampling, encoder.spec.resize
    try:
        decoder = NvdecDecoder()
    except (BackendError, MissingDependencyError) as error:
        return {"absent": str(error)}
    seconds: dict[str, list[float]] = {"nvdec": [], "pyav": []}
    on_device = 0
    for path in SAMPLES * (1 if dry else 5):
        clips = []
        for name, one in (("nvdec", decoder), ("pyav", PyavDecoder())):
            start = time.perf_counter()
            with one.open(path) as reader:  # type: ignore[attr-defined]
                clips.append(reader.sample(sampling, resize))
            seconds[name].append(time.perf_counter() - start)
        frames: Any = clips[0].frames
        if isinstance(frames, DeviceArray):
            on_device += 1
            host, stream = np.empty(frames.shape, np.uint8), Stream()
            download(host, frames, stream.handle)
            stream.synchronize()
            frames = host
        assert np.array_equal(frames, clips[1].frames), path.name
    return {
        "passed": on_device > 0,
        "clips": len(SAMPLES),
        "by_nvdec": on_device,
        **{n: summary(s) for n, s in seconds.items()},
    }


def file_to_neighbours(backend: str, dry: bool) -> dict[str, Any]:
    """One file after the other: stages and the whole; then many at once."""
    rounds = 1 if dry else 20
    try:
        made = Encoder(device="cuda:0", backend=backend)  # type: ignore[arg-type]
    except (BackendError, MissingDependencyError, OptionError) as error:
        return {"absent": str(error)}
    with made as encoder:
        resident, spec = encoder._resident, encoder.spec
        index = Index(spec.bits)
        index.add(
            np.random.default_rng(0).integers(0, 256, (100_000 if not dry else 500, spec.bits // 8), np.uint8)
        )
        copied = index.to("cuda")
        seconds: dict[str, list[float]] = {"decode and frames": [], "network and search": [], "all": []}
        for path in SAMPLES * rounds if resident else ():
            start = time.perf_counter()
            clip = resident.decode(path, spec.sampling, spec.resize)  # type: ignore[union-attr]
            middle = time.perf_counter()
            resident.nearest([clip], copied, 10)  # type: ignore[union-attr]
            end = time.perf_counter()
            for name, value in zip(seconds, (middle - start, end - middle, end - start), strict=True):
                seconds[name].append(value)
        files: list[Path] = SAMPLES * (5 * rounds)
        start = time.perf_counter()
        codes = [one.code for one in encoder.encode_many(files)]
        throughput = len(files) / (time.perf_counter() - start)
        info = encoder.info()
    found = {name: summary(values) for name, values in seconds.items() if values}
    return {
        "info": {k: info[k] for k in ("backend", "device", "precision", "decoder", "frames")},
        "stages": found, "files_a_second": throughput, "passed": all(code is not None for code in codes),
        **({"asked": ASKED, "reached": found["all"]["p50"] <= ASKED} if found else {}),
    }  # fmt: skip
