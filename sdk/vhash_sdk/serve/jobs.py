"""Jobs: what takes long, one at a time, each in a process of its own that may be killed and started again."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..system.child import child_command, child_environment
from ..system.strict_json import parse_json
from .events import Events
from .logs import log
from .models import Job
from .once import keep_answer
from .problems import Problem
from .state import State, read_json

_EVERY = 0.3  # seconds between two reports of how far a job is
_ATTEMPTS = 3
_PATIENCE = 30.0  # seconds that a cancelled job has to end by itself; it is killed then, and loses nothing
_PROBLEMS = 100
_KEPT = 500  # jobs that are remembered


class Jobs:
    """The queue, and the thread that works it off.

    Args:
        state: where jobs are kept: those that were running when the server ended are started again.
        events: told of every change.
        options: of the worker: what it needs to know beside the job.
        ended: called after each job, with its kind, before its end is told.
    """

    def __init__(
        self, state: State, events: Events, options: dict[str, Any], ended: Callable[[str], None]
    ) -> None:
        self._state, self._events, self._options, self._ended = state, events, options, ended
        self._wake = threading.Condition()
        self._stopping = False
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None
        self._cancelled: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="vhash-jobs", daemon=True)

    def start(self) -> None:
        """Begin with what was queued or running when the server ended."""
        for row in self._state.rows("SELECT id, attempts FROM job WHERE state = 'running'"):
            if row["attempts"] < _ATTEMPTS:
                message = "started again: the server ended meanwhile"
                self._changed(row["id"], state="queued", message=message)
            else:
                message = f"the server ended {_ATTEMPTS} times while it ran"
                self._changed(row["id"], state="failed", message=message, ended=time.time())
        self._thread.start()

    def add(self, kind: str, options: dict[str, Any], user: str) -> dict[str, Any]:
        """Queue a job. Raises Problem where too many wait."""
        number = "j" + secrets.token_hex(8)
        with self._state.transaction():
            (waiting,) = self._state.rows("SELECT count(*) FROM job WHERE state IN ('queued', 'running')")[0]
            if waiting >= 100:
                raise Problem("busy", "a hundred jobs wait already", headers={"Retry-After": "60"})
            self._state.execute(
                "INSERT INTO job (id, kind, state, user, created, options, revision)"
                " VALUES (?, ?, 'queued', ?, ?, ?, 0)",
                number, kind, user, time.time(), json.dumps(options),
            )  # fmt: skip
            job = self._changed(number)
            keep_answer(self._state, 202, {name: job[name] for name in Job.model_fields})
        with self._wake:
            self._wake.notify_all()
        return job

    def get(self, number: str) -> dict[str, Any]:
        """A job. Raises Problem."""
        row = self._state.row("SELECT * FROM job WHERE id = ?", number)
        if row is None:
            raise Problem("not-found", f"job {number[:40]!r}: there is none; GET /v1/jobs lists them")
        return job_shape(row)

    def cancel(self, number: str) -> dict[str, Any]:
        """Let a job end early; what it has done stays. Raises Problem where it has ended."""
        job = self.get(number)
        if job["state"] not in ("queued", "running"):
            raise Problem("conflict", f"job {number} has ended already: it is {job['state']}")
        with self._wake:
            self._cancelled.add(number)
            changed = self._state.execute(
                "UPDATE job SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'",
                time.time(),
                number,
            )
            if not changed and self._running is not None and self._running[0] == number:
                _ask_to_end(self._running[1])
        return self._changed(number)

    def _changed(self, number: str, **columns: Any) -> dict[str, Any]:
        """Write down what has changed of a job, and tell it."""
        names = "".join(f"{name} = ?, " for name in columns)
        with self._state.transaction():
            self._state.execute(
                f"UPDATE job SET {names}revision = (SELECT coalesce(max(revision), 0) + 1 FROM job)"
                " WHERE id = ?",
                *columns.values(), number,
            )  # fmt: skip
            job = self.get(number)
        self._events.tell("job", job, job["revision"])
        return job

    def _work(self) -> None:
        while True:
            with self._wake:
                row = None
                while not self._stopping:
                    row = self._state.row(
                        "SELECT id FROM job WHERE state = 'queued' ORDER BY created, id LIMIT 1"
                    )
                    if row is not None:
                        break
                    self._wake.wait()
                if self._stopping or row is None:
                    return
            try:
                self._run(row["id"])
            except Exception as error:  # the disk is full, or a program is gone: the next one may do
                log("job failed", 40, job=row["id"], error=f"{type(error).__name__}: {error}")
                with contextlib.suppress(Exception):
                    self._changed(row["id"], state="failed", ended=time.time(), message=str(error)[:2000])

    def _run(self, number: str) -> None:
        job = self.get(number)
        started = job["started"] or time.time()
        self._changed(number, state="running", started=started, attempts=job["attempts"] + 1)
        given = {**self._options, "job": number, "kind": job["kind"], "options": job["options"]}
        command = child_command("vhash_sdk.serve.worker", json.dumps(given))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr,
            env=child_environment(), start_new_session=True,
        )  # fmt: skip
        with self._wake:
            self._running = number, process
            if number in self._cancelled or self._stopping:
                _ask_to_end(process)
        try:
            end = self._listen(number, process)
            status = process.wait()
        finally:
            with self._wake:
                self._running = None
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._finish(number, end, status)

    def _listen(self, number: str, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """What the worker says, until it ends; its last word, None where it has said none."""
        assert process.stdout is not None
        told = 0.0
        for line in process.stdout:
            said = parse_json(line, surrogates=True)
            if "end" in said:
                return dict(said["end"])
            if time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                self._changed(number, **_columns(said))
        return None

    def _finish(self, number: str, end: dict[str, Any] | None, status: int) -> None:
        if self._stopping and (end is None or end.get("stopped")):
            return  # it is running still, and is started again with the server
        job = self.get(number)
        state: str
        message: str | None
        if number in self._cancelled and (end is None or end.get("stopped") or "error" in end):
            state, message = "cancelled", "cancelled; what was done stays"
        elif end is None and job["attempts"] < _ATTEMPTS:
            state, message = "queued", f"its process died ({_death(status)}); started again"
        elif end is None:
            state, message = "failed", f"its process died {_ATTEMPTS} times ({_death(status)})"
        elif "error" in end:
            state, message = "failed", end["error"]
        else:
            state, message = "done", end.get("message")
        columns = _columns(end or {})
        if end and end.get("result") is not None:
            columns["result"] = json.dumps(end["result"])
        ended = None if state == "queued" else time.time()
        self._ended(job["kind"])  # what waited for its end is done by when it is told
        self._changed(number, state=state, message=message, ended=ended, current=None, **columns)
        self._cancelled.discard(number)
        log("job ended", job=number, kind=job["kind"], state=state, message=message)
        self._state.execute(
            "DELETE FROM job WHERE ended IS NOT NULL AND id NOT IN"
            " (SELECT id FROM job ORDER BY created DESC LIMIT ?) AND id NOT IN (SELECT job FROM run)", _KEPT,
        )  # fmt: skip

    def pid(self) -> int | None:
        """The process of the job that runs now."""
        with self._wake:
            return None if self._running is None else self._running[1].pid

    def close(self) -> None:
        """Stop; the job that runs is started again with the server."""
        with self._wake:
            self._stopping = True
            if self._running is not None:
                _ask_to_end(self._running[1])
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """The worker ends between two files when its standard input does; else it is killed."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    timer = threading.Timer(_PATIENCE, process.kill)
    timer.daemon = True
    timer.start()


def _death(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"


def _columns(said: dict[str, Any]) -> dict[str, Any]:
    """What a worker says, as columns of its job."""
    plain = {name: said[name] for name in ("done", "total", "current") if name in said}
    packed = {name: json.dumps(said[name]) for name in ("counts",) if name in said}
    if "problems" in said:
        packed["problems"] = json.dumps(said["problems"][:_PROBLEMS])
    return plain | packed


def job_shape(row: sqlite3.Row) -> dict[str, Any]:
    """A job as it is handed out."""
    job = dict(row)
    for name in ("counts", "problems", "options", "result"):
        job[name] = read_json(job[name])
    return job
