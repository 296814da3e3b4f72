"""Folders with roles: references are safe, some pairs nobody asks about, and all of it is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import run, run_json
from tests.fake_encoder import FakeEncoder
from tests.library.test_duplicates import library, names, write
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.errors import OptionError, StoreError
from vhash_sdk.library.roles import FILE, Places, Roles

__all__ = ["library"]


def test_what_is_a_role() -> None:
    roles = Roles(("/a/", "/a"), ("b",)).with_more(references=["/c"], across_only=True)
    assert roles.references == ("/a", "/c") and roles.ignored_within == (os.path.abspath("b"),)
    assert roles.any and not Roles().any and roles.with_more().across_only
    assert roles.without(["/a"]).references == ("/c",)
    with pytest.raises(OptionError, match="/x: has no role"):
        roles.without(["/x"])
    for bad in ({"references": "/a"}, {"references": [""]}, {"across_only": 1}):
        with pytest.raises(OptionError):
            Roles(**bad)  # type: ignore[arg-type]


def test_where_a_file_lies(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    for given, asked in ((real, link), (link, real)):
        assert Places(Roles((str(given),))).reference(str(asked / "x")) == str(given)
    assert not Places(Roles((str(real),))).reference(str(tmp_path / "realm" / "x"))
    assert Places(Roles((str(real / "x"),))).reference(str(link / "x"))  # one file
    across = Places(Roles(across_only=True))
    assert across.ignored(str(real / "x"), str(link / "y")) and not across.ignored("/a/x", "/a/b/x")
    within = Places(Roles(ignored_within=("/a", "/b")))
    assert within.ignored("/a/x", "/a/c/y") and not within.ignored("/a/x", "/b/x")
    assert Places(Roles(ignored_within=("/",))).ignored("/a", "/b/c")


def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Copies in two folders: a long and a short one here, two short ones there."""
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, "long", 0, 20)
    write(here, "short", 1, 10)
    write(there, "one", 2, 10)
    write(there, "two", 3, 10)
    return here, there


def test_references_are_kept_and_never_offered(library: Library, tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    library.add([here, there])
    library.set_roles(Roles((str(there),)))
    (group,) = library.duplicates(radius=4)
    assert names([group]) == [("one", [("long", 1), ("two", 1), ("short", 2)])]
    offered = {Path(m.entry.path).name: m.not_offered for m in group.members}
    assert offered == {"long": "", "short": "", "two": f"it lies in the reference folder {there}"}
    assert group.bytes == sum((here / name).stat().st_size for name in ("long", "short"))
    assert group.members[0].kept_because.startswith("reference: ")
    (group,) = library.duplicates(radius=4, keep="longest, reference")  # kept all the same, both of them
    assert Path(group.representative.path).name == "long"
    assert [Path(m.entry.path).name for m in group.members if not m.not_offered] == ["short"]
    (group,) = library.duplicates(radius=4, roles=Roles())
    assert all(not member.not_offered for member in group.members)


def test_another_name_in_a_reference_protects_a_file(library: Library, tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    (there / "linked").hardlink_to(here / "short")
    library.add([here, there])
    (group,) = library.duplicates(radius=4, roles=Roles((str(there),)), keep="longest, reference")
    said = {Path(m.entry.path).name: m.not_offered for m in group.members}
    assert "reference folder" in said["short"]


def test_pairs_that_nobody_asks_about(library: Library, tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    library.add([here, there])
    across = library.duplicates(radius=4, roles=Roles(across_only=True))
    assert names(across) == [("long", [("one", 1), ("two", 2)])]
    within = library.duplicates(radius=4, roles=Roles(ignored_within=(str(there),)))
    assert names(within) == [("long", [("short", 1), ("one", 1), ("two", 2)])]
    both = Roles(ignored_within=(str(here), str(there)))
    assert names(library.duplicates(radius=4, roles=both)) == [("long", [("one", 1), ("two", 2)])]
    assert library.duplicates(radius=4, roles=Roles(ignored_within=(str(tmp_path),))) == []


def test_roles_are_kept_or_an_error(library: Library, tmp_path: Path) -> None:
    assert library.roles == Roles()
    strange = os.fsdecode(b"/v/\xff\n")
    roles = Roles((strange,), ("/w",), across_only=True)
    library.set_roles(roles)
    with Library(library.directory, encoder=FakeEncoder(), create=False) as again:  # type: ignore[arg-type]
        assert again.roles == roles
    file = library.directory / FILE
    good = json.loads(file.read_text())
    bad: Any
    for bad in ("", "[]", {**good, "schema": 2}, {**good, "references": ["x"]}, {**good, "across_only": 1}):
        file.write_text(bad if isinstance(bad, str) else json.dumps(bad))
        with pytest.raises(StoreError, match="no roles that can be understood"):
            library.duplicates(radius=2)
    file.write_text(json.dumps({**good, "references": [{"path": "relative"}]}))
    with pytest.raises(StoreError):
        _ = library.roles


@pytest.mark.usefixtures("remembered")
def test_the_command_line_keeps_and_changes_them(tmp_path: Path) -> None:
    here, there, lib = (tmp_path / name for name in ("here", "there", "lib"))
    for folder in (here, there):
        folder.mkdir()
        shutil.copy(SAMPLES / "chair.mp4", folder)
    run("add", lib, here, there)
    document = run_json("dedup", lib, "--reference", there, "--across-only")
    assert document["groups"][0]["representative"] == str(there / "chair.mp4")
    assert document["roles"] == {
        "references": [{"path": str(there)}], "ignored_within": [], "across_only": True, "kept": True,
    }  # fmt: skip
    assert run_json("dedup", lib)["roles"] == document["roles"]
    assert f"roles: reference {there}; only pairs across folders" in run("dedup", lib).stderr
    assert run("roles", lib).stdout == f"reference {there}\nonly pairs across folders\n"
    changed = run_json("roles", lib, "--remove", there, "--no-across-only", "--ignore-within", here)["roles"]
    assert changed == {"references": [], "ignored_within": [{"path": str(here)}], "across_only": False}
    assert "no such folder" in run("dedup", lib, "--reference", tmp_path / "misspelt", code=3).stderr
    assert "has no role here" in run("roles", lib, "--remove", there, code=3).stderr
    (lib / FILE).write_text("damaged")
    assert "no roles that can be understood" in run("roles", lib, code=3).stderr
    assert run("roles", lib, "--clear").stdout == "no folder has a role\n"
