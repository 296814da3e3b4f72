"""What to type so that an optional part works: one place, so that every message names the whole command."""

from __future__ import annotations

from typing import Literal

Extra = Literal[
    "cli", "cpu", "gpu", "hub", "milvus", "openvino", "ray", "rtx", "serve", "sound", "telemetry",
    "threatexchange", "trash",
    "trt", "watch", "webp",
]  # fmt: skip
"""The extras that messages name, as in pyproject.toml."""


def pip_install(*extras: Extra, again: bool = False) -> str:
    """The command that brings the packages of some extras, quoted as every shell takes it.

    Args:
        again: also what is there already, which does not load.

    >>> print(pip_install("cpu", "serve"))
    pip install 'vhash-sdk[cpu,serve]'
    >>> print(pip_install(again=True))
    pip install --force-reinstall vhash-sdk
    """
    package = f"'vhash-sdk[{','.join(extras)}]'" if extras else "vhash-sdk"
    return f"pip install {'--force-reinstall ' if again else ''}{package}"
