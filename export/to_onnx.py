"""Export a checkpoint to a self-describing ONNX file, and check what came out.

    python export/to_onnx.py training/checkpoints/lite0-phash-256.safetensors --output FOLDER --precision all
    python export/to_onnx.py CHECKPOINT --output model.onnx                      # canonical only
    python export/to_onnx.py CHECKPOINT --output model.int8.onnx --precision int8
    python export/to_onnx.py CHECKPOINT --output FOLDER --precision every        # with fp16, bf16, fp32
    python export/to_onnx.py --bundled lite0-phash-64       # the canonical file that the wheel leaves out

``canonical``: weights stored in fp16, computed in float32; every builder and quantiser starts from
it. ``int8`` is Q/DQ, made from the canonical graph with ranges from the clips that the checkpoint
was centred on; TensorRT, which wants zero point 0, gets its own by ``--symmetric`` (ONNX Runtime
runs that one 3.5 times slower). ``fp16`` and ``bf16`` compute the network in half precision and the
head in float32: for GPUs, whose runtimes also make them by themselves from the canonical file.
``fp32`` stores the weights as they were trained, to measure what rounding them costs.

What the picture is (``Resize.picture``: HDR as SDR, alpha over black, the container's crop) is part of
the specification: new models get the last rule, bundled ones keep theirs, ``--picture`` names one.

Every file is checked: ONNX's checker with shape inference, code equal to the packed signs, parity
with PyTorch (logits, embedding) and the share of bits that agree, on clips that shaped neither. The
table at the end says what was made. Needs the extras export and cpu (or gpu).
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from export import calibration, families  # noqa: E402 (a script run from a clone finds its siblings here)
from export.card import make_card  # noqa: E402 (a script run from a clone finds its siblings here)
from export.quantise import as_batch  # noqa: E402
from training.clips import FOLDER, read_frames, split  # noqa: E402
from vhash_sdk.errors import OptionError  # noqa: E402
from vhash_sdk.models import zoo  # noqa: E402
from vhash_sdk.models.modelfile import ModelFile  # noqa: E402
from vhash_sdk.runtime import onnx_graph  # noqa: E402
from vhash_sdk.spec import PICTURE_RULES, ModelSpec  # noqa: E402
from vhash_sdk.system.files import write_text, write_whole  # noqa: E402
from vhash_sdk.video.crops import ten_crops  # noqa: E402
from vhash_sdk.video.outputs import check_output  # noqa: E402

OPSET = 20
CHECKPOINTS = ROOT / "training" / "checkpoints"
BUNDLED = ROOT / "sdk" / "vhash_sdk" / "models"
SUFFIXES = {
    "canonical": ".onnx", "int8": ".int8.onnx", "fp16": ".fp16.onnx", "bf16": ".bf16.onnx",
    "fp32": ".fp32.onnx",
}  # fmt: skip
HALF_FROM = 1024  # smaller constants (biases, DCT rows) stay in float32: they cost nothing


def spec_frames(spec: ModelSpec) -> tuple[int, ...]:
    """Shape of the frames of one video, ``(T, H, W, 3)``."""
    return spec.input_shape[1:]


def to_float_graph(model: nn.Module, spec: ModelSpec, outputs: Sequence[str]) -> onnx.ModelProto:
    """Trace into one float32 graph; batch (of clip models: crops too) dynamic, batch norm folded."""
    # an example batch of 1 would silently freeze the batch dimension
    sides = {0: torch.export.Dim("batch", min=1)}
    crops = spec.crops
    if spec.family.startswith("clip"):
        crops, sides[1] = max(crops, 2), torch.export.Dim("crops", min=1)
    example = torch.zeros(2, crops, *spec_frames(spec), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # it lists the torchvision operators we do not use
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            copy.deepcopy(model).eval(), (example,), file, dynamo=True, opset_version=OPSET,
            input_names=["frames"], output_names=list(outputs),
            dynamic_shapes={"frames": sides},
            external_data=False, verbose=False,
        )  # fmt: skip
        graph = onnxslim.slim(onnx.load(file))
    convolved = {node.output[0] for node in graph.graph.node if node.op_type == "Conv"}
    if any(n.op_type == "BatchNormalization" and n.input[0] in convolved for n in graph.graph.node):
        raise RuntimeError(
            "batch norm was not folded into the convolutions; check onnxslim and torch versions"
        )
    return graph


def large_weights(model: onnx.ModelProto) -> set[str]:
    """Names of the float32 constants that are worth storing in fp16: what is multiplied with activations."""
    used = {
        name for node in model.graph.node if node.op_type in ("Conv", "MatMul", "Gemm") for name in node.input
    }
    return {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.name in used and tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= HALF_FROM
    }


def round_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float32 graph with exactly the values that ``store_half`` stores."""
    model = copy.deepcopy(model)
    large = large_weights(model)
    for tensor in model.graph.initializer:
        if tensor.name in large:
            values = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def store_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 weights in fp16, each followed by a Cast back to float32."""
    model = copy.deepcopy(model)
    large = large_weights(model)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name in large:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            casts.append(
                helper.make_node("Cast", [f"{tensor.name}_fp16"], [tensor.name], to=TensorProto.FLOAT)
            )
            tensor.CopyFrom(numpy_helper.from_array(values, f"{tensor.name}_fp16"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def stamp(
    model: onnx.ModelProto,
    spec: ModelSpec,
    card: dict[str, object],
    precision: str,
    scales: list[float] | None,
) -> onnx.ModelProto:
    """Write specification and card into the file's metadata, and drop the exporter's own notes."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    for part in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        part.doc_string = ""
        del part.metadata_props[:]
    model.doc_string, model.producer_name, model.producer_version = "", "vhash", ""
    texts = {"vhash.spec": spec.to_json(), "vhash.card": json.dumps(card, sort_keys=True)}
    if (table := calibration.stored(spec.name, spec.fingerprint)) is not None:
        texts[calibration.KEY] = table
    if scales is not None:
        texts["vhash.scales"] = json.dumps(scales)
    if precision in ("int8", "fp16", "bf16"):  # else it computes in float32
        texts["vhash.precision"] = precision
    for key, text in texts.items():
        model.metadata_props.add(key=key, value=text)
    onnx.checker.check_model(model, full_check=True)
    return model


