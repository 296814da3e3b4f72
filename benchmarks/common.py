"""What every benchmark shares: the machine's description, fair timing, the result file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DATA = Path(os.environ.get("VHASH_DATA", ROOT.parent / "shared" / "data"))
"""The real clips and features; benchmarks/README.md says what is in it."""
CACHE = ROOT / ".cache"
"""Clips and features that a benchmark made; ignored by git, safe to delete."""


def made_on(where: dict[str, Any]) -> str:
    """What `machine` found, in words: CPU, cores, date.

    >>> made_on({"cpu": "Xeon", "cores": 1, "date": "2026-11-22"})
    'Xeon, 1 core, 2026-11-22'
    """
    return f"{where['cpu']}, {where['cores']} core{'s' * (where['cores'] != 1)}, {where['date']}"


def command_line(explanation: str | None) -> argparse.ArgumentParser:
    """A parser whose ``--help`` shows a module's docstring as it is written."""
    return argparse.ArgumentParser(
        description=explanation, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def machine() -> dict[str, Any]:
    """CPU, cores, system, versions: a figure without them means nothing."""
    cpu = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    packages = (
        "numpy",
        "av",
        "onnxruntime",
        "openvino",
        "torch",
        "faiss-cpu",
        "usearch",
        "videohash2",
        "pdqhash",
    )
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def interleave(
    cases: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 1,
    repeat: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each case in each round, the cases taken in turn, so that drift hits all alike.

    With ``repeat`` a case runs that many times in a row at each turn: all but the first find their
    own data in the caches rather than the neighbour's.

    >>> sorted(interleave({"a": lambda: 1, "b": lambda: 2}, rounds=3))
    ['a', 'b']
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_ in range(-warmup, rounds):
        for name, case in cases.items():
            for _ in range(repeat):
                start = clock()
                case()
                if round_ >= 0:
                    seconds[name].append(clock() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Minimum, median, p95 and p99 of a list of seconds."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    return {
        "min": min(seconds),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "runs": len(seconds),
    }


def write_result(name: str, result: Mapping[str, Any]) -> Path:
    """Write ``benchmarks/results/NAME.json``: the machine, the command and the result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(in_lines(rounded({"machine": machine(), **result})))
    return path


def rounded(value: Any) -> Any:
    """The same with six digits of each float, which is more than any of them is known to."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return value


def in_lines(result: Mapping[str, Any]) -> str:
    """A result as JSON, with a line for each entry of each entry: short, and readable as a change."""
    parts = []
    for name, value in result.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict) and value:
            rows = (f"{json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in value.items())
            text = "{\n  " + ",\n  ".join(rows) + "\n }"
        elif isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def load(name: str) -> dict[str, Any]:
    """Read ``benchmarks/results/NAME.json``."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def source(name: str) -> str:
    """What made a result, in words: the command and the machine."""
    result = load(name)
    return f"`{result['command']}`, {made_on(result['machine'])}."


_DEFAULT_SINCE = "2026-11-30"  # copy-256; before, it was lite0-phash-256


def by_whom(result: Mapping[str, Any]) -> str:
    """Which model a result of the default model is of, where that is the default no longer."""
    return " (by `lite0-phash-256`)" if result["machine"]["date"] < _DEFAULT_SINCE else ""


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


@cache
def ffmpeg() -> str:
    """The ffmpeg of PATH, else that of the PyPI package imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise SystemExit("needs ffmpeg: put it on PATH, or pip install imageio-ffmpeg") from error
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def ffmpeg_on_path() -> None:
    """videohash2 and tmkpy call ``ffmpeg`` by name: put the one we use on PATH under that name."""
    if shutil.which("ffmpeg") is None:
        folder = Path(tempfile.mkdtemp(prefix="vhash-ffmpeg-"))
        (folder / "ffmpeg").symlink_to(ffmpeg())
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
