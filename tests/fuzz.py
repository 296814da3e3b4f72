"""A mutation fuzzer for every format that vhash reads: python -m tests.fuzz [--seconds 60] [--only code]

Good inputs are damaged again and again; what makes the reader fail at a new place joins the corpus, so
that the damage goes deeper. Each target runs in a process of its own: a crash there, a hang or any
error that is not a ``VhashError`` is a finding, kept in .cache/fuzz and named in
benchmarks/results/fuzz.json. The short version is test_fuzz.py; inputs that were findings once live
in tests/data/fuzz.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests import fuzz_engine, hostile_files
from vhash_sdk.codes import VideoCode
from vhash_sdk.errors import IndexFormatError, StoreError, VhashError

ROOT = Path(__file__).resolve().parents[1]
FINDINGS = ROOT / ".cache" / "fuzz"
FORMERLY = ROOT / "tests" / "data" / "fuzz"  # TARGET-anything: findings of the past
_HANG_SECONDS = 30.0
_LEAST_RUNS = 20

Seeds = Callable[[Path], list[bytes]]
Read = Callable[[bytes, Path], object]  # what it returns tells inputs apart that are accepted


def _decode_seeds(folder: Path) -> list[bytes]:
    return [
        *hostile_files.seeds(folder).values(),
        *hostile_files.sounds(folder).values(),
        *hostile_files.TEXTS,
    ]


def _decode(data: bytes, folder: Path) -> None:
    """File to sampled frames, as a worker does it, in this very process."""
    from vhash_sdk.spec import Resize, Sampling
    from vhash_sdk.video import Limits
    from vhash_sdk.video.isolation.worker import decode

    path = folder / "input"
    path.write_bytes(data)
    limits = Limits(wall_time=10.0, pixels=1 << 22)
    clip = decode(
        str(path), Sampling("uniform", 25), Resize("exact", 64, 64), limits, with_views=True, stream=None
    )
    assert clip.frames.shape == (25, 64, 64, 3) and np.isfinite(clip.times).all() and clip.info.duration >= 0


def _index_seeds(folder: Path) -> list[bytes]:
    from vhash_sdk.index import Index

    contents = []
    for bits, count in ((64, 0), (64, 5), (256, 40), (12, 3)):
        index = Index(bits, model="0123abcd")
        codes = np.random.default_rng(bits).integers(0, 16, (count, (bits + 7) // 8), dtype=np.uint8)
        index.add(codes)
        index.save(folder / "seed.vhi")
        contents.append((folder / "seed.vhi").read_bytes())
    return contents


def _index(data: bytes, folder: Path) -> None:
    from vhash_sdk.index import Index

    path = folder / "input"
    path.write_bytes(data)
    for mmap in (True, False):
        for verify in (True, False):
            index = Index.load(path, mmap=mmap, verify=verify)
            found = index.search(np.zeros((1, (index.bits + 7) // 8), np.uint8), k=5)
            assert found.ids.shape == (1, min(5, len(index)))


def _code_seeds(folder: Path) -> list[bytes]:
    return [b"vh1:0123abcd:64:0011223344556677", b"vh1:0123abcd:1:01", b"vh1:ffffffff:4096:" + b"ab" * 512]


def _code(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert VideoCode.from_text(text).text == text.strip()


def _model_seeds(folder: Path) -> list[bytes]:
    from tests.tiny_model import save_tiny_model

    return [save_tiny_model(folder / "tiny.onnx").read_bytes()]


def _model(data: bytes, folder: Path) -> None:
    from vhash_sdk.models.modelfile import read_model

    path = folder / "input"
    path.write_bytes(data)
    model = read_model(path)
    assert model.spec.bits > 0 and isinstance(model.card, dict) and model.precision


def _spec_seeds(folder: Path) -> list[bytes]:
    from tests.tiny_model import tiny_spec

    return [tiny_spec().to_json().encode()]


def _spec(data: bytes, folder: Path) -> None:
    from vhash_sdk.spec import ModelSpec

    spec = ModelSpec.from_json(data.decode("utf-8", "surrogateescape"))
    assert ModelSpec.from_json(spec.to_json()) == spec


def _names_seeds(folder: Path) -> list[bytes]:
    from tests.tiny_model import tiny_spec
    from vhash_sdk.cli.gallery import save_index

    spec = tiny_spec(bits=64)
    videos = [(f"{n}.mp4", VideoCode(np.full(8, n, np.uint8), 64, spec.fingerprint)) for n in range(3)]
    save_index(folder / "saved.vhi", spec, videos)
    return [(folder / "saved.vhi.names.json").read_bytes()]


def _names(data: bytes, folder: Path) -> None:
    """The JSON that the command line reads back."""
    from vhash_sdk.cli.gallery import load_index

    (folder / "saved.vhi.names.json").write_bytes(data)
    assert len(load_index(folder / "saved.vhi")) == 3


def _library_seeds(folder: Path) -> list[bytes]:
    return [(ROOT / "tests" / "data" / "library-1.db").read_bytes()]


def _library(data: bytes, folder: Path) -> None:
    from vhash_sdk.library import Library

    shutil.rmtree(folder / "lib", ignore_errors=True)
    (folder / "lib").mkdir()
    (folder / "lib" / "library.db").write_bytes(data)
    with Library(folder / "lib", create=False) as library:
        list(library.verify())
        list(library)
        list(library.failures())
        library.search(VideoCode(np.zeros(8, np.uint8), 64, library.spec.fingerprint), k=3)
        library.remove(["/videos"])


TARGETS: dict[str, tuple[Seeds, Read]] = {
    "decode": (_decode_seeds, _decode),
    "index": (_index_seeds, _index),
    "code": (_code_seeds, _code),
    "model": (_model_seeds, _model),
    "spec": (_spec_seeds, _spec),
    "names": (_names_seeds, _names),
    "library": (_library_seeds, _library),
    **fuzz_engine.TARGETS,
}


@dataclass
class Report:
    """What fuzzing one target came to."""

    runs: int = 0
    accepted: int = 0
    places: int = 0
    findings: list[str] = field(default_factory=list)


def _signature(error: BaseException | None, result: object) -> tuple[object, ...]:
    """Where and how a reader failed: a new one means new code was reached."""
    if error is None:
        return ("accepted", result)
    places = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    # the engine's errors all come from one line: their words, without names and numbers, tell them apart
    words = re.sub(r"'.*?'|\d+", "", str(error)) if isinstance(error, (IndexFormatError, StoreError)) else ""
    return (type(error).__name__, words, *(place for place in places if "vhash_sdk" in place[0]))


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three damages; textual inputs also get tokens that parsers trip over."""
    for _ in range(int(rng.integers(1, 4))):
        if data and rng.random() < 0.3:
            tokens = (
                b"-1",
                b"1e999",
                b"null",
                b"[]",
                b"{}",
                b'"',
                b"\0",
                b"\xff",
                b"9" * 30,
                b"true",
                b"[" * 2000,
            )
            at, cut = int(rng.integers(0, len(data))), int(rng.integers(0, 6))
            data = data[:at] + tokens[int(rng.integers(0, len(tokens)))] + data[at + cut :]
        elif len(data) > 1:
            data = hostile_files.DAMAGES[int(rng.integers(0, len(hostile_files.DAMAGES)))](data, rng)
    return data[: 1 << 20]


