"""Codes: the few bytes that stand for a video.

A set of codes is C-contiguous ``uint8[n, (bits + 7) // 8]``; bit ``i`` of a code is bit
``i % 8``, counted from the least significant, of byte ``i // 8`` (numpy's
``packbits(bitorder="little")``); padding bits are zero. Everywhere in vhash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CodeError, ModelMismatchError

MAX_BITS = 4096
"""The widest code that vhash stores and searches."""

_TEXT = re.compile(r"vh1:([0-9a-f]{8}):([1-9][0-9]{0,3}):([0-9a-f]+)")


def code_bytes(bits: int) -> int:
    """Bytes that a code of ``bits`` bits takes.

    Raises:
        CodeError: ``bits`` is not an integer between 1 and 4096.

    >>> code_bytes(64), code_bytes(65)
    (8, 9)
    """
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or not 1 <= bits <= MAX_BITS:
        raise CodeError(f"bits={bits!r}: a code has between 1 and {MAX_BITS} bits; pass an integer there")
    return (int(bits) + 7) // 8


def pack_bits(bits: ArrayLike) -> NDArray[np.uint8]:
    """Pack booleans ``[n, bits]`` (or ``[bits]``) into codes ``uint8[n, (bits + 7) // 8]``.

    >>> pack_bits([[True, False, False, False, False, False, False, False, True]])
    array([[1, 1]], dtype=uint8)
    """
    array = np.atleast_2d(np.asarray(bits, dtype=bool))
    code_bytes(array.shape[1])
    return np.packbits(array, axis=1, bitorder="little")


def unpack_bits(codes: ArrayLike, bits: int) -> NDArray[np.bool_]:
    """Unpack codes ``uint8[n, bytes]`` into booleans ``[n, bits]``.

    Raises:
        CodeError: the codes do not have the width of ``bits``, or their padding is not zero.

    >>> unpack_bits([[5]], 3)
    array([[ True, False,  True]])
    """
    packed = as_codes(codes, bits)
    return np.unpackbits(packed, axis=1, count=bits, bitorder="little").astype(bool)


def as_codes(codes: ArrayLike, bits: int) -> NDArray[np.uint8]:
    """Check codes from anywhere and return them as C-contiguous ``uint8[n, bytes]``.

    Takes one code ``[bytes]`` or many ``[n, bytes]``, of any integer type that holds bytes.

    Raises:
        CodeError: wrong width, type or number of dimensions, or padding bits that are not zero.

    >>> as_codes([1, 2, 3, 4, 5, 6, 7, 8], 64).shape
    (1, 8)
    """
    width = code_bytes(bits)
    array = np.asarray(codes)
    if array.dtype != np.uint8:
        if array.size and (array.dtype.kind not in "ui" or array.min() < 0 or array.max() > 255):
            raise CodeError(f"codes have dtype {array.dtype}: expected uint8; pack booleans with pack_bits()")
        array = array.astype(np.uint8)
    if array.ndim == 1:
        array = array.reshape(1, -1) if array.size else array.reshape(0, width)
    if array.ndim != 2 or array.shape[1] != width:
        raise CodeError(
            f"codes have shape {list(array.shape)}: expected [n, {width}] for {bits} bits; "
            "check that they come from a model of this width"
        )
    array = np.ascontiguousarray(array)
    if bits % 8 and array.size and bool((array[:, -1] >> (bits % 8)).any()):
        raise CodeError(
            f"codes have bits set beyond bit {bits - 1}: padding bits must be zero; see pack_bits()"
        )
    return array


def hamming_distance(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint16]:
    """Hamming distances between two broadcastable arrays of codes ``uint8[..., bytes]``, as uint16.

    The obvious numpy version, for a handful of codes and as the oracle in tests; ``Index`` is
    the fast one.

    >>> int(hamming_distance(np.uint8([0, 3]), np.uint8([1, 0])))
    3
    """
    xor = np.bitwise_xor(np.asarray(a, dtype=np.uint8), np.asarray(b, dtype=np.uint8))
    return np.asarray(np.bitwise_count(xor).sum(axis=-1, dtype=np.uint16))


def same_model(a: str | None, b: str | None) -> bool:
    """Whether two fingerprints name one model; the short form (8 hex) matches the long one.

    ``None`` (unknown) matches everything: a bare array of codes does not say where it is from.

    >>> same_model("0123abcd", "0123abcd" + "0" * 56)
    True
    """
    return a is None or b is None or (len(min(a, b, key=len)) >= 8 and (a.startswith(b) or b.startswith(a)))


@dataclass(frozen=True, eq=False)
class VideoCode:
    """The code of one video.

    Attributes:
        code: ``uint8[(bits + 7) // 8]``, read-only.
        bits: number of bits.
        fingerprint: fingerprint of the model that made it, 64 hex digits (8 when read from text).
        confidence: how far the weakest part of the code is from flipping, 0 to 1: the mean of
            tanh(abs(logit)) over its bits, logits having unit deviation over ordinary videos.
            ``nan`` when read from text. A near-constant video has a low one.
        duration: length of the video in seconds; ``nan`` where it is not known.
        unreliable: why the video has too little in it to be told apart (see ``reliability``), or None.

    >>> code = VideoCode.from_text("vh1:0123abcd:16:ff00")
    >>> code - VideoCode.from_text("vh1:0123abcd:16:fe00")
    1
    """

    code: NDArray[np.uint8]
    bits: int
    fingerprint: str
    confidence: float = field(default=float("nan"), kw_only=True)
    duration: float = field(default=float("nan"), kw_only=True)
    unreliable: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        code = as_codes(self.code, self.bits)
        if len(code) != 1:
            raise CodeError(f"a VideoCode holds one code, got {len(code)}; make one VideoCode for each")
        code = code[0].copy()
        code.setflags(write=False)
        object.__setattr__(self, "code", code)

    @property
    def text(self) -> str:
        """The code as text, ``vh1:<fingerprint, 8 hex>:<bits>:<hex>``."""
        return f"vh1:{self.fingerprint[:8]}:{self.bits}:{self.code.tobytes().hex()}"

    @classmethod
    def from_text(cls, text: str) -> VideoCode:
        """Read the text form.

        Raises:
            CodeError: the text is not a code.
        """
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise CodeError(f"{str(text)[:80]!r} is not a code: expected vh1:<8 hex>:<bits>:<hex>")
        fingerprint, bits, digits = match[1], int(match[2]), match[3]
        if len(digits) != 2 * code_bytes(bits):
            raise CodeError(
                f"{text[:80]!r} has {len(digits)} hex digits: {bits} bits take {2 * code_bytes(bits)}"
            )
        return cls(np.frombuffer(bytes.fromhex(digits), np.uint8), bits, fingerprint)

    def __sub__(self, other: object) -> int:
        """Hamming distance in bits; codes of different models raise ModelMismatchError."""
        if not isinstance(other, VideoCode):
            return NotImplemented
        if self.bits != other.bits or not same_model(self.fingerprint, other.fingerprint):
            raise ModelMismatchError(
                f"codes of models {self.fingerprint[:8]} ({self.bits} bits) and {other.fingerprint[:8]} "
                f"({other.bits} bits) cannot be compared; encode both videos with one model"
            )
        return int(hamming_distance(self.code, other.code))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.code, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VideoCode) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"VideoCode({self.text}, confidence={self.confidence:.2f}, duration={self.duration:.2f})"
