"""The clips of the near-duplicate benchmark: originals, transformations, scenes.

Originals are real clips; every transformation is one ffmpeg command (libx264, veryfast,
yuv420p, no audio, crf 23 unless said), sizes rounded down to even numbers. ffmpeg is taken
from PATH, else from the PyPI package imageio-ffmpeg. What was made is kept in a cache folder
and made again only when the command changes.

Where the definition leaves room, this is what was chosen:
    pip     the background is the next distractor, scaled to the clip's own size and looped;
            the clip lies in its centre at 60 % of both sides.
    blurpad the background is scaled to 1/8, blown up until it covers the canvas, then blurred.
    combo   made from the crf38 file: crop10, letterbox, then the logo over the whole canvas.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import ffmpeg
from training.clips import benchmark_clips

TRANSFORMATIONS = (
    "crf38", "resize50", "letterbox", "crop10", "mirror", "logo", "bright25", "grey", "speed125",
    "trim15", "fps15", "blurpad", "pip", "text", "combo",
)  # fmt: skip
WORDS = ("never", "before", "morning", "river", "tonight", "because", "golden", "street", "winter", "home")
SCENES = Path(__file__).with_name("scenes.csv")


@dataclass(frozen=True)
class Original:
    """One clip of the database; ``query`` says whether transformed copies of it are searched for."""

    name: str
    path: Path
    scene: str
    query: bool


@dataclass(frozen=True)
class Shape:
    width: int
    height: int
    fps: Fraction
    duration: float


def probe(path: Path) -> Shape:
    with av.open(str(path), metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        duration = (
            stream.duration * stream.time_base if stream.duration else container.duration / av.time_base
        )
        return Shape(stream.width, stream.height, stream.average_rate, float(duration))


def even(value: float) -> int:
    return max(2, int(value) // 2 * 2)


def encode(
    output: Path, inputs: list[str], graph: str | None, *, crf: int = 23, extra: tuple[str, ...] = ()
) -> Path:
    """Run one ffmpeg command into ``output``, unless it was made by the same command before.

    H.264, or what is usual in a container other than MP4 (GIF).
    """
    command = [ffmpeg(), "-nostdin", "-v", "error", "-y", *inputs]
    if graph:
        command += ["-filter_complex", f"{graph}[out]", "-map", "[out]"]
    if output.suffix == ".mp4":
        extra = (*extra, "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p")
    command += extra
    command += ["-an", "-map_metadata", "-1", "-threads", "1"]  # one title is not UTF-8 and stops a peer
    key = hashlib.sha256(json.dumps(command[1:]).encode()).hexdigest()
    stamp = output.with_suffix(".command")
    if output.exists() and stamp.exists() and stamp.read_text() == key:
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_suffix(f".part{output.suffix}")
    subprocess.run([*command, str(part)], check=True)
    part.rename(output)
    stamp.write_text(key)
    return output


def logo_image(file: Path, width: int, height: int) -> Path:
    """Red rounded box with a white disc (22 % × 22 %, top right); black band with yellow text (14 %)."""
    if file.exists():
        return file
    picture = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(picture)
    box_w, box_h, band = 0.22 * width, 0.22 * height, 0.14 * height
    draw.rounded_rectangle((width - box_w, 0, width - 1, box_h), radius=box_h / 6, fill=(220, 20, 30, 255))
    cx, cy, r = width - box_w / 2, box_h / 2, 0.32 * min(box_w, box_h)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(255, 255, 255, 255))
    draw.rectangle((0, height - band, width, height), fill=(0, 0, 0, 191))
    font = ImageFont.load_default(size=max(8, round(0.6 * band)))
    draw.text(
        (width / 2, height - band / 2), "BREAKING NEWS", font=font, fill=(255, 230, 0, 255), anchor="mm"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return file


def subtitle_images(pattern: Path, width: int, height: int, count: int) -> str:
    """One picture a second: three white words with a black outline in the lowest quarter."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    draw_words = random.Random(11)
    for i in range(count):
        text = " ".join(draw_words.sample(WORDS, 3))
        file = Path(str(pattern) % i)
        if file.exists():
            continue
        picture = Image.new("RGBA", (width, height))
        font = ImageFont.load_default(size=max(9, round(min(0.11 * height, 0.075 * width))))
        ImageDraw.Draw(picture).text(
            (width / 2, 0.875 * height), text, font=font, fill="white", anchor="mm",
            stroke_width=max(1, height // 120), stroke_fill="black",
        )  # fmt: skip
        picture.save(file)
    return str(pattern)


def letterbox(width: int, height: int) -> tuple[int, int]:
    """The canvas: 16:9 (bars left and right) below a ratio of 1.6, else 4:3 (bars above and below)."""
    if width / height < 1.6:
        return max(even(width), even(height * 16 / 9)), even(height)
    return even(width), max(even(height), even(width * 3 / 4))


def pad(canvas: tuple[int, int]) -> str:
    return f"pad={canvas[0]}:{canvas[1]}:(ow-iw)/2:(oh-ih)/2"


def make(name: str, original: Original, background: Original, cache_dir: Path) -> Path:
    """One transformed copy of ``original``."""
    shape = probe(original.path)
    w, h, fps, d = shape.width, shape.height, shape.fps, shape.duration
    output = cache_dir / name / f"{original.name}.mp4"
    source = ["-i", str(original.path)]
    crop_w, crop_h = even(0.8 * w), even(0.8 * h)
    crop = f"crop={crop_w}:{crop_h}:{int(0.1 * w)}:{int(0.1 * h)}"
    fit = f"scale={even(w)}:{even(h)}"  # libx264 4:2:0 takes no odd sizes
    simple = {
        "crf38": fit,
        "resize50": f"scale={even(w / 2)}:{even(h / 2)}",
        "letterbox": f"{fit},{pad(letterbox(w, h))}",
        "crop10": crop,
        "mirror": f"{fit},hflip",
        "bright25": f"{fit},eq=brightness=0.125:contrast=1.25",
        "grey": f"{fit},hue=s=0",
        "speed125": f"{fit},setpts=PTS/1.25,fps={fps}",
        "fps15": f"{fit},fps={fps / 2}",
    }
    if name in simple:
        return encode(output, source, f"[0:v]{simple[name]}", crf=38 if name == "crf38" else 23)
    if name == "trim15":
        return encode(output, ["-ss", f"{0.15 * d:.4f}", "-t", f"{0.70 * d:.4f}", *source], f"[0:v]{fit}")
    if name == "logo":
        image = logo_image(cache_dir / "overlays" / f"logo-{even(w)}x{even(h)}.png", even(w), even(h))
        return encode(output, [*source, "-i", str(image)], f"[0:v]{fit}[a];[a][1:v]overlay=0:0")
    if name == "text":
        count = int(d) + 2
        pattern = cache_dir / "overlays" / f"text-{even(w)}x{even(h)}-%02d.png"
        inputs = [*source, "-framerate", "1", "-i", subtitle_images(pattern, even(w), even(h), count)]
        return encode(
            output,
            inputs,
            f"[0:v]{fit}[a];[a][1:v]overlay=0:0:eof_action=repeat:shortest=0",
            extra=("-t", f"{d:.4f}"),
        )
    if name == "blurpad":
        canvas = (even(w), even(w * 16 / 9)) if w >= h else (even(h * 16 / 9), even(h))
        graph = (
            f"[0:v]{fit},split[a][b];[a]scale={even(w / 8)}:{even(h / 8)},"
            f"scale={canvas[0]}:{canvas[1]}:force_original_aspect_ratio=increase,"
            f"crop={canvas[0]}:{canvas[1]},boxblur=4:2[c];[c][b]overlay=(W-w)/2:(H-h)/2"
        )
        return encode(output, source, graph)
    if name == "pip":
        graph = (
            f"[1:v]scale={even(w)}:{even(h)},setsar=1[a];"
            f"[0:v]scale={even(0.6 * w)}:{even(0.6 * h)},setsar=1[b];"
            f"[a][b]overlay=(W-w)/2:(H-h)/2:shortest=1,fps={fps}"
        )
        inputs = [*source, "-stream_loop", "-1", "-i", str(background.path)]
        return encode(output, inputs, graph, extra=("-t", f"{d:.4f}"))
    if name == "combo":
        canvas = letterbox(crop_w, crop_h)
        image = logo_image(cache_dir / "overlays" / f"logo-{canvas[0]}x{canvas[1]}.png", *canvas)
        inputs = ["-i", str(make("crf38", original, background, cache_dir)), "-i", str(image)]
        return encode(output, inputs, f"[0:v]{crop},{pad(canvas)}[a];[a][1:v]overlay=0:0")
    raise ValueError(f"{name!r} is no transformation; there are {', '.join(TRANSFORMATIONS)}")


def shorten(path: Path, output: Path) -> Path:
    """Clips over 10.6 s or 400 pixels (short side) become 10 s and at most 360, at crf 18."""
    shape = probe(path)
    short = min(shape.width, shape.height)
    if shape.duration <= 10.6 and short <= 400:
        return path
    scale = min(1.0, 360 / short)
    graph = f"[0:v]scale={even(shape.width * scale)}:{even(shape.height * scale)}"
    return encode(output, ["-t", "10", "-i", str(path)], graph, crf=18)


@cache
def scene_table() -> dict[str, str]:
    """Clip -> camera, for the CCTV and traffic clips that were found, by eye, to share one."""
    if not SCENES.exists():
        return {}
    with SCENES.open() as file:
        return {row["clip"]: row["camera"] for row in csv.DictReader(file)}


def scene_of(path: str) -> str:
    """Name of the scene: UT-Interaction set, camera, or the clip itself."""
    stem = Path(path).stem
    if stem.startswith(("set1_", "set2_")):
        return f"ut_{stem[:4]}"
    return scene_table().get(path, stem)


def real10_original(data: Path, path: str, *, query: bool) -> Original:
    return Original(
        path.replace("/", "-").removesuffix(".mp4"), data / "videos" / "real10" / path, scene_of(path), query
    )


def originals(data: Path, cache_dir: Path) -> list[Original]:
    """The database of the benchmark; queries' sources are marked."""
    misc = [p for p in sorted((data / "videos" / "misc").iterdir()) if p.stem != "carphone_distorted"]
    misc.append(data / "videos" / "neardup" / "chair-orig-22-sd-bar.mp4")
    found = [
        Original(p.stem, shorten(p, cache_dir / "originals" / f"{p.stem}.mp4"), p.stem, query=True)
        for p in misc
    ]
    for paths in benchmark_clips(data).values():
        found += [real10_original(data, path, query=i < 4) for i, path in enumerate(paths)]
    return found


def natural_pairs(data: Path) -> list[tuple[Path, Path]]:
    """(variant, original) as others made them: uncut files."""
    folder = data / "videos" / "neardup"
    original = folder / "chair-orig-22-sd-bar.mp4"
    misc = data / "videos" / "misc"
    pairs = [(p, original) for p in sorted(folder.glob("chair-*.mp4")) if p != original]
    return [*pairs, (misc / "carphone_distorted.mp4", misc / "carphone_pristine.mp4")]


@dataclass(frozen=True)
class Query:
    """A transformed copy; ``background`` is the second original that a pip copy contains."""

    path: Path
    transformation: str
    original: Original
    background: Original | None


def queries(clips: list[Original], cache_dir: Path, *, workers: int = 2) -> list[Query]:
    """Make (or find in the cache) every transformed copy of every query clip."""
    distractors = [clip for clip in clips if not clip.query] or clips
    jobs = []
    for i, clip in enumerate(c for c in clips if c.query):
        other = next(
            d for d in distractors[i * 7 % len(distractors) :] + distractors if d.scene != clip.scene
        )
        jobs += [(name, clip, other) for name in TRANSFORMATIONS]
    # crf38 comes first in each clip's list and combo, which reads it, last
    by_clip = [jobs[i : i + len(TRANSFORMATIONS)] for i in range(0, len(jobs), len(TRANSFORMATIONS))]

    def work(batch: list[tuple[str, Original, Original]]) -> list[Query]:
        return [
            Query(make(name, clip, other, cache_dir), name, clip, other if name == "pip" else None)
            for name, clip, other in batch
        ]

    with ThreadPoolExecutor(workers) as pool:
        return [query for batch in pool.map(work, by_clip) for query in batch]
