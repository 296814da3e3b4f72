"""Files are written whole or not at all, and some for the eyes of this user only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vhash_sdk.system.files import write_private, write_text, write_whole


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    write_text(file, "first")
    file.chmod(0o640)
    link.symlink_to(file)
    with pytest.raises(ZeroDivisionError), write_whole(link) as stream:
        stream.write(b"half")
        1 / 0  # noqa: B018
    assert file.read_text() == "first"
    write_text(link, "second")
    assert link.is_symlink() and file.read_text() == "second" and file.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError):
        write_text(tmp_path / "absent" / "file", "")
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_private_file_takes_the_place_of_whatever_has_its_name(tmp_path: Path) -> None:
    theirs, link, pipe = tmp_path / "theirs", tmp_path / "link", tmp_path / "pipe"
    theirs.write_text("theirs")
    link.symlink_to(theirs)
    os.mkfifo(pipe)
    for name in (link, pipe, tmp_path / "new"):
        write_private(name, b"mine")
        assert not name.is_symlink() and name.is_file() and name.read_bytes() == b"mine"
        assert name.stat().st_mode & 0o777 == 0o600
    assert theirs.read_text() == "theirs"
    link.chmod(0o644)
    write_private(link, b"again")
    assert link.stat().st_mode & 0o777 == 0o600


def test_a_link_is_replaced_where_it_is_not_to_be_followed(tmp_path: Path) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "link"
    theirs.write_text("theirs")
    link.symlink_to(theirs)
    with write_whole(link, follow=False) as stream:
        stream.write(b"mine")
    assert theirs.read_text() == "theirs" and link.read_bytes() == b"mine" and not link.is_symlink()
    umask = os.umask(0)
    os.umask(umask)
    assert link.stat().st_mode & 0o777 == 0o666 & ~umask
