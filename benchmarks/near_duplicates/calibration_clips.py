"""Copies to calibrate on: clips that no benchmark owns, altered at random by ffmpeg.

Kinds of change are those that people meet; every parameter is drawn from a range, and
overlays, borders and insets lie anywhere, so that nothing here knows the near-duplicate
benchmark's own numbers. Originals come from the ``tune`` half of ``training/clips.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.near_duplicates.clips import Shape, encode, even, probe
from training.clips import FOLDER, split

Draw = random.Random


@dataclass(frozen=True)
class Copy:
    """One altered copy: ``original`` is what it was made from, ``other`` what else is to be seen in it."""

    path: Path
    kind: str
    original: Path
    other: Path | None = None


@dataclass(frozen=True)
class Job:
    """What a kind of change is given to work on."""

    source: Path
    other: Path
    shape: Shape
    draw: Draw
    output: Path

    @property
    def size(self) -> tuple[int, int]:
        return even(self.shape.width), even(self.shape.height)

    @property
    def fit(self) -> str:
        return "scale={}:{}".format(*self.size)


def plain(job: Job, graph: str, crf: int | None = None) -> Path:
    crf = job.draw.randint(20, 28) if crf is None else crf
    return encode(job.output, ["-i", str(job.source)], f"[0:v]{graph}", crf=crf)


def reencode(job: Job) -> Path:
    return plain(job, job.fit, job.draw.randint(33, 40))


def resize(job: Job) -> Path:
    w, h = job.size
    share = job.draw.uniform(0.35, 0.75)
    return plain(job, f"scale={even(w * share)}:{even(h * share * job.draw.uniform(0.9, 1.1))}")


def bars_graph(job: Job, width: int, height: int) -> str:
    """Bars of one colour on two sides, or four; the picture not always in the middle."""
    draw = job.draw
    share = draw.uniform(0.5, 0.88)
    both = draw.random() < 0.2
    canvas = even(width / (share if both or draw.random() < 0.5 else 1.0)), 0
    canvas = canvas[0], even(height / share) if both or canvas[0] == width else height
    colour = "black" if draw.random() < 0.6 else f"0x{draw.randrange(1 << 24):06x}"
    left = int((canvas[0] - width) * draw.choice((0.5, 0.5, draw.random()))) // 2 * 2
    top = int((canvas[1] - height) * draw.choice((0.5, 0.5, draw.random()))) // 2 * 2
    return f"pad={canvas[0]}:{canvas[1]}:{left}:{top}:color={colour}"


def bars(job: Job) -> Path:
    return plain(job, f"{job.fit},{bars_graph(job, *job.size)}")


def crop_size(job: Job) -> tuple[int, int, str]:
    w, h = job.size
    cw, ch = even(w * job.draw.uniform(0.7, 0.95)), even(h * job.draw.uniform(0.7, 0.95))
    left, top = int((w - cw) * job.draw.uniform(0.2, 0.8)), int((h - ch) * job.draw.uniform(0.2, 0.8))
    return cw, ch, f"{job.fit},crop={cw}:{ch}:{left}:{top}"


def crop(job: Job) -> Path:
    return plain(job, crop_size(job)[2])


def mirror(job: Job) -> Path:
    return plain(job, f"{job.fit},hflip")


def light(job: Job) -> Path:
    draw = job.draw
    brightness, contrast = draw.uniform(-0.12, 0.15), draw.uniform(0.75, 1.35)
    gamma = draw.uniform(0.8, 1.25)
    return plain(job, f"{job.fit},eq=brightness={brightness:.3f}:contrast={contrast:.3f}:gamma={gamma:.3f}")


def colour(job: Job) -> Path:
    draw = job.draw
    if draw.random() < 0.5:
        return plain(job, f"{job.fit},hue=s={draw.uniform(0, 0.3):.2f}")
    return plain(job, f"{job.fit},hue=h={draw.uniform(-25, 25):.1f}:s={draw.uniform(0.5, 1.5):.2f}")


def speed(job: Job) -> Path:
    factor = job.draw.choice((job.draw.uniform(0.75, 0.9), job.draw.uniform(1.1, 1.35)))
    return plain(job, f"{job.fit},setpts=PTS/{factor:.3f},fps={job.shape.fps}")


def trim(job: Job) -> Path:
    keep = job.draw.uniform(0.6, 0.9)
    start = job.draw.uniform(0, 1 - keep) * job.shape.duration
    cut = ["-ss", f"{start:.4f}", "-t", f"{keep * job.shape.duration:.4f}", "-i", str(job.source)]
    return encode(job.output, cut, f"[0:v]{job.fit}")


def rate(job: Job) -> Path:
    return plain(job, f"{job.fit},fps={float(job.shape.fps) * job.draw.uniform(0.3, 0.8):.3f}")


def picture(job: Job, width: int, height: int) -> Path:
    """A logo somewhere along the edges, perhaps a band with text."""
    draw = job.draw
    file = job.output.with_suffix(".png")
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(image)
    bw, bh = draw.uniform(0.1, 0.26) * width, draw.uniform(0.1, 0.26) * height
    x, y = draw.choice((0.0, width - bw)), draw.choice((0.0, height - bh))
    tint = tuple(draw.randrange(256) for _ in range(3))
    shape = draw.choice((pen.rectangle, pen.ellipse))
    shape((x, y, x + bw, y + bh), fill=(*tint, draw.randint(180, 255)))
    if draw.random() < 0.7:
        band = draw.uniform(0.08, 0.18) * height
        top = draw.choice((0.0, height - band))
        pen.rectangle((0, top, width, top + band), fill=(*tint[::-1], draw.randint(120, 255)))
        font = ImageFont.load_default(size=max(8, round(0.6 * band)))
        pen.text((width / 2, top + band / 2), "LIVE FROM THE SCENE", font=font, fill="white", anchor="mm")
    image.save(file)
    return file


def overlay(job: Job) -> Path:
    image = picture(job, *job.size)
    graph = f"[0:v]{job.fit}[a];[a][1:v]overlay=0:0"
    return encode(job.output, ["-i", str(job.source), "-i", str(image)], graph)


def blurred(job: Job) -> Path:
    """The clip over a blurred, enlarged copy of itself, on an upright, square or wide canvas."""
    w, h = job.size
    ratio = job.draw.choice((16 / 9, 1.6, 1.25, 1.0, 9 / 16))  # height / width of the canvas
    canvas = (w, even(w * ratio)) if w * ratio > h * 1.1 else (even(h / min(ratio, h / w / 1.3)), h)
    sigma = job.draw.uniform(5, 16)
    graph = (
        f"[0:v]{job.fit},split[a][b];"
        f"[a]scale={canvas[0]}:{canvas[1]}:force_original_aspect_ratio=increase,"
        f"crop={canvas[0]}:{canvas[1]},gblur=sigma={sigma:.1f},"
        f"eq=brightness={job.draw.uniform(-0.2, 0):.2f}[c];"
        f"[c][b]overlay=(W-w)/2:(H-h)/2"
    )
    return encode(job.output, ["-i", str(job.source)], graph)


def inset(job: Job) -> Path:
    """The clip at a part of its size, somewhere over another one."""
    w, h = job.size
    share = job.draw.uniform(0.45, 0.78)
    x, y = (job.draw.choice((0.5, job.draw.random())) for _ in range(2))
    graph = (
        f"[1:v]scale={w}:{h},setsar=1[a];[0:v]scale={even(w * share)}:{even(h * share)},setsar=1[b];"
        f"[a][b]overlay=(W-w)*{x:.3f}:(H-h)*{y:.3f}:shortest=1,fps={job.shape.fps}"
    )
    inputs = ["-i", str(job.source), "-stream_loop", "-1", "-i", str(job.other)]
    return encode(job.output, inputs, graph, extra=("-t", f"{job.shape.duration:.4f}"))


def border(job: Job) -> Path:
    """The clip within a still picture, a frame of another clip."""
    w, h = job.size
    share = job.draw.uniform(0.55, 0.85)
    graph = (
        f"[1:v]scale={w}:{h},setsar=1,loop=-1:1:0[a];"
        f"[0:v]scale={even(w * share)}:{even(h * share)},setsar=1[b];"
        f"[a][b]overlay=(W-w)*{job.draw.choice((0.5, job.draw.random())):.3f}:(H-h)/2:shortest=1,"
        f"fps={job.shape.fps}"
    )
    inputs = ["-i", str(job.source), "-i", str(job.other)]
    return encode(job.output, inputs, graph, extra=("-t", f"{job.shape.duration:.4f}"))


def several(job: Job) -> Path:
    """Cropped, coarse, with a logo, within bars."""
    cw, ch, graph = crop_size(job)
    image = picture(job, cw, ch)
    graph = f"[0:v]{graph}[a];[a][1:v]overlay=0:0,{bars_graph(job, cw, ch)}"
    return encode(job.output, ["-i", str(job.source), "-i", str(image)], graph, crf=job.draw.randint(28, 36))


KINDS: dict[str, Callable[[Job], Path]] = {
    f.__name__: f
    for f in (
        reencode, resize, bars, crop, mirror, light, colour, speed, trim, rate, overlay, blurred, inset,
        border, several,
    )
}  # fmt: skip


def tune_clips(data: Path, each: int) -> list[Path]:
    """The first ``each`` clips of every class of the tune half."""
    classes: dict[str, list[Path]] = {}
    for name in split(data)["tune"]:
        classes.setdefault(name.split("/")[0], []).append(data / FOLDER / name)
    return [path for paths in classes.values() for path in paths[:each]]


def copies(data: Path, folder: Path, *, each: int = 8) -> list[Copy]:
    """Make, or find in ``folder``, a copy of every kind of ``each`` clips a class."""
    originals = tune_clips(data, each)
    found = []
    for i, source in enumerate(originals):
        # another class, so another scene for all but the two sets of UT-Interaction
        other = originals[(i + each * 5 + 3) % len(originals)]
        shape = probe(source)
        for kind, make in KINDS.items():
            draw = random.Random(f"{kind} {source.parent.name}/{source.name}")
            output = folder / kind / f"{source.parent.name}-{source.stem}.mp4"
            path = make(Job(source, other, shape, draw, output))
            found.append(Copy(path, kind, source, other if kind == "inset" else None))
    return found
