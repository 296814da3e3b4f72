from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhash_sdk.codes import VideoCode, as_codes, hamming_distance, pack_bits, same_model, unpack_bits
from vhash_sdk.errors import CodeError, ModelMismatchError


@given(st.integers(1, 600), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_pack_then_unpack_is_identity(bits: int, n: int, seed: int) -> None:
    booleans = np.random.default_rng(seed).integers(0, 2, (n, bits)).astype(bool)
    codes = pack_bits(booleans)
    assert codes.shape == (n, (bits + 7) // 8) and codes.flags.c_contiguous
    assert np.array_equal(unpack_bits(codes, bits), booleans)


def test_bit_zero_is_the_least_significant_of_byte_zero() -> None:
    assert pack_bits([[1] + [0] * 15]).tolist() == [[1, 0]]
    assert pack_bits([[0] * 8 + [1] + [0] * 7]).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("codes", "bits", "says"),
    [
        (np.zeros((2, 7), np.uint8), 64, r"expected \[n, 8\]"),
        (np.zeros((2, 8), np.float32), 64, "expected uint8"),
        (np.full((1, 2), 255, np.uint8), 12, "padding"),
        (np.zeros((1, 1, 8), np.uint8), 64, "shape"),
        (np.full((1, 8), -1), 64, "dtype"),
        (np.zeros((1, 8), np.uint8), 0, "between 1 and 4096"),
        (np.zeros((1, 8), np.uint8), 5000, "between 1 and 4096"),
    ],
)
def test_wrong_codes_are_named(codes: np.ndarray, bits: int, says: str) -> None:
    with pytest.raises(CodeError, match=says):
        as_codes(codes, bits)


def test_as_codes_takes_read_only_and_strided_views() -> None:
    base = np.arange(64, dtype=np.uint8).reshape(4, 16)
    base.setflags(write=False)
    assert np.array_equal(as_codes(base[:, ::2], 64), base[:, ::2])


def test_text_form_round_trips_and_distance_counts_bits() -> None:
    a = VideoCode(np.uint8([1, 2]), 16, "0123abcd" + "0" * 56, confidence=0.5, duration=1.0)
    b = VideoCode.from_text("vh1:0123abcd:16:0003")
    assert a.text == "vh1:0123abcd:16:0102" and a - b == 2 and a == VideoCode.from_text(a.text)
    assert np.asarray(a).tolist() == [1, 2] and int(hamming_distance(a, b)) == 2
    with pytest.raises(ValueError, match="read-only"):
        a.code[0] = 1


@pytest.mark.parametrize(
    "text",
    ["", "vh1", "vh1:0123abcd:16:00", "vh1:0123ABCD:16:0000", "vh2:0123abcd:16:0000", "vh1:0123abcd:12:00ff"],
)
def test_text_that_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(CodeError):
        VideoCode.from_text(text)


def test_codes_of_two_models_never_mix() -> None:
    with pytest.raises(ModelMismatchError, match="cannot be compared"):
        VideoCode.from_text("vh1:0123abcd:8:00") - VideoCode.from_text("vh1:0123abce:8:00")
    assert not same_model("0123abcd", "0123abce") and same_model(None, "0123abcd")
