"""A third look at two videos, at their pixels: does the same move at the same place and time?

Codes say whether two videos look alike. Two takes of one scene do, two talks on one template, two films on
one desktop; and a copy that was cropped, turned or put among others hardly does. What tells them apart is
what *changes*: the pictures of both are laid on each other (``registration``), what never changes is taken
off, and the rest has to be the same, frame by frame. A copy has it however it was altered, nothing else does.
It takes the files, and some hundred milliseconds for a pair: so it is for pairs in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .film import RATE, Film, slack
from .following import Followed, Path, followed, path
from .pictures import Frames
from .placement import Placement, in_place, windows, zoomed
from .registration import HOPELESS, Overlaid, overlaid, refined, register
from .sliding import slides
from .third_look_result import LEAST_SECONDS, OTHERS, ThirdLook
from .timelines import Timeline

_LAID = 6  # frames of each film that are laid on each other
_ZOOMED = 0.25  # agreement of one cut out of the other and enlarged, after the longest steps; of all 40 .31
_SURE = 0.8  # agreement of pictures, and of what moves, from which on nothing better is looked for
_LEAST_SHARE = 0.5  # of the shorter film, that has to be compared
_AGREE = 0.5  # correlation of two frames that do
_WELL, _NOT_AT_ALL = 0.8, 0.3  # of frames of a shared part, and of others
_SHOWS = 0.1  # of the mean detail of the frames, without which one says nothing
_FOUND = 0.8  # correlation of changes that are the same
_AWAY = 6  # frames from the right time that are another one
_TILTS = (-0.17, 0.17)  # radians, from which a small turn is found
_IN_SCENERY, _NOTHING = 0.35, 0.06  # motion in the scenery that a picture moves over; movement that is none
_UPRIGHT = (0, False), (0, True)  # turns that any window that moves may have
_CLEAR, _ALL_THE_TIME = 0.8, 0.95  # agreement of pictures that lie on each other as they are, and how often
_ELSE = 0.35  # correlation of the pictures of a tile that shows something else
_OTHERWISE = 0.3  # correlation of a tile that moves otherwise

NOTHING = ThirdLook(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None)


def third_look(a: Film, b: Film, timelines: Sequence[Timeline]) -> ThirdLook:
    """Compare two videos by their pixels.

    Args:
        a, b: of both.
        timelines: from ``a`` to ``b``, the likeliest first, exact to as much as ``film.slack`` says.
    """
    best = NOTHING
    laid = _laid(a, b, timelines)
    if laid is None:
        return best
    lines = _lines(a, b, timelines)
    best = _better(best, a, b, refined(*laid, in_place(*laid)), lines)
    if _sure(best):
        return best
    in_order = in_place(*laid), best.placement
    moved = best.still < _CLEAR or best.agreeing < _ALL_THE_TIME  # else they lie on each other as they are
    if moved:
        for place in chain(_windows(*laid), _registered(*laid), _tilted(*laid)):
            best = _better(best, a, b, place, lines)
            if _sure(best):
                break
    if best.same:
        return best
    if best.faintly_alike:
        best = best._replace(elsewhen=_elsewhen(a, b, best.placement, lines))
        if best.same:
            return best
    best = best._replace(anywhere=_anywhere(a, b, in_order))
    if best.same or not moved:
        return best
    place = best.placement if best.moves_alike and best.placement else in_place(*laid)
    return _sliding(a, b, timelines, place) or _along_a_path(a, b, timelines, best.placement) or best


def _laid(a: Film, b: Film, timelines: Iterable[Timeline]) -> tuple[Frames, Frames] | None:
    """Some frames of both that belong together by the first line that has any.

    That says how pictures lie on each other even where another line is the right one: they lie alike all
    the time, and what stands still tells.
    """
    for line in timelines:
        there = b.nearest(line.speed * a.times + line.offset)
        here = np.flatnonzero(there >= 0)
        if len(here) >= 2:
            taken = here[np.linspace(0, len(here) - 1, 2 * _LAID + 1).round().astype(int)[1::2]]
            return a.values[taken], b.values[there[taken]]
    return None


def _windows(a: Frames, b: Frames) -> Iterator[Placement]:
    """Placements of one cut out of the middle of the other one, at another aspect ratio or enlarged."""
    for place in windows(a, b):
        yield refined(a, b, place)
    for place in zoomed(a, b):
        yield refined(a, b, place, _ZOOMED)


def _registered(a: Frames, b: Frames) -> Iterator[Placement]:
    """Where they lie on each other, asked only if it is needed."""
    yield from register(a, b)


def _tilted(a: Frames, b: Frames) -> Iterator[Placement]:
    """Placements of the whole picture, turned a little further than what is not turned leads to."""
    for tilt in _TILTS:
        yield refined(a, b, in_place(a, b)._replace(tilt=tilt))


def _anywhere(a: Film, b: Film, places: Iterable[Placement | None]) -> float:
    """How much of what changes is in the other film too, of the film of which less is."""
    found = 0.0
    for place in places:
        if place is None:
            continue
        both = overlaid(a.values, b.values, place)
        x, y = (frames - frames.mean(0) for frames in map(_shown, (both.a, both.b)))
        one, two = ((z * z).sum(1) for z in (x, y))
        alike = (x @ y.T) / np.sqrt(one[:, None] * two[None] + 1e-6) >= _FOUND
        shares = [float(each[has].sum() / (each.sum() + 1e-6)) for each, has in
                  ((one, alike.any(1)), (two, alike.any(0)))]  # fmt: skip
        found = max(found, min(shares))
    return found


def _elsewhen(a: Film, b: Film, place: Placement | None, lines: NDArray[np.int64]) -> float:
    """How alike what changes is at other times, at most, as a share of how alike it is at the right ones."""
    assert place is not None
    both = overlaid(a.values, b.values, place)
    x, y = both.a - both.a.mean(0), both.b - both.b.mean(0)
    alike = _correlations(x, y, np.maximum(lines, 0), lines >= 0)
    best = int(np.abs(alike).argmax())
    line, then = lines[best], float(alike[best])
    away = [*range(-len(y) + 1, -_AWAY + 1), *range(_AWAY, len(y))]
    others = np.where(line >= 0, line + np.array(away, np.int64)[:, None], -1)
    shared = (others >= 0) & (others < len(y))
    enough = shared.sum(1) >= _LEAST_SHARE * (line >= 0).sum()
    if not enough.any():
        return 1.0
    others, shared = others[enough], shared[enough]
    elsewhen = np.sign(then) * _correlations(x, y, others * shared, shared)
    return float(np.clip(elsewhen.max() / max(abs(then), 1e-6), 0.0, 1.0))


def _sliding(a: Film, b: Film, timelines: Sequence[Timeline], place: Placement) -> ThirdLook | None:
    """What moves where one picture slides over the other; None where it does not, or they are no copies."""
    places = place, *windows(a.values, b.values)
    for line in timelines:
        frames = _together(a, b, line)
        for each in places:
            along = slides(*frames, each)
            found = None if along is None else _copies_along(*frames, along)
            if found is not None:
                return found
    return None


def _along_a_path(
    a: Film, b: Film, timelines: Sequence[Timeline], place: Placement | None
) -> ThirdLook | None:
    """What moves where one picture moves over the other; None where it does not, or they are no copies so."""
    frames = _together(a, b, timelines[0])
    turns = dict.fromkeys([*_UPRIGHT, *([place.turn] if place else [])])
    along = path(*frames, list(turns))
    return None if along is None else _copies_along(*frames, along)


def _together(a: Film, b: Film, line: Timeline) -> tuple[Frames, Frames]:
    """All frames of both that belong together by a line."""
    there = b.nearest(line.speed * a.times + line.offset)
    here = np.flatnonzero(there >= 0)
    return a.values[here], b.values[there[here]]


def _copies_along(a: Frames, b: Frames, along: Path) -> ThirdLook | None:
    """What moves in both films where one lies on the other along a path; None where they are no copies."""
    ways = followed(a, b, along)
    if ways is None:
        return None
    # in the one that was cut out of the other all of the scenery moves
    scenery, shown = sorted(map(_moves_where_seen, ways), key=lambda found: found.moving)
    found = shown._replace(path=along.length, placement=along.middle)
    told = scenery.together >= _IN_SCENERY or scenery.moving <= _NOTHING
    return found if found.same and told else None


def _moves_where_seen(way: Followed) -> ThirdLook:
    count = way.seen.sum(0)
    x, y = ((z - z.sum(0) / count) * way.seen for z in (way.a, way.b))
    return _measured((way.a, way.b), (x, y), way.tiles)


def _sure(found: ThirdLook) -> bool:
    return found.motion >= _SURE and found.still >= _SURE and found.agreeing >= _SURE


def _better(best: ThirdLook, a: Film, b: Film, place: Placement, lines: NDArray[np.int64]) -> ThirdLook:
    hopeless = abs(place.agreement) < (HOPELESS if best.placement else 1e-6)
    if not len(lines) or hopeless:
        return best
    both = overlaid(a.values, b.values, place)
    if not both.a.shape[1]:
        return best
    found = _moves(both, place, lines)
    return max(best, found, key=_telling)


def _telling(found: ThirdLook) -> tuple[float, float]:
    """Of ways to lay one on the other that in which the same moves, else that in which both agree."""
    together = found.together
    # what is inverted by accident moves alike a little; a copy does as much as any other
    counts = together >= OTHERS and (found.still > 0 or found.moves_alike)
    return (together, 0.0) if counts else (0.0, abs(found.still))


def _moves(both: Overlaid, place: Placement, lines: NDArray[np.int64]) -> ThirdLook:
    """What two films that lie on each other have in common, along the best line in time."""
    shared, at = lines >= 0, np.maximum(lines, 0)
    alike = _correlations(both.a - both.a.mean(0), both.b - both.b.mean(0), at, shared)
    line = int(np.abs(alike).argmax())
    here, there = _that_show(both.a[shared[line]], both.b[at[line][shared[line]]])
    changes = here - here.mean(0), there - there.mean(0)
    return _measured((here, there), changes, both.tiles)._replace(placement=place)


def _that_show(here: Frames, there: Frames) -> tuple[Frames, Frames]:
    """Without the frames that are blank in both: of two clips with a blank end, only that would change."""
    shows = _shows(np.maximum((here * here).sum(1), (there * there).sum(1)))
    return here[shows], there[shows]


def _shown(frames: Frames) -> Frames:
    """Without the frames that are blank."""
    return frames[_shows((frames * frames).sum(1))]


def _shows(power: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames show something, by the power of their detail; all if hardly any does."""
    shows: NDArray[np.bool_] = power >= _SHOWS**2 * power.mean()
    return shows if shows.sum() > 1 else np.ones(len(power), bool)


