"""Speed of the clip networks: R(2+1)D-34 (generated weights, for time does not depend on them) and I3D.

    python -m benchmarks.speed.video_networks --prepare     # exports what is timed, about 10 minutes
    python -m benchmarks.speed.video_networks               # the table
    python -m benchmarks.speed.video_networks --training    # training throughput, about 3 minutes

Every case is run in turn in one process, all cores. The share is of the rate that a large matrix product
of the same precision reached, PyTorch's or OpenVINO's, the best of those measured after every run. Writes
``results/clip_models.json``.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common import CACHE, DATA, RESULTS, ROOT, command_line, interleave, summary, write_result
from training.clip_model import ClipConfig, ClipModel, load_model, save_model
from training.hash_net import HashConfig, HashNetwork
from vhash_sdk.spec import ModelSpec

NAME = "clip_models"
FOLDER = CACHE / "clip_models"
WEIGHTS = DATA / "weights" / "i3d_rgb_kinetics400_fp16.npz"
FILE = DATA / "videos" / "misc" / "v_Biking_g05_c02.avi"
MODELS = {
    "r2plus1d-34-random": ClipConfig("r2plus1d-34-random", backbone="r2plus1d_34"),
    "i3d-random": ClipConfig("i3d-random", backbone="i3d", pooling="mean", head="affine"),
}
TEN = FOLDER / "r2plus1d-34-random-ten-crops.int8.onnx"
SIDE = 2048  # of the matrices whose product is the machine's rate
PAPER = {"one crop": 0.544, "ten crops": 3.475}  # seconds from file to code, El Abyad et al., one GPU

Run = Callable[[np.ndarray], object]


def prepare() -> None:
    """Checkpoints and ONNX files of the models."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, config in MODELS.items():
        torch.manual_seed(0)
        published = WEIGHTS if config.backbone == "i3d" else None
        if published is not None:
            from training.i3d import load_weights

            model = ClipModel(config, load_weights(published))
        else:
            model = ClipModel(config)
        checkpoint = FOLDER / f"{name}.safetensors"
        save_model(model.eval(), {}, checkpoint, backbone_file=published)
        command = [sys.executable, "export/to_onnx.py", str(checkpoint), "--output", str(FOLDER)]
        subprocess.run(
            [*command, "--precision", "all", "--clips", "4", "--data", str(DATA)], cwd=ROOT, check=True
        )
    ten_crops(FOLDER / "r2plus1d-34-random.int8.onnx", TEN)


def ten_crops(source: Path, target: Path) -> None:
    """The same graph, whose crops are open, with a specification that asks for ten of them."""
    import onnx

    model = onnx.load(source)
    entry = next(each for each in model.metadata_props if each.key == "vhash.spec")
    entry.value = replace(ModelSpec.from_json(entry.value), crops=10).to_json()
    onnx.save(model, target)


def operations(model: ClipModel) -> int:
    """Floating-point operations (two a multiplication) of all convolutions for one clip."""
    count = 0

    def add(module: nn.Conv3d, inputs: Any, output: torch.Tensor) -> None:
        nonlocal count
        count += 2 * output.numel() * module.weight[0].numel()

    convolutions = [m for m in model.backbone.modules() if isinstance(m, nn.Conv3d)]
    hooks = [m.register_forward_hook(add) for m in convolutions]
    with torch.inference_mode():
        model(example(model.config, 1))
    for hook in hooks:
        hook.remove()
    return count


def example(config: ClipConfig, batch: int) -> torch.Tensor:
    """Random frames ``[batch, 1, T, H, W, 3]``."""
    shape = (batch, 1, config.frames, config.crop, config.crop, 3)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def matrix_products() -> dict[str, list[Callable[[], object]]]:
    """Products of two matrices of 2048 × 2048, in float32 and, by PyTorch and by OpenVINO, in int8."""
    import openvino as ov

    a = torch.randn(SIDE, SIDE)
    small = torch.randint(-100, 100, (SIDE, SIDE), dtype=torch.int8)
    core, hint = ov.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(_int8_product(small.numpy())), "CPU", hint)
    bytes_ = small.numpy().view(np.uint8)
    return {"fp32": [lambda: a @ a], "int8": [lambda: torch._int_mm(small, small), lambda: compiled(bytes_)]}


