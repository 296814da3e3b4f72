"""Pixels tell copies from other takes, whatever was done; films are taken where they belong together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from vhash_sdk.matching import registration
from vhash_sdk.matching.film import RATE, SIDE, Film, film_shape, film_times
from vhash_sdk.matching.pictures import TURNS, resized, turned, without_local_means
from vhash_sdk.matching.placement import in_place, windows, zoomed
from vhash_sdk.matching.registration import overlaid, refined, register
from vhash_sdk.matching.shifts import shifts
from vhash_sdk.matching.third_look import NOTHING, _telling, third_look
from vhash_sdk.matching.third_look_result import OTHERS, ThirdLook
from vhash_sdk.matching.timelines import Timeline

Pictures = NDArray[np.float32]
HEIGHT, WIDTH, FRAMES = 108, 192, 48
ALL = [Timeline(1.0, 0.0)]


def smooth(generator: np.random.Generator, *shape: int, grain: int) -> Pictures:
    """Noise of that grain, mean 128."""
    rough = generator.normal(size=(*shape[:-2], shape[-2] // grain + 2, shape[-1] // grain + 2))
    larger = np.repeat(np.repeat(rough, grain, -2), grain, -1)[..., : shape[-2], : shape[-1]]
    kernel = np.ones(grain) / grain
    for axis in (-1, -2):
        larger = np.apply_along_axis(np.convolve, axis, larger, kernel, "same")
    return (128 + 60 * larger).astype(np.float32)


def scene(place: int, take: int) -> Pictures:
    """A place, and things that move through it in one take: ``float32[T, HEIGHT, WIDTH]``."""
    ground = smooth(np.random.default_rng(place), HEIGHT, WIDTH, grain=12)
    generator = np.random.default_rng(1000 * place + take)
    frames = np.repeat(ground[None], FRAMES, 0)
    for _ in range(4):
        thing = smooth(generator, 20, 20, grain=5)
        path = np.cumsum(generator.normal(0, 2.5, (FRAMES, 2)), 0) + generator.uniform((0, 0), (80, 160))
        for frame, (y, x) in enumerate(np.clip(path, 0, (HEIGHT - 21, WIDTH - 21)).astype(int)):
            frames[frame, y : y + 20, x : x + 20] = thing
    return frames


def film(pictures: Pictures, times: NDArray[np.float64] | None = None) -> Film:
    """As it would be decoded."""
    height, width = film_shape(pictures.shape[2], pictures.shape[1])
    small = resized(pictures, SIDE / max(pictures.shape[1:]))[:, :height, :width]
    shown = np.clip(small, 0, 255).astype(np.uint8)
    return Film(shown, np.arange(len(shown)) / RATE if times is None else times)


def cropped(pictures: Pictures) -> Pictures:
    return pictures[:, 20:90, 30:155]


def in_a_corner(pictures: Pictures) -> Pictures:
    other = scene(77, 7)
    other[:, 54:, 96:] = resized(pictures, 0.5)
    return other


def noisy(pictures: Pictures) -> Pictures:
    return pictures + np.random.default_rng(5).normal(0, 25, pictures.shape).astype(np.float32)


def with_a_sticker(pictures: Pictures) -> Pictures:
    pictures = pictures.copy()
    for frame in range(len(pictures)):
        y, x = 10 + frame, 20 + 2 * frame
        pictures[frame, y : y + 30, x : x + 30] = 255 * (frame % 2)
    return pictures


def growing(pictures: Pictures) -> Pictures:
    """A slow zoom to 1.5 times into the middle."""
    shown = []
    for frame, share in zip(pictures, np.linspace(1, 1 / 1.5, len(pictures)), strict=True):
        h, w = round(HEIGHT * share), round(WIDTH * share)
        y, x = (HEIGHT - h) // 2, (WIDTH - w) // 2
        cut = resized(frame[None, y : y + h, x : x + w], 72 / h)[0]
        shown.append(np.pad(cut, ((0, 1), (0, 1)), "edge")[:72, :128])
    return np.stack(shown)


def wandering(pictures: Pictures) -> Pictures:
    """An upright window that goes from the left to the right."""
    places = np.linspace(0, WIDTH - 80, len(pictures)).astype(int)
    return np.stack([frame[:, x : x + 80] for frame, x in zip(pictures, places, strict=True)])


def swaying(pictures: Pictures) -> Pictures:
    """The same, to the right and back, twice."""
    share = 0.5 - 0.5 * np.cos(np.linspace(0, 4 * np.pi, len(pictures)))
    places = ((WIDTH - 61) * share).astype(int)
    return np.stack([frame[:, x : x + 61] for frame, x in zip(pictures, places, strict=True)])


def tilted(pictures: Pictures) -> Pictures:
    """Turned by ten degrees."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT / 2, WIDTH / 2])[:, None, None]
    cosine, sine = np.cos(np.radians(10)), np.sin(np.radians(10))
    rows = np.clip((cosine * y + sine * x + HEIGHT / 2).round(), 0, HEIGHT - 1).astype(int)
    columns = np.clip((cosine * x - sine * y + WIDTH / 2).round(), 0, WIDTH - 1).astype(int)
    return pictures[:, rows, columns]


