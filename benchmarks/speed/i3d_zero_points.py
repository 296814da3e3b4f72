"""Bits of i3d-256 in int8 beside PyTorch's float32, with free zero points and with all of them 0.

    python -m benchmarks.speed.i3d_zero_points       # 40 real clips that shaped neither; some CPU minutes

ONNX Runtime and OpenVINO want the first kind, which is bundled, TensorRT the second
(``export/to_onnx.py --symmetric``); here both run on ONNX Runtime. Adds to ``results/export_i3d-256.json``.
"""

from __future__ import annotations

import json
from typing import Any

import onnx

from benchmarks.common import DATA, RESULTS, ROOT, command_line
from export import families, to_onnx
from training.clips import split

MODEL = "i3d-256"
CALIBRATION = 24  # clips, as for the bundled file


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--clips", type=int, default=40, help="to check on")
    options = parser.parse_args()
    checkpoint = ROOT / "training" / "checkpoints" / f"{MODEL}.safetensors"
    source = families.load(checkpoint, weights=DATA / "weights")
    spec = source.spec
    clips = source.card.get("clips") or to_onnx.spread(split(DATA))
    checks = to_onnx.read_clips(clips["tune"], DATA, spec, options.clips)
    expected = to_onnx.run_torch(source.model, checks)
    graph = to_onnx.round_half(to_onnx.to_float_graph(source.model, spec, source.outputs))
    fit = to_onnx.read_clips(clips["fit"], DATA, spec, CALIBRATION)
    models = {
        "free zero points (bundled)": onnx.load(ROOT / "sdk" / "vhash_sdk" / "models" / f"{MODEL}.int8.onnx"),
        "zero point 0": to_onnx.store_half(source.quantise(graph, fit, symmetric=True)),
    }
    found: dict[str, Any] = {"command": f"python -m benchmarks.speed.i3d_zero_points --clips {options.clips}"}
    found["clips"] = len(checks)
    for name, model in models.items():
        found[name] = to_onnx.compare(model, spec, expected, checks)
        print(name, found[name], flush=True)
    path = RESULTS / f"export_{MODEL}.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "int8 by zero points": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
