"""Exact Hamming search in memory: the same neighbours in the same order, whatever the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from .. import _core
from ..codes import code_bytes
from ..system.checks import checked_path
from .arguments import checked_model, checked_threads
from .base import BaseIndex

if TYPE_CHECKING:
    from .device import CudaIndex
    from .stored import StoredIndex


class Index(BaseIndex):
    """An exact index of codes by Hamming distance.

    Args:
        bits: width of the codes, 1 to 4096.
        model: fingerprint of the model whose codes it holds. An index without one takes it from
            the first ``VideoCode`` that is added; bare arrays are believed.
        threads: threads that one call may use, 1 to 256; None: all CPUs of the process.

    >>> index = Index(16)
    >>> index.add([[0, 0], [1, 0], [255, 255]])
    array([0, 1, 2])
    >>> found = index.search([[3, 0]], k=2)
    >>> found.ids, found.distances
    (array([[1, 0]]), array([[1, 2]], dtype=uint16))
    """

    _instead = "save() it, and Index.load() the file where it is needed"

    def __init__(self, bits: int, *, model: str | None = None, threads: int | None = None) -> None:
        code_bytes(bits)
        super().__init__(_core.HammingIndex(int(bits), checked_model(model)), checked_threads(threads))

    def to(self, device: str) -> CudaIndex:
        """Copy the index as it is now into the memory of a GPU, to be searched there with the same results.

        Args:
            device: ``cuda`` or ``cuda:N``.

        Raises:
            BackendError: no driver, no such device, or not enough memory there.
            MissingDependencyError: this installation has no CUDA kernels.
        """
        from .device import CudaIndex

        return CudaIndex(self, device=device)

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str],
        *,
        mmap: bool = True,
        verify: bool = True,
        threads: int | None = None,
    ) -> Index:
        """Read an index from a file written by ``save``.

        Args:
            file: its path.
            mmap: search the file in place; False reads it into memory.
            verify: check the checksums of codes and ids as well as that of the header.
            threads: as for ``Index``.

        Raises:
            IndexFormatError: not an index (a directory, say), damaged, truncated or of a newer version.
            OSError: it cannot be read.
        """
        wanted = checked_threads(threads)
        engine = _core.HammingIndex.load(os.fsencode(checked_path("file", file)), mmap, verify)
        index = cls(engine.bits, threads=wanted)
        index._engine = engine
        return index

    @staticmethod
    def open(
        directory: str | os.PathLike[str],
        *,
        bits: int | None = None,
        model: str | None = None,
        mode: Literal["rw", "r"] = "rw",
        threads: int | None = None,
    ) -> StoredIndex:
        """Open an index that is kept in a directory: a change returns when it is on the disk.

        Args:
            directory: on a local file system; with ``bits`` it is created where it is not.
            bits: width of the codes; None: the store must exist.
            model: fingerprint of the model whose codes it holds.
            mode: ``rw`` for the one process that writes, ``r`` for those that search and ``refresh``.
            threads: as for ``Index``.

        Raises:
            StoreError: it does not exist, another process is writing it, or the system refuses.
            IndexFormatError: one of its files is damaged, missing or of a newer version; the message
                names it.
            ModelMismatchError: it holds codes of another model.
            OptionError: it holds codes of another width.
        """
        from .stored import StoredIndex

        return StoredIndex(directory, bits=bits, model=model, mode=mode, threads=threads)
