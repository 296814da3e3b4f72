"""Commands as a page shows them, held against the programs that they start, without running them."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import lru_cache

import pytest

from benchmarks.common import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OTHERS = {
    "apt", "cat", "cmake", "cp", "docker", "export", "find", "ls", "mkdir", "mypy", "pipx", "ruff",
    "threatexchange",
    "uvx",
}  # fmt: skip
"""Programs of others that pages may name: nothing here knows their options."""

_OPERATORS = {"&&", "||", "|", ";", "&"}
_ASSIGNED = re.compile(r"(\w+)=(.*)", re.DOTALL)


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell script, without redirections, documents and assignments."""
    text = re.sub(r"<<'(\w+)'(.*?)\n.*?\n\1\n", r"\2\n", text, flags=re.DOTALL).replace("\\\n", " ")
    known: dict[str, str] = {}
    for line in text.splitlines():
        words: list[str] = []
        for word in [*_words(line), ";"]:
            if word in _OPERATORS:
                while words and (assigned := _ASSIGNED.fullmatch(words[0])):
                    known[assigned[1]] = assigned[2]
                    words.pop(0)
                if words:
                    yield words
                words = []
            elif word.startswith("$") and word[1:] in known:
                words += shlex.split(known[word[1:]])
            else:
                words.append(word)


def _words(line: str) -> Iterator[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    skip = False
    for word in lexer:
        if set(word) <= set("<>") or (skip and word not in _OPERATORS):
            skip = not skip
        else:
            yield word


def check(words: list[str]) -> None:
    """Fail unless the program of a command is there and takes its arguments."""
    program = words[0]
    if program == "vhash":
        parse(words[1:])
    elif program == "pip":
        _check_extras(words)
    elif program == "python":
        _check_python(words[1:])
    elif "/" in program and not program.startswith("./build/"):
        assert os.access(ROOT / program, os.X_OK), f"{program} is no program of the repository"
    else:
        known = program in OTHERS or program.startswith("./build/")  # what the page has just built
        assert known, f"{shlex.join(words)!r}: nothing is known of {program}; see OTHERS"


def parse(words: list[str]) -> None:
    """Let the real parser take the arguments of ``vhash``."""
    import typer.main

    from vhash_sdk.cli.app import app

    command = typer.main.get_command(app)
    context = None
    while hasattr(command, "commands"):
        # a group takes its own options, and the first word that is left names the command
        group = command.make_context("vhash", list(words), parent=context, resilient_parsing=True)
        rest = [*group.protected_args] if hasattr(group, "protected_args") else []
        rest = [*getattr(group, "_protected_args", rest), *group.args]
        if not rest:
            return  # vhash --version
        assert rest[0] in command.commands, f"vhash has no command {rest[0]!r}"
        command, words, context = command.commands[rest[0]], rest[1:], group
    usage: type[Exception] = typer.BadParameter.__bases__[0]  # click's own, or that which typer brings along
    try:
        command.make_context(command.name, list(words), parent=context)
    except usage as error:
        raise AssertionError(f"vhash {command.name} {shlex.join(words)}: {error}") from error


def _check_extras(words: list[str]) -> None:
    for word in words:
        for extras in re.findall(r"^(?:vhash-sdk|\.)\[([\w,]+)\]$", word):
            unknown = set(extras.split(",")) - set(PROJECT["optional-dependencies"])
            assert not unknown, f"{word}: there is no such extra"
    assert any(word in ("install", "download", "uninstall") for word in words)


def _check_python(words: list[str]) -> None:
    if words[0] == "-c":
        ast.parse(words[1])
        return
    start = ["-m", words[1]] if words[0] == "-m" else [words[0]]
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None, f"there is no module {words[1]}"
    else:
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"
    if start[-1].startswith(("pytest", "pip", "build", "setup.py")):
        return
    options = {word.partition("=")[0] for word in words[len(start) :] if re.match(r"--\w", word)}
    if options:
        unknown = options - set(re.findall(r"--[\w-]+", _help(tuple(start))))
        assert not unknown, f"python {shlex.join(start)} has no {', '.join(sorted(unknown))}"


@lru_cache
def _help(start: tuple[str, ...]) -> str:
    command = [sys.executable, *start, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stderr.splitlines() or [""])[-1]
    if last.startswith(("ModuleNotFoundError", "ImportError")):
        pytest.skip(f"python {shlex.join(start)} --help: {last}")  # tested where its extra is installed
    assert done.returncode == 0, done.stderr
    return done.stdout
