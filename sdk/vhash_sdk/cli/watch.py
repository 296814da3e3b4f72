"""``vhash watch``: folders whose new videos are added as they come, and told where they are copies."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..system.hooks import checked_address, command_words, filled, post, run_command
from .library import Lib, reason
from .options import takes
from .output import SCHEMA, Output, error_entry, path_entry, printable, safe
from .pixels import look_entry

if TYPE_CHECKING:
    from ..errors import StoreError
    from ..library.library import Library
    from ..library.records import Added, Entry, Hit, Segmented

_WORTH = ("added", "changed", "copied", "moved", "vanished", "failed")


@dataclass(frozen=True)
class Options:
    """What ``vhash watch`` takes."""

    lib: Lib
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR…", help="Folders, with all below them.", show_default=False)
    ]
    settle: Annotated[
        float, typer.Option(min=0.1, max=86400, help="Seconds that a file has to stay as it is.")
    ] = 3.0
    poll: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=86400, help="Look every so many seconds: for network drives, which tell nothing."
        ),
    ] = None
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out names (*.part) or paths (/disk/old/*); repeatable.")
    ] = None
    follow_symlinks: Annotated[
        bool, typer.Option("--follow-symlinks", help="Enter symbolic links inside folders.")
    ] = False
    pictures: Annotated[bool, typer.Option("--pictures", help="Also add pictures, as `vhash add` does.")] = (
        False
    )
    hook: Annotated[
        str | None,
        typer.Option(
            help="A command for each new copy, started without a shell: {path} and {match} stand for the new "
            "file and what it is a copy of; it gets JSON on standard input.",
        ),
    ] = None
    webhook: Annotated[str | None, typer.Option(help="A web address that the same JSON is sent to.")] = None
    model: Annotated[str | None, typer.Option("--model", "-m", help="Of a new library.")] = None
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Decoding processes; one a core by default.")
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line, for each thing that happens.")
    ] = False


@takes(Options)
def watch(given: Options) -> None:
    """Watch folders: what comes into them is in the library within seconds, and told where it is a copy.

    At first everything is looked at, as `vhash add` does, so that nothing is missed that came while no one
    watched. A file is read when it has rested: neither its size nor its time has changed for some seconds.
    Files that move keep their codes; those that go are told, and stay in the library until `vhash remove`.

    Ctrl-C or SIGTERM ends it; what was told is kept. Another `vhash add` may run in between. A hook gets each
    copy at least once, also of what came just before a crash.

    [bold]Examples[/bold]

      vhash watch library /uploads

      vhash watch library /uploads --hook 'notify-send "Copy of {match}" {path}'

      vhash watch library /mnt/nas --poll 30 --webhook https://example.org/copies

      vhash watch library /uploads --json | jq 'select(.event == "copy")'
    """
    from ..library.library import Library
    from ..library.watching import Watch, Watcher

    words = None if given.hook is None else command_words(given.hook)
    address = None if given.webhook is None else checked_address(given.webhook)
    with Output("watch", json=given.json) as out:
        watched = Watch(
            tuple(given.folders),
            settle=given.settle,
            poll=given.poll,
            exclude=tuple(given.exclude or ()),
            follow_symlinks=given.follow_symlinks,
            pictures=given.pictures or None,
            workers=given.workers,
        )
        with Library(given.lib, model=given.model) as library:
            watcher = Watcher(library, watched)
            teller = Teller(out, library, words, address)
            out.note(f"vhash: watching {', '.join(map(printable, given.folders))}; Ctrl-C ends it")
            with _ended_by_signals(), contextlib.suppress(KeyboardInterrupt):
                teller.tell_copies()  # that came in while nobody watched, or that a crash kept back
                for result in watcher.run():
                    teller.take(result)
            out.note(f"vhash: ended; {teller.text()}")


class Teller:
    """Tells what happens, and whom it concerns.

    Args:
        out: where it is printed.
        library: that is watched into.
        words: of the command for each copy, or None.
        address: that each copy is sent to, or None.
    """

    def __init__(self, out: Output, library: Library, words: list[str] | None, address: str | None) -> None:
        from ..library.told import Told

        self._out, self._library, self._words, self._address = out, library, words, address
        self._companions = library.companions()
        self._told = Told(library.directory, self._companions.last(), kept=bool(words or address))
        self._counts: Counter[str] = Counter()
        self._trouble = ""

    def take(self, result: Added | Segmented | StoreError) -> None:
        """Tell one thing that happened, and the copies that came with it."""
        from ..library.records import Added, Segmented

        if isinstance(result, Segmented):
            if result.error is not None:
                self._event("failed", result.path, error_entry(result.error))
        elif not isinstance(result, Added):
            if str(result) != self._trouble:
                self._trouble = str(result)
                self._event("waiting", str(self._library.directory), error_entry(result))
            return
        else:
            self._trouble = ""
            if result.status in _WORTH:
                self._event(
                    result.status,
                    result.path,
                    None if result.error is None else error_entry(result.error),
                    result.previous,
                )
        self.tell_copies()

    def text(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count} {event}" for event, count in self._counts.items()) or "nothing came"

    def tell_copies(self) -> None:
        """Tell what came in since the last copy was told."""
        last = self._companions.last()
        if last <= self._told.last:
            return
        arrived = {entry.id: entry for entry in self._companions.arrived(self._told.last)}
        for entry in list(arrived.values()):
            del arrived[entry.id]
            for hit in self._companions.of(entry):
                if hit.entry.id not in arrived:  # else it is told of that one
                    self._copy(entry, hit)
        self._told.up_to(last)

    def _copy(self, entry: Entry, hit: Hit) -> None:
        from ..errors import UnreachableError

        self._counts["copy"] += 1
        document = {
            "schema": SCHEMA,
            "command": "watch",
            "event": "copy",
            **path_entry(entry.path),
            "id": entry.id,
            "match": {
                **path_entry(hit.entry.path),
                "id": hit.entry.id,
                "distance": hit.distance,
                "verified": hit.verified,
                "relation": hit.relation,
                "pixels": look_entry(hit.look),
                "false_match_rate": hit.false_match_rate,
            },
        }
        self._print(document, f"copy      {printable(entry.path)}  is a copy of  {printable(hit.entry.path)}")
        try:
            if self._words is not None:
                run_command(filled(self._words, {"path": entry.path, "match": hit.entry.path}), document)
            if self._address is not None:
                post(self._address, document)
        except UnreachableError as error:
            self._out.problem(error)

    def _event(
        self, event: str, path: str, error: dict[str, str] | None, previous: str | None = None
    ) -> None:
        self._counts[event] += 1
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "command": "watch",
            "event": event,
            **path_entry(path),
        }
        text = f"{event:<9} {printable(path)}"
        if previous is not None:
            document["previous"] = path_entry(previous)
            text += f"  {'was' if event == 'moved' else 'as'}  {printable(previous)}"
        if error is not None:
            document["error"] = error
            text += f": {reason(path, error['message'])}"
        self._print(document, text)

    def _print(self, document: dict[str, Any], text: str) -> None:
        if self._out.json:
            print(json.dumps(document, ensure_ascii=True).replace("\x7f", "\\u007f"))
        else:
            self._out.line(safe(text))
        sys.stdout.flush()  # whoever reads it from a pipe wants it now


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
