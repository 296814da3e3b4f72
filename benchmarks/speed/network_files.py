"""The model files that benchmarks of backends compare: bundled ones, and R(2+1)D-34 with generated weights.

What the wheel leaves out is exported into ``.cache/models`` once: the canonical file of the small model,
files quantised with zero point 0 for TensorRT, and ``r2plus1d34-bert-64``, the network of paper [A]
(32 frames of 112×112, BERT pooling, hash network; 64 bits). Its published weights are not to be had here,
so they are generated, with the statistics of batch norm set from real clips so that activations neither
vanish nor explode: its speed is the real one, its bits mean nothing but can be compared between backends.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.common import CACHE, DATA, ROOT
from vhash_sdk.models import zoo

FOLDER = CACHE / "models"
CHECKPOINTS = ROOT / "training" / "checkpoints"
BUNDLED = ("lite0-phash-256", "lite0-phash-64", "i3d-256")
CLIP = "r2plus1d34-bert-64"


def model_file(name: str, precision: str) -> Path:
    """The file of a model, exported if missing: ``fp32`` (canonical), ``int8``, ``int8s`` (zero point 0)."""
    suffix = {"fp32": ".onnx", "int8": ".int8.onnx", "int8s": ".int8s.onnx"}[precision]
    for folder in (zoo.FOLDER, FOLDER):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{name}{suffix}"
    options = ["--output", str(target), "--data", str(DATA)]
    if precision != "fp32":
        options += ["--precision", "int8", *(["--symmetric"] if precision == "int8s" else [])]
    # the canonical file needs no ranges, and those of random weights need few clips
    options += ["--clips", "4" if name == CLIP or precision == "fp32" else "16"]
    command = [sys.executable, str(ROOT / "export" / "to_onnx.py"), str(checkpoint(name)), *options]
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)
    return target


@cache
def checkpoint(name: str) -> Path:
    """The checkpoint of a model; that of ``CLIP`` is generated."""
    if name != CLIP:
        return CHECKPOINTS / f"{name}.safetensors"
    file = FOLDER / f"{CLIP}.safetensors"
    if not file.is_file():
        from training.clip_model import save_model

        FOLDER.mkdir(parents=True, exist_ok=True)
        save_model(generated_clip_model(), {"weights": "generated, seed 0"}, file, backbone_file=None)
    return file


def generated_clip_model() -> Any:
    """R(2+1)D-34 + BERT + hash network, seed 0; batch norm's statistics from four real clips."""
    import torch

    from export.clip import specification
    from training import clips
    from training.clip_model import ClipConfig, ClipModel

    torch.manual_seed(0)
    model = ClipModel(ClipConfig(CLIP, backbone="r2plus1d_34", bits=64, classes=10))
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm3d, torch.nn.BatchNorm1d)):
            module.momentum = None  # a plain mean over the batches
    spec = specification(model)
    names = [DATA / clips.FOLDER / name for name in clips.split(DATA)["fit"][:160:40]]
    frames = [clips.read_frames(name, spec.sampling, spec.resize) for name in names]
    model.train()
    with torch.inference_mode():
        for i in range(0, len(frames), 2):
            model(torch.stack([torch.from_numpy(clip) for clip in frames[i : i + 2]])[:, None])
    return model.eval()
