"""HDR to SDR: a fixed map of PQ and HLG (ITU-R BT.2100) to BT.709, in tables and integers.

What it shows is what a player shows on an SDR display whose white is HDR's reference white, 203
cd/m² (BT.2408): highlights up to 1000 cd/m² are compressed by the curve of BT.2390 (5.4.1, EETF),
brighter ones are white. One curve for all files: their metadata may be missing, or lie.

THE DEFINITION. Stored codes depend on it: it may never change. ``round`` is to the nearest integer,
ties up (no entry of a table is near a tie without being one), ``>>`` rounds down. A picture of b bits
(8, 10 or 12; 9 is doubled, deeper ones are rounded to 12 as ``picture`` rounds to 8) with limited or
full range, planes Y, U, V, chroma of any sampling, becomes 8-bit planes of the same sampling, BT.709,
full range:

1. For each pixel, with the U and V of the cell it lies in, y = Y − black, u = U − mid, v = V − mid:
   R = clamp((cy·y + rv·v + 2¹³) >> 14, 0, 4095), G = clamp((cy·y + gu·u + gv·v + 2¹³) >> 14, ..),
   B = clamp((cy·y + bu·u + 2¹³) >> 14, ..), with black = 16·2^(b−8) (0 for full range) and
   mid = 2^(b−1). With span = 219·2^(b−8) and swing = 224·2^(b−8), both 2^b − 1 for full range, and
   k = 4095·2¹⁴: cy = round(k / span), rv = round(2(1 − Kr)·k / swing),
   bu = round(2(1 − Kb)·k / swing), gu = round(−2Kb(1 − Kb)/Kg·k / swing) and gv likewise with Kr.
   The matrix is BT.2020's (constant luminance is taken as the other) unless BT.709 or BT.601 is stated.
2. Light between 0 and 2¹⁸, which is white. PQ: each of them by itself through ``linear``, whose entry
   n is round(2¹⁸·min(1, L / 203)) with L cd/m² by PQ's EOTF of the EETF (1000 to 203) of n / 4095.
   HLG: ``linear`` gives scene light, round(2²²·E) with E by the inverse OETF of n / 4095. Then
   Y = (1076R + 2777G + 243B + 2¹⁵) >> 16, ``gain`` of Y is round(2¹⁴·(x / 2¹⁸)^0.2) (the OOTF for
   1000 cd/m²) with x as in step 4, d = (R·gain + 2¹³) >> 14 and likewise for G and B, and ``curve`` of
   d is round(2¹⁸·min(1, L / 203)) with L by the EETF of 1000·x / 2²²: entry d for d < 2¹²; entry
   2¹² + (d >> 6), made for x = 64·(d >> 6) + 32, for d < 2¹⁸; else entry 2¹³ + (d >> 10), made for
   x = min(1024·(d >> 10) + 512, 2²²).
3. Gamut, unless the primaries stated are BT.709's or BT.601's:
   r = clamp((m₀·R + m₁·G + m₂·B + 2¹¹) >> 12, 0, 2¹⁸), and g and b likewise, with the rows of
   round(2¹²·M), whose diagonal is set such that a row sums to 2¹²; M turns BT.2020 (or Display P3,
   where it is stated) into BT.709.
4. SDR's code in 1/64 of a grey level, 0 to 16320: ``dark[x]`` = round(16320·(x / 2¹⁸)^(1/2.4)) where
   x < 2¹², else ``bright[x >> 6]``, whose entry i is that of x = min(64·i + 32, 2¹⁸) (BT.1886).
5. Y = (1742r + 5859g + 591b + 2¹⁸) >> 19 for each pixel. For each cell of 2^k pixels, with r, g and b
   summed over it (at an odd edge the last pixel counts for those that are missing):
   U = clamp((−939r − 3157g + 4096b + (257 << (18 + k))) >> (19 + k), 0, 255) and
   V = clamp((4096r − 3720g − 376b + (257 << (18 + k))) >> (19 + k), 0, 255).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .resize import Planes

if TYPE_CHECKING:
    from av import VideoFrame

Curve = Literal["pq", "hlg"]
Gamut = Literal["bt709", "bt2020", "p3"]
Luma = Literal["bt601", "bt709", "bt2020"]
_CURVES: dict[int, Curve] = {16: "pq", 18: "hlg"}  # FFmpeg's AVColorTransferCharacteristic
_MATRICES: dict[int, Luma] = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601"}  # AVColorSpace
_GAMUTS: dict[int, Gamut] = {1: "bt709", 5: "bt709", 6: "bt709", 7: "bt709", 11: "p3", 12: "p3"}
_PEAK, _WHITE = 1000.0, 203.0  # cd/m² of HDR that become SDR's white, and of HDR's reference white
_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # Kr, Kb
_TO_BT709 = {
    "bt709": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    # BT.2087
    "bt2020": ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    "p3": ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_SCENE = 1 << 22
_TOP = 4095  # of the codes that the tables know
_LIGHT = 1 << 18
_GREY = 255 * 64


@dataclass(frozen=True, eq=False)
class Tone:
    """One map, as its kernels on CPU and GPU take it.

    Attributes:
        linear: ``uint32[4096]``, step 2.
        gain, curve: ``uint16[4096 + 4097]`` and ``uint32[2 * 4096 + 4097]`` for HLG; else None.
        display: ``uint16[4096 + 4097]``, ``dark`` and ``bright`` of step 4.
        numbers: ``int32[16]``: black, mid, cy, rv, gu, gv, bu, then the gamut's nine by rows.
    """

    linear: NDArray[np.uint32]
    gain: NDArray[np.uint16] | None
    curve: NDArray[np.uint32] | None
    display: NDArray[np.uint16]
    numbers: NDArray[np.int32]


Hdr = tuple[Curve, Luma, Gamut]
"""How a picture in HDR is coded."""


def hdr_of(frame: VideoFrame) -> Hdr | None:
    """How a picture is coded, where that is PQ or HLG; None for SDR."""
    if frame.color_trc not in _CURVES:
        return None
    matrix, gamut = _MATRICES.get(frame.colorspace, "bt2020"), _GAMUTS.get(frame.color_primaries, "bt2020")
    return _CURVES[frame.color_trc], matrix, gamut


def tone_mapped(hdr: Hdr, planes: list[NDArray[Any]], bits: int, colour: dict[str, Any]) -> Planes:
    """The SDR picture.

    Args:
        hdr: how it is coded.
        planes: Y, U and V of ``bits`` bits as stored.
        bits: 8 to 16.
        colour: its range and orientation, as ``picture.colour_of`` gives them.
    """
    from .._core import frames_tone_map

    if bits == 9:
        planes, bits = [plane << np.uint16(1) for plane in planes], 10
    elif bits > 12:
        shift = bits - 12
        rounded = [(plane.astype(np.uint32) + (1 << (shift - 1))) >> shift for plane in planes]
        planes, bits = [np.minimum(plane, 4095).astype(np.uint16) for plane in rounded], 12
    chosen = tone(*hdr, bits, colour["full_range"])
    deep = [np.ascontiguousarray(plane, np.uint16) for plane in planes]
    y, u, v = (np.empty(plane.shape, np.uint8) for plane in deep)
    tables = (chosen.linear, chosen.display, chosen.gain, chosen.curve, chosen.numbers)
    frames_tone_map(deep[0], deep[1], deep[2], *tables, y, u, v)
    return Planes(y, u=u, v=v, **colour | {"matrix": "bt709", "full_range": True})


@lru_cache(maxsize=32)
def tone(curve: Curve, matrix: Luma, gamut: Gamut, bits: int, full_range: bool) -> Tone:
    """The tables and numbers of a map; see the module.

    >>> tone("pq", "bt2020", "bt2020", 10, False).numbers[:7].tolist()
    [64, 512, 76590, 110418, -12322, -42783, 140879]
    """
    codes = [n / _TOP for n in range(_TOP + 1)]
    levels = [*range(4096), *(min(64 * i + 32, _LIGHT) for i in range(4097))]
    span = (1 << bits) - 1 if full_range else 219 << (bits - 8)
    swing = (1 << bits) - 1 if full_range else 224 << (bits - 8)
    kr, kb = _LUMA[matrix]
    kg, scale = 1 - kr - kb, _TOP << 14
    numbers = [0 if full_range else 16 << (bits - 8), 1 << (bits - 1), round(scale / span)]
    numbers += [round(2 * (1 - kr) * scale / swing), round(-2 * kb * (1 - kb) / kg * scale / swing)]
    numbers += [round(-2 * kr * (1 - kr) / kg * scale / swing), round(2 * (1 - kb) * scale / swing)]
    for i, row in enumerate(_TO_BT709[gamut]):
        whole = [round(4096 * share) for share in row]
        whole[i] += 4096 - sum(whole)  # white stays white
        numbers += whole
    gain = bend = None
    if curve == "pq":
        linear = [_nearest(_LIGHT * min(1.0, compressed(code) / _WHITE)) for code in codes]
    else:
        linear = [_nearest(_SCENE * scene_light(code)) for code in codes]
        gain = np.array([_nearest((1 << 14) * (level / _LIGHT) ** 0.2) for level in levels], np.uint16)
        codes = [_pq_code(_PEAK * level / _SCENE) for level in _scene_levels()]
        bend = np.array([_nearest(_LIGHT * min(1.0, compressed(code) / _WHITE)) for code in codes], np.uint32)
    return Tone(
        np.array(linear, np.uint32),
        gain,
        bend,
        np.array([_nearest(_GREY * (level / _LIGHT) ** (1 / 2.4)) for level in levels], np.uint16),
        np.array(numbers, np.int32),
    )


def scene_light(code: float) -> float:
    """HLG's inverse OETF (BT.2100): light of the scene between 0 and 1."""
    if code <= 0.5:
        return code * code / 3
    return min(1.0, (math.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def compressed(code: float) -> float:
    """cd/m² on the SDR display of light that PQ codes so: BT.2390's EETF, before white cuts it off."""
    top = _pq_code(_PEAK)
    most = _pq_code(_WHITE) / top
    knee = 1.5 * most - 0.5
    e = code / top
    if e >= 1:
        e = most
    elif e > knee:
        t = (e - knee) / (1 - knee)
        e = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (3 * t**2 - 2 * t**3) * most
        )
    return _pq_light(e * top)


def _nearest(value: float) -> int:
    """Rounded, ties up: what noise in the last digits of a tie would leave to the mathematical library."""
    return math.floor(value + 0.5 + 1e-7)


def _scene_levels() -> list[int]:
    """The light that each entry of ``curve`` is made for."""
    fine = [*range(4096), *(64 * i + 32 for i in range(4096))]
    return [*fine, *(min(1024 * i + 512, _SCENE) for i in range(4097))]


_M1, _M2, _C1, _C2, _C3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128  # SMPTE ST 2084


def _pq_light(code: float) -> float:
    power = code ** (1 / _M2)
    light: float = 10_000 * (max(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def _pq_code(light: float) -> float:
    power = (light / 10_000) ** _M1
    code: float = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return code
