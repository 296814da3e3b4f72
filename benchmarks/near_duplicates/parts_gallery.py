"""The gallery of the parts benchmark: long videos of real clips, with parts planted in them; the truth.

Every clip of the data is brought to one size and rate once; films join clips that came nowhere before (while
there are some), and everything else is cut from films: trimmed copies, a faster one, a cropped one,
trailers, compilations whose excerpts are edited in six ways, an excerpt played backwards, episodes that begin
with one intro, and strangers. Where clips run out they come again: what they bring two videos to share is in
the truth as well, for it is computed from which clip is where.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from benchmarks.near_duplicates.clip_in_video_clips import HEIGHT, RATE, SEED, WIDTH, join, normalised
from benchmarks.near_duplicates.clips import Original, encode, probe

FOLDERS = ("real10", "misc", "ucf101_applyeyemakeup_25f")
EDITS = {
    "crf38": "null",
    "mirror": "hflip",
    "crop10": "crop=0.8*iw:0.8*ih",
    "grey": "hue=s=0",
    "bright25": "eq=brightness=0.125:contrast=1.25",
    "letterbox": "scale=iw:ih*0.75,pad=iw:ih/0.75:0:(oh-ih)/2",
}
"""What is done to excerpts in compilations."""


@dataclass(frozen=True)
class Run:
    """A stretch of a video that is a stretch of one clip, in seconds.

    ``kind``: how it came there; ``drawn``: which time that the clip came it is of, or was cut from.
    """

    clip: int
    clip_start: float
    clip_end: float
    start: float
    end: float
    kind: str = ""
    reversed: bool = False
    drawn: int = 0

    @property
    def speed(self) -> float:
        """Seconds of the clip for a second of the video."""
        return (self.clip_end - self.clip_start) / max(1e-9, self.end - self.start)


@dataclass(frozen=True)
class Video:
    """A file of the gallery, and what is in it."""

    path: Path
    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.runs[-1].end


@dataclass(frozen=True)
class Shared:
    """A part that two videos share, by the places of both in the gallery."""

    a: int
    b: int
    a_start: float
    a_end: float
    b_start: float
    b_end: float
    kind: str

    @property
    def seconds(self) -> float:
        """Length of the shorter side."""
        return min(self.a_end - self.a_start, self.b_end - self.b_start)


class Maker:
    """Makes files, and keeps account of what is in them."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._folder, self._random = folder, random.Random(SEED)
        clips = data / "videos"
        paths = sorted(path for name in FOLDERS for path in (clips / name).rglob("*.*"))
        kinds = {".mp4", ".avi", ".mkv"}
        self._sources = [path for path in paths if path.suffix in kinds and "distorted" not in path.name]
        self._left: list[int] = []
        self._lengths: dict[int, float] = {}
        self.repeated = self._drawn = 0

    def _clip(self, number: int) -> Path:
        path = self._sources[number]
        name = f"{path.parent.name}-{path.stem}"
        return normalised(Original(name, path, name, query=False), self._folder)

    def fresh(self, seconds: float) -> list[tuple[Path, Run]]:
        """Clips of about so many seconds together that were in no video before, as long as there are some."""
        chosen: list[tuple[int, int]] = []
        total = 0.0
        while total < seconds:
            if not self._left:
                self._left = list(range(len(self._sources)))
                self._random.shuffle(self._left)
                self.repeated += 1
            number = self._left.pop()
            if number not in self._lengths:
                self._lengths[number] = float(probe(self._clip(number)).duration)
            self._drawn += 1
            chosen.append((number, self._drawn))
            total += self._lengths[number]
        return [
            (
                self._clip(number),
                Run(number, 0.0, self._lengths[number], 0.0, self._lengths[number], drawn=drawn),
            )
            for number, drawn in chosen
        ]

    def make(self, name: str, parts: Iterable[tuple[Path, Run | Sequence[Run]]]) -> Video:
        """Join files; each with the run, or the runs, that it holds."""
        paths, runs, at = [], [], 0.0
        for path, held in parts:
            inside = [held] if isinstance(held, Run) else list(held)
            runs += [replace(run, start=run.start + at, end=run.end + at) for run in inside]
            at += inside[-1].end
            paths.append(path.absolute())
        return Video(join(paths, self._folder / "gallery" / f"{name}.mp4"), tuple(runs))

    def cut(
        self, video: Video, start: float, end: float, *, kind: str, edit: str = "null", speed: float = 1.0
    ) -> tuple[Path, tuple[Run, ...]]:
        """A part of a video, edited; ``speed`` below 0 plays it backwards."""
        fast, back = abs(speed), speed < 0
        length = (end - start) / fast
        stem = f"{video.path.stem}-{kind}-{1000 * start:.0f}-{1000 * end:.0f}"
        graph = (
            f"[0:v]{edit},scale={WIDTH}:{HEIGHT},setsar=1,setpts=PTS/{fast},fps={RATE}"
            f"{',reverse' if back else ''}"
        )
        inputs = ["-ss", f"{start:.3f}", "-t", f"{end - start:.3f}", "-i", str(video.path)]
        crf = 34 if kind in ("trimmed", "crf38") else 23
        path = encode(self._folder / "cuts" / f"{stem}.mp4", inputs, graph, crf=crf, extra=("-g", "50"))
        runs = []
        for run in video.runs:
            low, high = max(start, run.start), min(end, run.end)
            if high <= low:
                continue
            clip = [run.clip_start + (time - run.start) * run.speed for time in (low, high)]
            place = [(time - start) / fast for time in (low, high)]
            if back:
                place = [length - place[1], length - place[0]]
            runs.append(Run(run.clip, *clip, *place, kind, back, run.drawn))
        exact = float(probe(path).duration)  # a frame more or less: what follows starts there
        runs.sort(key=lambda run: run.start)
        runs[-1] = replace(runs[-1], end=exact)
        return path, tuple(runs)

    def one_set(self, number: int, scale: float = 1.0) -> Iterator[Video]:
        """About an hour of videos, or ``scale`` of it: films are that much shorter."""
        draw, cut = self._random.uniform, self.cut
        films = [self.make(f"{number}-film{i}-{scale:g}", self.fresh(600 * scale)) for i in (0, 1)]
        last = 570 * scale
        yield from films
        one, two = films
        yield self.make(f"{number}-trimmed", [cut(one, 60.5 * scale, 510.2 * scale, kind="trimmed")])
        yield self.make(
            f"{number}-faster", [cut(two, 180.3 * scale, 420.9 * scale, kind="faster", speed=1.25)]
        )
        yield self.make(
            f"{number}-cropped",
            [cut(one, 240.7 * scale, 360.1 * scale, kind="cropped", edit=EDITS["crop10"])],
        )
        starts = sorted(draw(0, last) for _ in range(6))
        cuts = [cut(two, start, start + draw(5, 9), kind="trailer") for start in starts]
        yield self.make(f"{number}-trailer", cuts)
        for which in (0, 1):
            parts: list[tuple[Path, Run | Sequence[Run]]] = []
            for kind, edit in EDITS.items():
                start, length = draw(0, last), draw(8, 20)
                film = films[self._random.randrange(2)]
                parts += self.fresh(12)
                parts.append(cut(film, start, start + length, kind=kind, edit=edit))
            yield self.make(f"{number}-compilation{which}", parts)
        start = draw(0, last)
        back = cut(one, start, start + 15, kind="backwards", speed=-1.0)
        yield self.make(f"{number}-backwards", [*self.fresh(20), back, *self.fresh(20)])
        intro = self.make(f"{number}-intro", self.fresh(12))
        for i in range(7):
            start = cut(intro, 0.0, intro.seconds, kind="intro")
            yield self.make(f"{number}-episode{i}", [*self.fresh(3), start, *self.fresh(80 * scale)])
        for i in (0, 1):
            yield self.make(f"{number}-stranger{i}", self.fresh(240 * scale))

    def gallery(self, hours: float) -> list[Video]:
        """Videos of so many hours together, at least."""
        videos: list[Video] = []
        number = 0
        scale = min(1.0, hours)  # less than an hour: shorter films
        while sum(video.seconds for video in videos) < 3600 * hours:
            videos += self.one_set(number, scale)
            number += 1
        return videos


