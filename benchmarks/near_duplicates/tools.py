"""The tools that the near-duplicate benchmark compares, ours and the peers, behind one seam.

Peers read their frames with PyAV (whole file decoded, swscale), as their own scripts do; a
frame rate or count is theirs too. vhash runs as a user runs it: ``Encoder.encode(path)``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import ffmpeg, ffmpeg_on_path

FRAMES = 25  # of every tool that samples uniformly


class Tool(Protocol):
    """One way to fingerprint a video. Distances: smaller is nearer."""

    name: str
    version: str  # names the file of kept fingerprints: another one when they would differ

    def encode(self, path: Path) -> Any:
        """The fingerprint of one file."""

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        """``[queries, database]``."""

    def size(self, fingerprint: Any) -> int:
        """Bytes."""


def hamming(queries: NDArray[np.uint8], database: NDArray[np.uint8]) -> NDArray[np.float32]:
    a, b = (np.unpackbits(x, axis=1).astype(np.float32) * 2 - 1 for x in (queries, database))
    return (a.shape[1] - a @ b.T) / 2


class Packed:
    """Fingerprints that are one packed binary code each."""

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        return hamming(np.stack(queries), np.stack(database))

    def size(self, fingerprint: Any) -> int:
        return len(fingerprint)


class Vhash:
    """Our SDK, one model: content box, candidates by the codes, then verification.

    Distances are verified ones for candidates (``Encoder.calibration`` says how far those go), and
    beyond all of these for the others: they are never matched.
    """

    def __init__(self, model: str):
        from vhash_sdk import Encoder

        self.encoder = Encoder(model, threads=1)  # the figure is CPU seconds: no spinning helpers
        spec = self.encoder.spec
        self.name = f"vhash {spec.name}"
        self.version = f"vhash-{spec.fingerprint[:8]}-views"

    def encode(self, path: Path) -> NDArray[np.uint8]:
        from vhash_sdk.encoding.encoded import views

        (encoded,) = self.encoder.encode_many([path], workers=1, detail="views")
        if encoded.error is not None:
            raise encoded.error
        duration = np.array([encoded.code.duration]).tobytes()
        parts = [view.code.tobytes() + view.frames.to_bytes() for view in views(encoded)]
        return np.frombuffer(duration + b"".join(parts), np.uint8)

    def views(self, fingerprint: NDArray[np.uint8]) -> list[Any]:
        from vhash_sdk.matching.second_look import View, frames_from_bytes, frames_width

        spec = self.encoder.spec
        duration = float(fingerprint[:8].view(np.float64)[0])
        rows = fingerprint[8:].reshape(-1, spec.bits // 8 + frames_width(spec))
        return [
            View(row[: spec.bits // 8], frames_from_bytes(row[spec.bits // 8 :].tobytes(), spec, duration))
            for row in rows
        ]

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        rows, columns = ([self.views(x) for x in side] for side in (queries, database))
        out = self.code_distances(rows, columns)
        calibration, bits = self.encoder.calibration, self.encoder.spec.bits
        assert calibration is not None and calibration.second_look is not None
        near = out <= calibration.second_look.radius
        out += bits
        for i, j in zip(*np.nonzero(near), strict=True):
            out[i, j] = calibration.second_look.evidence.verified(rows[i], columns[j], bits)
        return out

    def code_distances(self, rows: list[Any], columns: list[Any]) -> NDArray[np.float32]:
        """The smallest over the views of both."""
        codes = [np.stack([view.code for seen in side for view in seen]) for side in (rows, columns)]
        starts = [np.cumsum([0] + [len(seen) for seen in side[:-1]]) for side in (rows, columns)]
        every = hamming(codes[0], codes[1])
        return np.minimum.reduceat(np.minimum.reduceat(every, starts[0], 0), starts[1], 1)

    def size(self, fingerprint: Any) -> int:
        return int(fingerprint.size) - 8


class Codes(Vhash):
    """Our SDK without verification: the codes of whole picture and content box, nothing more."""

    def __init__(self, model: str):
        super().__init__(model)
        self.name += ", codes alone"

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        rows, columns = ([self.views(x) for x in side] for side in (queries, database))
        return self.code_distances(rows, columns)

    def size(self, fingerprint: Any) -> int:
        return self.encoder.spec.bits // 8 * len(self.views(fingerprint))


class PlainCode(Packed):
    """Our SDK without content box and verification: ``Encoder.encode(path).code``, for any model."""

    def __init__(self, model: str):
        from vhash_sdk import Encoder

        self.encoder = Encoder(model, threads=1)
        spec = self.encoder.spec
        self.name = f"vhash {spec.name}, plain code"
        self.version = f"code-{spec.fingerprint[:8]}"

    def encode(self, path: Path) -> NDArray[np.uint8]:
        return np.asarray(self.encoder.encode(path).code)


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path), metadata_errors="ignore") as container:
        container.streams.video[0].thread_type = "NONE"
        return list(container.decode(video=0))


def uniform(frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    return [frames[int((j + 0.5) * len(frames) / FRAMES)] for j in range(FRAMES)]


def majority(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bit that at least half of the frames have; ``[frames, bits]`` → packed."""
    return np.packbits(bits.mean(0) >= 0.5)


