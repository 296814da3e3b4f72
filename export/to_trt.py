"""Build a TensorRT engine from a model file, for the GPU of this machine or ahead of time for another.

    python export/to_trt.py default --output default.engine                            # TensorRT, this GPU
    python export/to_trt.py default --flavour rtx --compute-capability 8.9 --output default.engine
    python export/to_trt.py default.int8s.onnx --precision int8 --output default.engine
    python export/to_trt.py default --flavour rtx --compute-capability 8.9 --dry-run   # only parse

MODEL is an alias or name of a bundled model (its canonical file; `python export/to_onnx.py --bundled NAME`
makes it where it is missing) or a .onnx file. Networks are strongly typed: fp32 takes the canonical file
as it is, fp16 (the default) and bf16 its convolutions in half precision with the head in float32, int8 a
file made by `python export/to_onnx.py CHECKPOINT --precision int8 --symmetric --output FILE` (zero point 0).

Two flavours: `tensorrt` (TensorRT 11 or newer; pip install 'vhash-sdk[trt]') builds on the GPU that will
run the engine, `rtx` (TensorRT for RTX; pip install 'vhash-sdk[rtx]') builds on any machine for RTX cards.

FILE.json beside the engine holds the model's specification, what it was built for, and its SHA-256;
`Encoder("FILE")` refuses it on another GPU architecture or TensorRT version. Without --output the engine goes
to the user's cache, where `Encoder(model, backend="tensorrt")` finds it; that also builds it by itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "sdk")]

from vhash_sdk import Encoder  # noqa: E402 (a script run from a clone finds the package beside it)
from vhash_sdk.errors import VhashError  # noqa: E402
from vhash_sdk.models import zoo  # noqa: E402
from vhash_sdk.models.modelfile import ModelFile  # noqa: E402
from vhash_sdk.runtime import engine_files  # noqa: E402
from vhash_sdk.runtime.tensorrt_build import BuildOptions, build_engine  # noqa: E402
from vhash_sdk.system.files import write_private  # noqa: E402
from vhash_sdk.video.outputs import check_output  # noqa: E402


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="alias or name of a bundled model, or a .onnx file")
    parser.add_argument("--output", type=Path, help="the engine; default: the user's cache")
    parser.add_argument("--flavour", choices=("tensorrt", "rtx"), default="tensorrt")
    parser.add_argument("--precision", choices=("fp16", "fp32", "int8", "bf16"), default="fp16")
    parser.add_argument(
        "--batches", type=int, nargs=3, default=(1, 1, 8), metavar=("MIN", "USUAL", "MAX"),
        help="optimisation profile: smallest, usual and largest batch",
    )  # fmt: skip
    parser.add_argument(
        "--compute-capability", action="append", default=[], metavar="X.Y",
        help="with rtx: build for this GPU architecture, without having one; may be given again",
    )  # fmt: skip
    parser.add_argument("--device", type=int, default=0, help="CUDA device to build on")
    parser.add_argument("--workspace", type=float, metavar="GIB", help="GPU memory that a layer may use")
    parser.add_argument("--effort", type=int, choices=range(6), help="TensorRT's optimisation level")
    parser.add_argument(
        "--version-compatible", action="store_true", help="let later TensorRT 11 versions run it (slower)"
    )
    parser.add_argument(
        "--hardware-compatible", action="store_true", help="let Ampere and all later GPUs run it (slower)"
    )
    parser.add_argument(
        "--timing-cache", type=Path, metavar="FILE", help="read and updated; makes later builds faster"
    )
    parser.add_argument(
        "--verify", type=Path, nargs="*", metavar="VIDEO",
        help="compare its bits with ONNX Runtime's in float32 (default: the bundled sample clips)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite a file that is no engine of vhash")
    parser.add_argument("--dry-run", action="store_true", help="parse the graph and say what would be built")
    return parser.parse_args(arguments)


def show_progress(phase: str, share: float) -> bool:
    """One line on a terminal, rewritten as the build goes on."""
    if sys.stderr.isatty():
        print(f"\r{share:4.0%}  {phase[:60]:60}", end="", file=sys.stderr, flush=True)
    return True


def build(model: ModelFile, options: BuildOptions, request: argparse.Namespace) -> Path:
    """Build, and write where it was asked for; the file."""
    target = engine_files.Target.of(options)
    if request.output is None:
        return engine_files.cached_engine(model, options, progress=show_progress).path
    sidecar = engine_files.sidecar_path(request.output)
    check_output(sidecar, "sidecar", option="--output", inputs=[model.path], force=request.force)
    ours = request.force or sidecar.exists()  # then the engine beside it is one of ours
    check_output(request.output, "engine", option="--output", inputs=[model.path], force=ours)
    old = engine_files.read_timings(request.timing_cache) if request.timing_cache else b""
    content, timings = build_engine(model, options, timing_cache=old, progress=show_progress)
    engine_files.write_engine(request.output, content, model, target, options)
    if request.timing_cache and timings:
        write_private(request.timing_cache, timings)
    return Path(request.output)


def verify(engine: Path, model: str, videos: list[Path], device: int) -> float:
    """Share of bits that are ONNX Runtime's (float32, CPU) on real clips."""
    videos = videos or sorted((zoo.FOLDER.parent / "samples").glob("*.mp4"))
    with (
        Encoder(engine, device=f"cuda:{device}") as ours,
        Encoder(model, device="cpu", backend="onnxruntime", precision="fp32") as theirs,
    ):
        bits = [ours.encode(video) - theirs.encode(video) for video in videos]
        worst = int(np.max(bits))
        share = 1 - float(np.mean(bits)) / ours.spec.bits
    print(f"{len(videos)} videos: {share:.4%} of the bits agree, at most {worst} of one code differ")
    return share


def run(request: argparse.Namespace) -> None:
    """Do what the command line asks. Raises VhashError."""
    options = BuildOptions(
        flavour=request.flavour,
        precision=request.precision,
        batches=tuple(request.batches),
        compute_capabilities=tuple(request.compute_capability),
        device=request.device,
        workspace=request.workspace,
        version_compatible=request.version_compatible,
        hardware_compatible=request.hardware_compatible,
        effort=request.effort,
    )
    model = zoo.load(request.model, "int8" if request.precision == "int8" else "fp32")
    target = engine_files.Target.of(options)
    print(f"{model.path.name} → {options.precision}, batches {options.batches}, {target}", file=sys.stderr)
    if request.dry_run:
        build_engine(model, options, dry_run=True)
        print(f"TensorRT {target.version} understands it; nothing was built")
        return
    start = time.perf_counter()
    path = build(model, options, request)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    seconds, size = time.perf_counter() - start, path.stat().st_size / 1e6
    print(f"{path}  {size:.1f} MB  {seconds:.1f} s  fingerprint {model.spec.fingerprint[:8]}")
    if request.verify is not None:
        verify(path, request.model, request.verify, request.device)


def main() -> int:
    """Build an engine; 1 where that fails."""
    try:
        run(parse())
    except VhashError as error:
        print(f"to_trt: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
