"""The frame kernel for GPUs gives the CPU's bytes: on the emulator, and on a GPU where there is one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.cuda_emulator.fixture import any_order, compiled, emulated
from vhash_sdk.errors import OptionError
from vhash_sdk.spec import Resize
from vhash_sdk.video.device_frames import DevicePlanes, DeviceScaler, PlaneFormat
from vhash_sdk.video.resize import Planes, planes_to_rgb
from vhash_sdk.video.tone import tone, tone_mapped

__all__ = ["any_order", "compiled", "emulated"]
RESIZES = [
    Resize("exact", 24, 32),
    Resize("exact", 24, 32, filter="bilinear"),
    Resize("short_side", 20, 20, crop=(16, 16)),
    Resize("exact", 70, 100),
]
SIZES = [(48, 64), (33, 51), (9, 130), (120, 40)]


def pictures(format: PlaneFormat, count: int, *, interleaved: bool, padding: int) -> list[dict[str, Any]]:
    """Planes with rows a little apart, as decoders leave them."""
    rng = np.random.default_rng(format.height * 1000 + format.width)
    height, width = (format.height + 1) // 2, (format.width + 1) // 2
    found = []
    for _ in range(count):
        y = rng.integers(0, 256, (format.height, format.width + padding), np.uint8)
        if interleaved:
            planes = {"uv": rng.integers(0, 256, (height, 2 * width + padding), np.uint8)[:, : 2 * width]}
        else:
            planes = {n: rng.integers(0, 256, (height, width + padding), np.uint8)[:, :width] for n in "uv"}
        found.append({"y": y[:, : format.width], **planes})
    return found


def assert_same(format: PlaneFormat, resize: Resize, **options: Any) -> None:
    interleaved, direct = options.pop("interleaved", True), options.pop("direct", False)
    made = pictures(format, 3, interleaved=interleaved, **options)
    colour = {"matrix": format.matrix, "full_range": format.full_range}
    colour |= {"rotation": format.rotation, "mirrored": format.mirrored}
    expected = np.stack([planes_to_rgb(Planes(**planes, **colour), resize) for planes in made])
    found = np.full_like(expected, 77)
    batch = []
    for planes, out in zip(made, found, strict=True):
        chroma = planes["uv" if interleaved else "u"]
        v = 0 if interleaved else planes["v"].ctypes.data
        strides = (planes["y"].strides[0], chroma.strides[0], 0 if interleaved else planes["v"].strides[0])
        batch.append((DevicePlanes(planes["y"].ctypes.data, chroma.ctypes.data, v, strides), out.ctypes.data))
    DeviceScaler(0).planes_to_rgb(batch, format, resize, stream=0, direct=direct)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("resize", RESIZES, ids=str)
@pytest.mark.parametrize("padding", [0, 3])
def test_sizes_filters_and_crops(
    any_order: ModuleType, size: tuple[int, int], resize: Resize, padding: int
) -> None:
    format = PlaneFormat(*size, "bt601", full_range=False, rotation=0)
    assert_same(format, resize, padding=padding)
    assert_same(format, resize, padding=padding, interleaved=False)
    assert_same(format, resize, padding=padding, direct=True)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_colours_and_orientations(
    emulated: ModuleType, matrix: Any, full_range: bool, rotation: int, mirrored: bool
) -> None:
    format = PlaneFormat(34, 48, matrix, full_range, rotation, mirrored)
    for direct in (False, True):
        assert_same(format, Resize("exact", 20, 12), padding=8, direct=direct)
        assert_same(format, Resize("short_side", 16, 16, crop=(16, 11)), padding=0, interleaved=False)


@pytest.mark.parametrize("width", [4096, 9000, 20_000])
def test_wide_pictures_are_made_in_parts_or_directly(emulated: ModuleType, width: int) -> None:
    format = PlaneFormat(4, width, "bt601", full_range=False, rotation=0)
    for columns in (7, 2):  # of 20,000 cells, a single one needs more sums than a block has
        assert_same(format, Resize("exact", 2, columns), padding=4)


def test_many_pictures_in_one_call(emulated: ModuleType) -> None:
    format, resize = PlaneFormat(16, 16, "bt601", full_range=False, rotation=0), Resize("exact", 4, 4)
    planes = pictures(format, 1, interleaved=True, padding=0)[0]
    expected, found = planes_to_rgb(Planes(**planes), resize), np.zeros((100, 4, 4, 3), np.uint8)
    strides = (planes["y"].strides[0], planes["uv"].strides[0], 0)
    one = DevicePlanes(planes["y"].ctypes.data, planes["uv"].ctypes.data, 0, strides)
    DeviceScaler(0).planes_to_rgb([(one, out.ctypes.data) for out in found], format, resize, stream=0)
    assert (found == expected).all()


def test_thinned_frames(emulated: ModuleType) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 9, 14, 3), np.uint8)
    out = np.zeros((3, 3, 4, 3), np.uint8)
    DeviceScaler(0).thin(frames.ctypes.data, 3, (9, 14), 4, out.ctypes.data, stream=0)
    np.testing.assert_array_equal(out, frames[:, ::4, ::4])


@pytest.mark.parametrize("size", [(48, 64), (33, 51), (1, 1), (2, 9)], ids=str)
@pytest.mark.parametrize("curve", ["pq", "hlg"])
@pytest.mark.parametrize("bits", [10, 12])
def test_tone_map_is_that_of_the_cpu(
    any_order: ModuleType, size: tuple[int, int], curve: Any, bits: int
) -> None:
    rng, (height, width) = np.random.default_rng(6), size
    coarse = ((height + 1) // 2, (width + 1) // 2)
    y = rng.integers(0, 1 << bits, (height, width + 5)).astype(np.uint16)
    uv = rng.integers(0, 1 << bits, (coarse[0], coarse[1] + 3, 2)).astype(np.uint16)
    luma, u, v = y[:, :width], uv[:, : coarse[1], 0], uv[:, : coarse[1], 1]
    colour = {"matrix": "bt709", "full_range": False, "rotation": 0}
    hdr = (curve, "bt2020", "bt2020")
    expected = tone_mapped(hdr, [luma, u, v], bits, colour)  # type: ignore[arg-type]
    y, uv = y << (16 - bits), uv << (16 - bits)  # P016 has them at the top
    out = np.zeros(height * width + 2 * coarse[0] * coarse[1], np.uint8)
    planes = DevicePlanes(y.ctypes.data, uv.ctypes.data, 0, (y.strides[0], uv.strides[0], 0))
    scaler, chosen = DeviceScaler(0), tone(*hdr, bits, False)  # type: ignore[arg-type]
    for _ in range(2):  # the second one finds its tables on the device
        made = scaler.tone_map(planes, size, chosen, bits, out.ctypes.data, stream=0)
        assert (made.y, made.strides) == (out.ctypes.data, (width, 2 * coarse[1], 0))
        np.testing.assert_array_equal(out[: height * width].reshape(size), expected.y)
        pairs = out[height * width :].reshape(*coarse, 2)
        np.testing.assert_array_equal(pairs[..., 0], expected.u)
        np.testing.assert_array_equal(pairs[..., 1], expected.v)
        out[:] = 0


def test_bad_arguments(emulated: ModuleType) -> None:
    scaler = DeviceScaler(0)
    with pytest.raises(OptionError, match="1048576"):
        scaler.planes_to_rgb([], PlaneFormat(0, 9, "bt601", False, 0), RESIZES[0], stream=0)
    nothing = (DevicePlanes(0, 0, 0, (9, 9, 0)), 0)
    with pytest.raises(OptionError, match="null"):
        scaler.planes_to_rgb([nothing], PlaneFormat(8, 8, "bt601", False, 0), RESIZES[0], stream=0)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (33, 51)], ids=str)
@pytest.mark.parametrize("resize", [*RESIZES, Resize("exact", 224, 224)], ids=str)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_gpu_equals_cpu(size: tuple[int, int], resize: Resize, rotation: int, mirrored: bool) -> None:
    from vhash_sdk.gpu.cuda import DeviceBuffer, Stream, download, upload

    format = PlaneFormat(*size, "bt709", full_range=False, rotation=rotation, mirrored=mirrored)
    planes = {
        name: np.ascontiguousarray(p)
        for name, p in pictures(format, 1, interleaved=True, padding=0)[0].items()
    }
    expected = planes_to_rgb(Planes(**planes, matrix="bt709", rotation=rotation, mirrored=mirrored), resize)
    stream, arrays = Stream(), {n: DeviceBuffer(p.nbytes).array(p.shape, np.uint8) for n, p in planes.items()}
    for name, array in arrays.items():
        upload(array, planes[name], stream.handle)
    strides = (planes["y"].strides[0], planes["uv"].strides[0], 0)
    one = DevicePlanes(arrays["y"].pointer, arrays["uv"].pointer, 0, strides)
    for direct in (False, True):
        out, found = DeviceBuffer(expected.nbytes).array(expected.shape, np.uint8), np.zeros_like(expected)
        DeviceScaler(0).planes_to_rgb(
            [(one, out.pointer)], format, resize, stream=stream.handle, direct=direct
        )
        download(found, out, stream.handle)
        stream.synchronize()
        np.testing.assert_array_equal(found, expected)