def _int8_product(weight: np.ndarray) -> bytes:
    """A graph of one int8 product, uint8 in and out, as int8 networks have them."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {"scale": np.float32(0.01), "zero": np.uint8(128), "weight": weight,
                 "weight_scale": np.float32(0.01), "weight_zero": np.int8(0)}  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["float_x"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["float_weight"]),
        helper.make_node("MatMul", ["float_x", "float_weight"], ["product"]),
        helper.make_node("QuantizeLinear", ["product", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, list(weight.shape)) for name in "xy"]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def matrix_rate(products: list[Callable[[], object]], *, repeats: int = 3) -> float:
    """Operations a second that the machine reaches now: the best of all products and repeats."""
    found = interleave({str(i): product for i, product in enumerate(products)}, rounds=repeats, warmup=1)
    return 2 * SIDE**3 / min(min(seconds) for seconds in found.values())


def engines(name: str) -> dict[tuple[str, str], Run]:
    """(engine, precision) → what runs frames ``[batch, 1, T, H, W, 3]`` through the exported files."""
    import onnxruntime as ort
    import openvino as ov

    out: dict[tuple[str, str], Run] = {}
    for precision, suffix in (("fp32", ".onnx"), ("int8", ".int8.onnx")):
        file = FOLDER / f"{name}{suffix}"
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        out["onnxruntime", precision] = lambda frames, s=session: s.run(None, {"frames": frames})  # type: ignore[misc]
    hint = {"INFERENCE_PRECISION_HINT": "f32"}  # of what is not int8
    compiled = ov.Core().compile_model(FOLDER / f"{name}.int8.onnx", "CPU", hint)
    out["openvino", "int8"] = lambda frames: compiled(frames)
    return out


def speed(name: str, rounds: int) -> dict[str, Any]:
    """Seconds of one run by engine, precision and batch, each beside the rate of a matrix product."""
    config = MODELS[name]
    model, _ = load_model(FOLDER / f"{name}.safetensors", weights=WEIGHTS.parent)

    @torch.inference_mode()
    def by_torch(frames: np.ndarray) -> object:
        return model(torch.from_numpy(frames))

    flops, products, rows = operations(model), matrix_products(), []
    runs = {("torch", "fp32"): by_torch, **engines(name)}
    for batch in (1, 8):
        frames = example(config, batch).numpy()
        seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
        rates: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
        # in turn, so that drift hits all alike; batches of 8 are long, and the engines are warm by then
        for round_ in range(-1 if batch == 1 else 0, rounds if batch == 1 else 2):
            for key, run in runs.items():
                start = time.perf_counter()
                run(frames)
                took = time.perf_counter() - start
                if round_ >= 0:
                    seconds[key].append(took)
                    rates[key].append(matrix_rate(products[key[1]]))
        for (engine, precision), found in seconds.items():
            rows.append({
                "engine": engine, "precision": precision, "batch": batch, "seconds": summary(found),
                "per_clip": min(found) / batch,
                "gemm_operations_per_second": max(rates[engine, precision]),
            })  # fmt: skip
            print(name, engine, precision, batch, f"{min(found) / batch:.3f} s a clip", flush=True)
    return {"operations": flops, "rows": add_shares(rows, flops)}


def add_shares(rows: list[dict[str, Any]], flops: int) -> list[dict[str, Any]]:
    """The rows with their share of the machine's rate: the best seen beside any row of the precision."""
    for row in rows:
        beside = [r["gemm_operations_per_second"] for r in rows if r["precision"] == row["precision"]]
        row["share_of_gemm"] = flops / row["per_clip"] / max(beside)
    return rows


def file_to_code(rounds: int) -> dict[str, Any]:
    """Seconds from a video file to its code, R(2+1)D-34 int8 on OpenVINO, one crop and ten."""
    from vhash_sdk import Encoder

    options = {"backend": "openvino", "precision": "int8"}
    with (
        Encoder(FOLDER / "r2plus1d-34-random.int8.onnx", **options) as one,
        Encoder(TEN, **options) as ten,
    ):
        found = interleave(
            {"one crop": lambda: one.encode(FILE), "ten crops": lambda: ten.encode(FILE)}, rounds=rounds
        )
    seconds = {name: summary(each) for name, each in found.items()}
    print(seconds, flush=True)
    return {"seconds": seconds, "paper": PAPER}


def hash_latency(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds a code of the 512 → 64 bits hash network in batches, float32 and bfloat16."""
    network = HashNetwork(HashConfig(512, 64, 101)).eval()
    half = copy.deepcopy(network).bfloat16()

    @torch.inference_mode()
    def run(network: HashNetwork, x: torch.Tensor) -> torch.Tensor:
        return network.logits(x)

    cases = {}
    for n in (1, 1000, 2000):
        x = torch.randn(n, 512)
        cases["fp32", n] = lambda x=x: run(network, x)
        y = x.bfloat16()
        cases["bf16", n] = lambda y=y: run(half, y)
    found = interleave(cases, rounds=rounds, repeat=3)  # type: ignore[arg-type]
    out: dict[str, dict[str, float]] = {"fp32": {}, "bf16": {}}
    for (precision, n), seconds in found.items():  # type: ignore[misc]
        out[precision][str(n)] = min(seconds) / n
    return out


def training() -> dict[str, Any]:
    """Clips a second of one epoch of fine-tuning R(2+1)D-34 + BERT, and the share spent waiting for data."""
    from training.clip_data import read_manifest
    from training.train_clip_bert import ClipTraining, train

    manifest = DATA / "videos" / "real10" / "manifest.csv"
    videos = read_manifest(manifest)
    rows = np.concatenate(
        [np.flatnonzero((videos.labels == c) & (videos.split == "train"))[:4] for c in videos.classes[:2]]
    )
    part = replace(videos, paths=[videos.paths[i] for i in rows], labels=videos.labels[rows],
                   groups=np.array([str(i) for i in rows]), split=videos.split[rows])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        config = ClipTraining(
            videos=manifest,
            output=Path(folder),
            epochs=1,
            batch=3,
            accumulate=2,
            workers=1,
            validation=0.25,
            precision="bf16",
        )
        start = time.perf_counter()
        _, curve = train(config, part)
    point = curve[0]
    return {"clips": 6, "precision": "bf16", "batch": 3, "clips_per_second": point["clips_per_second"],
            "share_waiting": point["share_waiting"], "seconds": time.perf_counter() - start}  # fmt: skip


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--only", choices=(*MODELS, "rest"), help="one model; rest: what is below the table")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.prepare:
        prepare()
        return
    path = RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    result["command"] = "python -m benchmarks.speed.video_networks"
    result.pop("machine", None)  # it is written anew
    if options.training:
        result["training"] = training()
    else:
        for name in [name for name in MODELS if options.only in (None, name)]:
            result.setdefault("models", {})[name] = speed(name, options.rounds)
        if options.only in (None, "rest"):
            result["file_to_code"] = file_to_code(options.rounds)
            result["hash_network"] = hash_latency(options.rounds)
    print(write_result(NAME, result))


if __name__ == "__main__":
    main()
