"""The short form of `benchmarks.robustness.serve_mixed`: everything at once, with kills, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnxruntime")

from benchmarks.robustness.serve_mixed import Client, Record, Server, run
from vhash_sdk.library import Library


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_at_once_with_kills(tmp_path: Path) -> None:
    found = run(25.0, tmp_path)
    assert found["faults"] == [] and found["lost"] == []
    assert found["killed"]["servers"] == 1 and found["killed"]["workers"] >= 1
    kinds = {"search by id", "search by code", "look-up", "upload", "groups", "judgement", "wrong", "job"}
    assert kinds <= set(found["statuses"])
    assert found["judged"] and found["taken_back"] and found["added"]
    assert {"bad-request", "not-found", "invalid", "unreadable"} & set(found["problems"])


@pytest.mark.slow
def test_a_connection_that_was_idle_while_the_server_was_killed_is_no_fault(tmp_path: Path) -> None:
    Library(tmp_path / "library").close()
    (tmp_path / "videos").mkdir()
    server, record = Server(tmp_path), Record()
    try:
        client = Client(server, record, "idle")
        assert client.ask("GET", "/readyz")[0] == 200
        server.kill()
        assert client.ask("POST", "/v1/lookup?radius=3", bytes(32))[0] == 200
        assert (record.unanswered, record.faults) == (1, [])
        client.connection.sock.close()  # type: ignore[union-attr]
        assert client.ask("GET", "/readyz")[0] == 200
        assert record.unanswered == 2 and len(record.faults) == 1  # the server was there all the time
    finally:
        server.process.kill()
        server.process.wait()
