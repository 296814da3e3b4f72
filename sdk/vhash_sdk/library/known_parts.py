"""Parts that somebody has named, or does not want to hear of: kept beside the library's database.

A part is known by the codes of its windows, not by the videos that it was found in: it is recognised when
those are gone and others come. The file is whole or the one before, and one that cannot be understood is an
error, never an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codes import as_codes, hamming_distance
from ..errors import CodeError, OptionError, StoreError
from ..names import printable
from ..spec import ModelSpec
from ..system.files import write_whole
from ..system.strict_json import parse_json

FILE = "parts.json"
"""The name of the file in a library's directory."""
_KIND = "vhash parts"
MOST_WINDOWS = 240
"""Windows by which a part is known: of longer ones so many, evenly spread."""
_NEAR, _SHARE = 0.2, 0.6  # of all bits; of the windows that have to be that near
_MOST_NAME = 200


@dataclass(frozen=True, eq=False)
class KnownPart:
    """A part that many videos have in common, as somebody has named or ignored it.

    Attributes:
        id: by which it was listed.
        name: what it is called; may be empty.
        ignored: it is left out of what ``Library.parts`` finds.
        seconds: how long it is.
        codes: ``uint8[n, bytes]``, of its windows.
    """

    id: str
    name: str
    ignored: bool
    seconds: float
    codes: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or len(self.name) > _MOST_NAME or not self.name.isprintable():
            raise OptionError(
                f"name={printable(str(self.name)[:_MOST_NAME])!r}: a name is one line of at most "
                f"{_MOST_NAME} characters"
            )

    def holds(self, codes: NDArray[np.uint8], bits: int) -> bool:
        """Whether most of some windows are in this part."""
        if not len(codes) or not len(self.codes):
            return False
        nearest = hamming_distance(codes[:, None], self.codes[None]).min(axis=1)
        return bool((nearest <= _NEAR * bits).mean() >= _SHARE)

    def __repr__(self) -> str:
        return f"KnownPart({self.id!r}, {self.name!r}, ignored={self.ignored}, {self.seconds:.1f} s)"


def sampled(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most ``MOST_WINDOWS`` of the codes, evenly spread."""
    if len(codes) <= MOST_WINDOWS:
        return codes
    return codes[np.linspace(0, len(codes) - 1, MOST_WINDOWS).astype(np.int64)]


def find_known(parts: Iterable[KnownPart], name: str) -> KnownPart:
    """The part of an id or a name.

    Raises:
        OptionError: there is none, or more than one.
    """
    parts = list(parts)
    found = [part for part in parts if part.id == name] or [part for part in parts if part.name == name]
    if len(found) != 1:
        known = ", ".join(repr(part.name or part.id) for part in parts[:10]) or "none"
        said = (
            "more than one part is called so; give its id" if found else "no part that is kept is called so"
        )
        raise OptionError(f"{printable(name)!r}: {said}; kept are: {known}")
    return found[0]


def read_known(directory: Path, spec: ModelSpec) -> tuple[KnownPart, ...]:
    """The parts that a library knows; none where none were named.

    Raises:
        StoreError: they cannot be read.
    """
    file = directory / FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        document: Any = parse_json(content)
        if document["kind"] != _KIND or document["schema"] != 1:
            raise ValueError(f"kind {document['kind']!r}, schema {document['schema']!r}")
        if document["fingerprint"] != spec.fingerprint:
            raise ValueError("its codes are of another model")
        return tuple(_part(entry, spec.bits) for entry in document["parts"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{file}: holds no parts that can be understood ({type(error).__name__}: {error}); bring it back "
            "from a copy, or delete it and name the parts again with `vhash parts`"
        ) from error


def _part(entry: Any, bits: int) -> KnownPart:
    texts = [entry["id"], entry["name"], *entry["codes"]]
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry["ignored"], bool):
        raise ValueError("a part is not what it should be")
    seconds = entry["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        raise ValueError(f"a part of {seconds!r} seconds")
    if not 1 <= len(entry["codes"]) <= MOST_WINDOWS:
        raise ValueError(f"a part of {len(entry['codes'])} codes")
    try:
        codes = as_codes([list(bytes.fromhex(text)) for text in entry["codes"]], bits)
    except CodeError as error:
        raise ValueError(str(error)) from error
    return KnownPart(entry["id"], entry["name"], entry["ignored"], float(seconds), codes)


def write_known(directory: Path, spec: ModelSpec, parts: Iterable[KnownPart]) -> None:
    """Keep these parts and no others; the caller holds the writer's lock. Durable when it returns.

    Raises:
        StoreError: they cannot be written; those of before are still there.
    """
    import json

    document = {
        "kind": _KIND,
        "schema": 1,
        "fingerprint": spec.fingerprint,
        "parts": [
            {
                "id": part.id,
                "name": part.name,
                "ignored": part.ignored,
                "seconds": round(part.seconds, 3),
                "codes": [code.tobytes().hex() for code in part.codes],
            }
            for part in parts
        ],
    }
    try:
        with write_whole(directory / FILE, follow=False) as stream:
            stream.write(json.dumps(document, indent=1).encode("ascii") + b"\n")
    except OSError as error:
        raise StoreError(f"{directory / FILE}: cannot be written ({error.strerror}); make room") from error
