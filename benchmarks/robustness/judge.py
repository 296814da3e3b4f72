"""What a player shows of a file, by the command-line program of FFmpeg, which shares no code of ours.

The program turns pictures as the file says, puts pieces with times of their own one after the other,
crops as the container says, and scales. Here come on top what it leaves to its user: frames with
alpha stand on black, HDR is mapped to the screen of a computer, and pictures of more than 576 lines
that name no matrix are BT.709. The frames are those shown at the uniform times of the model.
"""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ffmpeg
from vhash_sdk.spec import ModelSpec

_TIMEOUT = 300
_FRAME = re.compile(r"\bn: *(\d+) .*?pts_time: *(\S+) .*?fmt:(\S+) .*? s:(\d+)x(\d+)")
_DURATION = re.compile(r"duration_time: *(\S+)")
_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya8|ya16|pal8")
_TONE = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param=0.8:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)


@dataclass(frozen=True)
class Shown:
    """What is shown of a file.

    Attributes:
        frames: ``uint8[T, H, W, 3]`` RGB at the size of the model, or None where nothing is shown.
        count: pictures in all. seconds: from the first one to the end of the last one.
        stream: FFmpeg's description of the video stream.
        problem: the last line of what it said, where nothing is shown.
    """

    frames: NDArray[np.uint8] | None
    count: int = 0
    seconds: float = 0.0
    stream: str = ""
    problem: str = ""


def shown(path: Path, spec: ModelSpec, stream: int = 0, format: str | None = None) -> Shown:
    """The frames that a player shows at the uniform times of a model.

    Args:
        path: the file.
        spec: of the model: how many frames, of what size.
        stream: which of the video streams that are no cover pictures.
        format: name of the demuxer, where the suffix of the file misleads FFmpeg.
    """
    source = [*([] if format is None else ["-f", format]), "-i", f"file:{path}", "-map", f"0:V:{stream}"]
    try:
        said = _run([*source, "-fps_mode", "passthrough", "-vf", "showinfo", "-f", "null", "-"]).stderr
    except subprocess.TimeoutExpired:
        return Shown(None, problem=f"nothing within {_TIMEOUT} s")
    text = said.decode(errors="replace")
    found = [match for line in text.splitlines() if "showinfo" in line and (match := _FRAME.search(line))]
    described = re.search(r"Stream #0.*?: (Video: .*)", text)
    description = described.group(1).strip() if described else ""
    times = [float(match.group(2)) for match in found if match.group(2) != "NOPTS"]
    if not found or len(times) != len(found):
        lines = [line for line in text.strip().splitlines() if not line.startswith("[Parsed_showinfo")]
        return Shown(None, len(found), stream=description, problem=(lines or [""])[-1][:200])
    lasts = [float(value) for line in text.splitlines() if (value := _last(line)) is not None]
    step = lasts[-1] if lasts and lasts[-1] > 0 else (times[-1] - times[0]) / max(len(times) - 1, 1) or 0.04
    seconds = times[-1] - times[0] + step
    count = spec.sampling.frames
    bounds = [times[0] + (j + 0.5) * seconds / count + 1e-6 for j in range(count)]
    ranks = [max(bisect_right(times, bound) - 1, 0) for bound in bounds]
    frames = _frames(source, sorted(set(ranks)), spec, found[0].group(3), int(found[0].group(5)), text)
    if frames is None:
        return Shown(None, len(times), seconds, description, "its frames cannot be scaled")
    places = {rank: i for i, rank in enumerate(sorted(set(ranks)))}
    return Shown(frames[[places[rank] for rank in ranks]], len(times), seconds, description)


def _last(line: str) -> float | None:
    match = _DURATION.search(line) if "showinfo" in line and " n:" in line else None
    try:
        return None if match is None else float(match.group(1))
    except ValueError:
        return None


def _frames(
    source: list[str], ranks: list[int], spec: ModelSpec, pixels: str, height: int, said: str
) -> NDArray[np.uint8] | None:
    rows, columns = spec.resize.output
    steps = ["select='" + "+".join(f"eq(n,{rank})" for rank in ranks) + "'"]
    if _ALPHA.match(pixels):
        steps += ["format=gbrap", "premultiply=inplace=1", "format=gbrp"]
    elif re.search(r"color_trc:(smpte2084|arib-std-b67)", said):
        steps += [_TONE]
    matrix = ":in_color_matrix=bt709" if "color_space:unknown" in said and height > 576 else ""
    steps += [f"scale={columns}:{rows}:flags=area+accurate_rnd+full_chroma_int{matrix}", "format=rgb24"]
    command = [*source, "-fps_mode", "passthrough", "-vf", ",".join(steps), "-f", "rawvideo", "-"]
    try:
        out = _run(command).stdout
    except subprocess.TimeoutExpired:
        return None
    size = rows * columns * 3
    if len(out) != len(ranks) * size:
        return None
    return np.frombuffer(out, np.uint8).reshape(len(ranks), rows, columns, 3)


def _run(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [ffmpeg(), "-hide_banner", "-nostdin", "-protocol_whitelist", "file", *arguments],
        capture_output=True,
        timeout=_TIMEOUT,
    )