def run_torch(model: nn.Module, clips: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """(logits, embedding) of each clip, by PyTorch."""
    with torch.inference_mode():
        found = [model(torch.from_numpy(as_batch(clip)))[1:3] for clip in clips]
    return [torch.cat(part).numpy() for part in zip(*found, strict=True)]


def run_onnx(model: onnx.ModelProto, clips: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """(code, logits, embedding) of each clip, by ONNX Runtime, the batch dimension in use."""
    options = ort.SessionOptions()
    if any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer):
        # it has no fp16 kernels: it casts around each node, which is what is to be measured; optimised, a
        # graph in half precision crashes it (1.31)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    batches = [np.concatenate([as_batch(clip) for clip in clips[i : i + 2]]) for i in range(0, len(clips), 2)]
    found = [session.run(["code", "logits", "embedding"], {"frames": batch}) for batch in batches]
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def compare(
    model: onnx.ModelProto,
    spec: ModelSpec,
    expected: list[NDArray[np.float32]],
    clips: list[NDArray[np.uint8]],
) -> dict[str, float]:
    """How far a file is from PyTorch on the same clips. Raises RuntimeError if code and logits disagree."""
    code, logits, embedding = run_onnx(model, clips)
    if not np.array_equal(code, np.packbits(logits >= 0, axis=1, bitorder="little")):
        raise RuntimeError("the packed code is not the sign of the logits; the exported graph is broken")
    same = (logits >= 0) == (expected[0] >= 0)
    figures = {"logits: largest difference": float(np.abs(logits - expected[0]).max())}
    cosine = (
        np.sum(embedding * expected[1], 1)
        / np.linalg.norm(embedding, axis=1)
        / np.linalg.norm(expected[1], axis=1)
    )
    figures["embedding: smallest cosine"] = float(cosine.min())
    figures["bits that agree"] = float(same.mean())
    figures["codes that agree"] = float(same.all(1).mean())
    for part in spec.parts:
        figures[f"bits that agree: {part.name}"] = float(same[:, slice(*part.bits)].mean())
    return figures


def read_clips(names: list[str], data: Path, spec: ModelSpec, count: int) -> list[NDArray[np.uint8]]:
    """Frames of ``count`` of the named clips, evenly spread over the list."""
    chosen = [names[i * len(names) // count] for i in range(min(count, len(names)))]
    if spec.crops == 1:
        return [read_frames(data / name, spec.sampling, spec.resize) for name in chosen]
    whole = replace(spec.resize, crop=None)
    frames = (read_frames(data / name, spec.sampling, whole) for name in chosen)
    return [ten_crops(one, spec.resize.output) for one in frames]


def spread(halves: dict[str, list[str]]) -> dict[str, list[str]]:
    """The halves of real10 as paths below the data folder: for models that name no clips of their own."""
    return {half: [str(FOLDER / name) for name in names] for half, names in halves.items()}


def parse() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, help="a file, or a folder: then NAME[.int8].onnx in it")
    parser.add_argument(
        "--precision", choices=(*SUFFIXES, "all", "every"), default="canonical",
        help="all: canonical and int8, what is bundled",
    )  # fmt: skip
    parser.add_argument(
        "--bundled", metavar="NAME", help="make the canonical file of a bundled model, in its place"
    )
    parser.add_argument(
        "--symmetric", action="store_true", help="int8 with zero point 0, as TensorRT wants it"
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of real clips"
    )
    parser.add_argument(
        "--weights", type=Path, help="published weights of the backbone, or their folder (DATA/weights)"
    )
    parser.add_argument("--clips", type=int, default=32, help="clips to calibrate on, and to check with")
    parser.add_argument(
        "--picture", type=int, choices=PICTURE_RULES,
        help="rule of what the picture is; default: the last one, for a model that is bundled its own",
    )  # fmt: skip
    parser.add_argument("--report", type=Path, help="write the figures there as JSON")
    parser.add_argument("--force", action="store_true", help="overwrite what vhash did not write")
    options = parser.parse_args()
    if options.bundled:
        options.checkpoint = CHECKPOINTS / f"{options.bundled}.safetensors"
        options.output = options.output or BUNDLED
    if options.checkpoint is None or options.output is None:
        parser.error("give a checkpoint and --output, or --bundled NAME")
    if len(wanted(options.precision)) > 1 and not options.output.is_dir():
        parser.error(f"--output {options.output} is not a folder, and that is more than one file")
    if "int8" in wanted(options.precision) and not options.data.is_dir():
        parser.error(f"--data {options.data} is not there: int8 needs real clips for its ranges")
    return options


def wanted(precision: str) -> tuple[str, ...]:
    """The precisions that ``--precision`` stands for."""
    return {"all": ("canonical", "int8"), "every": tuple(SUFFIXES)}.get(precision, (precision,))


def with_rule(spec: ModelSpec, rule: int | None) -> ModelSpec:
    """The specification with a rule of what the picture is; None: as ``--picture`` says."""
    if rule is None:
        known = zoo.load(spec.name).spec if spec.name in zoo.names() else None
        rule = PICTURE_RULES[-1] if known is None else known.resize.picture
    return replace(spec, resize=replace(spec.resize, picture=rule))


def make(
    source: families.Exportable, options: argparse.Namespace, clips: dict[str, list[str]]
) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The stamped graph of each precision that was asked for."""
    spec = source.spec
    card = make_card(spec.name, source.card)
    float_graph = to_float_graph(source.model, spec, source.outputs)
    graph = round_half(float_graph)
    canonical = stamp(store_half(graph), spec, card, "fp32", source.scales)
    for precision in wanted(options.precision):
        if precision == "canonical":
            yield precision, canonical
        elif precision == "fp32":
            yield precision, stamp(float_graph, spec, card, precision, source.scales)
        elif precision == "int8":
            fit = read_clips(clips["fit"], options.data, spec, options.clips)
            quantised = store_half(source.quantise(graph, fit, symmetric=options.symmetric))
            yield precision, stamp(quantised, spec, card, precision, source.scales)
        else:
            metadata = {entry.key: entry.value for entry in canonical.metadata_props}
            file = ModelFile(options.checkpoint, canonical.SerializeToString(), spec, metadata)
            half = onnx_graph.half_precision(file, precision)
            yield precision, onnx.load_model_from_string(half.content)


def check_targets(options: argparse.Namespace, spec: ModelSpec) -> dict[str, Path]:
    """The file of each precision. Raises OptionError where one, or the report, is not ours to write over."""
    folder, read = options.output, [options.checkpoint, *([options.weights] if options.weights else [])]
    files = {
        precision: folder / f"{spec.name}{SUFFIXES[precision]}" if folder.is_dir() else folder
        for precision in wanted(options.precision)
    }
    for file in files.values():
        check_output(file, "model", option="--output", inputs=read, force=options.force)
    if options.report:
        check_output(options.report, "export", option="--report", inputs=read, force=options.force)
    return files


def show(report: dict[str, Any]) -> None:
    """The table of what was made."""
    rows = [("file", "MB", "bits", "codes", "logits", "embedding")]
    for row in report["precisions"].values():
        figures = (
            f"{row['bits that agree']:.4%}", f"{row['codes that agree']:.1%}",
            f"{row['logits: largest difference']:.4f}", f"{row['embedding: smallest cosine']:.6f}",
        ) if "bits that agree" in row else ("not run: " + row["not run"], "", "", "")  # fmt: skip
        rows.append((row["file"], f"{row['megabytes']:.2f}", *figures))
    widths = [max(len(row[i]) for row in rows if i == 0 or not row[2].startswith("not")) for i in range(6)]
    print(f"\n{report['model']} ({report['fingerprint'][:8]}), beside PyTorch on {report['clips']} clips:")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    """Export, check, report."""
    options = parse()
    source = families.load(options.checkpoint, weights=options.weights or options.data / "weights")
    source = replace(source, spec=with_rule(source.spec, options.picture))
    model, spec = source.model, source.spec
    try:
        files = check_targets(options, spec)
    except OptionError as error:
        raise SystemExit(f"to_onnx: {error}") from None
    clips = source.card.get("clips") or spread(split(options.data) if options.data.is_dir() else {})
    if options.data.is_dir():
        checks = read_clips(clips["tune"], options.data, spec, options.clips)
    else:
        print(f"{options.data} is not there: checked on random frames only, whose bits mean little")
        shape = (4, spec.crops, *spec_frames(spec))
        checks = list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    expected = run_torch(model, checks)
    report: dict[str, Any] = {
        "model": spec.name,
        "fingerprint": spec.fingerprint,
        "clips": len(checks),
        "precisions": {},
    }
    for precision, result in make(source, options, clips):
        file = files[precision]
        figures: dict[str, Any]
        if precision == "bf16":  # built and parsed by TensorRT (tests/runtime/test_tensorrt.py)
            figures = {"not run": "no CPU runtime computes convolutions in bfloat16"}
        else:
            figures = compare(result, spec, expected, checks)
        with write_whole(file) as stream:
            onnx.save(result, stream)
        size = file.stat().st_size / 1e6
        report["precisions"][precision] = {"file": file.name, "megabytes": size, **figures}
    show(report)
    if options.report:
        write_text(options.report, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
