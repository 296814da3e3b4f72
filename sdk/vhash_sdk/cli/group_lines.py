"""Groups of duplicates as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..matching.relation import VideoRelation
from ..report.wording import megabytes
from .library import damage
from .output import Output, counted, printable
from .pixels import TOLD, look_text
from .sound import heard_text

if TYPE_CHECKING:
    from ..library.duplicates import Groups

_SHOWN = 20  # groups, where the rest is in a file
_LEFT_OUT = 5  # named in text
_REASONS = 3  # shown of a group
_OF = {
    VideoRelation.CONTAINS: "contains, beside others,",
    VideoRelation.SHARES: "shares a part with",
    VideoRelation.TAKE: "shows one scene, but is another take than",
}


def show_groups(out: Output, groups: Groups, *, full: bool) -> None:
    """The groups, then who is related otherwise; the first ones only unless ``full``."""
    names = {same.path: same.names for same in groups.same_files}

    def same(path: str) -> None:
        for name in names.pop(path, ()):
            out.line(f"             the same file: {printable(name)}")

    shown = groups if full else groups[:_SHOWN]
    for number_, group in enumerate(shown, 1):
        count = len(group.members)
        out.line(f"{number_}. {counted(count, 'duplicate')}, {megabytes(group.bytes)}")
        out.line(f"    keep  {printable(group.representative.path)}{damage(group.representative.damaged)}")
        same(group.representative.path)
        reasons = list(dict.fromkeys(m.kept_because for m in group.members if m.kept_because))
        for reason in reasons[:_REASONS]:
            out.line(f"             kept because {reason}")
        if len(reasons) > _REASONS:
            out.line(f"             and for {counted(len(reasons) - _REASONS, 'reason')} more, see --csv")
        for member in group.members:
            out.line(
                f"  {member.distance:4} bits  {printable(member.entry.path)}{damage(member.entry.damaged)}"
            )
            if member.relation in TOLD:
                out.line(f"             {member.relation} the one to keep")
            if member.look is not None and member.look.same:
                out.line(f"             pixels: {look_text(member.look)}")
            if member.sound is not None and member.sound.relation is not None:
                out.line(f"             sound: {heard_text(member.sound)}")
            if member.not_offered:
                out.line(f"             not to be removed: {member.not_offered}")
            same(member.entry.path)
    if len(shown) < len(groups):
        out.line(f"… and {len(groups) - len(shown):,} groups more")
        return
    for path in list(names)[: None if full else _SHOWN]:
        out.line(f"one file, nothing to remove: {printable(path)}")
        same(path)
    _show_related(out, groups, full=full)


def _show_related(out: Output, groups: Groups, *, full: bool) -> None:
    if not groups.related:
        return
    out.line("No duplicates, but related:")
    shown = groups.related if full else groups.related[:_SHOWN]
    for pair in shown:
        out.line(f"    {printable(pair.a.path)}")
        out.line(f"      {_OF[pair.relation]}  {printable(pair.b.path)}")
    if len(shown) < len(groups.related):
        out.line(f"    … and {counted(len(groups.related) - len(shown), 'pair')} more")


def tell_left_out(out: Output, groups: Groups) -> None:
    """Which videos are in no group for what the disk says."""
    for left in groups.left_out[:_LEFT_OUT]:
        out.note(f"vhash: left out: {printable(left.path)}: {left.message}")
    if (more := len(groups.left_out) - _LEFT_OUT) > 0:
        out.note(f"vhash: … and {more:,} more; `vhash verify` lists every file that is not as it was")
