"""What all commands share: where text goes, how JSON looks, how file names are shown, exit codes."""

from __future__ import annotations

import contextlib
import enum
import json
import math
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

import typer

from ..errors import VhashError
from ..names import path_entry as path_entry  # commands take all that they print with from here
from ..names import path_from_entry as path_from_entry
from ..names import printable as printable
from ..names import safe as safe
from ..report.wording import counted as counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SCHEMA = 1
"""Version of the JSON documents; ``schema.json`` beside this file describes them."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Model = Annotated[
    str, typer.Option("--model", "-m", help="Alias or name (see `vhash models`), a .onnx file or a folder.")
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Overwrite a file that vhash did not write; never a video or an input."),
]
Precision = Literal["auto", "int8", "fp16", "fp32"]
PrecisionOption = Annotated[Precision, typer.Option(help="What to compute in; auto: int8 on a CPU.")]


class Step(Protocol):
    """Tells a progress bar how many are done, and what is being done now."""

    def __call__(self, done: int = 1, current: str = "") -> None:
        """Move on by ``done``."""


class ExitCode(enum.IntEnum):
    """How a command ends. 130 and 141 stand for Ctrl-C and a closed pipe, as everywhere."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NOTHING_DONE = 3

    @classmethod
    def of(cls, done: int, failed: int) -> ExitCode:
        """By how many inputs were done and how many failed.

        >>> ExitCode.of(5, 0).value, ExitCode.of(4, 1).value, ExitCode.of(0, 1).value
        (0, 1, 3)
        """
        if not done:
            return cls.NOTHING_DONE
        return cls.SOME_FAILED if failed else cls.DONE


class Output(contextlib.AbstractContextManager["Output"]):
    """One run of a command, as a context manager: what it prints and how it ends.

    In text mode ``line`` and ``table`` print at once; with ``json=True`` they do nothing and
    ``document`` prints the one JSON document. A ``VhashError`` or ``OSError`` that leaves the block is
    reported (text on standard error, or a JSON document with ``error``) and ends the program with 3.

    >>> with Output("models", json=True) as out:
    ...     out.document(models=[])
    {
      "schema": 1,
      "command": "models",
      "models": []
    }
    """

    def __init__(self, command: str, *, json: bool = False) -> None:
        self.command = command
        self.json = json
        self._screen: Console | None = None  # set while a progress bar is on it

    def line(self, text: str | None = "") -> None:
        """Print one line of results; None prints nothing. What would act on a terminal is escaped."""
        if self.json or text is None:
            return
        text = safe(text)
        if self._screen is not None and sys.stdout.isatty():
            self._screen.out(text, highlight=False)  # above the bar; both are one terminal
        else:
            print(text)

    def note(self, text: str) -> None:
        """Print a remark on standard error; nothing with JSON, whose document says it."""
        if self.json:
            return
        if self._screen is not None:
            self._screen.out(safe(text), highlight=False)
        else:
            print(safe(text), file=sys.stderr)

    def problem(self, error: Exception) -> None:
        """Report an input that failed."""
        self.note(f"vhash: {error_text(error)}")

    def table(self, table: Table) -> None:
        """Print a table; one that goes to a file or a pipe is never cut to a terminal's width."""
        if not self.json:
            from rich.console import Console
            from rich.segment import Segment, Segments

            console = Console(file=sys.stdout)
            terminal = console.is_terminal
            if not terminal:
                console.width = 4096
            # escaped when it is drawn, so that no cell, title or footer is forgotten
            drawn = Segments(Segment(safe(each.text), each.style) for each in console.render(table))
            if terminal:
                console.print(drawn, end="")
                return
            with console.capture() as captured:
                console.print(drawn, end="")
            print("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def document(self, **content: Any) -> None:
        """Print the JSON document of this command."""
        if self.json:
            print(to_json({"schema": SCHEMA, "command": self.command, **content}))

    def end(self, code: ExitCode) -> None:
        """Leave with an exit code; returns for DONE."""
        if code:
            raise typer.Exit(int(code))

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Step]:
        """A progress bar on standard error while the block runs, if that is a terminal.

        Gives a function to call after each step: how many are done (1), and what is being done now.
        """
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_terminal or total == 0:
            yield lambda done=1, current="": None
            return
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as TimeRemaining

        columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns += [TextColumn("{task.fields[rate]}"), TimeRemaining(), TextColumn("{task.fields[current]}")]
        # rich would send whatever is printed meanwhile to standard error, even into a file
        bar = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        with bar:
            task = bar.add_task(escape(safe(what)), total=total, rate="", current="")
            self._screen = console

            room = max(20, min(60, console.width - 45))  # the end of a path, where its name is

            def step(done: int = 1, current: str = "") -> None:
                speed = bar.tasks[0].speed
                rate = "" if speed is None else f"{speed:.1f}/s"
                bar.update(task, advance=done, rate=rate, current=escape(printable(current)[-room:]))

            try:
                yield step
            finally:
                self._screen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            print("vhash: interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(141) from None
        if isinstance(error, (VhashError, OSError)):
            if self.json:
                self.document(error=error_entry(error))
            else:
                self.problem(error)
            raise typer.Exit(int(ExitCode.NOTHING_DONE)) from None


def to_json(document: Any) -> str:
    """JSON as every command prints it: indented, ASCII, no NaN.

    >>> print(to_json({"name": "café"}))
    {
      "name": "caf\\u00e9"
    }
    """
    text = json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f")  # the one control character that is ASCII, and not escaped by json


def number(value: float, digits: int = 4) -> float | None:
    """A float for JSON, rounded; None where it is unknown (NaN has no JSON form).

    >>> number(0.123456), number(float("nan"))
    (0.1235, None)
    """
    return round(float(value), digits) if math.isfinite(value) else None


def error_entry(error: BaseException) -> dict[str, str]:
    """An error for JSON."""
    return {"type": type(error).__name__, "message": safe(error_text(error))}


def error_text(error: BaseException) -> str:
    """What an error says; the system's own begin with the file, as ours do.

    >>> error_text(FileNotFoundError(2, "No such file or directory", "pairs.csv"))
    'pairs.csv: No such file or directory'
    """
    if isinstance(error, OSError) and not isinstance(error, VhashError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
