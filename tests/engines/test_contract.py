"""The contract that every index keeps: in memory, in a directory, in milvus-lite, in a Milvus server.

DIFFERENCES is the whole list of what is not the same everywhere; each of them is asserted.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.against import Against
from tests.milvus_server import MilvusServer, missing
from vhash_sdk import VideoCode, open_index
from vhash_sdk.errors import CodeError, ModelMismatchError, OptionError, StoreError, UnknownIdError
from vhash_sdk.index import Index
from vhash_sdk.index.protocol import CodeIndex, OpenIndex

A, B = "a" * 64, "b" * 64
DIFFERENCES = {
    "k": "Milvus gives 16,384 neighbours at most where there are more codes than that",
    "reserved id": "Milvus also refuses -2^63",
    "pairs": "only an index of this process lists all pairs; at scale: vhash_sdk.engines.pairs",
    "metadata": "only Milvus keeps metadata and filters by them (where=)",
    "next id": "after a crash Milvus goes on up to 65,536 ids higher; after close() with the next one",
}


@dataclass
class Engine:
    """Makes indexes of one kind; ``name`` is a new place for each test."""

    kind: str
    place: str
    opened: list[Any]

    def make(self, bits: int = 64, model: str | None = None, name: str = "codes") -> Any:
        if self.kind == "memory":
            return Index(bits, model=model)
        index = open_index(self.where(name), bits=bits, model=model)
        self.opened.append(index)
        return index

    def again(self, name: str = "codes", **options: Any) -> Any:
        index = open_index(self.where(name), **options)
        self.opened.append(index)
        return index

    def where(self, name: str) -> str:
        return self.place.format(name=name)

    @property
    def milvus(self) -> bool:
        return self.kind.startswith("milvus")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """One Milvus server for the whole run; it lives on loopback and dies with the tests."""
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")
    if reason := missing():
        pytest.skip(reason)
    with MilvusServer(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A milvus-lite file that stays open for the whole run: opening one takes a second."""
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("needs milvus-lite: pip install 'vhash-sdk[milvus]'")
    file = tmp_path_factory.mktemp("lite") / "codes.db"
    with open_index(f"milvus-lite://{file}/first", bits=8):
        yield file


