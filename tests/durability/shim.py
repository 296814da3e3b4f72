"""Compiles shim.c, starts processes under it, and speaks with it from inside."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CREATE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, NOTE, OPEN = (1 << n for n in range(8))
ONCE, STICKY, SHORT, SHORT_STICKY = range(4)


def compiler() -> str | None:
    """A C compiler, where there is one."""
    return next(
        (
            found
            for name in (os.environ.get("CC"), "cc", "gcc", "clang")
            if name and (found := shutil.which(name))
        ),
        None,
    )


def build(folder: Path) -> Path:
    """The compiled library."""
    library = folder / "shim.so"
    cc = compiler()
    assert cc, "needs a C compiler"
    subprocess.run(
        [
            cc,
            "-O1",
            "-Wall",
            "-Wextra",
            "-shared",
            "-fPIC",
            "-o",
            library,
            HERE / "shim.c",
            "-ldl",
            "-lpthread",
        ],
        check=True,
    )
    return library


def run_under(library: Path, module: str, *arguments: object) -> str:
    """Output of ``python -m MODULE ARGUMENTS…`` under the shim."""
    root = HERE.parents[1]
    path = os.pathsep.join([str(root / "sdk"), str(root), os.environ.get("PYTHONPATH", "")])
    # A fixed hash seed: digests of one process are compared in another.
    environment = os.environ | {"LD_PRELOAD": str(library), "VHASH_SHIM": str(library), "PYTHONPATH": path}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def handle() -> ctypes.CDLL:
    """The shim of this process, which ``run_under`` started."""
    library = ctypes.CDLL(os.environ["VHASH_SHIM"])
    library.shim_note.argtypes = [ctypes.c_uint64, ctypes.c_uint64]
    return library
