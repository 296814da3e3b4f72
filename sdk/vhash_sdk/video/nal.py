"""The units that packets of H.264 and H.265 consist of, and what two kinds of them say (ITU-T H.264, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator


def nal_units(data: bytes, prefix: int) -> Iterator[memoryview]:
    """The units in a packet: each behind its length, of ``prefix`` bytes, or behind start codes for 0."""
    view = memoryview(data)
    if prefix:
        at = 0
        while at + prefix < len(data):
            size = int.from_bytes(view[at : at + prefix], "big")
            at += prefix
            yield view[at : at + size]
            at += size
        return
    at = data.find(b"\0\0\1")
    while at >= 0:
        stop = data.find(b"\0\0\1", at + 3)
        yield view[at + 3 : stop if stop >= 0 else len(data)]
        at = stop


class _Bits:
    """Reads bits and Exp-Golomb codes; IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data.replace(b"\0\0\3", b"\0\0")  # emulation prevention, H.264 7.4.1
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | (self._data[self._at >> 3] >> (7 - (self._at & 7))) & 1
            self._at += 1
        return value

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError("no Exp-Golomb code")
        return (1 << zeros) - 1 + self.take(zeros)


def frames_only(nal: bytes) -> bool:
    """Whether an H.264 sequence parameter set allows whole frames only: frame_mbs_only_flag (7.3.2.1.1)."""
    try:
        bits = _Bits(nal[1:])
        profile = bits.take(8)
        bits.take(16)
        bits.golomb()
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            chroma = bits.golomb()
            bits.take(1 if chroma == 3 else 0)
            bits.golomb()
            bits.golomb()
            bits.take(1)
            if bits.take(1):  # scaling matrices
                for i in range(12 if chroma == 3 else 8):
                    if bits.take(1):
                        _pass_scaling_list(bits, 16 if i < 6 else 64)
        bits.golomb()
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.take(1)
            bits.golomb()
            bits.golomb()
            for _ in range(min(bits.golomb(), 255)):
                bits.golomb()
        bits.golomb()
        bits.take(1)
        bits.golomb()
        bits.golomb()
        return bits.take(1) == 1
    except IndexError:
        return False


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.golomb()
            following = (last + ((code + 1) // 2 if code & 1 else -(code // 2))) % 256
        last = following or last


def exact_recovery_point(nal: bytes) -> bool:
    """Whether an H.264 SEI holds a recovery point with recovery_frame_cnt 0 and exact_match_flag 1."""
    data = nal[1:].replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(data):
        values = []
        for _ in ("type", "size"):
            value = 0
            while at < len(data) and data[at] == 255:
                value += 255
                at += 1
            if at >= len(data):
                return False
            values.append(value + data[at])
            at += 1
        if values[0] == 6:
            return at < len(data) and data[at] & 0xC0 == 0xC0
        at += values[1]
    return False
