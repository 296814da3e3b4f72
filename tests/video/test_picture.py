"""Every pixel format of FFmpeg that videos come in, against the planes written out by hand."""

from __future__ import annotations

import av
import numpy as np
import pytest

from vhash_sdk.spec import Resize
from vhash_sdk.video.picture import render
from vhash_sdk.video.resize import Planes, planes_to_rgb, rgb_to_rgb

H, W = 38, 54
SIZE = Resize("exact", H, W)


def made(name: str, height: int = H, width: int = W) -> tuple[av.VideoFrame, list[np.ndarray]]:
    """A frame of random samples, and its planes without padding."""
    frame = av.VideoFrame(width, height, name)
    component = frame.format.components[0]
    rng = np.random.default_rng(5)
    deep = component.bits > 8
    planes = []
    for plane in frame.planes:
        dtype = np.dtype("<u2" if deep else "u1")
        full = rng.integers(0, 1 << component.bits, plane.buffer_size // dtype.itemsize).astype(dtype)
        plane.update(full.tobytes())
        planes.append(full.reshape(plane.height, -1))
    return frame, planes


def rendered(frame: av.VideoFrame, resize: Resize = SIZE) -> np.ndarray:
    out = np.empty((*resize.output, 3), np.uint8)
    render(frame, resize, out)
    return out


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p", "yuv440p", "yuv444p", "yuva420p"])
def test_planar_of_8_bits(name: str) -> None:
    frame, (y, u, v, *_) = made(name)
    rows, columns = frame.planes[1].height, frame.planes[1].width
    planes = Planes(y[:, :W], u=u[:rows, :columns], v=v[:rows, :columns], full_range="j" in name)
    assert np.array_equal(rendered(frame), planes_to_rgb(planes, SIZE))


@pytest.mark.parametrize("name", ["yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p9le", "yuv444p16le"])
def test_deep_planes_are_rounded(name: str) -> None:
    frame, (y, u, v) = made(name)
    bits, columns = frame.format.components[0].bits, frame.planes[1].width

    def rounded(plane: np.ndarray) -> np.ndarray:
        return np.minimum(np.floor(plane / 2 ** (bits - 8) + 0.5), 255).astype(np.uint8)

    planes = Planes(rounded(y[:, :W]), u=rounded(u[:, :columns]), v=rounded(v[:, :columns]))
    assert np.array_equal(rendered(frame), planes_to_rgb(planes, SIZE))


def test_nv12_and_grey() -> None:
    frame, (y, uv) = made("nv12")
    planes = Planes(y[:, :W], uv=uv[:, :W])
    assert np.array_equal(rendered(frame), planes_to_rgb(planes, SIZE))
    frame, (y,) = made("gray")
    grey = np.full((H // 2, W // 2), 128, np.uint8)
    assert np.array_equal(rendered(frame), planes_to_rgb(Planes(y[:, :W], u=grey, v=grey), SIZE))


@pytest.mark.parametrize(("name", "order"), [("rgb24", [0, 1, 2]), ("bgr24", [2, 1, 0]), ("bgra", [2, 1, 0])])
def test_rgb_is_taken_as_it_is(name: str, order: list[int]) -> None:
    frame, (packed,) = made(name)
    channels = 4 if name == "bgra" else 3
    pixels = packed[:, : W * channels].reshape(H, W, channels)[..., order]
    assert np.array_equal(rendered(frame), rgb_to_rgb(np.ascontiguousarray(pixels), SIZE))


def test_packed_yuv_keeps_luma() -> None:
    """4:2:2 packed goes through swscale; with constant chroma the result is known."""
    frame, (packed,) = made("yuyv422")
    packed[:, 1::2] = 128
    frame.planes[0].update(packed.tobytes())
    grey = np.full((H, W), 128, np.uint8)
    luma = np.ascontiguousarray(packed[:, 0 : 2 * W : 2])
    assert np.array_equal(rendered(frame), planes_to_rgb(Planes(luma, u=grey, v=grey), SIZE))


@pytest.mark.parametrize("space", [0, 1, 2, 4, 5, 6, 9])
@pytest.mark.parametrize("height", [576, 578])
def test_matrix(space: int, height: int) -> None:
    frame, (y, u, v) = made("yuv420p", height, 64)
    frame.colorspace = space
    matrix = {1: "bt709", 9: "bt709", 4: "bt601", 5: "bt601", 6: "bt601"}.get(
        space, "bt709" if height > 576 else "bt601"
    )
    columns = frame.planes[1].width
    planes = Planes(y[:, :64], u=u[:, :columns], v=v[:, :columns], matrix=matrix)  # type: ignore[arg-type]
    assert np.array_equal(rendered(frame), planes_to_rgb(planes, SIZE))


def test_range() -> None:
    frame, (y, u, v) = made("yuv420p")
    frame.color_range = 2
    columns = frame.planes[1].width
    planes = Planes(y[:, :W], u=u[:, :columns], v=v[:, :columns], full_range=True)
    assert np.array_equal(rendered(frame), planes_to_rgb(planes, SIZE))
