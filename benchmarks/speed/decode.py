"""Sampling frames with seeking and skipping, beside decoding everything.

    python -m benchmarks.speed.decode [FILE ...] [--rounds 9]

Without files: a 10 s 320×240 H.264 file of moving noise that the script makes, with all frames
as they come (GOP 250, B-frames). Every case runs in one process, in turn, one decoder thread
each; the times are CPU seconds. Frames are scaled to 224×224 (uniform) and 112×112 (middle).
Each sample is checked against decoding everything. Writes benchmarks/results/decode.json.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.common import CACHE, command_line, interleave, summary, write_result
from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.video import open_source
from vhash_sdk.video.picture import render
from vhash_sdk.video.sources import open_media

UNIFORM = (Sampling("uniform", 25), Resize("exact", 224, 224))
MIDDLE = (Sampling("middle", 32), Resize("exact", 112, 112))


def make_video(path: Path, *, seconds: int = 10, rate: int = 30) -> Path:
    """A textured scene that moves, libx264 with its defaults at crf 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    scene = np.kron(rng.integers(40, 216, (90, 140, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(seconds * rate):
            top, left = 200 + int(150 * np.sin(i / 40)), 300 + int(250 * np.cos(i / 55))
            picture = scene[top : top + 240, left : left + 320].astype(np.int16)
            noisy = np.clip(picture + rng.integers(-6, 7, picture.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def decode_all(path: Path) -> int:
    with open_media(path).open({}) as container:
        container.streams.video[0].thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def sample(path: Path, sampling: Sampling, resize: Resize) -> np.ndarray:
    with open_source(path) as reader:
        return reader.sample(sampling, resize).frames


def agrees(path: Path, sampling: Sampling, resize: Resize) -> bool:
    """Whether the sample has the pixels of decoding everything, by the times of its frames."""
    with open_source(path) as reader:
        clip = reader.sample(sampling, resize)
    with open_media(path).open({}) as container:
        tick, start, shown = container.streams.video[0].time_base, None, {}
        wanted = set(np.round(clip.times, 6))
        for frame in container.decode(video=0):
            start = frame.pts if start is None else start
            when = round(float((frame.pts - start) * tick), 6)
            if when in wanted:
                shown[when] = np.empty((*resize.output, 3), np.uint8)
                render(frame, resize, shown[when])
    return all(
        when in shown and np.array_equal(shown[when], row)
        for when, row in zip(np.round(clip.times, 6), clip.frames, strict=True)
    )


def measure(path: Path, rounds: int) -> dict[str, object]:
    cases = {
        "25 uniform": lambda: sample(path, *UNIFORM),
        "32 middle": lambda: sample(path, *MIDDLE),
        "decode all": lambda: decode_all(path),
    }
    seconds = interleave(cases, rounds=rounds, clock=time.process_time)
    best = {name: min(values) for name, values in seconds.items()}
    with open_source(path) as reader:
        info = reader.info
    return {
        "video": {
            "name": path.name,
            "codec": info.codec,
            "size": [info.width, info.height],
            "seconds": info.duration,
            "frames": decode_all(path),
        },
        "cpu_seconds": {name: summary(values) for name, values in seconds.items()},
        "uniform_over_all": best["25 uniform"] / best["decode all"],
        "middle_over_all": best["32 middle"] / best["decode all"],
        "same_pixels": agrees(path, *UNIFORM) and agrees(path, *MIDDLE),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    files = args.files or [make_video(CACHE / "decode" / "noise_320x240.mp4")]
    rows = [measure(path, args.rounds) for path in files]
    print(f"{'ms CPU, best of ' + str(args.rounds):32} 25 uniform  32 middle  decode all  ratio  same pixels")
    for row in rows:
        best = [1e3 * case["min"] for case in row["cpu_seconds"].values()]  # type: ignore[attr-defined]
        print(
            f"{row['video']['name'][:32]:32} {best[0]:10.1f} {best[1]:10.1f} {best[2]:11.1f} "  # type: ignore[index]
            f"{row['uniform_over_all']:6.2f}  {row['same_pixels']}"
        )
    write_result("decode", {"command": "python -m benchmarks.speed.decode FILE ...", "files": rows})


if __name__ == "__main__":
    main()
