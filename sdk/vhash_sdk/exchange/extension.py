"""Our codes as a signal type of ``threatexchange``, and so of Hasher-Matcher-Actioner.

``threatexchange config extensions add vhash_sdk.exchange.extension`` adds it to that command; in the settings
of Hasher-Matcher-Actioner it is one of the ``SIGNAL_TYPES``. Needs the extra ``threatexchange``.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import MissingDependencyError, VideoError
from ..system.extras import pip_install
from ..video.isolation import ISOLATES

try:
    from threatexchange.content_type.content_base import ContentType
    from threatexchange.content_type.video import VideoContent
    from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
    from threatexchange.signal_type.index import (
        IndexMatch,
        SignalSimilarityInfoWithIntDistance,
        SignalTypeIndex,
    )
    from threatexchange.signal_type.signal_base import (
        CanGenerateRandomSignal,
        FileHasher,
        SignalComparisonResult,
        SignalType,
    )
except ImportError as error:
    raise MissingDependencyError(
        f"the signal type needs threatexchange ({error}); {pip_install('cpu', 'threatexchange')}"
    ) from error

from ..codes import same_model
from ..encoding.encoder import Encoder
from ..models import zoo
from .signals import SignalStore, code_of, radius_of
from .writing import SIGNAL

T = TypeVar("T")
_log = logging.getLogger("vhash_sdk")
_encoders: dict[tuple[int, str], Encoder] = {}
_opening = threading.Lock()


class VHashIndex(SignalTypeIndex[T]):
    """Codes of videos, searched exactly by ``vhash_sdk.Index``; each model's within its own radius."""

    def __init__(self) -> None:
        self._store = SignalStore[T]()

    def __len__(self) -> int:
        return len(self._store)

    def query(self, query: str) -> list[IndexMatch[T]]:
        """All that lie within the radius of the query's model, the nearest first."""
        return [
            IndexMatch[T](SignalSimilarityInfoWithIntDistance(distance), entry)
            for distance, entry in self._store.query(query)
        ]

    def add(self, signal_str: str, entry: T) -> None:
        """Add one; raises CodeError or ModelNotFoundError for what cannot be matched here."""
        self._store.add(signal_str, entry)

    def add_all(self, entries: Iterable[tuple[str, T]]) -> None:
        """Add many; what cannot be matched here is left out, with a warning."""
        self._store.add_all(entries)

    def __getstate__(self) -> dict[str, Any]:
        return self._store.state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._store = SignalStore.from_state(state)


class VHashSignal(SignalType, FileHasher, CanGenerateRandomSignal):
    """A video by its code, ``vh1:FINGERPRINT:BITS:HEX``, matched by Hamming distance.

    Two codes match within the calibrated radius of their model, at which one in 10,000 pairs of strangers
    does. Videos are encoded with the model that the variable ``VHASH_MODEL`` names, else with ``default``.
    """

    @classmethod
    def get_name(cls) -> str:
        """``vhash``."""
        return SIGNAL

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Videos."""
        return [VideoContent]

    @classmethod
    def get_index_cls(cls) -> type[SignalTypeIndex[Any]]:
        """``VHashIndex``."""
        return VHashIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """The code as we write it; raises CodeError or ModelNotFoundError, which are ``ValueError``."""
        code = code_of(signal_str)
        radius_of(code.fingerprint[:8], code.bits)
        return code.text

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str, radius: int | None = None) -> SignalComparisonResult:
        """Whether two codes match, and their distance; codes of two models do not, at no distance."""
        a, b = code_of(hash1), code_of(hash2)
        if a.bits != b.bits or not same_model(a.fingerprint, b.fingerprint):
            return SignalComparisonResult.from_no_match_only()
        within = radius_of(a.fingerprint[:8], a.bits) if radius is None else radius
        return SignalComparisonResult.from_simple_dist(a - b, within)

    @classmethod
    def hash_from_file(cls, file: Path) -> str:
        """The code of a video, decoded in a process of its own.

        Empty, with a warning, for a file that is no video and for a video that shows too little to be told
        from others (a black one, say).
        """
        encoder = _encoder(os.environ.get("VHASH_MODEL") or "default")
        found = next(iter(encoder.encode_many([os.fspath(file)], workers=1, isolate=ISOLATES)))
        if found.code is None:
            if isinstance(found.error, VideoError):
                _log.warning("no code: %s", found.error)
                return ""
            raise found.error or RuntimeError(f"{file}: neither a code nor an error")
        if found.code.unreliable is not None:
            _log.warning("no code: %s: %s", file, found.code.unreliable)
            return ""
        return found.code.text

    @classmethod
    def get_random_signal(cls) -> str:
        """A code of the default model with random bits."""
        spec = zoo.load("default").spec
        return f"vh1:{spec.fingerprint[:8]}:{spec.bits}:{random.randbytes(spec.bits // 8).hex()}"

    @staticmethod
    def get_examples() -> list[str]:
        """Codes of the default model: far from each other, and no video's."""
        spec = zoo.load("default").spec
        width = spec.bits // 8
        return [
            f"vh1:{spec.fingerprint[:8]}:{spec.bits}:{(pattern * width).hex()}"
            for pattern in (b"\x0f", b"\x33", b"\x55")
        ]


def _encoder(model: str) -> Encoder:
    """One encoder for the process; a child that was forked makes its own."""
    with _opening:
        key = (os.getpid(), model)
        if key not in _encoders:
            _encoders[key] = Encoder(model)
        return _encoders[key]


TX_MANIFEST = ThreatExchangeExtensionManifest(signal_types=(VHashSignal,))
