"""The report of the clip networks' closed sets: tables, spread over code lengths, curves.

    python -m benchmarks.retrieval.supervised_runs    # the runs: about an hour of one core, may be stopped
    python -m benchmarks.retrieval.supervised_curves  # precision over recall at 64 bits, minutes
    python -m benchmarks.retrieval.supervised_report  # seconds

Writes ``training/REPORT_CLIP.md`` from the files in ``results/``. Cells whose runs are not there yet are
absent, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, ROOT, command_line, load, made_on, table

FILE = ROOT / "training" / "REPORT_CLIP.md"
LENGTHS = (16, 32, 64, 128, 256, 512)
METHODS: dict[str, dict[str, tuple[str, str | None]]] = {
    "ucf101": {
        "hash network": ("hash", "hash"),
        "trivial code: its own prediction": ("hash", "trivial"),
        "ITQ": ("itq", None),
    },
    "real10": {
        "BERT, then hash network": ("bert, separate", "hash"),
        "BERT and hash network jointly": ("bert, joint", None),
        "mean of tokens, then hash network": ("mean, separate", "hash"),
        "trivial code of BERT's hash network": ("bert, separate", "trivial"),
        "trivial code of the mean's hash network": ("mean, separate", "trivial"),
        "ITQ, mean of tokens": ("itq", None),
        "LSH, mean of tokens": ("lsh", None),
    },
}
"""Set → title of a row → (beginning of the names of its runs, which of their figures)."""
TITLES = {"ucf101": "UCF101, 14 classes: mAP@100", "real10": "real10: mAP@70"}
ABOUT = (
    "Database = train split, queries = test split of the *same* classes; tie-aware mAP@K, Z = min(R, K); "
    "mean ± standard deviation over seeds. Such figures measure a classifier: the trivial code is the hash "
    "network's own predicted class as a number. They are not to be held against the paper's .985 (UCF101, "
    "all 101 classes) and .85 (HMDB51), which need the IG65M weights."
)
CLAIM = "The paper's central claim: trained one after the other, figures hardly vary with the code length."
HOW = (
    "Joint: AdamW 1e-4, 25 epochs on 85 % of the train split, the rest chooses the epoch, as for BERT alone. "
    "Separate: the hash network then sees the whole train split for the 360 steps of Algorithm 1."
)
FIVE = (
    "Every stage is trained without the two classes. Five pairs leave each class out once; the tables share "
    "queries and database, but not the pairs. `python -m benchmarks.retrieval.supervised_unseen`."
)
CHOSEN = (
    "Unseen classes inside the train split. Shrinking what differs within the classes that were seen "
    "(a linear discriminant, ridge in mean eigenvalues) helps with classes that were not; ridge 2 and as "
    "many axes as the smallest split gives is the balance between the two databases. `i3d-256`, fitted to "
    "more videos, has ridge 2 and 128 axes."
)
NEAR = (
    "The distance of I3D's codes added to that of the default model: beside codes alone it tells clips of "
    "one scene apart, but less well than the default model's own second look, and beside that it adds "
    "nothing. So neither the fused code nor the verification has it."
)
SEPARATE, JOINT = "BERT, then hash network", "BERT and hash network jointly"


@dataclass(frozen=True)
class Row:
    """The runs of one method: bits → seed → mAP@K; a method without seeds has seed 0 only."""

    title: str
    runs: Mapping[int, Mapping[int, float]]

    @classmethod
    def of(cls, found: Mapping[str, Any], title: str, name: str, key: str | None) -> Row:
        """Pick a method's runs, named ``NAME BITS [SEED]``, out of a set's."""
        runs: dict[int, dict[int, float]] = {}
        for run, figure in found.items():
            match = re.fullmatch(rf"{re.escape(name)} (\d+)(?: (\d+))?", run)
            if match and figure is not None:  # None: more bits than ITQ has components for
                value = figure[key] if key is not None else figure
                runs.setdefault(int(match[1]), {})[int(match[2] or 0)] = float(value)
        return cls(title, runs)

    def means(self, lengths: Sequence[int] = LENGTHS) -> list[float]:
        """Mean over seeds at each of the lengths that were run."""
        return [float(np.mean(list(self.runs[b].values()))) for b in lengths if b in self.runs]

    def cell(self, bits: int) -> str:
        """Mean ± standard deviation over seeds; empty where nothing was run."""
        figures = list(self.runs.get(bits, {}).values())
        if not figures:
            return ""
        spread = f" ± {np.std(figures, ddof=1):.3f}" if len(figures) > 1 else ""
        return f"{np.mean(figures):.3f}{spread}"

    def over_lengths(self) -> str:
        """Largest less smallest of the means, where at least two lengths were run."""
        means = self.means()
        return f"{np.ptp(means):.3f}" if len(means) > 1 else ""

    def seeds(self) -> str:
        """How many there are at each length, once where that is the same."""
        counts = [len(self.runs[bits]) for bits in LENGTHS if bits in self.runs]
        return "/".join(map(str, counts if len(set(counts)) > 1 else counts[:1]))

    def by_seed(self, lengths: Sequence[int]) -> dict[int, list[float]]:
        """Seed → its figures at the lengths, of the seeds that have them all."""
        seeds = sorted({seed for bits in lengths for seed in self.runs.get(bits, {})})
        complete = [s for s in seeds if all(s in self.runs.get(bits, {}) for bits in lengths)]
        return {s: [self.runs[bits][s] for bits in lengths] for s in complete}


def rows_of(result: Mapping[str, Any], place: str) -> list[Row]:
    """The methods of a set that have any run."""
    found = result["runs"].get(place, {})
    rows = [Row.of(found, title, *which) for title, which in METHODS[place].items()]
    return [row for row in rows if row.runs]


def closed_table(result: Mapping[str, Any], place: str) -> str:
    """Methods by code lengths, the floats last."""
    header = (TITLES[place], *(f"{bits} bits" for bits in LENGTHS), "range over lengths", "seeds")
    rows = [
        (row.title, *map(row.cell, LENGTHS), row.over_lengths(), row.seeds())
        for row in rows_of(result, place)
    ]
    uncoded = result["runs"].get(place, {}).get("uncoded")
    if uncoded is not None:
        rows.append(("uncoded floats, centred cosine", f"{uncoded:.3f}", *[""] * (len(header) - 2)))
    return table(header, rows)


def joint_or_separate(result: Mapping[str, Any]) -> str:
    """The paper's central claim, as far as both ways have been run: same lengths, same seeds."""
    rows = {row.title: row for row in rows_of(result, "real10")}
    if SEPARATE not in rows or JOINT not in rows:
        return ""
    common = [b for b in LENGTHS if b in rows[SEPARATE].runs and b in rows[JOINT].runs]
    both = [rows[title].by_seed(common) for title in (SEPARATE, JOINT)]
    seeds = sorted(both[0].keys() & both[1].keys())
    if len(common) < 2 or not seeds:
        return ""
    separate, joint = (np.array([one[s] for s in seeds]) for one in both)
    ranges = np.ptp(separate, axis=1), np.ptp(joint, axis=1)
    steadier = int((ranges[0] < ranges[1]).sum())
    lengths = ", ".join(map(str, common))
    listed = [" / ".join(f"{value:.3f}" for value in each) for each in ranges]
    return (
        f"At {lengths} bits, seed by seed ({len(seeds)}): one seed's figures differ over the lengths by "
        f"{listed[0]} where BERT and the hash network are trained one after the other, by {listed[1]} where "
        f"jointly; separate training varies less with {steadier} of {len(seeds)} seeds. Mean mAP "
        f"{separate.mean():.3f} against {joint.mean():.3f}."
    )


