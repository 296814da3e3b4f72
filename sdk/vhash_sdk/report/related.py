"""Pairs that are no duplicates but related, as data for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..library.duplicates import Groups
from .pixels import look_entry

if TYPE_CHECKING:
    from ..library.duplicates import Group, Related
    from ..library.records import Entry

_MOST_SHOWN = 500  # pairs in a report: each has two pictures


def related_shown(groups: Sequence[Group]) -> tuple[Related, ...]:
    """The related pairs that a report shows: the nearest, so many that a browser holds their pictures."""
    return groups.related[:_MOST_SHOWN] if isinstance(groups, Groups) else ()


def report_entries(groups: Sequence[Group]) -> list[Entry]:
    """The videos of a report: each representative followed by its members, then who is only related."""
    shown = [entry for group in groups for entry in (group.representative, *(m.entry for m in group.members))]
    known = {entry.id for entry in shown}
    for pair in related_shown(groups):
        for entry in (pair.a, pair.b):
            if entry.id not in known:
                known.add(entry.id)
                shown.append(entry)
    return shown


def report_related(groups: Sequence[Group], places: Mapping[int, int]) -> dict[str, Any]:
    """What the page shows of related pairs.

    Args:
        groups: what was found.
        places: of videos in the page, by their ids.
    """
    shown = related_shown(groups)
    every = len(groups.related) if isinstance(groups, Groups) else 0
    return {
        "pairs": [
            {
                "pair": [places[pair.a.id], places[pair.b.id]],
                "relation": pair.relation,
                "distance": pair.distance,
                "pixels": look_entry(pair.look),
            }
            for pair in shown
        ],
        "more": every - len(shown),
    }
