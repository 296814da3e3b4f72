"""What the packets of a codec say about where decoding may start and what may be left out.

A container's key-frame flag promises less than exact pixels: it also marks open groups of
pictures, and muxers get it wrong. So the flag is believed only where the coded picture itself
says that nothing before it is needed:

* **restart**: every picture that is shown at or after this one decodes to the same pixels as
  if decoding had begun at the start. H.264: IDR, or a recovery point with count 0 and the exact
  match flag (ITU-T H.264, D.2.8); HEVC: IDR, BLA, CRA (H.265, 8.1.3); MPEG-1/2/4: intra
  picture; VP8, VP9, AV1: shown key frame. Pictures that follow in decoding order but are shown
  before it ("leading") are not covered.
* **skippable**: FFmpeg's ``skip_frame="NONREF"`` drops only pictures that no other one refers
  to. H.264: ``nal_ref_idc`` 0, where pictures are whole frames; HEVC: sub-layer non-reference
  pictures, which nothing refers to only if there is a single temporal layer; MPEG-1/2/4: B.
"""

from __future__ import annotations

import re
from typing import Protocol

from .nal import exact_recovery_point, frames_only, nal_units

INTRA_ONLY = frozenset(
    ("mjpeg", "prores", "dnxhd", "rawvideo", "v210", "huffyuv", "ffvhuff", "utvideo", "jpeg2000", "dvvideo")
)
_DIVX_PACKED = re.compile(rb"DivX\d+[Bb.]\d+p")


class Bitstream(Protocol):
    """Reads just enough of the packets of one stream."""

    skippable: bool
    """Whether dropping non-reference pictures leaves all other pixels as they are."""
    hides: bool
    """Whether there may be packets whose picture is not shown."""
    timed: bool
    """Whether the times of packets are those of the frames that come out for them."""

    def restarts(self, data: bytes) -> bool:
        """Whether decoding may begin at this packet, which the container marks as a key frame."""

    def shown(self, data: bytes) -> bool:
        """Whether the picture in this packet is shown, now or later."""

    def disposable(self, data: bytes) -> bool:
        """Whether it is known that no other picture refers to this one."""


class Opaque:
    """A codec of which nothing is known: decoding begins at the start, always."""

    skippable = False
    hides = False
    timed = True

    def restarts(self, data: bytes) -> bool:
        """Never."""
        return False

    def shown(self, data: bytes) -> bool:
        """Taken to be so."""
        return True

    def disposable(self, data: bytes) -> bool:
        """Not known."""
        return False


class IntraOnly(Opaque):
    """Every picture stands alone."""

    def restarts(self, data: bytes) -> bool:
        """Always."""
        return True


class H264(Opaque):
    """ITU-T H.264, length-prefixed (avcC) or with start codes."""

    def __init__(self, extradata: bytes) -> None:
        self._prefix = 0
        sets: list[bytes] = []
        if extradata[:1] == b"\x01" and len(extradata) > 6:
            self._prefix = (extradata[4] & 3) + 1
            at = 6
            for _ in range(extradata[5] & 31):
                size = int.from_bytes(extradata[at : at + 2], "big")
                sets.append(extradata[at + 2 : at + 2 + size])
                at += 2 + size
        self._parameters_outside = bool(sets)
        if not self._prefix:
            sets = [bytes(nal) for nal in nal_units(extradata, 0) if nal and nal[0] & 31 == 7]
        self.skippable = bool(sets) and all(map(frames_only, sets))

    def restarts(self, data: bytes) -> bool:
        """IDR, or an exact recovery point; with start codes also the parameter sets."""
        exact = False
        seen: set[int] = set()
        for nal in nal_units(data, self._prefix):
            kind = nal[0] & 31 if nal else 0
            seen.add(kind)
            if kind == 7:
                self.skippable = self.skippable and frames_only(bytes(nal))
            elif kind == 6:
                exact = exact or exact_recovery_point(bytes(nal))
            elif 1 <= kind <= 5:
                return (kind == 5 or (kind == 1 and exact)) and (self._parameters_outside or {7, 8} <= seen)
        return False

    def disposable(self, data: bytes) -> bool:
        """``nal_ref_idc`` is 0 in every slice."""
        slices = [nal[0] for nal in nal_units(data, self._prefix) if nal and 1 <= nal[0] & 31 <= 5]
        return bool(slices) and not any(first & 0x60 for first in slices)


