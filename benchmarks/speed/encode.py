"""File to code: where the time goes, beside videohash2 and beside PyAV + swscale + float32.

    python -m benchmarks.speed.encode [--video FILE] [--rounds 15]

One 10 s 320×240 H.264 file (made from the sample clips unless given). Every case runs in one
process, in turn, with all cores. Writes benchmarks/results/encode.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from benchmarks.common import CACHE, ROOT, command_line, ffmpeg_on_path, interleave, summary, write_result
from vhash_sdk import Encoder
from vhash_sdk.video import open_source
from vhash_sdk.video.resize import planes_to_rgb

SAMPLES = ROOT / "sdk" / "vhash_sdk" / "samples"
RATE, SECONDS, WIDTH, HEIGHT = 30, 10, 320, 240


def make_video(path: Path) -> Path:
    """10 s of the sample clips in a row, 320×240, 30 frames a second, libx264 crf 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        count = 0
        for sample in sorted(SAMPLES.glob("*.mp4")):
            with av.open(str(sample)) as source:
                for frame in source.decode(video=0):
                    if count == RATE * SECONDS:
                        break
                    scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p")
                    scaled.pts, scaled.time_base, count = count, Fraction(1, RATE), count + 1
                    output.mux(stream.encode(scaled))
        if count < RATE * SECONDS:
            raise SystemExit(f"the samples hold {count} frames of {RATE * SECONDS}; pass --video FILE")
        output.mux(stream.encode())
    return path


def full_decode(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def swscale_frames(path: Path, wanted: int, size: tuple[int, int]) -> np.ndarray:
    """What one writes without vhash: decode everything, scale the sampled frames with swscale."""
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames
        indices = {int((j + 0.5) * total / wanted) for j in range(wanted)}
        frames = [
            frame.to_ndarray(format="rgb24", height=size[0], width=size[1], interpolation=Interpolation.AREA)
            for index, frame in enumerate(container.decode(video=0))
            if index in indices
        ]
    return np.stack(frames)[None, None]


def sampled_planes(encoder: Encoder, path: Path) -> list[object]:
    """The decoded planes of the frames that the model sees, to time the frame kernel alone."""
    from vhash_sdk.video.picture import frame_planes

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    count = encoder.spec.sampling.frames
    return [frame_planes(frames[int((j + 0.5) * len(frames) / count)]) for j in range(count)]


def cases(path: Path, encoder: Encoder, exact: Encoder) -> dict[str, Callable[[], object]]:
    spec = encoder.spec
    height, width = spec.resize.output

    def sample() -> np.ndarray:
        with open_source(path) as reader:
            return reader.sample(spec.sampling, spec.resize).frames

    batch = sample()[None, None]
    planes = sampled_planes(encoder, path)
    buffer = np.empty((height, width, 3), np.uint8)
    table: dict[str, Callable[[], object]] = {
        "file to code, int8": lambda: encoder.encode(path),
        "file to code, fp32": lambda: exact.encode(path),
        "decode and frames": sample,
        "frames alone": lambda: [planes_to_rgb(p, spec.resize, out=buffer) for p in planes],  # type: ignore[arg-type]
        "network int8": lambda: encoder.encode_frames(batch),
        "network fp32": lambda: exact.encode_frames(batch),
        "plain full decode": lambda: full_decode(path),
        "PyAV + swscale area + fp32": lambda: exact.encode_frames(
            swscale_frames(path, spec.sampling.frames, (height, width))
        ),
    }
    try:
        from videohash2 import VideoHash

        ffmpeg_on_path()
        table["videohash2"] = lambda: VideoHash(path=str(path)).hash
    except ImportError:
        print("videohash2 is not installed: pip install 'vhash-sdk[bench]'")
    return table


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    path = args.video or make_video(CACHE / "encode" / "samples_320x240.mp4")
    with Encoder(precision="int8") as encoder, Encoder(precision="fp32") as exact:
        table = cases(path, encoder, exact)
        difference = encoder.encode(path) - exact.encode(path)
        wall = interleave(table, rounds=args.rounds)
        cpu = interleave(table, rounds=max(3, args.rounds // 3), clock=time.process_time)
        info = encoder.info()
    del info["file"]
    result = {
        "command": "python -m benchmarks.speed.encode",
        "video": {"name": path.name, "bytes": path.stat().st_size, "frames": full_decode(path)},
        "encoder": info,
        "seconds": {name: {**summary(wall[name]), "cpu_min": min(cpu[name])} for name in table},
        "file_to_code_over_full_decode": {
            "p50": summary(wall["file to code, int8"])["p50"] / summary(wall["plain full decode"])["p50"],
        },
        "bits_that_differ_int8_fp32": difference,
    }
    print(f"{'':30} {'min':>8} {'p50':>8} {'p95':>8} {'CPU min':>8}  ms")
    for name, row in result["seconds"].items():
        print(f"{name:30} " + " ".join(f"{1e3 * row[key]:8.1f}" for key in ("min", "p50", "p95", "cpu_min")))
    print(f"file to code / full decode: {result['file_to_code_over_full_decode']['p50']:.2f}")
    write_result("encode", result)


if __name__ == "__main__":
    main()
