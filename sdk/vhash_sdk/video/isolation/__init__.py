"""Decoding in processes of their own, which a hostile file may take down."""

import socket

ISOLATES = hasattr(socket, "send_fds")
"""Whether this system has what isolated decoding needs: descriptors that go from one process to another."""
