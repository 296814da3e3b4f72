"""From the rows of a library to groups of duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ..encoding.reliability import pixels_tell
from ..errors import OptionError
from ..matching.calibration import USUAL_RATE, Calibration, Rate, as_calibration
from ..matching.relation import VideoRelation
from ..matching.sound import Heard
from ..matching.verdict import Decision, Verdict
from ..names import printable
from ..spec import ModelSpec
from .alike import Alike
from .database import Database
from .duplicates import Group, Groups, Member, Related, Traits, Videos, stars
from .entries import entries_of
from .judgements import apart
from .keeping import KeepRules, best_first
from .looks import Looks
from .near_pairs import PairCache, distinct
from .on_disk import Files
from .reading import candidates, files_of, traits, video_count
from .records import Entry
from .roles import Places, Roles
from .rows import code_array, id_array
from .searching import StoredViews, no_match
from .sounds import heard_between, keeps_sound


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
    return Verdict.at(spec, table, USUAL_RATE if rate is None else rate, max(1, videos))


def find_groups(
    database: Database,
    cache: PairCache,
    spec: ModelSpec,
    verdict: Verdict,
    *,
    keep: str,
    roles: Roles,
    looks: Looks | None = None,
    ask_disk: bool = True,
) -> Groups:
    """Groups of videos that are copies of their representative; see ``Library.duplicates``.

    Args:
        database, cache, spec: of the library.
        verdict: decides; codes within what it calls candidates are looked at.
        keep: which video represents a group, see ``KeepRules``.
        roles: of folders.
        looks: takes third looks; None: nobody does.
        ask_disk: only files that are as they were when they were added, each under one of its names.
    """
    rules, where = KeepRules(keep), Places(roles)
    views, files = StoredViews(database, spec), Files()
    videos, codes = _read(database, spec, pixels=looks is not None and views.any)
    if roles.any or rules.needs_traits:
        videos = _with_traits(database, videos, where)
    measures = rules.measures(videos)
    known, places = distinct(codes)
    radius = views.reach(verdict, len(videos.ids))
    pairs = cache.near(known, spec.bits, radius)

    alike = Alike(database, spec, verdict, videos, where, views, looks, radius)

    def usable(near: NDArray[np.int64]) -> list[int]:
        return files.look_at(_files(database, videos, near))

    found = stars(
        videos,
        places,
        pairs,
        order=best_first(videos, rules, measures),
        apart=apart(database),
        alike=alike,
        parts=alike.parts,
        usable=usable if ask_disk else None,
    )
    because = partial(rules.because, measures)
    making = _Groups(files, where, alike.said, verdict.calibration, because, _hearing(database))
    groups = making.of(database, spec, videos, list(found))
    rate = verdict.rate if views.all else verdict.codes_rate
    related = making.related(database, spec, videos, alike.related)
    return Groups(
        groups,
        related=related,
        left_out=files.left_out,
        same_files=files.same(),
        radius=radius,
        rate=rate,
    )


def _hearing(database: Database) -> Callable[[Entry, Entry], Heard | None]:
    """What says what two videos sound like; nothing where no sound is kept."""
    return partial(heard_between, database) if keeps_sound(database) else lambda a, b: None


@dataclass(frozen=True)
class _Groups:
    """The groups with their entries and rates, from places of videos."""

    files: Files
    where: Places
    said: Mapping[tuple[int, int], Decision]
    calibration: Calibration | None
    because: Callable[[int, int, Entry, Entry], str]
    hear: Callable[[Entry, Entry], Heard | None]

    def of(
        self,
        database: Database,
        spec: ModelSpec,
        videos: Videos,
        found: list[tuple[int, list[tuple[int, int]]]],
    ) -> list[Group]:
        ids = [
            int(videos.ids[place]) for here, members in found for place in (here, *(p for p, _ in members))
        ]
        at = {entry.id: entry for entry in entries_of(database, spec, ids)}
        groups = []
        for here, members in found:
            best = at.get(int(videos.ids[here]))
            there = [(place, at.get(int(videos.ids[place])), bits) for place, bits in members]
            if best is None:  # removed by another process this very moment
                continue
            others = tuple(
                self._member((here, place), (best, entry), bits)
                for place, entry, bits in there
                if entry is not None
            )
            if others:
                groups.append(Group(best, others))
        return sorted(groups, key=lambda group: (-group.bytes, group.representative.id))

    def related(
        self,
        database: Database,
        spec: ModelSpec,
        videos: Videos,
        found: Mapping[tuple[int, int], Decision],
    ) -> list[Related]:
        """The pairs that are no duplicates, with their entries, the nearest first."""
        ids = {int(videos.ids[place]) for pair in found for place in pair}
        at = {entry.id: entry for entry in entries_of(database, spec, ids)}
        pairs = []
        for places, decision in found.items():
            a, b = (at.get(int(videos.ids[place])) for place in places)
            if a is None or b is None or decision.relation is None:  # removed this very moment
                continue
            pairs.append(
                Related(a, b, decision.relation, decision.distance, decision.verified, decision.look)
            )
        return sorted(pairs, key=lambda pair: (pair.verified or 0, pair.a.id, pair.b.id))

    def _member(self, places: tuple[int, int], entries: tuple[Entry, Entry], bits: int) -> Member:
        decision, entry = self.said.get(places), entries[1]
        rate = self._rates(bits) if decision is None else decision.rate
        verified = None if decision is None else decision.verified
        seen = None if decision is None else decision.look
        related = None if decision is None or decision.relation is None else decision.relation.inverse
        names, barred = self.files.removal(places[1])
        for name in (entry.path, *self.files.names(places[1])):
            if folder := self.where.reference(name):
                names, barred = (), f"it lies in the reference folder {printable(folder)}"
                break
        if related is VideoRelation.CONTAINS and not barred:
            names, barred = (), "it contains the one to keep and more, which would be lost"
        elif decision is not None and decision.in_a_pane and not barred:
            names, barred = (), "the one to keep shows it as a pane of a split screen only"
        because = self.because(*places, *entries)
        sound = self.hear(*entries)
        return Member(
            entry,
            bits if decision is None else decision.distance,
            rate,
            names,
            barred,
            verified=verified,
            kept_because=because,
            sound=sound,
            look=seen,
            relation=related,
        )

    @cached_property
    def _rates(self) -> Callable[[int], Rate | None]:
        table = self.calibration
        return lru_cache(None)(lambda bits: None if table is None else table.false_match_rate(bits))


def decided(
    database: Database, spec: ModelSpec, verdict: Verdict, a: Entry, b: Entry, looks: Looks | None = None
) -> Decision:
    """What ``find_groups`` goes by for two videos; see ``Library.decide``."""
    views = StoredViews(database, spec)
    closer = None if looks is None else partial(looks.at, a, b)
    told_apart = not (a.code.unreliable or b.code.unreliable)
    decision = verdict.decide(views.of(a.id), views.of(b.id), told_apart=told_apart, closer=closer)
    if b.digest in apart(database).get(a.digest, ()):
        return no_match(decision)
    if a.digest == b.digest:
        return replace(decision, same=True)
    radius = views.reach(verdict, video_count(database))
    same = decision.same is True or (told_apart and decision.same is None)
    if same and decision.distance > radius:
        return no_match(decision)
    return replace(decision, same=same)


def _files(database: Database, videos: Videos, places: NDArray[np.int64]) -> list[tuple[int, str, int, int]]:
    """(place, path, size, time of the last change) of videos, as the library remembers them."""
    place_of = {int(videos.ids[place]): int(place) for place in places}
    rows = files_of(database, place_of)
    return [(place_of[row.id], os.fsdecode(row.path), row.size, row.mtime_ns) for row in rows]


def _read(database: Database, spec: ModelSpec, *, pixels: bool) -> tuple[Videos, NDArray[np.uint8]]:
    """The videos and their codes; with ``pixels``, third looks can be taken at what codes do not tell."""
    rows = candidates(database)
    codes = code_array(database.path, [row.code for row in rows], spec.bits)
    ids, first, owner = np.unique(id_array([row.id for row in rows]), return_index=True, return_inverse=True)
    firsts = [rows[row] for row in first]
    facts = [[row.duration or 0, (row.width or 0) * (row.height or 0), row.size] for row in firsts]
    seconds, shown, sizes = np.array(facts, np.float64).reshape(-1, 3).T
    # with a content box, or panes, each of them shows less than the whole picture
    shown = shown / np.bincount(owner.reshape(-1), minlength=len(ids))
    told_apart = np.array([row.unreliable is None for row in firsts], bool)
    seen = np.array([pixels_tell(row.unreliable) for row in firsts], bool)
    damaged = np.array([row.damaged is not None for row in firsts], bool)
    digests = [row.digest for row in firsts]
    compared = seen if pixels else told_apart
    owner = owner.reshape(-1)
    return Videos(ids, digests, compared, told_apart, seconds, shown, sizes, owner, damaged), codes


def _with_traits(database: Database, videos: Videos, where: Places) -> Videos:
    """The same videos with what rules and roles ask for."""
    rows = {row.id: row for row in traits(database)}
    known = [rows.get(number) for number in videos.ids.tolist()]  # None: removed this very moment
    paths = ["" if row is None else os.fsdecode(row.path) for row in known]
    found = Traits(
        paths,
        ["" if row is None else row.codec or "" for row in known],
        np.array([0 if row is None else row.rate or 0 for row in known], np.float64),
        np.array([0 if row is None else row.mtime_ns // 10**9 for row in known], np.float64),
    )
    references = np.array([bool(path and where.reference(path)) for path in paths], bool)
    return replace(videos, traits=found, references=references)
