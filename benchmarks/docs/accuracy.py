"""What ``docs/accuracy.md`` shows: how well copies, clips in videos and videos of one kind are found."""

from __future__ import annotations

from typing import Any

from benchmarks.common import RESULTS, by_whom, load, source, table
from benchmarks.retrieval import supervised_report

_DECISIONS = ("dedup", "search", "compare", "find")


def _interval(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.2f} ({low:.2f} – {high:.2f})"


def near_duplicates() -> str:
    result = load("near_duplicates")
    rows = []
    shown = {
        name: tool
        for name, tool in result["tools"].items()
        if not tool["key"].startswith(("learned:", "code:"))
    }  # codes that were learned from a few clips are in training/REPORT.md
    for name, tool in shown.items():
        different, every = tool["different scenes"], tool["all"]
        figures = (
            different["recall_0"],
            different["recall_1e-3"],
            different["micro_ap"],
            every["recall_1e-3"],
        )
        found = sum(pair["found"] for pair in tool["natural"].values())
        natural = f"{found} of {len(tool['natural'])}"
        size = f"{tool['bytes']:.0f}"
        rows.append((name, size, *map(_interval, figures), natural, f"{tool['cpu_seconds']:.2f}"))
    header = (
        "tool", "bytes", "recall, no false match", "recall at 1e-3", "micro-AP",
        "recall at 1e-3, same scene too", "natural pairs", "CPU s a video",
    )  # fmt: skip
    ours = next(iter(result["tools"]))
    by = result["tools"][ours]["different scenes"]["recall_1e-3 by transformation"]
    gain = result["gain over the best peer"][ours]["different scenes"]
    gains = ", ".join(
        f"{label} +{gain[key]['gain']:.2f} ({gain[key]['interval'][0]:+.2f} to {gain[key]['interval'][1]:+.2f})"
        for key, label in (
            ("recall_0", "recall at no false match"), ("recall_1e-3", "recall at 1e-3"), ("micro_ap", "micro-AP")
        )
    )  # fmt: skip
    older = ", ".join(name for name, tool in shown.items() if "date" in tool)
    weak = ", ".join(f"{name} {one['value']:.2f}" for name, one in by.items() if one["value"] < 0.9)
    return (
        table(header, rows)
        + f"\n\n{result['queries']} transformed copies (15 transformations) of {result['originals']} originals; "
        "95 % intervals by a bootstrap over scenes. "
        f"Paired gain of {ours.removeprefix('vhash ')} over the best peer, different scenes: {gains}. "
        f"Below .9 by transformation: {weak}. "
        + (f"Rows of an earlier run, on the same clips: {older}. " if older else "")
        + source("near_duplicates")
    )


def decisions() -> str:
    name = "decisions_copy-256"
    result = load(name)
    takes, sets = result["other takes called copies"], result["made alike"].values()

    def shares(what: str) -> list[str]:  # `find` only where it was asked for, and it has no parts
        found = [result.get(asked + what) for asked in _DECISIONS]
        return [f"{one['reporting']['all']['share']:.3f}" if one else "" for one in found]

    counts = (
        f"{result['search']['strangers']} of {result['search']['stranger pairs']:,}",
        f"{result['find']['strangers']}" if "find" in result else "", f"{takes['found']} of {takes['of']}",
        f"{sum(one['false groups'] for one in sets)}",
        f"{sum(one['re-encodes grouped'] for one in sets)} of {sum(one['of'] for one in sets)}",
    )  # fmt: skip
    header = (
        "", *_DECISIONS, "strangers that search calls copies", "strangers that find names",
        "other takes called copies", "false groups of videos made alike", "their re-encodes grouped",
    )  # fmt: skip
    reported = result["compare"]["reporting"]
    total, kinds = reported["all"]["of"], len(reported["kinds"])
    weak = ", ".join(f"{kind} {at:.2f}" for kind, at in reported["kinds"].items() if at < 0.9)
    rows = [
        ("called copies", *shares(""), *counts),
        ("or told to share a part", *shares(", or part"), *[""] * len(counts)),
    ]
    return (
        table(header, rows)
        + f"\n\nThe share of {total} copies, {kinds} kinds of {total // kinds} originals, on which nothing was tuned. "
        "Talks, desktops and cartoons made alike are drawn, and limits were set on the same drawings. "
        f"Below .9 by kind, `compare`: {weak}. {source(name)}"
    )


