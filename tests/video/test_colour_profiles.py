"""Pictures with a colour profile: PyAV would free the name of one twice, so another process looks at them."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

LOOK = r"""
import gc, sys
from vhash_sdk import Encoder, Limits
encoder = Encoder("small", limits=Limits(stills=True))
codes = [str(encoder.encode(path)) for path in sys.argv[1:]]
gc.collect()
print(*codes, sep="\n")
"""


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path: Path, profile: bytes, colours: int = 2) -> Path:
    """A picture of 96 by 64 pixels; ``colours``: 0 grey, 2 RGB, 6 with alpha."""
    samples = {0: 1, 2: 3, 6: 4}[colours]
    rows = b"".join(bytes([0, *((x * 7 + y * 3) % 256 for x in range(96 * samples))]) for y in range(64))
    named = chunk(b"iCCP", b"a name\0\0" + zlib.compress(profile)) if profile else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 64, 8, colours, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + named + body)
    return path


@pytest.mark.parametrize("colours", [0, 2, 6])
def test_a_named_profile_changes_nothing(tmp_path: Path, colours: int) -> None:
    plain = png(tmp_path / "plain.png", b"", colours)
    profiled = [png(tmp_path / f"{size}.png", bytes(size), colours) for size in (300, 3404, 100_000)]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, plain, *profiled], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    codes = done.stdout.splitlines()
    assert len(codes) == 4 and len(set(codes)) == 1
