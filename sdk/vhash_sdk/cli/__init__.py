"""The command ``vhash``.

One module for each group of commands; ``output`` holds what they share: text and JSON on standard
output, remarks and progress on standard error, exit codes. Needs the extra ``cli``.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the command ``vhash``; ends the process with its exit code."""
    try:
        import rich  # noqa: F401  (typer draws with it, and so do we)
        import typer  # noqa: F401
    except ImportError as error:
        from ..system.extras import pip_install

        print(
            f"vhash: the command line needs typer and rich ({error}); {pip_install('cli')}, or "
            f"{pip_install('cpu')} with all that most people want",
            file=sys.stderr,
        )
        raise SystemExit(3) from None
    from .app import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a locale without UTF-8 must not turn a "✓" into a crash
            stream.reconfigure(errors="backslashreplace")
    _safe_log()
    try:
        try:
            app(prog_name="vhash")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:  # outside a command, e.g. while modules load
        _leave(130)
    except BrokenPipeError:  # `vhash … | head`: the reader has what it wanted
        _leave(141)
    except SystemExit as end:
        if end.code in (130, 141):
            _leave(end.code)
        raise


def _safe_log() -> None:
    """Warnings of the library go to standard error without characters that act on a terminal."""
    import logging

    from ..names import safe

    class Safe(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return safe(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Safe())
    logging.getLogger("vhash_sdk").addHandler(handler)


def _leave(status: int) -> None:
    """End now: a decoder thread that still runs must not keep an interrupted program alive."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (closed by the end of the process)
    os._exit(status)