def truth(videos: Sequence[Video], *, least: float) -> list[Shared]:
    """Everything that two videos share for at least so many seconds, by which clip is where.

    What neither was cut from the other, nor both from one, is a clip that came again: ``again``.
    """
    found = []
    for a, b in combinations(range(len(videos)), 2):
        met = [
            shared
            for one in videos[a].runs
            for two in videos[b].runs
            if one.clip == two.clip and (shared := _both(a, b, one, two)) is not None
        ]
        found += [shared for shared in _joined(met) if shared.seconds >= least]
    return found


def _both(a: int, b: int, one: Run, two: Run) -> Shared | None:
    low, high = max(one.clip_start, two.clip_start), min(one.clip_end, two.clip_end)
    if high - low < 0.2:
        return None
    (a_start, a_end), (b_start, b_end) = _place(one, low, high), _place(two, low, high)
    kind = one.kind or two.kind or "again"
    if one.kind and two.kind and one.kind != two.kind:
        kind = "both edited"
    if one.drawn != two.drawn:
        kind = "again"
    return Shared(a, b, a_start, a_end, b_start, b_end, kind)


def _place(run: Run, low: float, high: float) -> tuple[float, float]:
    first, last = ((clip - run.clip_start) / run.speed for clip in (low, high))
    length = run.end - run.start
    if run.reversed:
        first, last = length - last, length - first
    return run.start + first, run.start + last


def _joined(spans: Iterable[Shared]) -> list[Shared]:
    """Spans that follow each other in both videos as one, forwards or backwards."""
    result: list[Shared] = []
    for span in sorted(spans, key=lambda span: (span.a_start, span.b_start)):
        last = result[-1] if result else None
        if last is not None and span.kind == last.kind and abs(span.a_start - last.a_end) < 0.3:
            if abs(span.b_start - last.b_end) < 0.3:
                result[-1] = replace(last, a_end=span.a_end, b_end=span.b_end)
                continue
            if abs(span.b_end - last.b_start) < 0.3:
                result[-1] = replace(last, a_end=span.a_end, b_start=span.b_start)
                continue
        result.append(span)
    return result
