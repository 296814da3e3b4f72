from __future__ import annotations

import numpy as np

from vhash_sdk.video.crops import ten_crops


def test_ten_crops_are_the_centre_the_corners_and_their_mirrors() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 128, 171, 3), dtype=np.uint8)
    crops = ten_crops(frames, (112, 112))
    expected = [
        frames[:, 8:120, 29:141], frames[:, :112, :112], frames[:, :112, -112:],
        frames[:, -112:, :112], frames[:, -112:, -112:],
    ]  # fmt: skip
    for crop, mirrored, wanted in zip(crops[:5], crops[5:], expected, strict=True):
        assert np.array_equal(crop, wanted)
        assert np.array_equal(mirrored, wanted[:, :, ::-1])
