"""An index kept in a directory: what a call acknowledged is there after a crash.

A change returns when it is on the disk. One process writes; any number of others search, and see
what was written since by ``refresh``. The directory must be on a local file system.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn, Self, get_args

from .. import _core
from ..codes import code_bytes
from ..system.checks import check_choice, checked_count, checked_path
from .arguments import checked_model, checked_threads
from .base import BaseIndex

if TYPE_CHECKING:
    from .device import CudaIndex

Mode = Literal["rw", "r"]


@dataclass(frozen=True)
class StoreState:
    """What a store consists of at this moment.

    Attributes:
        generation: how often its MANIFEST was replaced.
        sequence: number of the last change, counted from 1.
        segments: sealed segments.
        logs: logs, the active one among them.
        sealed_rows: rows in the segments, dead ones included.
        dead_rows: rows in the segments that were removed or replaced.
        log_bytes: length of the active log, in bytes; 0 for a reader.
        trouble: why sealing or merging last failed, or empty; what was acknowledged is safe.
    """

    generation: int
    sequence: int
    segments: int
    logs: int
    sealed_rows: int
    dead_rows: int
    log_bytes: int
    trouble: str


class _Elsewhere:
    """A method that ``Index`` has and ``StoredIndex`` cannot have: asking for it says what to call."""

    def __init__(self, advice: str) -> None:
        self._advice = advice

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(self._advice)


class StoredIndex(BaseIndex):
    """An index in a directory, with the methods of ``Index``; ``Index.open`` makes it.

    A change that cannot be stored raises ``StoreError`` and changes nothing. ``save`` writes its codes
    to one file, which ``Index.load`` reads.

    Args:
        directory, bits, model, mode, threads: as for ``Index.open``.
        seal_rows: changes after which a log becomes a segment; None: those that 16 MiB of codes and ids take.

    >>> import tempfile
    >>> from vhash_sdk import Index
    >>> folder = tempfile.mkdtemp()
    >>> with Index.open(folder, bits=16) as index:
    ...     ids = index.add([[0, 0], [255, 255]])
    >>> with Index.open(folder, mode="r") as index:
    ...     index.search([[254, 255]], k=1).ids
    array([[1]])
    """

    load = _Elsewhere(
        "StoredIndex has no load(): Index.load(file) reads a file that save() wrote, "
        "StoredIndex(directory) opens a directory"
    )
    _instead = "open its directory where it is needed"
    open = _Elsewhere("StoredIndex has no open(): StoredIndex(directory) or Index.open(directory) opens one")

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        bits: int | None = None,
        model: str | None = None,
        mode: Mode = "rw",
        threads: int | None = None,
        seal_rows: int | None = None,
    ) -> None:
        check_choice("mode", mode, get_args(Mode))
        if bits is not None:
            code_bytes(bits)
        allowed, place = checked_threads(threads), os.fsencode(checked_path("directory", directory))
        seal = 0 if seal_rows is None else checked_count("seal_rows", seal_rows, 1)
        self._store = _core.Store(place, bits or 0, checked_model(model), mode == "rw", seal)
        super().__init__(self._store.index, allowed)
        given = os.fsdecode(place)  # asked only where it counts: the working directory may be gone
        self._directory = given if os.path.isabs(given) else os.path.join(os.getcwd(), given)
        self._mode: Mode = mode

    @property
    def directory(self) -> str:
        """Where it is kept."""
        return self._directory

    @property
    def mode(self) -> Mode:
        """``rw`` or ``r``."""
        return self._mode

    def to(self, device: str) -> CudaIndex:
        """Copy the index as it is now into the memory of a GPU; see ``Index.to``."""
        from .device import CudaIndex

        return CudaIndex(self, device=device)

    def refresh(self) -> bool:
        """Take over what the writer has acknowledged since; True where anything was new.

        Searches that run meanwhile see the index as it was. Does nothing for the writer.

        Raises:
            IndexFormatError: a file of the store is damaged or missing; the message names it.
        """
        return self._store.refresh()

    def compact(self) -> None:
        """Seal the log and merge all segments into one, without the rows that were removed.

        The store does the same bit by bit in the background; this is for shipping, or after
        removing much.

        Raises:
            StoreError: the disk is full, or the store is not open for writing; nothing is lost.
        """
        self._store.compact()

    def close(self) -> None:
        """End the background work and let another process write; searching still works.

        A ``compact`` of another thread gives up with ``StoreError``: nothing is lost. May be called by any
        number of threads, and again.
        """
        self._store.close()

    def state(self) -> StoreState:
        """Segments, logs and dead rows at this moment."""
        return StoreState(**self._store.info())  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, directory={self._directory!r}, mode={self._mode!r})"


def repair(directory: str | os.PathLike[str]) -> list[str]:
    """Keep what is intact of a damaged store, and return what was lost, a line for each file.

    Damaged segments are left out; a log is cut before its first damaged change, with all later
    changes. The damaged files stay in the directory as ``*.damaged``. An intact store stays as it is.

    Raises:
        IndexFormatError: its MANIFEST is damaged; restore that from a copy.
        StoreError: it does not exist, another process is writing it, or the system refuses.
    """
    return _core.repair_store(os.fsencode(checked_path("directory", directory)))
