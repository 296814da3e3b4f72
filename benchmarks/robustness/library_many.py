"""A library of very many files: add, list, search, group, verify, remove; seconds and memory of each.

    python -m benchmarks.robustness.library_many [--files 100000] [--no-result]

Codes are digests of the files' content, so that what is measured is the library and not the decoder. Writes
benchmarks/results/library_many.json; the short version is in tests/library/test_elsewhere.py.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import command_line, write_result
from tests.fake_encoder import MAGIC, FakeEncoder, code_of
from vhash_sdk.library import Library


def run(files: int) -> dict[str, Any]:
    """Seconds of each step, what each gave, and the most memory that the process took, in MiB."""
    steps: dict[str, dict[str, Any]] = {}

    def timed(name: str, step: Callable[[Library], Any]) -> None:
        started = time.perf_counter()
        with Library(root / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
            gave = step(library)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        steps[name] = {"seconds": round(time.perf_counter() - started, 2), "gave": gave, "peak_mib": peak}

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(files):
            path = root / "videos" / f"{number // 1000:04d}" / f"{number:07d}"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(MAGIC + b"%d" % (number - number % 2 * (number % 100 == 1)))  # 1 % are copies
        videos = root / "videos"
        timed("add", lambda library: library.add([videos]).counts)
        timed("add_again", lambda library: library.add([videos]).counts)
        timed("list", lambda library: sum(1 for _ in library))
        timed("search", lambda library: len(library.search(code_of(b"0", library.spec), k=10)))
        timed("search_from_cache", lambda library: len(library.search(code_of(b"2", library.spec), k=10)))
        timed("dedup", lambda library: len(library.duplicates(radius=0)))
        timed("verify", lambda library: len(list(library.verify())))
        timed("remove_a_folder", lambda library: len(library.remove([videos / "0000"])))
    return {"videos": files, "steps": steps}


def main() -> None:
    """Run it, print it, write it down."""
    parser = command_line(__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--no-result", action="store_true")
    options = parser.parse_args()
    found = run(options.files)
    print(json.dumps(found))
    if not options.no_result:
        command = f"python -m benchmarks.robustness.library_many --files {options.files}"
        write_result("library_many", {"command": command, **found})
    if found["steps"]["verify"]["gave"]:
        raise SystemExit("verify found something wrong")


if __name__ == "__main__":
    main()
