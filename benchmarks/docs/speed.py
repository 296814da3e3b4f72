"""What ``docs/benchmarks.md`` shows of speed, each part beside its peers."""

from __future__ import annotations

from benchmarks.common import load, made_on, source, table


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


def app() -> str:
    result = load("app")
    rows = [
        (name, *(f"{each[key]:,.0f}" for key in ("least", "median", "most")))
        for name, each in result["milliseconds"].items()
    ]
    text = (
        f"{result['videos']:,} videos with synthetic codes, {result['groups']:,} groups; headless Chromium, the server and the browser "
        f"on the same machine, which had {result['load']:.0f} other jobs at work on its cores. From the event to the frame that shows its outcome, "
        f"milliseconds of five. {source('app')}"
    )
    return table(("", "least", "median", "most"), rows) + "\n\n" + text


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
        f"{busy}Paper [A] gives 544 ms on its own machine. Plot: `benchmarks/results/end_to_end.webp`."
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


def serve() -> str:
    result = load("serve")
    rows = []
    for run in result["runs"]:
        wait = run["wait_seconds"]
        rows.append(
            (
                run["engine"],
                run["radius"],
                f"{run['asked_per_second']:,.0f}",
                f"{run['answered_per_second']:,.0f}",
                *(f"{1e3 * wait[name]:,.1f}" for name in ("p50", "p99", "max")),
                f"{run['server_cores']:.2f} + {run['load_cores']:.2f}",
            )
        )
    first = result["runs"][0]
    alone = (
        "Server and load went before the other work of a busy machine"
        if first["alone"]
        else "The machine had other work too"
    )
    wrong = sum(run["errors"] + run["missed"] + run["unanswered"] for run in result["runs"])
    return (
        table(
            (
                "engine",
                "radius",
                "asked a second",
                "answered",
                "wait p50 ms",
                "p99",
                "most",
                "cores: server + load",
            ),
            rows,
        )
        + f"\n\n{result['codes']:,} codes of {result['bits']} bits, one code a request, {result['connections']} "
        "connections, each wait counted from the moment that the request was due; the load runs on the same cores. "
        f"{wrong} answers were wrong, missed a code that is there, or never came. {alone}. "
        f"{source('serve')}"
    )