def unseen_table(file: str, first: str, prefix: str = "") -> str:
    """mAP on classes that nothing was fitted on, of the methods with that prefix; empty without the file."""
    path = RESULTS / f"{file}.json"
    if not path.exists():
        return ""
    models = {n: m for n, m in json.loads(path.read_text())["models"].items() if n.startswith(prefix)}
    ranked = sorted(models.items(), key=lambda item: -item[1]["left out"]["mAP"]["mean"])
    rows = []
    for name, model in ranked:
        cells = [model[database]["mAP"] for database in ("left out", "whole")]
        figures = [f"{c['mean']:.3f} ({c['interval'][0]:.3f} – {c['interval'][1]:.3f})" for c in cells]
        rows.append((name, model["bits"] or "floats", *figures))
    return table((first, "bits", "mAP among the two", "mAP among all ten"), rows)


def choice_section() -> list[str]:
    """What the bundled model's projection was chosen among, where `i3d_projection` has run."""
    path = RESULTS / "clip_choice.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    figures = list(next(iter(result["models"].values())))
    rows = [(name, *(f"{row[f]:.3f}" for f in figures)) for name, row in result["models"].items()]
    about = (
        f"{result['bits']} bits over I3D's mean token, {result['queries']} of the train split's "
        f"{result['videos']} videos as queries. `{result['command']}`."
    )
    tables = table(("recipe", *figures), rows)
    return ["## The bundled model's projection", "", CHOSEN, "", tables, "", about, ""]


