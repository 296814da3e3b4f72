"""How file names are shown and written down: they are bytes that others chose, and may hold anything."""

from __future__ import annotations

import base64
import os
import re
import shlex
from collections.abc import Iterable
from typing import Any


def absolute(path: str | os.PathLike[str]) -> str:
    """``os.path.abspath`` with a single slash at its beginning: POSIX lets two stand, of the same file.

    >>> absolute("//tmp/../videos")
    '/videos'
    """
    whole = os.path.abspath(path)
    return whole[1:] if whole.startswith("//") else whole


def path_entry(path: str | os.PathLike[str]) -> dict[str, str]:
    r"""A path for JSON: ``path``, and ``path_base64`` where the name is not valid UTF-8.

    Then ``path`` shows each stray byte as ``\xNN``, and ``path_base64`` has the exact bytes.

    >>> path_entry("a\nb.mp4")
    {'path': 'a\nb.mp4'}
    >>> path_entry(os.fsdecode(b"caf\xe9"))
    {'path': 'caf\\xe9', 'path_base64': 'Y2Fm6Q=='}
    """
    text = os.fspath(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        shown = "".join(_escape(c) if "\ud800" <= c <= "\udfff" else c for c in text)
        return {"path": shown, "path_base64": base64.b64encode(os.fsencode(text)).decode("ascii")}
    return {"path": text}


def path_from_entry(entry: dict[str, Any]) -> str:
    r"""The path that ``path_entry`` wrote down.

    >>> os.fsencode(path_from_entry(path_entry(os.fsdecode(b"caf\xe9"))))
    b'caf\xe9'
    """
    if "path_base64" in entry:
        return os.fsdecode(base64.b64decode(entry["path_base64"], validate=True))
    return str(entry["path"])


def printable(path: str | os.PathLike[str]) -> str:
    r"""A path on one line of text or CSV, reversibly, with backslash escapes.

    A backslash is doubled; line breaks, control and invisible characters become ``\n``, ``\x1b``,
    ``\u202e``, and a byte that is not UTF-8 ``\xNN`` (80 to ff). So no file name can break a table,
    start a new record or act on a terminal.

    >>> print(printable("a\nb\\c d.mp4"), printable(os.fsdecode(b"caf\xe9")))
    a\nb\\c d.mp4 caf\xe9
    """
    text = os.fspath(path)
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c != "\\" else _escape(c) for c in text)


_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.)|$)", re.DOTALL)
_LETTERS = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def from_printable(text: str) -> str:
    r"""The path that ``printable`` or ``csv_line`` wrote.

    Raises:
        ValueError: neither writes that.

    >>> from_printable(r"a\nb\\c\xe9\x3d") == os.fsdecode(b"a\nb\\c\xe9=")
    True
    """

    def one(match: re.Match[str]) -> str:
        byte, short, long, letter = match.groups()
        if byte:  # of an ASCII character, or one that is not UTF-8
            number = int(byte, 16)
            return chr(number if number < 0x80 else 0xDC00 + number)
        number = int(short or long or "110000", 16)
        if number > 0x10FFFF and letter not in _LETTERS:
            raise ValueError(f"{match[0]!r} in {text!r} is no escape")
        return _LETTERS[letter] if letter in _LETTERS else chr(number)

    return _ESCAPED.sub(one, text)


# a spreadsheet takes what begins so for a formula, also behind what another locale takes for a separator
_FORMULA = re.compile("(^|[;,\t])([=+@\\-\uff1d\uff0b\uff0d\uff20])")


def csv_line(cells: Iterable[object]) -> str:
    r"""One row of CSV, without its end; numbers as they are, text so that no spreadsheet computes it.

    Text has been escaped before (``printable``); what would make it a formula is escaped as well.

    >>> print(csv_line([-1.5, "=1+1", "a,b", "@x"]))
    -1.5,\x3d1+1,"a,b",\x40x
    """
    import csv
    import io

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        [_FORMULA.sub(_escaped_start, safe(cell)) if isinstance(cell, str) else cell for cell in cells]
    )
    return line.getvalue()


def _escaped_start(match: re.Match[str]) -> str:
    number = ord(match[2])
    return match[1] + (f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}")


def shell_quoted(path: str | os.PathLike[str]) -> str:
    r"""A path as one word of a POSIX shell (bash, zsh, ksh), on one line whatever it holds.

    >>> print(shell_quoted("a b.mp4"), shell_quoted("it's\nnew"), shell_quoted(os.fsdecode(b"caf\xe9")))
    'a b.mp4' $'it\'s\nnew' $'caf\xe9'
    """
    text = os.fspath(path)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + printable(text).replace("'", "\\'") + "'"


def from_shell_quoted(text: str) -> tuple[str, str]:
    r"""The path of the ``shell_quoted`` word that a line begins with, and what follows it.

    Raises:
        ValueError: it begins with no such word.

    >>> from_shell_quoted("'it'\"'\"'s' 3  # it's"), from_shell_quoted(r"$'a\'\nb' 3")[0]
    (("it's", " 3  # it's"), "a'\nb")
    """
    if text.startswith("$'"):
        match = re.match(r"\$'((?:[^'\\]|\\.)*)'(?=\s|$)", text)
        if match is None:
            raise ValueError(f"{text!r} is no quoted word")
        return from_printable(match[1].replace("\\'", "'")), text[match.end() :]
    match = re.match(r"""(?:[^\s'"\\$`#;&|<>()*?\[~!{]|'[^']*'|"'")+(?=\s|$)""", text)
    if match is None:
        raise ValueError(f"{text!r} is no quoted word")
    return "".join(shlex.split(match[0])), text[match.end() :]


def safe(text: str) -> str:
    r"""A message without characters that act on a terminal; its line breaks stay.

    >>> print(safe("\x1b[2Jgone?"))
    \x1b[2Jgone?
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def _escape(c: str) -> str:
    r"""One character as ``\n``, ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``; stray bytes as ``\xNN``."""
    number = ord(c)
    if 0xDC80 <= number <= 0xDCFF:  # os.fsdecode's form of one undecodable byte
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return c.encode("unicode_escape").decode("ascii")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