def copy_descriptors() -> str:
    result = load("copy_descriptors")
    rows = [
        (name, label, f"{likeness['recall_0']:.3f}", f"{likeness['recall_1e-3']:.3f}")
        for name, figures in result["descriptors"].items()
        for label, likeness in figures.items()
        if isinstance(likeness, dict)
    ]
    return (
        table(("descriptor", "compared", "recall, no false match", "recall at 1e-3"), rows)
        + f"\n\n{result['copies']:,} copies of {result['originals']} originals, {result['stranger_pairs']:,} pairs "
        "of strangers. SSCD and the network: floats of eight frames of the whole picture, their mean or each with its "
        "counterpart; vhash: what a library keeps, of every view. " + source("copy_descriptors")
    )


def calibration() -> str:
    result = load("calibration_copy-256")
    rows = []
    for label, what in (("codes", "distance of codes"), ("verified", "distance at the second look")):
        for rate, row in result["tables"][label]["rates"].items():
            low, high = row["interval"]
            held = result["held out"][label].get(rate)
            seen = f"{held['observed']['median']:.1e}" if held else ""
            cells = (
                what,
                rate,
                row["threshold"],
                f"{low:.1e} – {high:.1e}",
                seen,
                f"{row['missed, all kinds']:.3f}",
            )
            rows.append(cells)
    header = (
        "measure", "false-match rate", "threshold", "95 % interval", "on scenes held out (median)", "copies missed"
    )  # fmt: skip
    return (
        table(header, rows)
        + f"\n\n{result['negative pairs']:,} pairs of {result['scenes']} scenes, {result['copies']} altered copies; "
        "scenes held out: a table of one half of the scenes asked about the other half, 40 times. "
        + source("calibration_copy-256")
    )


def clip_in_video() -> str:
    result = load("clip_in_video")
    alone = result["by_codes_alone"]
    off, by = result["seconds_off"], result["recall_by_transformation"]
    weak = ", ".join(f"{name} {value:.2f}" for name, value in by.items() if value < 0.95) or "none"
    header = (
        "excerpts of 5 to 15 s", "found, both ends within 1 s", "strangers found", "wrong places",
        "s off, median / p95", "CPU s a search",
    )  # fmt: skip
    row = (
        f"{result['present']}, {len(by)} transformations",
        f"{result['found']} ({result['recall']:.3f})",
        f"{result['false_in_absent']} of {result['absent']}",
        result["other_places_in_present"],
        f"{off['median']:.2f} / {off['p95']:.2f}",
        f"{result['cpu_seconds_a_query_with_third_looks']:.2f}",
    )
    return (
        table(header, [row])
        + f"\n\nThe gallery is one video of {60 * result['gallery_hours']:.0f} minutes; strangers are excerpts of clips "
        f"that are not in it, many from the same cameras. By codes alone: {alone['recall']:.3f} found, "
        f"{alone['false_in_absent']} of {result['absent']} strangers, wrong places {alone['other_places_in_present']}; "
        f"a search then takes {result['cpu_seconds_a_query']:.2f} s. Below .95 by transformation: {weak}. Segments of an hour of video "
        f"take {result['cpu_seconds_to_encode_an_hour']:.0f} CPU seconds"
        f"{by_whom(result)}. {source('clip_in_video')}"
    )


def _rate(value: float) -> str:
    return f"{1e4 * value:.1f} in 10,000"


