"""``vhash serve``: a library in a browser, and behind an API."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MissingDependencyError, OptionError
from ..system.extras import pip_install
from .inputs import place
from .library import Lib
from .options import takes
from .output import Json, Output

if TYPE_CHECKING:
    from ..serve.settings import Settings


@dataclass(frozen=True)
class Options:
    """What ``vhash serve`` takes."""

    lib: Lib
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Other machines' need --token-file or --user."),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8123
    root: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", parser=place, show_default=False,
            help="A folder whose videos may be added and asked about by their paths.",
        ),
    ] = None  # fmt: skip
    token_file: Annotated[
        Path | None,
        typer.Option(help="Tokens of scripts, one a line (Authorization: Bearer).", show_default=False),
    ] = None
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Who may sign in; a password is asked for once.", show_default=False
        ),
    ] = None
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Ask for the passwords of --user again.")
    ] = False
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name of this server, as of a proxy.", show_default=False),
    ] = None
    cert: Annotated[Path | None, typer.Option(help="Certificate for TLS (PEM).", show_default=False)] = None
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).", show_default=False)] = None
    index: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="An index directory, or a Milvus location, whose codes /v1/lookup searches.",
            show_default=False,
        ),
    ] = None
    move_to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", parser=place, help="Where duplicates may be moved to.", show_default=False
        ),
    ] = None
    max_upload: Annotated[int, typer.Option(metavar="MB", min=1, help="Of one upload.")] = 2048
    rate: Annotated[float, typer.Option(min=1, help="Requests a second and client.")] = 300.0
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing is changed, not even judged.")] = (
        False
    )
    telemetry: Annotated[bool, typer.Option("--telemetry", help="Trace requests by OpenTelemetry.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each request.")] = False
    json: Json = False


@takes(Options)
def serve(given: Options) -> None:
    """Open a library in a browser, and to programs by an API.

    Only this machine can reach it, and only with the link that is printed, which signs in one browser, once.
    The API is described at /v1/openapi.json.

    [bold]Examples[/bold]

      vhash serve library

      vhash serve library --root /videos --move-to /videos/duplicates

      vhash serve library --host 0.0.0.0 --user anna --cert server.pem --key server.key

      vhash serve library --token-file tokens.txt --index known=known-codes
    """
    with Output("serve", json=given.json) as out:
        try:
            from ..serve.server import run
        except ImportError as error:
            raise MissingDependencyError(
                f"vhash serve needs FastAPI and uvicorn ({error}); {pip_install('serve')}"
            ) from error
        settings = _settings(given)
        _passwords(given, settings)
        if not settings.local and not settings.tls:
            out.note(
                "vhash: without --cert and --key all is sent in the clear; keep it behind a proxy with TLS"
            )
        run(settings, ready=lambda url: _tell(out, url), log_lines=not given.quiet)


def _tell(out: Output, url: str) -> None:
    out.line(f"vhash serve: open {url}")
    out.line("Ctrl-C ends it; jobs that run go on with the next start")
    out.document(url=url)
    sys.stdout.flush()


def _settings(given: Options) -> Settings:
    from ..serve.sessions import read_tokens
    from ..serve.settings import Settings

    indexes = {}
    for text in given.index or ():
        name, mark, where = text.partition("=")
        if not mark or not where:
            raise OptionError(
                f"--index {text}: expected NAME=DIRECTORY or NAME=milvus://host:port/collection"
            )
        indexes[name] = where
    for root in (*(given.root or ()), *([given.move_to] if given.move_to else ())):
        if root is not given.move_to and not os.path.isdir(root):
            raise OptionError(f"--root {root}: no such folder; name one that is there")
    return Settings(
        library=os.fspath(given.lib),
        host=given.host,
        port=given.port,
        roots=tuple(os.path.abspath(root) for root in given.root or ()),
        tokens=() if given.token_file is None else read_tokens(os.fspath(given.token_file)),
        users=tuple(given.user or ()),
        names=tuple(given.allow_host or ()),
        certificate=None if given.cert is None else os.fspath(given.cert),
        key=None if given.key is None else os.fspath(given.key),
        read_only=given.read_only,
        move_to=None if given.move_to is None else os.path.abspath(given.move_to),
        indexes=indexes,
        upload_bytes=given.max_upload << 20,
        rate=given.rate,
        telemetry=given.telemetry,
    )


def _passwords(given: Options, settings: Settings) -> None:
    """Ask for passwords that are not known yet."""
    if not settings.users:
        return
    from ..serve.sessions import has_password, keep_password
    from ..serve.state import FILE, State

    state = State(Path(settings.library) / FILE)
    try:
        for user in settings.users:
            if has_password(state, user) and not given.new_password:
                continue
            if not sys.stdin.isatty():
                raise OptionError(
                    f"--user {user}: has no password yet; start `vhash serve {settings.library} "
                    f"--user {user}` once in a terminal, or give --token-file"
                )
            keep_password(
                state, user, typer.prompt(f"Password for {user}", hide_input=True, confirmation_prompt=True)
            )
    finally:
        state.close()
