"""Backends side by side: speed, and whether they give the same bits.

    python -m benchmarks.speed.backends                      # all; writes results/backends.json
    python -m benchmarks.speed.backends --only speed --models lite0-phash-256
    python -m benchmarks.speed.backends --prefer             # writes what `auto` prefers from that result

Speed: one video through the network, all cores, cases taken in turn. Agreement: PyTorch and every backend
on real clips that shaped no model, decoded by PyAV; the share of bits and of whole codes that are equal,
for each pair. GPU backends take part where they run; elsewhere the result says why they did not.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, RESULTS, command_line, interleave, summary, write_result
from benchmarks.speed.network_files import BUNDLED, CLIP, checkpoint, model_file
from vhash_sdk.errors import VhashError
from vhash_sdk.models.modelfile import read_model
from vhash_sdk.runtime import Runtime, choice
from vhash_sdk.runtime.onnx import usable_cores
from vhash_sdk.spec import ModelSpec

CPU_CASES = [
    (backend, "cpu", precision) for precision in ("int8", "fp32") for backend in ("onnxruntime", "openvino")
]
GPU_CASES = [("onnxruntime", "cuda:0", "fp32"), ("onnxruntime", "cuda:0", "fp16"),
             ("tensorrt", "cuda:0", "fp32"), ("tensorrt", "cuda:0", "fp16")]  # fmt: skip
REFERENCE = "torch fp32"
CLIPS = {"copy-256": 60, "lite0-phash-256": 60, "lite0-phash-64": 60, "i3d-256": 12, CLIP: 6}


def label(backend: str, device: str, precision: str) -> str:
    """As in the tables: ``onnxruntime int8``, ``tensorrt fp16 cuda:0``."""
    return f"{backend} {precision}" + ("" if device == "cpu" else f" {device}")


def runtimes(name: str, threads: int, absent: dict[str, str]) -> Iterator[tuple[str, Runtime]]:
    """Every backend that runs this model here; what does not run goes into ``absent`` with the reason."""
    for backend, device, precision in CPU_CASES + GPU_CASES:
        title = label(backend, device, precision)
        try:
            file = model_file(name, "int8" if precision == "int8" else "fp32")
            chosen = choice.choose(file, device=device, backend=backend, precision=precision)
            yield title, chosen.start(threads)
        except VhashError as error:
            absent[title] = str(error)


def real_frames(spec: ModelSpec, count: int) -> NDArray[np.uint8]:
    """Frames of clips that shaped no model, ``uint8[count, 1, T, H, W, 3]``."""
    from training import clips

    names = clips.split(DATA)["tune"]
    chosen = [names[i * len(names) // count] for i in range(count)]
    frames = [clips.read_frames(DATA / clips.FOLDER / name, spec.sampling, spec.resize) for name in chosen]
    return np.stack(frames)[:, None]


def measure_speed(name: str, rounds: int) -> dict[str, Any]:
    """Seconds for one video on each backend, with all cores and with one thread."""
    found: dict[str, Any] = {}
    for threads in sorted({1, usable_cores()}):
        absent: dict[str, str] = {}
        started = dict(runtimes(name, threads, absent))
        frames = real_frames(read_model(model_file(name, "fp32")).spec, 1)
        cases: dict[str, Callable[[], object]] = {
            title: partial(runtime.run, frames) for title, runtime in started.items()
        }
        cpu: dict[str, list[float]] = {title: [] for title in cases}
        timed = {title: partial(cpu_timed, case, cpu[title]) for title, case in cases.items()}
        wall = interleave(timed, rounds=rounds)
        found[f"{threads} threads"] = {
            title: {**summary(wall[title]), "cpu_min": min(cpu[title][1:])} for title in cases
        }
        for title, row in found[f"{threads} threads"].items():
            print(f"{name:20} {threads} threads  {title:28} {1e3 * row['min']:8.1f} ms", flush=True)
        for runtime in started.values():
            runtime.close()
    return found


def cpu_timed(case: Callable[[], object], seconds: list[float]) -> None:
    """Run a case and note its CPU seconds, of all threads."""
    start = time.process_time()
    case()
    seconds.append(time.process_time() - start)


def torch_logits(name: str, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of the checkpoint in float32, by PyTorch."""
    import torch

    from export import families

    torch.set_num_threads(usable_cores())
    model = families.load(checkpoint(name), weights=DATA / "weights").model.eval()
    with torch.inference_mode():
        return np.concatenate([model(torch.from_numpy(clip[None]))[1].numpy() for clip in frames])


