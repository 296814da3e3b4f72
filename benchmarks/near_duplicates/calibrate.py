"""Calibrate the bundled models: what a distance means, before and after verification.

    python -m benchmarks.near_duplicates.calibrate                  # the default
    python -m benchmarks.near_duplicates.calibrate --model small

Negative pairs: real10's clips outside the near-duplicate benchmark and UCF101's make-up clips,
of different scenes (``calibration_scenes.csv`` and what the names say). Copies: altered clips of
``calibration_clips.py``, and what people make (``copies.py``) of the originals that are for tuning. The
weights of the second look are fitted on these, on other takes of their scenes, and on some of the sets that
were made alike (``TUNED``). Writes ``training/calibrations/NAME.json``, which ``export/calibration.py`` puts
into the model's files, and ``benchmarks/results/calibration_NAME.json``: how well a table made of one half of
the scenes predicts the false-match rate on the other half, with its plot. What is encoded is kept in
``.cache``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, ROOT, command_line, write_result
from benchmarks.near_duplicates.alike import COUNT, made_alike
from benchmarks.near_duplicates.calibration_clips import Copy, copies
from benchmarks.near_duplicates.copies import COPIES, copy_set
from training.clips import FOLDER, split
from vhash_sdk import Encoder
from vhash_sdk.encoding.encoded import views
from vhash_sdk.matching.calibration import Calibration, SecondLook, calibrate
from vhash_sdk.matching.frame_codes import AGAINST
from vhash_sdk.matching.second_look import Evidence, View, frames_from_bytes, measures
from vhash_sdk.spec import ModelSpec

SCENES = Path(__file__).with_name("calibration_scenes.csv")
CANDIDATES = 0.05  # false-match rate of the codes up to which pairs are verified
MADE = (
    "421 clips of real10 (surveillance, traffic, staged actions), 145 of UCF101's make-up clips, and the 20 "
    "originals of benchmarks/near_duplicates/copies.py that are for tuning; copies of these. None is among "
    "what the benchmarks report on; some show the same places."
)
TUNED = ("slides", "desktop", "studio")  # of the sets of ``alike``; the others are only reported
Views = tuple[View, ...]
Matrix = NDArray[np.float64]
Made = list[tuple[Copy, Views, int]]
"""Copies, what is seen of them, and the place of their original."""
OTHER: dict[Path, str] = {}  # scene of each clip, filled in by main
TAKES = re.compile(r"ut-set|ApplyEyeMakeup_g(0\d|1[0-2])")  # scenes whose other takes shape the weights
PAIRS, REPEATED = 60, 4  # of a scene; times that they count, for there are few of them
NO_NEGATIVE = ""  # scene of what others may show too: nobody's stranger


def negatives(data: Path) -> list[Path]:
    """Clips that no benchmark owns."""
    halves = split(data)
    real = [data / FOLDER / name for part in ("fit", "tune") for name in halves[part]]
    return real + sorted((data / "videos" / "ucf101_applyeyemakeup_25f").glob("*.mp4"))


def scene_of(path: Path, table: dict[str, str]) -> str:
    """UT-Interaction by set, UCF101 by group, cameras by the table, else the clip itself."""
    if path.stem.startswith(("set1_", "set2_")):
        return f"ut-{path.stem[:4]}"
    if group := re.match(r"v_(\w+_g\d+)_c", path.stem):
        return group[1]
    return table.get(f"{path.parent.name}/{path.name}", f"{path.parent.name}/{path.stem}")


def encode(encoder: Encoder, paths: Sequence[Path], kept: Path) -> list[Views]:
    """The views of each file, from ``kept`` where they are there."""
    spec = encoder.spec
    stored = dict(np.load(kept)) if kept.exists() else {}
    names = {path: f"{path.parent.parent.name}/{path.parent.name}/{path.name}" for path in paths}
    missing = [path for path in paths if f"{names[path]}:seconds" not in stored]
    for encoded in encoder.encode_many(missing, workers=1, detail="views"):
        if encoded.error is not None or encoded.code is None:
            raise SystemExit(f"{encoded.source}: {encoded.error}")
        seen, name = views(encoded), names[encoded.source]
        stored[f"{name}:seconds"] = np.float64(encoded.code.duration)
        stored[f"{name}:codes"] = np.stack([view.code for view in seen])
        stored[f"{name}:frames"] = np.stack(
            [np.frombuffer(view.frames.to_bytes(), np.uint8) for view in seen if view.frames]
        )
        if encoded.index % 100 == 99:
            print(f"  {encoded.index + 1} of {len(missing)}", flush=True)
    if missing:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **stored)
    return [read_views(stored, names[path], spec) for path in paths]


def read_views(stored: dict[str, Any], name: str, spec: ModelSpec) -> Views:
    seconds = float(stored[f"{name}:seconds"])
    both = zip(stored[f"{name}:codes"], stored[f"{name}:frames"], strict=True)
    return tuple(View(code, frames_from_bytes(data.tobytes(), spec, seconds)) for code, data in both)


def code_distances(rows: Sequence[Views], columns: Sequence[Views]) -> NDArray[np.int64]:
    """``[rows, columns]``, the smallest over the views of both."""

    def stacked(videos: Sequence[Views]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        codes = np.stack([view.code for seen in videos for view in seen])
        starts = np.cumsum([0] + [len(seen) for seen in videos[:-1]])
        return np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1, starts

    (a, first), (b, second) = stacked(rows), stacked(columns)
    every = (a.shape[1] - a @ b.T) / 2
    return np.minimum.reduceat(np.minimum.reduceat(every, first, 0), second, 1).round().astype(np.int64)


def evidence_of(a: Views, b: Views) -> Matrix:
    """For each pair of views (distance of the codes, what their frames say)."""
    found = []
    for one in a:
        for two in b:
            assert one.frames is not None and two.frames is not None
            bits = int(np.bitwise_count(one.code ^ two.code).sum())
            found.append([bits, *measures(one.frames, two.frames)])
    return np.array(found)


def logistic(rows: Matrix, truth: Matrix, *, ridge: float = 1e-2) -> Matrix:
    """Weights [bias, …] of a logistic regression, by Newton's method; both classes weigh the same."""
    x = np.column_stack([np.ones(len(rows)), rows])
    weight = np.where(truth > 0, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    found = np.zeros(x.shape[1])
    for _ in range(60):
        chance = 1 / (1 + np.exp(-np.clip(x @ found, -40, 40)))
        gradient = x.T @ (weight * (chance - truth)) + ridge * found
        curvature = (x * (weight * chance * (1 - chance))[:, None]).T @ x + ridge * np.eye(len(found))
        found -= np.linalg.solve(curvature, gradient)
    return found


def signed_logistic(rows: Matrix, truth: Matrix) -> Matrix:
    """``logistic`` without terms that would speak the wrong way: likeness is never evidence against a copy.

    Of the columns the first is a distance, the others are likenesses, but for those measures of frame codes
    that are ``AGAINST``.
    """
    wanted = np.ones(rows.shape[1])
    wanted[0] = -1
    if rows.shape[1] > 3:  # of a trajectory there are two
        wanted[[1 + place for place in AGAINST]] = -1
    kept = np.ones(rows.shape[1], bool)
    while True:
        found = np.zeros(rows.shape[1] + 1)
        found[np.append(True, kept)] = logistic(rows[:, kept], truth)
        wrong = kept & (found[1:] * wanted < 0)
        if not wrong.any():
            return found
        kept[np.flatnonzero(wrong)[np.argmin((found[1:] * wanted)[wrong])]] = False


def fit_evidence(positive: list[Matrix], negative: list[Matrix]) -> Evidence:
    """Weights from pairs, each by its best views under the weights before (begun at equal ones)."""
    weights = np.array([0.0, -0.02, *[4.0] * (positive[0].shape[1] - 1)])
    for _ in range(4):
        best = [pair[np.argmax(pair @ weights[1:])] for pair in positive + negative]
        truth = np.array([1.0] * len(positive) + [0.0] * len(negative))
        weights = signed_logistic(np.stack(best), truth)
    return Evidence(float(weights[0]), float(weights[1]), tuple(map(float, weights[2:])))


def measure(
    spec: ModelSpec,
    videos: list[Views],
    scenes: list[str],
    made: Made,
    evidence: Evidence,
) -> tuple[Calibration, NDArray[np.int64], NDArray[np.int64]]:
    """The tables of a model, and the distances of every video to every other: of codes, and verified."""
    known = [i for i, scene in enumerate(scenes) if scene != NO_NEGATIVE]
    scenes, strangers = [scenes[i] for i in known], [videos[i] for i in known]
    codes = code_distances(strangers, strangers)
    kinds = sorted({copy.kind for copy, _, _ in made})
    near: dict[str, list[int]] = {kind: [] for kind in kinds}
    sure: dict[str, list[int]] = {kind: [] for kind in kinds}
    common = {"fingerprint": spec.fingerprint, "bits": spec.bits, "made": MADE}
    first = calibrate(codes, scenes, **common)
    radius = first.threshold(CANDIDATES)
    for copy, seen, original in made:
        bits = int(code_distances([seen], [videos[original]])[0, 0])
        near[copy.kind].append(bits)
        sure[copy.kind].append(
            evidence.verified(seen, videos[original], spec.bits) if bits <= radius else spec.bits
        )
    later = verified_matrix(strangers, codes <= radius, evidence, spec.bits)
    table = calibrate(later, scenes, copies=sure, **common)
    return (
        replace(
            first,
            copies=calibrate(codes, scenes, copies=near, **common).copies,
            second_look=SecondLook(radius, evidence, table),
        ),
        codes,
        later,
    )


def verified_matrix(
    videos: list[Views], close: NDArray[np.bool_], evidence: Evidence, bits: int
) -> NDArray[np.int64]:
    """``[n, n]``, symmetric: verified distances of the pairs that are ``close``, ``bits`` for the others."""
    found = np.full(close.shape, bits, np.int64)
    for i, j in zip(*np.nonzero(np.triu(close, 1)), strict=True):
        found[i, j] = found[j, i] = evidence.verified(videos[i], videos[j], bits)
    return found


def training_pairs(
    videos: list[Views], scenes: list[str], made: Made, alike: list[list[Views]], *, each: int = 4
) -> tuple[list[Matrix], list[Matrix]]:
    """Evidence of copies with their originals, and of copies with videos of the same and of other scenes.

    Args:
        videos, scenes: what is known.
        made: copies.
        alike: sets of videos that were made alike, and are none of each other's copies.
        each: strangers of either kind for a copy.
    """
    generator = np.random.default_rng(0)
    names = np.array(scenes)
    positive = []
    others_of_a_scene = [
        evidence_of(videos[i], videos[j])
        for name in sorted(filter(TAKES.match, set(scenes)))
        for i, j in generator.permutation(list(combinations(np.flatnonzero(names == name), 2)))[:PAIRS]
    ]
    others_of_a_scene += [evidence_of(*pair) for one in alike for pair in combinations(one, 2)]
    negative = others_of_a_scene * REPEATED
    for copy, seen, original in made:
        positive.append(evidence_of(seen, videos[original]))
        known = names != NO_NEGATIVE
        same = np.flatnonzero(known & (names == names[original]))
        others = np.flatnonzero(known & (names != names[original]))
        near = others[np.argsort(code_distances([seen], [videos[i] for i in others])[0])[: each * 2]]
        for pool in (same[same != original], near):
            for i in generator.choice(pool, min(each, len(pool)), replace=False):
                if copy.other is None or scenes[i] != OTHER.get(copy.other, ""):
                    negative.append(evidence_of(seen, videos[i]))
    return positive, negative


def held_out(
    matrix: NDArray[np.int64], scenes: list[str], spec: ModelSpec, *, draws: int = 40
) -> dict[str, Any]:
    """A table of one half of the scenes, asked about the other half: predicted and observed rates."""
    generator = np.random.default_rng(0)
    names, scene = np.unique(scenes, return_inverse=True)
    targets = (1e-3, 3e-3, 1e-2, 3e-2)
    observed: dict[float, list[float]] = {rate: [] for rate in targets}
    inside: dict[float, list[bool]] = {rate: [] for rate in targets}
    for _ in range(draws):
        half = np.isin(scene, generator.permutation(len(names))[: len(names) // 2])
        tables = []
        for rows in (half, ~half):
            own = [name for name, taken in zip(scenes, rows, strict=True) if taken]
            tables.append(
                calibrate(matrix[np.ix_(rows, rows)], own, fingerprint=spec.fingerprint, bits=spec.bits)
            )
        for rate in targets:
            limit = tables[0].threshold(rate)
            low, _, high = tables[0].false_match_rate(limit)
            found = tables[1].false_match_rate(limit).estimate
            observed[rate].append(found)
            inside[rate].append(bool(low <= found <= high))
    return {
        f"{rate:g}": {
            "observed": {"median": float(np.median(observed[rate])), "interval": [
                float(x) for x in np.percentile(observed[rate], [2.5, 97.5])]},
            "within the table's interval": float(np.mean(inside[rate])),
        }
        for rate in targets
    }  # fmt: skip


def plot(result: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 4.5))
    for label, rows in result["held out"].items():
        x = np.array([float(rate) for rate in rows])
        y = np.array([row["observed"]["median"] for row in rows.values()])
        low, high = np.array([row["observed"]["interval"] for row in rows.values()]).T
        axes.errorbar(x, y, yerr=[y - low, high - y], marker="o", capsize=3, label=label)
    ends = [5e-4, 5e-2]
    axes.plot(ends, ends, color="grey", linewidth=1, linestyle=":")
    axes.set(
        xscale="log", yscale="log", xlabel="predicted false-match rate", ylabel="observed on other scenes"
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110, pil_kwargs={"lossless": True})


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--copies", type=int, default=3, help="clips of each class to alter, in every way")
    options = parser.parse_args()
    with SCENES.open() as file:
        table = {row["clip"]: row["scene"] for row in csv.DictReader(file)}
    paths = negatives(options.data)
    folder = CACHE / "calibration"
    altered = copies(options.data, folder, each=options.copies)
    asked = copy_set(CACHE / "copies", strangers=0, kinds=list(COPIES))
    tuning = asked.clips[::2]
    altered += [Copy(c.path, c.kind, c.original.path) for c in asked.made if c.original in tuning]
    tuning_places = range(len(paths), len(paths) + len(tuning))
    paths += [clip.path for clip in tuning]
    drawn = made_alike([clip.path for clip in asked.clips[: COUNT + 1]], CACHE / "copies", sets=TUNED)
    with Encoder(options.model, threads=1) as encoder:
        spec = encoder.spec
        short = spec.fingerprint[:8]
        videos = encode(encoder, paths, folder / f"negatives-{short}.npz")
        seen = encode(encoder, [copy.path for copy in altered], folder / f"copies-{short}.npz")
        same = encode(encoder, [one.path for one in drawn], folder / f"alike-{short}.npz")
    alike = [[v for one, v in zip(drawn, same, strict=True) if one.set == name] for name in TUNED]
    scenes = [NO_NEGATIVE if i in tuning_places else scene_of(path, table) for i, path in enumerate(paths)]
    at = {path: i for i, path in enumerate(paths)}
    OTHER.update({path: scenes[i] for path, i in at.items()})
    made = [(copy, views_, at[copy.original]) for copy, views_ in zip(altered, seen, strict=True)]
    evidence = fit_evidence(*training_pairs(videos, scenes, made, alike))
    print(evidence)
    calibration, codes, later = measure(spec, videos, scenes, made, evidence)
    known = [scene for scene in scenes if scene != NO_NEGATIVE]
    target = ROOT / "training" / "calibrations" / f"{spec.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    calibration.save(target)
    assert calibration.second_look is not None
    tables = {"codes": calibration, "verified": calibration.second_look.table}
    result = {
        "benchmark": "calibration",
        "command": f"python -m benchmarks.near_duplicates.calibrate --model {options.model}",
        "model": spec.name,
        "videos": len(known),
        "scenes": calibration.scenes,
        "negative pairs": calibration.pairs,
        "copies": len(made),
        "tables": {label: summary(one) for label, one in tables.items()},
        "held out": {"codes": held_out(codes, known, spec), "verified": held_out(later, known, spec)},
    }
    print(f"wrote {target} and {write_result(f'calibration_{spec.name}', result)}")
    plot(result, ROOT / "benchmarks" / "results" / f"calibration_{spec.name}.webp")


def summary(table: Calibration) -> dict[str, Any]:
    """Thresholds at a few rates, what copies they miss, and the interval of each rate."""
    found = {}
    for rate in (1e-2, 1e-3, 1e-4):
        if rate < table.smallest_rate:
            continue
        limit = table.threshold(rate)
        low, estimate, high = table.false_match_rate(limit)
        misses = {kind: round(table.miss_rate(limit, kind), 4) for kind in table.copies or {}}
        found[f"{rate:g}"] = {
            "threshold": limit, "false-match rate": estimate, "interval": [low, high], "missed": misses,
            "missed, all kinds": float(np.mean(list(misses.values()))),
        }  # fmt: skip
    return {"smallest rate": table.smallest_rate, "rates": found}


if __name__ == "__main__":
    main()
