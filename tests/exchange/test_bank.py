"""Known PDQ and vPDQ hashes: the same answers as by comparing each with each, and as ``threatexchange``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from vhash_sdk import Index
from vhash_sdk.codes import hamming_distance
from vhash_sdk.errors import OptionError
from vhash_sdk.exchange import HashBank, Hashed
from vhash_sdk.exchange.records import hashed, signal

RNG = np.random.default_rng(5)
CENTRES = RNG.integers(0, 256, (40, 32), dtype=np.uint8)


def near(code: np.ndarray, bits: int) -> bytes:
    """A code so many bits away."""
    mask = np.zeros(256, np.uint8)
    mask[RNG.choice(256, bits, replace=False)] = 1
    return (code ^ np.packbits(mask)).tobytes()


def picture(quality: int = 100) -> Hashed:
    return hashed(
        "pdq",
        [(near(CENTRES[RNG.integers(40)], int(RNG.integers(0, 30))), quality)],
        "",
        int(RNG.integers(1, 99)),
    )


def video(line: int = 1) -> Hashed:
    """Frames near some of the centres: some come twice, some are poor."""
    rows = []
    for _ in range(RNG.integers(1, 12)):
        code = near(CENTRES[RNG.integers(40)], int(RNG.integers(0, 20)))
        rows += [(code, int(RNG.choice([100, 80, 50, 49, 10])))] * int(RNG.integers(1, 3))
    return hashed("vpdq", rows, f"v{line}", line)


def rounded(*shares: float) -> tuple[float, ...]:
    return tuple(round(share, 6) for share in shares)


def as_text(each: Hashed) -> str:
    """As ``threatexchange`` writes a vPDQ hash."""
    frames = zip(each.codes, each.quality, map(float, range(len(each.codes))), strict=True)
    return json.dumps([f"{code.tobytes().hex()},{quality},{t:.3f}" for code, quality, t in frames])


def test_pdq_hashes_match_within_the_radius() -> None:
    known = [picture() for _ in range(300)] + [picture(quality=49)]
    bank = HashBank("pdq", known)
    assert len(bank) == 300 and bank.poor == 1
    queries = [picture() for _ in range(50)]
    hits = 0
    for query, found in zip(queries, bank.search_many(queries), strict=True):
        distances = [int(hamming_distance(query.codes[0], each.codes[0])) for each in known[:300]]
        order = sorted((d, i) for i, d in enumerate(distances) if d <= 31)
        assert [(m.distance, m.known) for m in found] == [(d, known[i]) for d, i in order]
        hits += len(found)
    assert hits > 50
    assert bank.search(picture(quality=49)) == []


def by_hand(query: Hashed, known: Hashed) -> tuple[float, float]:
    """Shares of different frames of enough quality that match one of the other's, as vPDQ says."""
    a, b = ({c.tobytes() for c, q in zip(v.codes, v.quality, strict=True) if q >= 50} for v in (query, known))
    if not a or not b:
        return -1.0, -1.0
    x, y = (np.frombuffer(b"".join(sorted(each)), np.uint8).reshape(-1, 32) for each in (a, b))
    within = hamming_distance(x[:, None], y[None]) <= 31
    return 100 * float(within.any(1).mean()), 100 * float(within.any(0).mean())


@pytest.mark.parametrize(("query_share", "known_share"), [(80, 0), (30, 30), (0, 0), (100, 100)])
def test_vpdq_videos_match_by_the_shares_of_their_frames(query_share: float, known_share: float) -> None:
    known = [video(line) for line in range(1, 60)]
    bank = HashBank("vpdq", known)
    queries = [video() for _ in range(30)] + [known[0]]
    answers = bank.search_many(queries, query_share=query_share, known_share=known_share)
    hits = 0
    for query, found in zip(queries, answers, strict=True):
        expected = {}
        for each in known:
            shares = by_hand(query, each)
            if shares[0] >= query_share and shares[1] >= known_share and shares[0] > 0:
                expected[each.line] = rounded(*shares)
        assert {m.known.line: rounded(m.query_share, m.known_share) for m in found} == expected
        hits += len(found)
    assert hits


def test_the_engine_is_any_index_and_is_used_again(tmp_path: Path) -> None:
    known = [video(line) for line in range(1, 20)]
    plain = HashBank("vpdq", known)
    for _ in range(2):  # made, then found as it is
        with Index.open(tmp_path / "bank", bits=256) as stored:
            bank = HashBank("vpdq", known, engine=stored)
            for query in known:
                assert bank.search(query) == plain.search(query)
    with Index.open(tmp_path / "bank") as stored:
        for other in (known[1:], known[::-1], []):
            with pytest.raises(OptionError, match="give an empty one"):
                HashBank("vpdq", other, engine=stored)
        assert len(stored) == len(plain._owner)
    with pytest.raises(OptionError, match="64 bits; PDQ hashes have 256"):
        HashBank("pdq", [], engine=Index(64))


def test_what_is_not_allowed_is_said() -> None:
    bank = HashBank("pdq", [])
    assert bank.search(picture()) == []
    with pytest.raises(OptionError, match="a query of kind 'vpdq'"):
        bank.search(video())
    for bad in ({"radius": 257}, {"radius": -1}, {"query_share": 101}, {"known_share": float("nan")}):
        with pytest.raises(OptionError):
            bank.search(picture(), **bad)  # type: ignore[arg-type]
    for kind in ("tmk", None):
        with pytest.raises(OptionError):
            HashBank(kind, [])  # type: ignore[arg-type]


def test_the_same_as_the_pdq_index_of_threatexchange() -> None:
    pdq = pytest.importorskip("threatexchange.signal_type.pdq.signal", reason="needs threatexchange")
    examples = pdq.PdqSignal.get_examples()
    known = [signal("pdq", text, "", line) for line, text in enumerate(examples, 1)]
    bank = HashBank("pdq", known)
    theirs = pdq.PdqSignal.get_index_cls().build([(text, line) for line, text in enumerate(examples, 1)])
    for query, text in zip(known, examples, strict=True):
        found = sorted((m.known.line, m.distance) for m in bank.search(query))
        assert found == sorted((m.metadata, m.similarity_info.distance) for m in theirs.query(text))


def test_the_same_as_the_vpdq_index_of_threatexchange(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("threatexchange", reason="needs threatexchange")
    # their package of that name only reads videos, and needs FFmpeg and a compiler; matching does without
    reader: Any = ModuleType("vpdq")
    reader.VpdqFeature = object
    monkeypatch.setitem(sys.modules, "vpdq", reader)
    from threatexchange.extensions.vpdq.vpdq_index import VPDQIndex

    known = [each for line in range(1, 60) if ((each := video(line)).quality >= 50).any()]
    theirs = VPDQIndex.build([(as_text(each), each.line) for each in known])
    bank = HashBank("vpdq", [signal("vpdq", as_text(each), "", each.line) for each in known])
    hits = 0
    for query in (*known, *(video() for _ in range(30))):
        mine = {m.known.line: rounded(m.query_share, m.known_share) for m in bank.search(query)}
        found = {
            m.metadata: rounded(
                m.similarity_info.query_match_percent, m.similarity_info.compared_match_percent
            )
            for m in theirs.query(as_text(query))
        }
        assert mine == found
        hits += len(mine)
    assert hits > len(known)
