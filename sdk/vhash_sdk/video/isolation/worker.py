"""What runs inside a decode worker; see ``pool``."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import DecodeError, MemoryLimitError, VhashError
from ...spec import Resize, Sampling
from ...system.strict_json import parse_json
from .. import Clip, Limits
from .messages import receive_message, send_message

_RETIRE_BYTES = 256 << 20  # a worker that keeps this much more than it began with is replaced
_ALARM_SLACK = 5.0


def decode(
    source: str | os.PathLike[str] | BinaryIO,
    sampling: Sampling,
    resize: Resize,
    limits: Limits,
    *,
    with_views: bool,
    stream: int | None,
) -> Clip:
    """Sample and scale the frames of one source; ``with_views``: also of its box and panes."""
    from .. import open_source, sample_views

    with open_source(source, limits, stream=stream) as reader:
        return sample_views(reader, sampling, resize, parts=with_views)


def frames_at(
    source: str | os.PathLike[str] | BinaryIO, request: dict[str, Any], resize: Resize, limits: Limits
) -> Clip:
    """Scale the frames of one source at given times."""
    from .. import Box, open_source

    box = None if request["box"] is None else Box(**request["box"])
    with open_source(source, limits, stream=request["stream"]) as reader:
        return reader.frames_at(np.array(request["times"], np.float64), resize, box=box)


def main() -> None:
    """Serve requests until the caller goes away.

    Its arguments are descriptors: a socket for requests and answers, a memory file that frames are
    written to, the read end of a pipe that the caller never writes to and that closes when it dies.
    """
    control, frames, life = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_caller(life)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=control) as caller:
        config = parse_json(receive_message(caller)[0])
        limits = Limits(**config["limits"])
        try:
            module, _, function = config["target"].partition(":")
            target = getattr(import_module(module), function)
            import_module("av")  # so that the first source does not pay for it out of its time
        except Exception as error:
            refusal = {"error": type(error).__name__, "message": str(error)[:1000]}
            send_message(caller, json.dumps(refusal).encode())
            return
        born = _virtual_and_resident()
        if limits.memory is not None and sys.platform == "linux":  # macOS reserves gigabytes before main()
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            wanted = born[0] + limits.memory
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        send_message(caller, b'{"ready": true}')
        while True:
            message, passed = receive_message(caller, descriptors=1)
            if not message:
                return
            # should the caller be unable to stop us, the kernel does, whatever the decoder is doing
            signal.setitimer(signal.ITIMER_REAL, (limits.wall_time or 0) and limits.wall_time + _ALARM_SLACK)
            answer = _serve(parse_json(message, surrogates=True), passed, target, limits, frames)
            signal.setitimer(signal.ITIMER_REAL, 0)
            answer["retire"] = _virtual_and_resident()[1] > born[1] + _RETIRE_BYTES
            send_message(caller, json.dumps(answer).encode())


def _serve(
    request: dict[str, Any], passed: list[int], target: Any, limits: Limits, frames: int
) -> dict[str, Any]:
    name = request["name"]

    def answer_of(source: str | BinaryIO) -> dict[str, Any]:
        if "sound" in request:
            return _answer_sound(source, limits, frames)
        resize = Resize(**request["resize"])
        if "times" in request:
            return _answer_clip(frames_at(source, request, resize, limits), frames)
        sampling = Sampling(**request["sampling"])
        how = {"with_views": request["with_views"], "stream": request["stream"]}
        return _answer_clip(target(source, sampling, resize, limits, **how), frames)

    try:
        if passed:
            with open(passed[0], "rb") as file:
                file.seek(0)  # the descriptor shares its position with the caller's
                return answer_of(file)
        return answer_of(os.fsdecode(bytes.fromhex(request["path"])))
    except Exception as error:
        kind, text = _explain(error, limits)
        if not text.startswith(name):
            text = f"{name}: {text}"
        return {"error": kind.__name__, "message": text[:4000]}


def _answer_clip(clip: Clip, frames: int) -> dict[str, Any]:
    end = _write_frames(frames, 0, clip.frames)
    for part in (*clip.panes, *(() if clip.box is None else (clip.box,))):
        end = _write_frames(frames, end, part.frames)
    box = None if clip.box is None else asdict(clip.box.place)
    return {
        "shape": clip.frames.shape, "times": clip.times.tolist(), "info": asdict(clip.info),
        "panes": [asdict(pane.place) for pane in clip.panes], "box": box,
    }  # fmt: skip


def _answer_sound(source: str | BinaryIO, limits: Limits, frames: int) -> dict[str, Any]:
    from ..sound import sound_of

    sound = sound_of(source, limits)
    _write_frames(frames, 0, np.ascontiguousarray(sound.prints, "<u4").view(np.uint8))
    return {"prints": len(sound.prints), "start": sound.start}


def _explain(error: Exception, limits: Limits) -> tuple[type[VhashError], str]:
    if _out_of_memory(error):
        allowed = f"decoding took more than {limits.memory} bytes of memory"
        return MemoryLimitError, f"{allowed}; raise Limits.memory if the file is sound"
    if isinstance(error, VhashError):
        return type(error), str(error)
    return DecodeError, f"unexpected {type(error).__name__}: {error}"  # a decoder library's own surprise


def _write_frames(file: int, start: int, array: NDArray[np.uint8]) -> int:
    """Write to the file from ``start``; gives the place after the last byte."""
    data, at = np.ascontiguousarray(array).data.cast("B"), 0
    while at < len(data):
        at += os.pwrite(file, data[at:], start + at)
    return start + at


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "Cannot allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _virtual_and_resident() -> tuple[int, int]:
    """Address space and resident memory of this process, in bytes; zeros where /proc is not mounted."""
    try:
        with open("/proc/self/statm") as file:
            pages = file.read().split()
    except OSError:
        return 0, 0
    size = resource.getpagesize()
    return int(pages[0]) * size, int(pages[1]) * size


def _die_with_caller(life: int) -> None:
    """Have the kernel end this process (SIGIO's default) when the other end of ``life`` closes.

    Works while a decoder is stuck and holds the interpreter's lock; PR_SET_PDEATHSIG would not do,
    it fires when the *thread* ends that started the process. macOS ignores SIGIO: there a stuck process
    ends when its time is up.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
