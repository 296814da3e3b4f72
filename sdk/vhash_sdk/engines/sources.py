"""Which videos a source means, and how one that is not on this machine is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import OptionError, SourceError, StoreError
from ..system.checks import checked_path
from .parts import arrow

Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Paths or URLs; or one string: a folder, a glob, or parquet with a column ``path``."""


def paths_of(source: Source) -> Iterator[str]:
    """The paths and URLs of a source, each once and always in the same order.

    Raises:
        StoreError: a list of paths cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        yield from dict.fromkeys(_absolute(os.fspath(path)) for path in source)
        return
    name = os.fspath(source)
    if name.rstrip("/").endswith(".parquet"):
        yield from dict.fromkeys(_absolute(path) for path in _listed(name))
    elif "://" in name:
        yield from _remote(name)
    else:
        from ..scan import scan

        for found in scan([name]):
            if not found.skipped and (found.path == os.path.abspath(name) or _is_video(found.path)):
                yield found.path


def opened(path: str) -> str | RemoteFile:
    """What ``Encoder`` takes for a path or URL."""
    return RemoteFile(path) if "://" in path else path


class RemoteFile:
    """A file that fsspec reads, opened when the decoder asks for it."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._file: Any = None

    def seek(self, place: int, whence: int = 0) -> int:
        """Move; opens the file."""
        return int(self._open().seek(place, whence))

    def tell(self) -> int:
        """Where the next byte comes from."""
        return int(self._open().tell())

    def read(self, size: int = -1) -> bytes:
        """Read; an empty answer is the end."""
        content: bytes = self._open().read(size)
        return content

    def _open(self) -> Any:
        if self._file is None:
            import fsspec

            try:
                self._file = fsspec.open(self.name, "rb").open()
            except (OSError, ValueError, ImportError) as error:
                raise SourceError(f"{self.name}: cannot be opened ({error})") from error
        return self._file


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(checked_path("path", path))


def _is_video(path: str) -> bool:
    from ..scan import VIDEO_SUFFIXES

    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def _listed(name: str) -> Iterator[str]:
    for batch in batches(name, ["path"]):
        for path in batch["path"].to_pylist():
            if not isinstance(path, (str, bytes)) or not path:
                raise StoreError(f"{name}: its column 'path' holds {path!r}; expected texts or bytes")
            yield os.fsdecode(path)


def batches(location: str | os.PathLike[str], columns: list[str]) -> Iterator[Any]:
    """Some columns of a parquet file or folder, as a stream of record batches.

    Raises:
        StoreError: it cannot be read, or has not these columns.
    """
    pyarrow = arrow()
    try:
        yield from dataset_of(location).to_batches(columns=columns, batch_size=1 << 16)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise StoreError(
            f"{os.fspath(location)}: cannot be read as parquet with columns {', '.join(columns)} ({error})"
        ) from error


def dataset_of(location: str | os.PathLike[str]) -> Any:
    """pyarrow's view of a parquet file or folder. Raises StoreError."""
    pyarrow = arrow()
    import pyarrow.dataset as dataset
    from fsspec.core import url_to_fs

    try:
        system, place = url_to_fs(os.fspath(location))
        return dataset.dataset(place, format="parquet", filesystem=system)
    except (OSError, ValueError, ImportError, pyarrow.ArrowException) as error:
        raise StoreError(f"{os.fspath(location)}: cannot be read as parquet ({error})") from error


def _remote(url: str) -> Iterator[str]:
    arrow()
    from fsspec.core import url_to_fs

    try:
        system, place = url_to_fs(url)
        if not any(sign in place for sign in "*?["):
            found = system.find(place) if system.isdir(place) else [place]
        else:
            found = system.glob(place)
    except (OSError, ValueError, ImportError) as error:
        raise OptionError(f"source={url!r}: {error}") from error
    exact = found == [place]
    for path in sorted(found):
        if exact or _is_video(path):
            yield str(system.unstrip_protocol(path))
