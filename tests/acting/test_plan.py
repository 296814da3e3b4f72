"""Plans as people bring them back: both forms say the same, and what cannot be understood is an error."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhash_sdk.acting import read_plan
from vhash_sdk.errors import PlanError
from vhash_sdk.names import csv_line, from_printable, from_shell_quoted, printable, shell_quoted
from vhash_sdk.report.plan import SCRIPT

HEAD = "group,action,bytes,path,library"
SHELL = f"#!/bin/bash\n# library: /lib\n{SCRIPT.strip()}\n"

paths = st.binary(min_size=1, max_size=20).filter(lambda b: b"\0" not in b).map(os.fsdecode)


@given(paths | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10))
def test_names_come_back_as_they_were(path: str) -> None:
    assert from_printable(printable(path)) == path
    (row,) = csv.reader([csv_line([printable(path), 1])])
    assert from_printable(row[0]) == path
    assert from_shell_quoted(f"{shell_quoted(path)} 7  # {printable(path)}")[0] == path


def plan(folder: Path, text: str | bytes) -> Path:
    file = folder / "plan"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_both_forms(tmp_path: Path) -> None:
    strange = os.fsdecode(b"/v/b'\n\xff =1.mp4")
    rows = [
        [1, "keep", 10, "/v/a", "/lib"], [1, "duplicate", 20, printable(strange), "/lib"],
        [1, "same file", "", "/v/b2", "/lib"], [1, "look", 5, "/v/l", "/lib"],
        [1, "same file", "", "/v/l2", "/lib"], [2, "keep", 10, "/v/c", "/lib"],
        ["", "left out", "", "/v/x", "/lib"],
    ]  # fmt: skip
    text = "\n".join([HEAD, *map(csv_line, rows)])
    found = read_plan(plan(tmp_path, "\ufeff" + text))
    (group,) = found.groups
    assert found.library == "/lib" and [kept.path for kept in group.kept] == ["/v/a"]
    ((removal),) = group.removals
    assert (removal.path, removal.size, removal.names) == (strange, 20, ("/v/b2",))
    script = (
        f"{SHELL}# group 1: x\nkeep /v/a 10\nremove {shell_quoted(strange)} 20  # 3 bits\n"
        "remove '/v/b2' 20  # the same file by another name: all of them, or none\n# remove /v/c 3\n"
    )
    again = read_plan(plan(tmp_path, script))
    assert again.groups == found.groups and again.library == "/lib" and again.offered == 1


def test_a_group_is_what_a_line_keeps(tmp_path: Path) -> None:
    found = read_plan(plan(tmp_path, f"{SHELL}keep /v/a 1\nremove /v/b 1\nkeep /v/c 1\nremove /v/d 1\n"))
    assert [([k.path for k in g.kept], [r.path for r in g.removals]) for g in found.groups] == [
        (["/v/a"], ["/v/b"]),
        (["/v/c"], ["/v/d"]),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column group, action"),
        (HEAD.replace(",", ";"), "no column"),
        (f"{HEAD}\n1,delete,1,/v/a,/lib", "line 2: the action 'delete'; allowed: 'keep'"),
        (f"{HEAD}\n1,duplicate,1,v/a,/lib", "no absolute path"),
        (f"{HEAD}\n1,duplicate,1,/v/../etc/passwd,/lib", "no absolute path"),
        (f"{HEAD}\n1,duplicate,1,//v/a,/lib", "no absolute path"),
        (f"{HEAD}\n1,duplicate,1,/v/a\\x00,/lib", "no absolute path"),
        (f"{HEAD}\n1,duplicate,1,/v/\\q,/lib", "is no escape"),
        (f"{HEAD}\n1,duplicate,-1,/v/a,/lib", "'-1' bytes"),
        (f"{HEAD}\n1,keep,1,/v/a,/lib\n1,keep,1,/v/b,/other", "another library"),
        (f"{HEAD}\n1,duplicate,1,/v/a,/lib\n1,duplicate,1,/v/a,/lib", "comes twice"),
        (f'{HEAD}\n1,duplicate,1,"/v/a,/lib', "no plan that can be followed"),
        (b"\xff\xfe", "no plan that can be followed"),
        (f"{SHELL}remove /v/a 1\n", "no line before it keeps"),
        (f"{SHELL}keep /v/a 1\nrm -rf /\n", "'rm -rf /' is no line of a plan"),
        (f"{SHELL}keep /v/a 1\nremove $(touch x) 1\n", "no quoted word"),
        (f"{SHELL}keep /v/a 1\nremove /v/b 1; touch x\n", "its bytes, and nothing else"),
        (f"{SHELL}keep /v/a 1\nremove /v/b\n", "its bytes, and nothing else"),
        (f"{SHELL}keep /v/a 1\nremove /v/* 1\n", "no quoted word"),
    ],
)
def test_what_cannot_be_understood(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(PlanError, match="no plan that can be followed") as error:
        read_plan(plan(tmp_path, text))
    assert says in str(error.value)
