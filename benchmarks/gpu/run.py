"""Everything that only a GPU can tell, in one command, offline: build, tests, sanitizer, measurements.

    python -m benchmarks.gpu [--parts build,tests,...] [--minutes 9] [--out DIR] [--again] [--dry-run]

Parts, in this order: build, tests, sanitizer, hamming, frames, networks, nvdec, training, models. The result
file DIR/gpu.json (benchmarks/results by default) is written after every case, so a time-out loses
nothing, and a case that it holds is not run again: call it until it prints ``complete``. Cases found in
benchmarks/results/gpu.json count too, so a fresh machine goes on where the last one stopped.

What has to be there: Linux, Python 3.12, torch with CUDA, nvcc 12 or newer, pybind11, setuptools,
numpy, pytest; this repository (tests and sdk/vhash_sdk/samples included). More where it is there:
compute-sanitizer, cupy, faiss-gpu, cuVS, onnxruntime-gpu, TensorRT, PyNvVideoCodec with libnvcuvid. From
outside must be carried, as wheels for the same Python (``pip download --no-deps``, then ``pip install
--no-index --target DIR`` and PYTHONPATH): ``av`` (35 MB; decoding, NVDEC and the samples), and where the
machine lacks them ``cuda-bindings`` (device memory), ``hypothesis`` and ``PyNvVideoCodec`` (27 MB).
The part ``models`` trains on real data: clips, I3D's weights and features, unpacked to .cache/gpu. Where
a call takes little, `benchmarks.gpu.carry` cuts all of this into pieces:

    python -m benchmarks.gpu.carry pack ../shared/data/videos/real10 ../shared/data/weights \\
        ../shared/data/features/ucf101_14c_vgg16 .whl      # here; send one piece with each call
    python -m benchmarks.gpu.carry unpack .cache/gpu       # there, with the last one

A machine that gives back one folder gets it by ``--out``. First line to try there:

    python -m benchmarks.gpu --minutes 9 --out "$OUT"

``--dry-run`` goes through every part on a CPU, the kernels on the emulator of the tests and the
networks small, to a folder of its own: what it measures means nothing, and it says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.common import RESULTS, ROOT, machine

PARTS = ("build", "tests", "sanitizer", "hamming", "frames", "networks", "nvdec", "training", "models")
MEASURED = {
    "hamming": "hamming",
    "frames": "frames",
    "networks": "networks",
    "nvdec": "nvdec",
    "training": "networks",
    "models": "models",
}
Case = tuple[str, Callable[[], dict[str, Any]]]


class Book:
    """The result file: a dictionary of cases for each part, written whenever one is done."""

    def __init__(self, out: Path, *, dry: bool, again: bool, deadline: float) -> None:
        self.path, self.dry, self._deadline = out / "gpu.json", dry, deadline
        known = [] if again else [self.path] if dry else [RESULTS / "gpu.json", self.path]
        self.parts: dict[str, dict[str, Any]] = {}
        for path in filter(Path.is_file, known):
            for part, cases in json.loads(path.read_text("utf-8"))["parts"].items():
                self.parts.setdefault(part, {}).update(cases)
        self._about = {"dry_run": dry, "machine": machine(), "device": device()}
        self.left = 0  # cases for which there was no time

    def run(self, part: str, cases: Iterator[Case]) -> None:
        """Run the cases that are not there yet, as long as there is time."""
        done = self.parts.setdefault(part, {})
        for name, case in cases:
            if name in done and "error" not in done[name] and done[name].get("passed", True):
                continue
            if time.monotonic() > self._deadline:
                self.left += 1
                continue
            start = time.monotonic()
            try:
                done[name] = case()
            except Exception as error:  # the other cases still count
                done[name] = {"error": f"{type(error).__name__}: {error}"[:2000]}
            done[name]["took"] = round(time.monotonic() - start, 2)
            self.write()
            print(f"{part} · {name}: {json.dumps(done[name])[:240]}", flush=True)

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = {**self._about, "parts": self.parts}
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(temporary, self.path)

    def failures(self) -> list[str]:
        """Cases that failed, or a test or check that was not passed."""
        return [
            f"{part} · {name}"
            for part, cases in self.parts.items()
            for name, case in cases.items()
            if "error" in case or case.get("passed") is False
        ]


def device() -> dict[str, Any]:
    """GPU, driver and CUDA versions, as nvidia-smi and torch say."""
    found: dict[str, Any] = {}
    if shutil.which("nvidia-smi"):
        query = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total,clocks.max.sm",
            "--format=csv,noheader",
        ]
        found["nvidia-smi"] = subprocess.run(
            query, capture_output=True, text=True, check=False
        ).stdout.strip()
    try:
        import torch

        found["torch"] = torch.__version__
        if torch.cuda.is_available():
            found["name"] = torch.cuda.get_device_name(0)
            found["capability"] = list(torch.cuda.get_device_capability(0))
            found["multiprocessors"] = torch.cuda.get_device_properties(0).multi_processor_count
    except ImportError:
        pass
    return found


def build(dry: bool) -> Iterator[Case]:
    """Both C++ modules, the CUDA one for this machine's architecture, warnings as errors."""

    def compile_() -> dict[str, Any]:
        if dry:
            from tests.cuda_emulator import build as emulated

            return {"passed": True, "module": emulated().name}
        capability = "".join(map(str, device().get("capability", [9, 0])))
        environment = {**os.environ, "VHASH_CUDA": "1", "VHASH_CUDA_ARCHS": capability, "VHASH_WERROR": "1"}
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise RuntimeError(result.stderr[-1500:])
        count = subprocess.run(
            [sys.executable, "-c", "from vhash_sdk import _cuda; print(_cuda.device_count())"],
            cwd=ROOT, env=environment_of_tools(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return {"passed": int(count.stdout) > 0, "architecture": capability, "devices": int(count.stdout)}

    # modules do not travel between machines: a case of this machine
    yield f"compiled on {os.uname().nodename}", compile_


def environment_of_tools() -> dict[str, str]:
    """Subprocesses find the SDK in this tree, and no GPU test may be skipped."""
    path = os.pathsep.join([str(ROOT / "sdk"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "VHASH_REQUIRE_CUDA": "1"}


def tests(dry: bool) -> Iterator[Case]:
    """Each file with tests marked needs_cuda; a skipped one counts as failed."""
    paths = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "needs_cuda" in path.read_text("utf-8") and path.name != "test_gpu_benchmark.py"
    ]
    for path in paths[:1] if dry else paths:

        def run(path: Path = path) -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder, "report.xml")
                command = [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-p",
                    "no:cacheprovider",
                    "-m",
                    "needs_cuda",
                    str(path),
                ]
                command += ["--collect-only"] if dry else [f"--junitxml={report}", "--tb=short"]
                result = subprocess.run(
                    command, cwd=ROOT, env=environment_of_tools(), capture_output=True, text=True, check=False
                )
                if dry:
                    collected = re.search(r"(\d+)(?:/\d+)? tests? collected", result.stdout)
                    return {
                        "passed": result.returncode == 0,
                        "collected": int(collected[1]) if collected else 0,
                    }
                suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
            found = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
            passed = found["tests"] > 0 and not (found["failures"] or found["errors"] or found["skipped"])
            return {"passed": passed, **found, **({} if passed else {"output": result.stdout[-3000:]})}

        yield path.relative_to(ROOT / "tests").as_posix(), run


def sanitizer(dry: bool) -> Iterator[Case]:
    """compute-sanitizer over every kernel at small sizes, results checked against the CPU."""
    for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):

        def run(tool: str = tool) -> dict[str, Any]:
            program = [sys.executable, "-m", "benchmarks.gpu.small", *(["--dry-run"] if dry else [])]
            found = shutil.which("compute-sanitizer")
            if not found and not dry:
                raise RuntimeError("there is no compute-sanitizer on the PATH")
            command = program if dry else [found or "", "--tool", tool, "--error-exitcode", "9", *program]
            result = subprocess.run(
                command, cwd=ROOT, env=environment_of_tools(), capture_output=True, text=True, check=False
            )
            summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY:.*", result.stdout)
            return {
                "passed": result.returncode == 0, "summary": summary[-1:],
                **({} if result.returncode == 0 else {"output": (result.stdout + result.stderr)[-3000:]}),
            }  # fmt: skip

        if tool == "memcheck" or not dry:
            yield tool, run


def pretend_gpu() -> None:
    """Put the emulated kernels and a CUDA runtime over host memory in the place of the real ones."""
    from tests.cuda_emulator import build as emulated
    from tests.cuda_emulator import load
    from tests.host_cudart import HostCudart
    from vhash_sdk.gpu import cuda

    sys.modules["vhash_sdk._cuda"] = load(emulated())
    host = HostCudart()
    cuda.cudart = lambda: host  # type: ignore[assignment]


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; 0 when all is done and passed, 1 when something failed, 3 when time ran out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated, of " + ", ".join(PARTS))
    parser.add_argument("--minutes", type=float, default=9.0, help="start no case after so long")
    parser.add_argument("--out", type=Path, help="folder of gpu.json (default: benchmarks/results)")
    parser.add_argument("--again", action="store_true", help="measure anew what is there already")
    parser.add_argument(
        "--dry-run", action="store_true", help="on a CPU, through the fall-backs; means nothing"
    )
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("vhash_sdk") is None:  # not installed: the part ``build`` makes it in place
        sys.path.insert(0, str(ROOT / "sdk"))
    dry, wanted = options.dry_run, options.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--parts {','.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    out = options.out or (Path(tempfile.mkdtemp(prefix="vhash-gpu-")) if dry else RESULTS)
    book = Book(out, dry=dry, again=options.again, deadline=time.monotonic() + 60 * options.minutes)
    if dry:
        pretend_gpu()
    for part in wanted:
        own = {"build": build, "tests": tests, "sanitizer": sanitizer}.get(part)
        cases = own or getattr(importlib.import_module(f"benchmarks.gpu.{MEASURED[part]}"), part)
        book.run(part, cases(dry))
    book.write()
    failures = book.failures()
    print(f"{book.path}: " + ("complete" if not book.left else f"{book.left} cases left; run it again"))
    for failure in failures:
        print(f"failed: {failure}")
    return 3 if book.left else int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
