"""Libraries whose segments are made up: scenes drift as real ones do, copies differ in some bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.fake_encoder import MAGIC, FakeEncoder
from vhash_sdk import Library
from vhash_sdk.models import zoo

BITS = 256
HOP = 0.5


def scene(seed: int, seconds: float) -> NDArray[np.float64]:
    """Logits of so many seconds at ten a second; what is near in time is alike."""
    generator = np.random.default_rng(seed)
    steps = round(seconds * 10)
    noise = generator.normal(size=(steps + 40, BITS))
    kernel = np.hanning(17)
    smooth = np.stack([np.convolve(noise[:, bit], kernel, "valid")[:steps] for bit in range(BITS)], axis=1)
    result: NDArray[np.float64] = smooth / smooth.std() + 0.7 * generator.normal(size=BITS)
    return result


def windows(logits: NDArray[np.float64], *, noise: float, seed: int) -> list[tuple[float, float, bytes]]:
    """What a library keeps of it: (start, end, code)."""
    generator = np.random.default_rng(seed)
    found = []
    for first in range(0, max(1, len(logits) - 9), 5):
        mean = logits[first : first + 10].mean(axis=0) + noise * generator.normal(size=BITS)
        code = np.packbits(mean >= 0, bitorder="little").tobytes()
        found.append((first / 10, min(len(logits), first + 10) / 10, code))
    return found


def add_video(
    library: Library, folder: Path, name: str, logits: NDArray[np.float64], *, noise: float = 0.15
) -> int:
    """A video of these logits; returns its id."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(MAGIC + name.encode() * 3)
    library.add([file], segments=False)
    entry = library.get(file)
    assert entry is not None
    with library._db.transaction(codes=True):
        for start, end, code in windows(logits, noise=noise, seed=entry.id):
            library._db.execute(
                "INSERT INTO code (video, kind, t0, t1, confidence, code)"
                " VALUES (?, 'segment', ?, ?, 0.5, ?)",
                (entry.id, start, end, code),
            )
    return entry.id


def made_up(directory: Path) -> Library:
    """An empty library of the default model, which nothing is encoded by."""
    encoder = FakeEncoder(bits=BITS)
    encoder.spec = zoo.load("default").spec
    return Library(directory, encoder=encoder)  # type: ignore[arg-type]


def planted(directory: Path) -> Library:
    """A film, a trailer, a trimmed copy, a clip in two compilations, once backwards, and seven episodes."""
    library, folder = made_up(directory / "lib"), directory / "videos"
    film, clip, intro = scene(3, 120), scene(2, 15), scene(1, 12)

    def add(name: str, *scenes: NDArray[np.float64]) -> None:
        add_video(library, folder, name, np.concatenate(scenes))

    add("film", film)
    add("trailer", film[200:290], film[700:790], scene(4, 10))
    add("trimmed", film[100:1000])
    add("clip", clip)
    add("forwards", scene(5, 20), clip, scene(6, 20))
    add("backwards", scene(7, 20), clip[::-1], scene(8, 20))
    add("stranger", scene(9, 100))
    for i in range(7):
        add(f"episode{i}", scene(20 + i, 4 + i), intro, scene(40 + i, 60))
    return library
