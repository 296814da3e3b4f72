"""What the pixels of two videos say, and what follows from it: are they copies of one?"""

from __future__ import annotations

from typing import NamedTuple

from .placement import Placement

LEAST_SECONDS = 1.5
"""Of the shorter film, that have to be compared."""
OTHERS = 0.35
"""Motion that anything but copies may have in common."""
_COPIES = 0.6  # motion in copies
_FEW, _MORE = 2.0, 0.3  # different changes below which chance gives more agreement, and how much more
_DIVIDED = 0.2  # of the frames that agree well, and of those that do not at all
_MOSTLY = 0.8  # of the time that has to agree, else they share a part of it
_PARTLY = 0.2  # of what moves that may move otherwise, else they share a part of the picture
_IN_ANOTHER_ORDER = 0.8  # of the changes in either film that are in the other one, wherever: then copies
_MOST_PIECES = 0.65  # the same where codes are all but equal: of takes so near it was below 0.6
_IN_PART = 0.6  # the same, from which on more than a part of the time is the same
_APART = 0.18  # of the picture that may show something else: a quarter of a split screen is more
_PARTED = 0.3  # of the picture that shows something else, where the rest is no copy by itself either
_ONE_SCENE, _MOVING = 0.5, 0.03  # agreement of pictures, and movement, from which on "no copy" is said
_ONE_PICTURE, _HARDLY = 0.9, 0.01  # the same where the pictures are one throughout: less movement tells then
_LIKE = 0.75  # agreement of pictures, below which copies would move alike or not at all
_EQUAL, _A_LITTLE = 0.95, 0.025  # of pictures that are one; of what moves that may move otherwise there
_ONE_SHOWN = 0.8  # agreement of pictures in copies that are short or hardly move
_HELD = 3e-4  # movement, at most, where pictures are held; of empty streets it was 5e-4 and more
_IN_DETAIL = 0.97  # of a picture's detail that has to be the same; of pages of one template 0.8 was
_ALMOST_ALL = 0.8  # of what moves
_THEN, _SCENE_THEN, _ELSEWHEN = 0.45, 0.85, 0.2  # where the same moves at the right time, and only then
_NOWHERE = 0.05  # of such pictures that may show something else
_A_TRACE = 0.008  # movement that is more than an encoder's noise


