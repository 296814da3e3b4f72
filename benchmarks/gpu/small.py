"""Every CUDA kernel at small sizes, checked against the CPU: what compute-sanitizer runs (see run.py)."""

from __future__ import annotations

import argparse

import numpy as np

from vhash_sdk import Index
from vhash_sdk.gpu.module import cuda_module


def hamming(rows: int) -> int:
    """All methods and widths; returns how many comparisons were made."""
    rng, checked = np.random.default_rng(0), 0
    for bits in (64, 100, 128, 256, 512, 1000):
        codes = rng.integers(0, 256, (rows, (bits + 7) // 8), dtype=np.uint8)
        if bits % 8:
            codes[:, -1] &= (1 << bits % 8) - 1
        codes[::50] = codes[0]
        index = Index(bits)
        index.add(codes, np.arange(rows) * 2)
        copied, queries = index.to("cuda"), codes[rng.integers(0, rows, 37)]
        for method in ("few", "popc", "slices", "s8", "b1"):
            if (bits > 512 and method != "few") or (bits > 128 and method == "slices"):
                continue
            here, there = index.search(queries, 5), copied.search(queries, 5, method=method)  # type: ignore[arg-type]
            assert (here.ids == there.ids).all() and (here.distances == there.distances).all(), (bits, method)
            near, found = index.range_search(queries, 9), copied.range_search(queries, 9, method=method)  # type: ignore[arg-type]
            assert (near.ids == found.ids).all() and (near.splits == found.splits).all(), (bits, method)
            checked += 2
        some = np.arange(0, rows, 3)
        assert (index.search(queries, 5, among=some).ids == copied.search(queries, 5, among=some).ids).all()
    return checked


def frames() -> int:
    """Both frame kernels and the thinning one."""
    from benchmarks.gpu.frames import check_planes

    checked = 0
    for height, width in ((48, 64), (33, 51), (120, 40)):
        for rotation in (0, 90):
            for direct in (False, True):
                checked += check_planes(height, width, rotation=rotation, direct=direct)
    return checked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="on the emulator")
    dry = parser.parse_args().dry_run
    if dry:
        from benchmarks.gpu.run import pretend_gpu

        pretend_gpu()
    assert cuda_module().device_count() > 0
    print("comparisons:", hamming(300 if dry else 5003) + frames())


if __name__ == "__main__":
    main()
