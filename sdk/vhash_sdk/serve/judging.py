"""Judgements in their order, so that they can be taken back, and what the library is told of them.

A judgement is kept here before it is acknowledged. Into the library it goes at once, or, while another
process writes that, as soon as it has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from ..errors import OptionError, StoreError
from ..library.judgements import Judgement
from ..library.library import Library
from ..library.records import Entry
from .events import Events
from .once import keep_answer
from .problems import Problem
from .state import State

Pair = tuple[bytes, bytes]


class Judging:
    """What people have said of pairs.

    Args:
        state: where it is kept.
        directory: of the library.
        events: told of changes.
    """

    def __init__(self, state: State, directory: str, events: Events) -> None:
        self._state, self._directory, self._events = state, directory, events
        self._lock = threading.Lock()

    def judge(self, said: Iterable[tuple[Entry, Entry, str]], user: str) -> dict[str, Any]:
        """Keep what somebody says of some pairs. Raises Problem where a pair is one content."""
        with self._state.transaction():
            number = self._state.insert("INSERT INTO judging (at, user) VALUES (?, ?)", time.time(), user)
            for place, (a, b, judgement) in enumerate(said):
                pair = _pair(a, b)
                before = self.said(pair)
                self._state.execute(
                    "INSERT INTO judged VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    number, place, *pair, a.id, b.id, judgement, before,
                )  # fmt: skip
                self._hold(pair, judgement)
            keep_answer(self._state, 201, self._answer(number))
        self.flush()
        return self._answer(number)

    def undo(self) -> tuple[int, list[dict[str, Any]]]:
        """Take the last judgement back that still holds; its number, and what holds now. Raises Problem."""
        with self._state.transaction():
            number = self._state.value("SELECT max(id) FROM judging WHERE NOT undone")
            if number is None:
                raise Problem("conflict", "nothing is judged that could be taken back")
            rows = self._state.rows("SELECT * FROM judged WHERE judging = ? ORDER BY place DESC", number)
            for row in rows:
                self._hold((row["a"], row["b"]), row["before"])
            self._state.execute("UPDATE judging SET undone = 1, recorded = 0 WHERE id = ?", number)
            holds = [
                {"a": row["video_a"], "b": row["video_b"], "judgement": self.said((row["a"], row["b"]))}
                for row in reversed(rows)
            ]
            keep_answer(self._state, 200, {"id": int(number), "judgements": holds})
        self.flush()
        return int(number), holds

    def said(self, pair: Pair) -> str | None:
        """What holds of a pair of contents."""
        found = self._state.value("SELECT said FROM opinion WHERE a = ? AND b = ?", *pair)
        return None if found is None else str(found)

    def _hold(self, pair: Pair, said: str | None) -> None:
        if said is None:
            self._state.execute("DELETE FROM opinion WHERE a = ? AND b = ?", *pair)
        else:
            self._state.execute("INSERT OR REPLACE INTO opinion VALUES (?, ?, ?)", *pair, said)

    def flush(self) -> bool:
        """Tell the library what it does not know yet; whether it knows all of it now."""
        with self._lock:
            waiting = [
                (row["id"], row["undone"])
                for row in self._state.rows("SELECT id, undone FROM judging WHERE NOT recorded ORDER BY id")
            ]
            if waiting:
                marks = ", ".join("?" * len(waiting))
                rows = self._state.rows(
                    f"SELECT DISTINCT a, b FROM judged WHERE judging IN ({marks})",
                    *(number for number, _ in waiting),
                )
                pairs = [(row["a"], row["b"]) for row in rows]
                told = [Judgement(*pair, match=self.said(pair) != "not a match") for pair in pairs]
                try:
                    with Library(self._directory, create=False) as library:
                        library.patience = 0.0  # nobody waits for it: it is told later
                        library.judge(told)
                except StoreError:  # somebody writes it; whoever ends a job asks again
                    return False
                # what was taken back meanwhile is to be told yet
                with self._state.transaction():
                    sql = "UPDATE judging SET recorded = 1 WHERE id = ? AND undone = ?"
                    self._state.many(sql, waiting)
        self._events.tell("judgements", {"count": self.count()})
        return True

    def count(self) -> int:
        """How many pairs are judged."""
        return int(self._state.value("SELECT count(*) FROM opinion"))

    def _answer(self, number: int) -> dict[str, Any]:
        recorded = self._state.value("SELECT recorded FROM judging WHERE id = ?", number)
        apart = self._state.value("SELECT count(*) FROM opinion WHERE said = 'not a match'")
        return {"id": number, "recorded": bool(recorded), "not_a_match": apart}


def adopt(state: State, library: Library) -> None:
    """Take over what was judged elsewhere, by the command line or a report."""
    known = [(one.a, one.b, "not a match") for one in library.judgements()]
    with state.transaction():
        apart = {
            (row["a"], row["b"]) for row in state.rows("SELECT a, b FROM opinion WHERE said = 'not a match'")
        }
        waiting = state.value("SELECT 1 FROM judging WHERE NOT recorded")
        if not waiting:  # what is not recorded yet is later than what the library says
            gone = apart - {(a, b) for a, b, _ in known}
            state.many("DELETE FROM opinion WHERE a = ? AND b = ?", list(gone))
        state.many("INSERT OR IGNORE INTO opinion VALUES (?, ?, ?)", known)


def _pair(a: Entry, b: Entry) -> Pair:
    try:
        return tuple(sorted((Judgement(a.digest, b.digest, match=True).a, b.digest)))  # type: ignore[return-value]
    except OptionError as error:
        raise Problem(
            "conflict", f"videos {a.id} and {b.id} are the same byte for byte; there is nothing to judge"
        ) from error