def ten_crops_section() -> list[str]:
    """Ten crops beside one, where `i3d_ten_crops` has run."""
    path = RESULTS / "ten_crops.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    rows = [
        (f"{row['figure']}, against the {row['ten crops against']}", f"{row['difference']:+.3f}",
         f"{row['interval'][0]:+.3f} to {row['interval'][1]:+.3f}")
        for row in result["paired"]
    ]  # fmt: skip
    about = (
        f"Uncoded I3D, mean over ten crops, paired by query: {result['videos']} of {result['of']} videos, "
        f"{result['queries']} queries. `{result['command']}`."
    )
    return ["## Ten crops", "", table(("gain of ten crops", "mAP", "95 % interval"), rows), "", about, ""]


def near_duplicates_section() -> list[str]:
    """What I3D's codes add to the default model, where `near_duplicates.with_i3d` has run."""
    path = RESULTS / "near_duplicates_clip.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    rows = []
    for row in result["rows"]:
        cells = []
        for figure in ("recall_0", "recall_1e-3", "micro_ap"):
            change = row[figure].get("change")
            paired = f" ({change[0]:+.3f} to {change[1]:+.3f})" if change else ""
            cells.append(f"{row[figure]['value']:.3f}{paired}")
        rows.append((row["to"], row["negatives"], f"{row['weight']:g}", *cells))
    header = ("distance", "negatives", "weight of I3D's", "recall at 0", "recall at 1e-3", "micro-AP")
    about = (
        f"{result['queries']} altered copies; 95 % intervals of the paired change, over scenes. "
        f"`{result['command']}`."
    )
    return ["## For near-duplicates", "", NEAR, "", table(header, rows), "", about, ""]


def zero_points_section() -> list[str]:
    """Both kinds of int8 beside PyTorch, where `i3d_zero_points` has run."""
    path = RESULTS / "export_i3d-256.json"
    result = json.loads(path.read_text()).get("int8 by zero points") if path.exists() else None
    if result is None:
        return []
    rows = [
        (name, f"{100 * row['bits that agree']:.2f} %", f"{row['embedding: smallest cosine']:.4f}")
        for name, row in result.items()
        if isinstance(row, dict)
    ]
    header = ("i3d-256 in int8, beside PyTorch's float32", "bits that agree", "smallest cosine of embeddings")
    about = f"{result['clips']} real clips, ONNX Runtime. `{result['command']}`."
    return ["## Zero points", "", table(header, rows), "", about, ""]


def curves_section() -> list[str]:
    """Precision at some recalls, and the plots, where `supervised_curves` has run."""
    path = RESULTS / "clip_curves.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    lines = ["## Precision over recall, 64 bits", ""]
    for place, curves in result["sets"].items():
        recalls = [float(r) for r in next(iter(curves.values()))["precision at recall"]]
        rows = [
            (name, *(f"{value:.3f}" for value in curve["precision at recall"].values()))
            for name, curve in curves.items()
        ]
        lines += [table((f"{place}: precision at recall", *(f"{r:.1f}" for r in recalls)), rows), ""]
        lines += [f"![{place}](report/clip_precision_recall_{place}.webp)", ""]
    return [*lines, f"Ties averaged over, mean over queries. `{result['command']}`.", ""]


def markdown() -> str:
    """The report."""
    result = load("clip_hashing")
    where = result["machine"]
    lines = ["# Clip networks on closed sets", "", ABOUT, ""]
    for place in METHODS:
        if result["runs"].get(place):
            lines += [f"Features: {result['features'][place]}.", "", closed_table(result, place), ""]
    claim = joint_or_separate(result)
    if claim:
        lines += ["## Separate or joint training", "", CLAIM, "", claim, "", HOW, ""]
    unseen = unseen_table("real10_unseen", "all 45 pairs of classes left out", "i3d")
    five = unseen_table("clip_unseen", "five disjoint pairs left out")
    if unseen or five:
        lines += ["## Classes that were not seen", "", unseen, "", *([five, "", FIVE, ""] if five else [])]
    lines += [
        *choice_section(),
        *ten_crops_section(),
        *near_duplicates_section(),
        *zero_points_section(),
        *curves_section(),
    ]
    lines += [f"`{result['command']}`, {made_on(where)}.", ""]
    return "\n".join(lines)


def main() -> None:
    command_line(__doc__).parse_args()
    FILE.write_text(markdown())
    print(FILE.relative_to(ROOT))


if __name__ == "__main__":
    main()
