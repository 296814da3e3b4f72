"""Checks of what the methods of every index take: codes, their model, ids, radii, threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..codes import VideoCode, as_codes, same_model
from ..errors import CodeError, ModelMismatchError, OptionError
from ..system.checks import checked_count, shown

Codes = VideoCode | Sequence[VideoCode] | ArrayLike
"""What the index takes as codes: one or many VideoCode, or ``uint8[bytes]`` or ``uint8[n, bytes]``."""


def checked_codes(codes: Codes, bits: int, model: str | None) -> tuple[NDArray[np.uint8], str | None]:
    """Codes as a checked array ``uint8[n, bytes]``, and the model that they name.

    Raises:
        CodeError: not of ``bits``, or not codes.
        ModelMismatchError: a ``VideoCode`` of another model or width.
    """
    if isinstance(codes, VideoCode):
        codes = [codes]
    if not isinstance(codes, Sequence) or not any(isinstance(code, VideoCode) for code in codes):
        return as_codes(codes, bits), None
    for code in codes:
        if not isinstance(code, VideoCode):
            raise CodeError(
                f"codes hold a {type(code).__name__} among VideoCodes; pass only VideoCodes, or an array"
            )
        if code.bits != bits or not same_model(model, code.fingerprint):
            raise ModelMismatchError(
                f"a code of model {code.fingerprint[:8]} ({code.bits} bits) does not belong to an index "
                f"of model {(model or 'unknown')[:8]} ({bits} bits); encode the video with that one"
            )
        model = max(model or "", code.fingerprint, key=len)
    return np.stack([code.code for code in codes]), model  # type: ignore[union-attr]


def checked_model(model: str | None) -> str:
    """A fingerprint, or an empty text for None. Raises OptionError."""
    if model is None:
        return ""
    if not isinstance(model, str) or not 8 <= len(model) <= 64 or set(model) - set("0123456789abcdef"):
        raise OptionError(
            f"model={model!r}: a fingerprint is 8 to 64 lower-case hex digits; see ModelSpec.fingerprint"
        )
    return model


def checked_threads(threads: int | None) -> int:
    """Threads that one call may use; None: all CPUs of the process. Raises OptionError."""
    if threads is None:
        return _core.available_threads()
    return checked_count("threads", threads, 1, _core.MAX_THREADS, none="all CPUs")


def checked_range(radius: int, limit: int | None, bits: int) -> tuple[int, int | None]:
    """Radius, at most ``bits``, and limit of a range search. Raises OptionError."""
    most = None if limit is None else checked_count("limit", limit, 0)
    return min(checked_count("radius", radius, 0), bits), most


def checked_recall(approximate: float | None) -> float:
    """The recall asked of a search; None: all, which is 1. Raises OptionError."""
    if approximate is None:
        return 1.0
    if isinstance(approximate, (bool, str)) or not 0 < approximate <= 1:
        raise OptionError(
            f"approximate={shown(approximate)}; allowed: a recall above 0 and up to 1, as 0.99, or None"
        )
    return float(approximate)


def eligible_ids(among: ArrayLike | None) -> NDArray[np.int64] | None:
    """The ids that a search may find, given as ids or as a mask; None: all. Raises OptionError."""
    if among is None:
        return None
    array = np.asarray(among)
    return (
        np.flatnonzero(array).astype(np.int64)
        if array.dtype == bool and array.ndim == 1
        else checked_ids(array, None)
    )


def checked_ids(ids: ArrayLike, n: int | None) -> NDArray[np.int64]:
    """Ids ``int64[n]``, of any number for None. Raises OptionError."""
    array = np.atleast_1d(np.asarray(ids))
    if array.size == 0:
        array = array.astype(np.int64).reshape(-1)
    if (
        array.dtype.kind not in "iu"
        or array.ndim != 1
        or (array.dtype == np.uint64 and array.max(initial=0) >= 2**63)
    ):
        raise OptionError(
            f"ids of dtype {array.dtype} and shape {list(array.shape)}: expected integers [n] that fit int64"
        )
    if n is not None and len(array) != n:
        raise OptionError(f"{len(array)} ids for {n} codes: pass one id for each code")
    return np.ascontiguousarray(array, dtype=np.int64)
