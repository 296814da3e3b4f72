"""Groups of duplicates: stars and no chains, judgements, the cache of pairs, quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import vhash_sdk.library.near_pairs as near_pairs_module
from tests.fake_encoder import MAGIC, FakeEncoder
from vhash_sdk import Library, VideoCode
from vhash_sdk.codes import hamming_distance
from vhash_sdk.errors import OptionError
from vhash_sdk.library.duplicates import Videos, stars
from vhash_sdk.library.judgements import FILE_KIND, Judgement, read_judgements
from vhash_sdk.library.keeping import best_first
from vhash_sdk.library.near_pairs import distinct, near_pairs
from vhash_sdk.spec import ModelSpec


def videos_of(owner: NDArray[np.int64], digests: list[bytes] | None = None, **facts: Any) -> Videos:
    n = int(owner.max(initial=-1)) + 1
    digests = digests or [bytes([i]) * 32 for i in range(n)]
    numbers = {
        name: np.asarray(facts.get(name, np.zeros(n)), float) for name in ("seconds", "pixels", "sizes")
    }
    reliable = np.asarray(facts.get("reliable", np.ones(n, bool)))
    return Videos(np.arange(n), digests, reliable, reliable, owner=owner, **numbers)


def group(videos: Videos, codes: NDArray[np.uint8], radius: int, **options: Any) -> list[Any]:
    known, places = distinct(codes)
    pairs = near_pairs(known, 8 * codes.shape[1], radius)
    order = options.pop("order", best_first(videos, "longest"))
    return list(stars(videos, places, pairs, order=order, **options))


def oracle(
    codes: NDArray[np.uint8],
    owner: NDArray[np.int64],
    radius: int,
    order: NDArray[np.int64],
    apart: set[tuple[int, int]],
) -> list[tuple[int, list[tuple[int, int]]]]:
    n = len(order)
    rows = hamming_distance(codes[:, None], codes[None]).astype(int)
    distance = np.full((n, n), 999)
    np.minimum.at(distance, (owner[:, None], owner[None]), rows)
    free, groups = set(range(n)), []
    for here in order.tolist():
        if here not in free:
            continue
        free.discard(here)
        taken: list[int] = []
        for bits, other in sorted((int(distance[here, o]), o) for o in free):
            strange = any((min(o, other), max(o, other)) in apart for o in (here, *taken))
            if bits <= radius and not strange:
                taken.append(other)
        free -= set(taken)
        if taken:
            groups.append((here, [(o, int(distance[here, o])) for o in taken]))
    return groups


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 255)), min_size=1, max_size=24),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=10),
    st.randoms(use_true_random=False),
)
def test_groups_are_those_of_the_obvious_way(rows: Any, radius: int, strangers: Any, random: Any) -> None:
    owner = np.unique([video for video, _ in rows], return_inverse=True)[1]
    codes = np.uint8([[code] for _, code in rows])
    n = int(owner.max()) + 1
    order = np.array(random.sample(range(n), n))
    apart = {(min(a, b), max(a, b)) for a, b in strangers if a != b and max(a, b) < n}
    videos = videos_of(owner)
    said: dict[bytes, set[bytes]] = {}
    for a, b in apart:
        said.setdefault(videos.digests[a], set()).add(videos.digests[b])
        said.setdefault(videos.digests[b], set()).add(videos.digests[a])
    assert group(videos, codes, radius, order=order, apart=said) == oracle(codes, owner, radius, order, apart)


def test_a_chain_is_no_group() -> None:
    codes = np.uint8([[0b0000], [0b0011], [0b1111]])
    assert group(videos_of(np.arange(3)), codes, 2) == [(0, [(1, 2)])]
    assert group(videos_of(np.arange(3), seconds=[1, 9, 1]), codes, 2) == [(1, [(0, 2), (2, 2)])]


def test_an_unreliable_video_is_only_grouped_with_its_own_bytes() -> None:
    codes = np.uint8([[7], [7], [7], [7]])
    digests = [b"a" * 32, b"b" * 32, b"c" * 32, b"b" * 32]
    reliable = np.array([True, False, True, False])
    videos = videos_of(np.arange(4), digests, reliable=reliable)
    assert group(videos, codes, 3) == [(0, [(2, 0)]), (1, [(3, 0)])]


def test_the_best_video_represents() -> None:
    facts = {"seconds": [10.1, 9.9, 5.0], "pixels": [100, 400, 900], "sizes": [5, 4, 3]}
    videos = videos_of(np.arange(3), **facts)
    assert best_first(videos, "longest").tolist() == [1, 0, 2]  # ten seconds both: the sharper one
    assert best_first(videos, "sharpest").tolist() == [2, 1, 0]
    assert best_first(videos, "largest").tolist() == [0, 1, 2]
    with pytest.raises(OptionError, match="'newest'; allowed: 'longest', 'sharpest', 'largest'"):
        best_first(videos, "newest")


def all_pairs(pairs: Any) -> set[tuple[bytes, bytes, int]]:
    found = set()
    for (a, b), distance in zip(pairs.ends, pairs.distances, strict=True):
        first, second = sorted((pairs.codes[a].tobytes(), pairs.codes[b].tobytes()))
        found.add((first, second, int(distance)))
    assert len(found) == len(pairs.ends)
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 400), max_size=40), st.integers(0, 5)), min_size=1, max_size=5)
)
def test_pairs_from_the_cache_are_those_of_a_fresh_join(tmp_path_factory: Any, steps: Any) -> None:
    cache = tmp_path_factory.mktemp("cache") / "pairs.npz"
    for numbers, radius in steps:
        codes = distinct(np.uint16(sorted(numbers)).reshape(-1, 1).view(np.uint8))[0]
        assert all_pairs(near_pairs(codes, 16, radius, cache)) == all_pairs(near_pairs(codes, 16, radius))


def test_only_new_codes_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[int] = []

    class Counting(near_pairs_module.Index):
        def pairs(self, radius: int, **options: Any) -> Any:
            joined.append(len(self))
            return super().pairs(radius, **options)

    monkeypatch.setattr(near_pairs_module, "Index", Counting)
    codes = np.random.default_rng(0).integers(0, 256, (1000, 8), np.uint8)
    known = distinct(codes)[0]
    near_pairs(known[:990], 64, 10, tmp_path / "pairs.npz")
    near_pairs(known, 64, 10, tmp_path / "pairs.npz")
    near_pairs(known, 64, 8, tmp_path / "pairs.npz")
    assert joined == [990, 10, 10]


@pytest.mark.parametrize("place", [10, 200, -30])
def test_a_damaged_or_missing_cache_costs_only_time(tmp_path: Path, place: int) -> None:
    cache = tmp_path / "pairs.npz"
    codes = distinct(np.random.default_rng(1).integers(0, 256, (200, 1), np.uint8))[0]
    wanted = all_pairs(near_pairs(codes, 8, 1, cache))
    content = bytearray(cache.read_bytes())
    content[place] ^= 255
    cache.write_bytes(content)
    assert all_pairs(near_pairs(codes, 8, 1, cache)) == wanted
    near_pairs(np.zeros((1, 2), np.uint8), 16, 1, cache)  # of codes of another width
    assert all_pairs(near_pairs(codes, 8, 1, cache)) == wanted


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs_module, "MAX_PAIRS", 100)
    codes = np.arange(64, dtype=np.uint8).reshape(-1, 1)
    with pytest.raises(OptionError, match="radius=8: more than 100 pairs"):
        near_pairs(codes, 8, 8)


def near_code(content: bytes, spec: ModelSpec) -> VideoCode:
    """The first eight bytes; a second for each byte that there is."""
    code = np.frombuffer(content[:8].ljust(8, b"\0"), np.uint8)
    return VideoCode(code, 64, spec.fingerprint, confidence=0.5, duration=float(len(content)))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tests.fake_encoder.code_of", near_code)
    with Library(tmp_path / "lib", encoder=FakeEncoder()) as library:  # type: ignore[arg-type]
        yield library


def write(folder: Path, name: str, code: int, seconds: int = 8) -> None:
    folder.mkdir(exist_ok=True)
    content = code.to_bytes(8, "little") + b"." * (seconds - 8)
    (folder / name).write_bytes(MAGIC + content)


def names(groups: Any) -> list[tuple[str, list[tuple[str, int]]]]:
    return [
        (Path(g.representative.path).name, [(Path(m.entry.path).name, m.distance) for m in g.members])
        for g in groups
    ]


def test_a_library_finds_groups_and_keeps_what_was_said(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    assert library.duplicates(radius=4) == []
    write(folder, "a", 0b0, 20)
    write(folder, "b", 0b11, 10)
    write(folder, "c", 0b111111, 30)
    library.add([folder])
    assert names(library.duplicates(radius=2)) == [("a", [("b", 2)])]
    write(folder, "d", 0b1)
    library.add([folder])
    (found,) = library.duplicates(radius=2)
    assert names([found]) == [("a", [("d", 1), ("b", 2)])]
    assert found.bytes == sum((folder / n).stat().st_size for n in "bd")
    a, b = (entry.digest for path in "ab" if (entry := library.get(folder / path)))
    assert library.judge([Judgement(a, b, match=False)]) == 1
    assert names(library.duplicates(radius=2)) == [("a", [("d", 1)])]
    library.remove([folder / "b"])  # the judgement is about the content, which comes back under another name
    (folder / "b").rename(folder / "e")
    library.add([folder])
    assert names(library.duplicates(radius=2)) == [("a", [("d", 1)])]
    assert library.judge([Judgement(b, a, match=True)]) == 0
    assert names(library.duplicates(radius=2)) == [("a", [("d", 1), ("e", 2)])]
    assert list(library.verify()) == []


def test_a_file_of_judgements(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    pair = {"a": {"digest": "00" * 32}, "b": {"digest": "11" * 32}, "judgement": "not a match"}
    good = {"kind": FILE_KIND, "schema": 1, "pairs": [pair, {**pair, "judgement": "match"}]}
    file.write_text(json.dumps(good))
    assert read_judgements(file) == [Judgement(b"\0" * 32, b"\x11" * 32, said) for said in (False, True)]
    same, other = {**pair, "b": pair["a"]}, {**pair, "judgement": "no"}
    wrong = ([same], [other], [{**pair, "a": {"digest": "00"}}], 3)
    documents = ([], {}, {**good, "schema": 2}, {**good, "kind": "x"})
    for bad in (*documents, *({**good, "pairs": pairs} for pairs in wrong)):
        file.write_text(json.dumps(bad))
        with pytest.raises(OptionError):
            read_judgements(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match="no file of judgements"):
        read_judgements(file)
