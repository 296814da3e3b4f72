"""The frame kernel against swscale: 4:2:0 planes to RGB at a model's size, one thread each.

    python -m benchmarks.speed.resize

One process, the cases in turn; the same decoded picture goes into both, and what comes out is
compared with an exact floating-point average. swscale is called through PyAV with the area flag
(or bilinear) and one thread; both write into memory that they own. Writes
benchmarks/results/resize.json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np

from benchmarks.common import command_line, interleave, summary, write_result
from vhash_sdk import _core
from vhash_sdk.spec import Resize
from vhash_sdk.video.resize import Planes, planes_to_rgb

SIZES = ((240, 320), (360, 640), (720, 1280), (1080, 1920))
SIDE = 224


def picture(height: int, width: int) -> av.VideoFrame:
    """Waves, edges and noise, yuv420p: speed does not depend on what is in it, closeness does."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] * (240 / height / 40)
    image = np.stack([np.sin(a * y + b * x) for a, b in ((1, 2), (2, -1), (-3, 1))], axis=-1) * 90 + 128
    image[height // 3 : height // 2, width // 4 : width // 2] = (20, 200, 90)
    image += random.normal(0, 5, image.shape)
    frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")


def planes_of(frame: av.VideoFrame) -> Planes:
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    return Planes(y, u=u, v=v)


def exact_averages(planes: Planes) -> np.ndarray:
    """Area averages and colour in floating point, float64[SIDE, SIDE, 3]."""

    def averaged(plane: np.ndarray) -> np.ndarray:
        for _ in range(2):  # rows, then columns
            cells = plane.shape[0]
            sums = np.vstack([np.zeros(plane.shape[1]), np.cumsum(plane, axis=0, dtype=float)])
            at = np.arange(SIDE + 1) * cells / SIDE
            whole = np.minimum(at.astype(int), cells - 1)
            below = sums[whole] + (at - whole)[:, None] * (sums[whole + 1] - sums[whole])
            plane = (np.diff(below, axis=0) * SIDE / cells).T
        return plane

    assert planes.u is not None and planes.v is not None
    y = (averaged(planes.y) - 16) / 219
    u, v = ((averaged(plane.repeat(2, 0).repeat(2, 1)) - 128) / 224 for plane in (planes.u, planes.v))
    red, blue = y + 1.402 * v, y + 1.772 * u
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return 255 * np.stack([red, green, blue], axis=-1).clip(0, 1)


def measure(height: int, width: int, filter: str, rounds: int) -> dict[str, Any]:
    frame = picture(height, width)
    planes, resize = planes_of(frame), Resize("exact", SIDE, SIDE, filter=filter)  # type: ignore[arg-type]
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    scaler = av.video.reformatter.VideoReformatter()

    def ours(level: str) -> Callable[[], object]:
        def run() -> object:
            _core.set_simd_level(level)
            return planes_to_rgb(planes, resize, out=out)

        return run

    def swscale() -> av.VideoFrame:
        return scaler.reformat(frame, SIDE, SIDE, "rgb24", interpolation=filter.upper(), threads=1)

    levels = [level for level in _core.simd_levels() if level not in ("scalar", "popcnt", "avx512bw", "amx")]
    cases: dict[str, Callable[[], object]] = {f"vhash {level}": ours(level) for level in ["scalar", *levels]}
    seconds = interleave(cases | {"swscale": swscale}, rounds=rounds, warmup=5)
    result: dict[str, Any] = {name: summary(values) for name, values in seconds.items()}
    best = f"vhash {(['scalar', *levels])[-1]}"
    record: dict[str, Any] = {
        "source": [height, width],
        "target": [SIDE, SIDE],
        "filter": filter,
        "seconds": result,
        "swscale / vhash": {name: result["swscale"]["p50"] / result[name]["p50"] for name in cases},
    }
    cases[best]()
    theirs = swscale().to_ndarray().astype(float)
    record["mean difference to swscale, grey levels"] = float(np.abs(out - theirs).mean())
    if filter == "area" and min(height, width) >= 2 * SIDE:  # elsewhere chroma is scaled up, by no average
        exact = exact_averages(planes)
        record["largest error, grey levels"] = {
            "vhash": float(np.abs(out - exact).max()),
            "swscale": float(np.abs(theirs - exact).max()),
        }
    print(
        f"{width}×{height} → {SIDE}×{SIDE} {filter:8}  "
        + "  ".join(f"{name} {stats['p50'] * 1e6:.0f} µs" for name, stats in result.items())
        + f"  ratio {record['swscale / vhash'][best]:.2f}"
    )
    return record


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    usual = _core.simd_level()
    try:
        records = [measure(*size, filter, rounds) for filter in ("area", "bilinear") for size in SIZES]
    finally:
        _core.set_simd_level(usual)
    command = f"python -m benchmarks.speed.resize --rounds {rounds}"
    print(write_result("resize", {"command": command, "threads": 1, "cases": records}))


if __name__ == "__main__":
    main()