def measure_agreement(name: str, count: int) -> dict[str, Any]:
    """Equal bits and codes for each pair of backends, on ``count`` real clips."""
    frames = real_frames(read_model(model_file(name, "fp32")).spec, count)
    absent: dict[str, str] = {}
    logits = {REFERENCE: torch_logits(name, frames)}
    for title, runtime in runtimes(name, usable_cores(), absent):
        logits[title] = np.concatenate([runtime.run(clip[None]).logits for clip in frames])
        runtime.close()
    pairs = {
        title: {other: compare(logits[title], logits[other]) for other in logits if other != title}
        for title in logits
    }
    for title in logits:
        if title != REFERENCE:
            row = pairs[title][REFERENCE]
            print(f"{name:20} {title:28} bits {row['bits']:.4%}  codes {row['codes']:.2%}", flush=True)
    return {"clips": count, "decoder": "pyav", "pairs": pairs, "did not run": absent}


def compare(a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, float]:
    """Share of equal bits, share of equal codes, largest difference of a logit."""
    same = (a >= 0) == (b >= 0)
    return {
        "bits": float(same.mean()),
        "codes": float(same.all(1).mean()),
        "logits: largest difference": float(np.abs(a - b).max()),
    }


def keep(name: str, kind: str, found: dict[str, Any]) -> None:
    """Put one measurement into the result file, beside what it has."""
    file = RESULTS / "backends.json"
    models: dict[str, Any] = json.loads(file.read_text())["models"] if file.is_file() else {}
    entry = models.setdefault(name, {"weights": "generated" if name == CLIP else "bundled"})
    entry[kind] = found
    write_result("backends", {"command": "python -m benchmarks.speed.backends", "models": models})


def write_preferences() -> None:
    """What ``auto`` goes by: CPU seconds on one thread, by family and precision.

    Other work on the machine moves these much less than the time on the wall.
    """
    result = json.loads((RESULTS / "backends.json").read_text())
    rows = []
    for name in (BUNDLED[0], "i3d-256", CLIP):
        if name not in result["models"]:
            continue
        speed = result["models"][name]["speed"]["1 threads"]
        for precision in ("int8", "fp32"):
            seconds = {
                backend: round(speed[f"{backend} {precision}"]["cpu_min"], 4)
                for backend in ("onnxruntime", "openvino")
                if f"{backend} {precision}" in speed
            }
            rows.append({
                "family": read_model(model_file(name, "fp32")).spec.family, "precision": precision,
                "architecture": platform.machine(), "seconds": seconds,
            })  # fmt: skip
    about = {"made by": "python -m benchmarks.speed.backends --prefer", "machine": result["machine"]}
    choice.MEASURED.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--models", nargs="+", default=[*BUNDLED, CLIP], choices=[*BUNDLED, CLIP])
    parser.add_argument("--only", choices=("speed", "agreement"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clips", type=int, help="to compare bits on; default: 60, and 6 of R(2+1)D-34")
    parser.add_argument("--prefer", action="store_true", help="only write what `auto` prefers")
    args = parser.parse_args()
    if args.prefer:
        write_preferences()
        return
    for name in args.models:
        if args.only != "agreement":
            keep(
                name, "speed", measure_speed(name, max(3, args.rounds // 3) if name == CLIP else args.rounds)
            )
        if args.only != "speed":
            keep(name, "agreement", measure_agreement(name, args.clips or CLIPS[name]))


if __name__ == "__main__":
    main()