def _measured(
    films: tuple[Frames, Frames], changes: tuple[Frames, Frames], tiles: NDArray[np.int64]
) -> ThirdLook:
    """What is to be said of two films that lie on each other, frame by frame, and of what changes in them."""
    (here, there), (x, y) = films, changes
    product = float(np.vdot(here, there))
    whole = float(np.vdot(here, here)) * float(np.vdot(there, there)) + 1e-6
    moved = float(np.vdot(x, x)) * float(np.vdot(y, y))
    alike = x @ x.T
    motion, against = _motion(x, y, tiles)
    sign = 1.0 if product >= 0 else -1.0
    agreement = _agreement(here, there, sign)
    return ThirdLook(
        motion=motion,
        against=against,
        agreeing=_share(agreement >= _AGREE),
        still=float(product / np.sqrt(whole)),
        moving=float(np.sqrt(moved / whole)),
        variety=float(np.trace(alike)) ** 2 / (float(np.vdot(alike, alike)) + 1e-6),
        seconds=len(here) / RATE,
        placement=None,
        divided=min(_share(agreement >= _WELL), _share(agreement < _NOT_AT_ALL)),
        apart=_apart(here, there, tiles, sign),
    )


def _motion(x: Frames, y: Frames, tiles: NDArray[np.int64]) -> tuple[float, float]:
    """Mean correlation of tiles, by what moves in both, and the share of those that move otherwise."""
    both, first, second = (
        np.bincount(tiles, each) for each in ((x * y).sum(0), (x * x).sum(0), (y * y).sum(0))
    )
    weights = np.minimum(first, second)
    alike, total = both / np.sqrt(first * second + 1e-6), weights.sum() + 1e-6
    motion = float((weights * alike).sum() / total)
    otherwise = alike * (1.0 if motion >= 0 else -1.0) < _OTHERWISE
    return motion, float((weights * otherwise).sum() / total)