class Hevc(Opaque):
    """ITU-T H.265, length-prefixed (hvcC) or with start codes."""

    def __init__(self, extradata: bytes) -> None:
        boxed = extradata[:1] == b"\x01" and len(extradata) > 22
        self._prefix = (extradata[21] & 3) + 1 if boxed else 0
        self._parameters_outside = boxed and extradata[22] > 0
        self.skippable = boxed and (extradata[21] >> 3) & 7 == 1  # numTemporalLayers

    def restarts(self, data: bytes) -> bool:
        """BLA, IDR or CRA; with start codes also the parameter sets."""
        seen: set[int] = set()
        for nal in nal_units(data, self._prefix):
            kind = (nal[0] >> 1) & 63 if nal else 63
            seen.add(kind)
            if kind < 32:
                return 16 <= kind <= 21 and (self._parameters_outside or {32, 33, 34} <= seen)
        return False


class Mpeg4(Opaque):
    """MPEG-4 part 2, also as packed by DivX: two pictures in a packet, then one without any."""

    hides = True

    def __init__(self, extradata: bytes) -> None:
        self.timed = _DIVX_PACKED.search(extradata) is None
        self.skippable = self.timed

    def restarts(self, data: bytes) -> bool:
        """An I-VOP."""
        at = data.find(b"\0\0\1\xb6")
        return 0 <= at < len(data) - 4 and data[at + 4] >> 6 == 0

    def shown(self, data: bytes) -> bool:
        """Whether there is a VOP at all; finding a second one where none is announced ends ``timed``."""
        count = data.count(b"\0\0\1\xb6")
        self.timed = self.timed and count < 2
        return count > 0


class Mpeg12(Opaque):
    """MPEG-1 and MPEG-2 video."""

    def __init__(self, progressive: bool) -> None:
        self.skippable = progressive

    def restarts(self, data: bytes) -> bool:
        """An I picture with its sequence header."""
        at = data.find(b"\0\0\1\0")
        return (
            0 <= at < len(data) - 5 and (data[at + 5] >> 3) & 7 == 1 and data.find(b"\0\0\1\xb3", 0, at) >= 0
        )


class Vp8(Opaque):
    """VP8 (RFC 6386, 9.1)."""

    hides = True

    def restarts(self, data: bytes) -> bool:
        """A shown key frame."""
        return bool(data) and data[0] & 0x11 == 0x10

    def shown(self, data: bytes) -> bool:
        """Not so for an alternate reference frame."""
        return bool(data) and data[0] & 0x10 != 0


class Vp9(Opaque):
    """VP9 (bitstream specification, 6.2 and annex B)."""

    hides = True

    def restarts(self, data: bytes) -> bool:
        """A shown key frame."""
        return _vp9_flags(data) & 0xE == 0x2

    def shown(self, data: bytes) -> bool:
        """Not so for a hidden frame that stands alone; a superframe shows one."""
        return bool(data) and (data[-1] >> 5 == 0b110 or _vp9_flags(data) & 0xA != 0)


class Av1(Opaque):
    """AV1 (bitstream specification, 5.3 and 5.9.2)."""

    def restarts(self, data: bytes) -> bool:
        """A shown key frame."""
        at = 0
        while at < len(data):
            kind, extended, sized = (data[at] >> 3) & 15, data[at] & 4, data[at] & 2
            at += 2 if extended else 1
            size = shift = 0
            if sized:
                for byte in data[at : at + 8]:
                    at += 1
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
            else:
                size = len(data) - at
            if kind in (3, 6):  # frame header, frame: show_existing_frame 0, KEY_FRAME, show_frame 1
                return at < len(data) and data[at] & 0xF0 == 0x10
            at += size
        return False


def bitstream(codec: str, extradata: bytes | None, field_order: int) -> Bitstream:
    """The reader for a stream.

    Args:
        codec: FFmpeg's name.
        extradata: what the container says about the codec.
        field_order: FFmpeg's, 1 for progressive.

    >>> bitstream("theora", None, 0).restarts(b"?")
    False
    """
    data = extradata or b""
    if codec == "h264":
        return H264(data)
    if codec == "hevc":
        return Hevc(data)
    if codec in ("mpeg1video", "mpeg2video"):
        return Mpeg12(codec == "mpeg1video" or field_order == 1)
    if codec == "mpeg4":
        return Mpeg4(data)
    simple = {"vp8": Vp8, "vp9": Vp9, "av1": Av1}
    if codec in simple:
        return simple[codec]()
    return IntraOnly() if codec in INTRA_ONLY else Opaque()


def _vp9_flags(data: bytes) -> int:
    """The four bits show_existing_frame, frame_type, show_frame, error_resilient_mode."""
    if not data or data[0] >> 6 != 2:
        return 0x4  # no frame: not shown, no key frame
    if data[0] & 0x30 == 0x30:  # profile 3 has one more bit
        return ((data[0] << 1) | (data[1] >> 7 if len(data) > 1 else 0)) & 15
    return data[0] & 15
