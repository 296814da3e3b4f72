"""The networks on a GPU: precision, compilation, CUDA graphs, padding; and training (see run.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import summary

Case = tuple[str, Callable[[], dict[str, Any]]]
PEAK = 798e12  # FLOP a second, fp16 products measured on an H100 (deploy notes); half of it in float32 sums
SHAPES = {"r2plus1d-34": (3, 32, 112, 112), "i3d": (3, 64, 224, 224), "lite0": (25, 3, 224, 224)}
TINY = {"r2plus1d-34": (3, 4, 32, 32), "i3d": (3, 8, 32, 32), "lite0": (2, 3, 32, 32)}
PLACE = "cuda" if torch.cuda.is_available() else "cpu"


class Frames(nn.Module):
    """A frame network on clips ``[n, T, 3, H, W]``: mean features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        maps = self.network(x.flatten(0, 1))
        return maps.mean((2, 3)).unflatten(0, x.shape[:2]).mean(1)


def network(name: str, dry: bool) -> nn.Module:
    """A network with random weights: speed does not depend on them."""
    from training.efficientnet_lite import EfficientNetLite0
    from training.i3d import I3D
    from training.r2plus1d import R2Plus1D

    torch.manual_seed(0)
    if name == "lite0":
        return Frames(EfficientNetLite0()).eval()
    return (R2Plus1D(10 if dry else 34) if name == "r2plus1d-34" else I3D()).eval()


def networks(dry: bool) -> Iterator[Case]:
    """Each network, precision and batch: eager, fused, padded, CUDA graph, compiled; a profile."""
    batches = (1,) if dry else (1, 8, 32, 2, 4, 16, 64)
    kinds = ("eager", "fused", "padded", "graph", "compiled")
    for batch in batches:
        for name in SHAPES:
            for dtype in ("float16", "bfloat16") if not dry else ("float32",):
                for kind in kinds:
                    if (kind == "compiled" and (dry or batch not in (1, 8, 32))) or (
                        kind == "padded" and name != "r2plus1d-34"
                    ):
                        continue
                    yield (
                        f"{name}, {dtype}, batch {batch}, {kind}",
                        lambda n=name, d=dtype, b=batch, k=kind: measured(n, d, b, k, dry),  # type: ignore[misc]
                    )
    yield (
        "r2plus1d-34, float32 as before, batch 8",
        lambda: measured("r2plus1d-34", "float32", 8 if not dry else 1, "eager", dry),
    )
    for name in list(SHAPES)[: 1 if dry else None]:
        yield f"profile of {name}", lambda n=name: profile(n, dry)  # type: ignore[misc]


def measured(name: str, dtype: str, batch: int, kind: str, dry: bool) -> dict[str, Any]:
    """Milliseconds a clip, share of the measured peak, and how far the features are from float32's."""
    model, shape = network(name, dry).to(PLACE), (TINY if dry else SHAPES)[name]
    clips = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(1)).to(PLACE)
    with torch.inference_mode():
        expected = model(clips[:1]).flatten().float()
        work = flops(model, clips[:1])
        ready, x = prepared(model, clips, dtype, kind)
        run = runner(ready, x, kind, dry)
        out = run()[:1].flatten().float()
        similarity = float(torch.nn.functional.cosine_similarity(out, expected, dim=0))
        seconds = timed(run, 1 if dry else 30)
    found = summary(seconds)
    return {
        "ms_a_clip": 1e3 * found["p50"] / batch, "ms_a_batch_p95": 1e3 * found["p95"],
        "gflop_a_clip": work / 1e9,
        "share_of_peak": work * batch / found["p50"] / PEAK, "cosine_to_float32": similarity,
    }  # fmt: skip


def prepared(model: nn.Module, clips: Tensor, dtype: str, kind: str) -> tuple[nn.Module, Tensor]:
    """In the wanted precision, channels last; batch norms folded unless ``eager``; mid planes padded."""
    layout = torch.channels_last_3d if clips.ndim == 5 and clips.shape[1] == 3 else torch.channels_last
    if kind != "eager":
        model = folded(model)
    if kind in ("padded", "graph", "compiled"):
        padded(model, 16)
    model = model.to(getattr(torch, dtype))
    x = clips.to(getattr(torch, dtype))
    if layout is torch.channels_last_3d:
        return model.to(memory_format=layout), x.contiguous(memory_format=layout)
    return model.to(memory_format=layout), x


def runner(model: nn.Module, x: Tensor, kind: str, dry: bool) -> Callable[[], Tensor]:
    """A function that runs it once."""
    if kind == "compiled":
        compiled = torch.compile(model, mode="max-autotune-no-cudagraphs" if dry else "max-autotune")
        return lambda: compiled(x)
    if kind != "graph" or PLACE == "cpu":
        return lambda: model(x)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = model(x)

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


