"""The CUDA module on the emulator, as a fixture."""

from __future__ import annotations

import os
import shutil
import sys
from types import ModuleType

import pytest

from tests.cuda_emulator import COMPILER, build, load


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"compiles the CUDA sources for the CPU: needs {COMPILER}, or another in $CXX")
    return load(build(sanitize=os.environ.get("VHASH_EMULATOR_SANITIZE", "")))


@pytest.fixture
def emulated(compiled: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``vhash_sdk._cuda`` runs on the CPU, the threads of a block in an order that no one would expect."""
    monkeypatch.setenv("VHASH_EMULATOR_ORDER", "shuffled")
    monkeypatch.setitem(sys.modules, "vhash_sdk._cuda", compiled)
    return compiled


@pytest.fixture(params=["forward", "backward"])
def any_order(
    emulated: ModuleType, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> ModuleType:
    """The same in other orders."""
    monkeypatch.setenv("VHASH_EMULATOR_ORDER", request.param)
    return emulated
