"""How a process of ours is started, so that no file beside the videos is taken for a part of it.

Python looks for modules in the current directory, which is where a person's videos are: a
``json.py`` among them would run. So a child starts with ``-P``, without ``PYTHONPATH``, and gets
the caller's ``sys.path`` without what stands for the current directory; this package itself is
loaded from the very file that the caller has loaded.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterable
from importlib import import_module
from multiprocessing.spawn import get_executable

_BOOT = """
import sys
from importlib import import_module, util
from json import loads
path, package, module, *sys.argv[1:] = sys.argv[1:]
sys.path[:] = loads(path)
spec = util.spec_from_file_location("vhash_sdk", package)
sys.modules["vhash_sdk"] = util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["vhash_sdk"])
import_module(module).main()
"""


def child_command(module: str, *arguments: str, needs: Iterable[str] = ("numpy", "av")) -> list[str]:
    """The command line that runs ``main()`` of a module of this package.

    Args:
        module: full name, ``vhash_sdk.…``.
        arguments: its ``sys.argv[1:]``.
        needs: top-level modules that the child has to find where this process has found them.
    """
    package = os.path.abspath(str(import_module("vhash_sdk").__file__))
    path = json.dumps(child_path(needs))
    return [get_executable(), "-P", "-c", _BOOT, path, package, module, *arguments]


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a child: this one's, except for what makes Python look elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, **changes}


def child_path(needs: Iterable[str] = ()) -> list[str]:
    """``sys.path`` for a child: without the current directory and what was named relative to it.

    Such a folder stays only where a module that the child needs has been loaded from it already,
    and comes last, so that nothing in it takes the place of another module.
    """
    trusted: list[str] = []
    doubtful: dict[str, str] = {}
    doubts = _doubts()
    for entry in filter(lambda entry: isinstance(entry, str), sys.path):
        place = os.path.realpath(entry)
        if not os.path.isabs(entry) or place in doubts:
            doubtful.setdefault(place, os.path.abspath(entry))
        else:
            trusted.append(entry)
    homes = dict.fromkeys(home for name in needs if (home := _home(name)) in doubtful)
    return [*trusted, *(doubtful[home] for home in homes)]


def _doubts() -> set[str]:
    """Real paths of the current directory and of what PYTHONPATH names relative to it.

    Python makes relative entries absolute when it starts, so they cannot be told by their looks; and
    the program may have changed its directory since, so the shell's word for it counts as well.
    """
    here = {os.path.realpath(os.environ.get("PWD") or os.curdir), os.path.realpath(os.curdir)}
    entries = os.environ["PYTHONPATH"].split(os.pathsep) if os.environ.get("PYTHONPATH") else []
    named = {os.path.realpath(entry) for entry in entries if os.path.isabs(entry)}
    relative = {os.path.realpath(os.path.join(at, e)) for at in here for e in entries if not os.path.isabs(e)}
    standard = (*sysconfig.get_paths().values(), os.path.dirname(os.__file__))
    own = {os.path.realpath(place) for place in standard}
    return (here | relative) - named - own


def _home(name: str) -> str | None:
    """The folder, as a real path, that a loaded top-level module was found in."""
    file: str | None = getattr(sys.modules.get(name), "__file__", None)
    if not file:
        return None
    folder = os.path.dirname(os.path.realpath(file))
    return os.path.dirname(folder) if os.path.basename(file).startswith("__init__.") else folder
