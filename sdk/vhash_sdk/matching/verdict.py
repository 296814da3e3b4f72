"""Whether two videos are copies of one: the one place that decides.

``Library.search``, ``duplicates`` and ``find``, ``compare`` and the command line all ask here, and have no
rule of their own. A pair is first judged by the distance of its codes; where these are near and something
moves in both videos, a second look at how they change over time (``second_look``) decides instead. Where that
leaves a doubt and the files are at hand, a third look at their pixels (``third_look``) has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..codes import hamming_distance
from ..errors import OptionError
from ..spec import ModelSpec
from .calibration import USUAL_RATE, Calibration, Rate, SecondLook
from .panes import CommonPanes, common_panes
from .relation import VideoRelation, in_a_pane, relation_of_copies
from .second_look import Seen, View, nearest_views
from .third_look_result import ThirdLook

_SURE = 0.25  # of the bits: verified distance up to which nobody looks a third time
_CHANGE = 0.3  # of full change that has to be alike in both for that
_SURER = 0.4375  # of the bits: up to this, only a scene that is one all the time is another take
_EQUAL = 0.04  # of the bits: codes as near as that whose frames differ may be of the same pieces, reordered
_NEAR = 0.1  # of the bits: codes of copies where nothing moves
_FARTHER = 1.45  # of the radius, up to which what codes do not tell gets a third look
_THROUGHOUT = 0.8  # of the frames whose pictures agree
_WORST = 0.25  # agreement of the worst quarter of the frames below which two videos share a part only
_WORST_OF_SURE = 0.5  # the same where the rest leaves no doubt; of copies it was 0.56 and more
_OF_ALL_PANES = 0.08  # of the picture that may show something else where some panes do: one of nine is more
_LOOKS = 0.3  # strangers for each video that get a third look, by the calibration's scenes
_FAR_LOOKS = 1.0  # the same by their codes, of which only pixels that leave no doubt make copies
_PASSING = Rate(0.0, 1.6e-3, 4.8e-3)
"""Strangers that a third look takes for copies: of 624 in doubt, in ``decisions``, none was."""
_STRANGERS = 4  # for each video, that a second look has to part from its copies


@dataclass(frozen=True)
class Decision:
    """What is said of two videos.

    Attributes:
        distance: of the nearest views, in bits.
        verified: the verified distance; None where there was no second look.
        threshold: up to which ``verified``, or ``distance`` where that is None, they are copies; None where
            no threshold was asked for or none is known.
        rate: how often videos of different scenes come as near as this; None without a calibration.
        same: whether they are copies of one; None where nothing can be concluded.
        look: what their pixels say, where there was a third look; then ``same`` goes by that.
        relation: what they are to each other; None where nothing can be concluded.
        in_a_pane: whether one shows the other as a pane of its split screen only: smaller than it was.
    """

    distance: int
    verified: int | None
    threshold: int | None
    rate: Rate | None
    same: bool | None
    look: ThirdLook | None = None
    relation: VideoRelation | None = None
    in_a_pane: bool = False


@dataclass(frozen=True)
class Verdict:
    """Decides about pairs of videos of one model.

    Attributes:
        calibration: what distances mean; None: codes within ``radius`` are copies, and no rate is known.
        radius: the threshold in bits between codes.
        fmr: the threshold as a false-match rate. Without a threshold nothing is decided, only measured.
        videos: among how many the pair was found: the more, the fewer strangers may get a third look.

    >>> empty = Verdict(None, radius=3)
    >>> empty.decide((), (), distance=3).same, empty.decide((), (), distance=4).same
    (True, False)
    """

    calibration: Calibration | None
    radius: int | None = None
    fmr: float | None = None
    videos: int = 1

    @classmethod
    def at(cls, spec: ModelSpec, calibration: Calibration | None, fmr: float, videos: int = 1) -> Verdict:
        """A verdict whose threshold is a false-match rate.

        Raises:
            OptionError: there is no calibration, or its pairs cannot support so small a rate.
            ModelMismatchError: it is of another model.
        """
        if calibration is None:
            raise OptionError(
                f"{spec.name} has no calibration, so no distance has a known false-match rate; give a radius "
                "in bits, or a calibration made by `vhash calibrate`"
            )
        calibration.check_model(spec.fingerprint)
        return cls(calibration, calibration.threshold(fmr), fmr, videos)

    @classmethod
    def usual(cls, spec: ModelSpec, calibration: Calibration | None, videos: int = 1) -> Verdict:
        """The verdict where nobody asked for a rate; without decisions where none is known.

        Raises:
            ModelMismatchError: the calibration is of another model.
        """
        if calibration is None:
            return cls(None)
        return cls.at(spec, calibration, max(USUAL_RATE, calibration.smallest_rate), videos)

    @property
    def codes_rate(self) -> Rate | None:
        """How often videos of different scenes are within the radius, by their codes alone."""
        table, radius = self.calibration, self.radius
        return None if table is None or radius is None else table.false_match_rate(radius)

    @property
    def rate(self) -> Rate | None:
        """How often videos of different scenes are taken for copies, if every pair gets its second look."""
        codes = self.codes_rate
        look = None if self.calibration is None else self.calibration.second_look
        if codes is None or look is None or self.radius is None or self.radius > look.radius:
            return codes
        verified = look.table.false_match_rate(self._most(look))
        if self.fmr is not None:  # every pair that the second look takes is a candidate
            return verified
        # both have to match, so neither alone is rarer
        return Rate(*map(min, zip(codes, verified, strict=True)))

    def decide(
        self,
        a: Sequence[View],
        b: Sequence[View],
        *,
        distance: int | None = None,
        told_apart: bool = True,
        closer: Callable[[], ThirdLook | None] | None = None,
    ) -> Decision:
        """What is to be said of two videos.

        Args:
            a, b: their views; of those of a bare code no frames are known.
            distance: of the nearest two, in bits, where it is known already.
            told_apart: whether there is enough in both to tell them from others by their codes. If not,
                nothing is concluded unless a third look finds copies.
            closer: takes a third look at them, which is asked where there is a doubt; gives None where it
                cannot. None: their files are not at hand.
        """
        split = any(view.pane for view in a) and any(view.pane for view in b)
        # the nearest two that were found may be panes, which are not compared
        near = nearest_views(a, b)[0] if distance is None or split else distance
        seen = self._seen(a, b, near) if told_apart else None
        found = self._by_codes(near, seen, told_apart)
        doubtful = self._doubtful(found, seen) if told_apart else self._may_be_copies(near)
        certain = found.same is None or (found.same and not doubtful)
        panes = CommonPanes.NONE
        if found.same is not None:
            panes = common_panes(a, b, self._same_view, self.radius or 0)
        apart = panes is CommonPanes.APART
        if apart or (not certain and self._share_panes(panes, found)):
            # what is alike in the whole pictures may be those panes alone
            found = replace(found, same=False, relation=VideoRelation.SHARES)
        closer_look = closer() if closer is not None and doubtful and not apart else None
        if closer_look is not None and not told_apart:
            found = replace(found, look=closer_look, same=closer_look.surely_same or None)
        elif closer_look is not None and (self._frames_near(found) or closer_look.surely_same):
            found = self._looked(found, closer_look, seen, panes, nearest_views(a, b))
        return self._related(found, a, b)

    def _looked(
        self,
        found: Decision,
        look: ThirdLook,
        seen: Seen | None,
        panes: CommonPanes,
        near: tuple[int, int, int],
    ) -> Decision:
        """What is to be said after a third look; ``near``: of ``nearest_views``."""
        same = self._closer(found, look, seen)
        if self._share_panes(panes, found):
            taken = look.otherwise and not self._far(found)
            same = look.same is True and look.apart <= _OF_ALL_PANES and not taken
        elif same and self._else_beside(look, panes, near):
            same, found = False, replace(found, relation=VideoRelation.SHARES)
        found = replace(found, look=look, same=same)
        if look.same and found.same and found.rate is not None:  # both have to be wrong
            rate = Rate(*(one * other for one, other in zip(found.rate, _PASSING, strict=True)))
            found = replace(found, rate=rate)
        return found

    @staticmethod
    def _related(found: Decision, a: Sequence[View], b: Sequence[View]) -> Decision:
        """The same with what the two are to each other."""
        relation, look = found.relation, found.look
        if found.same:
            relation = relation_of_copies(a, b)
        elif found.same is False and relation is None:
            if look is None:
                relation = VideoRelation.UNRELATED
            elif look.same is False or look.otherwise:
                relation = VideoRelation.SHARES if look.shares else VideoRelation.TAKE
        return replace(found, relation=relation, in_a_pane=found.same is True and in_a_pane(a, b))

    @staticmethod
    def _share_panes(panes: CommonPanes, found: Decision) -> bool:
        """Whether two split screens only have panes in common, as far as codes can tell."""
        return panes is CommonPanes.SOME or (panes is not CommonPanes.NONE and found.same is False)

    @staticmethod
    def _else_beside(look: ThirdLook, panes: CommonPanes, near: tuple[int, int, int]) -> bool:
        """Whether parts of two pictures have near codes, and something else is beside them."""
        if panes is CommonPanes.ALL_OF_ONE:
            return look.apart > _OF_ALL_PANES
        return near[1:] != (0, 0) and look.else_beside

    def _same_view(self, a: View, b: View) -> bool:
        near = int(hamming_distance(a.code, b.code))
        return self._by_codes(near, self._seen((a,), (b,), near), told_apart=True).same is True

    def _doubtful(self, found: Decision, seen: Seen | None) -> bool:
        """Whether a third look is worth its time."""
        table = self.calibration
        if table is None or table.second_look is None or found.same is None or self.fmr is None:
            return False
        near = self._frames_near(found) or self._codes_near(found, table)
        if seen is None or found.verified is None:
            return near and not found.same  # what is near enough by its code alone was never looked at
        sure = self._sure(seen) and not _WORST <= seen.worst < _WORST_OF_SURE
        return near and not sure

    def _frames_near(self, found: Decision) -> bool:
        """Whether the frames of two videos are as near as few strangers' are, or the codes all but equal."""
        look = None if self.calibration is None else self.calibration.second_look
        if look is None or found.verified is None:
            return False
        rate = max(self.fmr or 0.0, look.table.smallest_rate, _LOOKS / self.videos)
        near = found.verified <= max(look.even, look.table.threshold(min(1.0, rate)))
        return near or found.distance <= _EQUAL * self._bits

    def _codes_near(self, found: Decision, table: Calibration) -> bool:
        """Whether codes are as near as few strangers' are: of degraded copies they say more than frames."""
        rate = min(1.0, _FAR_LOOKS / self.videos)
        return rate >= table.smallest_rate and found.distance <= table.threshold(rate)

    def _may_be_copies(self, distance: int) -> bool:
        """Whether codes that tell little are near enough for a third look."""
        most = _FARTHER * (self.radius or 0)
        return self.fmr is not None and distance <= min(most, self.candidates(self.videos))

    def _sure(self, seen: Seen) -> bool:
        """Whether what changes is alike beyond a doubt, if it is alike all the time."""
        return seen.verified <= _SURE * self._bits and seen.changes >= _CHANGE

    def _far(self, found: Decision) -> bool:
        """Whether what changes in two videos is hardly alike by their codes."""
        return found.verified is None or found.verified > _SURER * self._bits

    def _closer(self, found: Decision, look: ThirdLook, seen: Seen | None) -> bool | None:
        """Whether they are copies, by their pixels where these tell, else by what was found before."""
        far = self._far(found)
        if found.distance <= _EQUAL * self._bits and look.of_the_same_pieces:
            return True
        if look.otherwise and not far:
            return False
        divided = seen is not None and seen.worst < _WORST_OF_SURE
        if look.same is None:
            # a copy moves alike, however it was altered
            strange = look.nothing_alike and (found.distance > _NEAR * self._bits or divided)
            return False if look.unlike or (far and (look.barely_like or strange)) else found.same
        if found.relation is VideoRelation.SHARES:  # by its codes, which only much that is alike overrules
            return look.same and (look.path > 0 or look.together >= _THROUGHOUT or not look.moves_alike)
        # a picture that moves over the other one looks like "no copy" too
        throughout = look.agreeing >= _THROUGHOUT or look.parted or divided
        believed = look.same or look.shares or far or throughout
        return look.same if believed else found.same

    @property
    def _bits(self) -> int:
        return 0 if self.calibration is None else self.calibration.bits

    def _by_codes(self, near: int, seen: Seen | None, told_apart: bool) -> Decision:
        table = self.calibration
        look = None if table is None else table.second_look
        if seen is not None and look is not None:
            most, verified = None if self.radius is None else self._most(look), seen.verified
            rate = look.table.false_match_rate(verified)
            if most is None or verified > most:
                return Decision(near, verified, most, rate, None if most is None else False)
            # what the rest shows is something else
            part = seen.worst < (_WORST_OF_SURE if self._sure(seen) else _WORST)
            return Decision(
                near, verified, most, rate, not part, None, VideoRelation.SHARES if part else None
            )
        known = None if table is None else table.false_match_rate(near)
        same = None if self.radius is None or not told_apart else near <= self.radius
        return Decision(near, None, self.radius, known, same)

    def looks_again(self, distance: int) -> bool:
        """Whether codes are so near that there may be a second look."""
        look = None if self.calibration is None else self.calibration.second_look
        return look is not None and distance <= max(look.radius, self.radius or 0)

    def candidates(self, videos: int) -> int:
        """The distance up to which pairs among so many videos are worth a second look, in bits.

        As far as the second look goes; but in a large library no farther than where four strangers come in
        for each video, for every look takes a millisecond. A radius that was asked for in bits is a promise,
        and stays what it is.
        """
        look = None if self.calibration is None else self.calibration.second_look
        if look is None or self.calibration is None or self.radius is None or self.fmr is None:
            return self.radius or 0
        rate = max(self.fmr, _STRANGERS / max(1, videos))
        return max(self.radius, min(look.radius, self.calibration.threshold(min(1.0, rate))))

    def _seen(self, a: Sequence[View], b: Sequence[View], distance: int) -> Seen | None:
        """The second look; None where codes are far apart, or nothing is kept of a video's frames."""
        table = self.calibration
        if table is None or table.second_look is None or not self.looks_again(distance):
            return None
        seen = all(any(view.frames for view in seen) for seen in (a, b))
        return table.second_look.evidence.seen(a, b, table.bits) if seen else None

    def _most(self, look: SecondLook) -> int:
        """The threshold of the second look.

        Clips of one scene are no part of its calibration: whatever the rate, what happens in the videos
        must not speak against a copy.
        """
        return look.even if self.fmr is None else min(look.table.threshold(self.fmr), look.even)
