"""Engines that TensorRT for RTX really builds, without a GPU, from every bundled model.

    python -m benchmarks.speed.engines [--models lite0-phash-256]

Each precision for compute capability 8.9, batches 1 to 8: parsed, built ahead of time, written, read.
int8 comes from a file with zero point 0, exported into .cache/models. Writes results/engines.json.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, command_line, write_result
from benchmarks.speed.network_files import BUNDLED, CLIP, model_file
from vhash_sdk.models.modelfile import read_model
from vhash_sdk.runtime.engine_files import Target, read_engine, write_engine
from vhash_sdk.runtime.tensorrt_build import BuildOptions, build_engine

CAPABILITY = "8.9"
MODELS = [*BUNDLED, CLIP]
PRECISIONS = ("fp32", "fp16", "bf16", "int8")


def build(name: str, precision: Any, folder: Path) -> dict[str, Any]:
    """Build one engine; its size and how long it took."""
    model = read_model(model_file(name, "int8s" if precision == "int8" else "fp32"))
    workspace = 16.0 if name == CLIP else None
    options = BuildOptions("rtx", precision, compute_capabilities=(CAPABILITY,), workspace=workspace)
    start = time.perf_counter()
    content, _ = build_engine(model, options)
    seconds = time.perf_counter() - start
    path = folder / f"{name}-{precision}.engine"
    target = Target.of(options)
    write_engine(path, content, model, target, options)
    assert read_engine(path).spec == model.spec
    print(f"{name:20} {precision:5} {len(content) / 1e6:7.1f} MB  {seconds:6.1f} s", flush=True)
    return {
        "model": name, "precision": precision, "megabytes": len(content) / 1e6, "seconds": seconds,
        "tensorrt": target.version, "fingerprint": model.spec.fingerprint,
    }  # fmt: skip


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    names = parser.parse_args().models
    with tempfile.TemporaryDirectory() as folder:
        made = [
            build(name, precision, Path(folder))
            for name in names
            for precision in PRECISIONS[: 3 if name == CLIP else 4]
        ]
    file = RESULTS / "engines.json"
    old = json.loads(file.read_text())["engines"] if file.is_file() else []
    rows = [row for row in old if row["model"] not in names] + made
    rows.sort(key=lambda row: (MODELS.index(row["model"]), PRECISIONS.index(row["precision"])))
    result = {
        "command": "python -m benchmarks.speed.engines",
        "flavour": "rtx",
        "compute_capability": CAPABILITY,
    }
    write_result("engines", {**result, "engines": rows})


if __name__ == "__main__":
    main()
