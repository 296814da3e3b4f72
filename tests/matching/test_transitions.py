"""What slides in and away, is wiped or faded over another video is a copy; what shares an intro is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.matching.test_third_look import ALL, FRAMES, WIDTH, Pictures, film, scene
from vhash_sdk.matching.third_look import third_look

Transition = Callable[[Pictures, Pictures, int], Pictures]
OTHER = scene(9, 0)


def over(picture: Pictures, other: Pictures, x: int, y: int = 0) -> Pictures:
    """One picture over another one, so many pixels to the right and down."""
    shown, (height, width) = other.copy(), picture.shape
    shown[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)] = picture[
        max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)
    ]
    return shown


def slid(pictures: Pictures, other: Pictures, frames: int) -> Pictures:
    """It slides in from the right, and away to the left in half the time."""
    last, shown = len(pictures) - frames // 2, []
    for frame, (one, two) in enumerate(zip(pictures, other, strict=True)):
        x = max(0.0, 1 - frame / frames) - max(0.0, (frame - last) / (frames / 2))
        shown.append(over(one, two, round(WIDTH * x)))
    return np.stack(shown)


def fallen(pictures: Pictures, other: Pictures, frames: int) -> Pictures:
    """It comes down from above, ever more slowly."""
    height = pictures.shape[1]
    ways = [-round(height * max(0.0, 1 - frame / frames) ** 2) for frame in range(len(pictures))]
    return np.stack([over(one, two, 0, y) for one, two, y in zip(pictures, other, ways, strict=True)])


def wiped(pictures: Pictures, other: Pictures, frames: int) -> Pictures:
    """An edge goes from the left to the right; the picture stays."""
    shown = other.copy()
    for frame in range(len(pictures)):
        edge = round(WIDTH * min(1.0, frame / frames))
        shown[frame, :, :edge] = pictures[frame, :, :edge]
    return shown


def faded(pictures: Pictures, other: Pictures, frames: int) -> Pictures:
    """Of each of the first frames a part is the other video's."""
    share = np.minimum(1, np.arange(len(pictures)) / frames).astype(np.float32)[:, None, None]
    return share * pictures + (1 - share) * other


def from_black(pictures: Pictures, other: Pictures, frames: int) -> Pictures:
    """Slowly out of the dark."""
    return faded(pictures, np.zeros_like(other), frames)


TRANSITIONS = [slid, fallen, wiped, faded, from_black]


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_copy_behind_a_transition_is_found(transition: Transition) -> None:
    whole = scene(1, 0)
    found = third_look(film(whole), film(transition(whole, OTHER, 16)), ALL)
    assert found.same, found
    assert (found.path > 16) == (transition in (slid, fallen))


def test_a_copy_that_never_comes_to_rest_is_found_either_way() -> None:
    whole = scene(2, 0)
    one, other = film(whole), film(slid(whole, OTHER, FRAMES)[:-8])
    for found in (third_look(one, other, ALL), third_look(other, one, ALL)):
        assert found.same and found.path > 30, found


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_another_take_behind_a_transition_is_none(transition: Transition) -> None:
    take = transition(scene(1, 1), OTHER, 16)
    assert not third_look(film(scene(1, 0)), film(take), ALL).same


def test_what_follows_an_intro_that_slides_away_is_something_else() -> None:
    half = FRAMES // 2
    one, other = (slid(scene(1, 0)[:half], scene(body, 0)[:half], 6) for body in (2, 3))
    films = [film(np.concatenate([intro, scene(body, 0)[half:]])) for intro, body in ((one, 2), (other, 3))]
    found = third_look(*films, ALL)
    assert not found.same, found
