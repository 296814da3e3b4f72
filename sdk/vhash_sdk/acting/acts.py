"""The acts themselves, one name of one file at a time, and how each is taken back.

Each act is a row of changes that a crash may end anywhere, and after each of them the file has a name that
the journal tells: its own, one in the trash, its target, or one beside it. Nothing is ever replaced: a name
is taken only where nothing has it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat

from ..errors import RefusedError
from ..names import printable
from ..system.files import rename_new, sync_folder
from .moving import copy_bytes, discard, is_link_to, relocate, same_bytes
from .steps import FileId, Step
from .trash import find, is_content, remove_info, remove_strays, send


def perform(step: Step) -> dict[str, str]:
    """Do what a step says; what the journal has to keep of it.

    Raises:
        RefusedError: something is not as it was a moment ago; the file is where it was.
        OSError: it cannot be done; the file is where it was, or ``settled`` says where.
    """
    if step.action == "move":
        os.makedirs(os.path.dirname(step.target), exist_ok=True)
        relocate(step.path, step.target, step.beside(step.target, "part"), step.file)
        found = {}
        if not _is(step, step.target):
            rename_new(step.target, step.path)
            raise _changed(step)
    elif step.to_trash:
        trashed, info = send(step.path, step.file, step.digest)
        found = {"trashed": trashed, "info": info}
        if not _is(step, trashed):
            rename_new(trashed, step.path)
            remove_info(info)
            raise _changed(step)
        if step.action != "trash":
            try:
                _link(step)
            except OSError:
                take_back(step, trashed, info)
                raise
    else:
        found = {}
        _stand_in(step)
    if not step.kept_file.is_at(step.kept):  # gone, or another file, in this very moment
        undo_step(step, **found)
        raise RefusedError(
            f"{printable(step.path)}: is back, for {printable(step.kept)}, which is kept, changed meanwhile"
        )
    return found


def _is(step: Step, path: str) -> bool:
    """Whether the file of a step has a name now, by its identity or, where it was copied, by its content."""
    return step.file.is_at(path) or is_content(path, step.file.size, step.digest)


def _changed(step: Step) -> RefusedError:
    return RefusedError(f"{printable(step.path)}: was replaced in this very moment; left as it is")


def _link(step: Step) -> None:
    """Give the name of a file that has gone to a link."""
    if step.action == "hardlink":
        os.link(step.kept, step.path, follow_symlinks=False)
    else:
        os.symlink(step.kept, step.path)
    sync_folder(os.path.dirname(step.path))


def _stand_in(step: Step) -> None:
    """Put a link to equal bytes in the place of a file, which is set aside until the link is there."""
    aside = step.beside(step.path, "aside")
    rename_new(step.path, aside)
    try:
        if not step.file.is_at(aside):
            raise _changed(step)
        _link(step)
        if not _is_our_link(step) or not step.kept_file.is_at(step.kept):
            raise RefusedError(
                f"{printable(step.path)}: {printable(step.kept)} changed meanwhile; left as it is"
            )
    except OSError:
        if _is_our_link(step):
            os.unlink(step.path)
        rename_new(aside, step.path)
        raise
    os.unlink(aside)
    sync_folder(os.path.dirname(step.path))


def _is_our_link(step: Step) -> bool:
    """Whether the link that a step made has its name, and is not the last name of the file that is kept."""
    if step.action == "symlink":
        return is_link_to(step.path, step.kept)
    if step.action != "hardlink":
        return False
    try:
        here, kept = os.lstat(step.path), os.lstat(step.kept)
    except OSError:
        return False
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, kept) and here.st_ino == step.kept_file.inode


def in_place(step: Step) -> bool:
    """Whether the file of a step has its own name, and nothing of the step is left to take back."""
    return (
        not _is_our_link(step)
        and is_content(step.path, step.file.size, step.digest)
        and not os.path.lexists(step.beside(step.path, "aside"))
    )


def undo_step(step: Step, *, trashed: str = "", info: str = "") -> None:
    """Bring the file of a step back to its name, from wherever a crash or the end of the step has left it.

    Raises:
        RefusedError: something else has its name, or it is not to be found as it was; nothing is changed.
        OSError: it cannot be moved.
    """
    os.makedirs(os.path.dirname(step.path), exist_ok=True)
    if step.action == "move":
        _move_back(step)
    elif step.to_trash:
        take_back(step, trashed or step.trashed, info or step.info)
    else:
        _stand_back(step)
    sync_folder(os.path.dirname(step.path))


def _move_back(step: Step) -> None:
    part = step.beside(step.target, "part")
    there = is_content(step.target, step.file.size, step.digest)
    if in_place(step):
        discard(part)
        # a move between file systems came as far as its copy; of large files digests only are of samples
        if there and _are_two(step.path, step.target) and same_bytes(step.path, step.target):
            os.unlink(step.target)
    elif os.path.lexists(step.path):
        raise _taken(step, step.target)
    elif not there:
        raise RefusedError(
            f"{printable(step.path)}: {printable(step.target)} is gone, or not what was moved there"
        )
    else:
        _return(step, step.target)
    _prune(step)


def _are_two(a: str, b: str) -> bool:
    """Whether two names are two entries of folders, so that one can go without the other."""
    if os.path.realpath(a) == os.path.realpath(b):  # a link to a folder on the way
        return False
    first, second = os.lstat(a), os.lstat(b)
    return not os.path.samestat(first, second) or first.st_nlink > 1  # else a folder is mounted twice


def _prune(step: Step) -> None:
    """Remove the folders that were made for a target, where they are empty."""
    folder, own = os.path.dirname(step.target), os.path.dirname(step.path)
    while own != os.path.dirname(own) and folder.endswith(own):
        try:
            os.rmdir(folder)
        except OSError:  # not empty: others use it
            return
        folder, own = os.path.dirname(folder), os.path.dirname(own)


def take_back(step: Step, trashed: str, info: str) -> None:
    """Bring a file back from the trash; a link that has its name goes first, once the file is found.

    Raises:
        RefusedError: it is not in the trash any more, or something else has its name.
        OSError: it cannot be moved.
    """
    if in_place(step):
        remove_strays(step.path)
        return
    if not (trashed and is_content(trashed, step.file.size, step.digest)):
        trashed, info = find(step.path, step.file, step.digest) or ("", "")
    if not trashed:
        raise RefusedError(f"{printable(step.path)}: is not in the trash any more, or not as it was")
    if _is_our_link(step):
        os.unlink(step.path)
    elif os.path.lexists(step.path):
        raise _taken(step, trashed)
    _return(step, trashed)
    remove_info(info)


def _return(step: Step, place: str) -> None:
    try:
        relocate(place, step.path, step.beside(step.path, "part"), FileId.of(os.lstat(place)))
    except FileExistsError as error:
        raise _taken(step, place) from error


def _stand_back(step: Step) -> None:
    """Put the file itself, or a copy that holds the same bytes, in the place of a link."""
    aside, old, part = (step.beside(step.path, kind) for kind in ("aside", "old", "part"))
    if os.path.lexists(aside):  # interrupted: the file itself is still there
        if _is_our_link(step):
            os.unlink(step.path)
        if os.path.lexists(step.path):
            raise _taken(step, aside)
        rename_new(aside, step.path)
        return
    if os.path.lexists(old):  # this undoing was interrupted
        if not os.path.lexists(step.path):
            rename_new(old, step.path)
        elif os.path.islink(old) or os.lstat(old).st_nlink > 1 or same_bytes(step.path, old):
            os.unlink(old)  # a link, a second name of the file that is kept, or the same once more
        else:
            raise _taken(step, old)
    discard(part)
    if in_place(step):
        return
    linked = _is_our_link(step)
    if os.path.lexists(step.path) and not linked:
        raise _taken(step, step.kept)
    source = step.path if linked and step.action == "hardlink" else step.kept
    if not is_content(source, step.file.size, step.digest):
        raise RefusedError(
            f"{printable(step.path)}: cannot be made again of {printable(source)}, which does not hold the "
            "same bytes any more"
        )
    _copy_in(step, source, old, part, linked=linked)


def _copy_in(step: Step, source: str, old: str, part: str, *, linked: bool) -> None:
    try:
        if copy_bytes(source, part) != step.sha256:
            raise RefusedError(
                f"{printable(step.path)}: {printable(source)} does not hold the same bytes any more"
            )
        with contextlib.suppress(OSError):  # what people have attached to it, as far as it can be had
            shutil.copystat(source, part)
        with contextlib.suppress(OSError):  # only an administrator gives files to others
            os.chown(part, step.file.user, step.file.group)
        os.chmod(part, step.file.mode)
        os.utime(part, ns=(step.file.modified_ns, step.file.modified_ns))
        if linked:
            rename_new(step.path, old)
        try:
            rename_new(part, step.path)
        except OSError:
            if linked:
                rename_new(old, step.path)
            raise
    except BaseException:
        discard(part)
        raise
    if linked:
        os.unlink(old)


def _taken(step: Step, place: str) -> RefusedError:
    return RefusedError(
        f"{printable(step.path)}: something else has its name now, and is not replaced; what was there is at "
        f"{printable(place)}"
    )
