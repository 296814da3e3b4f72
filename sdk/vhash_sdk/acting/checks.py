"""What has to be true of a file, and of the one that is kept instead, right before anything is done.

A plan is a wish. The library says what the files were, the disk what they are, and the verdict of the library
whether they are copies still. Whatever is in doubt is left as it is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import OptionError, RefusedError
from ..library.roles import Places
from ..names import printable
from ..scan import in_trash
from .moving import same_attributes, same_bytes
from .plan_file import Named, Plan, PlannedGroup, inodes
from .steps import Action, FileId

if TYPE_CHECKING:
    from ..library.library import Library
    from ..library.records import Entry
    from ..matching.calibration import Calibration


@dataclass(frozen=True)
class How:
    """What is done with a file that is to go.

    Attributes:
        action: ``trash`` (the desktop's, from which it can be taken back), ``move`` (to ``destination``),
            ``hardlink`` or ``symlink`` (its name leads to the one that is kept).
        destination: the folder to move to; every file keeps its whole path below it.
        different: links may also stand for files that hold other bytes, e.g. in another format; the file
            itself goes to the trash.

    Raises:
        OptionError: they do not go together.
    """

    action: Action
    destination: str = ""
    different: bool = False

    def __post_init__(self) -> None:
        if (self.action == "move") != bool(self.destination):
            raise OptionError(
                f"action={self.action!r} with destination={self.destination!r}: give one to move, and to "
                "nothing else"
            )
        if self.different and self.action not in ("hardlink", "symlink"):
            raise OptionError(
                f"different=True with action={self.action!r}: it belongs to hardlink and symlink"
            )


@dataclass(frozen=True)
class Threshold:
    """By which ``Library.decide`` says that two videos are copies still; as ``duplicates`` was given."""

    fmr: float | None = None
    radius: int | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Ready:
    """A file that may go.

    Attributes:
        names: all its names; all of them go.
        file: what it is.
        digest: ``scan.content_digest`` of it, in hex.
        kept, kept_file: the one that is kept instead.
        sha256: of all its bytes, where a link to other, equal bytes will stand for it; else empty.
        distance: between both, in bits.
    """

    names: tuple[str, ...]
    file: FileId
    digest: str
    kept: str
    kept_file: FileId
    sha256: str
    distance: int


class Checks:
    """Looks at files of a plan, one after the other; remembers which are kept.

    Args:
        library: that the plan is from.
        plan: what is wanted.
        how: what will be done.
        threshold: for the verdict.
    """

    def __init__(self, library: Library, plan: Plan, how: How, threshold: Threshold) -> None:
        self._library, self._how, self._threshold = library, how, threshold
        self._where = Places(library.roles)
        self._keeps = {kept.path for group in plan.groups for kept in group.kept}
        # also what another group keeps, under whatever name: then this would take that group's survivor
        self._inodes = inodes(kept for group in plan.groups for kept in group.kept)
        self._gone: set[str] = set()

    def ready(self, group: PlannedGroup, removal: Named) -> Ready:
        """What may be done with a file of the plan.

        Raises:
            RefusedError: nothing; the message says why.
            OSError: it cannot be looked at.
        """
        entry, status = self._entry(removal)
        names = self._names(removal, status)
        file = FileId.of(status)
        for name in names:
            if folder := self._where.reference(name):
                raise _refused(name, f"lies in the reference folder {printable(folder)}")
            if name in self._gone:
                raise _refused(name, "comes twice in the plan")
        kept, kept_entry, distance = self._survivor(group, entry, status)
        sha256 = self._bytes(entry.path, kept_entry.path, status, kept)
        self._gone.update(names)
        self._inodes[kept.st_dev, kept.st_ino] = kept_entry.path
        digest = entry.digest.hex()
        return Ready(names, file, digest, kept_entry.path, FileId.of(kept), sha256, distance)

    def _entry(self, named: Named) -> tuple[Entry, os.stat_result]:
        """The entry of a file that is as it was encoded, and its status. Raises RefusedError."""
        entry = self._library.get(named.path)
        if entry is None:
            raise _refused(named.path, "is not in the library; add it, and make a new plan")
        if named.size is not None and named.size != entry.size:
            raise _refused(
                named.path, f"has {entry.size} bytes, not the {named.size} of the plan; make a new plan"
            )
        try:
            status = os.lstat(named.path)
        except OSError as error:
            raise _refused(named.path, f"{error.strerror}; make a new plan") from error
        if stat.S_ISLNK(status.st_mode):
            raise _refused(named.path, "is a symbolic link; what it leads to is the file")
        wrong = self._library.look(entry)
        if wrong is not None:
            raise _refused(named.path, wrong.message)
        return entry, status

    def _names(self, removal: Named, status: os.stat_result) -> tuple[str, ...]:
        """All names of a file, which must all be in the plan: with one of them left, nothing is free."""
        if (status.st_dev, status.st_ino) in self._inodes or removal.path in self._keeps:
            kept = self._inodes.get((status.st_dev, status.st_ino), removal.path)
            raise _refused(removal.path, f"is {printable(kept)}, which this plan keeps")
        names = {os.path.realpath(removal.path): removal.path}
        for name in removal.names:
            try:
                other = os.lstat(name)
            except OSError as error:
                raise _refused(name, f"{error.strerror}; make a new plan") from error
            if not os.path.samestat(status, other) or self._library.get(name) is None:
                raise _refused(name, f"is no other name of {printable(removal.path)} in the library any more")
            names.setdefault(os.path.realpath(name), name)
        if status.st_nlink != len(names):
            raise _refused(
                removal.path,
                f"has {status.st_nlink} names (hard links), and the plan {len(names)}; all go, or none",
            )
        return tuple(names.values())

    def _survivor(
        self, group: PlannedGroup, entry: Entry, status: os.stat_result
    ) -> tuple[os.stat_result, Entry, int]:
        """The file that is kept instead: there, whole, readable, another file, and a copy by the verdict."""
        said = []
        for named in group.kept:
            try:
                kept, there = self._entry(named)
            except RefusedError as error:
                said.append(f"what is to be kept: {error}")
                continue
            if os.path.samestat(there, status):
                said.append(f"it and {printable(named.path)} are one file")
                continue
            if in_trash(kept.path):
                said.append(
                    f"{printable(kept.path)} is in the trash; bring it back, or remove it from the library"
                )
                continue
            asked = self._threshold
            decision = self._library.decide(
                entry, kept, fmr=asked.fmr, radius=asked.radius, calibration=asked.calibration
            )
            if decision.same:
                return there, kept, decision.distance
            said.append(
                f"it is no copy of {printable(named.path)} by the library's verdict ({decision.distance} "
                "bits apart); give the --fmr, --radius or --calibration that the plan was made with"
            )
        raise _refused(entry.path, "; ".join(said) or f"nothing is kept of group {group.name} of the plan")

    def _bytes(self, path: str, kept: str, status: os.stat_result, there: os.stat_result) -> str:
        """The SHA-256 of both files where a link is to stand for one; empty where they differ, and may."""
        if self._how.action not in ("hardlink", "symlink"):
            return ""
        if self._how.action == "hardlink" and status.st_dev != there.st_dev:
            raise _refused(
                path, f"lies on another file system than {printable(kept)}, so no hard link can be"
            )
        same = same_bytes(path, kept) if status.st_size == there.st_size else ""
        if same and same_attributes(path, kept):
            return same
        if not self._how.different:
            what = "what is attached to them differs" if same else "the contents differ"
            raise _refused(
                path,
                f"{what}: a link to {printable(kept)} is no substitute byte for byte; with --different it is "
                "made, and the file itself goes to the trash",
            )
        return ""


def _refused(path: str, reason: str) -> RefusedError:
    return RefusedError(f"{printable(path)}: {reason}")


def targets(how: How, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(name, where it is moved to or nothing) of each name. Raises RefusedError: something is there."""
    for name in names:
        if how.action != "move":
            yield name, ""
            continue
        target = os.path.join(how.destination, name.lstrip(os.sep))
        if os.path.lexists(target):
            raise _refused(name, f"{printable(target)} is there already; nothing is ever replaced")
        yield name, target
