"""Videos with too little in them, from frames to the library's groups."""

from __future__ import annotations

import math

import numpy as np

from tests.video.test_box import video
from vhash_sdk import Encoder
from vhash_sdk.encoding.reliability import unreliable


def test_what_is_said_of_videos_without_content() -> None:
    moving = video(1)
    assert unreliable(moving, 10.0) is None
    assert unreliable(moving, math.nan) is None  # frames in memory have no duration
    assert unreliable(moving, 0.4) == "shorter than 1 s"
    assert unreliable(np.full_like(moving, 40), 10.0) == "hardly any texture"
    card = np.full_like(moving, 20)
    card[:, 40:50, 40:90] = 235
    assert unreliable(card, 10.0) == "nothing moves"
    noise = np.random.default_rng(0).normal(0, 0.05, card.shape)
    assert unreliable(np.rint(card + noise).astype(np.uint8), 10.0) == "nothing moves"


def test_encoder_says_so() -> None:
    with Encoder(threads=1) as encoder:
        black = np.zeros((30, 64, 64, 3), np.uint8)
        found = list(encoder.encode_many([black, video(2)]))
    assert [result.code.unreliable for result in found if result.code] == ["hardly any texture", None]
