"""The frame kernel on a GPU: bytes checked against the CPU, share of the memory bandwidth (see run.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common import ROOT
from vhash_sdk.gpu.cuda import DeviceArray, DeviceBuffer, Stream, download, upload
from vhash_sdk.spec import Resize
from vhash_sdk.video.device_frames import DevicePlanes, DeviceScaler, PlaneFormat
from vhash_sdk.video.resize import Planes, planes_to_rgb

Case = tuple[str, Callable[[], dict[str, Any]]]


def on_device(array: np.ndarray, stream: Stream) -> DeviceArray:
    """A copy in device memory."""
    copy = DeviceBuffer(array.nbytes).array(array.shape, array.dtype)
    upload(copy, np.ascontiguousarray(array), stream.handle)
    return copy


def on_host(array: DeviceArray, stream: Stream) -> np.ndarray:
    """A copy in host memory, when the stream is done."""
    copy: np.ndarray = np.empty(array.shape, array.dtype)
    download(copy, array, stream.handle)
    stream.synchronize()
    return copy


def scaled(
    y: np.ndarray, uv: np.ndarray, format: PlaneFormat, resize: Resize, *, direct: bool = False
) -> np.ndarray:
    """One picture by the GPU's kernel."""
    stream = Stream()
    luma, chroma = on_device(y, stream), on_device(uv, stream)
    size = format.output(resize)
    out = DeviceBuffer(size[0] * size[1] * 3).array((*size, 3), np.uint8)
    planes = DevicePlanes(luma.pointer, chroma.pointer, 0, (y.shape[1], uv.shape[1], 0))
    DeviceScaler(0).planes_to_rgb(
        [(planes, out.pointer)], format, resize, stream=stream.handle, direct=direct
    )
    return on_host(out, stream)


def check_planes(height: int, width: int, *, rotation: int = 0, direct: bool = False) -> int:
    """Random planes through every kind of resize; returns how many were compared, all equal."""
    rng, compared = np.random.default_rng(height), 0
    y = rng.integers(0, 256, (height, width), np.uint8)
    uv = rng.integers(0, 256, ((height + 1) // 2, (width + 1) // 2 * 2), np.uint8)
    format = PlaneFormat(height, width, "bt601", False, rotation)
    for resize in (
        Resize("exact", 24, 32),
        Resize("exact", 40, 32, filter="bilinear"),
        Resize("short_side", 20, 20, crop=(16, 16)),
    ):
        expected = planes_to_rgb(Planes(y, uv=uv, rotation=rotation), resize)
        assert np.array_equal(scaled(y, uv, format, resize, direct=direct), expected), (height, width, resize)
        compared += 1
    return compared


def frames(dry: bool) -> Iterator[Case]:
    """Equality on random planes and on the sample clips, then bandwidth."""

    def random_planes() -> dict[str, Any]:
        sizes = [(24, 32)] if dry else [(240, 320), (720, 1280), (1080, 1920), (33, 51)]
        count = sum(check_planes(*size, rotation=r) for size in sizes for r in (0, 90, 180, 270))
        return {"passed": True, "compared": count}

    yield "random planes equal the CPU's", random_planes
    yield "sample clips equal the CPU's", lambda: sample_clips(dry)
    sizes = [(24, 32)] if dry else [(240, 320), (360, 640), (720, 1280), (1080, 1920)]
    for height, width in sizes:
        yield f"{width}×{height} → 224×224", lambda h=height, w=width: bandwidth(h, w, dry)  # type: ignore[misc]


def sample_clips(dry: bool) -> dict[str, Any]:
    """Every decoded picture of the sample clips."""
    import av

    compared = 0
    for path in sorted((ROOT / "sdk/vhash_sdk/samples").glob("*.mp4"))[: 1 if dry else None]:
        with av.open(str(path)) as container:
            for i, frame in enumerate(container.decode(video=0)):
                if i % (60 if dry else 5):
                    continue
                y, u, v = (
                    np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width] for p in frame.planes
                )
                uv = np.stack([u, v], axis=-1).reshape(u.shape[0], -1)
                resize = Resize("exact", 24, 24) if dry else Resize("exact", 224, 224)
                format = PlaneFormat(frame.height, frame.width, "bt601", False, 0)
                assert np.array_equal(
                    scaled(y, uv, format, resize), planes_to_rgb(Planes(y, u=u, v=v), resize)
                ), path
                compared += 1
    return {"passed": compared > 0, "pictures": compared}


def bandwidth(height: int, width: int, dry: bool) -> dict[str, Any]:
    """Bytes of planes and RGB a second, against a copy of as much memory."""
    count, rounds = (2, 1) if dry else (max(96, (1 << 29) // (height * width * 3 // 2) // 48 * 48), 20)
    stream, scaler = Stream(), DeviceScaler(0)
    size = height * width * 3 // 2
    planes = on_device(np.random.default_rng(0).integers(0, 256, count * size, np.uint8), stream)
    resize = Resize("exact", 24, 24) if dry else Resize("exact", 224, 224)
    of_output = resize.output[0] * resize.output[1] * 3
    out = DeviceBuffer(count * of_output).array((count * of_output,), np.uint8)
    format = PlaneFormat(height, width, "bt601", False, 0)
    pictures = []
    for i in range(count):
        y = planes.pointer + i * size
        pictures.append(
            (DevicePlanes(y, y + height * width, 0, (width, width, 0)), out.pointer + i * of_output)
        )
    seconds = []
    for _ in range(rounds + 1):
        stream.synchronize()
        start = time.perf_counter()
        scaler.planes_to_rgb(pictures, format, resize, stream=stream.handle)
        stream.synchronize()
        seconds.append(time.perf_counter() - start)
    best, moved = min(seconds[-rounds:]), count * (size + of_output)
    copied = copy_bandwidth(dry)
    return {
        "pictures": count, "us_a_picture": 1e6 * best / count, "bytes_a_second": moved / best,
        "copy_bytes_a_second": copied, "share_of_copy": moved / best / copied if copied else None,
    }  # fmt: skip


def copy_bandwidth(dry: bool) -> float | None:
    """Bytes read and written a second by a copy in device memory, as torch does it."""
    try:
        import torch
    except ImportError:
        return None
    place = "cuda" if torch.cuda.is_available() else "cpu"
    source = torch.empty(1 << (20 if dry else 30), dtype=torch.uint8, device=place)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(3 if dry else 20):
        if place == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        target.copy_(source)
        if place == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * source.numel() / best
