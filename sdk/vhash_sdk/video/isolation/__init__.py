"""Decoding in processes of their own, which a hostile file may take down."""

import os

ISOLATES = os.name == "posix"
"""Whether this system has what isolated decoding needs: descriptors that go from one process to another."""
