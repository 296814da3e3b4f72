"""Types of the C++ engine."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# --- Hamming search (csrc/bindings/index.cpp) ---

def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def set_simd_level(name: str) -> None: ...

MAX_THREADS: int

def available_threads() -> int: ...
def read_memory(data: NDArray[np.uint64]) -> int: ...
def crc32c(data: bytes | bytearray | memoryview | NDArray[np.uint8], crc: int = 0) -> int: ...

class PairJoin:
    @property
    def choices(self) -> int: ...
    def next(self, wanted: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]] | None: ...

class Rows:
    @property
    def live(self) -> int: ...
    @property
    def ordered(self) -> bool: ...
    @property
    def bounds(self) -> tuple[int, int] | None: ...
    def next(self, wanted: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None: ...

class HammingIndex:
    def __init__(self, bits: int, model: str = "") -> None: ...
    @property
    def bits(self) -> int: ...
    @property
    def model(self) -> str: ...
    @model.setter
    def model(self, value: str) -> None: ...
    @property
    def next_id(self) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, id: int) -> bool: ...
    def add(self, codes: NDArray[np.uint8], ids: NDArray[np.int64] | None) -> int: ...
    def upsert(self, codes: NDArray[np.uint8], ids: NDArray[np.int64]) -> None: ...
    def remove(self, ids: NDArray[np.int64]) -> int: ...
    def codes(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]: ...
    def search(
        self,
        queries: NDArray[np.uint8],
        k: int,
        threads: int,
        among: NDArray[np.int64] | None,
        recall: float = 1.0,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]: ...
    def range_search(
        self,
        queries: NDArray[np.uint8],
        radius: int,
        limit: int | None,
        threads: int,
        among: NDArray[np.int64] | None,
        recall: float = 1.0,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]]: ...
    def explain(
        self,
        queries: NDArray[np.uint8],
        k: int,
        radius: int | None,
        threads: int,
        among: NDArray[np.int64] | None,
        recall: float = 1.0,
    ) -> dict[str, Any]: ...
    def build_multi_index(self, threads: int) -> None: ...
    def rows(self) -> Rows: ...
    def pairs(
        self,
        other: HammingIndex | None,
        radius: int,
        threads: int,
        choice: int = -1,
        part: int = 0,
        parts: int = 1,
    ) -> PairJoin: ...
    def save(self, path: bytes) -> None: ...
    @classmethod
    def load(cls, path: bytes, mmap: bool, verify: bool) -> Self: ...

# --- the frame kernel (csrc/bindings/frames.cpp) ---

def frames_planes_to_rgb(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8] | None,
    *,
    bt709: bool,
    full_range: bool,
    out: NDArray[np.uint8],
    scaled: tuple[int, int],
    crop: tuple[int, int],
    area: bool,
    rotation: int,
    mirrored: bool = False,
) -> None: ...
def frames_tone_map(
    y: NDArray[np.uint16],
    u: NDArray[np.uint16],
    v: NDArray[np.uint16],
    linear: NDArray[np.uint32],
    display: NDArray[np.uint16],
    gain: NDArray[np.uint16] | None,
    curve: NDArray[np.uint32] | None,
    numbers: NDArray[np.int32],
    to_y: NDArray[np.uint8],
    to_u: NDArray[np.uint8],
    to_v: NDArray[np.uint8],
) -> None: ...
def frames_rgb_to_rgb(
    rgb: NDArray[np.uint8],
    *,
    out: NDArray[np.uint8],
    scaled: tuple[int, int],
    crop: tuple[int, int],
    area: bool,
) -> None: ...

# --- the second look (csrc/bindings/matching.cpp) ---

def frame_likeness(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    shared: NDArray[np.float32],
    low: NDArray[np.int64],
    part: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]: ...

# --- Store (csrc/bindings/store.cpp) ---

def repair_store(directory: bytes) -> list[str]: ...

class Store:
    def __init__(
        self,
        directory: bytes,
        bits: int,
        model: str,
        writable: bool,
        seal_rows: int = 0,
        background: bool = True,
    ) -> None: ...
    @property
    def index(self) -> HammingIndex: ...
    def refresh(self) -> bool: ...
    def compact(self) -> None: ...
    def close(self) -> None: ...
    def info(self) -> dict[str, int | str]: ...
