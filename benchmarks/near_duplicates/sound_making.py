"""Sound that nobody owns, made from numbers: tunes of several instruments, voices, and videos of them.

Real recordings would have to be fetched and licensed. What matters to a fingerprint is there: chords and
melodies with overtones and decay, drums, voices whose pitch and formants move with every syllable, pauses.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 22050
Wave = NDArray[np.float64]

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 6, 7, 9, 11))
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
_TEXTS = {
    "en": "The harbour was quiet that morning, and the boats lay still. Nobody had expected the letter to "
    "arrive so early, least of all the old keeper, who put on his coat and walked slowly down to the pier.",
    "de": "Der Hafen war an jenem Morgen still, und die Boote lagen ruhig da. Niemand hatte erwartet, dass "
    "der Brief so früh kommen würde, am wenigsten der alte Wärter, der langsam zum Steg hinunterging.",
    "fr": "Le port était calme ce matin-là, et les bateaux ne bougeaient pas. Personne ne pensait que la "
    "lettre arriverait si tôt, et surtout pas le vieux gardien, qui descendit lentement vers la jetée.",
    "es": "El puerto estaba tranquilo aquella mañana y los barcos no se movían. Nadie esperaba que la carta "
    "llegara tan pronto, y menos el viejo guardián, que bajó despacio hasta el muelle.",
}
LANGUAGES = tuple(_TEXTS)


def music(seed: int, seconds: float) -> Wave:
    """A tune: chords, a bass, a melody and drums, in a key and at a tempo of its own."""
    rng = np.random.default_rng([1, seed])
    out = np.zeros(round(seconds * RATE))
    beat = 60 / rng.uniform(70, 150)
    root, scale = rng.uniform(110, 220), _SCALES[rng.integers(len(_SCALES))]
    tones = [1 / (1 + np.arange(8)) ** rng.uniform(0.7, 2.2) for _ in range(3)]
    chord = rng.integers(0, 7, 64)
    drums = rng.random(16) < 0.45
    degree = 0
    for i in range(int(seconds / beat * 2)):
        at = i * beat / 2
        if i % 8 == 0:
            for step in (0, 2, 4):
                _play(out, at, 4 * beat, root * _ratio(scale, chord[i // 8 % 64] + step), tones[0], 0.12)
        if i % 2 == 0:
            _play(out, at, beat, root / 2 * _ratio(scale, chord[i // 8 % 64]), tones[1], 0.22)
        if rng.random() < 0.75:
            degree = int(np.clip(degree + rng.integers(-3, 4), -5, 12))
            _play(
                out, at, beat * rng.choice([0.5, 1.0, 1.5]), 2 * root * _ratio(scale, degree), tones[2], 0.2
            )
        if drums[i % 16]:
            _hit(out, at, rng)
    return _level(out)


def voice(seed: int, seconds: float, language: str = "en") -> Wave:
    """Somebody who speaks: espeak-ng where it is installed, else syllables of formants."""
    if shutil.which("espeak-ng"):
        return _level(_espeak(seed, seconds, language))
    return _level(_babble([2, seed, LANGUAGES.index(language)], seconds))


def mixed(first: Wave, second: Wave, decibels: float) -> Wave:
    """Both together, the second so much louder than the first."""
    count = min(len(first), len(second))
    return _level(first[:count] + 10 ** (decibels / 20) * second[:count])


def write_video(path: Path, sound: Wave | None, codec: str, kilobits: int, *, scene: int = 0) -> Path:
    """A video of moving pictures with a sound; ``path`` decides about the container."""
    rng = np.random.default_rng([3, scene])
    picture = np.kron(rng.integers(0, 256, (8, 24, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    seconds = 2.0 if sound is None else len(sound) / RATE
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=1, options={"preset": "ultrafast", "crf": "35"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = None
        if sound is not None:
            audio = out.add_stream(codec, rate=48000 if codec == "libopus" else 44100)
            audio.layout, audio.bit_rate = "mono", 1000 * kilobits
        heard = () if audio is None or sound is None else encoded(audio, sound)
        for i, packets in enumerate(itertools.zip_longest(range(max(2, round(seconds))), heard)):
            if packets[0] is not None:
                shown = np.ascontiguousarray(np.roll(picture, 9 * i, axis=1)[:, :96])
                frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1)
                out.mux(video.encode(frame))
            out.mux(packets[1] or [])
        out.mux(video.encode())
    return path


def encoded(audio: av.AudioStream, sound: Wave) -> Iterator[list[av.Packet]]:
    """A sound encoded, second by second, so that it lies beside the pictures in the file."""
    samples = np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)
    resampler = av.AudioResampler(
        format=audio.format.name, layout="mono", rate=audio.rate, frame_size=audio.frame_size or 1024
    )
    for at in range(0, len(samples), RATE):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + RATE], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        yield [packet for made in resampler.resample(frame) for packet in audio.encode(made)]
    rest = [packet for made in resampler.resample(None) for packet in audio.encode(made)]
    yield [*rest, *audio.encode()]


def _ratio(scale: tuple[int, ...], degree: int) -> float:
    octave, step = divmod(int(degree), len(scale))
    return float(2 ** (octave + scale[step] / 12))


def _play(out: Wave, at: float, length: float, pitch: float, tones: Wave, loud: float) -> None:
    start = round(at * RATE)
    time = np.arange(min(round(length * RATE), len(out) - start)) / RATE
    if len(time) < 2:
        return
    note = np.zeros(len(time))
    for overtone, (share, tone) in enumerate(
        zip(tones, _overtones(2 * np.pi * pitch * time), strict=False), 1
    ):
        if overtone * pitch < RATE / 2.5:
            note += share * tone
    out[start : start + len(time)] += loud * note * np.minimum(1, time / 0.01) * np.exp(-2.5 * time / length)


def _overtones(phase: Wave) -> Iterator[Wave]:
    """sin(x), sin(2x), sin(3x) and so on, by the recurrence of Chebyshev."""
    before, tone, twice = np.zeros(len(phase)), np.sin(phase), 2 * np.cos(phase)
    while True:
        yield tone
        before, tone = tone, twice * tone - before


def _hit(out: Wave, at: float, rng: np.random.Generator) -> None:
    start = round(at * RATE)
    time = np.arange(min(round(0.12 * RATE), len(out) - start)) / RATE
    out[start : start + len(time)] += 0.25 * rng.normal(size=len(time)) * np.exp(-time / 0.025)


def _babble(seed: list[int], seconds: float) -> Wave:
    rng = np.random.default_rng(seed)
    out, at = np.zeros(round(seconds * RATE)), 0.0
    pitch = rng.uniform(90, 220)
    while at < seconds:
        length = rng.uniform(0.09, 0.28)
        start = round(at * RATE)
        time = np.arange(min(round(length * RATE), len(out) - start)) / RATE
        glide = pitch * (1 + rng.uniform(-0.25, 0.25) + rng.uniform(-0.5, 0.5) * time)
        phase = 2 * np.pi * np.cumsum(glide) / RATE
        vowel = np.array(_VOWELS[rng.integers(len(_VOWELS))]) * rng.uniform(0.85, 1.15)
        sung = np.zeros(len(time))
        for overtone, tone in zip(range(1, 30), _overtones(phase), strict=False):
            near = 1 / (1 + ((overtone * pitch - vowel[:, None]) / 120) ** 2)
            sung += float(near.sum()) / overtone**0.5 * tone
        hiss = rng.normal(size=len(time)) * (time < 0.04) * rng.uniform(0, 1)
        out[start : start + len(time)] += (sung + hiss) * np.sin(np.pi * time / length)
        at += length + (rng.uniform(0.2, 0.7) if rng.random() < 0.12 else rng.uniform(0.0, 0.05))
    return out


def _espeak(seed: int, seconds: float, language: str) -> Wave:
    """Sentences in an order, at a pitch and a speed of the seed's own."""
    rng = np.random.default_rng([2, seed])
    speed, pitch, variant = rng.integers(130, 200), rng.integers(20, 80), rng.integers(1, 8)
    words = _TEXTS[language].split()
    out = np.zeros(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        while len(out) < seconds * RATE:
            text = " ".join(rng.permutation(words))
            how = ["-v", f"{language}+m{variant}", "-s", str(speed), "-p", str(pitch), "-w", str(file)]
            subprocess.run(["espeak-ng", *how, text], check=True, capture_output=True)
            with wave.open(str(file)) as said:
                assert said.getframerate() == RATE
                samples = np.frombuffer(said.readframes(said.getnframes()), "<i2")
            out = np.concatenate([out, samples / 32768])
    return out[: round(seconds * RATE)]


def _level(sound: Wave) -> Wave:
    """At the usual loudness: a tenth of full scale on the mean, never above it."""
    sound = sound * (0.1 / max(float(np.sqrt((sound**2).mean())), 1e-9))
    return np.clip(sound, -1, 1)
