"""A step: one act on one name of a file, and all that tells afterwards whether it was done."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from ..names import path_entry, path_from_entry
from ..scan import modified_ns

Action = Literal["trash", "hardlink", "symlink", "move"]
ACTIONS: tuple[Action, ...] = get_args(Action)
State = Literal["begin", "done", "failed", "undoing", "undone"]


class FileId(NamedTuple):
    """What tells a file from any other, and what a copy of it has to be given."""

    device: int
    inode: int
    size: int
    modified_ns: int
    mode: int
    user: int
    group: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileId:
        """From what the system says of it."""
        mode = stat.S_IMODE(status.st_mode)
        owner = status.st_uid, status.st_gid
        return cls(status.st_dev, status.st_ino, status.st_size, modified_ns(status), mode, *owner)

    def is_at(self, path: str) -> bool:
        """Whether this very file, as it was, is what has a name (not what a link of that name leads to)."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(status.st_mode) and FileId.of(status)[:4] == self[:4]

    def is_inode_at(self, path: str) -> bool:
        """Whether the file is what has a name, whatever its size and time are now."""
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return False
        return (status.st_dev, status.st_ino) == self[:2]


@dataclass(frozen=True)
class Step:
    """One act on one name of a file.

    Attributes:
        number: from 1.
        run: of the journal; part of the names that are used in between.
        action: what is done.
        group: of the plan.
        path: the file that goes.
        file: what it is.
        digest: ``scan.content_digest`` of it, in hex.
        kept, kept_file: the file that is kept instead.
        target: where it is moved to.
        sha256: of all its bytes, in hex, where a link to other, equal bytes is put in its place; else empty.
        trashed, info: its name in the trash, and the file that says where it is from; empty until known.
        state: the last that the journal says.
        error: why it failed.
    """

    number: int
    run: str
    action: Action
    group: str
    path: str
    file: FileId
    digest: str
    kept: str
    kept_file: FileId
    target: str = ""
    sha256: str = ""
    trashed: str = ""
    info: str = ""
    state: State = "begin"
    error: str = ""

    def beside(self, path: str, kind: str) -> str:
        """A name in the folder of ``path`` that only this step uses."""
        return os.path.join(os.path.dirname(path), f".vhash-{self.run}-{self.number}.{kind}")

    @property
    def to_trash(self) -> bool:
        """Whether the file itself went to the trash, as asked or to make room for a link to other bytes."""
        return self.action == "trash" or (self.action in ("hardlink", "symlink") and not self.sha256)

    def record(self) -> dict[str, Any]:
        """As a line of the journal."""
        line: dict[str, Any] = {"step": self.number, "state": self.state, "action": self.action}
        line |= {"group": self.group, "path": path_entry(self.path), "file": _numbers(self.file)}
        line |= {"digest": self.digest, "kept": path_entry(self.kept)}
        line |= {"kept_file": _numbers(self.kept_file)}
        if self.target:
            line["target"] = path_entry(self.target)
        return {**line, "sha256": self.sha256} if self.sha256 else line

    @classmethod
    def read(cls, run: str, line: dict[str, Any]) -> Step:
        """From a line of the journal."""
        if line["action"] not in ACTIONS or line["step"] < 1:
            raise ValueError(f"step {line['step']!r}, action {line['action']!r}")
        path, kept = (path_from_entry(line[name]) for name in ("path", "kept"))
        target = path_from_entry(line["target"]) if "target" in line else ""
        for each in (path, kept, *filter(None, [target])):
            if os.path.abspath(each) != each or "\0" in each:
                raise ValueError(f"{each!r} is no absolute path")
        file, kept_file = (FileId(*map(int, line[name])) for name in ("file", "kept_file"))
        digest, sha256 = (bytes.fromhex(line.get(name, "")).hex() for name in ("digest", "sha256"))
        names = (line["step"], run, line["action"], line["group"])
        return cls(*names, path, file, digest, kept, kept_file, target, sha256)


def _numbers(file: FileId) -> list[str]:
    return [str(number) for number in file]  # an inode may have 64 bits without a sign, which JSON has not
