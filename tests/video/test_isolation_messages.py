"""What a caller and its decode worker tell each other: whole messages, one descriptor, no endless waiting."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from vhash_sdk.spec import Resize, Sampling
from vhash_sdk.system.files import memory_file
from vhash_sdk.video import Limits
from vhash_sdk.video.isolation.messages import MOST_BYTES, receive_message, send_message
from vhash_sdk.video.isolation.pool import DecodePool

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_messages_keep_their_borders(ends: Ends) -> None:
    messages = [b"a", b"b" * MOST_BYTES, b'{"ready": true}']
    sender = threading.Thread(target=lambda: [send_message(ends[0], m) for m in messages])
    sender.start()
    assert [receive_message(ends[1], seconds=10)[0] for _ in messages] == messages
    sender.join()


def test_a_message_in_pieces(ends: Ends) -> None:
    def send() -> None:
        for byte in (5).to_bytes(4, "little") + b"piece":
            ends[0].send(bytes((byte,)))
            time.sleep(0.002)

    sender = threading.Thread(target=send)
    sender.start()
    assert receive_message(ends[1], seconds=10) == (b"piece", [])
    sender.join()


@pytest.mark.parametrize("sent", [b"", b"\x05", b"\x05\x00\x00\x00", b"\x05\x00\x00\x00piec"])
def test_half_a_message(ends: Ends, sent: bytes) -> None:
    """An end that stops in the middle is waited for until the time is up, and is gone where it closes."""
    ends[0].send(sent)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receive_message(ends[1], seconds=0.05)
    assert time.monotonic() - began < 5
    ends[0].send(sent)
    ends[0].close()
    assert receive_message(ends[1], seconds=10)[0] in (b"", b"piec\x05"[: len(sent)])


def test_a_message_that_is_too_long_is_refused_before_it_is_read(ends: Ends) -> None:
    ends[0].send((MOST_BYTES + 1).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="a message of"):
        receive_message(ends[1], seconds=10)


def test_descriptors_are_taken_where_they_are_expected(ends: Ends) -> None:
    file = memory_file("given")
    os.write(file, b"content")
    send_message(ends[0], b"with a file", file)
    os.close(file)
    message, (passed,) = receive_message(ends[1], seconds=10, descriptors=1)
    assert message == b"with a file" and os.pread(passed, 99, 0) == b"content"
    os.close(passed)
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else None
    with open(os.devnull, "rb") as unwanted:
        send_message(ends[1], b"an answer", unwanted.fileno())
    assert receive_message(ends[0], seconds=10) == (b"an answer", [])
    assert before is None or len(os.listdir("/proc/self/fd")) == len(before)


def test_a_worker_that_takes_nothing_is_not_waited_for(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        for _ in range(100):
            send_message(ends[0], bytes(MOST_BYTES), seconds=0.05)


def test_without_memory_files(monkeypatch: pytest.MonkeyPatch, sample: str) -> None:
    """As on macOS: frames come back, and bytes go there, through a file that has no name."""
    sampling, resize = Sampling("uniform", 5), Resize("exact", 64, 64)
    with DecodePool(1, Limits()) as pool:
        expected = pool.decode(sample, sampling, resize).frames
    monkeypatch.delattr(os, "memfd_create")
    with DecodePool(1, Limits()) as pool, open(sample, "rb") as file:
        assert (pool.decode(sample, sampling, resize).frames == expected).all()
        assert (pool.decode(file.read(), sampling, resize).frames == expected).all()


@pytest.fixture
def sample() -> str:
    from vhash_sdk.cli.demo import SAMPLES

    return str(SAMPLES / "chair.mp4")
