"""What `benchmarks.speed.pruning` counts, on codes of which it is known; and heads of copies."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from benchmarks.near_duplicates import copy_heads  # noqa: E402 (torch is optional)
from benchmarks.near_duplicates.metrics import Pairs  # noqa: E402
from benchmarks.speed import pruning  # noqa: E402
from training.train_copy_hash import Described  # noqa: E402


def codes(count: int, seed: int = 0) -> pruning.Signs:
    return pruning.signs(np.random.default_rng(seed).normal(size=(count, pruning.BITS)))


def test_a_tile_is_read_until_all_of_it_is_too_far() -> None:
    query = codes(1)
    far = np.repeat(-query, 512, axis=0)
    assert pruning.stops(query, far) == dict.fromkeys(
        pruning.TILES, 4 / 16
    )  # 64 of 256 bits are more than 60
    far[0] = query  # one match: its tile of 512 and its line of 8 are read to the end
    assert pruning.stops(query, far) == {"a tile of 512": 1.0, "a line of 8": (63 * 4 / 16 + 1) / 64}


def test_bounds_leave_out_what_lies_around_another_centre() -> None:
    one = codes(1)
    groups = np.concatenate([np.repeat(one, 500, axis=0), np.repeat(-one, 500, axis=0)])
    found = pruning.clusters(one, groups, 20, np.random.default_rng(0))
    assert found == {"clusters' bounds": 0.52, "codes' own bounds": 0.52}  # half of them, and the centres
    strangers = pruning.clusters(codes(5, 1), codes(1000, 2), 20, np.random.default_rng(0))
    assert strangers["clusters' bounds"] == pytest.approx(1.02)


def test_bits_that_say_nothing_come_last() -> None:
    some = codes(2000)
    some[:, 7] = 1  # always the same
    some[:, 9] = some[:, 8]  # says what another one says
    order = pruning.telling(some).tolist()
    assert sorted(order) == list(range(pruning.BITS)) and order[-1] == 7
    assert max(order.index(8), order.index(9)) > 200


def test_a_head_of_copies_is_asked_alike_whether_it_codes_or_not() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.nn.functional.normalize(torch.randn(600, 512, generator=generator))
    views = torch.nn.functional.normalize(clean[None] + 0.02 * torch.randn(1, 600, 512, generator=generator))
    own = Described(clean, views, torch.arange(600))
    truth = np.arange(100)
    pairs = Pairs(truth, truth[None] != truth[:, None])
    asked = copy_heads.Asked(views[0, :100], clean[:100], pairs)
    for name in ("uncoded", "itq", "lsh"):
        none, some = asked.recalls(copy_heads.own_head(name, own, 128))
        assert 0.9 < none <= some <= 1, name
    assert copy_heads.learned("mfh", own, 64)(clean[:3]).shape == (3, 8)
