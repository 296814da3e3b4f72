"""From the rows of a library to groups of duplicates."""

from __future__ import annotations

import json
import os
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..matching.calibration import Calibration, Rate
from ..spec import ModelSpec
from .database import Database
from .duplicates import Group, Groups, Keep, Member, Videos, best_first, stars
from .entries import entries
from .judgements import apart
from .near_pairs import PairCache, distinct
from .on_disk import Files
from .rows import Candidate, VideoFile, code_array, id_array
from .searching import SecondLook

_ROWS = (
    "SELECT v.id, v.digest, v.duration, v.width, v.height, v.size, c.code, v.unreliable, v.damaged"
    " FROM video v"
    " JOIN code c ON c.video = v.id AND c.kind IN ('full', 'box') ORDER BY v.id"
)
_FILES = "SELECT id, path, size, mtime_ns FROM video WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"


def threshold(spec: ModelSpec, calibration: Calibration | None, *, fmr: float | None, videos: int) -> int:
    """The largest distance at which videos of different scenes match at a rate of at most ``fmr``.

    None stands for the rate that fits so many videos, see ``Calibration.rate_for``.

    Raises:
        OptionError: there is no calibration, or its pairs cannot support so small a rate.
        ModelMismatchError: it is of another model.
    """
    if calibration is None:
        raise OptionError(
            f"{spec.name} has no calibration, so no distance has a known false-match rate; give a radius in "
            "bits, or a calibration made by `vhash calibrate`"
        )
    calibration.check_model(spec.fingerprint)
    return calibration.threshold(calibration.rate_for(videos) if fmr is None else fmr)


def false_match_rate(database: Database, calibration: Calibration, radius: int) -> Rate:
    """How often videos of different scenes are taken for copies at a threshold, after the second look.

    Raises:
        OptionError: ``radius`` is not between 0 and the bits of a code.
    """
    rate, look = calibration.false_match_rate(radius), calibration.verification
    if look is None or radius > look.radius:
        return rate
    without = "SELECT 1 FROM video v WHERE v.id NOT IN (SELECT video FROM trajectory) LIMIT 1"
    if database.rows(without):  # some pairs get no second look
        return rate
    # both have to match, so neither alone is rarer
    return Rate(*map(min, zip(rate, look.table.false_match_rate(look.even), strict=True)))


def find_groups(
    database: Database,
    cache: PairCache,
    spec: ModelSpec,
    *,
    radius: int,
    keep: Keep,
    calibration: Calibration | None,
    look: SecondLook,
    ask_disk: bool = True,
) -> Groups:
    """Groups of the videos within ``radius`` bits of their representative; see ``Library.duplicates``.

    Args:
        database, cache, spec: of the library.
        radius: in bits.
        keep: which video represents a group.
        calibration: for the rates of the members.
        look: at candidates.
        ask_disk: only files that are as they were when they were added, each under one of its names.
    """
    videos, codes = _read(database, spec)
    order = best_first(videos, keep)
    known, places = distinct(codes)
    pairs = cache.near(known, spec.bits, radius)

    def alike(a: int, b: int) -> bool:
        same = videos.digests[a] == videos.digests[b]
        return same or look.alike(int(videos.ids[a]), int(videos.ids[b]))

    files = Files()

    def usable(near: NDArray[np.int64]) -> list[int]:
        return files.look_at(_files(database, videos, near))

    found = list(
        stars(
            videos,
            places,
            pairs,
            order=order,
            apart=apart(database),
            alike=alike,
            usable=usable if ask_disk else None,
        )
    )
    ids = [int(videos.ids[place]) for here, members in found for place in (here, *(p for p, _ in members))]
    where = "WHERE v.id IN (SELECT value FROM json_each(?))"
    at = {entry.id: entry for entry in entries(database, spec, where, json.dumps(ids))}
    rate = lru_cache(None)(lambda bits: None if calibration is None else calibration.false_match_rate(bits))
    groups = []
    for here, members in found:
        representative = at.get(int(videos.ids[here]))
        there = [(place, at.get(int(videos.ids[place])), distance) for place, distance in members]
        kept = tuple(
            Member(entry, bits, rate(bits), *files.removal(place))
            for place, entry, bits in there
            if entry is not None
        )
        if representative is not None and kept:  # else removed by another process this very moment
            groups.append(Group(representative, kept))
    groups.sort(key=lambda group: (-group.bytes, group.representative.id))
    return Groups(groups, left_out=files.left_out, same_files=files.same())


def _files(database: Database, videos: Videos, places: NDArray[np.int64]) -> list[tuple[int, str, int, int]]:
    """(place, path, size, time of the last change) of videos, as the library remembers them."""
    place_of = {int(videos.ids[place]): int(place) for place in places}
    rows = database.read(VideoFile, _FILES, (json.dumps(list(place_of)),))
    return [(place_of[row.id], os.fsdecode(row.path), row.size, row.mtime_ns) for row in rows]


def _read(database: Database, spec: ModelSpec) -> tuple[Videos, NDArray[np.uint8]]:
    rows = database.read(Candidate, _ROWS)
    codes = code_array(database.path, [row.code for row in rows], spec.bits)
    ids, first, owner = np.unique(id_array([row.id for row in rows]), return_index=True, return_inverse=True)
    firsts = [rows[row] for row in first]
    facts = [[row.duration or 0, (row.width or 0) * (row.height or 0), row.size] for row in firsts]
    seconds, pixels, sizes = np.array(facts, np.float64).reshape(-1, 3).T
    pixels = np.where(np.bincount(owner.reshape(-1), minlength=len(ids)) > 1, 0.5, 1.0) * pixels  # has a box
    reliable = np.array([row.unreliable is None for row in firsts], bool)
    damaged = np.array([row.damaged is not None for row in firsts], bool)
    digests = [row.digest for row in firsts]
    return Videos(ids, digests, reliable, seconds, pixels, sizes, owner.reshape(-1), damaged), codes
