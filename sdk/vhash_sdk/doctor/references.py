"""The codes that the bundled models give for a clip which is the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..codes import VideoCode
from ..system.files import write_text
from ..system.strict_json import parse_json

REFERENCES = Path(__file__).parents[1] / "models" / "references.json"
"""What each bundled model gives for ``synthetic_clip()``: fingerprint to code as text. After a change of
models, ``python -m vhash_sdk.doctor`` writes it anew, from the canonical files where they are there."""


def synthetic_clip() -> NDArray[np.uint8]:
    """A moving pattern in integer arithmetic, the same everywhere: ``uint8[32, 120, 160, 3]`` RGB.

    >>> synthetic_clip().shape
    (32, 120, 160, 3)
    """
    t, y, x = np.ogrid[:32, :120, :160]
    disc = (x - 30 - 3 * t) ** 2 + (y - 60) ** 2 < 625
    red = np.where(disc, 230, x + y // 2)
    green = np.where(disc, 60, 200 - y)
    blue = ((x // 20 + y // 20) % 2 * 90 + 2 * t) * np.ones_like(red)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def known() -> dict[str, str]:
    """What the file says; nothing where it is not there."""
    return dict(parse_json(REFERENCES.read_bytes())) if REFERENCES.is_file() else {}


def code_of_synthetic_clip(path: Path) -> tuple[VideoCode, str]:
    """The code that a model file gives, and the precision that it says it has. Raises VhashError."""
    from ..encoding.encoder import Encoder

    with Encoder(path, device="cpu") as encoder:
        return encoder.encode(synthetic_clip()), encoder.info()["precision"]


def write() -> None:
    """Encode the synthetic clip with every bundled model, and write down what comes out."""
    from ..models import zoo

    found = {}
    for path in sorted(zoo.FOLDER.glob("*.onnx")):  # NAME.int8.onnx comes before NAME.onnx, which wins
        code, _ = code_of_synthetic_clip(path)
        found[code.fingerprint] = code.text
    write_text(REFERENCES, json.dumps(found, indent=2, sort_keys=True) + "\n")
