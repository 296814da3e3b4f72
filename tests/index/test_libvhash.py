"""libvhash: built by CMake, found by find_package, used by a C and a C++ program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build and install the library, then the examples against it: (their folder, the prefix)."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    work = tmp_path_factory.mktemp("libvhash")
    prefix, examples = work / "prefix", work / "examples"
    for source, build, options, target in (
        (
            ROOT / "csrc",
            work / "lib",
            [f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=-Werror"],
            ["--target", "install"],
        ),
        (
            ROOT / "csrc" / "examples",
            examples,
            [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"],
            [],
        ),
    ):
        for command in (
            ["cmake", "-S", str(source), "-B", str(build), *options],
            ["cmake", "--build", str(build), "-j2", *target],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return examples, prefix


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "argument", "says"),
    [
        ("nearest", "index.vhash", "4711 at 2 bits"),
        ("duplicates", "index", "50 pairs of near duplicates among 20000 codes"),
        ("readers_writer", None, "0 wrong"),
    ],
)
def test_examples(
    programs: tuple[Path, Path], tmp_path: Path, program: str, argument: str | None, says: str
) -> None:
    folder, prefix = programs
    command = [str(folder / program), *([str(tmp_path / argument)] if argument else [])]
    env = {**os.environ, "LD_LIBRARY_PATH": str(prefix / "lib")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0 and says in done.stdout, done.stdout + done.stderr
