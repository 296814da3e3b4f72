"""The command line as a process: what only a real one shows."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vhash_sdk
from vhash_sdk.cli.demo import SAMPLES

SDK = Path(vhash_sdk.__file__).parents[1]
VHASH = [sys.executable, "-c", "from vhash_sdk.cli import main; main()"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SDK), *sys.path[1:]]), **more}


def run(*arguments: str | bytes, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*VHASH, *arguments], capture_output=True, env=environment(**more), timeout=120, check=False
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from vhash_sdk.cli import app\n"
        "heavy = {'onnxruntime', 'av', 'sqlite3', 'openvino', 'vhash_sdk.encoding.encoder'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_message_names_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ImportError('No module named {missing}')")
    paths = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    result = run("--help", PYTHONPATH=paths)
    assert result.returncode == 3 and not result.stdout
    assert b"vhash-sdk[cli]" in result.stderr and b"Traceback" not in result.stderr


def test_quiet_where_there_is_no_terminal() -> None:
    result = run("encode", str(SAMPLES / "chair.mp4"))
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.startswith(b"vh1:") and result.stdout.count(b"\n") == 1


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    Path(os.fsdecode(name)).write_bytes((SAMPLES / "chair.mp4").read_bytes())
    for locale in ("C", "C.UTF-8"):
        result = run("encode", name, LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert result.returncode == 0, result.stderr
        assert result.stdout.rstrip().endswith(b"caf\\xe9.mp4")
    assert run("doctor", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0").returncode == 0


def test_closed_pipe_ends_quietly() -> None:
    process = subprocess.Popen(
        [*VHASH, "encode", str(SAMPLES)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()  # as `| head -0` would
    assert process.stderr.read() == b""
    assert process.wait(60) == 141


def test_interrupt_is_clean(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.mp4").symlink_to(SAMPLES / "bunny.mp4")
    process = subprocess.Popen(
        [*VHASH, "encode", str(tmp_path)],
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"vh1:")
    os.killpg(process.pid, signal.SIGINT)
    start = time.monotonic()
    _, problems = process.communicate(timeout=60)
    assert process.returncode == 130
    assert problems == b"vhash: interrupted\n"
    assert time.monotonic() - start < 20


def in_terminal(*arguments: str, **more: str) -> tuple[bytes, int]:
    """Output and exit code of a command whose standard streams are all one terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*VHASH, *arguments], environment(TERM="xterm-256color", **more))
    output = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # the terminal is gone with its process
            break
        if not block:
            break
        output += block
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_progress_in_a_terminal_only_and_results_all_there() -> None:
    output, status = in_terminal("encode", str(SAMPLES))
    assert status == 0
    assert b"encoding" in output and b"5/5" in output
    assert output.count(b"vh1:") == 5


def test_no_color() -> None:
    colour, _ = in_terminal("models", "--help")
    plain, _ = in_terminal("models", "--help", NO_COLOR="1")
    assert b"\x1b[1;36m" in colour or b"\x1b[36m" in colour
    assert b"[36m" not in plain and b";36m" not in plain