def _child(target: str, seconds: float, seed: int, channel: Connection, folder: str) -> None:
    """Fuzz one target; tells the parent each input before it is tried."""
    seeds_of, read = TARGETS[target]
    place, rng, report = Path(folder), np.random.default_rng(seed), Report()
    corpus = seeds_of(place)
    known: set[tuple[object, ...]] = set()
    former = [path.read_bytes() for path in sorted(FORMERLY.glob(f"{target}-*"))]
    queue, end = [*corpus, *former], time.monotonic() + seconds
    while queue or time.monotonic() < end or report.runs < _LEAST_RUNS:
        data = queue.pop() if queue else mutate(corpus[int(rng.integers(0, len(corpus)))], rng)
        channel.send_bytes(data)
        error: BaseException | None = None
        result: object = None
        try:
            result = read(data, place)
        except VhashError as raised:
            error = raised
        except BaseException as raised:
            error = raised
            report.findings.append(f"{_keep(target, data)}: {raised!r}"[:300])
        signature = _signature(error, result)
        if signature not in known:
            known.add(signature)
            corpus.append(data)
        report.runs += 1
        report.accepted += error is None
    report.places = len(known)
    channel.send_bytes(b"\0REPORT" + json.dumps(asdict(report)).encode())


def _keep(target: str, data: bytes) -> str:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path.name


def fuzz(target: str, seconds: float, seed: int = 0) -> Report:
    """Fuzz one target in a process of its own; a crash or hang there is a finding, and it goes on."""
    findings: list[str] = []
    end, started = time.monotonic() + seconds, 0
    while True:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = multiprocessing.Pipe(duplex=False)
            left = max(end - time.monotonic(), 0.1)
            arguments = (target, left, seed + started, theirs, folder)
            process = multiprocessing.get_context("spawn").Process(target=_child, args=arguments)
            process.start()
            theirs.close()
            last = b""
            with closing(ours):
                while True:
                    if not ours.poll(_HANG_SECONDS):
                        findings.append(f"{_keep(target, last)}: hangs")
                        process.kill()
                        break
                    try:
                        message = ours.recv_bytes()
                    except EOFError:
                        process.join()
                        findings.append(f"{_keep(target, last)}: exit code {process.exitcode}")
                        break
                    if message.startswith(b"\0REPORT"):
                        process.join()
                        report = Report(**json.loads(message[7:]))
                        report.findings = findings + report.findings
                        return report
                    last = message
            process.join()
        started += 1
        if time.monotonic() > end or started > 20:
            return Report(findings=findings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    options = parser.parse_args()
    from benchmarks.common import write_result

    def run(target: str) -> tuple[str, dict[str, object]]:
        report = asdict(fuzz(target, options.seconds, options.seed))
        print(target, report, flush=True)
        return target, report

    with ThreadPoolExecutor(options.jobs) as pool:  # each target is a process of its own
        results = dict(pool.map(run, options.only.split(",")))
    command = (
        f"python -m tests.fuzz --seconds {options.seconds:g} --seed {options.seed} --jobs {options.jobs}"
    )
    print(write_result("fuzz", {"command": command, "targets": results}))
    sys.exit(any(result["findings"] for result in results.values()))


if __name__ == "__main__":
    main()
