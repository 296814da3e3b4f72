"""A real Milvus server for tests, from its PyPI wheel: reachable on loopback only, gone with its parent.

The server listens on every interface and on fixed ports, so it runs in a network namespace of its own,
and this module passes connections of one port of 127.0.0.1 on to it.

    with MilvusServer(folder) as server:
        open_index(f"milvus://127.0.0.1:{server.port}/films", bits=64)
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Self

_CLONE_NEWUSER, _CLONE_NEWNET, _PR_SET_PDEATHSIG = 0x10000000, 0x40000000, 1
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_START_SECONDS, _LIFE_SECONDS = 120, 3600


def missing() -> str | None:
    """Why no server can be started here, or None."""
    if importlib.util.find_spec("milvus") is None:
        return "needs the server: pip install --no-deps milvus==2.3.5"
    return private_network_refused()


def private_network_refused() -> str | None:
    """Why there can be no network of one's own here, or None."""
    code = "from tests.milvus_server import private_network; private_network()"
    probe = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=_ROOT)
    return None if probe.returncode == 0 else "needs network namespaces (unshare), which this system refuses"


class MilvusServer:
    """A server that keeps its data in ``folder``; start it again there and they are back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = self.pid = 0
        self._relay: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.milvus_server", str(self.folder), str(self.port)]
        self._relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        assert self._relay.stdout is not None
        words = self._relay.stdout.readline().split()
        assert words[:1] == ["ready"], f"the server did not start; see {self.folder}/logs"
        self.port, self.pid = int(words[1]), int(words[2])

    def kill(self) -> None:
        """Kill the server with -9, at whatever it is doing."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self._relay is not None:
            self._relay.kill()  # the server dies with it
            self._relay.wait()
            self._relay = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


_ROOT = Path(__file__).resolve().parents[1]
_libc = ctypes.CDLL(None, use_errno=True)


def private_network() -> None:
    """Move this process to a network that consists of a loopback device."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWNET) != 0:
        if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run_server(folder: Path) -> subprocess.Popen[bytes]:
    import milvus

    config = milvus.MilvusServerConfig(data_dir=str(folder))
    config.resolve()
    milvus._initialize_data_files(str(folder))
    binary = folder / "bin" / "milvus"
    environment = {
        **os.environ,
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": "9091",
        "MILVUS_RUN_DIR": str(folder / "run"),
        "LD_LIBRARY_PATH": str(binary.parent),
    }
    with open(folder / "logs" / "server.log", "ab") as log:
        return subprocess.Popen(
            [binary, "run", "standalone"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )


def _wait_until_healthy(server: subprocess.Popen[bytes]) -> None:
    for _ in range(_START_SECONDS * 5):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen("http://127.0.0.1:9091/healthz", timeout=2) as answer,
        ):
            if b"OK" in answer.read():
                return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    sys.exit("the server did not start")


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(1 << 16):
            there.sendall(data)
    for end in (here, there):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Start the server in ``argv[1]``, then relay 127.0.0.1:``argv[2]`` (0: any port) for an hour at most."""
    die_with_parent()
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))  # before the move: it stays where it is
    private_network()
    server = _run_server(folder)
    signal.alarm(_LIFE_SECONDS)
    _wait_until_healthy(server)
    print("ready", listener.getsockname()[1], server.pid, flush=True)
    while True:
        client, _ = listener.accept()
        try:
            inside = socket.create_connection(("127.0.0.1", 19530), timeout=5)
        except OSError:
            client.close()
            continue
        inside.settimeout(None)
        for end in (client, inside):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((client, inside), (inside, client)):
            threading.Thread(target=_pass_on, args=pair, daemon=True).start()


if __name__ == "__main__":
    main()
