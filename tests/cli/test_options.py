"""Options as fields of a dataclass: Typer sees what it would see of a function with as many parameters."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vhash_sdk.cli.options import takes

Loud = Annotated[bool, typer.Option("--loud/--quiet", help="Shout.")]


@dataclass(frozen=True)
class Options:
    """What the commands below take."""

    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Whom to greet.")]
    times: Annotated[int, typer.Option("--times", "-n", min=1, max=9, help="How often.")] = 2
    word: Annotated[str | None, typer.Option(help="Instead of hello.")] = None
    loud: Loud = False


@takes(Options)
def greet(given: Options) -> None:
    """Greet people."""
    said = " ".join([given.word or "hello"] * given.times + given.names)
    print(said.upper() if given.loud else said)


def written_out(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Whom to greet.")],
    *,
    times: Annotated[int, typer.Option("--times", "-n", min=1, max=9, help="How often.")] = 2,
    word: Annotated[str | None, typer.Option(help="Instead of hello.")] = None,
    loud: Loud = False,
) -> None:
    """Greet people."""
    greet(names=names, times=times, word=word, loud=loud)


written_out.__name__ = "greet"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["a", "b"],
        ["a", "-n", "3", "--word", "ho", "--loud"],
        [],
        ["a", "-n", "0"],
        ["a", "--times", "many"],
        ["a", "--unknown"],
    ],
)
def test_a_command_looks_and_acts_as_if_its_options_were_parameters(words: list[str]) -> None:
    said = []
    for command in (greet, written_out):
        app = typer.Typer()
        app.command()(command)
        result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
        said.append((result.exit_code, result.stdout, result.stderr))
    assert said[0] == said[1]
    assert ("HO HO HO A" in said[0][1]) == ("--loud" in words)


def test_the_function_is_named_and_explained_like_the_command() -> None:
    assert (greet.__name__, greet.__doc__, greet.__module__) == ("greet", "Greet people.", __name__)
    assert list(inspect.signature(greet).parameters) == ["names", "times", "word", "loud"]
    assert inspect.signature(greet).parameters["names"].default is inspect.Parameter.empty
    with pytest.raises(TypeError, match="names"):
        greet(times=1)


def test_a_default_that_typer_would_not_see_is_refused() -> None:
    @dataclass(frozen=True)
    class Hidden:
        names: list[str] = field(default_factory=list)

    with pytest.raises(TypeError, match=r"Hidden\.names: give a plain default"):
        takes(Hidden)


def test_the_command_line_starts_without_decoder_and_network() -> None:
    code = (
        "import sys, vhash_sdk.cli.app; print(*sorted({'av', 'onnxruntime', 'sqlite3'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
