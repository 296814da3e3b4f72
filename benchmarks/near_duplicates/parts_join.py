"""The join of millions of made segments: what it finds, how long it takes, and how much memory.

Random codes are as far apart as codes can be. Real ones are not: with a library to make them of, each video
is 100 consecutive windows of one of its videos in half of the bits, and of another one in the other half, so
that bits depend on each other, windows on those before, and videos on videos as they do there. Parts are
planted that differ in some bits, an intro that a thousand videos have, and black windows.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import CACHE
from vhash_sdk import Library
from vhash_sdk.library.near_pairs import PairCache
from vhash_sdk.library.part_looks import decided
from vhash_sdk.library.parts import align_all, read_table
from vhash_sdk.library.segment_join import SegmentTable, link

BITS, WINDOWS = 256, 100
APART = (8, 16, 24, 32, 40)
"""Bits in which the windows of planted parts differ from the original's."""


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def like(library: Path, videos: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Codes of so many videos, made of a library's."""
    with Library(library) as opened:
        table = read_table(opened._db, opened.spec)
    number = table.videos
    starts = np.flatnonzero(number[: 1 - WINDOWS] == number[WINDOWS - 1 :])
    if not len(starts) or table.bits != BITS:
        raise SystemExit(
            f"{library}: {len(table):,} segments of {table.bits} bits, expected {WINDOWS} in a row of one "
            f"video and {BITS} bits; add longer videos with `vhash add --segments`"
        )
    codes = np.empty((videos, WINDOWS, BITS // 8), np.uint8)
    rows = np.arange(WINDOWS)
    for video in range(videos):
        one, two = generator.choice(starts, 2)
        mask = np.packbits(generator.permutation(BITS) < BITS // 2)
        codes[video] = table.codes[one + rows] & mask | table.codes[two + rows] & ~mask
    return codes.reshape(-1, BITS // 8)


def made_up(count: int, library: Path | None = None) -> tuple[SegmentTable, dict[tuple[int, int], int], int]:
    """Segments, the pairs of videos that share a planted part, and how many share the intro."""
    generator = np.random.default_rng(7)
    videos = count // WINDOWS
    if library is None:
        codes = generator.integers(0, 256, (videos * WINDOWS, BITS // 8), np.uint8)
    else:
        codes = like(library, videos, generator)
    planted: dict[tuple[int, int], int] = {}
    copies = max(1, videos // 100)
    pairs = generator.permutation(videos)[: 2 * copies].reshape(-1, 2)
    for number, (a, b) in enumerate(np.sort(pairs, axis=1).tolist()):
        at, to = generator.integers(0, WINDOWS - 30, 2)
        part = codes[a * WINDOWS + at : a * WINDOWS + at + 30].copy()
        flipped = APART[number % len(APART)]
        codes[b * WINDOWS + to : b * WINDOWS + to + 30] = part ^ noise(generator, len(part), flipped)
        planted[a, b] = flipped
    intro = generator.integers(0, 256, (20, BITS // 8), np.uint8)
    having = generator.permutation(videos)[: min(1000, videos // 4)]
    for video in having.tolist():
        codes[video * WINDOWS + 75 : video * WINDOWS + 95] = intro ^ noise(generator, 20, 6)
    black = generator.integers(0, 256, BITS // 8, np.uint8)
    dark = generator.permutation(len(codes))[: len(codes) // 100]
    dark = dark[dark % WINDOWS >= 95]  # only where nothing was planted
    codes[dark] = black ^ noise(generator, len(dark), 1)
    starts = np.tile(0.5 * np.arange(WINDOWS, dtype=np.float32), videos)
    table = SegmentTable(
        np.arange(len(codes)), np.repeat(np.arange(videos), WINDOWS), np.stack([starts, starts + 1], axis=1),
        np.full(len(codes), 0.5, np.float32), codes, BITS,
    )  # fmt: skip
    return table, planted, len(having)


def noise(generator: np.random.Generator, count: int, bits: int) -> NDArray[np.uint8]:
    """Codes with so many bits set."""
    flips = np.zeros((count, BITS), bool)
    flips[np.arange(count)[:, None], generator.random((count, BITS)).argpartition(bits)[:, :bits]] = True
    return np.packbits(flips, axis=1, bitorder="little")


def joined(count: int, library: Path | None = None) -> dict[str, Any]:
    """The join of so many segments."""
    table, planted, having = made_up(count, library)
    before = megabytes()
    folder = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        cache = PairCache(folder / "pairs.npz", writable=True)
        start, spent = time.perf_counter(), time.process_time()
        links = link(table, cache.near)
        joining, working = time.perf_counter() - start, time.process_time() - spent
        peak = megabytes()
        start = time.perf_counter()
        link(table, cache.near)
        again = time.perf_counter() - start
    finally:
        shutil.rmtree(folder)
    start = time.perf_counter()
    pairs, _ = align_all(table, links)
    aligning = time.perf_counter() - start
    aligned = {(pair.a, pair.b) for pair in decided(pairs, {})}
    linked = {tuple(table.videos[links.ends[part.start]].tolist()) for part in links.by_pair(table.videos)}
    return {
        "segments": len(table),
        "videos": len(table) // WINDOWS,
        "radius": links.radius,
        "joined": links.joined,
        "links": len(links.ends),
        "seconds_to_join": round(joining, 1),
        "cpu_seconds_to_join": round(working, 1),
        "seconds_to_join_again": round(again, 1),
        "megabytes_before": round(before),
        "megabytes": round(peak),
        "planted": len(planted),
        "linked": len(planted.keys() & linked),
        "aligned": len(planted.keys() & aligned),
        "by_distance": {
            str(bits): {
                "planted": len(some := {pair for pair, apart in planted.items() if apart == bits}),
                "aligned": len(some & aligned),
            }
            for bits in APART
        },
        "share_the_intro": having,
        "seconds_to_align": round(aligning, 1),
        "pairs_aligned": len(aligned),
        "megabytes_at_the_end": round(megabytes()),
    }
