"""Bulk import, and all pairs at scale: exact, once each, restartable, the same by Ray."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.engine_jobs import Job, wait_for
from tests.milvus_server import private_network_refused
from vhash_sdk import open_index
from vhash_sdk.errors import CodeError, ModelMismatchError, OptionError, StoreError
from vhash_sdk.index import Index

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'vhash-sdk[ray]'")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec", reason="needs fsspec: pip install 'vhash-sdk[ray]'")
pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")

from vhash_sdk.engines.bulk import import_codes  # noqa: E402
from vhash_sdk.engines.pairs import find_pairs  # noqa: E402

A, B = "a" * 64, "b" * 64


def clustered(n: int, size: int = 8) -> np.ndarray:
    rng = np.random.default_rng(n)
    codes = rng.integers(0, 256, (n // 4, size), dtype=np.uint8)[rng.integers(0, n // 4, n)]
    codes[:, 0] ^= rng.integers(0, 8, n).astype(np.uint8)
    return codes


def parquet(place: Path, codes: np.ndarray, ids: np.ndarray, fingerprint: str = A) -> str:
    place.mkdir(parents=True)
    for part, rows in enumerate(np.array_split(np.arange(len(codes)), 3)):
        table = pyarrow.table(
            {
                "id": pyarrow.array(ids[rows]),
                "code": pyarrow.array([codes[row].tobytes() for row in rows], pyarrow.binary(codes.shape[1])),
                "fingerprint": pyarrow.array([fingerprint] * len(rows)),
                "path": pyarrow.array([f"{row}.mp4" for row in rows]),
            }
        )
        pq.write_table(table, place / f"{part}.parquet")
    failed = pyarrow.table({"id": [10**6], "code": pyarrow.array([None], pyarrow.binary(codes.shape[1]))})
    pq.write_table(failed, place / "failed.parquet")
    return str(place)


def pairs_in(output: Path) -> list[tuple[int, int, int]]:
    table = pq.read_table(output)
    columns = (table[name].to_pylist() for name in ("a", "b", "distance"))
    return sorted(zip(*columns, strict=True))


def expected_pairs(codes: np.ndarray, ids: np.ndarray, radius: int) -> list[tuple[int, int, int]]:
    index = Index(8 * codes.shape[1])
    index.add(codes, ids)
    return sorted(
        (int(a), int(b), int(d))
        for batch in index.pairs(radius)
        for (a, b), d in zip(batch.ids, batch.distances, strict=True)
    )


@pytest.mark.parametrize("kind", ["directory", "milvus-lite"])
def test_import(tmp_path: Path, kind: str) -> None:
    if kind == "milvus-lite" and importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("needs milvus-lite: pip install 'vhash-sdk[milvus]'")
    codes, ids = clustered(300), np.random.default_rng(0).permutation(1000)[:300]
    source = parquet(tmp_path / "codes", codes, ids)
    place = str(tmp_path / "index") if kind == "directory" else f"milvus-lite://{tmp_path}/x.db/codes"
    with open_index(place, bits=64, model=A) as index:
        seen: list[int] = []
        assert import_codes(source, index, progress=seen.append) == 300 and seen[-1] == 300
        assert import_codes(source, index) == 300 and len(index) == 300  # again is the same
        np.testing.assert_array_equal(index.codes(ids), codes)
        if kind == "milvus-lite":
            import_codes(source, index, metadata=["path"])
            assert index.metadata(ids[:2]) == [{"path": "0.mp4"}, {"path": "1.mp4"}]  # type: ignore[attr-defined]
        else:
            with pytest.raises(OptionError, match="only Milvus keeps metadata"):
                import_codes(source, index, metadata=["path"])
        with pytest.raises(ModelMismatchError, match="model bbbbbbbb"):
            import_codes(parquet(tmp_path / "other", codes, ids, B), index)
    with pytest.raises(CodeError, match="codes of 8 bytes"):
        import_codes(source, Index(128, model=A))
    with pytest.raises(StoreError, match="cannot be read"):
        import_codes(tmp_path / "nothing", Index(64))


@pytest.mark.parametrize("form", ["file", "directory", "parquet"])
@pytest.mark.parametrize(("radius", "rows"), [(3, 10**6), (3, 150), (60, 100)])
def test_all_pairs(tmp_path: Path, form: str, radius: int, rows: int) -> None:
    codes, ids = clustered(500), np.random.default_rng(1).permutation(2000)[:500]
    source = tmp_path / "codes"
    if form == "parquet":
        parquet(source, codes, ids)
    elif form == "directory":
        with Index.open(source, bits=64) as stored:
            stored.add(codes, ids)
    else:
        index = Index(64)
        index.add(codes, ids)
        index.save(source)
    done = find_pairs(source, tmp_path / "out", radius=radius, rows=rows)
    expected = expected_pairs(codes, ids, radius)
    assert pairs_in(tmp_path / "out") == expected and done.pairs == len(expected) > 500
    some = sorted((tmp_path / "out").glob("pairs-*.parquet"))[0]
    some.unlink()
    seen: list[tuple[int, int, int]] = []
    again = find_pairs(
        source, tmp_path / "out", radius=radius, rows=rows, progress=lambda *counts: seen.append(counts)
    )
    assert again.done == 1 and seen[0][:2] == (again.shares, again.shares)
    assert pairs_in(tmp_path / "out") == expected
    with pytest.raises(OptionError, match=f"radius {radius}"):
        find_pairs(source, tmp_path / "out", radius=2, rows=rows)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'vhash-sdk[ray]'")
def test_by_ray_after_a_kill(tmp_path: Path) -> None:
    if reason := private_network_refused():
        pytest.skip(reason)
    codes, ids = clustered(30_000), np.arange(30_000)
    source = parquet(tmp_path / "codes", codes, ids)
    job = {"codes": source, "output": str(tmp_path / "out"), "radius": 3, "rows": 5000}
    with Job("pairs", **job) as first:
        wait_for(lambda: len(list((tmp_path / "out").glob("pairs-*.parquet"))) >= 2, first, 200)
        first.kill()
    with Job("pairs", **job) as second:
        done = second.result(200)
    assert 0 < done["done"] < done["shares"]
    assert pairs_in(tmp_path / "out") == expected_pairs(codes, ids, 3)
