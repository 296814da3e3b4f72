"""Parts that videos share, found in a whole library at once: recall, wrong parts, time, memory.

    python -m benchmarks.near_duplicates.parts --hours 10      # real clips with parts planted in them
    python -m benchmarks.near_duplicates.parts --segments 10000000   # random codes: what the join costs

The first makes a gallery (``parts_gallery.py``), adds it to a library with segments, and asks
``Library.parts``. A planted part is found where more than half of it, in both videos, is in one span that is
reported, or in one common part; a span is wrong where less than half of it is a part that the two videos
share. The second makes 100 segments for each video, plants parts, an intro of a thousand videos and black
windows, and joins and aligns them as the library does. Needs ffmpeg or imageio-ffmpeg and the ``bench``
extra; files are kept in ``.cache``.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import CACHE, DATA, RESULTS, command_line, load, write_result
from benchmarks.near_duplicates.parts_gallery import Maker, Shared, Video, truth
from vhash_sdk import Library
from vhash_sdk.library.near_pairs import PairCache
from vhash_sdk.library.parts import LEAST_SECONDS, align_all
from vhash_sdk.library.segment_join import SegmentTable, link
from vhash_sdk.library.shared_parts import Parts

BITS, WINDOWS = 256, 100
APART = (8, 16, 24, 32, 40)
"""Bits in which the windows of planted parts differ from the original's."""
Interval = tuple[float, float]


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def inside(part: Interval, whole: Interval) -> float:
    """The share of an interval that lies in another."""
    both = min(part[1], whole[1]) - max(part[0], whole[0])
    return max(0.0, both) / max(1e-9, part[1] - part[0])


def sides(shared: Shared) -> tuple[Interval, Interval]:
    return (shared.a_start, shared.a_end), (shared.b_start, shared.b_end)


Sides = tuple[Interval, Interval]


def covers(wanted: Sides, given: Sequence[Sides]) -> bool:
    """Whether more than half of both sides lies in pairs of intervals, each on its own side."""
    met = [sides for sides in given if inside(wanted[0], sides[0]) and inside(wanted[1], sides[1])]
    return all(sum(inside(wanted[side], one[side]) for one in met) > 0.5 for side in (0, 1))


def reported(videos: Sequence[Video], found: Parts) -> dict[tuple[int, int], list[tuple[Sides, float]]]:
    """The spans of each pair of places in the gallery, with their scores."""
    place = {str(video.path): number for number, video in enumerate(videos)}
    spans: dict[tuple[int, int], list[tuple[Sides, float]]] = {}
    for pair in found:
        a, b = place[pair.a.path], place[pair.b.path]
        for span in pair.spans:
            ends = (span.a_start, span.a_end), (span.b_start, span.b_end)
            spans.setdefault((min(a, b), max(a, b)), []).append((ends if a < b else ends[::-1], span.score))
    return spans


def figures(videos: Sequence[Video], planted: Sequence[Shared], found: Parts) -> dict[str, Any]:
    """How much of the truth was found, and what was found beside it."""
    place = {str(video.path): number for number, video in enumerate(videos)}
    spans = reported(videos, found)
    common = [[(place[at.entry.path], (at.start, at.end)) for at in part.places] for part in found.common]
    known: dict[tuple[int, int], list[Sides]] = {}
    for shared in truth(videos, least=0.5):
        known.setdefault((shared.a, shared.b), []).append(sides(shared))

    def seen(shared: Shared) -> bool:
        one, two = sides(shared)
        if covers((one, two), [ends for ends, _ in spans.get((shared.a, shared.b), ())]):
            return True
        return any(
            any(video == shared.a and inside(one, at) > 0.5 for video, at in places)
            and any(video == shared.b and inside(two, at) > 0.5 for video, at in places)
            for places in common
        )

    scores: dict[bool, list[float]] = {True: [], False: []}
    wrong = []
    for key, ends in spans.items():
        for both, score in ends:
            good = covers(both, known.get(key, ()))
            scores[good].append(round(float(score), 2))
            if not good:
                wrong.append((key, both, score))
    strange = 0
    for places in common:
        (first, here), *others = places
        strange += sum(
            not covers(
                (here, at) if first < video else (at, here),
                known.get((min(first, video), max(first, video)), ()),
            )
            for video, at in others
            if video != first
        )
    by: dict[str, list[bool]] = {}
    for shared in planted:
        by.setdefault(shared.kind, []).append(seen(shared))
    hits = [hit for one in by.values() for hit in one]
    return {
        "planted": len(hits),
        "found": sum(hits),
        "recall": sum(hits) / max(1, len(hits)),
        "by_kind": {kind: {"planted": len(one), "found": sum(one)} for kind, one in sorted(by.items())},
        "spans": sum(map(len, spans.values())),
        "wrong_spans": len(wrong),
        "scores": {
            "right": np.percentile(scores[True] or [0], [1, 5, 50]).round(2).tolist(),
            "wrong": sorted(scores[False], reverse=True)[:20],
        },
        "common_parts": len(common),
        "places": sum(map(len, common)),
        "wrong_places": strange,
        "examples_of_wrong": [
            [
                videos[a].path.stem,
                *map(float, one),
                videos[b].path.stem,
                *map(float, two),
                round(float(score), 2),
            ]
            for (a, b), (one, two), score in wrong[:20]
        ],
    }


