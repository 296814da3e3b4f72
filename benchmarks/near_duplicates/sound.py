"""Is the same sound found again, and is another one never taken for it?

    python -m benchmarks.near_duplicates.sound           # about 5 minutes
    python -m benchmarks.near_duplicates.sound --short   # seconds, and no result
    python -m benchmarks.near_duplicates.sound --recordings DIR   # real music among the strangers, too

Tunes, voices and both together are made (sound_making.py; voices by espeak-ng where it is installed),
written into videos with AAC, Opus and MP3, cut, mixed, dubbed, and read as `vhash add --sound` reads them.
Strangers are all pairs of originals, and of the real clips that have sound; the share of equal bits in their
best stretch says how far `SAME_BITS` lies from them. Recordings are any files of sound that are strange to
each other; the stored result was made with the music of Debian's package `wesnoth-1.16-music`. Last, a large
library of sounds is made of random sub-fingerprints, to see what finding all pairs costs.

Writes benchmarks/results/sound.json. Needs the extra `sound` and libchromaprint.
"""

from __future__ import annotations

import itertools
import math
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.common import DATA, command_line, write_result
from benchmarks.near_duplicates.sound_making import LANGUAGES, RATE, Wave, mixed, music, voice, write_video
from vhash_sdk.matching.sound import HOP, LEAST_SECONDS, SAME_BITS, Sound, along, hear, offsets
from vhash_sdk.matching.sound_index import SoundIndex
from vhash_sdk.video import Limits
from vhash_sdk.video.sound import sound_of

SECONDS = 30.0
LONGEST = 600.0
"""Seconds of a recording that are taken."""


@dataclass(frozen=True)
class Original:
    """A sound, and the parts that it is mixed of, where it is."""

    kind: str
    seed: int
    wave: Wave
    music: Wave | None = None


@dataclass(frozen=True)
class Case:
    """What is done to a sound, and by how many seconds it comes later then."""

    name: str
    make: Callable[[Original], Wave]
    codec: str = "aac"
    kilobits: int = 64
    suffix: str = "mp4"
    later: float = 0.0
    kinds: tuple[str, ...] = ("music", "voice", "both")


def originals(each: int) -> list[Original]:
    """So many of each kind, all different."""
    found = []
    for seed in range(each):
        tune, said = music(seed, SECONDS), voice(seed, SECONDS, LANGUAGES[seed % len(LANGUAGES)])
        other = music(10_000 + seed, SECONDS)
        found += [
            Original("music", seed, tune),
            Original("voice", seed, said),
            Original("both", seed, mixed(other, voice(5_000 + seed, SECONDS), 3.0), other),
        ]
    return found


def _speed(wave: Wave, factor: float) -> Wave:
    places = np.arange(0, len(wave) - 1, factor)
    return np.interp(places, np.arange(len(wave)), wave)


def _noise(wave: Wave, seed: int) -> Wave:
    return mixed(wave, np.random.default_rng([4, seed]).normal(size=len(wave)) * 0.1, -15.0)


def _dub(one: Original, decibels: float) -> Wave:
    assert one.music is not None
    said = voice(7_000 + one.seed, SECONDS, LANGUAGES[1 + one.seed % (len(LANGUAGES) - 1)])
    return mixed(one.music, said, decibels)


def _within(one: Original) -> Wave:
    before, after = music(20_000 + one.seed, 20.0), music(30_000 + one.seed, 20.0)
    return np.concatenate([before, one.wave, after])


CASES = (
    Case("AAC 48 kbit/s", lambda one: one.wave, "aac", 48),
    Case("Opus 24 kbit/s", lambda one: one.wave, "libopus", 24, "mkv"),
    Case("MP3 64 kbit/s", lambda one: one.wave, "libmp3lame", 64, "mkv"),
    Case("a quarter as loud", lambda one: one.wave / 4),
    Case("noise, 15 dB below", lambda one: _noise(one.wave, one.seed)),
    Case("first 7.3 s cut off", lambda one: one.wave[round(7.3 * RATE) :], later=-7.3),
    Case("8 s out of the middle", lambda one: one.wave[round(11 * RATE) : round(19 * RATE)], later=-11.0),
    Case("between 20 s of other music", _within, later=20.0),
    Case("another language, music 3 dB below it", lambda one: _dub(one, 3.0), kinds=("both",)),
    Case("another language, music 6 dB above it", lambda one: _dub(one, -6.0), kinds=("both",)),
    Case("4 % faster", lambda one: _speed(one.wave, 1.04)),
)
OTHERS = ("another language, music 3 dB below it", "another language, music 6 dB above it", "4 % faster")
"""Cases that are no copies of the sound as it is: whatever is found there, is told."""


def listen(folder: Path, wave: Wave | None, case: Case) -> Sound:
    """The sound of a video that is written for it, as a library reads it."""
    path = folder / f"{threading.get_ident()}.{case.suffix}"
    write_video(path, wave, case.codec, case.kilobits)
    try:
        return sound_of(path, Limits())
    finally:
        path.unlink()


