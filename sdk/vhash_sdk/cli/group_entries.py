"""Groups of duplicates as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import number, path_entry, safe
from .pixels import look_entry
from .sound import heard_entry

if TYPE_CHECKING:
    from ..library.duplicates import Group, Groups, Member, Related
    from ..matching.calibration import Rate
    from ..report.facts import Facts


def file_entries(groups: Groups) -> dict[str, Any]:
    """What was no part of the groups for what the disk says, for JSON."""
    return {
        "same_files": [
            {**path_entry(same.path), "names": [path_entry(name) for name in same.names]}
            for same in groups.same_files
        ],
        "left_out": [
            {**path_entry(left.path), "reason": left.reason, "message": left.message}
            for left in groups.left_out
        ],
    }


def group_entry(group: Group) -> dict[str, Any]:
    """A group."""
    # the contract has the path itself as "representative"; a name that is not UTF-8 has its bytes beside it
    place = path_entry(group.representative.path)
    entry: dict[str, Any] = {"representative": place["path"]}
    if "path_base64" in place:
        entry["representative_base64"] = place["path_base64"]
    if group.representative.damaged:
        entry["damaged"] = safe(group.representative.damaged)
    return {**entry, "bytes": group.bytes, "members": [_member_entry(member) for member in group.members]}


def _member_entry(member: Member) -> dict[str, Any]:
    return {
        **path_entry(member.entry.path),
        "distance": member.distance,
        "verified": member.verified,
        "bytes": member.entry.size,
        "false_match_rate": _rate_entry(member.false_match_rate),
        **({"damaged": safe(member.entry.damaged)} if member.entry.damaged else {}),
        "names": [path_entry(name) for name in member.names],
        "not_offered": member.not_offered or None,
        "kept_because": safe(member.kept_because),
        "sound": heard_entry(member.sound),
        "relation": member.relation,
        "pixels": look_entry(member.look),
    }


def related_entry(pair: Related) -> dict[str, Any]:
    """Two videos that are no duplicates, but more to each other than strangers."""
    return {
        "a": path_entry(pair.a.path),
        "b": path_entry(pair.b.path),
        "relation": pair.relation,
        "distance": pair.distance,
        "verified": pair.verified,
        "pixels": look_entry(pair.look),
    }


def threshold_entry(facts: Facts) -> dict[str, Any]:
    """By what the groups were decided."""
    groups = facts.groups
    rate = _rate_entry(groups.rate)
    return {"radius": groups.radius, "false_match_rate": rate, "pairs": facts.pairs}


def _rate_entry(rate: Rate | None) -> dict[str, float | None] | None:
    if rate is None:
        return None
    return {name: number(value, 12) for name, value in rate._asdict().items()}
