"""The server and its workers are killed: nothing that was acknowledged is lost, and everything goes on."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Made, Server
from vhash_sdk.library import Library

_SLOW = """
import vhash_sdk.serve.jobs as jobs
from vhash_sdk.system.child import child_command
def late(module, *given):
    command = child_command(module, *given)
    at = command.index("-c") + 1
    command[at] = "import time; time.sleep(SECONDS)\\n" + command[at]
    return command
jobs.child_command = late
"""


def slow(seconds: float) -> str:
    """Makes the process of each job begin so much later."""
    return _SLOW.replace("SECONDS", str(seconds))


def running(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    """A job once it runs."""
    end = time.monotonic() + 60
    while job["state"] == "queued":
        assert time.monotonic() < end
        time.sleep(0.05)
        job = server.client().get(f"/v1/jobs/{job['id']}").json()
    return job


def worker_of(server: Server) -> int:
    """The process of the job that runs."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        children: list[str] = []
        for task in os.listdir(f"/proc/{server.process.pid}/task"):
            with (
                contextlib.suppress(FileNotFoundError),
                open(f"/proc/{server.process.pid}/task/{task}/children") as file,
            ):
                children += file.read().split()
        for child in children:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                if b"vhash_sdk.serve.worker" in file.read():
                    return int(child)
        time.sleep(0.05)
    raise AssertionError("no worker")


def test_a_killed_server_goes_on_where_it_was(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library, patch=slow(1.5))
    server.done(server.client().post("/v1/jobs", json={"kind": "dedup"}).json())
    browser = server.signed_in()
    videos = {video["name"]: video["id"] for video in browser.get("/v1/videos").json()["items"]}
    pair = {"a": videos["chair.mp4"], "b": videos["legs.mp4"], "judgement": "not a match"}
    assert browser.post("/v1/judgements", json={"judgements": [pair]}).status_code == 201
    job = running(server, browser.post("/v1/jobs", json={"kind": "parts"}).json())
    worker = worker_of(server)
    server.process.kill()
    server.process.wait()
    server.start()
    again = server.done(server.client().get(f"/v1/jobs/{job['id']}").json())
    assert (again["state"], again["attempts"]) == ("done", 2)
    assert browser.get("/v1/library").status_code == 200  # still signed in
    assert browser.get("/v1/judgements").json()["total"] == 1
    assert browser.get("/v1/groups").json()["total"] == 2
    end = time.monotonic() + 90
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < end:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{worker}")  # it does not outlive its server
    with Library(own.library) as library:
        assert len(library.judgements()) == 1 and not list(library.verify())


def test_a_killed_worker_is_started_again(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library, patch=slow(1.0))
    job = server.client().post("/v1/jobs", json={"kind": "dedup"}).json()
    os.kill(worker_of(server), signal.SIGKILL)
    done = server.done(job)
    assert (done["state"], done["attempts"]) == ("done", 2)


_TARDY = """
import time
from vhash_sdk.serve import judging
def late(does):
    def flush(*given):
        time.sleep(1.0)
        return does(*given)
    return flush
judging.Judging.flush = late(judging.Judging.flush)
"""


def test_a_judgement_waits_for_whoever_writes(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library, patch=_TARDY)  # as on a busy machine: a job is done when its judgements are
    client = server.client()
    videos = [video["id"] for video in client.get("/v1/videos").json()["items"]]
    pair = {"a": videos[1], "b": videos[2], "judgement": "not a match"}
    with Library(own.library) as library, library.exclusively():
        said = client.post("/v1/judgements", json={"judgements": [pair]}).json()
    assert said["recorded"] is False
    server.run(kind="dedup")
    with Library(own.library) as library:
        assert len(library.judgements()) == 1


def test_a_job_is_cancelled_and_the_next_one_runs(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library, "--root", str(own.videos), patch=slow(1.0))
    client = server.client()
    first = client.post("/v1/jobs", json={"kind": "add"}).json()
    second = client.post("/v1/jobs", json={"kind": "dedup"}).json()
    third = client.post("/v1/jobs", json={"kind": "dedup"}).json()
    assert client.post(f"/v1/jobs/{third['id']}/cancel").json()["state"] == "cancelled"
    running(server, first)
    assert client.post(f"/v1/jobs/{first['id']}/cancel").status_code == 202
    assert server.done(first)["state"] == "cancelled" and server.done(second)["state"] == "done"
    assert client.post(f"/v1/jobs/{first['id']}/cancel").status_code == 409


