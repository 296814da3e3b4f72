"""One way to open an index, wherever its codes are: a directory, or a collection of Milvus."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..index.stored import StoredIndex
from ..system.checks import checked_path

if TYPE_CHECKING:
    from ..index.protocol import OpenIndex


def open_index(
    location: str | os.PathLike[str], *, bits: int | None = None, model: str | None = None
) -> OpenIndex:
    """Open the index at a location, or create it there where ``bits`` is given.

    Args:
        location: a directory, as for ``Index.open``; ``milvus://host:port/collection`` or
            ``milvus-lite://file.db/collection``, as for ``vhash_sdk.engines.milvus.MilvusIndex``.
        bits: width of the codes; None: the index must exist.
        model: fingerprint of the model whose codes it holds.

    Raises:
        OptionError: no engine serves this kind of location.
    """
    checked_path("location", location)
    text = os.fsdecode(location)  # as it was given: a Path has no double slashes
    scheme, mark, _ = text.partition("://")
    if not mark:
        return StoredIndex(text, bits=bits, model=model)
    if scheme not in ("milvus", "milvus+tls", "milvus-lite"):
        raise OptionError(
            f"location={text!r}: no engine for {scheme}://; pass a directory, "
            "milvus://host:port/collection or milvus-lite://file.db/collection"
        )
    from .milvus import MilvusIndex

    return MilvusIndex(text, bits=bits, model=model)
