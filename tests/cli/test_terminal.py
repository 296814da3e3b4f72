"""Nothing that others wrote acts on a terminal or in a spreadsheet, whoever prints it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from tests.cli.test_cli import run
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.output import Output
from vhash_sdk.names import csv_line, printable

pytestmark = pytest.mark.usefixtures("remembered")

CONTROL = [chr(code) for code in (*range(32), *range(127, 160)) if code != 10]
HOSTILE = "".join(CONTROL) + "\u202e\u2066\u200b\u2028\ufeff\udcff"


def raw(text: str) -> list[str]:
    return [c for c in text if c in HOSTILE]


def test_output_itself_is_safe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(f"head {HOSTILE}", footer=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(f"é {HOSTILE}"))
    for terminal in (False, True):
        monkeypatch.setenv("COLUMNS", "4000")
        with Output("list") as out:
            if terminal:
                monkeypatch.setenv("NO_COLOR", "1")
                monkeypatch.setattr("sys.stdout.isatty", lambda: True)
            out.line(f"a{HOSTILE}")
            out.note(f"b{HOSTILE}")
            out.problem(ValueError(HOSTILE))
            out.table(table)
        said = capsys.readouterr()
        shown = said.out.replace("\x1b[1m", "").replace("\x1b[3m", "").replace("\x1b[2;3m", "")
        shown = shown.replace("\x1b[2m", "").replace("\x1b[0m", "")  # rich's own: bold, italics
        assert raw(shown) == [] and "é" in said.out and "\\x1b" in said.out
        assert raw(said.err) == [] and said.err.count("\\x1b") == 2
    with Output("list", json=True) as out:
        out.document(value=HOSTILE)
    document = capsys.readouterr().out
    assert raw(document) == [] and json.loads(document)["value"] == HOSTILE


PROGRAM = """
import sys
from vhash_sdk.cli.output import Output
with Output("add") as out, out.progress(sys.argv[1], 2) as step:
    step(1, sys.argv[1]); out.line(sys.argv[1]); out.note(sys.argv[1]); step(1, sys.argv[1])
"""


def test_a_progress_bar_shows_no_escapes() -> None:
    word = "[red]\x1b]0;taken over\x07\x9b2J"
    main, side = os.openpty()
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, word], stdout=side, stderr=side, stdin=side)
    os.close(side)
    shown = b""
    while True:
        try:
            block = os.read(main, 1 << 16)
        except OSError:  # the terminal's other end is closed
            break
        if not block:
            break
        shown += block
    os.close(main)
    assert child.wait() == 0
    assert b"taken over" in shown and b"\x1b]0" not in shown and b"\x07" not in shown
    assert "\x9b".encode() not in shown


ALL = """
import contextlib, json, sys
from vhash_sdk.cli import main
for words in json.loads(sys.argv[1]):
    print(words)
    sys.argv[1:] = words
    with contextlib.suppress(SystemExit):
        main()
"""
"""Many commands in one process; before what each says stands the command."""


def test_what_a_database_holds_is_never_shown_raw(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "chair.mp4", tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    run("add", tmp_path / "lib", tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "absent.mp4", code=1)
    evil = "\x1b]0;taken over\x07\x9b2J\x7f\u202e"
    with Library(tmp_path / "lib", create=False) as library:
        library._db.execute("UPDATE video SET width = ?, height = ?, codec = ?", (evil, evil, evil))
        library._db.execute("UPDATE failure SET kind = ?, message = ?", (evil, evil))
        library._db.execute("UPDATE library SET uuid = ?", (evil,))
    commands: list[tuple[object, ...]] = [
        ("list", tmp_path / "lib"),
        ("list", tmp_path / "lib", "--failed"),
        ("verify", tmp_path / "lib"),
        ("add", tmp_path / "lib", tmp_path / "a.mp4"),
        ("dedup", tmp_path / "lib", "--radius", "4"),
        ("search", tmp_path / "lib", tmp_path / "a.mp4"),
        ("remove", tmp_path / "lib", "--missing"),
    ]
    lines = [[str(word) for word in (*words, *more)] for words in commands for more in ((), ("--json",))]
    done = subprocess.run([sys.executable, "-c", ALL, json.dumps(lines)], capture_output=True, check=True)
    shown = done.stdout.decode() + done.stderr.decode()
    assert not set(evil) - set("]0;taken over2J") & set(shown), shown
    assert all(str(words) in shown for words in lines)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "a;=1+1", "\uff1d1"]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    for text in FORMULAS:
        ((cell,),) = csv.reader([csv_line([printable(text)])])
        assert cell[0] not in "=+-@\t\r\uff1d" and ";=" not in cell and "1" in cell
    assert csv_line([-1, 2.5, "a", "x-y=z, b"]) == '-1,2.5,a,"x-y=z, b"'


def test_csv_of_every_command_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=cmd|' C calc'!A0.mp4", "@good.mp4"):
        shutil.copy(SAMPLES / "chair.mp4", tmp_path / name)
    (tmp_path / "=bad.mp4").write_bytes(b"nothing")
    tables = [run("encode", "=cmd|' C calc'!A0.mp4", "@good.mp4", "=bad.mp4", "--csv", code=1).stdout]
    run("add", "lib", tmp_path, "--report", "report.csv", "--exclude", "lib")
    run("dedup", "lib", "--radius", "4", "--plan", "plan.csv")
    tables += [(tmp_path / name).read_text() for name in ("report.csv", "plan.csv")]
    tables.append(run("dedup", "lib", "--radius", "4", "--csv").stdout)
    for table in tables:
        rows = list(csv.reader(io.StringIO(table)))
        assert len(rows) > 1
        assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]
    assert r"\x3dbad.mp4" in tables[0]
