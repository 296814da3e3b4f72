"""The indexes of a library, kept in memory, and in files that may vanish at any time.

A file carries the database's generation in its name, so a cache is either that of exactly
these codes or of no interest; it is renamed into place whole.
"""

from __future__ import annotations

import contextlib
import logging
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import StoreError, VhashError
from ..spec import ModelSpec
from .database import Database
from .reading import whole_codes

if TYPE_CHECKING:
    from ..index.memory import Index

T = TypeVar("T")
logger = logging.getLogger("vhash_sdk")
_GENERATION = re.compile(r"[0-9a-f]{1,64}-[0-9a-f]{1,64}")
_ABANDONED = 3600.0
"""Seconds after which nobody writes on at a file that is not yet in its place."""


class Remembered(Generic[T]):
    """What was made of the codes of a library, kept in memory until they change.

    Args:
        database: of the library.
        make: makes it anew.
    """

    def __init__(self, database: Database, make: Callable[[], T]) -> None:
        self._database, self._make = database, make
        self._made: tuple[str, T] | None = None

    def __call__(self) -> T:
        """What was made, or is made now."""
        generation = self._database.generation()  # what is written meanwhile makes it stale
        if self._made is None or self._made[0] != generation:
            self._made = generation, self._make()
        return self._made[1]


def cache_file(directory: Path, generation: str, kind: str = "index") -> Path:
    """Where the index of a generation is kept; ``kind``: ``index`` or ``segments``.

    Raises:
        StoreError: the generation, which comes from a file, is no name of ours: it never becomes a path.
    """
    if not _GENERATION.fullmatch(generation):
        raise StoreError(
            f"{directory}: its generation is {generation[:100]!r}, not two hexadecimal numbers; the library "
            "was not made by vhash, or is damaged: bring it back from a copy"
        )
    return directory / f"{kind}-{generation}.vhi"


def cached_index(database: Database, directory: Path, spec: ModelSpec) -> tuple[str, Index]:
    """(generation, index) of the codes of whole videos; ids are those of the videos.

    A cache that is missing, stale or damaged is made again; one that cannot be written costs
    only time, and one warning.

    Raises:
        StoreError: the database is damaged.
    """
    from ..index.memory import Index

    generation = database.generation()
    file = cache_file(directory, generation)
    if (index := load_index(file, database.count(), spec)) is not None:
        return generation, index
    ids, codes, generation = whole_codes(database, spec.bits)
    index = Index(spec.bits, model=spec.fingerprint)
    index.add(codes, ids)
    save_index(index, database, directory, generation)
    return generation, index


def load_index(file: Path, count: int, spec: ModelSpec) -> Index | None:
    """The index kept in a file, if it is whole and has so many codes of the model."""
    from ..index.memory import Index

    with contextlib.suppress(VhashError, OSError, ValueError):
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for, for ever
            return None
        index = Index.load(file, mmap=True)
        if len(index) == count and index.bits == spec.bits and index.model == spec.fingerprint:
            return index
    return None


def save_index(
    index: Index, database: Database, directory: Path, generation: str, kind: str = "index"
) -> None:
    """Keep an index, and drop those of other generations; a disk that refuses costs one warning.

    Where the library cannot be written, the index lives as long as the ``Library`` that asked for it.
    """
    file = cache_file(directory, generation, kind)
    if database.unwritable:
        return
    try:
        index.save(file)
    except (VhashError, OSError) as error:
        logger.warning(
            "%s: the index could not be saved (%s); searching works, but starts slower", file, error
        )
        return
    for other in directory.glob(f"{kind}-*.vhi*"):
        with contextlib.suppress(OSError):
            # a file that is still written, by another process perhaps, ends otherwise and is young
            if other != file and (other.suffix == ".vhi" or time.time() - other.stat().st_mtime > _ABANDONED):
                other.unlink()
