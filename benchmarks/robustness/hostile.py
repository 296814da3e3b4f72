"""Corrupted files against the whole encoder.

    python -m benchmarks.robustness.hostile [--count 2000] [--seed 0]

Each file is encoded with ``isolate=True``: it must give a code or a ``VideoError``, in time, with
the caller unharmed and no bigger than before. Then each is encoded in process, in a process that may
die: what crashes or hangs there is listed, and is why isolation exists.
Writes benchmarks/results/hostile.json. The short version is tests/video/test_hostile.py.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import ROOT, command_line, write_result
from tests import hostile_files
from vhash_sdk import Encoder
from vhash_sdk.errors import VideoError
from vhash_sdk.video import Limits

COMMAND = "python -m benchmarks.robustness.hostile"
LIMITS = Limits(wall_time=10.0, memory=1 << 30)
_IN_PROCESS_SECONDS = 60.0


def resident() -> int:
    """Resident memory of this process in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def isolated(paths: list[str]) -> dict[str, object]:
    """Encode all with ``isolate=True`` and count what became of them."""
    started: dict[str, float] = {}

    def feed() -> Iterator[str]:
        for path in paths:
            started[path] = time.perf_counter()
            yield path

    outcomes: Counter[str] = Counter()
    by_damage: Counter[str] = Counter()
    memory, longest, begin = [], 0.0, time.perf_counter()
    with Encoder(limits=LIMITS) as encoder:
        for number, result in enumerate(encoder.encode_many(feed(), isolate=True)):
            if (result.code is None) == (result.error is None):
                raise SystemExit(f"{result.source}: neither a code nor an error, or both")
            if result.error is not None and not isinstance(result.error, VideoError):
                raise SystemExit(f"{result.source}: {result.error!r} is no VideoError")
            outcome = "code" if result.error is None else type(result.error).__name__
            outcomes[outcome] += 1
            by_damage[f"{Path(result.source).stem.partition('-')[2]}: {outcome}"] += 1
            longest = max(longest, time.perf_counter() - started[str(result.source)])
            if number % 100 == 99:
                memory.append(round(resident() / 2**20))
    if outcomes.total() != len(paths):
        raise SystemExit(f"{outcomes.total()} results for {len(paths)} files")
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "outcomes": dict(outcomes.most_common()),
        "by_damage": dict(sorted(by_damage.items())),
        "longest_seconds_from_start_to_result": round(longest, 2),
        "wall_time_limit_seconds": LIMITS.wall_time,
        "caller_resident_mib_every_100_files": memory,
    }


def in_process(paths: list[str], folder: Path) -> dict[str, object]:
    """Encode each in a process that may die; lists what killed it, hung, or escaped as another error."""
    listing = folder / "paths"
    listing.write_text("\n".join(paths))
    crashed, hung, escaped = [], [], []
    at = 0
    while at < len(paths):
        command = [sys.executable, *COMMAND.split()[1:], "--child", str(listing), str(at)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1) as child:
            assert child.stdout is not None
            while select.select([child.stdout], [], [], _IN_PROCESS_SECONDS)[0]:
                line = child.stdout.readline()
                if not line:
                    break
                number, _, said = line.strip().partition(" ")
                at = int(number) + 1
                if said:
                    escaped.append(f"{Path(paths[int(number)]).name}: {said}")
            else:
                child.kill()
        if at < len(paths):
            name = Path(paths[at]).name
            if child.returncode == -signal.SIGKILL:
                hung.append(name)
            else:
                crashed.append(f"{name}: exit {child.returncode}")
            at += 1
    return {"crashed": crashed, "hung": hung, "errors_that_are_not_VideoError": escaped}


def child(listing: Path, start: int) -> None:
    """Encode in this process, one line for each file."""
    paths = listing.read_text().split("\n")
    with Encoder(limits=LIMITS) as encoder:
        for number in range(start, len(paths)):
            said = ""
            try:
                encoder.encode(paths[number])
            except VideoError:
                pass
            except BaseException as error:
                said = repr(error)[:200]
            print(number, said, flush=True)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), int(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, paths = Path(name), []
        for file, content in hostile_files.corrupted(folder, options.count, seed=options.seed):
            (folder / file).write_bytes(content)
            paths.append(str(folder / file))
        result = {
            "command": f"{COMMAND} --count {options.count} --seed {options.seed}",
            "files": len(paths),
            "isolated": isolated(paths),
            "in_process": in_process(paths, folder),
        }
    for key, value in result.items():
        print(key, value)
    print(write_result("hostile", result))


if __name__ == "__main__":
    main()
