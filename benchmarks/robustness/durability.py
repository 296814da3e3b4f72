"""Tries to make a store lose a code: kill -9, damage, failing disks, crashes of the machine.

    python -m benchmarks.robustness.durability          # 200 kills, 5,000 flips, every call: 5 to 20 minutes
    python -m benchmarks.robustness.durability --short  # a minute

Writes benchmarks/results/durability.json (not with --short) and exits with 1 if anything was lost or wrong.
The pieces are in tests/durability, where a short version runs with the tests.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import write_result
from tests.durability import closing, damage, faults, kills, shim, traces


def timed(name: str, run: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = run()
    print(f"{name}: {result} ({time.perf_counter() - start:.0f} s)", flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument(
        "--disk", type=Path, help="where the killed writers write (default: the temporary folder)"
    )
    arguments = parser.parse_args()
    short = arguments.short
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as fast,
        tempfile.TemporaryDirectory(dir=arguments.disk) as disk,
    ):
        here, there = Path(fast), Path(disk)
        flips = timed("flips", lambda: damage.flips(here / "flips", 500 if short else 5000))
        cuts = timed("truncations", lambda: damage.truncations(here / "cuts", 6 if short else 24))
        library = shim.build(here)
        failing = timed("faults", lambda: faults.run(library, here, every=20 if short else 1))
        closed = timed("closing", lambda: closing.run(library, here, every=5 if short else 1))
        crashes = timed(
            "traces",
            lambda: traces.run(library, here, changes=40 if short else 400, share=0.1 if short else 1),
        )
        killed = timed("kills", lambda: kills.run(there / "kills", 10 if short else 200))
    result = {
        "command": "python -m benchmarks.robustness.durability",
        "kill -9": asdict(killed),
        "bit flips": asdict(flips),
        "log cut at every byte, as a crash does": asdict(cuts.cut),
        "log cut at every byte, acknowledged part": asdict(cuts.acknowledged),
        "failing calls": {name: asdict(one) for name, one in failing.items()},
        "closed while it is compacted, delayed at every call": asdict(closed),
        "crash of the machine": asdict(crashes),
    }
    everything = [flips, cuts.cut, cuts.acknowledged, *failing.values(), closed, crashes, killed]
    bad = (
        sum(getattr(one, name, 0) for one in everything for name in ("lost", "wrong", "unnamed"))
        + crashes.refused
    )
    if not short:
        write_result("durability", result)
    print("nothing lost, nothing wrong" if not bad else f"{bad} FAILURES")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
