"""Shared fixtures: where the real data is, and which hardware tests may run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell ignores Ctrl-C for what it runs in the background; the programs under test would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(os.environ.get("VHASH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clips, features and weights; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"needs the real data in {DATA} (set VHASH_DATA to its place)")
    return DATA


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip GPU tests without a GPU, unless VHASH_REQUIRE_CUDA=1 asks for them to fail instead."""
    if os.environ.get("VHASH_REQUIRE_CUDA") == "1" or os.path.exists("/dev/nvidia0"):
        return
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU; VHASH_REQUIRE_CUDA=1 makes this a failure")
    for item in items:
        if "needs_cuda" in item.keywords:
            item.add_marker(skip)
