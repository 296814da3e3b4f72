"""What decides a code: the model's specification and its fingerprint.

Two files with the same specification give codes that may be compared, whatever their
precision or backend; two with different ones never are. Card and calibration are kept apart
because they may change without changing a single bit.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from .codes import MAX_BITS
from .errors import ModelError
from .system.strict_json import parse_json

SamplingKind = Literal["uniform", "middle"]
ResizeRule = Literal["exact", "short_side"]
ResizeFilter = Literal["area", "bilinear"]
MAX_SIDE = 4096
PICTURE_RULES = (1, 2)
"""Versions of what the picture is; new models take the last one."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video a model sees.

    Attributes:
        kind: ``uniform``: frame j of T is the last one whose time is at most
            t0 + (j + 0.5)·duration / T; ``middle``: T consecutive frames from (D − T) // 2,
            a shorter video wraps around.
        frames: T.

    >>> Sampling("uniform", 25).frames
    25
    """

    kind: SamplingKind
    frames: int

    def __post_init__(self) -> None:
        _choice("sampling.kind", self.kind, get_args(SamplingKind))
        _integer("sampling.frames", self.frames, 1, 1024)


@dataclass(frozen=True)
class Resize:
    """How a decoded frame becomes the model's H×W RGB frame: one exact integer definition.

    Attributes:
        rule: ``exact``: squash to (height, width); ``short_side``: scale so that the shorter
            side is ``height`` (= ``width``), the other rounded half up.
        height, width: target size before the crop, in pixels.
        crop: (height, width) of a centre crop after scaling, or None.
        filter: ``area`` (antialiased; up-scaling is bilinear) or ``bilinear`` (no antialias,
            half-pixel centres).
        picture: version of the rule that says what the picture is. 1: the stored one, turned and
            mirrored; 2: also cropped as its container says, HDR mapped to SDR, and over black where
            it is transparent (``video.picture``). Models that do not state it have 1.

    >>> Resize("exact", 128, 170, crop=(112, 112), filter="bilinear").output
    (112, 112)
    """

    rule: ResizeRule
    height: int
    width: int
    crop: tuple[int, int] | None = None
    filter: ResizeFilter = "area"
    picture: int = 1

    def __post_init__(self) -> None:
        _choice("resize.rule", self.rule, get_args(ResizeRule))
        _choice("resize.filter", self.filter, get_args(ResizeFilter))
        _integer("resize.picture", self.picture, PICTURE_RULES[0], PICTURE_RULES[-1])
        _integer("resize.height", self.height, 1, MAX_SIDE)
        _integer("resize.width", self.width, 1, MAX_SIDE)
        if self.rule == "short_side" and self.height != self.width:
            raise ModelError(
                f"resize short_side has height {self.height} and width {self.width}: make them equal"
            )
        if self.crop is not None:
            if not isinstance(self.crop, (list, tuple)):
                raise ModelError(f"resize.crop={self.crop!r}: expected [height, width] or null")
            object.__setattr__(self, "crop", tuple(self.crop))
            if len(self.crop) != 2:
                raise ModelError(f"resize.crop={self.crop!r}: expected [height, width] or null")
            _integer("resize.crop height", self.crop[0], 1, self.height)
            _integer("resize.crop width", self.crop[1], 1, self.width)

    @property
    def output(self) -> tuple[int, int]:
        """(height, width) of the frames that come out, in pixels; only ``short_side`` without crop varies."""
        return self.crop if self.crop is not None else (self.height, self.width)

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that a frame of ``height`` × ``width`` is scaled to, before the crop.

        >>> Resize("short_side", 128, 128, crop=(112, 112)).scaled(240, 320)
        (128, 171)
        """
        if self.rule == "exact":
            return self.height, self.width
        short = min(height, width)
        # rounded half up, in integers, so that every platform agrees
        return (2 * height * self.height + short) // (2 * short), (2 * width * self.width + short) // (
            2 * short
        )