def sound() -> str:
    """Planted cases of sound, and how far strangers are from the threshold."""
    if not (RESULTS / "sound.json").exists():
        return "Not measured in full yet: `python -m benchmarks.near_duplicates.sound`."
    result = load("sound")
    apart, limits = result["strangers"], result["thresholds"]
    rows = [
        (
            name,
            f"{row['same']} of {row['sounds']}",
            "" if row["bits"] is None else f"{row['bits']['median']:.2f} / {row['bits']['lowest']:.2f}",
            "" if row["bits"] is None else f"{row['offset error, s']['highest']:.2f}",
        )
        for name, row in result["planted"].items()
    ]
    rows += [
        (f"strangers talk over the same tune, {name}", f"{row['same']} of {row['pairs']}", "", "")
        for name, row in result["shared music"].items()
    ]
    real, kept, large = result["real copies"], result["library"], result["large library"]
    music = result.get("recordings")
    heard = (
        ""
        if music is None
        else f", and of {music['pairs']:,} pairs of {music['sounds']} pieces of real music "
        f"{music['above SAME_BITS']}, with {music['highest share of equal bits']:.2f}"
    )
    return (
        table(
            (
                "30 s of music, voice, or both, and",
                "same sound",
                "equal bits, median / lowest",
                "offset off by at most, s",
            ),
            rows,
        )
        + f"\n\nThe same sound is a stretch of at least {limits['LEAST_SECONDS']:g} s of sub-fingerprints of which "
        f"{100 * limits['SAME_BITS']:.0f} % of the bits are equal. Of {apart['pairs']:,} pairs of strangers "
        f"{apart['above SAME_BITS']} have one; their highest share is {apart['highest share of equal bits']:.2f}{heard}. "
        f"So strangers match at a rate of at most {_rate(apart['false-match rate, at most'])} (95 %). "
        f"{real['same']} of {real['pairs']} pairs of real copies are the same sound, with {real['lowest share of equal bits']:.2f} "
        f"of the bits or more. Of a library of {kept['sounds']} of these sounds all pairs are found in {kept['seconds']:g} s: "
        f"{kept['found']} of {kept['planted pairs']} planted, {kept['wrong']} wrong. Of {large['videos']:,} sounds of "
        f"random bits, {large['hours']:,} hours, in {large['seconds']:g} s and {large['megabytes more']:,} MB more: "
        f"{large['found']} of {large['planted pairs']}, {large['wrong']} wrong. {source('sound')}"
    )


def retrieval() -> str:
    result = load("retrieval_ucf101")
    found = {(row["method"], row["bits"]): row for row in result["table"]}
    lengths = sorted({bits for _, bits in found if bits})
    names = dict.fromkeys(method for method, bits in found if bits)
    order = (
        "lsh", "pca-sign", "itq", "bl1", "bl2", "bl3", "nopro", "q", "uvh", "uvvh-1", "uvvh-2",
        "neighbour-uvvh", "supervised hash network",
    )  # fmt: skip
    rows = []
    for name in [n for n in order if n in names]:
        cells = [found.get((name, bits)) for bits in lengths]
        runs = "/".join(str(c["runs"]) for c in cells if c)
        rows.append((name, *(f"{c['mAP@100']['mean']:.3f}" if c else "" for c in cells), runs))
    best = next(
        p for p in result["paired"]
        if (p["ours"], p["theirs"], p["bits"], p["figure"]) == ("neighbour-uvvh", "itq", 64, "mAP@100")
    )  # fmt: skip
    low, high = best["interval"]
    uncoded = found["uncoded, centred cosine", 0]["mAP@100"]["mean"]
    about = result["about"]
    return (
        table(("mAP@100, UCF101, 14 classes", *(f"{bits} bits" for bits in lengths), "seeds"), rows)
        + f"\n\n{about['queries']} queries, {about['database']} videos, ties averaged over, no labels used but by the "
        f"supervised reference; uncoded features {uncoded:.3f}. Paired gain of neighbour-uvvh over ITQ at 64 bits: "
        f"{best['difference']:+.3f} ({low:+.3f} to {high:+.3f}). {source('retrieval_ucf101')}"
    )


def unseen() -> str:
    first = next(iter(load("real10_unseen")["models"].values()))
    chance = " and ".join(f"{first[database]['chance']:.3f}" for database in ("left out", "whole"))
    return (
        supervised_report.unseen_table("real10_unseen", "real10, classes that nothing was fitted on")
        + "\n\nAll 45 pairs of classes left out in turn; 95 % intervals by a bootstrap over groups; chance "
        f"{chance}. `i3d-256` is class-discriminant-256, chosen inside the train split; its input size was picked "
        f"by these figures. {source('real10_unseen')}"
    )


def closed_sets() -> str:
    result = load("clip_hashing")
    tables = [
        supervised_report.closed_table(result, place)
        for place in supervised_report.METHODS
        if result["runs"].get(place)
    ]
    return (
        "\n\n".join(tables)
        + "\n\nQueries are of classes that were trained on, so this measures a classifier; trivial code: the hash network's "
        f"own prediction as a number. {supervised_report.joint_or_separate(result)} {source('clip_hashing')}"
    )
