"""What two split screens have in common: a pane each may be the same, and the rest something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto

import numpy as np

from ..codes import hamming_distance
from .second_look import View

_EQUAL = 1 / 16  # of the bits: panes as near as that are surely one


class CommonPanes(Enum):
    """Which panes of two split screens are the same."""

    NONE = auto()  # or one of the two is none
    SOME = auto()  # either has panes that the other has not
    APART = auto()  # as SOME, beyond a doubt
    ALL_OF_ONE = auto()  # one has all of the other's, and another one beside them
    ALL = auto()


def common_panes(
    a: Sequence[View], b: Sequence[View], same: Callable[[View, View], bool], radius: int
) -> CommonPanes:
    """Compare the panes of two videos.

    Args:
        a, b: their views.
        same: whether two panes, as videos of their own, are copies.
        radius: bits from which on nothing is a copy by its code alone.
    """
    one, two = ([replace(view, pane=False) for view in views if view.pane] for views in (a, b))
    if not one or not two:
        return CommonPanes.NONE
    found = np.array([[same(x, y) for y in two] for x in one], bool)
    if not found.any():
        return CommonPanes.NONE
    bits = np.array([[hamming_distance(x.code, y.code) for y in two] for x in one])
    strange = [bool((bits.min(axis) > radius).any()) for axis in (0, 1)]
    if all(strange) and bits.min() <= _EQUAL * 8 * one[0].code.size:
        return CommonPanes.APART
    if not (found.any(0).all() or found.any(1).all()):
        return CommonPanes.SOME
    return CommonPanes.ALL_OF_ONE if any(strange) else CommonPanes.ALL
