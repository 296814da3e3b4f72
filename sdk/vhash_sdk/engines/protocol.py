"""What every index offers lies in ``vhash_sdk.index.protocol`` now; this is its former place."""

from __future__ import annotations

from ..index.protocol import CodeIndex, OpenIndex

__all__ = ["CodeIndex", "OpenIndex"]
