"""What is Milvus's alone: locations, retries, what an error says."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vhash_sdk import open_index
from vhash_sdk.errors import OptionError, StoreError, UnreachableError

pymilvus = pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")

from vhash_sdk.engines.milvus import MilvusIndex, MilvusOptions  # noqa: E402
from vhash_sdk.engines.milvus_client import Connection, Location  # noqa: E402


@pytest.mark.parametrize(
    ("text", "uri", "token", "collection"),
    [
        ("milvus://db:19530/films", "http://db:19530", "", "films"),
        ("milvus://db/films", "http://db:19530", "", "films"),
        ("milvus://[::1]:7/films", "http://[::1]:7", "", "films"),
        ("milvus+tls://ann:p%40ss@db/films", "https://db:19530", "ann:p@ss", "films"),
        ("milvus-lite:///disk/x.db/films", "/disk/x.db", "", "films"),
    ],
)
def test_locations(text: str, uri: str, token: str, collection: str) -> None:
    place = Location.parse(text)
    assert (place.uri, place.token, place.collection) == (uri, token, collection)
    assert "p@ss" not in str(place) and str(place).endswith("/films")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("milvus://db:19530", "expected milvus://host:port/collection"),
        ("milvus://db:19530/9films", "no digit first"),
        ("milvus://db:port/films", "port"),
        ("milvus://:19530/films", "names no host"),
        ("milvus-lite://x.sqlite/films", "must end in .db"),
        ("redis://db/films", "no engine for redis"),
    ],
)
def test_bad_locations(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_index(text, bits=64)


@pytest.mark.parametrize("options", [{"nlist": 0}, {"consistency": "maybe"}, {"timeout": 0}])
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        MilvusOptions(**options)  # type: ignore[arg-type]


def test_no_server() -> None:
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="is the server running there"):
        MilvusIndex("milvus://127.0.0.1:1/films", bits=64, options=MilvusOptions(timeout=1))
    assert time.monotonic() - started < 20


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("needs milvus-lite: pip install 'vhash-sdk[milvus]'")
    made = Connection(
        Location.parse(f"milvus-lite://{tmp_path_factory.mktemp('lite')}/x.db/films"), timeout=60
    )
    yield made
    made.close()


def failing(times: int, error: Exception) -> tuple[list[float], object]:
    calls: list[float] = []

    def work(left: float) -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "done"

    return calls, work


@pytest.mark.parametrize(
    "error",
    [
        pymilvus.MilvusException(code=503, message="channel not available"),
        pymilvus.MilvusException(code=8, message="rate limit exceeded"),
        pymilvus.MilvusException(code=1, message="service not ready"),
        pymilvus.MilvusException(code=65535, message="distribution is not serviceable"),
    ],
)
def test_passing_trouble_is_tried_again_after_a_while(connection: Connection, error: Exception) -> None:
    calls, work = failing(3, error)
    assert connection.retry(work, "search") == "done"  # type: ignore[arg-type, type-var]
    waits = np.diff(calls)
    assert len(waits) == 3 and waits[0] >= 0.024 and waits[2] >= 0.09  # twice as long each time, less chance


def test_other_trouble_is_told_at_once(connection: Connection) -> None:
    for error in (
        pymilvus.MilvusException(code=100, message="collection not found[collection=films]"),
        pymilvus.MilvusException(code=1, message="some field is missing"),
        pymilvus.MilvusException(code=1100, message="invalid parameter"),
    ):
        calls, work = failing(1, error)
        with pytest.raises(StoreError, match=error.message.split("[")[0]):  # type: ignore[attr-defined]
            connection.retry(work, "search")  # type: ignore[arg-type]
        assert len(calls) == 1


def test_it_gives_up_in_time(connection: Connection) -> None:
    calls, work = failing(10**6, pymilvus.MilvusException(code=503, message="channel not available"))
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=r"upsert got no answer in time .*nothing is done twice"):
        connection.retry(work, "upsert", wait=1.0)  # type: ignore[arg-type]
    assert len(calls) >= 3 and time.monotonic() - started < 10


def test_a_collection_of_somebody_else_is_refused(connection: Connection, tmp_path: Path) -> None:
    location = Location.parse(f"milvus-lite://{tmp_path}/x.db/films")
    other = Connection(location, timeout=60)
    other.client.create_collection("films", dimension=8)
    with pytest.raises(StoreError, match="not made by vhash"):
        open_index(str(location), bits=64)
    other.close()