def _apart(here: Frames, there: Frames, tiles: NDArray[np.int64], sign: float) -> float:
    """The share of tiles in which both show something, and something else."""
    both, first, second = (
        np.bincount(tiles, each)
        for each in ((here * there).sum(0), (here * here).sum(0), (there * there).sum(0))
    )
    area = np.bincount(tiles)
    shows = (first >= _SHOWS * first.sum() / area.sum() * area) & (
        second >= _SHOWS * second.sum() / area.sum() * area
    )
    otherwise = shows & (sign * both < _ELSE * np.sqrt(first * second + 1e-6))
    return float(area[otherwise].sum() / area.sum())


def _agreement(here: Frames, there: Frames, sign: float) -> NDArray[np.float32]:
    """How far the pictures of each two frames agree, of those that show something."""
    scale = np.sqrt((here * here).sum(1) * (there * there).sum(1))
    counts = scale >= _SHOWS * scale.mean()
    agreement: NDArray[np.float32] = sign * (here * there).sum(1)[counts] / np.maximum(scale[counts], 1e-6)
    return agreement


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0


def _correlations(a: Frames, b: Frames, at: NDArray[np.int64], shared: NDArray[np.bool_]) -> Frames:
    """Correlation of two films along each of L lines."""
    inner, first, second = a @ b.T, (a * a).sum(1), (b * b).sum(1)
    rows = np.arange(len(a))[None]
    both = (inner[rows, at] * shared).sum(1)
    found: Frames = both / (np.sqrt((first * shared).sum(1) * (second[at] * shared).sum(1)) + 1e-6)
    return found


def _lines(a: Film, b: Film, timelines: Iterable[Timeline]) -> NDArray[np.int64]:
    """``[L, Ta]``: for each line the frame of ``b`` that belongs to each of ``a``; -1: none."""
    most = round(slack(float(b.times[-1])) * RATE)
    shifts = np.arange(-most, most + 1) / RATE
    tried = []
    for line in dict.fromkeys(timelines):
        tried += [b.nearest(line.speed * a.times + line.offset + shift) for shift in shifts]
    if not tried:
        return np.empty((0, len(a.times)), np.int64)
    lines = np.unique(np.stack(tried), axis=0)
    shorter = min(len(a.times), len(b.times))
    enough = (lines >= 0).sum(1) >= max(_LEAST_SHARE * shorter, min(LEAST_SECONDS * RATE, shorter))
    return np.asarray(lines[enough], np.int64)
