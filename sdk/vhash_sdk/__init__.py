"""vhash: a video becomes a few bytes, and the nearest videos come back in microseconds.

>>> from vhash_sdk import Encoder, Index

Importing this module loads numpy and the C++ engine only; everything heavier is imported by
the function that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .codes import VideoCode
from .errors import VhashError

if TYPE_CHECKING:
    from .comparison import compare
    from .encoding.encoded import Encoded
    from .encoding.encoder import Encoder
    from .engines.open import open_index
    from .index.memory import Index
    from .library.library import Library
    from .matching.calibration import Calibration
    from .video.decoder import Limits

__version__ = "0.1.0"
__all__ = [
    "Calibration",
    "Encoded",
    "Encoder",
    "Index",
    "Library",
    "Limits",
    "VhashError",
    "VideoCode",
    "__version__",
    "compare",
    "open_index",
]

_LAZY = {
    "Calibration": "matching.calibration",
    "Encoder": "encoding.encoder",
    "Encoded": "encoding.encoded",
    "Index": "index",
    "Library": "library",
    "Limits": "video",
    "compare": "comparison",
    "open_index": "engines.open",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
