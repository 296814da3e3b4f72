"""How a stored picture is turned and mirrored to be shown: one of eight ways.

Containers (``tkhd``, Matroska's projection, ``irot`` and ``imir``), H.264 and HEVC messages and EXIF
all reach a decoded frame as FFmpeg's display matrix. Its determinant tells a mirror from a turn,
which its angle alone does not.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

Matrix = tuple[int, int, int, int]
_UNKNOWN_TYPE = re.compile(r"(\d+) is not a valid")
_NEVER_NAMED = "yuv", "nv", "p0"
"""How formats begin in which no decoder gives a colour profile a name."""
_UNKNOWN_MOST = 4  # kinds of data on one frame that PyAV has no name for


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Degrees clockwise (0, 90, 180 or 270), and whether left and right are exchanged after that."""
    matrix = _matrix(frame)
    return (0, False) if matrix is None else orientation(matrix)


def orientation(matrix: Matrix) -> tuple[int, bool]:
    """The same of a display matrix ((a, b), (c, d)), rows as stored: x' = a·x + c·y, y' = b·x + d·y.

    Other angles are rounded to quarter turns, and a matrix that is none shows the picture as it is.

    >>> orientation((0, 65536, -65536, 0)), orientation((-65536, 0, 0, 65536))
    ((90, False), (0, True))
    """
    a, b, c, d = matrix
    determinant = a * d - b * c
    if determinant == 0:
        return 0, False
    if determinant < 0:  # undo the mirror, which comes last: x' changes its sign
        a, c = -a, -c
    # each row of x' and y' may have a scale of its own; it does not turn anything
    angle = math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c)))
    return round(angle / 90) % 4 * 90, determinant < 0


def oriented(rgb: NDArray[np.uint8], rotation: int, mirrored: bool) -> NDArray[np.uint8]:
    """A view of ``uint8[H, W, 3]`` as it is shown.

    >>> oriented(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), 90, True)[..., 0].tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    shown = np.rot90(rgb, -(rotation // 90))
    return shown[:, ::-1] if mirrored else shown


def _matrix(frame: VideoFrame) -> Matrix | None:
    from av.sidedata.sidedata import Type

    if not frame.format.name.startswith(_NEVER_NAMED):
        # PyAV 18 frees the name of a profile, which PNG has, a second time once it was asked for any data
        frame = _without(frame, "ICC_PROFILE")
    for _ in range(_UNKNOWN_MOST):
        try:
            kept: Any = frame.side_data  # its stub knows motion vectors only
            data = kept.get(Type.DISPLAYMATRIX)
        except ValueError as error:  # PyAV gives up at data that it has no name for, EXIF among them
            unknown = _UNKNOWN_TYPE.search(str(error))
            if unknown is None:
                break
            frame = _without(frame, unknown[1])
            continue
        if data is None:
            return None
        a, b, _, c, d = (int(value) for value in np.frombuffer(data, np.int32)[:5])
        return a, b, c, d
    angle = math.radians(-frame.rotation)  # what PyAV reads by itself
    cosine, sine = round(65536 * math.cos(angle)), round(65536 * math.sin(angle))
    return cosine, sine, -sine, cosine


def _without(frame: VideoFrame, kind: str) -> VideoFrame:
    """The same frame less its data of one kind."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )  # fmt: skip
    graph.link_nodes(source, graph.add("sidedata", f"mode=delete:type={kind}"), graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return cast("VideoFrame", graph.pull())