def test_events_tell_what_was_missed(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library)
    job = server.run(kind="dedup")

    def events(last: str | None, count: int) -> list[dict[str, Any]]:
        headers = {} if last is None else {"Last-Event-ID": last}
        found: list[dict[str, Any]] = []
        with server.client().stream("GET", "/v1/jobs/events", headers=headers) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: ") and "revision" in line:
                    found.append(json.loads(line[6:]))
                if len(found) == count:
                    return found
        return found

    assert events("0", 1)[0]["id"] == job["id"]
    assert server.stop() == 0
    server.start()
    assert events("0", 1)[0]["state"] == "done"
    later = server.client().post("/v1/jobs", json={"kind": "dedup"}).json()
    seen = events(str(job["revision"]), 3)
    assert {one["id"] for one in seen} == {later["id"]} and seen[-1]["revision"] > seen[0]["revision"]


def test_who_has_heard_of_no_job_hears_of_those_that_end_while_it_is_away(
    own: Made, serve: Callable[..., Server]
) -> None:
    server = serve(own.library)
    numbers = []
    for _ in range(2):  # a browser comes back with the last number that it was given
        headers = {"Last-Event-ID": numbers[0]} if numbers else {}
        with server.client().stream("GET", "/v1/jobs/events", headers=headers) as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    numbers.append(line[4:])
                    break
        if len(numbers) == 1:
            job = server.run(kind="dedup")
    assert int(numbers[1]) == server.done(job)["revision"] > int(numbers[0])


def test_it_stops_while_somebody_listens(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library)
    with server.client().stream("GET", "/v1/jobs/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert server.stop(signal.SIGINT) == 0
        told = [line for line in lines if line.strip() and not line.startswith(":")]
        assert told == ["id: 0", "event: listening", "data: {}"]


_DYING = """
import os, signal
from vhash_sdk.serve import jobs, judging
def dying(does):
    def done(*given):
        said = does(*given)
        if os.path.exists("MARK"):
            os.unlink("MARK")
            os.kill(os.getpid(), signal.SIGKILL)
        return said
    return done
judging.Judging.flush = dying(judging.Judging.flush)
jobs.Jobs.add = dying(jobs.Jobs.add)
"""


def test_what_was_done_but_not_answered_is_not_done_again(
    own: Made, serve: Callable[..., Server], tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    server = serve(own.library, patch=_DYING.replace("MARK", str(mark)))

    def sent_twice(path: str, given: dict[str, Any]) -> httpx.Response:
        """Sent, done, killed before the answer, and sent again."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        mark.touch()
        with pytest.raises(httpx.HTTPError):
            server.client().post(path, json=given, headers=key)
        server.process.wait()
        assert not mark.exists()
        server.start()
        again = server.client().post(path, json=given, headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        return again

    a, b, c = [video["id"] for video in server.client().get("/v1/videos").json()["items"]][1:4]
    pairs = [{"a": a, "b": b, "judgement": "not a match"}, {"a": b, "b": c, "judgement": "match"}]
    for pair in pairs:
        said = sent_twice("/v1/judgements", {"judgements": [pair]})
        assert said.status_code == 201 and said.json()["not_a_match"] == 1
    assert server.client().get("/v1/judgements").json()["total"] == 2
    undone = sent_twice("/v1/judgements/undo", {})
    assert undone.status_code == 200
    assert undone.json()["judgements"] == [{"a": b, "b": c, "judgement": None}]
    assert server.client().get("/v1/judgements").json()["total"] == 1
    job = sent_twice("/v1/jobs", {"kind": "dedup"})
    assert job.status_code == 202 and server.done(job.json())["state"] == "done"
    assert server.client().get("/v1/jobs").json()["total"] == 1
