"""Telling somebody else: a command of the user that gets JSON, or a web address that does.

A command is started as it was given, word by word, never by a shell: a file name is one word of it, whatever
it holds. A web address is asked only where the user gave it, and never leads elsewhere.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import Message
from typing import IO, Any

from ..errors import OptionError, UnreachableError
from .checks import shown

COMMAND_SECONDS, WEB_SECONDS = 60.0, 10.0
"""How long a command may run, and a server may take to answer."""


def command_words(template: str) -> list[str]:
    """The words of a command line, quoted as for a shell.

    Raises:
        OptionError: there are none, or a quote is not closed.

    >>> command_words("notify-send 'A copy of {match}' {path}")
    ['notify-send', 'A copy of {match}', '{path}']
    """
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise OptionError(f"{shown(template)}: no command line ({error}); close the quotes") from None
    if not words:
        raise OptionError(f"{shown(template)}: no command; give a program and its arguments")
    return words


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The words with ``{name}`` replaced, once: what a value holds is left as it is.

    >>> filled(["echo", "{path}: {other}"], {"path": "/a {other}", "other": "/b"})
    ['echo', '/a {other}: /b']
    """
    found = []
    for word in words:
        parts, rest = [], word
        while True:
            places = [(rest.find(f"{{{name}}}"), name) for name in values]
            at, name = min(((at, name) for at, name in places if at >= 0), default=(-1, ""))
            if at < 0:
                break
            parts += [rest[:at], values[name]]
            rest = rest[at + len(name) + 2 :]
        found.append("".join([*parts, rest]))
    return found


def run_command(words: Sequence[str], document: Mapping[str, Any]) -> None:
    """Run a command with a JSON document on its standard input; its output goes to standard error.

    Raises:
        UnreachableError: it cannot be started, fails, or takes longer than a minute and is killed.
    """
    data = json.dumps(document).encode("ascii")
    try:
        done = subprocess.run(words, input=data, stdout=2, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{words[0]}: took longer than {COMMAND_SECONDS:g} s and was killed") from None
    except (OSError, ValueError) as error:
        raise UnreachableError(f"{words[0]}: cannot be started ({error}); check the command") from error
    if done.returncode:
        raise UnreachableError(f"{words[0]}: ended with {done.returncode}; look at what it says")


def checked_address(url: str) -> str:
    """A web address that may be told things.

    Raises:
        OptionError: it is not of http or https, or holds a password.

    >>> checked_address("https://example.org/hook")
    'https://example.org/hook'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or any(letter.isspace() for letter in url):
        raise OptionError(f"{shown(url)}: no web address; allowed: http://… or https://…")
    if "@" in parts.netloc:
        raise OptionError(
            "a web address with a name or password in it; give one without, e.g. with a token in it"
        )
    return url


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def post(url: str, document: Mapping[str, Any]) -> None:
    """Send a JSON document to a web address. Redirections are not followed: they would drop it.

    Raises:
        UnreachableError: no answer in ten seconds, or another one than 200 to 299.
    """
    host = urllib.parse.urlsplit(url).netloc  # what stands behind it may be a secret
    request = urllib.request.Request(
        url,
        data=json.dumps(document).encode("ascii"),
        headers={"Content-Type": "application/json", "User-Agent": "vhash"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(_Stays).open(request, timeout=WEB_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        raise UnreachableError(f"{host}: answers {error.code}; check the address") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(f"{host}: gives no answer ({reason}); what was to be told is not") from None