@pytest.fixture(params=["memory", "directory", "milvus-lite", pytest.param("milvus", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    kind, test = request.param, re.sub(r"\W", "_", request.node.name)
    if kind == "milvus":
        place = f"milvus://127.0.0.1:{request.getfixturevalue('server').port}/{test}_{{name}}"
    elif kind == "milvus-lite":
        place = f"milvus-lite://{request.getfixturevalue('lite')}/{test}_{{name}}"
    else:
        place = f"{tmp_path}/{{name}}"
    made = Engine(kind, place, [])
    yield made
    for index in made.opened:
        index.close()


def codes_of(n: int, bits: int = 64, *, values: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, values, (n, bits // 8), dtype=np.uint8)


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found.distances, expected.distances)
    np.testing.assert_array_equal(found.ids, expected.ids)
    assert found.ids.dtype == np.int64 and found.distances.dtype == np.uint16


def test_protocol(engine: Engine) -> None:
    index = engine.make()
    assert isinstance(index, CodeIndex)
    assert isinstance(index, OpenIndex) == (engine.kind != "memory")


def test_answers_are_those_of_the_embedded_index(engine: Engine) -> None:
    """Many ties at every cut: ids break them, also beyond what one call of Milvus brings."""
    codes = codes_of(3000, values=3)
    codes[1000:1400] = codes[0]
    ids = np.random.default_rng(1).permutation(9000)[:3000] - 3000
    index, plain = engine.make(), Index(64)
    for one in (index, plain):
        one.add(codes, ids)
    queries = np.concatenate([codes[:4], codes_of(3, seed=7)])
    for k in (0, 1, 10, 100, 2999, 5000):
        same(index.search(queries, k), plain.search(queries, k))
    for radius, limit in [(0, None), (0, 5), (3, None), (12, 40), (12, None), (64, None), (999, 7), (5, 0)]:
        found, expected = (one.range_search(queries, radius, limit=limit) for one in (index, plain))
        same(found, expected)
        np.testing.assert_array_equal(found.splits, expected.splits)


def test_only_among_the_eligible(engine: Engine) -> None:
    codes = codes_of(500, values=4)
    index, plain = engine.make(), Index(64)
    for one in (index, plain):
        one.add(codes)
    mask = np.arange(500) % 3 == 0
    for among in (mask, np.flatnonzero(mask), [7, 3, 10**6], [], np.arange(20_000)):
        same(index.search(codes[:5], 20, among=among), plain.search(codes[:5], 20, among=among))
        found, expected = (one.range_search(codes[:5], 9, among=among) for one in (index, plain))
        same(found, expected)
        np.testing.assert_array_equal(found.splits, expected.splits)


@pytest.mark.parametrize("bits", [1, 20, 1000])
def test_every_width(engine: Engine, bits: int) -> None:
    codes = np.packbits(
        np.random.default_rng(bits).integers(0, 2, (60, bits), dtype=np.uint8), axis=1, bitorder="little"
    )
    index, plain = engine.make(bits, name=f"w{bits}"), Index(bits)
    for one in (index, plain):
        assert one.add(codes).tolist() == list(range(60))
    same(index.search(codes[:9], 60), plain.search(codes[:9], 60))
    far = np.packbits(
        1 - np.unpackbits(codes[:1], axis=1, count=bits, bitorder="little"), axis=1, bitorder="little"
    )
    same(index.range_search(far, bits), plain.range_search(far, bits))
    np.testing.assert_array_equal(index.codes([5, 0]), codes[[5, 0]])


def test_empty(engine: Engine) -> None:
    index = engine.make()
    none = np.empty((0, 8), np.uint8)
    assert len(index) == 0 and 0 not in index and index.remove([1, 2]) == 0
    assert index.search(codes_of(3), 5).ids.shape == (3, 0)
    assert index.range_search(codes_of(3), 5).splits.tolist() == [0, 0, 0, 0]
    assert len(index.search(none, 5)) == 0
    assert index.add(none).tolist() == []
    index.upsert(none, [])
    assert index.codes([]).shape == (0, 8)


class AgainstEngine(Against):
    """Any sequence of changes leaves the index equal to a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.index.remove(np.arange(-60, 400))

    @invariant()
    def same(self) -> None:
        self.assert_same()


def test_any_sequence_of_changes_is_read_back_at_once(engine: Engine) -> None:
    # a read after a write waits 0.2 s in a server: fewer examples there
    examples, steps = {"milvus": (2, 4), "milvus-lite": (6, 8)}.get(engine.kind, (20, 15))

    class Machine(AgainstEngine):
        index = engine.make(24)

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=checks,
    )
    run_state_machine_as_test(Machine, settings=limits)


def test_ids(engine: Engine) -> None:
    index = engine.make()
    codes = codes_of(10)
    assert index.add(codes).tolist() == list(range(10))
    assert index.remove([9, 9, 77]) == 1
    assert index.add(codes[:2], [40, 50]).tolist() == [40, 50]
    assert index.add(codes[:2]).tolist() == [51, 52]  # never given out twice
    assert 9 not in index and 51 in index and "x" not in index and 2**70 not in index
    index.upsert(codes[5:6], [2**62])
    assert index.search(codes[5:6], 2).ids.tolist() == [[5, 2**62]]
    with pytest.raises(OptionError, match="id 40 is already in"):
        index.add(codes[:3], [100, 101, 40])
    with pytest.raises(OptionError, match="id 7 comes twice"):
        index.add(codes[:2], [7, 7])
    with pytest.raises(OptionError, match="id 7 comes twice"):
        index.upsert(codes[:2], [7, 7])
    assert len(index) == 14 and 100 not in index


BAD_CALLS: list[tuple[Any, type[Exception], str]] = [
    (lambda i: i.search(np.zeros((1, 9), np.uint8)), CodeError, r"\[n, 8\]"),
    (lambda i: i.search(np.zeros((1, 8), np.float32)), CodeError, "float32"),
    (lambda i: i.search(np.zeros((1, 8), np.uint8), -1), OptionError, "k=-1"),
    (lambda i: i.range_search(np.zeros((1, 8), np.uint8), -1), OptionError, "radius=-1"),
    (lambda i: i.range_search(np.zeros((1, 8), np.uint8), 3, limit=-1), OptionError, "limit=-1"),
    (lambda i: i.add(np.zeros((2, 8), np.uint8), [1]), OptionError, "1 ids for 2 codes"),
    (lambda i: i.add(np.zeros((1, 8), np.uint8), [1.5]), OptionError, "float64"),
    (lambda i: i.add(np.zeros((1, 8), np.uint8), [2**63 - 1]), OptionError, "reserved"),
    (lambda i: i.codes([4]), UnknownIdError, "id 4"),
]


def test_errors_name_the_value(engine: Engine) -> None:
    index = engine.make()
    for call, error, message in BAD_CALLS:
        with pytest.raises(error, match=message):
            call(index)


def test_models_are_kept_apart(engine: Engine) -> None:
    index = engine.make(16)
    assert index.model is None
    index.add(VideoCode(np.uint8([1, 2]), 16, A))
    assert index.model == A
    with pytest.raises(ModelMismatchError, match="bbbbbbbb"):
        index.add([VideoCode(np.uint8([1, 2]), 16, B)])
    with pytest.raises(ModelMismatchError):
        index.search(VideoCode(np.uint8([1, 2]), 16, B))
    assert len(index) == 1
    if engine.kind == "memory":
        return
    index.close()
    with pytest.raises(ModelMismatchError, match=r"aaaaaaaa, not of (model )?bbbbbbbb"):
        engine.again(model=B)
    with pytest.raises(OptionError, match="bits=64"):
        engine.again(bits=64)
    assert engine.again(model="a" * 8).model == A


def test_kept_between_runs(engine: Engine) -> None:
    if engine.kind == "memory":
        pytest.skip("an index in memory keeps nothing")
    with pytest.raises(StoreError, match="pass bits to create it"):
        engine.again()
    codes = codes_of(20)
    with engine.make() as index:
        index.add(codes)
        index.remove([3, 19])
    index = engine.again()
    assert index.bits == 64 and len(index) == 18
    np.testing.assert_array_equal(index.codes([0, 18]), codes[[0, 18]])
    assert index.add(codes[:1]).tolist() == [20]  # 19 was given out once
    if engine.milvus:
        index.drop()
        with pytest.raises(StoreError, match="pass bits to create it"):
            engine.again()


def test_the_declared_differences(engine: Engine) -> None:
    index = engine.make()
    codes = codes_of(MANY, values=2, seed=3)
    index.add(codes)
    plain = Index(64)
    plain.add(codes)
    found, expected = (one.range_search(codes[:1], 64) for one in (index, plain))
    same(found, expected)  # more than Milvus gives at once
    same(index.search(codes[:1], 16_384), plain.search(codes[:1], 16_384))
    assert hasattr(index, "pairs") != engine.milvus
    if not engine.milvus:
        same(index.search(codes[:1], MANY), plain.search(codes[:1], MANY))
        index.add(codes[:1], [-(2**63)])
        with pytest.raises(TypeError, match="where"):
            index.search(codes[:1], where="year > 1")
        return
    with pytest.raises(OptionError, match="k=17000: Milvus gives 16,384"):
        index.search(codes[:1], MANY)
    with pytest.raises(OptionError, match="reserved"):
        index.add(codes[:1], [-(2**63)])
    index.upsert(codes[:3], [0, 1, 2], metadata=[{"year": 1999}, {"year": 2001}, {"year": 2003}])
    assert index.search(codes[:1], 5, where="year > 2000").ids.size == 2
    assert index.metadata([2, 3]) == [{"year": 2003}, {}]
    with pytest.raises(OptionError, match="2 metadata for 1 codes"):
        index.upsert(codes[:1], [0], metadata=[{}, {}])
    # a crash is a client that goes away without close()
    other = engine.again()
    assert MANY < other.add(codes[:1])[0] <= MANY + 65_536


MANY = 17_000


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["milvus"], indirect=True)
def test_approximate_only_when_asked_for(engine: Engine) -> None:
    from vhash_sdk.engines.milvus import MilvusIndex, MilvusOptions

    fast = MilvusOptions(exact=False, nlist=16, nprobe=16, consistency="strong")
    codes = codes_of(2000)
    with MilvusIndex(engine.where("ivf"), bits=64, options=fast) as index:
        index.add(codes)
        plain = Index(64)
        plain.add(codes)
        found, expected = (one.search(codes[:50], 5).ids for one in (index, plain))
        assert (found[:, 0] == expected[:, 0]).all()  # every cluster is looked into
    with pytest.raises(OptionError, match="indexed by BIN_IVF_FLAT"):
        engine.again("ivf")


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """One kill; ``python -m benchmarks.speed.scale --only kills`` has more."""
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")
    if reason := missing():
        pytest.skip(reason)
    from tests.engine_kills import kill_server

    done = kill_server(tmp_path / "server", rounds=1, seconds=3)
    assert done["upserts acknowledged"] > 0 and (done["lost"], done["wrong"]) == (0, 0)
