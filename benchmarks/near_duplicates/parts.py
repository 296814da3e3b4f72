"""Parts that videos share, found in a whole library at once: recall, wrong parts, time, memory.

    python -m benchmarks.near_duplicates.parts --hours 10      # real clips with parts planted in them
    python -m benchmarks.near_duplicates.parts --peers
    python -m benchmarks.near_duplicates.parts --segments 10000000   # made codes: what the join costs
    python -m benchmarks.near_duplicates.parts --segments 10000000 --like .cache/parts/library-default-10

The first makes a gallery (``parts_gallery.py``), adds it to a library with segments, and asks
``Library.parts``. A planted part is found where more than half of it, in both videos, is in one span that is
reported, or in one common part; a span is wrong where less than half of it is a part that the two videos
share. With ``--peers`` what other tools describe is done with the same videos (``parts_peers.py``). The
others make 100 segments for each
video (``parts_join.py``). Needs ffmpeg or imageio-ffmpeg and the ``bench`` extra; files are kept in
``.cache``, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.common import CACHE, DATA, RESULTS, command_line, load, write_result
from benchmarks.near_duplicates.parts_gallery import Maker, Shared, Video, truth
from benchmarks.near_duplicates.parts_join import joined, megabytes
from benchmarks.near_duplicates.parts_peers import Sides, measured_peers
from vhash_sdk import Encoder, Library
from vhash_sdk.library.near_pairs import near_pairs
from vhash_sdk.library.parts import LEAST_SECONDS, read_table
from vhash_sdk.library.segment_join import EXACT, SegmentTable, link
from vhash_sdk.library.shared_parts import Parts

ASKED = 4.0
"""Seconds that a part lasts at least in the answer; those counted last five: ends are known to a window."""
Interval = tuple[float, float]


def inside(part: Interval, whole: Interval) -> float:
    """The share of an interval that lies in another."""
    both = min(part[1], whole[1]) - max(part[0], whole[0])
    return max(0.0, both) / max(1e-9, part[1] - part[0])


def sides(shared: Shared) -> tuple[Interval, Interval]:
    return (shared.a_start, shared.a_end), (shared.b_start, shared.b_end)


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
    """How much of the truth a library found, and what it found beside it."""
    place = {str(video.path): number for number, video in enumerate(videos)}
    common = [[(place[at.entry.path], (at.start, at.end)) for at in part.places] for part in found.common]
    return judged(videos, planted, reported(videos, found), common)


def judged(
    videos: Sequence[Video],
    planted: Sequence[Shared],
    spans: dict[tuple[int, int], list[tuple[Sides, float]]],
    common: Sequence[Sequence[tuple[int, Interval]]] = (),
) -> dict[str, Any]:
    """How much of the truth is in spans and common parts, and what is there beside it."""
    known = known_spans(videos)

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
    return {
        **recalled(planted, seen),
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


def known_spans(videos: Sequence[Video]) -> dict[tuple[int, int], list[Sides]]:
    """All that each two videos share, half a second of it and more."""
    known: dict[tuple[int, int], list[Sides]] = {}
    for shared in truth(videos, least=0.5):
        known.setdefault((shared.a, shared.b), []).append(sides(shared))
    return known


def recalled(planted: Sequence[Shared], seen: Callable[[Shared], bool]) -> dict[str, Any]:
    """How many of the planted parts are found, by kind and in all but those of clips that came again."""
    by: dict[str, list[bool]] = {}
    for shared in planted:
        by.setdefault(shared.kind, []).append(seen(shared))
    hits = [hit for kind, one in by.items() if kind != "again" for hit in one]
    return {
        "planted": len(hits),
        "found": sum(hits),
        "recall": sum(hits) / max(1, len(hits)),
        "by_kind": {kind: {"planted": len(one), "found": sum(one)} for kind, one in sorted(by.items())},
    }


def peers(hours: float) -> dict[str, Any]:
    """What the methods of other tools find in the same gallery."""
    _, videos, planted = gallery(hours)
    seconds, pairs, spans = measured_peers([video.path for video in videos])
    known = known_spans(videos)
    named = recalled(planted, lambda shared: (shared.a, shared.b) in pairs)
    return {
        "seconds": seconds,
        "windows": {**named, "pairs": len(pairs), "wrong_pairs": len(pairs - known.keys())},
        "votes": judged(videos, planted, spans),
    }


def gallery(hours: float) -> tuple[Maker, list[Video], list[Shared]]:
    """The videos, and what they share."""
    maker = Maker(DATA, CACHE / "parts")
    videos = maker.gallery(hours)
    planted = truth(videos, least=LEAST_SECONDS)
    total = sum(video.seconds for video in videos) / 3600
    print(f"{len(videos)} videos, {total:.2f} h; {len(planted)} parts of two videos", flush=True)
    return maker, videos, planted


def real(hours: float, model: str) -> dict[str, Any]:
    """What a library says of the gallery."""
    maker, videos, planted = gallery(hours)
    total = sum(video.seconds for video in videos) / 3600
    with Library(CACHE / "parts" / f"library-{model}-{hours:g}", encoder=Encoder(model)) as library:
        library.add([video.path for video in videos], segments=True)
        assert len(library) == len(videos)
        costs = compared(library)
        alone = figures(videos, planted, library.parts(seconds=ASKED, pixels=False))
        start = time.perf_counter()
        found = library.parts(seconds=ASKED)
        warm = time.perf_counter() - start
        numbers = {entry.path: entry.id for entry in library}
        ids = [numbers[str(video.path)] for video in videos]
        table = read_table(library._db, library.spec)
        spec = library.spec
    return {
        "model": spec.name,
        "hours": round(total, 3),
        "videos": len(videos),
        "rounds_of_clips": maker.repeated,
        **costs,
        "cpu_seconds_per_hour": round(costs["cpu_seconds"] / total, 2),
        "seconds_again": round(warm, 2),
        "radius": found.radius,
        "segments": found.segments,
        **figures(videos, planted, found),
        "by_codes_alone": {
            name: alone[name] for name in ("recall", "found", "spans", "wrong_spans", "by_kind")
        },
        "have_near_windows": {
            "each_with_each": near_windows(table, ids, planted),
            "by_sorting": near_windows(table, ids, planted, exact=0),
        },
    }


def compared(library: Library) -> dict[str, float]:
    """What comparing all videos costs, by codes and then by pixels: once, for what was found is kept."""
    noted = library.directory / "costs-of-both.json"
    if not noted.exists():
        for name in ("segment-pairs.npz", "shared-parts.npz"):
            (library.directory / name).unlink(missing_ok=True)
        before = megabytes()
        start, spent = time.perf_counter(), time.process_time()
        library.parts(pixels=False)
        costs = {
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(time.process_time() - spent, 2),
            "megabytes_before": round(before),
            "megabytes": round(megabytes()),
        }
        start, runs = time.perf_counter(), 1
        while library.parts(seconds=ASKED).left:
            runs += 1
        costs |= {"seconds_of_pixels": round(time.perf_counter() - start, 2), "runs_of_pixels": runs}
        noted.write_text(json.dumps(costs))
    noted_costs: dict[str, float] = json.loads(noted.read_text())
    return noted_costs


def near_windows(
    table: SegmentTable, ids: Sequence[int], planted: Sequence[Shared], *, exact: int = EXACT
) -> int:
    """Of how many planted parts three windows or more are near each other, which is enough to align them."""
    with patch("vhash_sdk.library.segment_join.EXACT", exact):
        links = link(table, near_pairs)
    middles = table.spans.mean(axis=1)
    times = {}
    for part in links.by_pair(table.videos):
        ends = links.ends[part]
        times[tuple(table.videos[ends[0]].tolist())] = middles[ends]
    met = 0
    for shared in planted:
        one, two = ids[shared.a], ids[shared.b]
        near = times.get((min(one, two), max(one, two)))
        if near is None:
            continue
        a, b = (near[:, 0], near[:, 1]) if one < two else (near[:, 1], near[:, 0])
        inside = (a >= shared.a_start) & (a <= shared.a_end) & (b >= shared.b_start) & (b <= shared.b_end)
        met += int(np.count_nonzero(inside)) >= 3
    return met


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="of video, at least")
    parser.add_argument("--model", default="default", help="of the library that the videos are added to")
    parser.add_argument(
        "--peers", action="store_true", help="only the methods of other tools, in the gallery"
    )
    parser.add_argument("--segments", type=int, help="only join so many random segments")
    parser.add_argument("--like", type=Path, help="with --segments: a library that they are made of")
    args = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    command = "python -m benchmarks.near_duplicates.parts"
    results: dict[str, Any] = {}
    if args.peers:
        command += f" --peers --hours {args.hours:g}"
        results["peers"] = peers(args.hours)
    elif args.segments is None:
        command += f" --hours {args.hours:g} --model {args.model}"
        name = "real" if args.model == "default" else f"real_{args.model}"
        results[name] = real(args.hours, args.model)
    else:
        command += f" --segments {args.segments}" + ("" if args.like is None else " --like LIBRARY")
        name = f"{'synthetic' if args.like is None else 'structured'}_{args.segments}"
        results[name] = joined(args.segments, args.like)
    for part, result in results.items():
        print(f"{part}:")
        for name, value in result.items():
            print(f"  {name:24} {value}")
    stored = load("parts") if (RESULTS / "parts.json").exists() else {}
    kept = {name: value for name, value in stored.items() if name not in ("machine", "command")}
    kept |= {part: {"command": command, **result} for part, result in results.items()}
    write_result("parts", {"command": command, **kept})


if __name__ == "__main__":
    main()
