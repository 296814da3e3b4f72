"""Videos that hold one picture: the picture in detail tells whether they are copies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import av

from tests.video.test_box import smooth
from vhash_sdk import Encoder, Library
from vhash_sdk.library.library import Library as Opened
from vhash_sdk.report.pixels import look_text

WIDTH, HEIGHT = 640, 360


def page(seed: int) -> np.ndarray:
    """A page of a template: the same background and heading, words of its own, ``uint8[H, W, 3]``."""
    picture = (smooth(np.random.default_rng(0), HEIGHT, WIDTH) * 0.5 + 110).astype(np.uint8)
    words = np.random.default_rng(seed)
    picture[20:60, 40:600] = (30, 60, 160)
    for top in range(100, 330, 28):
        left = 50
        while left < 560:
            word = int(words.integers(14, 70))
            picture[top : top + 12, left : left + word] = 20
            left += word + 10
    return picture


def held(target: Path, picture: np.ndarray, *, crf: int, width: int = WIDTH, seconds: int = 3) -> Path:
    """A video that shows one picture all the time."""
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, width * HEIGHT // WIDTH, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(10 * seconds):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(stream.width, stream.height, "yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("held")
    held(folder / "page.mp4", page(1), crf=20)
    held(folder / "copy.mp4", page(1), crf=30, width=480, seconds=5)
    held(folder / "next page.mp4", page(2), crf=20)
    with Encoder("copy", threads=1) as encoder, Library(folder / "lib", encoder=encoder) as library:
        library.add([folder / f"{name}.mp4" for name in ("page", "copy", "next page")], workers=1)
        yield library


def test_a_copy_of_a_picture_that_is_held_is_found_and_no_other_page(library: Opened) -> None:
    first, copy, other = library
    assert all(entry.code.unreliable for entry in library)  # nothing moves: their codes say little
    said = library.decide(first, copy)
    assert said.same is True and said.look is not None and said.look.detail > 0.97
    assert look_text(said.look).startswith("one picture that is held, the same in detail")
    unlike = library.decide(first, other)
    assert unlike.same is not True and unlike.look is not None and 0 < unlike.look.detail < 0.9
    (group,) = library.duplicates()
    assert {group.representative.id, group.members[0].entry.id} == {first.id, copy.id}
