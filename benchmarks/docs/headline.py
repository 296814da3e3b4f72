"""The table of the README: six figures that say what to expect, good and bad."""

from __future__ import annotations

from typing import Any

from benchmarks.common import by_whom, load, made_on, table

_RECALL = "recall_1e-3"
_Row = tuple[str, str, str]


def headline() -> str:
    rows = [*_copies(load("near_duplicates")), _decisions(load("decisions_copy-256"))]
    rows += [_clips(load("clip_in_video")), _encoding(load("encode"))]
    rows.append(_search(load("search")))
    machines = {
        made_on(load(name)["machine"]).rsplit(", ", 1)[0] for name in ("near_duplicates", "encode", "search")
    }
    return table(("measured", "vhash", "beside it"), rows) + f"\n\n{', '.join(sorted(machines))}."


def _decisions(result: dict[str, Any]) -> _Row:
    """What is called a copy by default, of copies as people make them and of what only looks like one."""
    asked = {name: result[name]["reporting"]["all"] for name in ("compare", "dedup")}
    kinds, takes = len(result["compare"]["reporting"]["kinds"]), result["other takes called copies"]
    return (
        f"copies as people make them, {asked['compare']['of']} in {kinds} kinds, many of them hard: called copies by "
        "`compare`, grouped by `dedup`; other takes of one scene called copies",
        f"{asked['compare']['share']:.2f}, {asked['dedup']['share']:.2f}; {takes['found']} of {takes['of']}",
        "",
    )


def _copies(result: dict[str, Any]) -> list[_Row]:
    """Copies found where one stranger in a thousand may be taken for one; where that is hard; where it is lost."""
    tools = result["tools"]
    ours, small = tools["vhash copy-256"], tools["vhash lite0-phash-64"]
    peers = {
        name: tool for name, tool in tools.items() if not tool["key"].startswith(("vhash", "code", "learned"))
    }

    def value(tool: dict[str, Any], scenes: str) -> float:
        return float(tool[scenes][_RECALL]["value"])

    def best(scenes: str) -> str:
        name = max(peers, key=lambda peer: value(peers[peer], scenes))
        return f"{value(peers[name], scenes):.2f}, {name.split()[0]}"

    kinds = {
        name: one["value"] for name, one in ours["different scenes"][f"{_RECALL} by transformation"].items()
    }
    first = max(peers, key=lambda peer: value(peers[peer], "different scenes"))
    theirs = peers[first]["different scenes"][f"{_RECALL} by transformation"]
    hard = sorted(kinds, key=lambda name: kinds[name])[:3]
    names = {
        "blurpad": "over a blurred fill",
        "pip": "picture in picture",
        "combo": "several changes at once",
    }
    return [
        (
            f"copies found, of {result['queries']} altered in {len(kinds)} ways, where 1 stranger in 1,000 may pass",
            f"{value(ours, 'different scenes'):.2f}", best("different scenes"),
        ),
        (
            "the hardest of these ways: " + ", ".join(names.get(name, name) for name in hard),
            ", ".join(f"{kinds[name]:.2f}" for name in hard),
            ", ".join(f"{theirs[name]['value']:.2f}" for name in hard) + f", {first.split()[0]}",
        ),
        (
            "copies found by the model `small` (8 bytes), other takes of the same scene among the strangers",
            f"{value(small, 'all'):.2f}", best("all"),
        ),
    ]  # fmt: skip


def _clips(result: dict[str, Any]) -> _Row:
    return (
        f"excerpts of 5 to 15 s found in {60 * result['gallery_hours']:.0f} minutes of video, both ends within 1 s"
        f"{by_whom(result)}",
        f"{result['found']} of {result['present']}; of {result['absent']} that are not there, {result['false_in_absent']}",
        "",
    )


def _encoding(result: dict[str, Any]) -> _Row:
    seconds = {name: f"{1e3 * one['p50']:.0f} ms" for name, one in result["seconds"].items()}
    return (
        "a file of 10 s (320×240, H.264) to its code",
        seconds["file to code, int8"],
        f"{seconds['plain full decode']} only to decode it; {seconds['videohash2']}, videohash2",
    )


def _search(result: dict[str, Any]) -> _Row:
    case = next(
        one for one in result["knn"] if (one["bits"], one["codes"], one["queries"]) == (256, 1_000_000, 1)
    )
    nanoseconds = {name: one["min"] * case["codes"] for name, one in case["nanoseconds"].items()}
    best = min(value for name, value in nanoseconds.items() if name.startswith("faiss"))
    return (
        f"the {case['k']} nearest of a million codes of 256 bits, exactly, one thread",
        f"{nanoseconds['vhash'] / 1e6:.1f} ms",
        f"{best / 1e6:.1f} ms, faiss",
    )
