"""Bounded, ordered, parallel maps with a progress bar: what ``encode_many`` runs on."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Executor, Future
from typing import TypeVar

from ..errors import MissingDependencyError

T = TypeVar("T")
U = TypeVar("U")


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
            f"progress=True draws with rich ({error}); pip install 'vhash-sdk[cli]'"
        ) from error
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = len(sources) if isinstance(sources, Sized) else None

    def shown() -> Iterator[T]:
        console = Console(stderr=True)
        # the caller prints results to stdout, which must not end up behind the bar on stderr
        bar = Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=False)
        with bar, contextlib.closing(results):  # type: ignore[type-var]
            task = bar.add_task("encode", total=total)
            for result in results:
                yield result
                bar.advance(task)

    return shown()
