"""Near codes by sorting: what is near is found, also beside crowds, and memory and work stay bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vhash_sdk.library.segment_join as join_module
import vhash_sdk.library.sorted_join as sorted_module
from vhash_sdk.codes import hamming_distance
from vhash_sdk.errors import OptionError
from vhash_sdk.library.near_pairs import PairCache, distinct, near_pairs
from vhash_sdk.library.segment_join import SegmentTable, link
from vhash_sdk.library.sorted_join import nearest_pairs, sorted_pairs, unpacked

Codes = np.ndarray[Any, np.dtype[np.uint8]]


def random_codes(seed: int, count: int, width: int = 32) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)


def flipped(codes: Codes, bits: int, seed: int) -> Codes:
    generator = np.random.default_rng(seed)
    flips = np.zeros((len(codes), 8 * codes.shape[1]), bool)
    order = generator.random(flips.shape).argpartition(bits)[:, :bits]
    flips[np.arange(len(codes))[:, None], order] = True
    return codes ^ np.packbits(flips, axis=1, bitorder="little")


def obvious(codes: Codes, radius: int, owners: np.ndarray[Any, Any]) -> set[tuple[int, int, int]]:
    apart = hamming_distance(codes[:, None], codes[None]).astype(int)
    return {
        (a, b, int(apart[a, b]))
        for a, b in np.argwhere(apart <= radius).tolist()
        if a < b and owners[a] != owners[b]
    }


def said(found: tuple[Any, Any]) -> set[tuple[int, int, int]]:
    ends, distances = found
    assert ends.dtype == np.int32 and distances.dtype == np.uint16
    result = [(a, b, d) for (a, b), d in zip(ends.tolist(), distances.tolist(), strict=True)]
    assert len(result) == len(set(result))
    return set(result)


@pytest.mark.parametrize("width", [1, 3, 8, 13, 32])
def test_pairs_are_true_and_hardly_any_is_missed(width: int) -> None:
    base = random_codes(1, 400, width)
    codes = np.unique(np.concatenate([base, flipped(base, width // 2, 2)]), axis=0)
    owners = np.arange(len(codes)) % 50
    radius = width
    wanted, found = obvious(codes, radius, owners), said(sorted_pairs(codes, radius, owners))
    assert found <= wanted and len(found) >= (0.95 if width > 1 else 0.3) * len(wanted) > 0
    assert said(sorted_pairs(codes, radius, owners)) == found


def test_what_differs_in_a_sixth_of_its_bits_is_found_among_many() -> None:
    base = random_codes(3, 100_000)
    for bits, least in ((8, 1.0), (24, 0.98), (40, 0.7)):
        codes = np.concatenate([base, flipped(base[:500], bits, bits)])
        ends, distances = sorted_pairs(codes, 40, np.arange(len(codes)))
        planted = (ends[:, 0] < 500) & (ends[:, 1] - ends[:, 0] == 100_000)
        assert np.count_nonzero(planted) >= least * 500 and (distances[planted] == bits).all()


def test_only_what_is_fresh_is_compared_with_all() -> None:
    base = random_codes(5, 3000)
    codes = np.concatenate([base, flipped(base[:100], 10, 6), flipped(base[:100], 12, 7)])
    owners = np.arange(len(codes))
    fresh = owners >= 3100
    whole, some = said(sorted_pairs(codes, 40, owners)), said(sorted_pairs(codes, 40, owners, fresh=fresh))
    assert some == {pair for pair in whole if fresh[pair[0]] or fresh[pair[1]]} and len(some) == 200


def test_of_too_many_the_nearest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_module, "_MOST", 2000)
    crowd = flipped(np.repeat(random_codes(8, 1), 3000, axis=0), 12, 9)
    copies = random_codes(10, 50)
    codes = np.concatenate([crowd, copies, flipped(copies, 4, 11)])
    ends, distances = sorted_pairs(codes, 40, np.arange(len(codes)))
    assert len(ends) <= 3000 + 2 * 3100
    assert np.count_nonzero((distances == 4) & (ends[:, 1] - ends[:, 0] == 50)) == 50
    packed = np.array([(0 * 9 + 1) << 10 | 5, (0 * 9 + 2) << 10 | 3], np.uint64)
    assert unpacked(nearest_pairs(packed, 9, 9), 9)[0].tolist() == [[0, 1], [0, 2]]


def test_edges() -> None:
    for count in (0, 1):
        ends, distances = sorted_pairs(random_codes(1, count), 10, np.arange(count))
        assert ends.shape == (0, 2) and distances.shape == (0,)
    with pytest.raises(OptionError, match="divide the library"):
        sorted_pairs(
            np.broadcast_to(np.zeros((1, 1), np.uint8), ((1 << 27) + 1, 1)), 1, np.zeros(1, np.int64)
        )


@pytest.mark.parametrize("width", [1, 7, 8, 9, 32])
def test_distinct_codes_are_in_the_order_of_their_bytes(width: int) -> None:
    codes = random_codes(12, 2000, width)
    codes[::3, : min(8, width)] = 7  # many with the same first bytes
    codes[::9] = codes[0]
    wanted, inverse = np.unique(codes, axis=0, return_inverse=True)
    found, place = distinct(codes)
    assert (found == wanted).all() and (place == inverse.reshape(-1)).all()


def test_the_cache_of_one_way_serves_the_other_only_where_it_may(tmp_path: Path) -> None:
    base = distinct(random_codes(13, 500))[0]
    codes = distinct(np.concatenate([base, flipped(base, 6, 14)]))[0]
    owners = np.arange(len(codes))
    cache = PairCache(tmp_path / "p.npz", writable=True)
    loose = cache.near(codes, 256, 40, owners)
    assert not loose.exact and len(loose.ends) > 400
    exact = cache.near(codes, 256, 40)
    assert exact.exact and len(exact.ends) == 500
    assert cache.near(codes, 256, 40, owners).exact
    (tmp_path / "p.npz").unlink()
    cache.near(codes[::2], 256, 40, owners[::2])
    more = cache.near(codes, 256, 40, owners)
    assert not more.exact
    assert set(map(tuple, more.ends.tolist())) == set(map(tuple, loose.ends.tolist()))


def table(videos: list[Codes]) -> SegmentTable:
    number = np.concatenate([np.full(len(codes), video) for video, codes in enumerate(videos)])
    starts = np.concatenate([0.5 * np.arange(len(codes), dtype=np.float32) for codes in videos])
    every = np.concatenate(videos)
    spans = np.stack([starts, starts + 1], axis=1)
    return SegmentTable(
        np.arange(len(every)), number, spans, np.full(len(every), 0.5, np.float32), every, 256
    )


def test_a_large_library_links_what_a_small_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    intro = random_codes(20, 20)
    videos = [
        np.concatenate([random_codes(100 + video, 30), flipped(intro, 6, video)]) for video in range(300)
    ]
    videos[7][3:25] = flipped(videos[200][5:27], 20, 1)
    made = table(videos)
    small = link(made, near_pairs)
    monkeypatch.setattr(join_module, "EXACT", 100)
    large = link(made, near_pairs)
    for links in (small, large):
        assert len(links.ends) < 5 * 300 * 20  # not 300 * 299 / 2 * 20
        owners = made.videos[links.ends]
        assert np.count_nonzero((owners == [7, 200]).all(axis=1)) >= 20
        first = {int(b) for a, b in owners.tolist() if a == 0}
        assert len(first) >= 295  # one stands for all
    assert large.radius == small.radius == 40
