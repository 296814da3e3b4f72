"""The browser's half: components in ``shared/`` of which the report and the app are two packagings.

The app (``app/``) is served as it is: modules that import each other. The report is one file that loads
nothing, so that the same modules are put into it one after the other (``bundle``). Nothing is built.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class AppFile:
    """One file of the app.

    Attributes:
        content: its bytes.
        type: its media type.
        etag: of its content, in quotes as a header has it.
    """

    content: bytes
    type: str
    etag: str


@cache
def app_files() -> Mapping[str, AppFile]:
    """The files of the app by their paths: ``app/index.html``, ``shared/base.css`` and so on.

    Modules import each other by relative paths, so that any prefix will do that both folders share.

    >>> app_files()["app/index.html"].type
    'text/html; charset=utf-8'
    """
    found = {}
    for folder in ("app", "shared"):
        for file in resources.files(__package__).joinpath(folder).iterdir():
            kind = _TYPES.get(file.name.rpartition(".")[2])
            if kind is not None:
                content = file.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                found[f"{folder}/{file.name}"] = AppFile(content, kind, etag)
    return MappingProxyType(found)


def style(name: str) -> str:
    """A style sheet of ``shared/``."""
    return _shared(f"{name}.css")


def bundle(*names: str) -> str:
    """Modules of ``shared/`` as the beginning of one script, in which all that they export is known.

    Each comes after those that it imports; a name that two of them have is an error of the browser.

    >>> "export" in bundle("text"), "function bytes(" in bundle("text")
    (False, True)
    """
    text = "\n".join(_shared(f"{name}.js") for name in names)
    return re.sub(r"^export (?=(const|let|function|class|async) )", "", _IMPORT.sub("", text), flags=re.M)


_IMPORT = re.compile(r'^import [^;]* from "[^"]+";\n', re.M)


def _shared(name: str) -> str:
    return resources.files(__package__).joinpath("shared", name).read_text("utf-8")
