"""Names for models of one's own: a file of this user, or the one that ``$VHASH_MODELS`` names.

```toml
[models.dashcam]
path = "/models/dashcam"       # a .onnx file, or a folder in the layout of hubs; from this file's folder on

[models.studio]
repo = "our-studio/video-256"  # on a hub
revision = "v3"
fingerprint = "1f6c0b1e"       # what it must be; anything else is refused
```

Then ``Encoder("dashcam")`` and ``vhash add LIB videos/ --model studio``. A name of a bundled model, or an
alias, keeps its meaning: it cannot be given away.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..names import printable

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_KEYS = {"path", "repo", "revision", "fingerprint"}


@dataclass(frozen=True)
class Registered:
    """A model of one's own: a ``path``, or a ``repo`` on a hub at a ``revision``; None where not said.

    ``fingerprint`` is what it has to begin with, empty where anything goes.
    """

    path: Path | None
    repo: str | None
    revision: str | None
    fingerprint: str


def registry_file() -> Path:
    """Where the names are kept: ``$VHASH_MODELS``, else ``vhash/models.toml`` in the user's configuration."""
    if named := os.environ.get("VHASH_MODELS"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home, "vhash", "models.toml")


def registered(taken: Container[str]) -> dict[str, Registered]:
    """The models of the registry by name; empty where there is no such file.

    Args:
        taken: names that mean something else, and always will.

    Raises:
        ModelError: the file is no registry; the message says which entry is wrong.
    """
    try:
        file = registry_file()
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # also a user without a home
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{printable(file)}: cannot be read ({error}); mend it or take it away") from error
    try:
        tables = tomllib.loads(text).get("models", {})
        return {name: _entry(name, tables[name], file.parent, taken) for name in tables}
    except (tomllib.TOMLDecodeError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{printable(file)}: {printable(str(error))}; each model is a table [models.NAME] with path, "
            "or with repo and revision"
        ) from error


def _entry(name: str, table: Any, folder: Path, taken: Container[str]) -> Registered:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name {name!r}; allowed: letters, digits, '.', '_' and '-'")
    if name in taken:
        raise ValueError(f"{name!r} is the name of a bundled model, which keeps its meaning; choose another")
    if (
        not isinstance(table, dict)
        or set(table) - _KEYS
        or not all(isinstance(v, str) for v in table.values())
    ):
        raise ValueError(f"[models.{name}] may have {', '.join(sorted(_KEYS))}, each a text")
    if ("path" in table) == ("repo" in table):
        raise ValueError(f"[models.{name}] needs either path or repo")
    path = folder / Path(table["path"]).expanduser() if "path" in table else None
    if path is not None and "revision" in table:
        raise ValueError(f"[models.{name}] has a path, which has no revision")
    return Registered(path, table.get("repo"), table.get("revision"), table.get("fingerprint", "").lower())
