"""Clips inside longer videos: which transformed excerpts are found, where, and how many strangers.

    python -m benchmarks.near_duplicates.clip_in_video          # 200 excerpts that are there, 200 strangers
    python -m benchmarks.near_duplicates.clip_in_video --set tune --count 60  # what parameters were chosen on
    python -m benchmarks.near_duplicates.clip_in_video --table  # the stored result as text

Excerpts of 5 to 15 s of half-hour videos (``clip_in_video_clips.py``), searched as ``Library.find``
does: the clip is right where one span has both ends within 1 s; every other span, in any query, is a
false match. Needs ffmpeg or imageio-ffmpeg and the ``bench`` extra; clips and codes are kept in
``.cache``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, command_line, write_result
from benchmarks.near_duplicates.clip_in_video_clips import TRANSFORMATIONS, Excerpt, excerpts, folds, probe
from vhash_sdk import Encoder, Index
from vhash_sdk.encoding.tracks import kept_segments, query_tracks
from vhash_sdk.library.finding import SegmentIndex, decided
from vhash_sdk.matching.alignment import Span, without_covered
from vhash_sdk.matching.span_evidence import LEAST_SCORE
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.matching.track import Track
from vhash_sdk.matching.windows import RATE
from vhash_sdk.video.filming import Filmed, Filming
from vhash_sdk.video.isolation.pool import DecodePool

FOLDER = CACHE / "clip_in_video"
WITHIN = 1.0  # seconds


def kept(file: Path, make: Any) -> dict[str, NDArray[Any]]:
    """Arrays from a file of the cache, made where it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, **make())
        part.rename(file)
    with np.load(file) as stored:
        return dict(stored)


