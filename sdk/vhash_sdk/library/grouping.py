"""From the rows of a library to groups of duplicates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..matching.calibration import USUAL_RATE, Calibration, as_calibration
from ..matching.verdict import Decision, Verdict
from ..spec import ModelSpec
from .database import Database
from .duplicates import Group, Groups, Keep, Member, Videos, best_first, stars
from .entries import entries_of
from .judgements import apart
from .near_pairs import PairCache, distinct
from .on_disk import Files
from .reading import candidates, files_of
from .records import Entry
from .rows import code_array, id_array
from .searching import StoredViews


def verdict_for(
    spec: ModelSpec,
    own: Calibration | None,
    given: Calibration | None,
    *,
    fmr: float | None,
    radius: int | None,
    videos: int,
) -> Verdict:
    """What decides in a library; the second look is the model's own, whoever measured the distances.

    Args:
        spec: of the library's model.
        own: the calibration of its model.
        given: another one that counts instead.
        fmr: the threshold as a false-match rate; None: the rate that fits so many videos.
        radius: the threshold in bits, instead.
        videos: how many there are.

    Raises:
        OptionError: there is no calibration, or its pairs cannot support so small a rate; ``radius`` is not
            between 0 and all bits.
        ModelMismatchError: the calibration is of another model.
    """
    if radius is not None and not 0 <= radius <= spec.bits:
        raise OptionError(f"radius={radius}: expected 0 to {spec.bits} bits")
    table = as_calibration(given)
    if table is None:
        table = own
    elif own is not None:
        table.check_model(spec.fingerprint)
        table = replace(table, second_look=own.second_look)
    if radius is not None:
        return Verdict(table, radius)
    rate = table.rate_for(videos) if fmr is None and table is not None else fmr
    return Verdict.at(spec, table, USUAL_RATE if rate is None else rate)


def find_groups(
    database: Database,
    cache: PairCache,
    spec: ModelSpec,
    verdict: Verdict,
    *,
    keep: Keep,
    ask_disk: bool = True,
) -> Groups:
    """Groups of videos that are copies of their representative; see ``Library.duplicates``.

    Args:
        database, cache, spec: of the library.
        verdict: decides; codes within what it calls candidates are looked at.
        keep: which video represents a group.
        ask_disk: only files that are as they were when they were added, each under one of its names.
    """
    assert verdict.radius is not None
    videos, codes = _read(database, spec)
    order = best_first(videos, keep)
    known, places = distinct(codes)
    views, files = StoredViews(database, spec), Files()
    radius = verdict.candidates(len(videos.ids)) if views.any else verdict.radius
    pairs = cache.near(known, spec.bits, radius)

    said: dict[tuple[int, int], Decision] = {}

    def alike(a: int, b: int) -> bool:
        if videos.digests[a] == videos.digests[b] or not views.any:
            return True
        seen = (views.of(int(videos.ids[place])) for place in (a, b))
        decision = verdict.decide(*seen)
        if decision.same is not False:
            said[a, b] = decision
        return decision.same is not False

    def usable(near: NDArray[np.int64]) -> list[int]:
        return files.look_at(_files(database, videos, near))

    found = stars(
        videos,
        places,
        pairs,
        order=order,
        apart=apart(database),
        alike=alike,
        usable=usable if ask_disk else None,
    )
    groups = _groups(database, spec, videos, list(found), files, said, verdict.calibration)
    rate = verdict.rate if views.all else verdict.codes_rate
    return Groups(groups, left_out=files.left_out, same_files=files.same(), radius=radius, rate=rate)


def _groups(
    database: Database,
    spec: ModelSpec,
    videos: Videos,
    found: list[tuple[int, list[tuple[int, int]]]],
    files: Files,
    said: Mapping[tuple[int, int], Decision],
    calibration: Calibration | None,
) -> list[Group]:
    """The groups with their entries and rates, from places of ``videos``."""

    def member(here: int, place: int, entry: Entry, bits: int) -> Member:
        decision = said.get((here, place))
        known = rate(bits) if decision is None else decision.rate
        verified = None if decision is None else decision.verified
        return Member(entry, bits, known, *files.removal(place), verified=verified)

    ids = [int(videos.ids[place]) for here, members in found for place in (here, *(p for p, _ in members))]
    at = {entry.id: entry for entry in entries_of(database, spec, ids)}
    rate = lru_cache(None)(lambda bits: None if calibration is None else calibration.false_match_rate(bits))
    groups = []
    for here, members in found:
        representative = at.get(int(videos.ids[here]))
        there = [(place, at.get(int(videos.ids[place])), distance) for place, distance in members]
        kept = tuple(member(here, place, entry, bits) for place, entry, bits in there if entry is not None)
        if representative is not None and kept:  # else removed by another process this very moment
            groups.append(Group(representative, kept))
    return sorted(groups, key=lambda group: (-group.bytes, group.representative.id))


def _files(database: Database, videos: Videos, places: NDArray[np.int64]) -> list[tuple[int, str, int, int]]:
    """(place, path, size, time of the last change) of videos, as the library remembers them."""
    place_of = {int(videos.ids[place]): int(place) for place in places}
    rows = files_of(database, place_of)
    return [(place_of[row.id], os.fsdecode(row.path), row.size, row.mtime_ns) for row in rows]


def _read(database: Database, spec: ModelSpec) -> tuple[Videos, NDArray[np.uint8]]:
    rows = candidates(database)
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
