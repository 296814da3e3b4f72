"""Near-duplicates: how many transformed copies each tool finds, and how many strangers it takes for one.

    python -m benchmarks.near_duplicates.run          # everything; about half an hour on 2 cores
    python -m benchmarks.near_duplicates.run --tools vhash:default,phash
    python -m benchmarks.near_duplicates.run --keep --tools code:semantic,learned:itq-64,learned:neighbour-64
    python -m benchmarks.near_duplicates.run --table  # print the stored result as Markdown

128 originals, 48 of them × 15 transformations (``clips.py``), pairs made by
others, and peers (``tools.py``). Clips and fingerprints are kept in ``.cache``;
``--fresh`` encodes again. Needs ffmpeg or imageio-ffmpeg and the ``bench`` extra; TMK also needs
``pip install tmkpy`` (which builds with cmake, swig and FFmpeg's headers). A tool that cannot be
loaded is left out and named; a file that a tool cannot read counts as not found.

*Different scenes* leaves out pairs that share a scene (the same UT-Interaction set, the same
camera as listed in ``scenes.csv``; a picture-in-picture copy also shares the
scene of its background). *All* has every pair but a query's own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE, DATA, RESULTS, command_line, write_result
from benchmarks.near_duplicates.clips import (
    TRANSFORMATIONS,
    Original,
    Query,
    natural_pairs,
    originals,
    queries,
)
from benchmarks.near_duplicates.metrics import FIGURES, Pairs, Ranking, bootstrap, interval, scene_weights
from benchmarks.near_duplicates.tools import OURS, PEERS, Tool

KINDS = ("different scenes", "all")
MODELS = ("vhash:default", "codes:default", "codes:small")
FAR = 1e9  # distance of a file that a tool could not read


def encode_all(tool: Tool, file: Path, paths: list[Path]) -> tuple[list[Any], list[float]]:
    """Fingerprint (None where the tool failed) and CPU seconds of each path, kept in ``file``."""
    stored = dict(np.load(file)) if file.exists() else {}
    marks = [f"{p.parent.name}/{p.name}:{hashlib.sha256(p.read_bytes()).hexdigest()[:16]}" for p in paths]
    for i, (mark, path) in enumerate(zip(marks, paths, strict=True)):
        if mark in stored:
            continue
        before = os.times()
        try:
            fingerprint = np.asarray(tool.encode(path))
        except Exception as error:  # a peer may raise anything; the file then counts as not found
            print(f"  {tool.name}: {mark.split(':')[0]}: {type(error).__name__}: {str(error)[:80]}")
            fingerprint = np.zeros(0)
        stored[mark], stored[f"{mark}:cpu"] = fingerprint, np.float64(sum(os.times()[:4]) - sum(before[:4]))
        if i % 100 == 99:
            save(file, stored)
            print(f"  {tool.name}: {i + 1} of {len(paths)}", flush=True)
    save(file, stored)
    return [stored[m] if stored[m].size else None for m in marks], [float(stored[f"{m}:cpu"]) for m in marks]


def save(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.rename(file)


def distances(tool: Tool, rows: list[Any], columns: list[Any]) -> NDArray[np.float64]:
    """``[rows, columns]``, FAR where a fingerprint is missing."""
    out = np.full((len(rows), len(columns)), FAR)
    r = [i for i, x in enumerate(rows) if x is not None]
    c = [i for i, x in enumerate(columns) if x is not None]
    out[np.ix_(r, c)] = tool.distances([rows[i] for i in r], [columns[i] for i in c])
    return out


def pairs_of(asked: list[Query], clips: list[Original]) -> dict[str, Pairs]:
    names = {clip.name: i for i, clip in enumerate(clips)}
    truth = np.array([names[query.original.name] for query in asked])
    every = np.ones((len(asked), len(clips)), bool)
    every[np.arange(len(asked)), truth] = False
    shared = np.zeros_like(every)
    for i, query in enumerate(asked):
        scenes = {query.original.scene} | ({query.background.scene} if query.background else set())
        shared[i] = [clip.scene in scenes for clip in clips]
    return {"different scenes": Pairs(truth, every & ~shared), "all": Pairs(truth, every)}


def measure(
    matrix: NDArray[np.float64], pairs: dict[str, Pairs], asked: list[Query], weights: NDArray[np.float64]
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """The figures of one tool, and its bootstrap draws for paired differences."""
    figures: dict[str, Any] = {}
    draws = {}
    for kind in KINDS:
        ranking = Ranking(matrix, pairs[kind])
        point, draws[kind] = ranking.figures(np.ones(len(matrix))), bootstrap(ranking, weights)
        figures[kind] = {
            name: {"value": float(point[i]), "interval": interval(draws[kind][:, i])}
            for i, name in enumerate(FIGURES)
        }
        figures[kind]["threshold_1e-3"] = ranking.threshold(1e-3)
        figures[kind] |= by_transformation(ranking, matrix, pairs[kind], asked, weights)
    return figures, draws


def by_transformation(
    ranking: Ranking, matrix: NDArray[np.float64], pairs: Pairs, asked: list[Query],
    weights: NDArray[np.float64],
) -> dict[str, Any]:  # fmt: skip
    """Recall of each transformation at the thresholds of all queries, and micro-AP of its own queries."""
    own = matrix[np.arange(len(matrix)), pairs.truth]
    out: dict[str, Any] = {}
    for label, rate in (("recall_0", 0.0), ("recall_1e-3", 1e-3)):
        hit, each = own <= ranking.threshold(rate), {}
        for name in TRANSFORMATIONS:
            rows = np.array([query.transformation == name for query in asked])
            w = weights[:, rows]
            total = w.sum(1)
            samples = (w @ hit[rows])[total > 0] / total[total > 0]
            each[name] = {"value": float(hit[rows].mean()), "interval": interval(samples)}
        out[f"{label} by transformation"] = each
    out["micro_ap by transformation"] = {}
    for name in TRANSFORMATIONS:
        rows = np.array([query.transformation == name for query in asked])
        few = Ranking(matrix[rows], pairs.restrict(rows))
        value = float(few.figures(np.ones(int(rows.sum())))[FIGURES.index("micro_ap")])
        out["micro_ap by transformation"][name] = {"value": value}
    return out


def compare(
    ours: str, draws: dict[str, dict[str, NDArray[np.float64]]], tools: dict[str, Any], peers: list[str]
) -> dict[str, Any]:
    """Paired difference to the best peer, figure by figure: value and interval over the same draws."""
    out: dict[str, Any] = {}
    for kind in KINDS:
        out[kind] = {}
        for i, figure in enumerate(FIGURES):
            best = max(peers, key=lambda name: tools[name][kind][figure]["value"])
            gain = tools[ours][kind][figure]["value"] - tools[best][kind][figure]["value"]
            samples = draws[ours][kind][:, i] - draws[best][kind][:, i]
            out[kind][figure] = {"best peer": best, "gain": gain, "interval": interval(samples)}
    return out


def load(key: str) -> Tool | None:
    try:
        family, _, model = key.partition(":")
        if family == "learned":  # needs the training code, which the others do without
            from benchmarks.near_duplicates.learned import Learned

            return Learned(model)
        if family in OURS:
            return OURS[family](model)
        return PEERS[key]()
    except ImportError as error:
        print(f"{key} is left out: {error}")
        return None


def run(options: argparse.Namespace) -> dict[str, Any]:
    folder = options.cache / "near_duplicates"
    clips = originals(options.data, folder)
    asked = queries(clips, folder)
    natural = natural_pairs(options.data)
    paths = [clip.path for clip in clips] + [query.path for query in asked]
    extra = [path for pair in natural for path in pair]
    pairs = pairs_of(asked, clips)
    weights = scene_weights([query.original.scene for query in asked], options.draws)
    tools: dict[str, Any] = {}
    draws: dict[str, Any] = {}
    for key in options.tools.split(","):
        tool = load(key)
        if tool is None:
            continue
        print(f"{tool.name} …", flush=True)
        kept = folder / "fingerprints" / f"{tool.version}.npz"
        if options.fresh:
            kept.unlink(missing_ok=True)
        prints, seconds = encode_all(tool, kept, paths + extra)
        if options.encode_only:
            continue
        matrix = distances(tool, prints[len(clips) : len(paths)], prints[: len(clips)])
        figures, draws[tool.name] = measure(matrix, pairs, asked, weights)
        near = [
            distances(tool, [a], [b])[0, 0]
            for a, b in zip(prints[len(paths) :: 2], prints[len(paths) + 1 :: 2], strict=True)
        ]
        found = [x for x in prints if x is not None]
        tools[tool.name] = {
            "key": key,
            "bytes": float(np.mean([tool.size(x) for x in found])),
            "cpu_seconds": float(np.mean(seconds)),
            "failed": [str(p.name) for p, x in zip(paths + extra, prints, strict=True) if x is None],
            "natural": {
                f"{a.stem} ~ {b.stem}": {
                    "distance": float(d),
                    "found": bool(d <= figures["different scenes"]["threshold_1e-3"]),
                }
                for (a, b), d in zip(natural, near, strict=True)
            },
            **figures,
        }
    peers = [name for name, tool in tools.items() if tool["key"] in PEERS]
    gains = {name: compare(name, draws, tools, peers) for name in tools if name not in peers and peers}
    if options.keep:
        kept = json.loads((RESULTS / "near_duplicates.json").read_text())
        older = {name: row for name, row in kept["tools"].items() if name not in tools}
        tools |= {
            name: row | {"date": row.get("date", kept["machine"]["date"])} for name, row in older.items()
        }
    return {
        "benchmark": "near_duplicates",
        "command": " ".join(["python -m benchmarks.near_duplicates.run", *sys.argv[1:]]),
        "originals": len(clips),
        "queries": len(asked),
        "scenes of queries": len({query.original.scene for query in asked}),
        "negatives": {kind: int(pairs[kind].negative.sum()) for kind in KINDS},
        "bootstrap draws": options.draws,
        "tools": tools,
        "gain over the best peer": gains,
    }


def cell(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.2f} [{low:.2f}, {high:.2f}]"


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = []
    for kind in KINDS:
        lines += [
            f"\n**{kind}** ({result['negatives'][kind]:,} negative pairs, {result['queries']} queries)\n",
            "| tool | bytes | CPU s | recall at 0 | recall at 1e-3 | micro-AP | natural pairs |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, tool in result["tools"].items():
            figures = " | ".join(cell(tool[kind][figure]) for figure in FIGURES)
            natural = f"{sum(p['found'] for p in tool['natural'].values())} of {len(tool['natural'])}"
            lines.append(
                f"| {name} | {tool['bytes']:.0f} | {tool['cpu_seconds']:.2f} | {figures} | {natural} |"
            )
    lines += [
        "\n**Gain over the best peer**, paired\n",
        "| model | negatives | recall at 0 | recall at 1e-3 | micro-AP |",
        "|---|---|---|---|---|",
    ]
    for name, kinds in result["gain over the best peer"].items():
        for kind, gains in kinds.items():
            cells = (
                f"{g['gain']:+.2f} [{g['interval'][0]:+.2f}, {g['interval'][1]:+.2f}] ({g['best peer']})"
                for g in gains.values()
            )
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    lines += [
        "\n**Recall at 1e-3 by transformation**, different scenes\n",
        f"| tool | {' | '.join(TRANSFORMATIONS)} |",
        "|---" * (len(TRANSFORMATIONS) + 1) + "|",
    ]
    for name, tool in result["tools"].items():
        each = tool["different scenes"]["recall_1e-3 by transformation"]
        lines.append(f"| {name} | {' | '.join(format(each[t]['value'], '.2f') for t in TRANSFORMATIONS)} |")
    return "\n".join(lines)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of real clips")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--tools", default=",".join([*MODELS, *PEERS]))
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--fresh", action="store_true", help="encode again what the cache holds")
    parser.add_argument("--encode-only", action="store_true", help="fill the cache of fingerprints and stop")
    parser.add_argument("--keep", action="store_true", help="keep the stored rows of tools not asked for")
    parser.add_argument("--table", action="store_true", help="print the stored result as Markdown and stop")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads((RESULTS / "near_duplicates.json").read_text())))
        return
    result = run(options)
    if not options.encode_only:
        print(f"wrote {write_result('near_duplicates', result)}")
        print(table(result))


if __name__ == "__main__":
    main()