class FramePhash(Packed):
    """pHash of each frame (32 × 32 luma, DCT, lowest 8 × 8, median), bitwise majority."""

    name = "frame pHash, 25 frames, majority"
    version = "phash"

    def __init__(self) -> None:
        from scipy.fft import dctn

        self.dctn = dctn

    def encode(self, path: Path) -> NDArray[np.uint8]:
        return majority(np.stack([self.bits(frame) for frame in uniform(decode(path))]))

    def bits(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The 64 bits of one frame."""
        luma = frame.to_image().convert("L").resize((32, 32), Image.Resampling.LANCZOS)
        low = self.dctn(np.asarray(luma, dtype=np.float64))[:8, :8].ravel()
        return (low > np.median(low)).astype(np.uint8)


def pdq(frame: av.VideoFrame) -> NDArray[np.uint8]:
    import pdqhash

    return pdqhash.compute(frame.to_ndarray(format="rgb24"))[0].astype(np.uint8)


class PdqMajority(Packed):
    """Meta's PDQ of 25 frames, bitwise majority."""

    name = "PDQ, 25 frames, majority"
    version = "pdq"

    def encode(self, path: Path) -> NDArray[np.uint8]:
        return majority(np.stack([pdq(frame) for frame in uniform(decode(path))]))


class Vpdq:
    """As vPDQ: a PDQ each second; distance = mean over frames of the minimal one, both ways averaged."""

    name = "vPDQ frames, mean of minimal distances"
    version = "vpdq"

    def encode(self, path: Path) -> NDArray[np.uint8]:
        codes, due = [], 0.0
        for frame in decode(path):
            if frame.time is None or frame.time >= due:
                codes.append(np.packbits(pdq(frame)))
                due += 1.0
        return np.stack(codes)

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        frames = np.concatenate(database)
        starts = np.cumsum([0] + [len(codes) for codes in database[:-1]])
        counts = np.array([len(codes) for codes in database])
        out = np.empty((len(queries), len(database)), np.float32)
        for i, query in enumerate(queries):
            each = hamming(query, frames)
            forward = np.minimum.reduceat(each, starts, axis=1).mean(0)
            backward = np.add.reduceat(each.min(0), starts) / counts
            out[i] = (forward + backward) / 2
        return out

    def size(self, fingerprint: Any) -> int:
        return int(fingerprint.size)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what a C library or its child writes to standard error off the terminal."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class VideoHash2(Packed):
    """PyPI's videohash2: wavelet hash of a collage of frames, mixed with dominant colours."""

    name = "videohash2"
    version = "videohash2"

    def __init__(self) -> None:
        ffmpeg_on_path()
        import videohash2

        self.make = videohash2.VideoHash

    def encode(self, path: Path) -> NDArray[np.uint8]:
        with tempfile.TemporaryDirectory() as folder:
            digits = self.make(path=str(path), storage_path=folder).hash.removeprefix("0b")
        return np.packbits(np.array([int(d) for d in digits], np.uint8))


class Tmk:
    """Meta's TMK+PDQF, level 1: cosine of the pure-average feature (1,024 bytes), by tmkpy."""

    name = "TMK+PDQF level 1"
    version = "tmk"

    def __init__(self) -> None:
        ffmpeg_on_path()
        import tmkpy

        self.make = tmkpy.hashVideo

    def encode(self, path: Path) -> NDArray[np.float32]:
        with quiet():
            feature = np.asarray(self.make(str(path), ffmpeg()).getPureAverageFeature(), np.float32)
        return feature / max(float(np.linalg.norm(feature)), 1e-12)

    def distances(self, queries: Sequence[Any], database: Sequence[Any]) -> NDArray[np.float32]:
        return 1 - np.stack(queries) @ np.stack(database).T

    def size(self, fingerprint: Any) -> int:
        return int(fingerprint.nbytes)


OURS: dict[str, type] = {"vhash": Vhash, "codes": Codes, "code": PlainCode}
PEERS: dict[str, type] = {
    "videohash2": VideoHash2, "phash": FramePhash, "pdq": PdqMajority, "vpdq": Vpdq, "tmk": Tmk,
}  # fmt: skip
