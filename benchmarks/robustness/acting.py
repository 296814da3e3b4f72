"""Tries to make `vhash apply` and `vhash undo` lose a file: kill -9 and full disks at any change they make.

    python -m benchmarks.robustness.acting            # some 400 kills and 250 full disks: 2 to 5 minutes
    python -m benchmarks.robustness.acting --every 1  # all of them
    python -m benchmarks.robustness.acting --far DIR  # with a folder on another file system to move to

Writes benchmarks/results/acting.json (not with --short) and exits with 1 if anything was lost or untrue. The
pieces are in tests/acting, where a short version runs with the tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import command_line, write_result
from tests.acting import kills


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--every", type=int, default=4, help="one of so many faults, drawn by chance")
    parser.add_argument("--far", type=Path, default=Path("/dev/shm"), help="where files are moved far to")
    parser.add_argument("--short", action="store_true", help="one of 40, and no result")
    arguments = parser.parse_args()
    every = 40 if arguments.short else arguments.every
    far = arguments.far if os.access(arguments.far, os.W_OK) else None
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as near, tempfile.TemporaryDirectory(dir=far) as there:
        other = os.stat(near).st_dev != os.stat(there).st_dev
        actions = {}
        for action in kills.ACTIONS:
            name = action.replace(" ", "-")
            actions[action] = kills.run(Path(near) / name, Path(there) / name, every=every, actions=(action,))
            print(f"{action}: {actions[action]} ({time.perf_counter() - started:.0f} s)", flush=True)
    rows = {
        action: {
            "kills": one.kills,
            "full disks": one.full_disks,
            "interrupted steps that undo settled": one.settled,
            "lost": len(one.lost),
            "untrue": len(one.untrue),
        }
        for action, one in actions.items()
    }
    total = {name: sum(row[name] for row in rows.values()) for name in next(iter(rows.values()))}
    bad = total["lost"] + total["untrue"]
    if not arguments.short:
        command = "python -m benchmarks.robustness.acting" + (f" --every {every}" if every != 4 else "")
        result = {"command": command, "seconds": round(time.perf_counter() - started)}
        write_result(
            "acting", {**result, "moved to another file system": other, "total": total, "actions": rows}
        )
    print("nothing lost, the journal true" if not bad else f"{bad} FAILURES")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
