"""One decode worker as its caller sees it: started on demand, asked, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from typing import Any

from ...system.child import child_command, child_environment
from ...system.files import memory_file
from ...system.strict_json import parse_json
from .messages import receive_message, send_message

_START_SECONDS = 120.0  # a worker starts in 0.2 s; a machine that swaps may need a while
_GRACE_SECONDS = 0.25  # the worker checks the time as well; its own error keeps it alive


class DiedError(Exception):
    """A worker ended without an answer; the text says how."""


class DecodeProcess:
    """One process: started on demand, used by one thread at a time."""

    def __init__(self, config: bytes, needs: str) -> None:
        self._config = config
        self._needs = needs  # top-level module of what it runs
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self.frames = -1  # memory file that the worker writes frames to

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the process unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        if self._closed.is_set():
            raise DiedError("was stopped, because the pool is closed")
        # none of these descriptors reaches any other worker: Popen closes what is not passed on
        self._socket, theirs = socket.socketpair()
        self.frames = memory_file("vhash-frames")
        life, self._life = os.pipe()
        passed = (theirs.fileno(), self.frames, life)
        needs = ("numpy", "av", self._needs)
        command = child_command("vhash_sdk.video.isolation.worker", *map(str, passed), needs=needs)
        single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=child_environment(**single),
                start_new_session=True,  # Ctrl-C is for the caller, who then stops the workers in order
            )
        finally:
            theirs.close()
            os.close(life)
            if self._process is None:
                self._release()
        if self._closed.is_set():  # close() came while it started
            self._process.kill()
        self._send(self._config, None)
        answer = self._receive(_START_SECONDS)
        if "error" in answer:
            self.stop()
            raise DiedError(f"did not start: {answer['error']}: {answer.get('message')}")

    def ask(self, request: dict[str, Any], fd: int | None, seconds: float | None) -> dict[str, Any]:
        """Send a request and wait for its answer; the process is gone when this raises."""
        try:
            self._send(json.dumps(request).encode(), fd)
            return self._receive(None if seconds is None else seconds + _GRACE_SECONDS)
        except BaseException:  # also KeyboardInterrupt: the worker is busy with what nobody wants
            self.stop()
            raise

    def _send(self, message: bytes, fd: int | None) -> None:
        try:
            send_message(self._socket, message, fd, seconds=_START_SECONDS)
        except OSError:  # it has died since
            raise DiedError(self._epitaph()) from None

    def _receive(self, seconds: float | None) -> dict[str, Any]:
        try:
            message, _ = receive_message(self._socket, seconds=seconds)
        except TimeoutError:
            self.stop()
            raise
        if not message:
            raise DiedError(self._epitaph())
        answer = parse_json(message, surrogates=True)  # names of files that are not UTF-8
        if not isinstance(answer, dict):
            raise ValueError("not an object")
        return answer

    def _epitaph(self) -> str:
        process = self._process
        if process is None:
            return "is gone"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)  # its socket closes a moment before it can be waited for
        self.stop()
        code = process.returncode
        if self._closed.is_set():
            return "was stopped, because the pool is closed"
        end = f"died of {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"{end}: the file crashes the decoder, or the system killed it; leave it out, or re-encode it"

    def close(self) -> None:
        """Kill it for good; the thread that uses it sees the end of the socket."""
        self._closed.set()
        process = self._process  # another thread may stop it at this moment
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """Kill it and free what belongs to it; ``start`` starts a fresh one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._release()

    def _release(self) -> None:
        self._socket.close()
        os.close(self._life)
        os.close(self.frames)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
