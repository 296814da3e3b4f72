"""From what a user hands over to an opened container, and to nothing else.

FFmpeg follows text files: a playlist or concat script named ``.mp4`` makes it open other files
or connect to servers. So the container is recognised by its first bytes (``recognise``); only those in
``CONTAINERS`` are opened, each with its demuxer pinned, and the only protocol is ``file``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import MissingDependencyError, SourceError, UnsupportedVideoError, VhashError, VideoError
from .decoder import FileSource
from .recognise import HEAD, is_still_mov, recognise
from .stills import STILLS, still_size

if TYPE_CHECKING:
    from av.container import InputContainer

EXACT_SEEKS = frozenset(("mov", "matroska", "avi", "mpegts", "flv", "nut", "ivf"))
"""Demuxers that give the same times after a seek as without one; a program stream's are guessed anew."""
INDEXED = frozenset(("mov", "matroska", "avi", "flv", "nut"))
"""Demuxers that have an index of key frames, rather than only of what was read so far."""

_BLOCK = 4 << 20
_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)


@dataclass(frozen=True)
class Media:
    """A source that has been checked and can be opened, more than once.

    Attributes:
        name: how errors call it.
        demuxer: FFmpeg's name of the only demuxer that may read it.
        size: (width, height) by its headers, for a GIF and most pictures; FFmpeg tells the others' before it
            decodes.
        still: it is a picture: a video of one frame.
    """

    name: str
    demuxer: str
    _source: str | bytes | _Borrowed
    size: tuple[int, int] | None = None
    still: bool = False

    def open(self, options: dict[str, str], part: tuple[int, int] | None = None) -> InputContainer:
        """A new container that reads from the start, or only the bytes of a part. Raises errors of ``av``."""
        import av

        file: Any
        if part is not None:
            file = _Part(self._file(), *part)
        elif isinstance(self._source, str):
            file = self._source
        else:
            file = self._file()
        # av 18 fails on titles that are not UTF-8 unless told not to; av 19 never does, and cannot be told
        lenient: dict[str, Any] = {}
        if int(av.__version__.split(".")[0]) < 19:
            lenient["metadata_errors"] = "ignore"
        options = {**options, "protocol_whitelist": "file"}
        container: InputContainer = av.open(file, format=self.demuxer, options=options, **lenient)
        return container

    @contextlib.contextmanager
    def raw(self) -> Iterator[BinaryIO]:
        """The source as a file, to look into it without FFmpeg; what its reading raises is a SourceError."""
        file = self._file()
        try:
            yield file
        except Exception as error:
            if isinstance(error, VhashError) or not (isinstance(error, OSError) or self.lost()):
                raise
            raise SourceError(f"{self.name} cannot be read: {error}") from error
        finally:
            file.close()

    def failure(self, check: Callable[[], None]) -> BaseException | None:
        """What reading the source itself raises: of a file object what it raised, of a path a disk error.

        FFmpeg calls many a malformed file an input/output error, so the file is read again to tell;
        ``check`` is called meanwhile.
        """
        if isinstance(self._source, _Borrowed):
            return self._source.failure
        try:
            with contextlib.closing(self._file()) as file:
                while file.read(_BLOCK):
                    check()
        except OSError as error:
            if isinstance(error, VhashError):
                raise
            return error
        return None

    def lost(self) -> BaseException | None:
        """What a file object raised so far: FFmpeg may have taken it for the end of the file."""
        return self._source.failure if isinstance(self._source, _Borrowed) else None

    def _file(self) -> Any:
        """A reader with a place of its own."""
        if isinstance(self._source, str):
            return open(self._source.removeprefix("file:"), "rb")
        if isinstance(self._source, _Borrowed):
            return _Part(self._source, 0, self._source.seek(0, os.SEEK_END))
        return io.BytesIO(self._source)


class _Borrowed:
    """A file object of the user, which is not ours to close; keeps what its reading raises."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: BaseException | None = None
        self.seek = file.seek

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
            # FFmpeg's buffer has room for what was asked for, and PyAV copies what it gets
            if size >= 0 and isinstance(data, (bytes, bytearray)) and len(data) > size:
                raise SourceError(
                    f"a file object read {len(data)} bytes where {size} were asked for; "
                    "its read(size) must not return more"
                )
            return data
        except BaseException as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Leaves it open."""


class _Part:
    """Some bytes of a file as a file."""

    def __init__(self, file: Any, start: int, end: int) -> None:
        self._file, self._start, self._size, self._at = file, start, end - start, 0

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._at, 0)
        self._file.seek(self._start + self._at)
        data: bytes = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()


def open_media(source: FileSource, *, stills: bool = False) -> Media:
    """Check a source and recognise its container.

    Args:
        source: a path, the bytes of a file, or a binary file object.
        stills: take pictures too.

    Raises:
        SourceError: it does not exist, is not a regular file, is empty or cannot be read.
        UnsupportedVideoError: its container or protocol is refused; the message says why.
        MissingDependencyError: ``av`` is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"decoding video needs PyAV ({error}): pip install av; frames in numpy arrays need no PyAV"
        ) from error
    name = describe(source)
    opened: str | bytes | _Borrowed
    if isinstance(source, (bytes, bytearray, memoryview)):
        opened = bytes(source)
        head, size = opened[:HEAD], len(opened)
    elif isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        head, size = _read_head(path, name)
        opened = "file:" + os.path.abspath(path)
    elif hasattr(source, "read"):
        opened = _Borrowed(source)
        head, size = _head_of_object(source, name)
    else:
        raise SourceError(
            f"{name} is not a video source; pass a path, bytes, a binary file object, "
            "or frames as a uint8 array [T, H, W, 3]"
        )
    if not size:
        raise SourceError(f"{name} is empty (0 bytes)")
    demuxer = recognise(head, name, stills=stills)
    screen = struct.unpack("<HH", head[6:10]) if demuxer == "gif" and len(head) >= 10 else None
    media = Media(name, demuxer, opened, screen)
    if demuxer not in STILLS and not (demuxer == "mov" and is_still_mov(head)):
        return media
    with media.raw() as file:
        return replace(media, size=still_size(file, demuxer, name), still=True)


def is_picture(source: FileSource) -> bool:
    """Whether a source is a picture file by its first bytes; False also for what cannot be read."""
    try:
        return open_media(source, stills=True).still
    except VideoError:
        return False


def describe(source: object) -> str:
    """A short name for messages: the path, or the kind of object.

    >>> describe(b"abc"), describe("a.mp4")
    ('<3 bytes>', 'a.mp4')
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"<{len(source)} bytes>"
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source).encode("utf-8", "backslashreplace").decode()
    name = getattr(source, "name", None)
    return f"<{type(source).__name__}{' ' + name if isinstance(name, str) else ''}>"


def _read_head(path: str, name: str) -> tuple[bytes, int]:
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise SourceError(f"{name} is not a regular file; pass the path of a video file")
        with open(path, "rb") as file:
            return file.read(HEAD), found.st_size
    except (OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        if _URL.match(path):
            raise UnsupportedVideoError(
                f"{name}: URLs and FFmpeg protocols are refused, only local files are opened; "
                "download it first"
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{name} cannot be opened: {reason}") from error


def _head_of_object(file: BinaryIO, name: str) -> tuple[bytes, int]:
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEAD)
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(
            f"{name} cannot be read and rewound ({error}); pass a seekable binary file"
        ) from error
    if not isinstance(head, bytes):
        raise SourceError(f"{name} gives {type(head).__name__}, not bytes; open the file with mode 'rb'")
    return head, size
