"""What a search for duplicates found in a library, and how much of it is chance, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .wording import counted, megabytes

if TYPE_CHECKING:
    from ..library.duplicates import Groups


@dataclass(frozen=True)
class Facts:
    """What the threshold means in a library.

    Attributes:
        videos: of the library.
        bits: width of its codes.
        groups: what was found, up to which distance, at which false-match rate.
    """

    videos: int
    bits: int
    groups: Groups

    @property
    def pairs(self) -> int:
        """How many pairs of videos there are."""
        return self.videos * (self.videos - 1) // 2

    def text(self) -> str:
        """One or two sentences for people."""
        duplicates = sum(len(group.members) for group in self.groups)
        held = megabytes(sum(group.bytes for group in self.groups))
        text = (
            f"{counted(self.videos, 'video')}: {counted(len(self.groups), 'group')} with "
            f"{counted(duplicates, 'duplicate')} of {held}. "
            f"Codes within {self.groups.radius} of {self.bits} bits"
        )
        disk = self._disk()
        rate = self.groups.rate
        if rate is None:
            return f"{text}; without a calibration its false-match rate is not known.{disk}"
        chance, most = (share * self.pairs for share in (rate.estimate, rate.high))
        expected, advice = f"about {chance:,.0f}, at most {most:,.0f},", "; a smaller --fmr leaves fewer"
        if most < 1:
            expected, advice = "fewer than one", ""
        return (
            f"{text}: a false-match rate of {rate.estimate:.2g} (95 %: at most {rate.high:.2g}). "
            f"Of the {self.pairs:,} pairs here {expected} match by chance{advice}.{disk}"
        )

    def _disk(self) -> str:
        """What the disk says that the library does not know."""
        said = ""
        if names := sum(len(same.names) for same in self.groups.same_files):
            said += (
                f" {counted(names, 'name')} more of the same files {'is' if names == 1 else 'are'} no copy."
            )
        if left := Counter(left.reason for left in self.groups.left_out):
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in left.items())
            said += f" Left out: {counted(left.total(), 'near video')} ({reasons})."
        return said
