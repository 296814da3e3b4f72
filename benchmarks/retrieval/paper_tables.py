"""The two papers' tables with ours beside theirs: `unsupervised_report` puts them into training/REPORT.md.

    python -m benchmarks.retrieval.paper_tables  # prints them, from results/paper_methods.json

Published figures are only those that we could read ourselves; everything else is "–".
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from benchmarks.common import RESULTS, command_line, made_on, table
from benchmarks.retrieval.paper_methods import NETWORK
from training.methods.registry import METHODS

LENGTHS = (16, 32, 64, 128)
OTHER = "other videos (FCVID) and full width"
CNN = "its CNN is learned with it there; here its head stands on VGG-16 features"
ABSTRACT = "shapes are ours: we had the abstract only"
UNSUPERVISED = {
    "lsh": "", "itq": "", "mfh": f"{OTHER}; one kind of feature", "dh": OTHER, "ssth": OTHER,
    "jtae": f"{OTHER}; {ABSTRACT}", "ssvh": OTHER, "uvvh-2": "see the tables above",
    "neighbour-uvvh": "ours, in no paper",
}  # fmt: skip
SINCE = {
    "bth": f"{OTHER}; without its first stage, weights ours",
    "conmh": "narrowed and 30 of 805 epochs; other videos (FCVID)",
    "s5vh": "narrowed and 20 of 350 epochs; 14 of 101 classes",
    "neighbour-uvvh": "ours, in no paper",
}
SUPERVISED = {
    "lsh": "", "ksh": "other features", "dbh": CNN, "dnnh": CNN, "srh": f"{CNN}; {ABSTRACT}",
    "dvh": f"{CNN}; {ABSTRACT}", "svhm": "no: not here; we do not know its source",
    "dhwcm": f"{CNN}; {ABSTRACT}",
    "csq": CNN, NETWORK: "its features come from R(2+1)D-34 with BERT; see REPORT_CLIP.md",
}  # fmt: skip
PUBLISHED: dict[str, dict[int, str]] = {
    "uvvh-2": {16: ".244–.255", 32: ".411", 64: ".451", 128: ".469–.485"},
    NETWORK: dict.fromkeys(LENGTHS, ".985–.986"),
    "conmh": {16: ".350", 32: ".476", 64: ".524"},
    "s5vh": {16: ".471", 32: ".534", 64: ".578"},
}
"""mAP@5 on FCVID of the unsupervised paper and of ConMH, on UCF101 of S5VH; mAP@100 on UCF101 of the
supervised paper. ConMH's and S5VH's are from their authors' own pages."""
INTRO = (
    "Our own code of each method, from its paper (`training/methods/`, [README.md](README.md)), in the "
    "protocol of this page. In each cell: the published figure, then ours, mean ± standard deviation over "
    "seeds. Published are mAP@5 on FCVID (UVVH-2, ConMH), mAP@5 on all of UCF101 (S5VH, from its authors' "
    "page, as ConMH's) and mAP@100 on all of UCF101 (hash network); others we could not read ourselves. "
    "None was made on these videos, so none can be equal: what may be compared is the order. *Reproduced?* "
    "says why not. Only the hash network sees more in the first tables, 512 components of unit-length means "
    "as its paper's features have; where it is paired with others it sees what they see."
)


def papers() -> list[str]:
    """The section's lines; none where the grid was not run."""
    path = RESULTS / "paper_methods.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    inputs = result["inputs"]
    ours = dict(inputs["ucf101"]["table"])
    for row in json.loads((RESULTS / "retrieval_ucf101.json").read_text())["table"]:
        if row["method"] == NETWORK:  # at its paper's width
            kept = {k: [row[k]["mean"], row[k]["sd"]] for k in ("mAP@5", "mAP@100")}
            ours[f"{NETWORK} {row['bits']}"] = kept | {"runs": row["runs"]}
    source = f"{result['figures']}. `{result['command']}`, {made_on(result['machine'])}."
    return [
        "## The papers' tables", "", INTRO, "", source, "", f"Input: {inputs['ucf101']['input']}.", "",
        "Unsupervised, the table of UVVH's paper: mAP@5.", "", layout(ours, UNSUPERVISED, "mAP@5"), "",
        "The best since: mAP@5.", "", layout(ours, SINCE, "mAP@5"), "",
        "Supervised, the table of the hash network's paper: mAP@100, of classes that were trained on.",
        "", layout(ours, SUPERVISED, "mAP@100"), "", *ends(inputs["ucf101"]),
        *(line for name in inputs if name != "ucf101" for line in further(inputs[name])),
        *unseen(), *of_copies(),
    ]  # fmt: skip


def further(found: dict[str, Any]) -> list[str]:
    """The same methods on another input, that no paper has figures of."""
    rows = found["table"]
    known = {name.rpartition(" ")[0]: METHODS.get(name.rpartition(" ")[0]) for name in rows}
    lengths = sorted({int(name.rpartition(" ")[2]) for name in rows})
    lines = [f"Input: {found['input']}. The options are those of UCF101; nothing was tuned here.", ""]
    for kind, figure, supervised in (("Unsupervised", "mAP@5", False), ("Supervised", "mAP@100", True)):
        names = [
            n
            for n, method in known.items()
            if (n == NETWORK or bool(method and method.supervised)) == supervised
        ]
        cells = [[title(n), *(shown(rows.get(f"{n} {bits}"), figure) for bits in lengths)] for n in names]
        heads = [f"{kind}: {figure}", *(f"{n} bits" for n in lengths)]
        lines += [table(heads, cells), ""] if cells else []
    return [*lines, *ends(found)]


