"""What ``docs/benchmarks.md`` shows of kills, damage and hostile files."""

from __future__ import annotations

from benchmarks.common import load, table


def robustness() -> str:
    store, hostile, library = load("durability"), load("hostile"), load("library")
    killed, flips, crash = store["kill -9"], store["bit flips"], store["crash of the machine"]
    cut, acknowledged = (
        store[f"log cut at every byte, {how}"] for how in ("as a crash does", "acknowledged part")
    )
    calls = store["failing calls"].values()
    isolated, kills = hostile["isolated"], library["kills"]
    codes = isolated["outcomes"]["code"]
    full, evil = library["full"], library["evil"]
    samples, again = full["mib_by_files_done_caller_and_all"], full["second_run"]["seconds_of_vhash_add"]
    peak = full["peak_mib_of_caller_and_workers"]
    memory = isolated["caller_resident_mib_every_100_files"]
    rows = [
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
        ("library: `vhash add` killed with -9", f"{kills['kills']} kills over {kills['files']} files",
         f"{kills['lost']} lost, {kills['doubled']} doubled"),
        ("library: 10,000 files in one run", f"{full['counts']['added']:,} added",
         f"memory {samples[0][2]} MiB with its workers at first, {peak} at most; the second run takes {again:.1f} s"),
        ("library: 500 videos among files that are broken, hang or are none", f"{evil['found']} found",
         f"{evil['in_the_library']} in, exactly the good ones; each other one listed with its reason"),
        ("encoder: corrupted and disguised files, isolated", f"{hostile['files']:,}",
         f"{codes} gave a code, {hostile['files'] - codes:,} a named error; 0 crashes; memory {memory[0]} → {memory[-1]} MiB"),
        ("encoder: the same in process", f"{hostile['files']:,}",
         f"{len(hostile['in_process']['crashed'])} crashes, {len(hostile['in_process']['hung'])} hung"),
    ]  # fmt: skip
    commands = ", ".join(f"`{load(name)['command']}`" for name in ("durability", "hostile"))
    return (
        table(("what was done", "how often", "what happened"), rows)
        + f"\n\n{commands}, `{kills['command']}`."
    )
