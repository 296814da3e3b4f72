"""Several processes on one library at once: add, remove, search, group, verify, for minutes.

    python -m benchmarks.robustness.library_processes [--seconds 180] [--files 2000] [--no-result]

Two processes add and remove (one at a time may write, the other is told so), two search for what the writers
have reported, one groups, one verifies, one reads as from a read-only mount. Codes are digests of the
files' content, so that what is tested is the library and not the decoder. Wrong is: any error
but that another process writes, a reported file that is not found, a group of unequal files, a problem that
``verify`` finds. Writes benchmarks/results/library_processes.json; the short version is in
tests/library/test_elsewhere.py.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import command_line, write_result
from tests.fake_encoder import MAGIC, FakeEncoder, code_of
from vhash_sdk.errors import StoreError
from vhash_sdk.library import Library, connection


def _open(root: Path) -> Library:
    return Library(root / "lib", encoder=FakeEncoder(), create=False)  # type: ignore[arg-type]


def _content(path: Path) -> bytes:
    return path.read_bytes()[len(MAGIC) :]


def write(root: Path, files: int, number: int) -> str:
    """Add a few files of a folder of its own, or remove them again."""
    chosen = [root / "videos" / f"{number}" / f"{random.randrange(files):06d}" for _ in range(20)]
    with _open(root) as library:
        try:
            if random.random() < 0.3:
                library.remove(chosen[:5])
                return "removed"
            results = list(library.adding(library.scan(chosen)))
        except StoreError as error:
            if "is being written by" in str(error):
                return "told that another process writes"
            raise
    bad = [result for result in results if result.error is not None]
    if bad:
        raise SystemExit(f"not added: {bad[0]}")
    return "added"


def search(root: Path, files: int, number: int) -> str:
    """Entries are found by the code of their content."""
    with _open(root) as library:
        entries = list(library)
        for entry in random.sample(entries, min(20, len(entries))):
            hits = library.search(code_of(_content(Path(entry.path)), library.spec), k=None, radius=0)
            if library.get(entry.path) is not None and entry.path not in {hit.entry.path for hit in hits}:
                fresh = library.search(code_of(_content(Path(entry.path)), library.spec), k=None, radius=0)
                if library.get(entry.path) is not None and not fresh:
                    raise SystemExit(f"{entry.path} is in the library and not found")
    return "searched"


def group(root: Path, files: int, number: int) -> str:
    """Groups hold equal files only."""
    with _open(root) as library:
        for found in library.duplicates(radius=0):
            contents = {
                _content(Path(e.path)) for e in (found.representative, *(m.entry for m in found.members))
            }
            if len(contents) > 1:
                raise SystemExit(f"a group of different files: {found}")
    return "grouped"


def verify(root: Path, files: int, number: int) -> str:
    """Nothing is wrong, at any moment."""
    with _open(root) as library:
        if problems := list(library.verify()):
            raise SystemExit(f"verify found {problems[0]}")
    return "verified"


def read_unlocked(root: Path, files: int, number: int) -> str:
    """Read as where nothing can be written."""
    connection._unwritable = lambda path: "read-only for this benchmark"
    try:
        for _ in range(5):
            with _open(root) as library:
                list(library)
                library.search(code_of(b"0", library.spec))
    except StoreError as error:
        if "try again" not in str(error):
            raise
        return "told to try again"
    return "read without locks"


ROLES: tuple[Callable[[Path, int, int], str], ...] = (
    write, write, search, search, group, verify, read_unlocked,
)  # fmt: skip


def _work(root: Path, files: int, number: int, until: float, queue: Any) -> None:
    random.seed(number)
    counts: Counter[str] = Counter()
    wrong = ""
    try:
        while time.monotonic() < until:
            counts[ROLES[number](root, files, number)] += 1
    except BaseException:
        wrong = traceback.format_exc()
    queue.put((number, dict(counts), wrong))


def run(seconds: float, files: int) -> dict[str, Any]:
    """What all roles did, and what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in (0, 1):
            (root / "videos" / str(number)).mkdir(parents=True)
            for file in range(files):
                content = MAGIC + b"%d" % (file % max(1, files - 10))  # a few are copies
                (root / "videos" / str(number) / f"{file:06d}").write_bytes(content)
        with Library(root / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
            library.add([root / "videos" / "0" / f"{file:06d}" for file in range(min(files, 100))])
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        until = time.monotonic() + seconds
        workers = [
            context.Process(target=_work, args=(root, files, number, until, queue))
            for number in range(len(ROLES))
        ]
        for worker in workers:
            worker.start()
        answers = [queue.get(timeout=seconds + 120) for _ in workers]
        for worker in workers:
            worker.join()
        with _open(root) as library:
            problems = [str(problem) for problem in library.verify(content=True)]
            videos = len(library)
    counts: Counter[str] = Counter()
    for _, done, _ in answers:
        counts.update(done)
    wrong = [f"{ROLES[number].__name__}: {text}" for number, _, text in answers if text] + problems
    return {"seconds": seconds, "files": files, "done": dict(counts), "videos": videos, "wrong": wrong}


def main() -> None:
    """Run it, print it, write it down."""
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--no-result", action="store_true")
    options = parser.parse_args()
    found = run(options.seconds, options.files)
    print(json.dumps(found))
    if not options.no_result:
        given = f"--seconds {options.seconds:g} --files {options.files}"
        command = f"python -m benchmarks.robustness.library_processes {given}"
        write_result("library_processes", {"command": command, **found})
    if found["wrong"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