@dataclass(frozen=True)
class Part:
    """A named range ``[start, stop)`` of a code's bits, e.g. the pHash part of a fused code."""

    name: str
    bits: tuple[int, int]


@dataclass(frozen=True)
class ModelSpec:
    """Everything that decides the code of a video, and nothing else.

    Attributes:
        name: model name, e.g. ``copy-256``.
        version: counts up whenever the weights change.
        family: ``copy``, ``fused``, ``uvvh``, ``neighbour-uvvh``, ``clip-bert`` or another one.
        bits: length of the code.
        parts: named bit ranges that cover the code without a gap.
        sampling, resize: which frames, and how they are scaled.
        crops: 1 (whole or centre) or 10 (centre and corners, each with its mirror).
        embedding: D, width of the float embedding.
        digest: SHA-256 (hex) of the float32 weights.

    >>> spec = ModelSpec("m", 1, "fused", 64, (Part("cnn", (0, 64)),), Sampling("uniform", 25),
    ...                  Resize("exact", 224, 224), 1, 1280, "0" * 64)
    >>> ModelSpec.from_json(spec.to_json()) == spec
    True
    """

    name: str
    version: int
    family: str
    bits: int
    parts: tuple[Part, ...]
    sampling: Sampling
    resize: Resize
    crops: int
    embedding: int
    digest: str

    def __post_init__(self) -> None:
        texts = [("name", self.name), ("family", self.family), ("digest", self.digest)]
        for label, text in texts + [("part", part.name) for part in self.parts]:
            if not isinstance(text, str) or not text or len(text) > 100 or not text.isprintable():
                raise ModelError(
                    f"model spec: {label}={text!r} is not a short printable text; export the model again"
                )
        _integer("version", self.version, 1, 1 << 30)
        _integer("bits", self.bits, 1, MAX_BITS)
        _integer("embedding", self.embedding, 1, 1 << 20)
        _choice("crops", self.crops, (1, 10))
        if self.resize.crop is None and (self.resize.rule == "short_side" or self.crops == 10):
            raise ModelError(
                "model spec: short_side and ten crops need resize.crop, else frames have no fixed size"
            )
        stops = [0] + [part.bits[1] for part in self.parts]
        starts = [part.bits[0] for part in self.parts] + [self.bits]
        if not self.parts or stops != starts or any(a >= b for a, b in (part.bits for part in self.parts)):
            raise ModelError(
                f"model spec: parts {[p.bits for p in self.parts]} do not cover bits 0 to {self.bits}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(crops, T, H, W, 3)``: what the network takes of one video."""
        return (self.crops, self.sampling.frames, *self.resize.output, 3)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, ASCII. The fingerprint is its SHA-256.

        ``resize.picture`` is left out where it is 1, so that fingerprints from before it stay.
        """
        fields = asdict(self)
        if self.resize.picture == 1:
            del fields["resize"]["picture"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read a specification from a file that nobody vouches for.

        Raises:
            ModelError: not JSON, fields missing or unknown, or a value out of range.
        """
        try:
            data: dict[str, Any] = parse_json(text)
            parts = tuple(
                Part(str(p["name"]), (int(p["bits"][0]), int(p["bits"][1]))) for p in data.pop("parts")
            )
            sampling, resize = Sampling(**data.pop("sampling")), Resize(**data.pop("resize"))
            return cls(parts=parts, sampling=sampling, resize=resize, **data)
        except ModelError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise ModelError(f"model spec is not readable ({error}); export the model again") from error


def _choice(label: str, value: object, allowed: tuple[object, ...]) -> None:
    if isinstance(value, bool) or value not in allowed:
        raise ModelError(f"model spec: {label}={value!r}; allowed: {', '.join(map(repr, allowed))}")


def _integer(label: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ModelError(f"model spec: {label}={value!r}; allowed: an integer from {low} to {high}")
