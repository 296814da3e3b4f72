"""Write the README's figures from benchmarks/results/*.json, so that no figure is typed by hand.

python -m benchmarks.docs.tables            # rewrite the blocks between <!-- table: NAME --> and <!-- /table -->
python -m benchmarks.docs.tables --check    # exit 1 where the README does not say what the results say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.common import ROOT, command_line, load, made_on, table
from benchmarks.retrieval import supervised_report
from benchmarks.speed import scale_tables

README = ROOT / "README.md"
PAGES = (README, ROOT / "docs" / "scale.md")
_BLOCK = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def source(name: str) -> str:
    result = load(name)
    where = result["machine"]
    return f"`{result['command']}`, {made_on(where)}."


def encode() -> str:
    result = load("encode")
    rows = [
        (name, *(f"{1e3 * row[key]:.0f}" for key in ("min", "p50", "p95")))
        for name, row in result["seconds"].items()
    ]
    ratio = result["file_to_code_over_full_decode"]["p50"]
    return (
        table(("one 10 s 320×240 H.264 file", "min ms", "median ms", "p95 ms"), rows)
        + f"\n\nFile to code takes {ratio:.1f} times as long as merely decoding the whole file (medians). {source('encode')}"
    )


def resize() -> str:
    rows = []
    for case in load("resize")["cases"]:
        (h, w), (th, tw) = case["source"], case["target"]
        ours, theirs = case["seconds"]["vhash avx512"]["p50"], case["seconds"]["swscale"]["p50"]
        row = (
            f"{w}×{h} → {tw}×{th} {case['filter']}",
            f"{1e6 * ours:.0f}",
            f"{1e6 * theirs:.0f}",
            f"{theirs / ours:.1f}×",
        )
        rows.append(row)
    return (
        table(("frame kernel, one thread", "vhash µs", "swscale µs", "ratio"), rows)
        + f"\n\n{source('resize')}"
    )


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


def calibration() -> str:
    result = load("calibration_lite0-phash-256")
    rows = []
    for label, what in (("codes", "distance of codes"), ("verified", "verified distance")):
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
        + source("calibration_lite0-phash-256")
    )


def clip_in_video() -> str:
    result = load("clip_in_video")
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
        f"{result['cpu_seconds_a_query']:.2f}",
    )
    return (
        table(header, [row])
        + f"\n\nThe gallery is one video of {60 * result['gallery_hours']:.0f} minutes; strangers are excerpts of clips "
        f"that are not in it, many from the same cameras: the highest scores {result['highest_scores_of_strangers'][0]}, "
        f"the threshold is {result['threshold']:g}. Below .95 by transformation: {weak}. Segments of an hour of video "
        f"take {result['cpu_seconds_to_encode_an_hour']:.0f} CPU seconds. {source('clip_in_video')}"
    )


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


def dedup() -> str:
    result = load("dedup")
    library, report = result["library"], result.get("report")
    rows = [
        (
            f"{library['videos']:,} videos, {name}",
            *(f"{each[key]:.1f}" for key in ("min", "median", "processor")),
        )
        for name, each in library["seconds"].items()
    ]
    where = library["machine"]
    text = (
        f"The whole call, from SQLite to {library['groups']:,} groups with {library['duplicates']:,} duplicates, "
        f"{library['bits']} synthetic bits, radius {library['radius']}; without the duplicates "
        f"{library['near pairs without them']} near pairs are left. "
    )
    if report is not None:
        browser = {name: sorted(run[name] for run in report["browser"])[1] for name in report["browser"][0]}
        text += (
            f"A report of {report['groups']:,} groups ({report['videos']:,} film strips) takes {report['bytes'] / 1e6:.0f} MB: "
            f"Chromium paints it after {browser['first paint']:.1f} s, shows the first picture after "
            f"{browser['first picture']:.1f} s, and goes to the next pair in {1e3 * browser['one key']:.0f} ms (medians of three, on a machine with thirty jobs). "
        )
    text += f"`{result['command']}`, {made_on(where)}."
    return table(("`Library.duplicates`", "min s", "median s", "processor s"), rows) + "\n\n" + text


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


def backends() -> str:
    result = load("backends")
    rows = []
    for name, model in result["models"].items():
        same = model["agreement"]["pairs"]["torch fp32"]
        for title, row in model["speed"]["1 threads"].items():
            bits = f"{100 * same[title]['bits']:.2f} %", f"{100 * same[title]['codes']:.0f} %"
            rows.append((name, title, f"{1e3 * row['cpu_min']:.0f}", *bits))
    header = ("model", "backend", "CPU ms, one thread", "bits as PyTorch", "codes as PyTorch")
    clips = ", ".join(f"{model['agreement']['clips']} for {name}" for name, model in result["models"].items())
    generated = ", ".join(name for name, model in result["models"].items() if model["weights"] == "generated")
    return (
        table(header, rows)
        + "\n\nCPU time of one video through the network, least of several taken in turn; the machine did other work "
        "too, so times on the wall are in the result file only. "
        f"Bits on real clips ({clips}), decoded by PyAV. PyTorch has the weights as they were trained, all files "
        f"have them rounded to fp16. {generated} has generated weights: its speed is real, its bits mean nothing "
        f"but that backends agree. ONNX Runtime CUDA and TensorRT have not run: no GPU here. {source('backends')}"
    )


def agreement() -> str:
    blocks = []
    for name, model in load("backends")["models"].items():
        pairs = model["agreement"]["pairs"]
        rows = [
            (
                title,
                *(
                    ""
                    if other == title
                    else f"{100 * row[other]['bits']:.2f} / {100 * row[other]['codes']:.0f}"
                    for other in pairs
                ),
            )
            for title, row in pairs.items()
        ]
        if model["weights"] == "bundled":
            blocks.append(table((f"{name}: % of equal bits / codes", *pairs), rows))
    return "\n\n".join(blocks)


def end_to_end() -> str:
    result = load("end_to_end")
    load_average = result["load average"]
    busy = (
        f"Taken at a load average of {load_average:.0f}: trust the CPU column. " if load_average > 2 else ""
    )
    rows = []
    for name, stages in result["seconds"].items():
        network = result["throughput"][name]["network"]
        best = max(network, key=lambda batch: network[batch])
        many = f"{result['throughput'][name]['file to code']:.1f}", f"{network[best]:.1f} (batch {best})"
        for stage, row in stages.items():
            times = (f"{1e3 * row[key]:.1f}" for key in ("cpu_p50", "p50", "p95", "p99"))
            rows.append((name, stage, *times, *(many if stage == "file to neighbours" else ("", ""))))
    header = (
        "default model", "stage", "CPU ms", "p50 ms", "p95 ms", "p99 ms", "files a second", "network alone",
    )  # fmt: skip
    return (
        table(header, rows)
        + f"\n\nOne 10 s 320×240 H.264 file, {result['codes']:,} codes of 256 bits, {source('end_to_end')} "
        f"{busy}Paper [A] gives 544 ms on its own machine. Plot: `benchmarks/results/end_to_end.png`."
    )


def engines() -> str:
    result = load("engines")
    rows = [
        (row["model"], row["precision"], f"{row['megabytes']:.1f}", f"{row['seconds']:.1f}")
        for row in result["engines"]
    ]
    return (
        table(("model", "precision", "engine MB", "parse and build s"), rows)
        + f"\n\nTensorRT for RTX {result['engines'][0]['tensorrt']}, compute capability {result['compute_capability']}, "
        f"batches 1 to 8, built without a GPU, not run. {source('engines')}"
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


def clip_models() -> str:
    result = load("clip_models")
    rows = []
    for name, model in result["models"].items():
        for row in model["rows"]:
            engine, batch = f"{row['engine']} {row['precision']}", row["batch"]
            seconds = (f"{x:.2f}" for x in (row["per_clip"], row["seconds"]["p50"] / batch))
            share = f"{100 * row['share_of_gemm']:.0f} %"
            rows.append(
                (
                    name.removesuffix("-random"),
                    f"{model['operations'] / 1e9:.0f}",
                    engine,
                    batch,
                    *seconds,
                    share,
                )
            )
    code, trained, latency = result["file_to_code"], result["training"], result["hash_network"]
    padding = ", ".join(
        f"{row['engine']} {row['times as fast padded']['p50']:.2f}" for row in load("clip_padding")["rows"]
    )
    files = {name: row["p50"] for name, row in code["seconds"].items()}
    return (
        table(("32 frames of 112 × 112", "GFLOP", "engine", "batch", "s a clip", "median", "of GEMM"), rows)
        + "\n\nGEMM: the best matrix product of 2048 × 2048 in the same precision, PyTorch's or OpenVINO's, measured after "
        "every run. "
        f"R(2+1)D-34, file to code, OpenVINO int8, median: {files['one crop']:.2f} s with one crop, {files['ten crops']:.2f} s "
        f"with ten (the paper, on a GPU: {code['paper']['one crop']} s, {code['paper']['ten crops']} s). Hash network in batches "
        f"of 1,000 and 2,000: {1e6 * latency['fp32']['1000']:.0f} and {1e6 * latency['fp32']['2000']:.0f} µs a code, in bfloat16 "
        f"{1e6 * latency['bf16']['1000']:.0f} and {1e6 * latency['bf16']['2000']:.0f} µs (the paper, on a GPU: 2 to 3 µs). "
        f"Mid planes padded with zeros to multiples of 16, times as fast as without: {padding} (`python -m benchmarks.speed.video_networks_padding`). "
        f"Fine-tuning R(2+1)D-34 + BERT on this CPU: {trained['clips_per_second']:.2f} clips/s, "
        f"{100 * trained['share_waiting']:.0f} % of the time waiting for data. {source('clip_models')}"
    )


TABLES: dict[str, Callable[[], str]] = {
    "clip_models": clip_models,
    "unseen": unseen,
    "closed_sets": closed_sets,
    "backends": backends,
    "agreement": agreement,
    "end_to_end": end_to_end,
    "engines": engines,
    "near_duplicates": near_duplicates,
    "clip_in_video": clip_in_video,
    "calibration": calibration,
    "search": search,
    "dedup": dedup,
    "encode": encode,
    "resize": resize,
    "retrieval": retrieval,
    "robustness": robustness,
    "scale": scale_tables.rates,
    "scale_join": scale_tables.self_join,
    "scale_kills": scale_tables.killed,
    "scale_capacity": scale_tables.capacity,
    "scale_encoding": scale_tables.encoding_cost,
}


def render(text: str) -> str:
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    stale = 0
    for page in PAGES:
        text = page.read_text()
        wanted = render(text)
        if not check:
            page.write_text(wanted)
        elif text != wanted:
            print(
                f"{page.name} does not say what benchmarks/results say; run: python -m benchmarks.docs.tables"
            )
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
