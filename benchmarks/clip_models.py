"""Speed of the clip networks: R(2+1)D-34 (generated weights, for time does not depend on them) and I3D.

    python -m benchmarks.clip_models --prepare     # exports what is timed, about 10 minutes
    python -m benchmarks.clip_models               # the table
    python -m benchmarks.clip_models --training    # training throughput, about 3 minutes

Every case is run in turn in one process, all cores. The share is of the rate that a large matrix
product reaches on this machine in the same minute, in float32 or int8. Writes
``results/clip_models.json``.
"""

from __future__ import annotations

import argparse
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

from benchmarks.common import CACHE, DATA, RESULTS, ROOT, interleave, summary, write_result
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
PAPER = {"one crop": 0.544, "ten crops": 3.475}  # seconds from file to code, El Abyad et al., one GPU


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


def matrix_rates(rounds: int = 5) -> dict[str, float]:
    """Operations a second of a 2048³ product in float32 and in int8 (what oneDNN reaches)."""
    a = torch.randn(2048, 2048)
    small = torch.randint(-100, 100, (2048, 2048), dtype=torch.int8)
    cases: dict[str, Callable[[], object]] = {
        "fp32": lambda: a @ a,
        "int8": lambda: torch._int_mm(small, small),
    }
    found = interleave(cases, rounds=rounds)
    return {name: 2 * 2048**3 / min(seconds) for name, seconds in found.items()}


def runners(name: str) -> dict[tuple[str, str], Callable[[np.ndarray], object]]:
    """(engine, precision) → what runs frames ``[batch, 1, T, H, W, 3]``."""
    import onnxruntime as ort
    import openvino as ov

    model, _ = load_model(FOLDER / f"{name}.safetensors", weights=WEIGHTS.parent)
    out: dict[tuple[str, str], Callable[[np.ndarray], object]] = {}

    @torch.inference_mode()
    def by_torch(frames: np.ndarray) -> object:
        return model(torch.from_numpy(frames))

    out["torch", "fp32"] = by_torch
    for precision, suffix in (("fp32", ".onnx"), ("int8", ".int8.onnx")):
        file = FOLDER / f"{name}{suffix}"
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        out["onnxruntime", precision] = lambda frames, s=session: s.run(None, {"frames": frames})  # type: ignore[misc]
    compiled = ov.Core().compile_model(
        FOLDER / f"{name}.int8.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    out["openvino", "int8"] = lambda frames: compiled(frames)
    return out


def speed(rounds: int) -> dict[str, Any]:
    """Seconds of one run, by model, engine, precision and batch; file to code; the hash network."""
    from vhash_sdk import Encoder

    result: dict[str, Any] = {"models": {}}
    for name, config in MODELS.items():
        model, _ = load_model(FOLDER / f"{name}.safetensors", weights=WEIGHTS.parent)
        flops, rows, rates = operations(model), [], matrix_rates()
        cases = {}
        for (engine, precision), run in runners(name).items():
            for batch in (1, 8):
                if batch == 8 and engine != "openvino":
                    continue  # long, and no faster a clip
                frames = example(config, batch).numpy()
                cases[engine, precision, batch] = lambda r=run, f=frames: r(f)
        found = interleave(cases, rounds=rounds)  # type: ignore[arg-type]
        # before and after: other work on the machine may have slowed one of them
        rates = {precision: max(rate, matrix_rates()[precision]) for precision, rate in rates.items()}
        for (engine, precision, batch), seconds in found.items():  # type: ignore[misc]
            best = min(seconds)
            share = batch * flops / best / rates[precision]
            rows.append({
                "engine": engine, "precision": precision, "batch": batch, "seconds": summary(seconds),
                "per_clip": best / batch, "share_of_gemm": share,
            })  # fmt: skip
            print(
                name,
                engine,
                precision,
                batch,
                f"{best / batch:.3f} s a clip, {100 * share:.0f} % of GEMM",
                flush=True,
            )
        result["models"][name] = {"operations": flops, "gemm_operations_per_second": rates, "rows": rows}
    with Encoder(FOLDER / "r2plus1d-34-random.int8.onnx", backend="openvino", precision="int8") as encoder:
        files = interleave({"one crop": lambda: encoder.encode(FILE)}, rounds=rounds)
        frames = example(MODELS["r2plus1d-34-random"], 10).numpy()
        # ten crops of one clip are ten times the network; decoding is done once
        ten = interleave({"ten": lambda: encoder._latency.run(frames)}, rounds=2)["ten"]
        one = interleave({"one": lambda: encoder._latency.run(frames[:1])}, rounds=rounds)["one"]
    whole = min(files["one crop"])
    result["file_to_code"] = {"one crop": whole, "ten crops": whole - min(one) + min(ten), "paper": PAPER}
    result["hash_network"] = hash_latency(rounds)
    return result


def hash_latency(rounds: int) -> dict[str, float]:
    """Seconds a code of the 512 → 64 bits hash network, float32, in batches."""
    network = HashNetwork(HashConfig(512, 64, 101)).eval()

    @torch.inference_mode()
    def run(x: torch.Tensor) -> torch.Tensor:
        return network.logits(x)

    batches = {str(n): torch.randn(n, 512) for n in (1, 1000, 2000)}
    found = interleave({n: lambda x=x: run(x) for n, x in batches.items()}, rounds=rounds)  # type: ignore[misc]
    return {n: min(seconds) / int(n) for n, seconds in found.items()}


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.prepare:
        prepare()
        return
    path = RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    result.pop("machine", None)
    result |= {"training": training()} if options.training else speed(options.rounds)
    result["command"] = "python -m benchmarks.clip_models"
    print(write_result(NAME, result))


if __name__ == "__main__":
    main()
