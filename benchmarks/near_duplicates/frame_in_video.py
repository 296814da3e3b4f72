"""From a frame to its video and the second: how often the right one comes first.

    python -m benchmarks.near_duplicates.frame_in_video            # all clips, three frames of each
    python -m benchmarks.near_duplicates.frame_in_video --count 1  # quicker
    python -m benchmarks.near_duplicates.frame_in_video --model copy-256

Frames are taken from the clips in ``$VHASH_DATA`` (``videos``), made into JPEG files as people make them, and
looked up among the kept segments of all clips, as ``Library.find_frame`` does. Many clips are takes of one
scene (``scenes.csv`` and ``calibration_scenes.csv`` say which): so it is counted how often the first is the
very video, and how often it shows the scene; and, of those that are the very video, how far the time is off.
Strangers: the same frames, and the nearest video of another scene.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.common import DATA, RESULTS, command_line, load, write_result
from benchmarks.near_duplicates.calibrate import scene_of
from vhash_sdk import Encoder, Index, Limits
from vhash_sdk.encoding.encoded import views
from vhash_sdk.encoding.tracks import kept_segments
from vhash_sdk.library.finding import SegmentIndex
from vhash_sdk.matching.windows import RATE

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 10, height // 10, width - width // 10, height - height // 10))


def _barred(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    canvas = Image.new("RGB", (width, height * 3 // 2))
    canvas.paste(picture, (0, height // 4))
    return canvas


EDITS: dict[str, Callable[[Image.Image], bytes]] = {
    "as it is, JPEG 85": lambda picture: _jpeg(picture, 85),
    "160 pixels wide, JPEG 50": lambda picture: _jpeg(
        picture.resize((160, max(1, 160 * picture.height // picture.width))), 50
    ),
    "a tenth cut off each side": lambda picture: _jpeg(_cropped(picture), 85),
    "bars above and below": lambda picture: _jpeg(_barred(picture), 85),
}


def scenes() -> dict[str, str]:
    """The scene of clips by folder and name, where it is written down."""
    table = {}
    for name, column in (("scenes.csv", "camera"), ("calibration_scenes.csv", "scene")):
        with open(Path(__file__).with_name(name), newline="") as file:
            table |= {row["clip"]: row[column] for row in csv.DictReader(file)}
    return table


def frames(path: Path, count: int, rng: np.random.Generator) -> list[tuple[float, Image.Image]]:
    """(seconds, picture) of some frames drawn from a clip."""
    with av.open(str(path), metadata_errors="ignore") as container:
        every = [(float(frame.time or 0), frame) for frame in container.decode(video=0)]
        chosen = sorted(rng.choice(len(every), min(count, len(every)), replace=False).tolist())
        return [(every[i][0] - every[0][0], every[i][1].to_image()) for i in chosen]


def gallery(encoder: Encoder, paths: list[Path]) -> SegmentIndex:
    """The segments of all clips, as a library keeps them."""
    codes, spans, videos = [], [], []
    for number, path in enumerate(paths):
        kept = kept_segments(encoder.encode_sequence(path, rate=RATE))
        codes.append(kept.codes)
        spans.append(kept.spans)
        videos.append(np.full(len(kept), number, np.int64))
        print(f"  {number + 1} of {len(paths)}", end="\r", flush=True)
    index, ids = Index(encoder.spec.bits), np.arange(sum(map(len, videos)))
    index.add(np.concatenate(codes), ids)
    return SegmentIndex("", index, ids, np.concatenate(videos), np.concatenate(spans))


def main() -> None:
    """Measure, and write the result."""
    parser = command_line(__doc__)
    parser.add_argument("--count", type=int, default=3, help="frames of each clip")
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    paths = sorted(p for p in (DATA / "videos").rglob("*") if p.suffix.lower() in SUFFIXES)
    known = scenes()
    scene = [scene_of(path, known) for path in paths]
    rng = np.random.default_rng(20)
    results: dict[str, dict[str, Any]] = {}
    with Encoder(given.model, limits=Limits(stills=True)) as encoder:
        name = encoder.spec.name
        index = gallery(encoder, paths)
        asked: dict[str, list[tuple[int, float, bytes]]] = defaultdict(list)
        for number, path in enumerate(paths):
            for seconds, picture in frames(path, given.count, rng):
                for edit, make in EDITS.items():
                    asked[edit].append((number, seconds, make(picture)))
        for edit, queries in asked.items():
            video = same_scene = 0
            off, strangers = [], []
            found = encoder.encode_many([query[2] for query in queries], detail="views")
            for (number, seconds, _), encoded in zip(queries, found, strict=True):
                near = index.nearest(views(encoded), len(paths))
                first = near[0]
                video += first[1] == number
                same_scene += scene[first[1]] == scene[number]
                if first[1] == number:
                    off.append(abs(first[2] - seconds))
                strangers.append(min(d for d, other, _ in near if scene[other] != scene[number]))
            results[edit] = {
                "queries": len(queries),
                "video_first": video,
                "scene_first": same_scene,
                "seconds_off": {"median": float(np.median(off)), "p95": float(np.percentile(off, 95))},
                "nearest_stranger_bits": {"least": min(strangers), "median": float(np.median(strangers))},
            }
            print(edit, results[edit])
    command = f"python -m benchmarks.near_duplicates.frame_in_video --model {given.model}"
    if given.count != parser.get_default("count"):
        command += f" --count {given.count}"
    models = load("frame_in_video")["models"] if (RESULTS / "frame_in_video.json").exists() else {}
    models[name] = {
        "command": command,
        "clips": len(paths),
        "scenes": len(set(scene)),
        "segments": len(index),
        "edits": results,
    }
    write_result("frame_in_video", {"command": command, "models": models})


if __name__ == "__main__":
    main()
