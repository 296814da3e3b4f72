"""What a command may write over: never an input, a video or somebody else's file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable

from ..errors import OptionError, VhashError
from ..names import printable
from ..scan import VIDEO_SUFFIXES
from .sources import open_media

Path = str | os.PathLike[str]
_HEAD, _TAIL = 64 << 10, 256 << 10
DEMO_MARK = "vhash demo"
"""The comment in the copies that ``vhash demo --keep`` writes."""

KINDS: dict[str, tuple[str, Callable[[bytes, bytes], bool]]] = {
    "index": ("index", lambda head, tail: head.startswith(b"VHASHIDX")),
    "names": ("names of an index", lambda head, tail: b'"command": "names"' in head[:200]),
    "page": ("page", lambda head, tail: b'<meta name="generator" content="vhash">' in head[:2000]),
    "picture": ("picture", lambda head, tail: b"tEXtSoftware\0vhash" in head[:100]),
    "plan": (
        "plan",
        lambda head, tail: head.startswith(b"#!/bin/bash\n# ") and b"script does nothing as it is" in head,
    ),
    "table": ("CSV", lambda head, tail: head.startswith((b"group,action,", b"status,kind,path,"))),
    "calibration": (
        "calibration",
        lambda head, tail: head.startswith(b'{"bits":') and b'"negatives":' in head,
    ),
    "model": ("model", lambda head, tail: b"vhash.spec" in tail),
    "engine": ("engine", lambda head, tail: False),  # a foreign format: its sidecar says whose it is
    "sidecar": (
        "sidecar of an engine",
        lambda head, tail: head.startswith(b'{\n "schema": ') and b'\n "sha256": "' in tail,
    ),
    "export": ("report of an export", lambda head, tail: head.startswith(b'{\n "model": ')),
    "copy": ("copy", lambda head, tail: DEMO_MARK.encode() in tail),
}
"""What commands write: the word for it, and how a file that we wrote is known by its first and last bytes."""


def check_output(
    file: Path,
    kind: str,
    *,
    option: str,
    inputs: Iterable[Path] = (),
    library: Path | None = None,
    force: bool | None = False,
) -> None:
    """Refuse a file to write that would cost somebody something. Call it before the work begins.

    Args:
        file: what is to be written; need not be there.
        kind: what it will be, see ``KINDS``.
        option: how it was given, for the message: ``--report``.
        inputs: files that the command reads.
        library: the library that the command works on, whose own files are no place to write to.
        force: whether a file of another kind may be overwritten; None: there is no such option.

    Raises:
        OptionError: it has the suffix of a video or is one, is an input, belongs to the library, or exists
            and is nothing that we wrote.

    >>> check_output("clip.mp4", "index", option="-o")
    Traceback (most recent call last):
    vhash_sdk.errors.OptionError: -o clip.mp4: is the name of a video; give the file to write, then the videos
    """
    shown = f"{option} {printable(file)}"
    if kind != "copy" and os.path.splitext(file)[1].lower() in VIDEO_SUFFIXES:
        raise OptionError(f"{shown}: is the name of a video; give the file to write, then the videos")
    if library is not None and _of_library(file, library):
        raise OptionError(f"{shown}: is a file of the library itself; give another name")
    try:
        status = os.stat(file)
    except OSError:  # nothing there, or whoever writes it says what is wrong
        return
    if stat.S_ISDIR(status.st_mode):
        raise OptionError(f"{shown}: is a folder; give the name of a file")
    if not stat.S_ISREG(status.st_mode):  # a pipe or a terminal
        return
    if any(_is(status, each) for each in inputs):
        raise OptionError(f"{shown}: is read by this very command; give another name")
    if not status.st_size or _ours(file, kind):
        return
    if _video(file):
        raise OptionError(f"{shown}: is a video; give another name")
    if not force:
        advice = "give another name" + ("" if force is None else ", or --force to overwrite it")
        raise OptionError(f"{shown}: is there, and is no {KINDS[kind][0]} that vhash wrote; {advice}")


def check_folder(folder: Path, *, option: str) -> None:
    """Refuse a folder to write into that is a file, or has the name of a video.

    Raises:
        OptionError: so it is.
    """
    if os.path.splitext(folder)[1].lower() in VIDEO_SUFFIXES or os.path.isfile(folder):
        raise OptionError(f"{option} {printable(folder)}: is no folder; give the folder, then the videos")


def _of_library(file: Path, library: Path) -> bool:
    name = os.path.basename(file)
    own = (
        name.startswith("library.db")
        or name in ("lock", "parts.json", "roles.json")
        or name.endswith((".vhi", ".npz"))
    )
    return own and os.path.realpath(os.path.dirname(os.path.abspath(file))) == os.path.realpath(library)


def _is(status: os.stat_result, other: Path) -> bool:
    try:
        return os.path.samestat(status, os.stat(other))
    except (OSError, ValueError):
        return False


def _ours(file: Path, kind: str) -> bool:
    try:
        with open(file, "rb") as stream:
            head = stream.read(_HEAD)
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            tail = stream.read(_TAIL)
    except OSError:  # what cannot be read is not known to be ours
        return False
    return KINDS[kind][1](head, tail)


def _video(file: Path) -> bool:
    try:
        open_media(file)
    except VhashError:
        return False
    return True
