"""Python as on Windows, as far as Linux can pretend it: what only POSIX has is gone before vhash is imported.

python -m tests.without_posix SCRIPT ARGUMENT…
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty")
OF_OS = (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "chown", "fchmod", "fchown",
    "fdatasync", "fork", "getuid", "geteuid", "killpg", "lchown", "memfd_create", "mkfifo", "posix_fadvise",
    "pread", "preadv", "pwrite", "pwritev", "register_at_fork", "sched_getaffinity",
    "statvfs", "sysconf", "uname",
)  # fmt: skip
OF_SIGNAL = ("SIGALRM", "SIGHUP", "SIGIO", "SIGKILL", "SIGPIPE", "SIGUSR1", "setitimer", "pthread_sigmask")


class Hidden(MetaPathFinder):
    """No module of these names."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return None


def main() -> None:
    """Run a script so."""
    import av  # noqa: F401  # libraries that would not be built so on Windows take what they need first
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hidden())
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL), (socket, ("AF_UNIX", "send_fds", "recv_fds"))):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
