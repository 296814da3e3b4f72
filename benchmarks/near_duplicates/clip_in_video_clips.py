"""The videos of the clip-in-video benchmark: long ones, and transformed excerpts of them.

A long video joins real clips in random order, each scaled and cropped to fill 398 × 224 at 25 frames
a second (H.264, a key frame every two seconds). There are two sets of clips, each used in two folds,
so that what is in the gallery once is absent once:

    tune   the ``fit`` half of the real10 clips outside the near-duplicate benchmark: every parameter
           and threshold was chosen here
    test   the originals of the near-duplicate benchmark; the distractors around them in the long
           video are all other real10 clips and the 145 clips of UCF101

An excerpt is 5 to 15 s cut anywhere from the run of the set's clips in the long video (or, absent,
from the fold's other clips), then transformed as in ``clips.py``.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ffmpeg
from benchmarks.near_duplicates.clips import Original, encode, make, originals, probe, real10_original
from training.clips import benchmark_clips, split

WIDTH, HEIGHT, RATE = 398, 224, 25
SEED = 5
LENGTHS = (5.0, 15.0)
TRANSFORMATIONS = (
    "crf38", "resize50", "letterbox", "crop10", "mirror", "logo", "bright25", "grey", "speed125", "speed080",
    "fps15", "text", "combo", "blurpad", "pip",
)  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """One gallery: ``run`` is where the set's own clips lie in it (seconds); ``absent`` is not in it."""

    name: str
    gallery: Path
    run: tuple[float, float]
    absent: Path


@dataclass(frozen=True)
class Excerpt:
    """A transformed excerpt; ``start`` and ``end`` are its place in the gallery, None where absent."""

    path: Path
    fold: Fold
    transformation: str
    start: float
    end: float
    present: bool


def normalised(clip: Original, cache: Path) -> Path:
    """The clip at the size and rate of the long videos."""
    graph = (
        f"[0:v]scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=increase,crop={WIDTH}:{HEIGHT},"
        f"setsar=1,fps={RATE}"
    )
    return encode(
        cache / "clips" / f"{clip.name}.mp4", ["-i", str(clip.path)], graph, crf=18, extra=("-g", "50")
    )


def join(paths: Sequence[Path], output: Path) -> Path:
    """Join clips of one size and rate without encoding them again."""
    listing = output.with_suffix(".txt")
    text = "".join(f"file '{path}'\n" for path in paths)
    if not (output.exists() and listing.exists() and listing.read_text() == text):
        output.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text(text)
        command = [
            ffmpeg(),
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "concat",
            "-safe",
            "0",
            "-i",
            str(listing),
        ]
        subprocess.run([*command, "-c", "copy", str(output)], check=True)
    return output


def length(paths: Sequence[Path]) -> float:
    """Seconds of the clips together."""
    return sum(float(probe(path).duration) for path in paths)


def folds(kind: str, data: Path, cache: Path, *, workers: int = 2) -> list[Fold]:
    """The two folds of a set, ``tune`` or ``test``; makes the long videos where they are not there."""
    halves = split(data)
    makeup = sorted((data / "videos" / "ucf101_applyeyemakeup_25f").glob("*.mp4"))
    others = [Original(path.stem, path, path.stem, query=False) for path in makeup]
    fit = [real10_original(data, path, query=False) for path in halves["fit"]]
    if kind == "tune":
        own = fit
    else:
        own = originals(data, cache.parent / "near_duplicates")
        others += fit + [real10_original(data, path, query=False) for path in halves["tune"]]
        assert len(own) == 8 + sum(map(len, benchmark_clips(data).values()))
    with ThreadPoolExecutor(workers) as pool:
        own_paths = list(pool.map(lambda clip: normalised(clip, cache), own))
        other_paths = list(pool.map(lambda clip: normalised(clip, cache), others))
    generator = random.Random(SEED)
    generator.shuffle(own_paths)
    generator.shuffle(other_paths)
    parts = [join(own_paths[i::2], cache / f"{kind}-{i}.mp4") for i in (0, 1)]
    middle = len(other_paths) // 2
    start = length(other_paths[:middle])
    found = []
    for i in (0, 1):
        order = [*other_paths[:middle], *own_paths[i::2], *other_paths[middle:]]
        gallery = join(order, cache / f"{kind}-gallery-{i}.mp4")
        run = (start, start + length(own_paths[i::2]))
        found.append(Fold(f"{kind}-{i}", gallery, run, parts[1 - i]))
    return found


def cut(source: Path, start: float, end: float, cache: Path) -> Original:
    """The part of a long video from ``start`` to ``end``, hardly compressed."""
    stem = f"{source.stem}-{1e3 * start:07.0f}-{1e3 * end:07.0f}"
    output = cache / "excerpts" / f"{stem}.mp4"
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        part = output.with_suffix(".part.mp4")
        command = [
            ffmpeg(),
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-ss",
            f"{start:.3f}",
            "-t",
            f"{end - start:.3f}",
        ]
        command += ["-i", str(source), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "14", "-an"]
        subprocess.run([*command, "-threads", "1", str(part)], check=True)
        part.rename(output)
    return Original(stem, output, stem, query=True)


def transformed(name: str, clip: Original, background: Original, cache: Path) -> Path:
    """``clips.make``, and a slower copy beside its faster one."""
    if name == "speed080":
        graph = f"[0:v]setpts=PTS/0.8,fps={RATE}"
        return encode(cache / name / f"{clip.name}.mp4", ["-i", str(clip.path)], graph)
    return make(name, clip, background, cache)


def excerpts(found: Sequence[Fold], count: int, cache: Path, *, workers: int = 2) -> list[Excerpt]:
    """``count`` excerpts of what is in the galleries and ``count`` of what is absent, all transformed."""
    generator = random.Random(SEED)
    jobs = []
    for present in (True, False):
        for i in range(count):
            fold = found[i % len(found)]
            low, high = fold.run if present else (0.0, float(probe(fold.absent).duration))
            seconds = generator.uniform(*LENGTHS)
            start = generator.uniform(low, high - seconds)
            jobs.append((i, present, fold, start, start + seconds))

    # what a picture-in-picture copy lies upon is in neither gallery: ffmpeg's test card
    pattern = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}:duration=16"
    card = encode(cache / "testcard.mp4", ["-f", "lavfi", "-i", pattern], None)
    background = Original("testcard", card, "testcard", query=False)
    for name in TRANSFORMATIONS:  # the overlays that all copies share, before several threads want them
        transformed(name, Original("testcard", card, "testcard", query=True), background, cache)

    def work(job: tuple[int, bool, Fold, float, float]) -> Excerpt:
        i, present, fold, start, end = job
        name = TRANSFORMATIONS[i % len(TRANSFORMATIONS)]
        source = fold.gallery if present else fold.absent
        clip = cut(source, start, end, cache)
        # where the time stamps of a joined video jump, ffmpeg cuts more than it was asked for
        end = start + float(probe(clip.path).duration)
        return Excerpt(transformed(name, clip, background, cache), fold, name, start, end, present)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, jobs))
