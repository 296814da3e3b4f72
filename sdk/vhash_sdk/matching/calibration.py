"""What a distance means: how often videos of different scenes come that close, and how often copies do not.

A calibration is made of pairs that are known: *negative pairs*, videos of different scenes, and
copies with their originals. It travels in a model file (``vhash.calibration``, outside the
fingerprint), or in a JSON file made from a user's own videos (``vhash calibrate``).
"""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import MAX_BITS
from ..errors import ModelError, ModelMismatchError, OptionError
from ..system.checks import checked_path
from ..system.files import write_text
from ..system.strict_json import parse_json
from .second_look import Evidence

USUAL_RATE = 1e-4
"""The false-match rate where no other is asked for, and no library is so large that it would not do."""
_SUPPORT = 3.0  # no false match among n pairs: at 95 %, the rate is below 3 / n (the rule of three)
_DRAWS = 400
_SCHEMA = 1
_MAX_WEIGHT = 1e6  # nats of evidence: the measured ones are below 100, and sums of these are finite


class Rate(NamedTuple):
    """A rate with its 95 % interval: ``(low, estimate, high)``."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class SecondLook:
    """How near codes are looked at again, and what the verified distance then means.

    Attributes:
        radius: pairs whose codes are within so many bits are verified; others are no match.
        evidence: weights of code distance and correlations.
        table: the calibration of the verified distance, pairs beyond ``radius`` counting as ``bits``.
    """

    radius: int
    evidence: Evidence
    table: Calibration

    @property
    def even(self) -> int:
        """The verified distance up to which what happens in two videos speaks for a copy, not against it."""
        return self.table.bits // 2


@dataclass(frozen=True)
class Calibration:
    """Distances of pairs that are known, counted.

    Attributes:
        fingerprint: of the model whose codes were compared.
        bits: the widest distance.
        scenes: number of scenes that the negative pairs come from.
        negatives: number of negative pairs at each distance, 0 to ``bits``.
        low, high: 95 % interval of the false-match rate at each distance, by a bootstrap over scenes.
        copies: for each transformation the number of copies at each distance from their original.
        made: what it was made from, for people.
        second_look: what follows where codes are near, where the model has it.

    >>> close, far = [0] * 5, [0] * 60
    >>> table = Calibration("0" * 64, 64, 100, tuple(close + [9, 91, 900] + far[:57]), (0,) * 65, (1,) * 65)
    >>> table.threshold(1e-2), table.pairs
    (5, 1000)
    """

    fingerprint: str
    bits: int
    scenes: int
    negatives: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    copies: Mapping[str, tuple[int, ...]] | None = None
    made: str = ""
    second_look: SecondLook | None = None

    def __post_init__(self) -> None:
        facts = (self.bits, 1, MAX_BITS), (self.scenes, 0, 1 << 60)
        if any(type(n) is not int or not least <= n <= most for n, least, most in facts):
            raise ModelError(
                f"calibration: bits={self.bits!r}, scenes={self.scenes!r}: expected whole numbers"
            )
        if not isinstance(self.made, str) or not isinstance(self.fingerprint, str):
            raise ModelError("calibration: fingerprint and made are no texts; make it again")
        if self.second_look is not None and self.second_look.table.bits != self.bits:
            raise ModelError("calibration: the second look is of codes of another width; make it again")
        histograms = [self.negatives, *(self.copies or {}).values()]
        if any(len(row) != self.bits + 1 for row in [*histograms, self.low, self.high]):
            raise ModelError(
                f"calibration: a table does not have one entry for each of 0 to {self.bits} bits"
            )
        if any(type(n) is not int or n < 0 for row in histograms for n in row) or not sum(self.negatives):
            raise ModelError("calibration: numbers of pairs are not counts, or there are none; make it again")

    @cached_property
    def pairs(self) -> int:
        """Number of negative pairs."""
        return sum(self.negatives)

    @cached_property
    def _within(self) -> list[int]:
        """How many negative pairs lie within each distance."""
        return list(accumulate(self.negatives))

    @property
    def smallest_rate(self) -> float:
        """The smallest false-match rate that so many pairs can support: 3 / pairs."""
        return _SUPPORT / self.pairs

    def rate_for(self, videos: int) -> float:
        """The false-match rate at which one pair among so many videos matches falsely, by expectation.

        At most 1e-4; no smaller than the pairs support either, so that more match in a large library.

        >>> table = Calibration("0" * 64, 1, 2, (0, 300_000), (0.0, 1.0), (1e-5, 1.0))
        >>> [f"{table.rate_for(videos):.1e}" for videos in (10, 201, 100_000)]
        ['1.0e-04', '5.0e-05', '1.0e-05']
        """
        pairs = max(1, videos * (videos - 1) // 2)
        return min(USUAL_RATE, max(1 / pairs, self.smallest_rate))

    def threshold(self, fmr: float) -> int:
        """The largest distance (inclusive) at which the false-match rate is at most ``fmr``.

        Raises:
            OptionError: ``fmr`` is no rate, or the pairs cannot support one so small.
        """
        if not 0 < fmr <= 1:
            raise OptionError(f"fmr={fmr!r}: a false-match rate is above 0 and at most 1, e.g. 1e-4")
        if fmr < self.smallest_rate:
            raise OptionError(
                f"fmr={fmr:g}: {self.pairs:,} pairs support rates down to {self.smallest_rate:.2g}; this one "
                f"takes {math.ceil(_SUPPORT / fmr):,} pairs, which `vhash calibrate` makes from your videos"
            )
        within = bisect_right(self._within, fmr * self.pairs)
        if not within:
            raise OptionError(
                f"fmr={fmr:g}: even equal codes match falsely more often, {self.negatives[0]} times in "
                f"{self.pairs:,} pairs; allow a higher rate, or leave out videos without content"
            )
        return within - 1

    def false_match_rate(self, distance: int) -> Rate:
        """How often videos of different scenes lie within ``distance``, inclusive.

        Raises:
            OptionError: ``distance`` is not between 0 and ``bits``.
        """
        at = self._checked(distance)
        estimate = sum(self.negatives[: at + 1]) / self.pairs
        return Rate(float(self.low[at]), estimate, float(self.high[at]))

    def miss_rate(self, distance: int, transformation: str) -> float:
        """The share of copies of one kind that lie beyond ``distance``.

        Raises:
            OptionError: no such transformation was measured, or ``distance`` is out of range.
        """
        known = self.copies or {}
        if transformation not in known:
            raise OptionError(f"transformation={transformation!r}: measured are {', '.join(known) or 'none'}")
        counts = known[transformation]
        return sum(counts[self._checked(distance) + 1 :]) / max(1, sum(counts))

    def _checked(self, distance: int) -> int:
        if isinstance(distance, bool) or not isinstance(distance, (int, np.integer)):
            raise OptionError(f"distance={distance!r}: a whole number of bits")
        if not 0 <= distance <= self.bits:
            raise OptionError(f"distance={distance}: between 0 and {self.bits} bits")
        return int(distance)

    def check_model(self, fingerprint: str) -> None:
        """Raise ModelMismatchError unless this was made with the model of ``fingerprint``."""
        if self.fingerprint != fingerprint:
            raise ModelMismatchError(
                f"this calibration was made with model {self.fingerprint[:8]}, not {fingerprint[:8]}; "
                "make one with `vhash calibrate`"
            )

    def to_json(self) -> str:
        """One JSON document."""
        return json.dumps({"schema": _SCHEMA} | self._data(), sort_keys=True, separators=(",", ":"))

    def _data(self) -> dict[str, Any]:
        """Under the names of the format, which are older than those of the attributes."""
        data, look = asdict(self), self.second_look
        del data["second_look"]
        data["verification"] = look and {
            "radius": look.radius,
            "table": look.table._data(),
            "verifier": asdict(look.evidence),
        }
        return data

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read a document that nobody vouches for.

        Raises:
            ModelError: not JSON, of another schema, or not a calibration.
        """
        try:
            return cls._from_data(parse_json(text))
        except ModelError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ModelError(f"calibration is not readable ({error}); make it again") from error

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Calibration:
        if data.pop("schema") != _SCHEMA:
            raise ModelError("calibration: of a newer schema; upgrade vhash-sdk")
        copies = {str(name): tuple(row) for name, row in (data.pop("copies") or {}).items()}
        low, high = (tuple(float(rate) for rate in data.pop(name)) for name in ("low", "high"))
        if not all(0 <= rate <= 1 for rate in low + high):
            raise ModelError("calibration: a bound is no rate between 0 and 1; make it again")
        counts = tuple(data.pop("negatives"))
        second_look = _second_look(data.pop("verification"))
        return cls(negatives=counts, low=low, high=high, copies=copies, second_look=second_look, **data)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the JSON document, whole or not at all."""
        write_text(checked_path("calibration", file), self.to_json() + "\n")

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Calibration:
        """Read what ``save`` wrote. Raises ModelError."""
        path = checked_path("calibration", file)
        try:
            return cls.from_json(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{os.fspath(file)}: cannot be read as a calibration ({error})") from error

    def __repr__(self) -> str:
        return (
            f"Calibration({self.fingerprint[:8]}, {self.pairs} pairs of {self.scenes} scenes, "
            f"{len(self.copies or {})} transformations)"
        )


def _second_look(data: Any) -> SecondLook | None:
    if data is None:
        return None
    if data["table"].get("verification") is not None:
        raise ModelError("calibration: a second look has no second look of its own; make it again")
    table = Calibration._from_data(data["table"] | {"schema": _SCHEMA})
    weights = data["verifier"]
    bias, distance, *parts = (float(w) for w in (weights["bias"], weights["distance"], *weights["parts"]))
    if max(map(abs, (bias, distance, *parts))) > _MAX_WEIGHT:
        raise ModelError(f"calibration: a weight is beyond {_MAX_WEIGHT:g} nats; make it again")
    radius = data["radius"]
    if type(radius) is not int or not 0 <= radius <= table.bits:
        raise ModelError(f"calibration: radius={radius!r}: expected 0 to {table.bits} bits")
    return SecondLook(radius, Evidence(bias, distance, tuple(parts)), table)


def as_calibration(given: Calibration | str | os.PathLike[str] | None) -> Calibration | None:
    """What an argument ``calibration=`` stands for: a table, a file of one, or None.

    Raises:
        OptionError: something else.
        ModelError: the file cannot be read, or is no calibration.
    """
    if given is None or isinstance(given, Calibration):
        return given
    if isinstance(given, (str, os.PathLike)):
        return Calibration.load(given)
    raise OptionError(
        f"calibration={given!r}: expected a Calibration, a file that `vhash calibrate` has written, or None"
    )


def calibrate(
    distances: NDArray[np.integer[Any]],
    scenes: Sequence[str],
    *,
    fingerprint: str,
    bits: int,
    copies: Mapping[str, Sequence[int]] | None = None,
    made: str = "",
) -> Calibration:
    """Count distances of videos whose scenes are known.

    Args:
        distances: ``[n, n]``, of each video to each; only pairs of different scenes count.
        scenes: the scene of each video; clips of one scene are neither negatives nor independent.
        fingerprint, bits: of the model.
        copies: transformation → distances of copies to their originals.
        made: what the videos are, for people.

    Raises:
        OptionError: fewer than two scenes.

    >>> calibrate(np.array([[0, 3], [3, 0]]), ["a", "b"], fingerprint="0" * 64, bits=8).pairs
    1
    """
    names, scene = np.unique(np.asarray(scenes), return_inverse=True)
    first, second = np.nonzero(np.triu(scene[:, None] != scene[None]))
    if not len(first):
        raise OptionError(f"{len(scenes)} videos of {len(names)} scenes: it takes two scenes at least")
    values = np.asarray(distances)[first, second].astype(np.int64)
    counts = np.bincount(values, minlength=bits + 1)
    generator = np.random.default_rng(0)
    # pairs of one video share its fate, and videos of one scene too: whole scenes are drawn
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_DRAWS)
    rates = []
    for weight in drawn[:, scene]:
        weighted = np.bincount(values, weights=weight[first] * weight[second], minlength=bits + 1)
        if total := weighted.sum():
            rates.append(np.cumsum(weighted) / total)
    low, high = np.percentile(rates, [2.5, 97.5], axis=0)
    estimate = np.cumsum(counts) / len(values)
    low, high = np.minimum(low, estimate), np.maximum(high, np.maximum(estimate, _SUPPORT / len(values)))
    return Calibration(
        fingerprint, bits, len(names), tuple(map(int, counts)), _rounded(low), _rounded(high),
        {name: _histogram(row, bits) for name, row in (copies or {}).items()}, made,
    )  # fmt: skip


def _histogram(distances: Sequence[int], bits: int) -> tuple[int, ...]:
    return tuple(map(int, np.bincount(np.asarray(distances, np.int64), minlength=bits + 1)))


def _rounded(rates: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{min(rate, 1.0):.6g}") for rate in rates)
