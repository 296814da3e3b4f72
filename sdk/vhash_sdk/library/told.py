"""How far a watch has told what are copies, kept beside the library: what a crash kept back is told later."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ..system.files import write_whole
from ..system.strict_json import parse_json

FILE = "told.json"
"""The name of the file in a library's directory."""
_KIND = "vhash told"
logger = logging.getLogger(__name__)


class Told:
    """The last code of a library whose copies were told.

    Args:
        directory: of the library.
        now: the last code that it has.
        kept: go on from where the last one stopped, and remember; False: begin here, and forget.

    Attributes:
        last: the number of that code.
    """

    def __init__(self, directory: Path, now: int, *, kept: bool) -> None:
        self._file, self._kept = directory / FILE, kept
        known = self._read() if kept else None
        self.last = now if known is None else min(known, now)
        if known is None:
            self.up_to(now)

    def up_to(self, last: int) -> None:
        """All up to this code were told; durable when it returns, where the disk allows it."""
        self.last = last
        if not self._kept:
            return
        document = {"kind": _KIND, "schema": 1, "last": last}
        try:
            with write_whole(self._file, follow=False) as stream:
                stream.write(json.dumps(document).encode("ascii") + b"\n")
        except OSError as error:  # then some may be told twice
            logger.warning("%s: cannot be written (%s); copies may be told again", self._file, error)

    def _read(self) -> int | None:
        try:
            document: Any = parse_json(self._file.read_bytes())
            last = document["last"]
            if document["kind"] != _KIND or isinstance(last, bool) or not isinstance(last, int) or last < 0:
                raise ValueError("not what a watch has written")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s: cannot be read (%s); copies are told from now on", self._file, error)
            return None
        return int(last)