EDITS: dict[str, Callable[[Pictures], Pictures]] = {
    "nothing": lambda p: p,
    "cropped": cropped,
    "in a corner": in_a_corner,
    "turned": lambda p: turned(p, (1, False)),
    "upside down": lambda p: turned(p, (2, False)),
    "mirrored": lambda p: turned(p, (0, True)),
    "inverted": lambda p: 255 - p,
    "stretched": lambda p: np.repeat(p, 2, axis=1),
    "darker": lambda p: 0.4 * p + 10,
    "noisy": noisy,
    "with a sticker": with_a_sticker,
    "vertical": lambda p: p[:, :, 60:121],
    "tilted": tilted,
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_copies_are_told_by_what_moves(edit: str, place: int) -> None:
    found = third_look(film(scene(place, 0)), film(EDITS[edit](scene(place, 0))), ALL)
    assert found.same, found
    assert (found.motion < 0) == (edit == "inverted")
    assert found.agreeing > 0.9 and found.seconds == FRAMES / RATE


@pytest.mark.parametrize("edit", [growing, wandering, swaying])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_picture_that_moves_over_the_other_is_followed(
    edit: Callable[[Pictures], Pictures], place: int
) -> None:
    whole, moved = film(scene(place, 0)), film(edit(scene(place, 0)))
    for one, other in ((whole, moved), (moved, whole)):
        found = third_look(one, other, ALL)
        assert found.same and found.path > 3, found
    assert not third_look(whole, film(edit(scene(place, 1))), ALL).same  # another take
    assert not third_look(whole, film(edit(scene(place + 10, 0))), ALL).same


@pytest.mark.parametrize("place", [1, 2, 3])
def test_pieces_in_another_order_are_found(place: int) -> None:
    whole = scene(place, 0)
    pieces = np.concatenate([whole[24:36], whole[:12], whole[36:], whole[12:24]])
    found = third_look(film(whole), film(pieces), ALL)
    assert found.same and found.anywhere > 0.9 > found.motion, found
    other = np.concatenate([whole[24:36], scene(place, 1)[:24], whole[:12]])  # half of another take
    assert not third_look(film(whole), film(other), ALL).same


def test_what_shares_three_quarters_of_the_picture_is_no_copy() -> None:
    beside = scene(3, 0)
    one, other = beside.copy(), beside.copy()
    one[:, :54, :96], other[:, :54, :96] = (scene(place, 0)[:, :54, :96] for place in (1, 2))
    found = third_look(film(one), film(other), ALL)
    assert not found.same and found.apart == pytest.approx(0.25, abs=0.1), found


@pytest.mark.parametrize("edit", ["nothing", "cropped", "mirrored", "noisy"])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_another_take_of_one_scene_is_no_copy(edit: str, place: int) -> None:
    found = third_look(film(scene(place, 0)), film(EDITS[edit](scene(place, 1))), ALL)
    assert found.same is False, found
    assert abs(found.still) > 0.5 > 0.3 > abs(found.motion)


@pytest.mark.parametrize("edit", EDITS)
def test_strangers_are_no_copies(edit: str) -> None:
    found = third_look(film(scene(1, 0)), film(EDITS[edit](scene(2, 0))), ALL)
    assert not found.same, found
    assert abs(found.motion) < 0.35


def test_two_videos_beside_one_and_the_same_are_no_copies() -> None:
    beside = scene(3, 0)
    one, other = (np.concatenate([scene(place, 0)[:, :, :96], beside[:, :, :96]], 2) for place in (1, 2))
    found = third_look(film(one), film(other), ALL)
    assert not found.same and found.against > 0.2, found


def test_a_shared_intro_is_no_copy_and_a_part_is() -> None:
    whole, other = scene(1, 0), scene(2, 0)
    half = FRAMES // 2
    intro = np.concatenate([whole[:half], other[half:]])
    found = third_look(film(whole), film(intro), ALL)
    assert not found.same and 0.3 < found.agreeing < 0.7, found
    part = third_look(film(whole), film(whole[12:36]), [Timeline(1.0, -12 / RATE)])
    assert part.same and part.seconds == 24 / RATE, part


def test_time_goes_as_the_line_says_and_may_be_a_little_wrong() -> None:
    whole = scene(3, 0)
    assert third_look(film(whole), film(whole[::-1]), [Timeline(-1.0, (FRAMES - 1) / RATE)]).same
    assert third_look(film(whole), film(whole[::2]), [Timeline(0.5, 0.0)]).same
    assert third_look(film(whole), film(whole[4:]), ALL).same  # half a second
    wrong = third_look(film(whole), film(whole[::-1]), ALL)
    assert abs(wrong.motion) < 0.5 and wrong.anywhere > 0.9  # by the order of its frames it is not found


def test_black_and_tiny_films_say_nothing() -> None:
    black = Film(np.zeros((FRAMES, 36, 64), np.uint8), np.arange(FRAMES) / RATE)
    thin = Film(np.zeros((FRAMES, 1, 64), np.uint8), np.arange(FRAMES) / RATE)
    whole = film(scene(1, 0))
    for one, other in ((black, black), (black, whole), (whole, thin), (thin, thin)):
        assert third_look(one, other, ALL).same is None
    assert third_look(whole, whole, []) == NOTHING
    assert third_look(whole, whole, [Timeline(1.0, 1000.0)]) == NOTHING


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_cut_to_black_is_no_movement(place: int) -> None:
    """Two takes whose ends are blank: that both go black at once says nothing of them."""
    one, other = scene(place, 1), scene(place, 2)
    for pictures in (one, other):
        pictures[18:] = 0
    assert third_look(film(one), film(noisy(one)), ALL).same is True
    apart = third_look(film(one), film(other), ALL)
    assert apart.same is not True and apart.together < 0.6


def test_what_does_not_move_is_left_to_the_codes() -> None:
    still = np.repeat(scene(1, 0)[:1], FRAMES, 0)
    assert third_look(film(noisy(still)), film(still), ALL).same is None


def test_the_placement_says_how_they_lie_on_each_other() -> None:
    a, b = film(scene(1, 0)).values[::8], film(turned(cropped(scene(1, 0)), (3, False))).values[::8]
    (best, *_) = register(a, b)
    assert best.turn == (1, False)  # what undoes it
    assert best.scale * np.exp(best.growth) == pytest.approx(192 / 125, rel=0.05)
    both = overlaid(a, b, best)
    assert both.a.shape == both.b.shape and len(both.tiles) == both.a.shape[1]
    assert np.corrcoef(both.a.ravel(), both.b.ravel())[0, 1] > 0.9


def test_a_window_in_the_middle_is_looked_for_at_once() -> None:
    whole = film(scene(1, 0)).values[::8]
    window = film(scene(1, 0)[:, :, 66:127]).values[::8]
    for a, b in ((whole, window), (window, whole)):
        high, wide = (refined(a, b, place) for place in windows(a, b))
        assert high.agreement > 0.9 > 0.5 > wide.agreement
    assert not windows(whole, whole)


@pytest.mark.parametrize("turn", [(0, False), (1, False), (1, True), (2, True)])
@pytest.mark.parametrize("scale", [0.75, 1.5])
def test_all_shifts_at_once_are_those_one_by_one(scale: float, turn: tuple[int, bool]) -> None:
    generator = np.random.default_rng(3)
    a, b = (generator.normal(size=(3, 14, 24)).astype(np.float32) for _ in range(2))
    (found,) = shifts(a, b, [scale], [turn])
    first = without_local_means(resized(a, min(1.0, scale)), 2)
    second = turned(without_local_means(resized(b, min(1.0, 1 / scale)), 2), turn)
    (h, w), (height, width) = first.shape[1:], second.shape[1:]
    best = 0.0
    for row in range(1 - h, height):
        for column in range(1 - w, width):
            x = first[:, max(0, -row) : height - row, max(0, -column) : width - column]
            y = second[:, max(0, row) : h + row, max(0, column) : w + column]
            pixels = x[0].size
            if pixels < max(15, 0.6 * min(h * w, height * width)):
                continue
            agreement = float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))
            if abs(agreement) * np.sqrt(pixels) > best:
                best = abs(agreement) * np.sqrt(pixels)
                expected = row + (h - 1) / 2, column + (w - 1) / 2, agreement, pixels
    assert (found.row, found.column, found.agreement, found.pixels) == pytest.approx(expected, abs=1e-4)


