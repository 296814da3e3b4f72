"""Codes that a Milvus server holds, looked up through the API."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.milvus_server import MilvusServer, missing
from tests.serve.conftest import TOKEN, Made, Server
from vhash_sdk.engines.open import open_index
from vhash_sdk.models import zoo

pytestmark = pytest.mark.slow


def test_codes_of_a_milvus_server_are_looked_up(
    made: Made, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")
    if reason := missing():
        pytest.skip(reason)
    from vhash_sdk.serve.client import Client

    spec = zoo.load("default").spec
    codes = np.random.default_rng(0).integers(0, 256, (500, 32), np.uint8)
    asked = codes[[7, 8]].copy()
    asked[:, 0] ^= 3  # two bits each
    shutil.copytree(made.library, tmp_path / "library")
    with MilvusServer(tmp_path / "milvus") as server:
        where = f"milvus://127.0.0.1:{server.port}/films"
        with open_index(where, bits=spec.bits, model=spec.fingerprint) as index:
            index.add(codes, np.arange(500))
        running = serve(tmp_path / "library", "--index", f"films={where}")
        client = Client(f"http://127.0.0.1:{running.port}", token=TOKEN)
        within = client.lookup(asked, index="films", radius=20)
        nearest = client.lookup(asked, index="films", k=1)
        assert running.stop() == 0
    assert within.ids.tolist() == [7, 8] and within.distances.tolist() == [2, 2]
    assert nearest.ids.ravel().tolist() == [7, 8]
