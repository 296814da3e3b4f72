"""What ``docs/benchmarks.md`` and ``docs/media.md`` show of kills, damage, several processes and hostile files."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.common import RESULTS, load, made_on, table
from benchmarks.robustness.properties import markdown

_Row = tuple[str, str, str]
_READS = {
    "decode": "a video file, from its first byte to sampled frames",
    "index": "an index file",
    "code": "a code as text (`vh1:…`)",
    "model": "a model file (ONNX), before any runtime sees it",
    "spec": "a model's specification (JSON)",
    "names": "the names of an index's videos",
    "library": "a library's database",
    "summed-index": "an index file whose checksums were made to hold",
    "manifest": "a durable index: its manifest, checksums made to hold",
    "bitmap": "a durable index: its list of live rows, checksums made to hold",
    "log": "a durable index: its log, checksums made to hold",
    "segment": "a durable index: a segment, checksums made to hold",
    "capi": "calls of the C interface, in any order with any arguments",
}
"""What each target of ``tests.fuzz`` reads."""


def robustness() -> str:
    rows = [*_store(load("durability")), *_library(load("library")), *_processes(), *_many(), *_acting()]
    rows += [*_hostile(), *_fuzzed()]
    names = ("durability", "hostile", "acting", "library_processes", "library_many", "fuzz")
    known = {name: load(name) for name in names if _known(name)}
    commands = [one.get("command", f"python -m benchmarks.robustness.{name}") for name, one in known.items()]
    commands.insert(2, load("library")["kills"]["command"])
    made_by = ", ".join(f"`{command}`" for command in commands)
    return table(("what was done", "how often", "what happened"), rows) + f"\n\n{made_by}."


def fuzz() -> str:
    """Runs and findings of each reader."""
    result = load("fuzz")
    rows = [
        (name, _READS.get(name, ""), f"{one['runs']:,}", len(one["findings"]))
        for name, one in result["targets"].items()
    ]
    return (
        table(("target", "what reads the input", "runs", "findings"), rows)
        + f"\n\n{_seconds(result)} seconds each. A finding is a crash, a hang, or any error that is not a "
        f"`VhashError`. `{result['command']}`, {made_on(result['machine'])}."
    )


def media() -> str:
    """The table of ``docs/media.md``: is what is coded what a person sees?"""
    return markdown(load("media_properties")["rows"])


def _known(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def _seconds(result: dict[str, Any]) -> str:
    """For each target, as the command of a fuzzing run says."""
    found = re.search(r"--seconds (\S+)", result["command"])
    assert found is not None
    return found[1]


def _store(store: dict[str, Any]) -> list[_Row]:
    killed, flips, crash = store["kill -9"], store["bit flips"], store["crash of the machine"]
    cut, acknowledged = (
        store[f"log cut at every byte, {how}"] for how in ("as a crash does", "acknowledged part")
    )
    calls = store["failing calls"].values()
    return [
        ("durable index: writer killed with -9", f"{killed['kills']} kills, {killed['changes']:,} changes",
         f"{killed['lost']} lost, {killed['wrong']} wrong answers"),
        ("durable index: machine crashes, unsynced writes dropped", f"{crash['states']:,} states of {crash['calls']:,} calls",
         f"{crash['lost']} lost, {crash['wrong']} wrong, {crash['refused']} would not open"),
        ("durable index: one bit flipped anywhere", f"{flips['cases']:,}",
         f"{flips['wrong']} wrong; {flips['refused']:,} refused by file name, {flips['harmless']:,} harmless"),
        ("durable index: log cut at every byte, as a crash leaves it", f"{cut['cases']:,}",
         f"{cut['wrong']} wrong; {cut['harmless']:,} opened with every whole change, {cut['refused']:,} refused by file name"),
        ("durable index: log cut within what was acknowledged", f"{acknowledged['cases']:,}",
         f"{acknowledged['wrong']} wrong; all {acknowledged['refused']:,} refused by file name"),
        ("durable index: ENOSPC, EIO, short writes at every call", f"{sum(one['faults'] for one in calls):,} in {len(calls)} kinds",
         f"{sum(one['lost'] for one in calls)} lost, {sum(one['wrong'] for one in calls)} wrong"),
    ]  # fmt: skip


def _library(library: dict[str, Any]) -> list[_Row]:
    kills, full, evil = library["kills"], library["full"], library["evil"]
    samples, again = full["mib_by_files_done_caller_and_all"], full["second_run"]["seconds_of_vhash_add"]
    peak = full["peak_mib_of_caller_and_workers"]
    return [
        ("library: `vhash add` killed with -9", f"{kills['kills']} kills over {kills['files']} files",
         f"{kills['lost']} lost, {kills['doubled']} doubled"),
        ("library: 10,000 files in one run", f"{full['counts']['added']:,} added",
         f"memory {samples[0][2]} MiB with its workers at first, {peak} at most; the second run takes {again:.1f} s"),
        ("library: 500 videos among files that are broken, hang or are none", f"{evil['found']} found",
         f"{evil['in_the_library']} in, exactly the good ones; each other one listed with its reason"),
    ]  # fmt: skip


def _processes() -> list[_Row]:
    """Several processes on one library, where that was measured."""
    if not _known("library_processes"):
        return []
    result = load("library_processes")
    calls, wrong = sum(result["done"].values()), len(result["wrong"])
    where = f"{result['seconds'] / 60:g} minutes, {calls:,} calls"
    what = "library: several processes add, remove, search, group, verify and read at once"
    return [(what, where, f"{wrong} wrong")]


def _many() -> list[_Row]:
    """A library of very many files, where that was measured."""
    if not _known("library_many"):
        return []
    result = load("library_many")
    steps = result["steps"]
    peak, wrong = max(step["peak_mib"] for step in steps.values()), steps["verify"]["gave"]
    again, look = steps["add_again"]["seconds"], steps["search_from_cache"]["seconds"]
    what = f"library: {result['videos']:,} files that cost nothing to decode"
    how = f"added in {steps['add']['seconds']:,.0f} s, again in {again:,.0f} s, opened and searched in {look:.1f} s"
    return [(what, how, f"memory {peak} MiB at most; `verify` finds {wrong} wrong")]


def _acting() -> list[_Row]:
    """What ``apply`` and ``undo`` make of kills and full disks, where that was measured."""
    if not _known("acting"):
        return []
    total = load("acting")["total"]
    what = "`vhash apply` and `vhash undo`: killed with -9, disk full, at any change"
    how = f"{total['kills']} kills, {total['full disks']} full disks"
    settled = total["interrupted steps that undo settled"]
    return [
        (what, how, f"{total['lost']} files lost, {total['untrue']} untrue journals; {settled} steps settled")
    ]


def _hostile() -> list[_Row]:
    hostile = load("hostile")
    isolated, in_process = hostile["isolated"], hostile["in_process"]
    codes, memory = isolated["outcomes"]["code"], isolated["caller_resident_mib_every_100_files"]
    return [
        ("encoder: corrupted and disguised files, isolated", f"{hostile['files']:,}",
         f"{codes} gave a code, {hostile['files'] - codes:,} a named error; 0 crashes; memory {memory[0]} → {memory[-1]} MiB"),
        ("encoder: the same in process", f"{hostile['files']:,}",
         f"{len(in_process['crashed'])} crashes, {len(in_process['hung'])} hung"),
    ]  # fmt: skip


def _fuzzed() -> list[_Row]:
    result = load("fuzz")
    targets = result["targets"].values()
    runs, findings = sum(one["runs"] for one in targets), sum(len(one["findings"]) for one in targets)
    how = f"{runs:,} inputs, {_seconds(result)} s each"
    return [(f"readers of {len(targets)} formats and interfaces, fuzzed", how, f"{findings} findings")]
