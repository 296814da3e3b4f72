"""What people have said about pairs of videos: a match, or not a match.

A judgement is about two contents, not two paths: it holds for every copy of their files, when they
are moved, and when they are removed from the library and come back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..system.checks import checked_path
from ..system.strict_json import parse_json
from .database import Database
from .rows import Pair

FILE_KIND = "vhash judgements"
"""What ``kind`` says in a file of judgements."""


@dataclass(frozen=True)
class Judgement:
    """What a person has said about two contents.

    Attributes:
        a, b: their ``scan.content_digest``, 32 bytes each.
        match: they are copies of each other; False: they are not, whatever their codes say.
    """

    a: bytes
    b: bytes
    match: bool

    def __post_init__(self) -> None:
        if len(self.a) != 32 or len(self.b) != 32 or self.a == self.b:
            raise OptionError(
                f"a judgement about {self.a.hex()!r} and {self.b.hex()!r}: "
                "expected the digests (32 bytes) of two different contents"
            )


def read_judgements(file: str | os.PathLike[str]) -> list[Judgement]:
    """Read the file that a report has exported.

    Raises:
        OptionError: not such a file; nothing of it should be believed then.
        OSError: it cannot be read.
    """
    with open(checked_path("file", file), "rb") as stream:
        content = stream.read()
    try:
        document: Any = parse_json(content)
        if document["kind"] != FILE_KIND or document["schema"] != 1:
            raise ValueError(f"kind {document['kind']!r}, schema {document['schema']!r}")
        return [_judgement(pair) for pair in document["pairs"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise OptionError(
            f"{os.fspath(file)}: no file of judgements ({type(error).__name__}: {error}); "
            "export one from the report of `vhash dedup --report`"
        ) from error


def _judgement(pair: dict[str, Any]) -> Judgement:
    a, b = (bytes.fromhex(pair[end]["digest"]) for end in "ab")
    return Judgement(a, b, {"match": True, "not a match": False}[pair["judgement"]])


def record(database: Database, judgements: Iterable[Judgement]) -> int:
    """Write judgements down, the later one of a pair counting; returns how many pairs are now no match.

    All are durable when it returns, or none.
    """
    with database.transaction():
        for judgement in judgements:
            pair = (min(judgement.a, judgement.b), max(judgement.a, judgement.b))
            if judgement.match:
                database.execute("DELETE FROM not_a_match WHERE a = ? AND b = ?", pair)
            else:
                database.execute("INSERT OR IGNORE INTO not_a_match VALUES (?, ?, ?)", (*pair, time.time()))
    ((count,),) = database.rows("SELECT count(*) FROM not_a_match")
    return int(count)


def recorded(database: Database) -> list[Judgement]:
    """The pairs that are no match, in the order of their digests."""
    rows = database.read(Pair, "SELECT a, b FROM not_a_match ORDER BY a, b")
    return [Judgement(a, b, match=False) for a, b in rows]


def no_match_with(database: Database, content: bytes) -> set[bytes]:
    """The contents that one is no match with."""
    sql = "SELECT a, b FROM not_a_match WHERE a = ? UNION ALL SELECT b, a FROM not_a_match WHERE b = ?"
    return {other for _, other in database.read(Pair, sql, (content, content))}


def any_judged(database: Database) -> bool:
    """Whether there is a pair that is no match."""
    return bool(database.rows("SELECT 1 FROM not_a_match LIMIT 1"))


def apart(database: Database) -> dict[bytes, set[bytes]]:
    """For each content those that it is no match with."""
    found: dict[bytes, set[bytes]] = {}
    for a, b in database.read(Pair, "SELECT a, b FROM not_a_match"):
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found
