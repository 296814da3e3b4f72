"""What ``docs/benchmarks.md`` shows of exact and approximate search, and of joins, beside their peers."""

from __future__ import annotations

from typing import Any

from benchmarks.common import load, made_on, source, table


def search() -> str:
    result = load("search")
    rows = []
    for case in result["knn"]:
        nanoseconds = case["nanoseconds"]
        best = min(row["min"] for name, row in nanoseconds.items() if name.startswith("faiss"))
        share = f"{100 * case['share_of_limit']:.0f} % of {case['limit'].removeprefix('limit: ')}"
        what = f"{case['bits']} bits, N = {case['codes']:.0e}, {case['queries']} queries, k = {case['k']}"
        ours = nanoseconds["vhash"]["min"]
        rows.append((what.replace("e+0", "e"), f"{ours:.3f}", f"{best:.3f}", f"{best / ours:.1f}×", share))
    for case in result["range"]:
        ours, theirs = (case["nanoseconds"][name]["min"] for name in ("vhash", "faiss"))
        what = f"{case['bits']} bits, N = {case['codes']:.0e}, {case['queries']} queries, radius {case['radius']}"
        rows.append((what.replace("e+0", "e"), f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.1f}×", ""))
    near, pairs = result["near_duplicates"], result["pairs"]
    median = near["microseconds"]["vhash"]["p50"]
    scan = near["microseconds"]["vhash scan"]["p50"]
    return (
        table(("exact search", "vhash ns", "faiss ns", "ratio", "of the measured limit"), rows)
        + "\n\nNanoseconds for each code and query, best of several runs, one thread, faiss in its best mode, in the "
        "same process with the same answers. "
        f"The ten near-duplicates of a query among {near['codes']:.0e} 64-bit codes: {median:.0f} µs by "
        f"multi-index hashing ({scan / 1e3:.1f} ms by scan). All {pairs['pairs']:,} pairs within {pairs['radius']} "
        f"bits of {pairs['codes']:.0e} clustered codes: {pairs['seconds']:.1f} s, {pairs['times_faiss']:.0f} times "
        f"as fast as faiss (extrapolated). {source('search')}"
    ).replace("e+0", "e")


def sizes() -> str:
    result = load("search_sizes")
    rows = []
    for row in result["rows"]:
        ours, peer = row["vhash"], row.get("faiss", {})
        cells = [
            f"{1e3 * ours[name]:.3g} ({'–' if not peer else f'{peer[name] / ours[name]:.1f}×'}; {100 * row['share'][name]:.0f} %)"
            for name in ("one", "batch")
        ]
        rows.append((row["bits"], f"{row['codes']:.0e}".replace("e+0", "e"), *cells, row["batch"]))
    header = (
        "bits",
        "codes",
        "one query, ms (times faiss; of the limit)",
        "a query of a batch, ms",
        "queries of it",
    )
    return (
        f"{table(header, rows)}\n\n![Time against the number of codes](../benchmarks/results/search_sizes.webp)\n\n"
        "One thread, uniform codes, the ten nearest. The limits are reading the memory once, for one query, and the "
        "kernel alone over a megabyte of codes, for a batch; below a hundred thousand codes what a call costs at all "
        f"weighs as much as its codes. {source('search_sizes')}"
    )


def approximate() -> str:
    result = load("search_approximate")
    rows = []
    for size in result["rows"]:
        n = f"{size['codes']:.0e}".replace("e+0", "e")
        for one in (size["scan"], *size["vhash"]):
            what = "exact" if one["asked"] is None else f"`approximate={one['asked']:g}`"
            what += ", by scan" if one is size["scan"] else ""
            near, far = one["nearest"], one["radius"]
            rows.append(
                (
                    n, what, f"{near['milliseconds']:.2f}", f"{near['recall']:.3f}",
                    f"{far['milliseconds']:.2f}", f"{far['recall']:.3f} ({far['recall at the radius']:.2f})",
                )
            )  # fmt: skip
        for peer in size.get("faiss", ()):
            knob = next(key for key in peer if key in ("nprobe", "efSearch"))
            name = f"faiss {peer['index']}, {knob} {peer[knob]} (built in {peer['build_seconds']:.0f} s)"
            rows.append((n, name, f"{peer['milliseconds']:.2f}", f"{peer['recall']:.3f}", "", ""))
    header = (
        f"{result['bits']} bits, one query", "", "five nearest, ms", "recall",
        f"within {result['radius']} bits, ms", "recall (of those at the radius)",
    )  # fmt: skip
    builds = ", ".join(f"{size['build_seconds']:.0f} s at {size['codes']:.0e}" for size in result["rows"])
    return (
        f"{table(header, rows)}\n\nOf each query there are five copies with 20 to 60 bits flipped anywhere; recall is "
        f"the share of them that is found. The substring tables take {builds.replace('e+0', 'e')}. One thread, medians. "
        f"{source('search_approximate')}"
    )


def pruning() -> str:
    result = load("pruning")
    rows = []
    for name, one in result["sets"].items():
        far, stops, groups = one["strangers' distances"], one["stops"], one["clusters"]
        best = min(min(found.values()) for found in groups.values())
        index = [
            f"{100 * found['candidates']:.1f} % in {found['lookups']:,}"
            for found in one["multi-index"].values()
        ]
        rows.append(
            (
                f"{name}, {one['codes']:,}", f"{far['mean']:.0f} ± {far['deviation']:.1f}",
                *(f"{100 * stops[order]['a tile of 512']:.0f} %" for order in ("as stored", "most telling first")),
                f"{100 * best:.0f} %", *index,
            )
        )  # fmt: skip
    parts = next(iter(result["sets"].values()))["multi-index"]
    header = (
        f"codes of {result['bits']} bits", "strangers' distances", "bits read before a tile can be left",
        "most telling bits first", "distances behind clusters' bounds",
        *(f"{name}: codes looked at, in so many look-ups" for name in parts),
    )  # fmt: skip
    return (
        f"{table(header, rows)}\n\nCounted for queries within {result['radius']} bits. *Fitted* codes have the mean and "
        "the covariance of the default model's logits of pictures, *real* ones are those pictures, several of one clip: "
        "that is what the clusters find there. No bound of a cluster reaches so far: strangers are as near to each "
        "other's centre as to each other. "
        f"{source('pruning')}"
    )


def _line(rows: list[dict[str, Any]], *names: str) -> str:
    return "; ".join(
        f"{row['codes']:.0e}".replace("e+0", "e")
        + ": "
        + ", ".join(
            f"{row[name]:,.3g} {unit}" for name, unit in zip(names, ("s", "processor s", "MiB"), strict=True)
        )
        for row in rows
    )


def joins() -> str:
    result = load("joins")
    filters, pairs, library = result["filters"], result["pairs"], result["library"]
    rows = [
        (
            f"{100 * row['share']:g} %",
            row["path"],
            *(f"{row[name][who]:.2f}" for name in ("one", "hundred") for who in ("vhash", "numpy")),
        )
        for row in filters["rows"]
    ]
    header = (
        f"`among` of {filters['codes']:.0e} codes of {filters['bits']} bits".replace("e+0", "e"), "path",
        "one query, ms", "numpy", "a hundred, ms", "numpy",
    )  # fmt: skip
    names = ("seconds", "processor", "mebibytes")
    return (
        f"{table(header, rows)}\n\nAll pairs within {pairs['radius']} bits, {pairs['threads']} threads: "
        f"{_line(pairs['rows'], *names)}. Processor time grows with the {pairs['exponent']:.2f}th power of the number. "
        f"`Library.duplicates` with frame codes, 4 of 10 videos being copies: {_line(library['rows'], *names)}. It "
        f"grows with the {library['exponent']:.2f}th power. `{result['command']}`, {made_on(filters['machine'])}."
    )


def billion() -> str:
    result = load("billion")
    rows = []
    for row in result["rows"]:
        n = f"{row['codes']:.0e} of {row['bits']} bits".replace("e+0", "e")
        for name, title in (
            ("cold", "read, nothing cached"), ("warm", "read, all cached"), ("writer", "read and write, all cached"),
            ("scarce", "read, three quarters fit the cache"),
        ):  # fmt: skip
            one = row[name]
            cells = (one["open_seconds"], one["first_query"] / 1e3, one["one_query"] / 1e3)
            rows.append(
                (
                    n,
                    title,
                    *(f"{cell:.2f}" for cell in cells),
                    f"{one['query_of_a_hundred']:.0f}",
                    f"{one['mebibytes']:.0f}",
                )
            )
    texts = []
    for row in result["rows"]:
        fill, change = row["fill"], row["change"]
        texts.append(
            f"{row['codes']:.0e} codes of {row['bits']} bits: filled at {fill['codes_per_second'] / 1e6:.1f} million a second "
            f"with {fill['mebibytes']:.0f} MiB of memory, {fill['bytes'] / 1e9:.1f} GB on the disk; adding a million takes "
            f"{change['add_a_million']:.2f} s, removing a million {change['remove_a_million']:.2f} s, compacting "
            f"{change['compact_seconds']:.0f} s".replace("e+0", "e")
        )
    header = (
        "codes",
        "opened to",
        "open, s",
        "first query, s",
        "one query, s",
        "of a hundred, ms",
        "MiB of its own",
    )
    return f"{table(header, rows)}\n\n{'. '.join(texts)}. Two threads. {source('billion')}"
