"""What a write is answered, kept together with what it changes.

A server that is killed after a change and before the answer would carry the same request out again, for
whoever got no answer sends it again. So a change that must not happen twice keeps its answer in the same
transaction; ``answers.Answers`` gives it to whoever asks again.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from .state import State

ASKED: ContextVar[tuple[str, str] | None] = ContextVar("asked", default=None)
"""User and ``Idempotency-Key`` of the request that is being carried out; None: it has none."""


def keep_answer(state: State, status: int, content: Any) -> None:
    """Inside of a transaction: what this request is answered, should nobody live to do so."""
    asked = ASKED.get()
    if asked is not None:
        sql = "UPDATE answer SET status = ?, body = ?, kind = 'application/json' WHERE user = ? AND key = ?"
        state.execute(sql, status, json.dumps(content).encode(), *asked)
