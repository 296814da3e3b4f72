"""Many videos to codes: decoding and inference side by side, results in order, errors kept apart."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from ..errors import BackendError, MissingDependencyError, OptionError, VhashError
from ..system.checks import shown
from ..system.extras import pip_install
from ..video import Clip, Source
from .encoded import BoxCode, Encoded
from .network import Coded

T = TypeVar("T")
U = TypeVar("U")


def check_sources(sources: Any) -> None:
    """Raise OptionError unless there may be many sources in it."""
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise OptionError(f"sources={shown(sources)}: many sources are a list; encode() takes a single one")
    if not isinstance(sources, Iterable):
        raise OptionError(
            f"sources={shown(sources)} is of type {type(sources).__name__}; give a list of sources"
        )


def stream(
    sources: Iterable[Source],
    decode: Callable[[Source], Clip],
    code: Callable[[list[Clip]], list[Coded]],
    *,
    workers: int,
    batch_size: int,
    window: int,
    during: AbstractContextManager[object],
) -> Iterator[Encoded]:
    """Yield what becomes of each source, in the order of the input.

    Args:
        sources: read no further ahead than ``window``.
        decode: frames of one source; a VhashError becomes the result of that source.
        code: codes of some clips, by the network.
        workers: threads that decode.
        batch_size: videos in one run of the network; 1: the thread that decodes runs it too, so that
            nothing is handed over and all cores are busy.
        window: sources in flight.
        during: what ``decode`` needs; left when no more is asked for, before the threads that wait for it.
    """
    inline = batch_size == 1

    def work(item: tuple[int, Source]) -> tuple[Encoded, Clip | None]:
        index, source = item
        try:
            clip = decode(source)
            encoded = Encoded(source, index, info=clip.info)
            return (_with_codes([(encoded, clip)], code)[0], None) if inline else (encoded, clip)
        except BackendError:
            raise  # the network itself is broken: nothing after this can succeed
        except VhashError as error:
            return Encoded(source, index, error=error), None

    with ExitStack() as stack:  # left from the last to the first: no more work, no decoders, no threads
        pool = stack.enter_context(ThreadPoolExecutor(workers, thread_name_prefix="vhash-encode"))
        stack.enter_context(during)
        done = stack.enter_context(closing(ordered_map(pool, work, enumerate(sources), window=window)))
        while batch := list(islice(done, batch_size)):
            yield from _with_codes(batch, code)


def _with_codes(
    batch: list[tuple[Encoded, Clip | None]], code: Callable[[list[Clip]], list[Coded]]
) -> list[Encoded]:
    """Fill in the codes of those that come with a clip, and of their content boxes and panes."""
    clips = []
    for _, clip in batch:
        if clip is not None:
            clips.append(clip)
            parts = (*(() if clip.box is None else (clip.box,)), *clip.panes)
            clips += [replace(clip, frames=part.frames, box=None, panes=()) for part in parts]
    coded = iter(code(clips) if clips else ())
    found = []
    for encoded, clip in batch:
        if clip is not None:
            whole, sequence = next(coded)
            box = None if clip.box is None else BoxCode(clip.box.place, *next(coded))
            panes = tuple(BoxCode(pane.place, *next(coded)) for pane in clip.panes)
            panes = tuple(pane for pane in panes if pane.code.unreliable is None)  # a black one says nothing
            encoded = replace(encoded, code=whole, sequence=sequence, box=box, panes=panes)
        found.append(encoded)
    return found


def ordered_map(
    pool: Executor, work: Callable[[T], U], items: Iterable[T], *, window: int
) -> Generator[U, None, None]:
    """Like ``map`` over a pool, in the order of the input, with at most ``window`` items in flight.

    ``Executor.map`` would read all of its input at once and keep every result.
    """
    pending: deque[Future[U]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # the caller stopped early, or an item raised: don't start the rest
        for future in pending:
            future.cancel()


def with_progress(results: Iterator[T], sources: Iterable[object]) -> Iterator[T]:
    """Pass results on, drawing a progress bar on standard error (nothing where that is no terminal)."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise MissingDependencyError(
            f"progress=True draws with rich ({error}); {pip_install('cli')}"
        ) from error
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(sources) if isinstance(sources, Sized) else None

    def shown() -> Iterator[T]:
        console = Console(stderr=True)
        # the caller prints results to stdout, which must not end up behind the bar on stderr
        bar = Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=False)
        with bar, closing(results):  # type: ignore[type-var]
            task = bar.add_task("encode", total=total)
            for result in results:
                yield result
                bar.advance(task)

    return shown()