def folded(model: nn.Module) -> nn.Module:
    """Batch norms folded into the convolutions before them (Sequential pairs, and I3D's units)."""
    for module in model.modules():
        children = list(module._modules.items())
        for (first, conv), (second, norm) in pairwise(children):
            if isinstance(conv, (nn.Conv2d, nn.Conv3d)) and isinstance(
                norm, (nn.BatchNorm2d, nn.BatchNorm3d)
            ):
                setattr(module, first, nn.utils.fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
    follow_factored(model)
    return model


def follow_factored(model: nn.Module) -> None:
    """R(2+1)D's second half is followed by a norm one level up."""
    for module in model.modules():
        children = list(module._modules.items())
        for (_, inner), (second, norm) in pairwise(children):
            if (
                isinstance(inner, nn.Sequential) and len(inner) and isinstance(inner[-1], nn.Conv3d)
                and isinstance(norm, nn.BatchNorm3d)
            ):  # fmt: skip
                inner[-1] = nn.utils.fuse_conv_bn_eval(inner[-1], norm)
                setattr(module, second, nn.Identity())


def padded(model: nn.Module, multiple: int) -> None:
    """Channels between two factored convolutions rounded up with zeros: 230 → 240 suits tensor cores."""
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        parts = [part for part in module if not isinstance(part, nn.Identity)]
        if len(parts) < 3 or not (isinstance(parts[0], nn.Conv3d) and isinstance(parts[2], nn.Conv3d)):
            continue
        first, second = parts[0], parts[2]
        extra = -first.out_channels % multiple
        if (
            not extra
            or second.in_channels != first.out_channels
            or any(isinstance(p, nn.BatchNorm3d) for p in parts[:2])
        ):
            continue
        first.weight = nn.Parameter(nn.functional.pad(first.weight, (0, 0, 0, 0, 0, 0, 0, 0, 0, extra)))
        if first.bias is not None:
            first.bias = nn.Parameter(nn.functional.pad(first.bias, (0, extra)))
        second.weight = nn.Parameter(nn.functional.pad(second.weight, (0, 0, 0, 0, 0, 0, 0, extra)))
        first.out_channels = second.in_channels = first.out_channels + extra


def flops(model: nn.Module, x: Tensor) -> float:
    """Two per multiply-add of a forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(x)
    return float(counter.get_total_flops())


def timed(run: Callable[[], Any], rounds: int) -> list[float]:
    """Seconds of each round, the device waited for."""
    seconds = []
    for round_ in range(-min(3, rounds - 1), rounds):
        if PLACE == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if PLACE == "cuda":
            torch.cuda.synchronize()
        if round_ >= 0:
            seconds.append(time.perf_counter() - start)
    return seconds


def profile(name: str, dry: bool) -> dict[str, Any]:
    """Where the time of a batch goes: the twelve kernels that take most."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    model, shape = network(name, dry).to(PLACE), (TINY if dry else SHAPES)[name]
    clips = torch.rand(1 if dry else 8, *shape).to(PLACE)
    with torch.inference_mode():
        ready, x = prepared(model, clips, "float32" if dry else "float16", "padded")
        ready(x)
        activities = [ProfilerActivity.CUDA if PLACE == "cuda" else ProfilerActivity.CPU]
        with record(activities=activities) as profiled:
            ready(x)

    def share(event: Any) -> float:
        return float(event.self_device_time_total if PLACE == "cuda" else event.self_cpu_time_total)

    events = sorted(profiled.key_averages(), key=share, reverse=True)
    total = sum(map(share, events)) or 1.0
    return {"kernels": [[e.key[:90], e.count, round(share(e) / total, 4)] for e in events[:12]]}


def training(dry: bool) -> Iterator[Case]:
    """Clips a second of a training step, forward and backward, AdamW, bf16."""
    cases = {"r2plus1d-18": (8, 32), "r2plus1d-34": (8, 16), "i3d": (8, 16), "lite0": (4, 8)}
    for name, batches in list(cases.items())[: 1 if dry else None]:
        for batch in batches[: 1 if dry else None]:
            yield f"{name}, batch {batch}", lambda n=name, b=batch: trained(n, b, dry)  # type: ignore[misc]


def trained(name: str, batch: int, dry: bool) -> dict[str, Any]:
    """One step over and over; the loss has to fall on the batch that is repeated."""
    from training.r2plus1d import R2Plus1D

    batch = 2 if dry else batch
    known = "r2plus1d-34" if name == "r2plus1d-18" else name
    model = (R2Plus1D(10 if dry else 18) if name == "r2plus1d-18" else network(name, dry)).to(PLACE).train()
    shape = (TINY if dry else SHAPES)[known]
    layout = torch.channels_last_3d if shape[0] == 3 else torch.channels_last
    model = model.to(memory_format=layout)
    clips = torch.rand(batch, *shape, device=PLACE)
    with torch.no_grad():
        width = model(clips).flatten(2).mean(2).shape[1] if known != "lite0" else 1280
    head = nn.Linear(width, 10).to(PLACE)
    labels = torch.arange(batch, device=PLACE) % 10
    optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-4)
    losses = []

    def step() -> None:
        with torch.autocast(PLACE, torch.bfloat16, enabled=PLACE == "cuda"):
            features = model(clips)
            pooled = features if features.ndim == 2 else features.flatten(2).mean(2)
            loss = nn.functional.cross_entropy(head(pooled).float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())

    found = summary(timed(step, 2 if dry else 20))
    first, last = float(losses[0]), float(losses[-1])
    memory = torch.cuda.max_memory_allocated() if PLACE == "cuda" else None
    return {
        "clips_a_second": batch / found["p50"],
        "loss": [first, last],
        "passed": last < first,
        "memory": memory,
    }