def test_strangers_are_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    sampled = registration._sampled
    monkeypatch.setattr(registration, "_sampled", lambda *args: taken.append(1) or sampled(*args))
    assert not third_look(film(scene(1, 0)), film(scene(2, 0)), ALL).same
    assert len(taken) < 500  # to make all placements exact takes 718


@pytest.mark.parametrize("zoom", [1.4, 1.6, 1.9, 2.1])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_what_was_cut_out_of_the_middle_and_enlarged_lies_there(zoom: float, place: int) -> None:
    pictures = film(scene(place, 0)).values[::8]
    height, width = (round(side / zoom) for side in pictures.shape[1:])
    top, left = (pictures.shape[1] - height) // 2, (pictures.shape[2] - width) // 2
    cut = resized(pictures[:, top : top + height, left : left + width], pictures.shape[1] / height)
    for a, b, scale in ((pictures, cut, zoom), (cut, pictures, 1 / zoom)):
        found = max((refined(a, b, placed) for placed in zoomed(a, b)), key=lambda it: abs(it.agreement))
        assert found.agreement > 0.7 and abs(np.log(found.scale * np.exp(found.growth) / scale)) < 0.06


def test_the_upright_placement_is_tried_even_if_others_agree_better(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = film(scene(2, 0)).values[::8]
    found = shifts(resized(shown, 0.5), resized(shown, 0.5), [1.0], TURNS)
    worse = [
        place._replace(agreement=place.agreement * (0.2 if place.turn == (0, False) else 1))
        for place in found
    ]
    assert max(worse, key=lambda place: place.significance).turn != (0, False)
    monkeypatch.setattr(registration, "shifts", lambda *args: list(worse))
    placed = register(shown, shown)
    assert placed[0].turn == (0, False) and placed[0].agreement > 0.99 and len(placed) == 4


def test_a_placement_that_is_inverted_by_accident_is_not_preferred() -> None:
    """Two presenters in one studio: their pictures agree; half as large, inverted, a little moves alike."""
    upright = NOTHING._replace(motion=0.1, still=0.75, variety=5.0)
    accident = NOTHING._replace(motion=-0.4, still=-0.5, variety=5.0)
    assert accident.together >= OTHERS
    assert max(accident, upright, key=_telling) == upright
    inverted = accident._replace(motion=-0.9, still=-0.95)  # a copy moves as alike as any other
    faint = upright._replace(motion=0.4)
    assert max(upright, inverted, key=_telling) == inverted
    assert max(upright._replace(still=0.9), faint, key=_telling) == faint


def faint(pictures: Pictures) -> Pictures:
    """What moves is hardly seen in the noise."""
    ground = pictures.mean(0)
    noise = np.random.default_rng(8).normal(0, 8, pictures.shape).astype(np.float32)
    return ground + 0.1 * (pictures - ground) + noise


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_faintly_alike_at_the_right_time_and_no_other_is_a_copy(place: int) -> None:
    one = scene(place, 0)
    found = third_look(film(faint(one)), film(one), ALL)
    assert found.same and found.elsewhen < 0.1 and not found._replace(elsewhen=1.0).same


def test_what_is_as_alike_at_other_times_is_no_copy() -> None:
    turns = np.arange(FRAMES) % 12  # the same nod again and again, in both
    nod, first, second = (scene(3, take)[turns] for take in (0, 1, 2))
    found = third_look(film(0.4 * nod + 0.6 * first), film(0.4 * nod + 0.6 * second), ALL)
    assert found.faintly_alike and found.elsewhen > 0.9 and found.same is None
    assert found._replace(elsewhen=0.0).same


def test_the_limits_of_what_is_faintly_alike() -> None:
    for limit, said in ((0.2, True), (0.21, None)):
        look = ThirdLook(0.5, 0.0, 1.0, 0.95, 0.005, 5.0, 8.0, None, elsewhen=limit)
        assert look.faintly_alike and look.same is said
    assert (
        look._replace(elsewhen=0.0, still=0.8).same is None
        and look._replace(elsewhen=0.0, seconds=1.0).same is None
    )
    assert (
        look._replace(elsewhen=0.0, apart=0.2).same is None
        and look._replace(elsewhen=0.0, motion=0.4).same is None
    )


def test_a_squashed_copy_lies_in_place() -> None:
    a = film(scene(2, 0)).values[::8]
    b = resized(a, 1.0)[:, ::2]
    assert refined(a, b, in_place(a, b)).agreement > 0.8


def test_films_of_long_videos_are_taken_where_they_belong_together() -> None:
    line = Timeline(1.0, 30.0)
    here, there = film_times(3600.0, 3700.0, [line])
    assert len(here) == 3 * 4 * RATE and len(there) < 1000
    assert np.isin(here + 30.0, there).all()
    short, long = film_times(8.0, 600.0, [Timeline(1.0, 250.0)])
    assert len(short) == 8 * RATE and there.min() >= 0
    assert long.min() <= 250 - 3 and long.max() >= 258 + 3 - 1 / RATE
    backwards = film_times(60.0, 60.0, [Timeline(-1.0, 60.0)])
    assert np.isin(60.0 - backwards[0], backwards[1]).all()


def test_frames_that_are_not_there_belong_to_nothing() -> None:
    one = Film(np.zeros((3, 4, 64), np.uint8), np.array([0.0, 0.125, 5.0]))
    assert one.nearest(np.array([-1.0, 0.01, 0.1, 2.0, 5.02])).tolist() == [-1, 0, 1, -1, 2]
    assert Film(one.frames[:1], one.times[:1]).nearest(np.array([0.0])).tolist() == [0]


def test_few_changes_have_to_agree_more() -> None:
    once = ThirdLook(0.75, 0.0, 1.0, 0.9, 0.5, 1.0, 4.0, None)
    assert once.same is None and once._replace(variety=4.0).same and once._replace(motion=0.95).same
    assert not once._replace(motion=-0.95).same  # the pictures are not inverted
