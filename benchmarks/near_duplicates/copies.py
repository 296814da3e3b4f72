"""Copies as people make them: 47 kinds of edit, each one ffmpeg command with a fixed seed.

    python -m benchmarks.near_duplicates.copies FOLDER [--originals 40] [--kinds zoom_2,gif]

What is done to videos before they are posted again: cut to another format, zoomed, covered, filmed off a
screen, turned, composed with others, re-ordered, embedded. The 15 transformations of ``clips`` are milder
and stay beside these. Nothing here is chosen by what any descriptor finds easy.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import DATA, command_line
from benchmarks.near_duplicates.clips import (
    Original,
    Shape,
    encode,
    even,
    originals,
    probe,
    subtitle_images,
)

SECONDS = 8.0  # of an original, at most
BESIDE = 20  # clips that are composed with copies


@dataclass(frozen=True)
class Recipe:
    """What ffmpeg is told: more inputs behind the original, a graph that ends in what is written.

    Attributes:
        graph: from ``[0:v]`` (the original) and ``[1:v]``… to the last filter, without a label.
        inputs: arguments for each further input.
        crf: quality of libx264.
        before: arguments before the original, such as ``-ss``.
        suffix: of the file; another container than MP4 has its own usual codec.
    """

    graph: str
    inputs: tuple[str, ...] = ()
    crf: int = 23
    before: tuple[str, ...] = ()
    suffix: str = ".mp4"


@dataclass(frozen=True)
class Making:
    """One original, what may be composed with it, and chance."""

    original: Path
    others: Sequence[Path]
    overlays: Path
    rng: random.Random = field(repr=False)

    @cached_property
    def shape(self) -> Shape:
        """Size, rate and duration."""
        return probe(self.original)

    @property
    def size(self) -> tuple[int, int]:
        """Even width and height."""
        return even(self.shape.width), even(self.shape.height)

    @property
    def seconds(self) -> float:
        """Duration of the original."""
        return self.shape.duration

    @property
    def fit(self) -> str:
        """The original in even numbers, square pixels, at its own rate."""
        w, h = self.size
        return f"scale={w}:{h},setsar=1,fps={self.shape.fps}"

    def other(self, place: int = 0) -> tuple[str, ...]:
        """Another video as an input, repeated for as long as it takes."""
        return ("-stream_loop", "-1", "-i", str(self.others[place]))

    def picture(self, name: str, draw: Callable[[ImageDraw.ImageDraw, int, int], None]) -> tuple[str, ...]:
        """A transparent picture of the size of the original as an input, drawn once."""
        w, h = self.size
        file = self.overlays / f"{name}-{w}x{h}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("RGBA", (w, h))
            draw(ImageDraw.Draw(image), w, h)
            image.save(file)
        return ("-i", str(file))


def _plain(graph: str, **options: int) -> Callable[[Making], Recipe]:
    """An edit by filters alone, after the picture was fitted."""
    return lambda making: Recipe(f"[0:v]{making.fit},{graph}", **options)


def _font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(8, round(height)))


# Encoding and rate


def reencode(m: Making) -> Recipe:
    """Encoded again, poorly."""
    return Recipe(f"[0:v]{m.fit}", crf=33)


def gif(m: Making) -> Recipe:
    """64 colours, 10 pictures a second, half the size."""
    w, h = m.size
    small = f"fps=10,scale={even(w / 2)}:{even(h / 2)}"
    return Recipe(
        f"[0:v]{small},split[a][b];[a]palettegen=64[p];[b][p]paletteuse=dither=bayer", suffix=".gif"
    )


def frame_drops(m: Making) -> Recipe:
    """Every third picture or so missing, the others shown for longer."""
    return Recipe(f"[0:v]{m.fit},select='gt(mod(n*7919\\,101)\\,33)',fps={m.shape.fps}")


def tiny(m: Making) -> Recipe:
    """144 lines, two pictures a second, at a bit rate where blocks are all there is."""
    w, h = m.size
    return Recipe(f"[0:v]fps=2,scale={even(144 * w / h)}:144", crf=45)


# Time


def loop(m: Making) -> Recipe:
    """Twice in a row."""
    return Recipe(f"[0:v]{m.fit},split[a][b];[a][b]concat")


def boomerang(m: Making) -> Recipe:
    """Forwards, then backwards."""
    return Recipe(f"[0:v]{m.fit},split[a][b];[b]reverse[c];[a][c]concat")


def reversed_(m: Making) -> Recipe:
    """Backwards."""
    return Recipe(f"[0:v]{m.fit},reverse")


def shuffled(m: Making) -> Recipe:
    """Four quarters in another order."""
    order, quarter = (2, 0, 3, 1), m.seconds / 4
    cuts = "".join(
        f"[s{i}]trim={i * quarter:.3f}:{(i + 1) * quarter:.3f},setpts=PTS-STARTPTS[q{i}];" for i in range(4)
    )
    labels = "".join(f"[s{i}]" for i in range(4))
    return Recipe(f"[0:v]{m.fit},split=4{labels};{cuts}{''.join(f'[q{i}]' for i in order)}concat=n=4")


def speed(factor: float) -> Callable[[Making], Recipe]:
    """Faster or slower by a factor."""
    return lambda m: Recipe(f"[0:v]{m.fit},setpts=PTS/{factor},fps={m.shape.fps}")


def excerpt(m: Making) -> Recipe:
    """30 % of it."""
    start = m.rng.uniform(0.1, 0.6) * m.seconds
    return Recipe(f"[0:v]{m.fit}", before=("-ss", f"{start:.3f}", "-t", f"{0.3 * m.seconds:.3f}"))


def intro_outro(m: Making) -> Recipe:
    """Between 3 s of one other video and 3 s of another."""
    pieces = "".join(f"[{i}:v]{m.fit},trim=0:3,setpts=PTS-STARTPTS[o{i}];" for i in (1, 2))
    return Recipe(f"{pieces}[0:v]{m.fit}[a];[o1][a][o2]concat=n=3", m.other(0) + m.other(1))


def compilation(m: Making) -> Recipe:
    """The third of four videos of about its own length."""
    cut = f"trim=0:{m.seconds:.3f},setpts=PTS-STARTPTS"
    pieces = "".join(f"[{i}:v]{m.fit},{cut}[o{i}];" for i in (1, 2, 3))
    return Recipe(f"{pieces}[0:v]{m.fit}[a];[o1][o2][a][o3]concat=n=4", m.other(0) + m.other(1) + m.other(2))


def slide_in(m: Making) -> Recipe:
    """It slides over another video for two seconds, stays, and slides away for one."""
    d = m.seconds
    x = f"if(lt(t\\,2)\\,W-W*t/2\\,if(gt(t\\,{d - 1:.3f})\\,-W*(t-{d - 1:.3f})\\,0))"
    return Recipe(f"[1:v]{m.fit},trim=0:{d:.3f}[b];[0:v]{m.fit}[a];[b][a]overlay=x='{x}':y=0", m.other())


# Frames around, things on top


def meme_bars(m: Making) -> Recipe:
    """A white field with two lines of text above, a thin one below."""
    w, h = m.size
    top, bottom = even(0.32 * h), even(0.08 * h)

    def draw(canvas: ImageDraw.ImageDraw, width: int, height: int) -> None:
        for line, text in enumerate(("when the tests pass", "on the first try")):
            canvas.text(
                (width / 2, (0.3 + 0.42 * line) * top), text, font=_font(0.3 * top), fill="black", anchor="mm"
            )

    graph = f"[0:v]{m.fit},pad={w}:{h + top + bottom}:0:{top}:white[a];[a][1:v]overlay=0:0"
    return Recipe(graph, m.picture("meme", draw))


def subtitles(m: Making) -> Recipe:
    """Three words a second, in the lowest quarter."""
    w, h = m.size
    pattern = m.overlays / f"subtitles-{w}x{h}-%02d.png"
    words = subtitle_images(pattern, w, h, int(m.seconds) + 2)
    graph = f"[0:v]{m.fit}[a];[a][1:v]overlay=0:0:eof_action=repeat,trim=0:{m.seconds:.3f}"
    return Recipe(graph, ("-framerate", "1", "-i", words))


def border(m: Making) -> Recipe:
    """A coloured frame of 8 % on all sides."""
    w, h = m.size
    side = even(0.08 * min(w, h))
    return Recipe(f"[0:v]{m.fit},pad={w + 2 * side}:{h + 2 * side}:{side}:{side}:0xd03060")


def stickers(m: Making) -> Recipe:
    """Four coloured discs that wander over the picture."""
    w, h = m.size
    side = even(0.24 * min(w, h))
    graph, inputs = f"[0:v]{m.fit}[v0];", ()
    for i, colour in enumerate(("#ffcc00", "#ff3355", "#33aaff", "#55dd55")):
        file = m.overlays / f"disc-{side}-{i}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("RGBA", (side, side))
            ImageDraw.Draw(image).ellipse((0, 0, side - 1, side - 1), fill=colour)
            image.save(file)
        inputs += ("-i", str(file))
        u, v = 0.5 + 0.3 * i, 0.7 + 0.2 * i
        x, y = f"(W-w)*(0.5+0.5*sin({u:.1f}*t+{i}))", f"(H-h)*(0.5+0.5*cos({v:.1f}*t+{2 * i}))"
        graph += f"[v{i}][{i + 1}:v]overlay=x='{x}':y='{y}'" + (f"[v{i + 1}];" if i < 3 else "")
    return Recipe(graph, inputs)


def face_camera(m: Making) -> Recipe:
    """Another video at 30 % in a lower corner."""
    w, h = m.size
    small = f"scale={even(0.3 * w)}:{even(0.3 * h)},setsar=1,fps={m.shape.fps},trim=0:{m.seconds:.3f}"
    return Recipe(f"[0:v]{m.fit}[a];[1:v]{small}[b];[a][b]overlay=W-w:H-h:shortest=1", m.other())


def watermark(m: Making) -> Recipe:
    """A name over everything, again and again, half transparent."""

    def draw(canvas: ImageDraw.ImageDraw, width: int, height: int) -> None:
        step = 0.2 * height
        for row in range(6):
            for column in range(math.ceil(width / (2.2 * step)) + 1):
                at = (2.2 * step * column - row % 2 * step, step * row)
                canvas.text(at, "SAMPLE", font=_font(0.45 * step), fill=(255, 255, 255, 110))

    return Recipe(f"[0:v]{m.fit}[a];[a][1:v]overlay=0:0", m.picture("watermark", draw))


def half_mosaic(m: Making) -> Recipe:
    """The left half in blocks."""
    w, h = m.size
    half = even(w / 2)
    graph = f"[0:v]{m.fit},split[a][b];[b]crop={half}:{h}:0:0,pixelize=w=16:h=16[c];[a][c]overlay=0:0"
    return Recipe(graph)


# Cuts


def vertical(m: Making) -> Recipe:
    """The middle, at 9:16."""
    w, h = m.size
    return Recipe(f"[0:v]{m.fit},crop={even(min(w, 9 / 16 * h))}:{even(min(h, 16 / 9 * w))}")


def pan_and_scan(m: Making) -> Recipe:
    """A window at 9:16 that goes from left to right and back."""
    w, h = m.size
    return Recipe(f"[0:v]{m.fit},crop={even(min(w, 9 / 16 * h))}:{h}:'(iw-ow)*(0.5-0.5*cos(0.8*t))':0")


def zoom(factor: float, corner: bool = False) -> Callable[[Making], Recipe]:
    """Enlarged into the middle or a corner, the rest cut off."""

    def recipe(m: Making) -> Recipe:
        w, h = m.size
        place = ":0:0" if corner else ""
        return Recipe(f"[0:v]{m.fit},crop={even(w / factor)}:{even(h / factor)}{place},scale={w}:{h}")

    return recipe


def slow_zoom(m: Making) -> Recipe:
    """From the whole picture to 1.3 times its size."""
    w, h = m.size
    scale = f"scale=w='2*trunc({w}*(1+0.3*t/{m.seconds:.3f})/2)':h='2*trunc({h}*(1+0.3*t/{m.seconds:.3f})/2)'"
    return Recipe(f"[0:v]{m.fit},{scale}:eval=frame,crop={w}:{h}")


# Composed


def side_by_side(m: Making) -> Recipe:
    """Beside another video of the same size."""
    return Recipe(
        f"[0:v]{m.fit}[a];[1:v]{m.fit},trim=0:{m.seconds:.3f}[b];[a][b]hstack=shortest=1", m.other()
    )


def stacked(m: Making) -> Recipe:
    """Above another video."""
    return Recipe(
        f"[0:v]{m.fit}[a];[1:v]{m.fit},trim=0:{m.seconds:.3f}[b];[a][b]vstack=shortest=1", m.other()
    )


def one_of_four(m: Making) -> Recipe:
    """A quarter of the picture, three others in the rest."""
    pieces = "".join(f"[{i}:v]{m.fit},trim=0:{m.seconds:.3f}[o{i}];" for i in (1, 2, 3))
    stack = "xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0:shortest=1"
    return Recipe(f"{pieces}[0:v]{m.fit}[a];[o1][a][o2][o3]{stack}", m.other(0) + m.other(1) + m.other(2))


# Filmed off a screen, turned


def recapture(hard: bool) -> Callable[[Making], Recipe]:
    """In perspective, noisy, with a cast and dark edges; hard: also out of focus, with moiré and surround."""

    def recipe(m: Making) -> Recipe:
        w, h = m.size
        off = 0.14 if hard else 0.05
        corners = [
            (off * w, 0.4 * off * h), (w - 0.3 * off * w, off * h),
            (0.5 * off * w, h - off * h), (w - off * w, h - 0.2 * off * h),
        ]  # fmt: skip
        places = ":".join(
            f"{axis}{i}={value:.1f}"
            for i, corner in enumerate(corners)
            for axis, value in zip("xy", corner, strict=True)
        )
        graph = f"[0:v]{m.fit},perspective={places}:sense=destination"
        if hard:
            graph += ",geq=lum='lum(X,Y)*(0.86+0.14*sin(2*PI*(X*0.83+Y*0.31)/3.7))':cb='cb(X,Y)':cr='cr(X,Y)'"
            graph += ",gblur=sigma=1.6,eq=contrast=0.7:brightness=0.12:saturation=0.7"
            graph += f",pad={even(1.3 * w)}:{even(1.3 * h)}:(ow-iw)/2:(oh-ih)/2:0x282420"
        return Recipe(
            f"{graph},colorbalance=rm=0.12:bm=-0.1,vignette=PI/5,noise=alls={24 if hard else 10}:allf=t"
        )

    return recipe


def turned(degrees: float) -> Callable[[Making], Recipe]:
    """By a few degrees, with dark corners."""
    return _plain(f"rotate={math.radians(degrees):.5f}:c=black")


# Several at once


def repost(m: Making) -> Recipe:
    """Mirrored, zoomed a little, faster, in other colours, between bars."""
    w, h = m.size
    graph = (
        f"[0:v]{m.fit},hflip,crop={even(w / 1.12)}:{even(h / 1.12)},scale={w}:{h},setpts=PTS/1.1,"
        f"fps={m.shape.fps},eq=contrast=1.15:saturation=1.4,hue=h=12,pad={w}:{even(1.4 * h)}:0:(oh-ih)/2"
    )
    return Recipe(graph, crf=30)


COPIES: dict[str, Callable[[Making], Recipe]] = {
    "reencode": reencode,
    "stretch": lambda m: Recipe(f"[0:v]{m.fit},scale={even(1.5 * m.size[0])}:{m.size[1]}"),
    "gif": gif,
    "frame_drops": frame_drops,
    "loop": loop,
    "boomerang": boomerang,
    "speed_0.5": speed(0.5),
    "speed_0.75": speed(0.75),
    "speed_1.5": speed(1.5),
    "speed_2": speed(2.0),
    "meme_bars": meme_bars,
    "subtitles": subtitles,
    "border": border,
    "recapture": recapture(hard=False),
    "recapture_hard": recapture(hard=True),
    "vertical": vertical,
    "pan_and_scan": pan_and_scan,
    "zoom_1.5": zoom(1.5),
    "zoom_2": zoom(2.0),
    "zoom_corner": zoom(1.5, corner=True),
    "stickers": stickers,
    "face_camera": face_camera,
    "watermark": watermark,
    "half_mosaic": half_mosaic,
    "side_by_side": side_by_side,
    "stacked": stacked,
    "one_of_four": one_of_four,
    "sepia": _plain("colorchannelmixer=.393:.769:.189:0:.349:.686:.168:0:.272:.534:.131"),
    "hue": _plain("hue=h=90"),
    "contrast": _plain("eq=contrast=1.8:brightness=-0.05"),
    "inverted": _plain("negate"),
    "noise": _plain("noise=alls=70:allf=t"),
    "blur": _plain("gblur=sigma=4"),
    "tiny": tiny,
    "turned_5": turned(5),
    "turned_10": turned(10),
    "turned_90": _plain("transpose=1"),
    "turned_180": _plain("hflip,vflip"),
    "upside_down": _plain("vflip"),
    "reversed": reversed_,
    "shuffled": shuffled,
    "intro_outro": intro_outro,
    "compilation": compilation,
    "excerpt": excerpt,
    "slide_in": slide_in,
    "repost": repost,
    "slow_zoom": slow_zoom,
}
"""Name → how it is made."""


@dataclass(frozen=True)
class Copy:
    """A copy, of what, and by which kind of edit."""

    path: Path
    kind: str
    original: Original


def make(kind: str, original: Original, others: Sequence[Path], cache: Path) -> Copy:
    """Make one copy, or find it in the cache; the same for the same arguments."""
    making = Making(original.path, others, cache / "overlays", random.Random(f"{kind} {original.name}"))
    recipe = COPIES[kind](making)
    inputs = [*recipe.before, "-i", str(original.path), *recipe.inputs]
    path = cache / "copies" / kind / f"{original.name}{recipe.suffix}"
    return Copy(encode(path, inputs, recipe.graph, crf=recipe.crf), kind, original)


def shortened(original: Original, cache: Path) -> Original:
    """The first seconds of an original, as the file that copies are made of."""
    if probe(original.path).duration <= SECONDS + 0.5:
        return original
    path = encode(
        cache / "shortened" / f"{original.name}.mp4",
        ["-t", f"{SECONDS:g}", "-i", str(original.path)],
        None,
        crf=18,
    )
    return Original(original.name, path, original.scene, original.query)


def of_different_scenes(clips: Sequence[Original], count: int) -> list[Original]:
    """So many originals, no two of one scene, drawn from all classes alike."""
    seen: set[str] = set()
    found = []
    for clip in sorted(clips, key=lambda clip: random.Random(f"scene {clip.name}").random()):
        if clip.scene not in seen:
            seen.add(clip.scene)
            found.append(clip)
    return found[:count]


def copies(
    clips: Sequence[Original],
    strangers: Sequence[Original],
    cache: Path,
    *,
    kinds: Sequence[str],
    workers: int = 2,
) -> list[Copy]:
    """Every copy of every clip; what is composed with it are strangers, which nobody searches for."""
    pool_of = [clip.path for clip in strangers]

    def work(job: tuple[int, Original, str]) -> Copy:
        place, clip, kind = job
        turn = [pool_of[(3 * place + step) % len(pool_of)] for step in range(3)]
        return make(kind, clip, turn, cache)

    jobs = [(place, clip, kind) for place, clip in enumerate(clips) for kind in kinds]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, jobs))


@dataclass(frozen=True)
class CopySet:
    """What a benchmark asks for and where.

    Attributes:
        clips: originals of different scenes; those at even places are for tuning, the others for reporting.
        strangers: of other scenes; nothing is made of them.
        made: copies of ``clips``, a kind after the other for each clip.
    """

    clips: list[Original]
    strangers: list[Original]
    made: list[Copy]


def copy_set(cache: Path, *, originals_: int = 40, strangers: int = 80, kinds: Sequence[str]) -> CopySet:
    """The copies of so many originals, with strangers of other scenes.

    What is composed with a copy is among neither.
    """
    chosen = of_different_scenes(originals(DATA, cache), originals_ + BESIDE + strangers)
    clips = [shortened(clip, cache) for clip in chosen[:originals_]]
    beside, rest = chosen[originals_:][:BESIDE], chosen[originals_:][BESIDE:]
    return CopySet(clips, rest, copies(clips, beside, cache, kinds=kinds))


def main() -> None:
    """Make them into a folder, to be looked at."""
    parser = command_line(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--originals", type=int, default=40)
    parser.add_argument("--kinds", default=",".join(COPIES))
    given = parser.parse_args()
    found = copy_set(given.folder, originals_=given.originals, strangers=0, kinds=given.kinds.split(","))
    print(f"{len(found.made)} copies of {len(found.clips)} originals in {given.folder}")


if __name__ == "__main__":
    main()
