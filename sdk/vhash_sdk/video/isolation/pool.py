"""Decode in processes of their own, so that no file can take the program down.

A worker imports av, numpy and the C++ core, nothing else; the network stays in the calling
process. Requests and answers are JSON over a socket pair, never pickles: a decoder that has been
taken over can lie about a video, but cannot run code here. Frames come back through a memory
file, read with ``pread`` so that a worker that truncates it cannot raise SIGBUS in the caller.

A worker that oversteps its time is killed and replaced; its memory is capped by the kernel
(RLIMIT_AS); it dies with the caller, even while it is stuck in a decoder. On macOS memory is not capped, and
a worker that is stuck outlives its caller until its time is up.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ... import errors
from ...errors import TimeLimitError, VideoError, WorkerError
from ...matching.sound import Sound
from ...spec import Resize, Sampling
from ...system.checks import MAX_THREADS, checked_count
from ...system.files import memory_file
from .. import Box, BoxFrames, Clip, Limits, Source, VideoInfo, describe, open_source, sample_views
from . import ISOLATES
from .process import DecodeProcess, DiedError

R = TypeVar("R")

_MAX_FRAME_BYTES = 1 << 31
_MAX_PANES = 10
_MAX_PRINTS = 1 << 26  # three months of sound
_MAX_PATH = 4096


class DecodePool:
    """Worker processes that decode. May be shared by threads; each call occupies one worker.

    Args:
        workers: number of processes; they start when they are first needed.
        limits: what one source may cost; ``wall_time`` and ``memory`` are enforced from outside.
        target: what a worker runs, ``module:function``; only tests have another one.

    >>> from vhash_sdk.spec import Resize, Sampling
    >>> with DecodePool(1, Limits(wall_time=10.0)) as pool:
    ...     pool.decode("missing.mp4", Sampling("uniform", 25), Resize("exact", 224, 224))
    Traceback (most recent call last):
    ...
    vhash_sdk.errors.SourceError: missing.mp4 cannot be opened: No such file or directory
    """

    def __init__(
        self, workers: int, limits: Limits, *, target: str = "vhash_sdk.video.isolation.worker:decode"
    ) -> None:
        if not ISOLATES:
            raise errors.BackendError(
                f"isolated decoding, which a library needs, works on Linux and macOS, not on {sys.platform}: "
                "give Encoder.encode_many isolate=False, or run vhash in WSL"
            )
        checked_count("workers", workers, 1, MAX_THREADS)
        config = json.dumps({"limits": asdict(limits), "target": target}).encode()
        self._wall_time = limits.wall_time
        self._limits = limits
        self._workers = [DecodeProcess(config, target.partition(".")[0]) for _ in range(workers)]
        # last in, first out: with little to do, few workers start
        self._idle: queue.LifoQueue[DecodeProcess] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def decode(
        self,
        source: Source,
        sampling: Sampling,
        resize: Resize,
        *,
        with_views: bool = False,
        stream: int | None = None,
    ) -> Clip:
        """Sample and scale the frames of a source in a worker; ``with_views``: also of its box and panes.

        Arrays are already decoded and are sampled here. ``stream`` is that of ``open_source``.

        Raises:
            VideoError: what the decoder says; TimeLimitError when the worker was killed for its
                time, MemoryLimitError when it ran out of memory, WorkerError when it crashed.
        """
        with _as_file(source) as (path, fd):
            if path is None and fd is None:
                with open_source(source, self._limits, stream=stream) as reader:
                    return sample_views(reader, sampling, resize, parts=with_views)
            what = {
                "sampling": asdict(sampling), "resize": asdict(resize),
                "with_views": with_views, "stream": stream,
            }  # fmt: skip
            return self._give(source, path, fd, what, _clip)

    def frames_at(
        self,
        source: Source,
        times: NDArray[np.float64],
        resize: Resize,
        *,
        box: Box | None = None,
        stream: int | None = None,
    ) -> Clip:
        """Frames of a source at up to 1000 times (see ``Reader.frames_at``), decoded in a worker.

        Raises:
            VideoError: as ``decode`` does.
        """
        with _as_file(source) as (path, fd):
            if path is None and fd is None:
                with open_source(source, self._limits) as reader:
                    return reader.frames_at(times, resize, box=box)
            part = None if box is None else asdict(box)
            what = {"times": times.tolist(), "resize": asdict(resize), "box": part, "stream": stream}
            return self._give(source, path, fd, what, _clip)

    def sound(self, source: Source) -> Sound:
        """The sound of a source, decoded in a worker (see ``video.sound``); empty where it has none.

        Raises:
            VideoError: as ``decode`` does.
            MissingDependencyError: Chromaprint is not there.
        """
        from ..sound import check_sound

        check_sound()
        with _as_file(source) as (path, fd):
            if path is None and fd is None:  # pictures in an array
                return Sound(np.zeros(0, np.uint32))
            return self._give(source, path, fd, {"sound": True}, _sound)

    def _give(
        self,
        source: Source,
        path: str | None,
        fd: int | None,
        what: dict[str, Any],
        read: Callable[[dict[str, Any], int, dict[str, Any]], R],
    ) -> R:
        worker = self._idle.get()
        try:
            return self._ask(worker, {"name": describe(source), "path": path, **what}, fd, read)
        finally:
            self._idle.put(worker)

    def _ask(
        self,
        worker: DecodeProcess,
        request: dict[str, Any],
        fd: int | None,
        read: Callable[[dict[str, Any], int, dict[str, Any]], R],
    ) -> R:
        name = request["name"]
        try:
            worker.start()
            answer = worker.ask(request, fd, self._wall_time)
            found = None if "error" in answer else read(answer, worker.frames, request)
        except DiedError as died:
            raise WorkerError(f"{name}: the process that decodes it {died}") from None
        except TimeoutError:
            raise TimeLimitError(
                f"{name}: decoding took longer than {self._wall_time:g} s and was stopped; "
                "raise Limits.wall_time if the file is sound"
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            worker.stop()
            raise WorkerError(
                f"{name}: the process that decodes it gave a nonsensical answer ({error})"
            ) from error
        if answer.get("retire"):  # it has grown: a fresh one costs less than memory that never comes back
            worker.stop()
        if found is None:
            raise _error(answer)
        return found

    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [worker.pid for worker in self._workers if worker.pid]

    def close(self) -> None:
        """Kill the workers; calls in progress raise WorkerError. The pool cannot be used afterwards."""
        for worker in self._workers:
            worker.close()
        for _ in self._workers:  # until no thread uses one any more
            self._idle.get().stop()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextlib.contextmanager
def _as_file(source: Any) -> Iterator[tuple[str | None, int | None]]:
    """(path as hex, None) for a path, (None, descriptor) for bytes and file objects, else (None, None)."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fsencode(source)
        if len(path) > _MAX_PATH:
            raise errors.SourceError(f"{path[:80]!r}…: a path of {len(path)} bytes; no file has one so long")
        yield path.hex(), None
    elif isinstance(source, (bytes, bytearray, memoryview)):
        with open(memory_file("vhash-source"), "w+b") as file:
            file.write(source)
            file.flush()
            yield None, file.fileno()
    elif hasattr(source, "read"):
        with tempfile.TemporaryFile() as copy:
            try:
                source.seek(0)  # as in process, where the whole file counts, wherever its reader stands
                shutil.copyfileobj(source, copy)
                copy.flush()
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise errors.SourceError(f"{describe(source)}: cannot be read ({error})") from error
            yield None, copy.fileno()
    else:
        yield None, None


