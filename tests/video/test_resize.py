"""The resize against a slow numpy version, written from the definition in csrc/frames/frames.hpp."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vhash_sdk import _core
from vhash_sdk.errors import OptionError
from vhash_sdk.spec import Resize
from vhash_sdk.video.resize import Planes, planes_to_rgb, rgb_to_rgb

COLOUR = {  # cy, rv, gu, gv, bu
    ("bt601", False): (9539, 13075, -3209, -6660, 16525),
    ("bt601", True): (8192, 11485, -2819, -5850, 14516),
    ("bt709", False): (9539, 14686, -1747, -4366, 17305),
    ("bt709", True): (8192, 12901, -1535, -3835, 15201),
}


# ----- the slow, obvious version ---------------------------------------------------------------


def weights(S: int, s: int, D: int, filter: str, i: int) -> dict[int, int]:
    """Step 1 for output i: cell -> weight."""
    n = -(-S // s)
    if filter == "area" and s * D < S:
        share = [(2**15 * min(max(j * s * D - i * S, 0), S) + S) // (2 * S) for j in range(n + 1)]
        return {j: share[j + 1] - share[j] for j in range(n)}
    a, b = (2 * i + 1) * S - s * D, 2 * s * D
    j, f = divmod(a, b)
    w = (2**15 * f + b) // (2 * b)
    found: dict[int, int] = {}
    for cell, weight in ((j, 2**14 - w), (j + 1, w)):
        cell = min(max(cell, 0), n - 1)
        found[cell] = found.get(cell, 0) + weight
    return found


def matrix_of(S: int, s: int, D: int, filter: str, start: int, count: int) -> np.ndarray:
    """Weights int64[count, cells] of outputs start to start + count."""
    out = np.zeros((count, -(-S // s)), np.int64)
    for k in range(count):
        for cell, weight in weights(S, s, D, filter, start + k).items():
            out[k, cell] = weight
    return out


def scale(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Step 2 for one plane."""
    m = (product(rows, plane) + 2**6) >> 7
    q = (product(m, columns.T) + 2**13) >> 14
    assert q.min() >= 0 and q.max() <= 255 * 2**7
    return q


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product of integers: float64 holds sums below 2^53 exactly, and numpy is fast at it."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def window(
    resize: Resize, height: int, width: int, rotation: int, mirror: bool = False
) -> tuple[tuple[int, int, int], ...]:
    """Step 4: (scaled, start, count) for the rows and for the columns of the stored frame."""
    shown = (width, height) if rotation in (90, 270) else (height, width)
    scaled = resize.scaled(*shown)
    axes = [(D, (D - n) // 2, n) for D, n in zip(scaled, resize.crop or scaled, strict=True)]
    if mirror:
        D, start, n = axes[1]
        axes[1] = (D, D - start - n, n)
    mirrored = [(D, D - start - n, n) for D, start, n in axes]
    return {
        0: (axes[0], axes[1]),
        90: (mirrored[1], axes[0]),
        180: (mirrored[0], mirrored[1]),
        270: (axes[1], mirrored[0]),
    }[rotation]


def reference_planes(planes: Planes, resize: Resize) -> np.ndarray:
    height, width = planes.y.shape
    if planes.u is None:
        u, v = planes.uv[:, 0::2], planes.uv[:, 1::2]
    else:
        u, v = planes.u, planes.v
    rows, columns = window(resize, height, width, planes.rotation, planes.mirrored)
    steps = [1 if full == part else 2 for full, part in zip((height, width), u.shape, strict=True)]
    luma = [matrix_of(S, 1, *w[:1], resize.filter, *w[1:]) for S, w in ((height, rows), (width, columns))]
    chroma = [
        matrix_of(S, s, *w[:1], resize.filter, *w[1:])
        for S, s, w in ((height, steps[0], rows), (width, steps[1], columns))
    ]
    Y, U, V = scale(planes.y, *luma), scale(u, *chroma), scale(v, *chroma)
    cy, rv, gu, gv, bu = COLOUR[planes.matrix, planes.full_range]
    black = 0 if planes.full_range else 16 * 2**7
    rgb = [
        (cy * Y + ku * U + kv * V - (cy * black + (ku + kv) * 2**14) + 2**19) >> 20
        for ku, kv in ((0, rv), (gu, gv), (bu, 0))
    ]
    stored = np.stack(rgb, axis=-1).clip(0, 255).astype(np.uint8)
    shown = np.rot90(stored, -planes.rotation // 90)
    return shown[:, ::-1] if planes.mirrored else shown


def reference_rgb(frame: np.ndarray, resize: Resize) -> np.ndarray:
    rows, columns = window(resize, *frame.shape[:2], 0)
    pair = [
        matrix_of(S, 1, *w[:1], resize.filter, *w[1:])
        for S, w in zip(frame.shape[:2], (rows, columns), strict=True)
    ]
    return np.stack([(scale(frame[..., c], *pair) + 64) >> 7 for c in range(3)], axis=-1).astype(np.uint8)


# ----- bit for bit -----------------------------------------------------------------------------


def every_level() -> Iterator[str]:
    """Each SIMD level of this CPU, forced while its turn lasts."""
    usual = _core.simd_level()
    try:
        for level in _core.simd_levels():
            _core.set_simd_level(level)
            yield level
    finally:
        _core.set_simd_level(usual)


sides = st.one_of(st.integers(1, 9), st.integers(1, 90), st.integers(1, 700))
filters = st.sampled_from(["area", "bilinear"])


@st.composite
def resizes(draw: st.DrawFn) -> Resize:
    rule = draw(st.sampled_from(["exact", "short_side"]))
    height = draw(st.one_of(st.integers(1, 9), st.integers(1, 80)))
    width = draw(st.one_of(st.integers(1, 9), st.integers(1, 80))) if rule == "exact" else height
    crop = (draw(st.integers(1, height)), draw(st.integers(1, width))) if draw(st.booleans()) else None
    return Resize(rule, height, width, crop, draw(filters))


@st.composite
def pictures(draw: st.DrawFn) -> Planes:
    height, width = draw(sides), draw(sides)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    full_rows, full_columns = draw(st.sampled_from([(0, 0)] * 4 + [(1, 0), (0, 1), (1, 1)]))
    size = (height if full_rows else (height + 1) // 2, width if full_columns else (width + 1) // 2)
    padding = draw(st.integers(0, 40))
    extreme = draw(st.booleans())

    def plane(rows: int, row_bytes: int) -> np.ndarray:
        values = random.integers(0, 256, (rows, row_bytes + padding), np.uint8)
        if extreme:
            values = np.where(values < 128, 0, 255).astype(np.uint8)
        values.setflags(write=False)
        return values[:, :row_bytes]

    options = {
        "matrix": draw(st.sampled_from(["bt601", "bt709"])),
        "full_range": draw(st.booleans()),
        "rotation": draw(st.sampled_from([0, 90, 180, 270])),
        "mirrored": draw(st.booleans()),
    }
    y = plane(height, width)
    if draw(st.booleans()):
        return Planes(y, uv=plane(size[0], 2 * size[1]), **options)
    return Planes(y, u=plane(*size), v=plane(*size), **options)


@settings(deadline=None, max_examples=150)
@given(pictures(), resizes())
def test_planes_equal_the_definition_at_every_level(planes: Planes, resize: Resize) -> None:
    expected = reference_planes(planes, resize)
    for level in every_level():
        assert np.array_equal(planes_to_rgb(planes, resize), expected), level


@settings(deadline=None, max_examples=80)
@given(sides, sides, resizes(), st.integers(0, 2**32 - 1))
def test_rgb_equals_the_definition_at_every_level(height: int, width: int, resize: Resize, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    expected = reference_rgb(frame, resize)
    for level in every_level():
        assert np.array_equal(rgb_to_rgb(frame, resize), expected), level


@pytest.mark.parametrize("filter", ["area", "bilinear"])
@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((240, 320), (224, 224)),  # what videos are
        ((360, 640), (224, 224)),
        ((1080, 1920), (224, 224)),
        ((2000, 4100), (7, 31)),  # more taps than any kernel unrolls
        ((5, 6001), (3, 17)),
        ((16385, 3), (1, 2)),
        ((7, 9), (300, 401)),
        ((64, 64), (64, 64)),
        ((128, 130), (127, 129)),
    ],
)
def test_sizes_that_matter_equal_the_definition(
    size: tuple[int, int], target: tuple[int, int], filter: str
) -> None:
    random = np.random.default_rng(5)
    y = random.integers(0, 256, size, np.uint8)
    uv = random.integers(0, 256, ((size[0] + 1) // 2, (size[1] + 1) // 2, 2), np.uint8)
    resize = Resize("exact", *target, filter=filter)
    planes = Planes(y, uv=uv, matrix="bt709")
    expected = reference_planes(planes, resize)
    for level in every_level():
        assert np.array_equal(planes_to_rgb(planes, resize), expected), level


def test_every_output_gets_weights_that_sum_to_one() -> None:
    for source, step, scaled in ((1, 2, 5), (3, 2, 2), (1080, 1, 224), (70_001, 1, 224), (9, 1, 4096)):
        for filter in ("area", "bilinear"):
            for i in {0, scaled // 2, scaled - 1}:
                found = weights(source, step, scaled, filter, i)
                assert sum(found.values()) == 2**14 and min(found.values()) >= 0


def test_the_definition_is_frozen() -> None:
    # codes stored anywhere in the world depend on these bytes: they may never change
    values = (np.arange(101 * 151 * 3, dtype=np.uint32) * 2654435761 >> 24).astype(np.uint8)
    y, u, v = values[: 101 * 151].reshape(101, 151), values[-51 * 76 :], values[101 * 151 :][: 51 * 76]
    digest = hashlib.sha256()
    for resize in (Resize("exact", 90, 31), Resize("short_side", 64, 64, (56, 50), "bilinear")):
        for options in ({"rotation": 90}, {"matrix": "bt709"}, {"full_range": True}):
            planes = Planes(y, u=u.reshape(51, 76), v=v.reshape(51, 76), **options)
            digest.update(planes_to_rgb(planes, resize).tobytes())
        digest.update(rgb_to_rgb(values.reshape(101, 151, 3), resize).tobytes())
    assert digest.hexdigest() == "c9c070c783176582b662e36fc0db3e437fca4c3d0792cd1df7f0173cf3380119"


def test_threads_share_the_tables() -> None:
    frames = [picture(40 + side, 90 - side) for side in range(24)] * 4
    resize = Resize("exact", 32, 32)
    expected = [rgb_to_rgb(frame, resize) for frame in frames]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda frame: rgb_to_rgb(frame, resize), frames))
    assert np.array_equal(found, expected)


# ----- sanity ----------------------------------------------------------------------------------


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth RGB picture with edges, uint8[height, width, 3]: what a resize meets in practice."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 40.0
    waves = random.uniform(-1, 1, (6, 3, 3))  # frequencies down, across, and phase, for each channel
    image = np.stack([sum(np.sin(a * y + b * x + 7 * p) for a, b, p in waves[:, c]) for c in range(3)], -1)
    image = (128 + 40 * image).clip(0, 255).astype(np.uint8)
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        image[top : top + height // 4, left : left + width // 5] = random.integers(0, 256, 3)
    return image


@pytest.mark.parametrize("filter", ["area", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (3, 1000), (240, 320), (1081, 1923)])
def test_constant_frames_stay_constant(size: tuple[int, int], filter: str) -> None:
    resize = Resize("exact", 61, 53, filter=filter)
    chroma = np.full(((size[0] + 1) // 2, (size[1] + 1) // 2), 128, np.uint8)
    for value in (0, 1, 16, 100, 254, 255):
        frame = np.full((*size, 3), value, np.uint8)
        assert (rgb_to_rgb(frame, resize) == value).all()
        planes = Planes(frame[..., 0], u=chroma, v=chroma, full_range=True)
        assert (planes_to_rgb(planes, resize) == value).all()


def test_the_same_size_changes_nothing() -> None:
    frame = picture(37, 53)
    for filter in ("area", "bilinear"):
        assert np.array_equal(rgb_to_rgb(frame, Resize("exact", 37, 53, filter=filter)), frame)


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (301, 203)])
def test_area_is_close_to_exact_averages(size: tuple[int, int]) -> None:
    frame = picture(*size)
    exact = area_scale(frame, 64)
    ours = rgb_to_rgb(frame, Resize("exact", 64, 64))
    assert np.abs(ours - exact).max() < 0.54  # half a level for the last rounding, the rest for the weights


def area_scale(frame: np.ndarray, side: int) -> np.ndarray:
    """Exact averages in floating point, float64[side, side, channels]."""
    rows, columns = (area_matrix(n, side) for n in frame.shape[:2])
    return np.tensordot(np.tensordot(rows, frame.astype(float), 1), columns, (1, 1)).swapaxes(1, 2)


def area_matrix(source: int, target: int) -> np.ndarray:
    edges = np.arange(target + 1) * source / target
    cells = np.arange(source)
    overlap = np.minimum(cells + 1, edges[1:, None]) - np.maximum(cells, edges[:-1, None])
    return overlap.clip(0) * target / source


@pytest.mark.parametrize(("filter", "pillow"), [("area", "BOX"), ("bilinear", "BILINEAR")])
def test_rgb_is_close_to_pillow(filter: str, pillow: str) -> None:
    Image = pytest.importorskip("PIL.Image")
    # Pillow's bilinear is antialiased, so the two agree only where nothing is scaled down
    frame, size = (picture(480, 640), (96, 128)) if filter == "area" else (picture(48, 64), (96, 128))
    ours = rgb_to_rgb(frame, Resize("exact", *size, filter=filter)).astype(int)
    theirs = np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling[pillow])).astype(int)
    assert np.abs(ours - theirs).max() <= 1 and np.abs(ours - theirs).mean() < 0.1


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_are_close_to_swscale(matrix: str, full_range: bool) -> None:
    av = pytest.importorskip("av")
    space = {"bt601": "ITU601", "bt709": "ITU709"}[matrix]
    frame = av.VideoFrame.from_ndarray(picture(480, 640), "rgb24").reformat(
        format="yuv420p", dst_colorspace=space, dst_color_range="JPEG" if full_range else "MPEG"
    )
    height, width = frame.height, frame.width
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    assert y.shape == (height, width)
    planes = Planes(y, u=u, v=v, matrix=matrix, full_range=full_range)
    ours = planes_to_rgb(planes, Resize("exact", 224, 224)).astype(int)
    theirs = frame.reformat(
        224, 224, "rgb24", src_colorspace=space, interpolation="AREA",
        src_color_range="JPEG" if full_range else "MPEG", dst_color_range="JPEG",
    ).to_ndarray().astype(int)  # fmt: skip
    assert np.abs(ours - theirs).mean() < 3
    exact = exact_rgb(planes, 224)
    assert np.abs(ours - exact).max() < 0.6 < np.abs(theirs - exact).mean()


def exact_rgb(planes: Planes, side: int) -> np.ndarray:
    """Chroma upsampled like luma's cells, everything in floating point."""
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (planes.u, planes.v))
    Y, U, V = (area_scale(plane[..., None], side)[..., 0] for plane in (planes.y, u, v))
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[planes.matrix]
    if planes.full_range:
        Y, U, V = Y / 255, (U - 128) / 255, (V - 128) / 255
    else:
        Y, U, V = (Y - 16) / 219, (U - 128) / 224, (V - 128) / 224
    R, B = Y + 2 * (1 - kr) * V, Y + 2 * (1 - kb) * U
    G = (Y - kr * R - kb * B) / (1 - kr - kb)
    return 255 * np.stack([R, G, B], axis=-1).clip(0, 1)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_orientation_only_moves_pixels(rotation: int, mirrored: bool) -> None:
    random = np.random.default_rng(3)
    y, uv = random.integers(0, 256, (90, 121), np.uint8), random.integers(0, 256, (45, 61, 2), np.uint8)
    shown = (40, 60) if rotation in (0, 180) else (60, 40)
    upright = planes_to_rgb(Planes(y, uv=uv), Resize("exact", 40, 60))
    turned = planes_to_rgb(Planes(y, uv=uv, rotation=rotation, mirrored=mirrored), Resize("exact", *shown))
    expected = np.rot90(upright, -rotation // 90)
    assert np.array_equal(turned, expected[:, ::-1] if mirrored else expected)


def test_both_layouts_give_the_same_frame() -> None:
    random = np.random.default_rng(4)
    y, uv = random.integers(0, 256, (91, 121), np.uint8), random.integers(0, 256, (46, 61, 2), np.uint8)
    resize = Resize("short_side", 64, 64, crop=(56, 56))
    nv12 = planes_to_rgb(Planes(y, uv=uv), resize)
    assert np.array_equal(nv12, planes_to_rgb(Planes(y, uv=uv.reshape(46, -1)), resize))
    assert np.array_equal(nv12, planes_to_rgb(Planes(y, u=uv[..., 0], v=uv[..., 1]), resize))


# ----- arguments -------------------------------------------------------------------------------


def test_out_takes_a_slice_of_a_clip_and_nothing_around_it() -> None:
    frames = np.stack([picture(50, 60, seed) for seed in range(3)])
    resize = Resize("exact", 21, 33)
    canvas = np.full((5, 23, 40, 3), 77, np.uint8)
    inside = canvas[1:4, 1:22, 2:35]
    assert rgb_to_rgb(frames, resize, out=inside) is inside
    assert np.array_equal(inside, np.stack([reference_rgb(f, resize) for f in frames]))
    inside[...] = 77
    assert (canvas == 77).all()


def test_any_memory_layout_of_the_source_gives_the_same_frame() -> None:
    frame = picture(50, 61)
    resize = Resize("exact", 20, 20)
    expected = rgb_to_rgb(frame, resize)
    flipped = frame[::-1].copy()[::-1]  # rows run backwards in memory
    transposed = np.ascontiguousarray(frame.transpose(2, 1, 0)).transpose(2, 1, 0)
    for view in (flipped, transposed, np.repeat(frame, 2, axis=1)[:, ::2]):
        assert np.array_equal(rgb_to_rgb(view, resize), expected)
    y = frame[..., 0]  # bytes 3 apart
    grey = np.full((25, 31), 128, np.uint8)
    assert np.array_equal(
        planes_to_rgb(Planes(y, u=grey, v=grey), resize),
        planes_to_rgb(Planes(y.copy(), u=grey, v=grey), resize),
    )


Y, C = np.zeros((6, 8), np.uint8), np.zeros((3, 4), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"y": Y}, "pass u and v"),
        ({"y": Y, "u": C}, "pass u and v"),
        ({"y": Y, "u": C, "v": C, "uv": C}, "pass u and v"),
        ({"y": Y.astype(np.uint16), "u": C, "v": C}, "8 bits"),
        ({"y": Y[0], "u": C, "v": C}, "2 dimensions"),
        ({"y": Y[:0], "u": C[:0], "v": C[:0]}, "1 to 1048576"),
        ({"y": Y, "u": C[:2], "v": C[:2]}, "3 rows of 4"),
        ({"y": Y, "u": C, "v": C[:, :3]}, "equal"),
        ({"y": Y, "uv": C}, "3 rows of 4"),
        ({"y": Y, "uv": np.zeros((3, 9), np.uint8)}, "3 rows of 4"),
        ({"y": Y, "u": C, "v": C, "matrix": "bt2020"}, "bt2020"),
        ({"y": Y, "u": C, "v": C, "rotation": 45}, "rotation=45"),
    ],
)
def test_wrong_planes_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Planes(arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("frames", "out", "says"),
    [
        (np.zeros((4, 4, 3)), None, "uint8"),
        (np.zeros((4, 4, 4), np.uint8), None, "RGB"),
        (np.zeros((4, 0, 3), np.uint8), None, "1 to 1048576"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), r"\[2, 2, 3\]"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2, 3)), "float64"),
        (np.zeros((4, 4, 3), np.uint8), [[0]], "list"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((3, 2, 2), np.uint8).T, "adjacent"),
        (np.zeros((4, 4, 3), np.uint8), np.broadcast_to(np.uint8(0), (2, 2, 3)), "read-only"),
    ],
)
def test_wrong_frames_and_outputs_are_named(frames: np.ndarray, out: object, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        rgb_to_rgb(frames, Resize("exact", 2, 2), out=out)


def test_a_result_that_would_fill_memory_is_refused() -> None:
    line = np.zeros((1, 70_000, 3), np.uint8)
    with pytest.raises(OptionError, match="give resize a crop"):
        rgb_to_rgb(line, Resize("short_side", 128, 128))
    assert rgb_to_rgb(line, Resize("short_side", 128, 128, crop=(112, 112))).shape == (112, 112, 3)


def test_out_may_not_overlap_the_source() -> None:
    frame = picture(8, 8)
    with pytest.raises(OptionError, match="overlaps"):
        rgb_to_rgb(frame, Resize("exact", 4, 8), out=frame[:4])


def test_the_engine_itself_refuses_what_would_leave_an_array() -> None:
    options = {"bt709": False, "full_range": False, "scaled": (4, 4), "area": True, "rotation": 0}
    for u, out, crop in (
        (C[:1], (4, 4, 3), (4, 4)),
        (C, (4, 4, 2), (4, 4)),
        (C, (3, 4, 3), (4, 4)),
        (C, (8, 8, 3), (8, 8)),
    ):
        with pytest.raises(ValueError):
            _core.frames_planes_to_rgb(Y, u, u, out=np.zeros(out, np.uint8), crop=crop, **options)
