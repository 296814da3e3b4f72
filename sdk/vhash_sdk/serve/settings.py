"""What ``vhash serve`` serves, and to whom."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import OptionError

MOST_UPLOAD = 2 << 30
"""Bytes of an upload, where nothing else is said."""


@dataclass(frozen=True)
class Settings:
    """What is served, and to whom.

    Attributes:
        library: its directory.
        host, port: where the server listens; the port 0 is any that is free.
        roots: folders whose videos may be added, searched for and compared by their paths; no other path that
            a client names is ever opened.
        tokens: that scripts may show (``Authorization: Bearer``), from ``--token-file``.
        users: names of people who sign in with a password.
        names: further names by which browsers may call the server (``Host``).
        certificate, key: files in PEM for TLS; both or none.
        read_only: nothing is changed, not even judged.
        move_to: the folder that ``apply`` may move files to; None: it may not.
        indexes: names of directories of ``Index.open`` that ``/v1/lookup`` searches.
        upload_bytes: the largest upload.
        rate: requests a second and client, looking bare codes up apart; bursts of twice as many pass.
        telemetry: whether OpenTelemetry traces each request.

    Raises:
        OptionError: others can reach it and nobody may sign in, or options do not go together.
    """

    library: str
    host: str = "127.0.0.1"
    port: int = 8123
    roots: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None
    read_only: bool = False
    move_to: str | None = None
    indexes: Mapping[str, str] = field(default_factory=dict)
    upload_bytes: int = MOST_UPLOAD
    rate: float = 300.0
    telemetry: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise OptionError("--cert and --key belong together; give both, or none for plain HTTP")
        if not self.local and not self.tokens and not self.users:
            raise OptionError(
                f"--host {self.host}: other machines could reach this; say who may sign in with --token-file "
                "FILE or --user NAME, or leave --host away to serve this machine only"
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def tls(self) -> bool:
        """Whether requests are encrypted."""
        return self.certificate is not None

    def url(self, port: int) -> str:
        """Where a browser finds the server."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{shown}:{port}"

    def within_roots(self, path: str) -> str:
        """A path that a client has named, once it is known to lead into a root, links on the way included.

        Raises:
            OptionError: it does not, or is no absolute path.
        """
        if not path or "\0" in path or not os.path.isabs(path):
            raise OptionError(
                f"path={path[:200]!r}: expected an absolute path in one of the folders of --root"
            )
        plain = os.path.abspath(path)
        real = os.path.realpath(plain)
        for root in map(os.path.realpath, self.roots):
            if os.path.commonpath([real, root]) == root:
                return plain
        raise OptionError(
            f"path={path[:200]!r}: lies in no folder that this server was started with (--root); "
            "upload the video, or restart it with --root"
        )