class Ours:
    """The segments of each gallery and the tracks of each query, by the SDK."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.pool = DecodePool(1, self.encoder.limits)
        self.mark = self.encoder.spec.fingerprint[:8]

    def gallery(self, path: Path) -> SegmentIndex:
        def make() -> dict[str, Any]:
            start = time.process_time()
            segments = kept_segments(self.encoder.encode_sequence(path, rate=RATE))
            seconds = time.process_time() - start
            return {"codes": segments.codes, "spans": segments.spans, "cpu": np.float64(seconds)}

        stored = kept(FOLDER / "codes" / f"{path.stem}-{self.mark}.npz", make)
        ids = np.arange(len(stored["codes"]))
        index = Index(self.encoder.spec.bits)
        index.add(stored["codes"], ids)
        self.cpu_seconds_an_hour = 3600 * float(stored["cpu"]) / float(stored["spans"][-1, 1])
        return SegmentIndex("", index, ids, np.zeros(len(ids), np.int64), stored["spans"])

    def tracks(self, path: Path) -> list[Track]:
        def make() -> dict[str, Any]:
            arrays: dict[str, Any] = {}
            for i, track in enumerate(query_tracks(self.encoder, path, self.pool)):
                arrays |= {f"values{i}": track.values, f"times{i}": track.times, f"weights{i}": track.weights}
                arrays["duration"] = np.float64(track.duration)
            return arrays

        name = f"{path.parent.name}-{path.stem}-{self.mark}.npz"
        stored = kept(FOLDER / "codes" / name, make)
        count = sum(key.startswith("values") for key in stored)
        duration, family = float(stored["duration"]), self.encoder.spec.family
        return [
            Track(stored[f"values{i}"], stored[f"times{i}"], duration, stored[f"weights{i}"], family)
            for i in range(count)
        ]


def find(index: SegmentIndex, tracks: Iterable[Track]) -> list[Span]:
    """As ``Library.find`` before any decision, with every score."""
    return without_covered(span for track in tracks for _, span in index.find(track))


def filmed(path: Path) -> Filmed:
    """A video as a third look takes it."""
    seen = probe(path)
    return Filmed(path, seen.width, seen.height, seen.duration, ())


def right(span: Span, excerpt: Excerpt) -> bool:
    """Whether both ends are within a second."""
    return abs(span.ref_start - excerpt.start) <= WITHIN and abs(span.ref_end - excerpt.end) <= WITHIN


def figures(asked: Sequence[Excerpt], kept_spans: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """Recall, false matches and errors of place of what was found."""
    present = [i for i, excerpt in enumerate(asked) if excerpt.present]
    found = {i: any(right(span, asked[i]) for span in kept_spans[i]) for i in present}
    by: dict[str, list[bool]] = {}
    for i in present:
        by.setdefault(asked[i].transformation, []).append(found[i])
    errors = [
        max(abs(span.ref_start - asked[i].start), abs(span.ref_end - asked[i].end))
        for i in present
        for span in kept_spans[i][:1]
        if found[i]
    ]
    return {
        "recall": sum(found.values()) / len(found),
        "found": sum(found.values()),
        "present": len(present),
        "absent": len(asked) - len(present),
        "false_in_absent": sum(bool(kept_spans[i]) for i in range(len(asked)) if not asked[i].present),
        "other_places_in_present": sum(not right(span, asked[i]) for i in present for span in kept_spans[i]),
        "recall_by_transformation": {name: sum(one) / len(one) for name, one in sorted(by.items())},
        "seconds_off": {"median": float(np.median(errors)), "p95": float(np.percentile(errors, 95))},
    }


class Run(NamedTuple):
    """What was found for every excerpt.

    Attributes:
        spans: with every score.
        found: those that ``Library.find`` gives.
        seconds: CPU of each search by codes, and of each with third looks.
    """

    asked: list[Excerpt]
    spans: list[list[Span]]
    found: list[list[Span]]
    seconds: list[tuple[float, float]]
    encoding: float


def run(kind: str, count: int) -> Run:
    """Look for every excerpt."""
    found = folds(kind, DATA, FOLDER)
    asked = excerpts(found, count, FOLDER)
    ours = Ours()
    galleries = {fold.name: ours.gallery(fold.gallery) for fold in found}
    spans, answers, seconds = [], [], []
    with Filming(ours.encoder.limits) as filming:
        for i, excerpt in enumerate(asked):
            tracks = ours.tracks(excerpt.path)
            gallery = filmed(excerpt.fold.gallery)

            def closer(query: Filmed, _: int, span: Span, gallery: Filmed = gallery) -> ThirdLook | None:
                return filming.look_at_part(query, gallery, span)

            start = time.process_time()
            spans.append(find(galleries[excerpt.fold.name], tracks))
            by_codes = time.process_time() - start
            best = [(0, span) for span in spans[-1]]
            sure = decided(best, LEAST_SCORE, closer, partial(filmed, excerpt.path))
            answers.append([span for _, span in sure])
            seconds.append((by_codes, time.process_time() - start))
            if i % 50 == 49:
                print(f"  {i + 1} of {len(asked)}", flush=True)
    ours.pool.close()
    return Run(asked, spans, answers, seconds, ours.cpu_seconds_an_hour)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--set", choices=("test", "tune"), default="test")
    parser.add_argument("--count", type=int, default=200, help="excerpts that are there, and that are not")
    parser.add_argument("--table", action="store_true", help="print the stored result")
    args = parser.parse_args()
    if args.table:
        print(json.dumps(json.loads((RESULTS / "clip_in_video.json").read_text()), indent=1))
        return
    ran = run(args.set, args.count)
    asked = ran.asked
    result = figures(asked, ran.found)
    by_codes = figures(asked, [[s for s in spans if s.score >= LEAST_SCORE] for spans in ran.spans])
    scores = [max((span.score for span in found), default=-99.0) for found in ran.spans]
    strangers = sorted((s for s, one in zip(scores, asked, strict=True) if not one.present), reverse=True)
    for excerpt, found in zip(asked, ran.found, strict=True):
        if any(right(span, excerpt) for span in found) != excerpt.present or (found and not excerpt.present):
            print(excerpt.path.name, excerpt.transformation, excerpt.present, excerpt.start, found[:2])
    result |= {
        "by_codes_alone": {
            name: by_codes[name] for name in ("recall", "false_in_absent", "other_places_in_present")
        },
        "threshold": LEAST_SCORE,
        "highest_scores_of_strangers": [round(score, 2) for score in strangers[:10]],
        "gallery_hours": float(np.mean([probe(one.fold.gallery).duration for one in asked])) / 3600,
        "cpu_seconds_a_query": float(np.median([codes for codes, _ in ran.seconds])),
        "cpu_seconds_a_query_with_third_looks": float(np.mean([both for _, both in ran.seconds])),
        "cpu_seconds_to_encode_an_hour": ran.encoding,
        "transformations": list(TRANSFORMATIONS),
    }
    print(json.dumps(result, indent=1))
    if args.set == "test":
        write_result(
            "clip_in_video", {"command": "python -m benchmarks.near_duplicates.clip_in_video", **result}
        )


if __name__ == "__main__":
    main()