def real(hours: float) -> dict[str, Any]:
    """The gallery of real clips."""
    folder = CACHE / "parts"
    maker = Maker(DATA, folder)
    videos = maker.gallery(hours)
    planted = truth(videos, least=LEAST_SECONDS)
    total = sum(video.seconds for video in videos) / 3600
    print(f"{len(videos)} videos, {total:.2f} h; {len(planted)} parts of two videos", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, Library(Path(scratch) / "lib") as library:
        start = time.perf_counter()
        summary = library.add([video.path for video in videos], segments=True)
        adding = time.perf_counter() - start
        before = megabytes()
        start = time.perf_counter()
        found = library.parts()
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        again = library.parts()
        warm = time.perf_counter() - start
        assert [pair.spans for pair in again] == [pair.spans for pair in found]
        peak = megabytes()
    return {
        "model": library.spec.name,
        "hours": round(total, 3),
        "videos": len(videos),
        "added": dict(Counter(summary.counts)),
        "rounds_of_clips": maker.repeated,
        "seconds_to_add": round(adding, 1),
        "seconds": round(seconds, 2),
        "seconds_per_hour": round(seconds / total, 3),
        "seconds_again": round(warm, 2),
        "megabytes_before": round(before),
        "megabytes": round(peak),
        "radius": found.radius,
        "segments": found.segments,
        **figures(videos, planted, found),
    }


def made_up(count: int) -> tuple[SegmentTable, dict[tuple[int, int], int], int]:
    """Random segments, the pairs of videos that share a planted part, and how many share the intro."""
    generator = np.random.default_rng(7)
    videos = count // WINDOWS
    codes = generator.integers(0, 256, (videos * WINDOWS, BITS // 8), np.uint8)
    planted: dict[tuple[int, int], int] = {}
    copies = max(1, videos // 100)
    pairs = generator.permutation(videos)[: 2 * copies].reshape(-1, 2)
    for number, (a, b) in enumerate(np.sort(pairs, axis=1).tolist()):
        at, to = generator.integers(0, WINDOWS - 30, 2)
        part = codes[a * WINDOWS + at : a * WINDOWS + at + 30].copy()
        flipped = APART[number % len(APART)]
        codes[b * WINDOWS + to : b * WINDOWS + to + 30] = part ^ noise(generator, len(part), flipped)
        planted[a, b] = flipped
    intro = generator.integers(0, 256, (20, BITS // 8), np.uint8)
    having = generator.permutation(videos)[: min(1000, videos // 4)]
    for video in having.tolist():
        codes[video * WINDOWS + 75 : video * WINDOWS + 95] = intro ^ noise(generator, 20, 6)
    black = generator.integers(0, 256, BITS // 8, np.uint8)
    dark = generator.permutation(len(codes))[: len(codes) // 100]
    dark = dark[dark % WINDOWS >= 95]  # only where nothing was planted
    codes[dark] = black ^ noise(generator, len(dark), 1)
    starts = np.tile(0.5 * np.arange(WINDOWS, dtype=np.float32), videos)
    table = SegmentTable(
        np.arange(len(codes)), np.repeat(np.arange(videos), WINDOWS), np.stack([starts, starts + 1], axis=1),
        np.full(len(codes), 0.5, np.float32), codes, BITS,
    )  # fmt: skip
    return table, planted, len(having)


def noise(generator: np.random.Generator, count: int, bits: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Codes with so many bits set."""
    flips = np.zeros((count, BITS), bool)
    flips[np.arange(count)[:, None], generator.random((count, BITS)).argpartition(bits)[:, :bits]] = True
    return np.packbits(flips, axis=1, bitorder="little")


def synthetic(count: int) -> dict[str, Any]:
    """The join of so many random segments."""
    table, planted, having = made_up(count)
    before = megabytes()
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        cache = PairCache(folder / "pairs.npz", writable=True)
        start = time.perf_counter()
        links = link(table, cache.near)
        joining = time.perf_counter() - start
        peak = megabytes()
        start = time.perf_counter()
        link(table, cache.near)
        again = time.perf_counter() - start
    finally:
        shutil.rmtree(folder)
    start = time.perf_counter()
    aligned = {(pair.a, pair.b) for pair in align_all(table, links)}
    aligning = time.perf_counter() - start
    linked = {tuple(table.videos[links.ends[part.start]].tolist()) for part in links.by_pair(table.videos)}
    return {
        "segments": len(table),
        "videos": len(table) // WINDOWS,
        "radius": links.radius,
        "joined": links.joined,
        "links": len(links.ends),
        "seconds_to_join": round(joining, 1),
        "seconds_to_join_again": round(again, 1),
        "megabytes_before": round(before),
        "megabytes": round(peak),
        "planted": len(planted),
        "linked": len(planted.keys() & linked),
        "aligned": len(planted.keys() & aligned),
        "by_distance": {
            str(bits): {
                "planted": len(some := {pair for pair, apart in planted.items() if apart == bits}),
                "aligned": len(some & aligned),
            }
            for bits in APART
        },
        "share_the_intro": having,
        "seconds_to_align": round(aligning, 1),
        "pairs_aligned": len(aligned),
        "megabytes_at_the_end": round(megabytes()),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="of video, at least")
    parser.add_argument("--segments", type=int, help="only join so many random segments")
    args = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    stored = load("parts") if (RESULTS / "parts.json").exists() else {}
    if args.segments is None:
        result, part = real(args.hours), "real"
        command = f"python -m benchmarks.near_duplicates.parts --hours {args.hours:g}"
    else:
        result, part = synthetic(args.segments), f"synthetic_{args.segments}"
        command = f"python -m benchmarks.near_duplicates.parts --segments {args.segments}"
    for name, value in result.items():
        print(f"{name:24} {value}")
    kept = {name: value for name, value in stored.items() if name not in ("machine", "command")}
    kept[part] = {"command": command, **result}
    write_result("parts", {"command": command, **kept})


if __name__ == "__main__":
    main()