def _error(answer: dict[str, Any]) -> VideoError:
    kind = getattr(errors, str(answer["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, VideoError)):
        kind = errors.DecodeError
    return kind(str(answer.get("message", "")))


def _clip(answer: dict[str, Any], frames: int, request: dict[str, Any]) -> Clip:
    """Build the clip from an answer that nobody vouches for."""
    resize = request["resize"]
    count = len(request["times"]) if "times" in request else request["sampling"]["frames"]
    shape = tuple(int(side) for side in answer["shape"])
    wanted = resize["crop"] or (
        None if resize["rule"] == "short_side" else (resize["height"], resize["width"])
    )
    if len(shape) != 4 or shape[0] != count or shape[3] != 3 or min(shape) < 1:
        raise ValueError(f"frames {list(shape)}")
    if (wanted is not None and shape[1:3] != tuple(wanted)) or np.prod(
        shape, dtype=object
    ) > _MAX_FRAME_BYTES:
        raise ValueError(f"frames {list(shape)}")
    times = np.asarray(answer["times"], dtype=np.float64)
    if times.shape != shape[:1]:
        raise ValueError(f"times {list(times.shape)}")
    info = answer["info"]
    exact = VideoInfo(
        width=int(info["width"]),
        height=int(info["height"]),
        duration=float(info["duration"]),
        frames=None if info["frames"] is None else int(info["frames"]),
        rate=None if info["rate"] is None else float(info["rate"]),
        codec=str(info["codec"])[:64],
        rotation=int(info["rotation"]),
        damaged=None if info["damaged"] is None else str(info["damaged"])[:200],
        stream=int(info["stream"]),
        streams=int(info["streams"]),
        jumps=int(info["jumps"]),
        repeated=int(info["repeated"]),
        mirrored=bool(info["mirrored"]),
        still=bool(info["still"]),
    )
    places = list(answer.get("panes", ()))[:_MAX_PANES]
    if boxed := answer.get("box") is not None:
        places.append(answer["box"])
    count = 1 + len(places)
    large = count * np.prod(shape, dtype=object) > _MAX_FRAME_BYTES
    if not places:
        return Clip(_read_frames(frames, shape), times, exact)
    if large or not request.get("with_views"):
        raise ValueError(f"{count} views of frames {list(shape)}")
    whole, *inside = np.split(_read_frames(frames, (count * shape[0], *shape[1:])), count)
    parts = [BoxFrames(_box(place), frames) for place, frames in zip(places, inside, strict=True)]
    box = parts.pop() if boxed else None
    return Clip(whole, times, exact, box, tuple(parts))


def _box(place: dict[str, Any]) -> Box:
    return Box(*(float(place[side]) for side in ("left", "top", "right", "bottom")))


def _sound(answer: dict[str, Any], frames: int, request: dict[str, Any]) -> Sound:
    """The sound of an answer that nobody vouches for."""
    count, start = int(answer["prints"]), float(answer["start"])
    if not 0 <= count <= _MAX_PRINTS or not abs(start) <= 1e9:
        raise ValueError(f"{count} sub-fingerprints from {start} s on")
    return Sound(_read_frames(frames, (4 * count,)).view("<u4"), start)


def _read_frames(file: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    array = np.empty(shape, dtype=np.uint8)
    view, at = array.data.cast("B"), 0
    while at < len(view):
        count = os.preadv(file, [view[at:]], at)
        if count == 0:
            raise ValueError(f"{at} bytes of frames where {len(view)} were announced")
        at += count
    return array