def listen_all(folder: Path, waves: Iterable[Wave | None], case: Case) -> list[Sound]:
    """``listen`` to many, two at a time: PyAV lets go of the interpreter's lock."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda wave: listen(folder, wave, case), waves))


def planted(folder: Path, made: list[Original], kept: list[Sound]) -> dict[str, Any]:
    """For each case: how often the sound was found again, how well, and where."""
    rows: dict[str, Any] = {}
    for case in CASES:
        bits, errors = [], []
        of = [(one, sound) for one, sound in zip(made, kept, strict=True) if one.kind in case.kinds]
        copies = listen_all(folder, [case.make(one) for one, _ in of], case)
        for (_, sound), copy in zip(of, copies, strict=True):
            heard = hear(sound, copy)
            if heard.same and heard.offset is not None and heard.bits is not None:
                bits.append(heard.bits)
                errors.append(abs(heard.offset - case.later))
        rows[case.name] = {
            "sounds": len(of),
            "same": len(bits),
            "bits": _figures(bits),
            "offset error, s": _figures(errors),
        }
        print(f"{case.name}: {rows[case.name]}", flush=True)
    return rows


def strangers(sounds: list[Sound]) -> dict[str, Any]:
    """The share of equal bits in the best stretch of each pair, whatever it is."""
    pairs, best = 0, []
    for a, b in itertools.combinations(sounds, 2):
        if a.says or b.says:
            continue
        pairs += 1
        heard = along(a, b, offsets(a.prints, b.prints), least=0.0)
        if heard.same:
            best.append(heard.bits or 0.0)
    return {
        "pairs": pairs,
        "with a stretch at all": len(best),
        "highest share of equal bits": round(max(best, default=0.0), 4),
        "above SAME_BITS": int(sum(share >= SAME_BITS for share in best)),
        "false-match rate, at most": round(_at_most(sum(share >= SAME_BITS for share in best), pairs), 6),
        "above": {
            f"{share:.2f}": int(sum(x >= share for x in best))
            for share in (0.66, 0.70, 0.75, 0.78, 0.80, 0.82, 0.84, 0.86, 0.88)
        },
    }


def _at_most(matches: int, pairs: int) -> float:
    """The highest rate at which so few matches are not surprising: 95 %, one-sided, by Poisson."""
    low, high = 0.0, matches + 10.0 * (matches + 1) ** 0.5
    while high - low > 1e-6:
        middle = (low + high) / 2
        term = total = math.exp(-middle)
        for k in range(1, matches + 1):
            term *= middle / k
            total += term
        low, high = (middle, high) if total > 0.05 else (low, middle)
    return high / max(1, pairs)


def recordings(folder: Path, place: Path, case: Case) -> list[Sound]:
    """The sounds of real recordings, each written into a video as the others are."""
    sounds = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            with av.open(str(path), metadata_errors="ignore") as container:
                resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
                blocks = [
                    block.to_ndarray()[0]
                    for frame in container.decode(audio=0)
                    for block in resampler.resample(frame)
                ]
        except (av.FFmpegError, IndexError):
            continue  # no sound: a text beside the recordings
        wave = np.concatenate(blocks)[: round(LONGEST * RATE)].astype(np.float64)
        sounds.append(listen(place, wave, case))
    return sounds


def shared_music(folder: Path, count: int) -> dict[str, Any]:
    """Pairs of strangers who talk over the same tune: what is said of them."""
    same = {}
    plain = Case("", lambda one: one.wave)
    for decibels in (-6.0, 0.0, 6.0):
        waves = [
            mixed(music(40_000 + seed, SECONDS), voice(where + seed, SECONDS), decibels)
            for seed in range(count)
            for where in (50_000, 60_000)
        ]
        sounds = listen_all(folder, waves, plain)
        found = sum(hear(a, b).same for a, b in zip(sounds[::2], sounds[1::2], strict=True))
        same[f"voice {decibels:+.0f} dB"] = {"pairs": count, "same": found}
    return same


def saying_nothing(folder: Path) -> dict[str, str]:
    """What has no sound to go by, and why."""
    time_ = np.arange(round(SECONDS * RATE)) / RATE
    plain = Case("", lambda one: one.wave)
    made = {
        "no track": None,
        "silence": np.zeros(len(time_)),
        "dither": np.random.default_rng(0).normal(size=len(time_)) * 3e-5,
        "a hum of 50 Hz": 0.1 * np.sin(2 * np.pi * 50 * time_),
        "2 s of a tune": music(0, 2.0),
    }
    return {name: listen(folder, wave, plain).says for name, wave in made.items()}


def in_a_library(made: list[Original], kept: list[Sound], copies: list[Sound]) -> dict[str, Any]:
    """All pairs of a library of originals and copies, by the index, against comparing each with each."""
    sounds = [*kept, *copies]
    started = time.perf_counter()
    found = {(a, b) for a, b, _ in SoundIndex(sounds).pairs()}
    seconds = time.perf_counter() - started
    wanted = {(i, len(kept) + i) for i in range(len(kept))}
    return {
        "sounds": len(sounds),
        "planted pairs": len(wanted),
        "found": len(found & wanted),
        "wrong": len(found - wanted),
        "seconds": round(seconds, 2),
    }


def large(videos: int, seconds: float) -> dict[str, Any]:
    """All pairs of random sub-fingerprints, one sound in a hundred a copy with 8 % of the bits turned."""
    rng = np.random.default_rng(5)
    count = round(seconds / HOP)
    sounds = [Sound(rng.integers(1, 2**32, count, dtype=np.uint32)) for _ in range(videos)]
    wanted = set()
    for i in range(videos // 100):
        turned = rng.random((count, 32)) < 0.08
        sounds[i] = Sound(sounds[videos - 1 - i].prints ^ np.packbits(turned, axis=1).view(np.uint32)[:, 0])
        wanted.add((i, videos - 1 - i))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = {(a, b) for a, b, _ in SoundIndex(sounds).pairs()}
    took = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "videos": videos,
        "hours": round(videos * seconds / 3600),
        "planted pairs": len(wanted),
        "found": len(found & wanted),
        "wrong": len(found - wanted),
        "seconds": round(took, 1),
        "megabytes more": round((after - before) / 1024),
    }


def clips() -> list[Sound]:
    """The real clips that have a sound; those of one scene count once."""
    names = (
        "misc/bigbuckbunny.mp4",
        "misc/decord_flipping_a_pancake.mkv",
        "neardup/chair-orig-22-sd-bar.mp4",
    )
    paths = [DATA / "videos" / name for name in names]
    return [sound_of(path, Limits()) for path in paths if path.exists()]


def real() -> dict[str, Any]:
    """The copies of one real clip that differ in picture and were encoded again: the worst pair."""
    folder = DATA / "videos" / "neardup"
    sounds = [sound_of(path, Limits()) for path in sorted(folder.glob("chair-*.mp4"))]
    sounds = [sound for sound in sounds if not sound.says]
    heard = [hear(a, b) for a, b in itertools.combinations(sounds, 2)]
    bits = [each.bits for each in heard if each.same and each.bits is not None]
    return {
        "pairs": len(heard),
        "same": len(bits),
        "lowest share of equal bits": round(min(bits, default=0.0), 3),
    }


def _figures(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "median": round(float(np.median(values)), 3),
        "lowest": round(min(values), 3),
        "highest": round(max(values), 3),
    }


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--each", type=int, default=80, help="originals of each kind: music, voice, both")
    parser.add_argument("--planted", type=int, default=12, help="of these of each kind copies are made")
    parser.add_argument("--videos", type=int, default=10_000, help="of the large library")
    parser.add_argument("--short", action="store_true", help="few of everything, and no result")
    parser.add_argument("--recordings", type=Path, help="a folder of music that is strange to each other")
    arguments = parser.parse_args()
    each, few = (4, 2) if arguments.short else (arguments.each, arguments.planted)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        folder = Path(place)
        made = originals(each)
        source = Case("original", lambda one: one.wave, "aac", 128)
        kept = listen_all(folder, [one.wave for one in made], source)
        print(f"{len(made)} originals ({time.perf_counter() - started:.0f} s)", flush=True)
        result = {
            "voices": "espeak-ng" if shutil.which("espeak-ng") else "formants",
            "thresholds": {"SAME_BITS": SAME_BITS, "LEAST_SECONDS": LEAST_SECONDS},
            "strangers": strangers([*kept, *clips()]),
        }
        print(result["strangers"], flush=True)
        if arguments.recordings is not None:
            real_music = recordings(arguments.recordings, folder, source)
            result["recordings"] = {"sounds": len(real_music), **strangers(real_music)}
            print(result["recordings"], flush=True)
        result["planted"] = planted(folder, made[: 3 * few], kept[: 3 * few])
        result["shared music"] = shared_music(folder, few)
        result["saying nothing"] = saying_nothing(folder)
        result["real copies"] = real()
        opus = listen_all(folder, [one.wave for one in made], CASES[1])
        result["library"] = in_a_library(made, kept, opus)
        result["large library"] = large(200 if arguments.short else arguments.videos, 100.0)
    for name in ("shared music", "saying nothing", "real copies", "library", "large library"):
        print(f"{name}: {result[name]}")
    if not arguments.short:
        took = round(time.perf_counter() - started)
        command = "python -m benchmarks.near_duplicates.sound"
        if arguments.recordings is not None:
            command += " --recordings DIR"
        for name in ("each", "planted", "videos"):
            if getattr(arguments, name) != parser.get_default(name):
                command += f" --{name} {getattr(arguments, name)}"
        write_result("sound", {"command": command, "took": took, **result})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
