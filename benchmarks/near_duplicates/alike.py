"""Videos that were made alike and are no copies: one template, one desktop, one intro, blank tails, bars.

    python -m benchmarks.near_duplicates.alike FOLDER

Sets of so many videos each, drawn or composed by ffmpeg with a fixed seed. Within a set every pair looks
alike and is another video: whoever groups two of them would have a person delete one. Each comes with a poor
re-encode of itself, which has to be found.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.common import DATA, command_line
from benchmarks.near_duplicates.clips import encode, originals
from benchmarks.near_duplicates.copies import of_different_scenes, shortened

COUNT = 12
"""Videos of each set."""
WIDTH, HEIGHT, RATE, SECONDS = 426, 240, 10, 8
_WORDS = """
gradient matrix kernel sample random model theorem proof lemma entropy channel bound signal noise filter
memory thread socket packet buffer cache index query table column row join graph node edge path cycle
market price demand supply budget margin profit growth region climate energy carbon forest river harbour
""".split()  # noqa: SIM905 (a list of so many words is no pleasure to read)


@dataclass(frozen=True)
class Alike:
    """One video of a set, and its re-encode."""

    set: str
    path: Path
    reencode: Path


Frame = Callable[[float], Image.Image]


def slides(place: int, base: Image.Image) -> Frame:
    """A talk on one template: header, logo and footer are always the same, three slides of its own."""
    return _talk(place, face=False)


def lecture(place: int, base: Image.Image) -> Frame:
    """The same with the lecturer's moving head in a corner, and lines that appear one by one."""
    return _talk(place, face=True)


def _talk(place: int, *, face: bool) -> Frame:
    rng = random.Random(f"talk {place} {face}")
    pages = [[" ".join(rng.sample(_WORDS, 3)) for _ in range(5)] for _ in range(3)]
    titles = [" ".join(rng.sample(_WORDS, 2)) for _ in range(3)]
    phase = rng.uniform(0, 6)

    def frame(t: float) -> Image.Image:
        image = Image.new("RGB", (WIDTH, HEIGHT), (248, 248, 244))
        draw = ImageDraw.Draw(image)
        page = min(2, int(3 * t / SECONDS))
        draw.rectangle((0, 0, WIDTH, 34), fill=(20, 60, 120))
        draw.text((12, 6), titles[page], font=_font(19), fill="white")
        draw.ellipse((WIDTH - 32, 4, WIDTH - 6, 30), fill=(230, 180, 40))
        draw.rectangle((0, HEIGHT - 16, WIDTH, HEIGHT), fill=(20, 60, 120))
        draw.text((10, HEIGHT - 14), "Institute of Applied Studies", font=_font(10), fill="white")
        shown = 5 if not face else 1 + int(4.99 * ((3 * t / SECONDS) % 1))
        for line, text in enumerate(pages[page][:shown]):
            draw.text((24, 48 + 32 * line), f"•  {text}", font=_font(16), fill=(30, 30, 30))
        if face:
            x, y = WIDTH - 62 + 5 * np.sin(1.7 * t + phase), HEIGHT - 62 + 3 * np.sin(2.3 * t + 2 * phase)
            draw.rectangle((WIDTH - 104, HEIGHT - 96, WIDTH - 8, HEIGHT - 20), fill=(90, 100, 95))
            draw.ellipse((x - 20, y - 26, x + 20, y + 26), fill=(224, 180, 150))
            draw.ellipse((x - 8, y + 8, x + 8, y + 10 + 4 * abs(np.sin(7 * t + phase))), fill=(120, 40, 40))
        return image

    return frame


def desktop(place: int, base: Image.Image) -> Frame:
    """A screen recording: one wallpaper and task bar, a window of its own with text that scrolls."""
    rng = random.Random(f"desktop {place}")
    lines = [" ".join(rng.sample(_WORDS, rng.randint(2, 7))) for _ in range(60)]
    left, top = rng.randint(20, 120), rng.randint(15, 60)
    speed = rng.uniform(10, 40)

    def frame(t: float) -> Image.Image:
        image = base.copy()
        draw = ImageDraw.Draw(image)
        window = Image.new("RGB", (260, 150), (252, 252, 252))
        inner = ImageDraw.Draw(window)
        for line, text in enumerate(lines):
            inner.text((8, 20 + 14 * line - speed * t), text, font=_font(11), fill=(20, 20, 20))
        inner.rectangle((0, 0, 260, 16), fill=(70, 70, 80))
        image.paste(window, (left, top))
        draw.rectangle((0, HEIGHT - 20, WIDTH, HEIGHT), fill=(35, 35, 42))
        for icon in range(8):
            draw.rectangle((6 + 24 * icon, HEIGHT - 17, 20 + 24 * icon, HEIGHT - 3), fill=_COLOURS[icon])
        return image

    return frame


