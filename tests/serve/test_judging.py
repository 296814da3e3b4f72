"""Judgements of several threads: what the library is told is what holds in the end."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.serve.conftest import Made
from vhash_sdk.library import Library
from vhash_sdk.serve import judging
from vhash_sdk.serve.events import Events
from vhash_sdk.serve.judging import Judging
from vhash_sdk.serve.state import State


def test_what_is_taken_back_while_the_library_is_told(own: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(None)
    said = Judging(state, str(own.library), Events())
    with Library(own.library) as library:
        a, b = [entry for entry in library if entry.path.endswith(("chair.mp4", "legs.mp4"))]
    threads: list[threading.Thread] = []

    class Slow(Library):
        """Before it is told, somebody else takes back what it is told of."""

        def judge(self, told: Any) -> None:
            if not threads:
                threads.append(threading.Thread(target=said.undo))
                threads[0].start()
                while not state.value("SELECT undone FROM judging"):
                    time.sleep(0.01)
            super().judge(told)

    monkeypatch.setattr(judging, "Library", Slow)
    said.judge([(a, b, "not a match")], "anna")
    threads[0].join()
    assert said.count() == 0 and not state.value("SELECT 1 FROM judging WHERE NOT recorded")
    with Library(own.library) as library:
        assert library.judgements() == []
    state.close()
