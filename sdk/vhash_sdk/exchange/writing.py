"""The codes of a library as signals, for the tools of hash exchanges."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal

from ..errors import OptionError
from ..library.records import Entry
from ..names import csv_line, printable

SIGNAL = "vhash"
"""The name of our kind of signal."""
_CATEGORY = "INVESTIGATION_SEED"  # of threatexchange: nobody has said yet what is to be done about it
Form = Literal["csv", "jsonl", "lines"]
FORMS: tuple[Form, ...] = ("csv", "jsonl", "lines")


def written(entries: Iterable[Entry], form: Form, *, collab: str = "") -> Iterator[str]:
    """The lines of a file, without their ends.

    Args:
        entries: videos of a library.
        form: ``csv``: as ``threatexchange dataset -P --csv``, and the path behind it; ``jsonl``: an object
            a line, as ``POST /c/bank/NAME/signal`` of Hasher-Matcher-Actioner takes it; ``lines``: what the
            exchange ``local_file`` of ``threatexchange`` reads.
        collab: the name of the collaboration, for ``csv``.

    Raises:
        OptionError: another form.
    """
    if form not in FORMS:
        raise OptionError(f"form={form!r}; allowed: {', '.join(FORMS)}")
    return _written(entries, form, collab)


def _written(entries: Iterable[Entry], form: Form, collab: str) -> Iterator[str]:
    if form == "csv":
        yield "signal_type,signal_str,collab,category,tags,path"
    for entry in entries:
        text = entry.code.text
        if form == "lines":
            yield f"{SIGNAL} {text}"
        elif form == "jsonl":
            yield json.dumps({SIGNAL: text})
        else:
            row = (SIGNAL, text, printable(collab), _CATEGORY, "", printable(entry.path))
            yield csv_line(row)
