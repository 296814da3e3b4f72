"""An encoder without video: a file's code is a digest of its bytes. For tests of what a library keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tests.tiny_model import tiny_spec
from vhash_sdk.codes import VideoCode
from vhash_sdk.encoding.encoded import Detail, Encoded
from vhash_sdk.errors import DecodeError, SourceError, VhashError
from vhash_sdk.spec import ModelSpec
from vhash_sdk.video import Limits, VideoInfo

MAGIC = b"DKIF"  # what an IVF file starts with
BAD = MAGIC + b"BAD"


def code_of(content: bytes, spec: ModelSpec) -> VideoCode:
    """The code of a file that holds MAGIC and ``content``."""
    digest = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)[: (spec.bits + 7) // 8]
    return VideoCode(digest, spec.bits, spec.fingerprint, confidence=0.5, duration=float(len(content)))


class FakeEncoder:
    """Counts what it encodes; files that start with BAD do not decode."""

    calibration = None
    limits = Limits()

    def __init__(self, *, bits: int = 64, name: str = "tiny") -> None:
        self.spec = tiny_spec(bits=bits, name=name)
        self.encoded: list[str] = []
        self.calibration = None
        self.before: Callable[[str], None] = lambda path: None

    def info(self) -> dict[str, Any]:
        return {"file": "/nowhere/tiny.onnx"}

    def encode_many(
        self,
        sources: Iterable[Any],
        *,
        workers: int | None = None,
        isolate: bool = False,
        detail: Detail = "code",
    ) -> Iterator[Encoded]:
        assert isolate
        for index, source in enumerate(sources):
            try:
                yield self._encode(source, index)
            except VhashError as error:
                yield Encoded(source, index, error=error)

    def _encode(self, source: Any, index: int) -> Encoded:
        self.before(source)
        self.encoded.append(source)
        try:
            with open(source, "rb") as file:
                content = file.read()
        except OSError as error:
            raise SourceError(f"{source}: {error.strerror}") from error
        if content.startswith(BAD):
            raise DecodeError(f"{source}: bad")
        info = VideoInfo(320, 240, float(len(content)), None, 25.0, "fake")
        return Encoded(source, index, code=code_of(content[len(MAGIC) :], self.spec), info=info)

    def close(self) -> None:
        pass
