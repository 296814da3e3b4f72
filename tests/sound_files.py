"""For tests of sound: skips where Chromaprint is not there, and makes small videos with a tune."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.near_duplicates.sound_making import RATE, Wave, encoded, music, write_video
from vhash_sdk.errors import MissingDependencyError
from vhash_sdk.video.sound import check_sound


def needs_chromaprint() -> None:
    """Skip what follows, saying what to install."""
    try:
        check_sound()
    except MissingDependencyError as error:
        pytest.skip(str(error), allow_module_level=True)


def tune(seed: int, seconds: float = 12.0) -> Wave:
    return music(seed, seconds)


def part(wave: Wave, start: float, end: float) -> Wave:
    return wave[round(start * RATE) : round(end * RATE)]


def video(path: Path, wave: Wave | None, *, scene: int = 0, kilobits: int = 96) -> Path:
    """A film of 96×64 with a sound, or with none; the name decides about container and codec."""
    codec = "libopus" if path.suffix == ".mkv" else "aac"
    return write_video(path, wave, codec, kilobits, scene=scene)


def over(path: Path, sample: Path, wave: Wave) -> Path:
    """The pictures of a sample with another sound."""
    with av.open(str(sample)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        audio = out.add_stream("aac", rate=44100)
        audio.layout, audio.bit_rate = "mono", 96_000
        heard = encoded(audio, wave)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
                out.mux(next(heard, []) if packet.is_keyframe else [])
        for packets in heard:
            out.mux(packets)
    return path


def silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * RATE))
