"""Which commit of vhash this is: written into wheels when they are built, asked of git in a clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_LETTERS = 12  # of the forty
_BUILT = ("csrc", "sdk", "setup.py", "pyproject.toml")
"""What decides how vhash behaves; a change elsewhere in a clone is none of it."""


def commit() -> str | None:
    """The commit that is installed, 12 hexadecimal digits, with "+" where files have been changed since.

    None where nothing tells: an installation from an archive that was not made by ``setup.py``.

    >>> commit() is None or len(commit().rstrip("+")) == 12
    True
    """
    try:
        words = (_PACKAGE / "commit.txt").read_text("utf-8").split()  # "<commit>[+] <time>"; see setup.py
    except OSError:
        words = _of_the_clone()
    if not words:
        return None
    return words[0].rstrip("+")[:_LETTERS] + "+" * words[0].endswith("+")


def _of_the_clone() -> list[str]:
    """The same from git, where this package lies in a clone of its own repository."""
    root = _PACKAGE.parents[1]
    if not ((root / ".git").exists() and (root / "setup.py").is_file()):
        return []
    try:
        name = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *_BUILT)
    except (OSError, subprocess.SubprocessError):  # no git, or it refuses a clone of somebody else's
        return []
    return [name + "+" * bool(changed)]


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