class ThirdLook(NamedTuple):
    """What the pixels of two videos say.

    Attributes:
        motion: how alike what changes is, over time and place, where the two lie on each other: 1 in a
            perfect copy, -1 in an inverted one, about 0 in anything else. The mean correlation of small
            tiles, each by what moves in both films, so that what was put over one of them hardly counts.
        against: share of what moves in both that moves otherwise, 0 to 1: where videos only share a part of
            their picture.
        agreeing: share of the frames whose pictures agree, 0 to 1.
        still: correlation of the pictures, -1 to 1.
        moving: how much of both pictures changes at all, 0 to 1.
        variety: how many different changes there are, by their participation ratio; 1: a single cut.
        seconds: how much time was compared.
        placement: how they lie on each other; None: they do in no way.
        divided: 0 to 1; of two shares of the frames, those that agree well and those that do not at all, the
            smaller one: where videos share a part of their time.
        apart: share of the picture where both show something else all the time, 0 to 1.
        anywhere: how much of what changes is in the other film too, at whatever time, 0 to 1: of the film of
            which less is. Where pieces of one were put into another order.
        path: by how many pixels of the film one moves over the other; 0: it stays.
        detail: share of the detail of two pictures, one of each, that is the same, 0 to 1; looked at where
            nothing moves in either (``frozen``), else 0.
        elsewhen: how alike what changes is at other times than those that belong together, at most, as a
            share of how alike it is then; looked at where little is alike, else 1.
    """

    motion: float
    against: float
    agreeing: float
    still: float
    moving: float
    variety: float
    seconds: float
    placement: Placement | None
    divided: float = 0.0
    apart: float = 0.0
    anywhere: float = 0.0
    path: float = 0.0
    detail: float = 0.0
    elsewhen: float = 1.0

    @property
    def same(self) -> bool | None:
        """Whether they are copies of one; None: the pixels do not tell.

        The limits were chosen on copies of the tuning half of ``benchmarks/near_duplicates/copies.py``.
        """
        if self.anywhere >= _IN_ANOTHER_ORDER + self._by_chance or self.detail >= _IN_DETAIL:
            return True
        whole = self.agreeing >= _MOSTLY and self.against <= _PARTLY and self.apart <= _APART
        if whole and self.faintly_alike and self.elsewhen <= _ELSEWHEN:
            return True
        if self.moves_alike:
            return True if whole else False if self._tells else None
        if self._divided or self._parted:
            return False
        return False if self._tells and self.together < OTHERS else None

    @property
    def of_the_same_pieces(self) -> bool:
        """Whether most of what changes in one is in the other: a copy in another order if codes are equal."""
        return self.anywhere >= _MOST_PIECES + self._by_chance

    @property
    def faintly_alike(self) -> bool:
        """Whether one picture is shown all the time, and something of what moves is alike.

        Noise and few bits leave no more of a copy where little moves. Other takes have as much in common, but
        then at other times too: a page that is turned, a head that nods.
        """
        one = abs(self.still) >= _SCENE_THEN and self.agreeing >= _EQUAL and self.apart <= _NOWHERE
        return one and self.together >= _THEN and self.seconds >= LEAST_SECONDS

    @property
    def frozen(self) -> bool:
        """Whether both show one picture that is held all the time: then its detail can tell.

        A camera that nothing passes moves more than that: its noise, and the light.
        """
        one = abs(self.still) >= _ONE_SHOWN and self.agreeing >= _EQUAL
        return self.placement is not None and one and self.moving <= _HELD

    @property
    def shares(self) -> bool:
        """Whether they are no copies because only a part of the picture or of the time is the same."""
        return self.same is False and (self.moves_alike or self._divided or self._parted)

    @property
    def parted(self) -> bool:
        """Whether a large part of the pictures shows something else all the time."""
        return self.apart >= _PARTED

    @property
    def else_beside(self) -> bool:
        """Whether it does not tell, but a part of the pictures shows something else all the time.

        No copy where the codes of parts of the pictures are near, and those of the wholes are not.
        """
        return self.same is None and self.apart >= _APART and self.still > -_ONE_SCENE

    @property
    def unlike(self) -> bool:
        """Whether too little moves alike however they are laid on each other, though enough does in both."""
        differ = self.together < OTHERS or (self.together < _COPIES and abs(self.still) < _LIKE)
        return self.same is None and self._moves and differ

    @property
    def barely_like(self) -> bool:
        """Whether nothing moves alike of the little that moves: no copy if the codes are far apart too."""
        return self._not_together and self.moving >= _A_TRACE

    @property
    def nothing_alike(self) -> bool:
        """Whether almost all of what little moves, be it noise, moves otherwise: no copy if codes are far."""
        return self._not_together and self.against >= _ALMOST_ALL

    @property
    def otherwise(self) -> bool:
        """Whether it is one picture throughout, and yet a part of what moves in it moves otherwise.

        Another take, unless the codes are far apart too: of a degraded copy noise moves otherwise.
        """
        equal = min(self.still, self.agreeing) >= _EQUAL and self.anywhere < _IN_ANOTHER_ORDER
        return equal and self._moves and self.against > _A_LITTLE

    @property
    def surely_same(self) -> bool:
        """Whether they are copies, and show one picture all the time: for what is short or hardly moves."""
        return self.same is True and abs(self.still) >= _ONE_SHOWN and self.agreeing >= _EQUAL

    @property
    def together(self) -> float:
        """How alike what moves is; 0 where only either of pictures and movement is inverted."""
        return abs(self.motion) if self.motion * self.still > 0 else 0.0

    @property
    def alike(self) -> bool | None:
        """Whether the same moves in both, of parts that were laid on each other; None: that does not tell."""
        if self.moves_alike:
            return True
        return False if self._moves and self.together < OTHERS else None

    @property
    def moves_alike(self) -> bool:
        """Whether what moves is as alike as in copies."""
        return self.together >= _COPIES + self._by_chance

    @property
    def _not_together(self) -> bool:
        """Whether it does not tell, though for long enough nothing moved alike in pictures that agree."""
        enough = self.same is None and self.seconds >= LEAST_SECONDS
        return enough and self.still > 0 and self.together < OTHERS

    @property
    def _by_chance(self) -> float:
        """How much more few different changes agree by chance."""
        return _MORE * min(max(_FEW - self.variety, 0.0), 1.0)

    @property
    def _moves(self) -> bool:
        """Whether enough moves, for long enough, for a difference to mean something."""
        return self.moving >= _MOVING and self.seconds >= LEAST_SECONDS

    @property
    def _divided(self) -> bool:
        # with more of the changes anywhere, a line in time is a little wrong
        parted = self.divided >= _DIVIDED and self.anywhere < _IN_PART
        return self._moves and parted and self.together >= OTHERS

    @property
    def _parted(self) -> bool:
        return self._tells and self.parted and self.together >= OTHERS

    @property
    def _tells(self) -> bool:
        """Whether enough moves, in pictures that agree enough, for a difference to mean something."""
        one = abs(self.still) >= _ONE_PICTURE and self.agreeing >= _ONE_PICTURE
        scene = one or abs(self.still) >= _ONE_SCENE
        return scene and self.moving >= (_HARDLY if one else _MOVING) and self.seconds >= LEAST_SECONDS
