"""Messages between a caller and its decode worker: a length, so many bytes, and at most one descriptor.

Through a stream, because not every system keeps the borders of messages (macOS has no SOCK_SEQPACKET).
"""

from __future__ import annotations

import os
import socket
import time

MOST_BYTES = 128 << 10
"""The longest message in either direction: a path, or the times of 1024 frames, and change."""

_LENGTH = 4  # bytes, little-endian


def send_message(
    to: socket.socket, message: bytes, descriptor: int | None = None, *, seconds: float | None = None
) -> None:
    """Send a message, and a descriptor with it.

    Raises:
        OSError: the other end is gone, or did not take it in so many seconds.
    """
    data = len(message).to_bytes(_LENGTH, "little") + message
    to.settimeout(seconds)
    sent = to.send(data) if descriptor is None else socket.send_fds(to, [data], [descriptor])
    to.sendall(data[sent:])


def receive_message(
    of: socket.socket, *, seconds: float | None = None, descriptors: int = 0
) -> tuple[bytes, list[int]]:
    """The next message and the descriptors that came with it; nothing where the other end is gone.

    Args:
        of: the socket.
        seconds: to wait for the whole message; None: for as long as it takes.
        descriptors: that are taken at most; the system closes what else is sent.

    Raises:
        TimeoutError: it did not come as a whole in so many seconds.
        ValueError: it is longer than any message.
    """
    end = None if seconds is None else time.monotonic() + seconds
    passed: list[int] = []
    data, wanted = b"", _LENGTH
    try:
        while len(data) < wanted:
            of.settimeout(None if end is None else max(end - time.monotonic(), 1e-3))
            if descriptors:
                part, found, _, _ = socket.recv_fds(of, wanted - len(data), descriptors - len(passed))
                passed += found
            else:
                part = of.recv(wanted - len(data))
            if not part:
                raise EOFError
            data += part
            if len(data) == wanted == _LENGTH:
                wanted += int.from_bytes(data, "little")
                if wanted > _LENGTH + MOST_BYTES:
                    raise ValueError(f"a message of {wanted - _LENGTH} bytes")
    except (ValueError, TimeoutError):
        _close(passed)
        raise
    except (OSError, EOFError):
        _close(passed)
        return b"", []
    return data[_LENGTH:], passed


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
