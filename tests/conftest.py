"""Shared fixtures: where the real data is, and which hardware tests may run."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell ignores Ctrl-C for what it runs in the background; the programs under test would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    # every core already has a worker: threads of one library would only take turns with those of another
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

MOST_WORKERS = 8  # each imports everything first, which takes ten seconds

DATA = Path(os.environ.get("VHASH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers for whole folders; files and single tests run in one process, which starts faster."""
    if all(".py" in argument for argument in config.args):
        return 0
    return min(MOST_WORKERS, max(2, len(os.sched_getaffinity(0))))  # two even on one core: tests wait a lot


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clips, features and weights; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"needs the real data in {DATA} (set VHASH_DATA to its place)")
    return DATA


class _Remembering:
    """A session of ONNX Runtime that computes what it is asked once; asked again, it remembers."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._known: dict[object, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        given = [(name, a.shape, hashlib.sha256(a.tobytes()).digest()) for name, a in sorted(inputs.items())]
        key = (*outputs, *given)
        if key not in self._known:
            self._known[key] = self._session.run(outputs, inputs)
        return [array.copy() for array in self._known[key]]


@pytest.fixture(scope="session")
def _sessions() -> dict[object, _Remembering]:
    return {}


@pytest.fixture(scope="module")
def remembered(_sessions: dict[object, _Remembering]) -> Iterator[None]:
    """Models are loaded once, and each clip is coded once, for all tests that are not about either."""
    onnx = pytest.importorskip("vhash_sdk.runtime.onnx")
    load = onnx.make_session

    def make_session(ort: Any, model: Any, options: Any, providers: list[Any]) -> _Remembering:
        key = (hashlib.sha256(model.content).digest(), options.intra_op_num_threads, *map(str, providers))
        if key not in _sessions:
            _sessions[key] = _Remembering(load(ort, model, options, providers))
        return _sessions[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "make_session", make_session)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip GPU tests without a GPU, unless VHASH_REQUIRE_CUDA=1 asks for them to fail instead."""
    if os.environ.get("VHASH_REQUIRE_CUDA") == "1" or os.path.exists("/dev/nvidia0"):
        return
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU; VHASH_REQUIRE_CUDA=1 makes this a failure")
    for item in items:
        if "needs_cuda" in item.keywords:
            item.add_marker(skip)
