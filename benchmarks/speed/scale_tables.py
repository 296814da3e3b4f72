"""The tables of ``docs/scale.md``, which stand on ``results/scale.json``."""

from __future__ import annotations

from typing import Any

from benchmarks.common import load, table

_MEMBERS = {"in memory": "`Index`, in this process", "in a directory": "`Index.open(directory)`"}


def source_of(section: dict[str, Any]) -> str:
    where = section["machine"]
    return f"`{section['command']}`, {where['cpu']}, {where['cores']} cores, {where['date']}."


def rates() -> str:
    """Every engine beside the embedded index."""
    section = load("scale")["rates"]
    rows = []
    for row in section["rows"]:
        first = next(one for one in section["rows"] if one["bits"] == row["bits"])
        one, base = row["one_query_seconds"]["p50"], first["one_query_seconds"]["p50"]
        rows.append(
            (
                _MEMBERS.get(row["engine"], row["engine"]),
                row["bits"],
                f"{row['insert_codes_per_second']:,.0f}",
                f"{first['insert_codes_per_second'] / row['insert_codes_per_second']:,.0f}×",
                f"{1e3 * one:.2f}",
                f"{one / base:,.0f}×",
                f"{row['queries_per_second']:,.0f}",
                f"{first['queries_per_second'] / row['queries_per_second']:,.0f}×",
            )
        )
    header = (
        "a million codes, k = 10", "bits", "inserts/s", "slower by", "one query, ms (median)", "slower by",
        "queries/s, 100 at once", "slower by",
    )  # fmt: skip
    return f"{table(header, rows)}\n\nAll give the same ids in the same order. {_busy(section)} {source_of(section)}"


def self_join() -> str:
    """The self-join by Ray against one process."""
    join = load("scale")["pairs"]
    single, ray = join["single"], join["ray"]
    return (
        f"All {single['pairs']:,} pairs within {join['radius']} bits of {join['codes']:.0e} codes of "
        f"{join['bits']} bits: {single['cpu_seconds']:.1f} processor seconds in one process, "
        f"{ray['cpu_seconds']:.1f} in {ray['workers']} Ray workers, {join['cpu_ratio']:.2f} times as many; the same "
        f"pairs. {single['seconds']:.0f} s on the clock with {single['threads']} threads, {ray['seconds']:.0f} s by "
        f"the workers, {ray['seconds with the start of Ray']:.0f} s with the start of Ray. {_busy(join)} "
        f"{source_of(join)}"
    ).replace("e+0", "e")


def killed() -> str:
    """What kill -9 left."""
    kills = load("scale")["kills"]
    encode, server = kills["encode"], kills["server"]
    rows = [
        (
            "encode by Ray: actors and drivers killed with -9",
            f"{encode['actors killed']} actors, {encode['drivers killed']} drivers, {encode['files']} files",
            f"{encode['files without a row']} without a row, {encode['files with two rows']} with two",
        ),
        (
            "Milvus server killed with -9 under upserts",
            f"{server['kills']} kills, {server['codes acknowledged']:,} codes acknowledged",
            f"{server['lost']} lost, {server['wrong']} wrong",
        ),
    ]
    return f"{table(('what was done', 'how often', 'what happened'), rows)}\n\n{source_of(kills)}"


def capacity() -> str:
    """What 1e8 to 1e10 codes take, by the figures measured for one."""
    measured = {(row["engine"], row["bits"]): row for row in load("scale")["rates"]["rows"]}
    million = load("scale")["rates"]["rows"][0]["codes"]
    scan = {row["bits"]: _scan_nanoseconds(row["bits"]) for row in load("scale")["rates"]["rows"]}
    rows: list[tuple[Any, ...]] = []
    for codes in (1e8, 1e9, 1e10):
        for bits in scan:
            server = measured["Milvus 2.3.5 server", bits]
            per_core = server["queries_per_second"] * million / 2  # codes compared by a core in a second
            ram = codes * (bits / 8 + 8) / 1e9
            rows.append(
                (
                    f"{codes:.0e}".replace("e+0", "e").replace("e+", "e"),
                    bits,
                    f"{codes * bits / 8 / 1e9:,.1f}",
                    f"{ram:,.1f}",
                    f"{scan[bits] * codes / 1e9:,.2g}",
                    f"{-(-2.5 * ram // 24):,.0f}",
                    f"{per_core * 16 * -(-2.5 * ram // 24) / codes:,.2g}",
                )
            )
    header = (
        "codes", "bits", "codes alone, GB", "with ids, GB", "`Index`: s a query and core, in batches",
        "Milvus: nodes of 16 cores, 32 GB a replica", "exact queries/s a replica",
    )  # fmt: skip
    return table(header, rows)


def encoding_cost() -> str:
    """Core hours of a million videos."""
    result = load("encode")
    clip = result["seconds"]["file to code, int8"]["cpu_min"]
    return (
        f"One 10 s 320×240 H.264 file takes {clip:.2f} processor seconds on a CPU (int8), so a million take "
        f"{clip * 1e6 / 3600:,.0f} core hours. `{result['command']}`, {result['machine']['cpu']}, "
        f"{result['machine']['date']}."
    )


def _busy(section: dict[str, Any]) -> str:
    load_average = section["load average"][0]
    return f"The machine had other work as well (load average {load_average:.0f}): take the ratios."


def _scan_nanoseconds(bits: int) -> float:
    """Nanoseconds of one core for a code and query, in batches of 1000."""
    cases = load("search")["knn"]
    (case,) = [c for c in cases if (c["bits"], c["codes"], c["queries"], c["k"]) == (bits, 10**6, 1000, 10)]
    return float(case["nanoseconds"]["vhash"]["min"])