def dark(place: int, base: Image.Image) -> Frame:
    """The noise of a sensor in the dark: nothing in it says anything."""
    generator = np.random.default_rng(place)

    def frame(t: float) -> Image.Image:
        noise = np.abs(generator.normal(0, 5, (HEIGHT // 2, WIDTH // 2, 3)))
        return Image.fromarray(noise.astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)

    return frame


def cartoon(place: int, base: Image.Image) -> Frame:
    """A show: the same room and the same two figures, who move and speak otherwise in each episode."""
    rng = random.Random(f"cartoon {place}")
    waves = [(rng.uniform(0.3, 1.2), rng.uniform(0, 6), rng.uniform(20, 60)) for _ in range(4)]

    def frame(t: float) -> Image.Image:
        image = Image.new("RGB", (WIDTH, HEIGHT), (250, 214, 120))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 170, WIDTH, HEIGHT), fill=(160, 100, 60))
        draw.rectangle((290, 30, 380, 110), fill=(120, 190, 240), outline=(90, 60, 30), width=5)
        for figure, colour in enumerate(((60, 120, 220), (210, 60, 70))):
            (a, b, c), (d, e, f) = waves[2 * figure : 2 * figure + 2]
            x, y = 120 + 170 * figure + c * np.sin(a * t + b), 150 + f / 3 * np.sin(d * t + e)
            draw.rounded_rectangle((x - 30, y - 45, x + 30, y + 60), 18, fill=colour)
            draw.ellipse((x - 24, y - 92, x + 24, y - 44), fill=(252, 222, 190), outline="black")
            draw.ellipse((x - 12, y - 78, x - 4, y - 70), fill="black")
            draw.ellipse((x + 4, y - 78, x + 12, y - 70), fill="black")
            draw.arc((x - 10, y - 70, x + 10, y - 54 + 8 * np.sin(6 * t + b)), 0, 180, fill="black", width=3)
        return image

    return frame


DRAWN: dict[str, Callable[[int, Image.Image], Frame]] = {
    "slides": slides, "lecture": lecture, "desktop": desktop, "dark": dark, "cartoon": cartoon,
}  # fmt: skip


def studio(inset: Path, common: Path, intro: Path) -> tuple[list[str], str]:
    """A news studio: one picture of it, the report of the day on the screen behind."""
    graph = (
        f"[1:v]scale={WIDTH}:{HEIGHT},setsar=1[a];[0:v]scale=150:96,setsar=1,fps={RATE}[b];"
        f"[a][b]overlay=250:30:shortest=1,trim=0:{SECONDS}"
    )
    return ["-i", str(inset), "-loop", "1", "-framerate", str(RATE), "-i", str(common)], graph


def shared_intro(own: Path, common: Path, intro: Path) -> tuple[list[str], str]:
    """Five seconds that all of them begin with, then six of its own."""
    same = f"scale={WIDTH}:{HEIGHT},setsar=1,fps={RATE}"
    return ["-i", str(own), "-i", str(intro)], (
        f"[1:v]{same},trim=0:5,setpts=PTS-STARTPTS[a];[0:v]{same},trim=0:6,setpts=PTS-STARTPTS[b];"
        "[a][b]concat=n=2"
    )


def blank_tail(own: Path, common: Path, intro: Path) -> tuple[list[str], str]:
    """Two seconds, then ten of black."""
    same = f"scale={WIDTH}:{HEIGHT},setsar=1,fps={RATE}"
    return ["-i", str(own), "-f", "lavfi", "-i", f"color=black:s={WIDTH}x{HEIGHT}:r={RATE}:d=10"], (
        f"[0:v]{same},trim=0:2,setpts=PTS-STARTPTS[a];[1:v]setsar=1[b];[a][b]concat=n=2"
    )


def tall_bars(own: Path, common: Path, intro: Path) -> tuple[list[str], str]:
    """A film of 2.39:1 between the black bars of a telephone."""
    return ["-i", str(own)], (f"[0:v]scale=240:100,setsar=1,fps={RATE},trim=0:{SECONDS},pad=240:426:0:163")


COMPOSED: dict[str, Callable[[Path, Path, Path], tuple[list[str], str]]] = {
    "studio": studio, "shared_intro": shared_intro, "blank_tail": blank_tail, "tall_bars": tall_bars,
}  # fmt: skip
SETS = (*DRAWN, *COMPOSED)
_COLOURS = [
    (220, 60, 60), (60, 160, 220), (240, 200, 60), (90, 190, 90),
    (200, 120, 220), (240, 140, 60), (120, 120, 240), (230, 230, 230),
]  # fmt: skip


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=height)


def _wallpaper() -> Image.Image:
    noise = np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return (
        Image.fromarray(noise)
        .resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        .filter(ImageFilter.GaussianBlur(6))
    )


def _draw(frame: Frame, file: Path) -> Path:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.mp4")
        with av.open(str(part), "w") as output:
            stream = output.add_stream("libx264", rate=RATE, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.thread_count = 1
            for i in range(SECONDS * RATE):
                output.mux(stream.encode(av.VideoFrame.from_image(frame(i / RATE))))
            output.mux(stream.encode())
        part.rename(file)
    return file


def made_alike(clips: Sequence[Path], cache: Path, *, sets: Sequence[str] = SETS) -> list[Alike]:
    """``COUNT`` videos of each set, from the cache where they are there.

    Args:
        clips: of different scenes, one more than ``COUNT``; the last one is what is shared.
        cache: folder.
        sets: which ones.
    """
    wallpaper, found = _wallpaper(), []
    picture = cache / "alike" / "studio.png"
    if not picture.exists():
        picture.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(clips[-1])) as shared:
            next(shared.decode(video=0)).to_image().save(picture)
    for name in sets:
        for place in range(COUNT):
            file = cache / "alike" / name / f"{place}.mp4"
            if name in DRAWN:
                path = _draw(DRAWN[name](place, wallpaper), file)
            else:
                inputs, graph = COMPOSED[name](clips[place], picture, clips[-1])
                path = encode(file, inputs, graph, crf=20)
            again = encode(file.with_name(f"{place}-again.mp4"), ["-i", str(path)], None, crf=33)
            found.append(Alike(name, path, again))
    return found


def main() -> None:
    """Make them into a folder, to be looked at."""
    parser = command_line(__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    chosen = of_different_scenes(originals(DATA, folder), COUNT + 1)
    made = made_alike([shortened(clip, folder).path for clip in chosen], folder)
    print(f"{len(made)} videos of {len(SETS)} sets in {folder / 'alike'}")


if __name__ == "__main__":
    main()
