"""What other tools do about parts of videos, as their documentation describes it, in our own words of code.

Neither tool is built here: one is Rust, the other C#, and their packages are not to be had where this was
measured. So these are implementations of the methods that they describe, on frames decoded once for both:

``windows``
    Czkawka since version 12, by its library Similario: five windows of six seconds evenly over each video
    (the first 15 s are passed by), 16 grey frames of 16 × 16 each, a 3D DCT of each window made 1,000 bits.
    Two videos are compared where their lengths are within 20 % (it sorts by length and starts a group where
    one is 20 % longer), and their middle windows differ in at most 45 % of the bits; they are one where three
    of five windows differ in at most 30 %, a clip of each other where half do along one offset, alike where
    the middle ones do. It names no times: a part counts as found where the two videos are named.
``votes``
    VideoDuplicateFinder since version 4 ("AI partial clip detection"): a vector for a frame every few
    seconds; frames that are alike vote for a time offset, and enough of them have to agree on one. Its
    network is not to be had here: a perceptual hash of 64 bits takes its place, a frame each second, alike
    within ten bits; at least five frames, and half of those along the stretch, have to agree. Its other mode
    goes by sound alone, and these videos have none.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from benchmarks.common import ffmpeg
from vhash_sdk.codes import hamming_distance

SIZE, FRAMES, WINDOW = 32, 16, 6.0
RATE = FRAMES / WINDOW
"""Frames a second that are decoded."""
SKIP, WINDOWS = 15.0, 5
ALIKE, SAME, CLIP, LONGER = 0.30, 0.6, 0.5, 0.20
NEAR, AGREE, SHARE = 10, 5, 0.5

Grey = NDArray[np.uint8]
Sides = tuple[tuple[float, float], tuple[float, float]]


def frames(path: Path) -> Grey:
    """``uint8[n, 32, 32]`` at ``RATE``."""
    command = [ffmpeg(), "-nostdin", "-v", "error", "-threads", "1", "-i", str(path)]
    command += ["-vf", f"fps={RATE:.6f},scale={SIZE}:{SIZE}:flags=area,format=gray"]
    made = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(made, np.uint8).reshape(-1, SIZE, SIZE)


def all_frames(paths: Sequence[Path]) -> list[Grey]:
    """Of all videos, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(frames, paths))


def window_hashes(grey: Grey) -> NDArray[np.uint8]:
    """``uint8[5, 125]``: of windows that lie evenly over a video."""
    small = grey.reshape(len(grey), SIZE // 2, 2, SIZE // 2, 2).mean(axis=(2, 4))
    last = max(0, len(small) - FRAMES)
    first = min(round(SKIP * RATE), last)
    hashes = []
    for start in np.linspace(first, last, WINDOWS).round().astype(int):
        part = small[start : start + FRAMES]
        cube = np.zeros((FRAMES, SIZE // 2, SIZE // 2))
        cube[: len(part)] = part
        low = dctn(cube, norm="ortho")[:10, :10, :10].ravel()
        hashes.append(np.packbits(low > np.median(low), bitorder="little"))
    return np.stack(hashes)


def by_windows(videos: Sequence[Grey]) -> set[tuple[int, int]]:
    """Pairs of videos that are the same, a clip of each other, or alike."""
    hashes = [window_hashes(grey) for grey in videos]
    found = set()
    for group in _of_one_length([len(grey) for grey in videos]):
        for a, b in combinations(sorted(group), 2):
            apart = hamming_distance(hashes[a], hashes[b]) / 1000  # all have five: there is one offset
            middle = float(apart[WINDOWS // 2])
            alike = float((apart <= ALIKE).mean())
            if middle <= 1.5 * ALIKE and (alike >= min(SAME, CLIP) or middle <= ALIKE):
                found.add((a, b))
    return found


def _of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    group: list[int] = []
    for video in sorted(range(len(lengths)), key=lambda video: lengths[video]):
        if group and lengths[video] > (1 + LONGER) * lengths[group[0]]:
            yield group
            group = []
        group.append(video)
    yield group


def frame_hashes(grey: Grey) -> NDArray[np.uint8]:
    """``uint8[seconds, 8]``: the perceptual hash of a frame each second."""
    at = np.arange(0, len(grey), RATE).round().astype(int).clip(0, len(grey) - 1)
    low = dctn(grey[at].astype(np.float32), axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(at), 64)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1, bitorder="little")


def by_votes(videos: Sequence[Grey]) -> dict[tuple[int, int], list[tuple[Sides, float]]]:
    """The stretches of pairs of videos whose frames agree on one time offset, with the share that does."""
    hashes = [frame_hashes(grey) for grey in videos]
    words = [one.view(np.uint64).reshape(-1) for one in hashes]
    found = {}
    for a, b in combinations(range(len(videos)), 2):
        near = np.bitwise_count(words[a][:, None] ^ words[b][None]) <= NEAR
        spans = list(_stretches(near))
        if spans:
            found[a, b] = spans
    return found


def _stretches(near: NDArray[np.bool_]) -> Iterator[tuple[Sides, float]]:
    """Stretches along one offset, the best first; no more than ten of two videos."""
    near = near.copy()
    for _ in range(10):
        one, two = np.nonzero(near)
        if len(one) < AGREE:
            return
        offsets, counts = np.unique(two - one, return_counts=True)
        offset = int(offsets[counts.argmax()])
        hits = np.sort(one[two - one == offset])
        groups = np.split(hits, np.flatnonzero(np.diff(hits) > 3) + 1)
        best = max(groups, key=len)
        seconds = int(best[-1] - best[0]) + 1
        if len(best) < AGREE:
            return
        if len(best) >= SHARE * seconds:
            start, end = float(best[0]), float(best[-1]) + 1
            yield ((start, end), (start + offset, end + offset)), len(best) / seconds
        around = slice(int(best[0]), int(best[-1]) + 1)
        for beside in (-1, 0, 1):
            rows = np.arange(around.start, around.stop)
            columns = rows + offset + beside
            inside = (columns >= 0) & (columns < near.shape[1])
            near[rows[inside], columns[inside]] = False


def measured_peers(
    paths: Sequence[Path],
) -> tuple[dict[str, Any], set[tuple[int, int]], dict[tuple[int, int], list[tuple[Sides, float]]]]:
    """Seconds of both, the pairs of the first and the stretches of the second."""
    import time

    start = time.perf_counter()
    grey = all_frames(paths)
    decoded = time.perf_counter()
    pairs = by_windows(grey)
    compared = time.perf_counter()
    spans = by_votes(grey)
    seconds = {
        "decoding": round(decoded - start, 1),
        "windows": round(compared - decoded, 1),
        "votes": round(time.perf_counter() - compared, 1),
    }
    return seconds, pairs, spans
