"""A disk that is full or fails, under the database and under the index: a clear error, nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from tests.fake_encoder import MAGIC, FakeEncoder
from vhash_sdk.library import Library

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="needs a C compiler on Linux"
)

ADDING = """
import os, sys
from tests.fake_encoder import FakeEncoder, code_of
from vhash_sdk.errors import StoreError
from vhash_sdk.library import Library
import vhash_sdk.library.writing
vhash_sdk.library.writing._COMMIT_ROWS = 5
directory, folder, search = sys.argv[1:]
try:
    with Library(directory, encoder=FakeEncoder()) as library:
        for result in library.adding(library.scan([folder])):
            os.write(1, os.fsencode(result.path) + b"\\0")
        if search == "search":
            assert len(library.search(code_of(b"3", library.spec), k=5)) == 5
except StoreError as error:
    print(error, file=sys.stderr)
    sys.exit(9)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "fault.so"
    source = Path(__file__).parents[1] / "fault_shim.c"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


class Disk:
    def __init__(self, root: Path, shim: Path) -> None:
        self.root, self.shim = root, shim
        self.folder = root / "videos"
        self.folder.mkdir()
        self.names = set()
        for number in range(60):
            path = self.folder / f"v{number:02d}"
            path.write_bytes(MAGIC + b"%d" % number)
            self.names.add(str(path))

    def add(self, search: str = "", **fault: object) -> tuple[int, set[str], str]:
        """(exit code, what was reported as added, standard error) of a run with a fault."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
            "LD_PRELOAD": str(self.shim),
            **{f"FAULT_{name.upper()}": str(value) for name, value in fault.items()},
        }
        command = [sys.executable, "-c", ADDING, str(self.root / "lib"), str(self.folder), search]
        result = subprocess.run(command, env=environment, capture_output=True, timeout=120)
        reported = {os.fsdecode(name) for name in result.stdout.split(b"\0")[:-1]}
        return result.returncode, reported, result.stderr.decode(errors="replace")

    def check(self, reported: set[str]) -> None:
        """On a sound disk: nothing reported is missing, nothing is doubled, and the next run completes."""
        with Library(self.root / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
            paths = [entry.path for entry in library]
            assert reported <= set(paths) and len(paths) == len(set(paths))
            assert list(library.verify(content=True)) == []
            library.add([self.folder])
            assert {entry.path for entry in library} == self.names


@pytest.fixture
def disk(tmp_path: Path, shim: Path) -> Disk:
    return Disk(tmp_path, shim)


@pytest.mark.parametrize(
    ("number", "calls", "after", "says"),
    [
        (errno.ENOSPC, "write", 0, "full"),  # while the library is made
        (errno.ENOSPC, "write", 130, "make room"),
        (errno.ENOSPC, "short", 150, "make room"),
        (errno.EIO, "write", 160, "I/O error"),
        (errno.EIO, "sync", 8, "I/O error"),
        (errno.EDQUOT, "write", 140, "run the same command again"),
    ],
)
def test_a_failing_disk_under_the_database(
    disk: Disk, number: int, calls: str, after: int, says: str
) -> None:
    code, reported, text = disk.add(path="library.db", errno=number, calls=calls, after=after)
    assert code == 9 and says in text and "Traceback" not in text, text
    assert "library.db" in text and len(reported) < 60
    if after >= 130:
        assert reported  # it had got somewhere, so something could have been lost
    disk.check(reported)


@pytest.mark.parametrize(("number", "calls"), [(errno.ENOSPC, "write"), (errno.EIO, "sync")])
def test_a_failing_disk_under_the_index_costs_only_time(disk: Disk, number: int, calls: str) -> None:
    code, reported, text = disk.add("search", path="index-", errno=number, calls=calls, after=0)
    assert code == 0 and reported == disk.names
    assert "the index could not be saved" in text and "searching works" in text
    assert not list((disk.root / "lib").glob("index-*.vhi"))
    disk.check(reported)


def test_without_a_fault_the_shim_changes_nothing(disk: Disk) -> None:
    code, reported, text = disk.add("search")
    assert (code, reported, text) == (0, disk.names, "")
