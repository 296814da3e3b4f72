"""Arrays that are kept beside a library to save work: files that anybody may have written, or damaged."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..system.files import not_waiting


def read_arrays(file: Path) -> dict[str, Any]:
    """The arrays of an uncompressed ``.npz`` file, by their names. Raises whatever such a file can cause."""
    with open(file, "rb", opener=not_waiting) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or not _plain(stream, status.st_size):
            raise ValueError(f"{file}: not what is kept here")
        with np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def _plain(stream: BinaryIO, size: int) -> bool:
    """Whether an archive holds no more than the file does: nothing compressed, nothing twice."""
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
    stream.seek(0)
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    return stored and sum(member.file_size for member in members) <= size