def ends(found: dict[str, Any]) -> list[str]:
    """What stands below an input's tables: differences, cost, what is missing."""
    seconds = ", ".join(f"{name} {value:.0f}" for name, value in found["cpu_seconds"].items())
    missing = "; ".join(
        f"{title(name)} at {', '.join(f'{bits} ({seeds})' for bits, seeds in cells.items())}"
        for name, cells in found["seeds not run"].items()
    )
    return [
        "Paired by query with what we had, mAP@100, 95 % by a bootstrap over groups.", "",
        paired(found["table"]), "", f"CPU seconds of one run, one thread: {seconds}.", "",
        f"Not run yet (how many of 3 seeds): {missing or 'nothing'}.", "",
    ]  # fmt: skip


def unseen() -> list[str]:
    """The same heads on classes that nobody saw; no lines where that was not run."""
    path = RESULTS / "heads_unseen.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    lines = []
    for code, row in sorted(result["codes"].items(), key=lambda item: -item[1]["left out"]["mAP"]["mean"]):
        cells = [row["left out"]["mAP"]["mean"], row["whole"]["mAP"]["mean"]]
        gaps = [row["left out"].get(f"over {other}") for other in ("uncoded", "i3d")]
        shown = ["–" if g is None else f"{g[0]:+.3f} ({g[1]:+.3f} to {g[2]:+.3f})" for g in gaps]
        lines.append([code, str(row["bits"] or "floats"), f"{cells[0]:.3f}", *shown, f"{cells[1]:.3f}"])
    heads = [
        "code",
        "bits",
        "mAP among the two",
        "over its features",
        "over I3D, uncoded",
        "mAP among all ten",
    ]
    return [
        "Trained on eight classes of real10 and asked about the other two, all 45 pairs; differences paired "
        f"by query, 95 % by a bootstrap over groups. `{result['command']}`, {made_on(result['machine'])}.",
        "", table(heads, lines), "",
    ]  # fmt: skip


def of_copies() -> list[str]:
    """Heads of the copy descriptor, asked for copies; no lines where that was not run."""
    path = RESULTS / "copy_heads.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    lines = []
    for code, row in result["heads"].items():
        name, _, bits = code.rpartition(" ")
        shares = [f"{share:.3f}" for asked in ("videos", "pictures") for share in row[asked]]
        lines.append([title(name or code), bits if name else "floats", *shares, f"{row['cpu_seconds']:.0f}"])
    lines.sort(key=lambda line: (line[1] != "floats", line[1].zfill(3), -float(line[3])))
    return [
        "Bits of the copy descriptor, by what they find of copies: the mean descriptors of "
        f"{result['copies']} copies of 47 kinds against {result['strangers']} strangers each, and "
        f"{result['views of held-out pictures']} edited views of pictures that no head was fitted to. The "
        "bits alone: no regions, no frame codes, no second look. ITQ is what `copy-256` has, *contrast* what "
        f"`training.train_copy_hash` can train. `{result['command']}`, {made_on(result['machine'])}.", "",
        table(["head", "bits", "copies, recall at no false match", "at 1e-3", "pictures, at no false match",
               "at 1e-3", "CPU s"], lines), "",
    ]  # fmt: skip


def layout(ours: dict[str, Any], rows: dict[str, str], figure: str) -> str:
    """One table, a column for each length."""
    lines = []
    for name, why in rows.items():
        cells = [cell(PUBLISHED.get(name, {}).get(n, "–"), ours.get(f"{name} {n}"), figure) for n in LENGTHS]
        run = any(f"{name} {n}" in ours for n in LENGTHS)
        verdict = why if name not in METHODS else f"no: {why}" if run else "not run yet"
        lines.append([title(name), *cells, verdict])
    return table(["method", *(f"{n} bits" for n in LENGTHS), "reproduced?"], lines)


def title(name: str) -> str:
    """As papers print it."""
    return METHODS[name].title if name in METHODS else {"svhm": "SVHM"}.get(name, name)


def cell(published: str, row: dict[str, Any] | None, figure: str) -> str:
    """Theirs and ours."""
    return f"{published} \\| {shown(row, figure)}"


def shown(row: dict[str, Any] | None, figure: str) -> str:
    """Ours; a number of seeds where it is not three."""
    if row is None:
        return "–"
    mean, sd = row[figure]
    few = "" if row["runs"] == 3 else f" ({row['runs']} seed{'s' * (row['runs'] > 1)})"
    return f"{mean:.3f}" + (f" ± {sd:.3f}" if sd is not None else "") + few


def paired(rows: dict[str, Any]) -> str:
    """Differences of each method from the references, a column for each length."""
    cells: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for name, row in rows.items():
        method, _, bits = name.rpartition(" ")
        for key, (difference, low, high) in ((k, v) for k, v in row.items() if " − " in k):
            gap = f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
            cells[title(method), key.partition(" − ")[2]][int(bits)] = gap
    lengths = sorted({bits for row in cells.values() for bits in row})
    lines = [[*names, *(row.get(bits, "–") for bits in lengths)] for names, row in sorted(cells.items())]
    return table(["method", "against", *(f"{n} bits" for n in lengths)], lines)


def main() -> None:
    command_line(__doc__).parse_args()
    print("\n".join(papers()))


if __name__ == "__main__":
    main()
