"""A library at size: throughput, memory, resume, kills, an evil folder.

    python -m benchmarks.robustness.library [--files 10000] [--tiny] [--rounds 4] \\
        [--only throughput,full,kills,evil]

throughput: a plain loop over ``Encoder.encode`` on one core and ``Library.add`` on two, in turn.
full:       --files short clips (cut from the real ones and encoded again) added in one run, memory of
            the caller and its workers sampled; then the same run again.
kills:      ``vhash add`` killed with -9 at 20 random moments and started again.
evil:       500 good files among broken ones, bombs, links, pipes and strange names.

Writes the parts that ran into benchmarks/results/library.json. Short versions are in the tests.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.common import CACHE, DATA, RESULTS, command_line, machine, write_result
from tests import hostile_files
from tests.tiny_model import save_tiny_model
from vhash_sdk import Encoder, Library
from vhash_sdk.video import Limits

SIDE, FRAMES = (160, 120), 16


def make_clips(count: int) -> list[str]:
    """``count`` different clips of 16 frames, 160×120, H.264, cut from the real ones; kept for later runs."""
    folder = CACHE / "library"
    paths = [folder / f"{number // 500:03d}" / f"{number:05d}.mp4" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        sources = sorted((DATA / "videos" / "real10").glob("*/*.mp4"))[::7][:60]
        if not sources:
            raise SystemExit(f"needs the real clips in {DATA}; set VHASH_DATA to their place")
        frames = [_frames(path) for path in sources]
        for number in missing:
            paths[number].parent.mkdir(parents=True, exist_ok=True)
            scene = frames[number % len(frames)]
            _write(paths[number], scene, start=number // len(frames), crf=20 + number % 20)
    return [str(path) for path in paths]


def _frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as source:
        frames = itertools.islice(source.decode(video=0), 60)
        return [frame.reformat(*SIDE, format="yuv420p") for frame in frames]


def _write(path: Path, scene: list[av.VideoFrame], *, start: int, crf: int) -> None:
    temporary = path.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as out:
        options = {"crf": str(crf), "preset": "ultrafast", "threads": "1"}
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIDE, "yuv420p"
        for number in range(FRAMES):
            frame = scene[(start + number * (1 + start // len(scene))) % len(scene)]
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    temporary.rename(path)


def _processor_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _family_mib() -> tuple[float, float]:
    """Resident memory in MiB: of this process, and of it with its workers."""

    def resident(pid: int | str) -> float:
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        except OSError:  # it has just ended
            return 0.0
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    children: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        children += (task / "children").read_text().split()
    own = resident("self")
    return own, own + sum(map(resident, children))


def throughput(paths: list[str], rounds: int) -> dict[str, object]:
    """Seconds and processor seconds a file of each way, taken in turn on different files of one kind."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    ways = ("loop, 1 core", "library, 2 cores")
    wall: dict[str, list[float]] = {way: [] for way in ways}
    work: dict[str, list[float]] = {way: [] for way in ways}
    share = len(paths) // (rounds * len(ways))
    batches = itertools.batched(paths, share) if hasattr(itertools, "batched") else _batched(paths, share)
    for _, way in itertools.product(range(rounds), ways):
        batch = list(next(batches))
        os.sched_setaffinity(0, cores[:1] if "1 core" in way else cores)
        with tempfile.TemporaryDirectory() as folder, Encoder() as encoder:
            for result in encoder.encode_many(batch[:2]):  # both sessions are made and warm
                assert result.error is None
            encoder.encode(batch[0])
            start, begun = time.perf_counter(), _processor_seconds()
            if way.startswith("loop"):
                for path in batch:
                    encoder.encode(path)
            else:
                with Library(folder, encoder=encoder) as library:
                    assert library.add(batch).counts == {"added": len(batch)}
            wall[way].append((time.perf_counter() - start) / len(batch))
            work[way].append((_processor_seconds() - begun) / len(batch))
        os.sched_setaffinity(0, cores)
    one, two = (wall[way] for way in ways)
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    return {
        "files_a_round": share,
        "rounds": rounds,
        "files_per_second": {way: round(1 / float(np.median(wall[way])), 2) for way in ways},
        "best_files_per_second": {way: round(1 / min(wall[way]), 2) for way in ways},
        "processor_seconds_per_file": {way: round(float(np.median(work[way])), 4) for way in ways},
        "library_over_one_core": {
            "median": round(float(np.median(ratios)), 2),
            "rounds": [round(ratio, 2) for ratio in ratios],
            "best_over_best": round(min(one) / min(two), 2),
        },
        "load_average": os.getloadavg(),
    }


def _batched(items: list[str], size: int) -> itertools.chain[list[str]]:
    return itertools.chain(items[at : at + size] for at in range(0, len(items), size))


def _one_core(paths: list[str], model: Path | None) -> float:
    """Files per second of a plain loop over ``Encoder.encode`` on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(cores)])
    with Encoder(model or "default") as encoder:
        encoder.encode(paths[0])
        start = time.perf_counter()
        for path in paths:
            encoder.encode(path)
        rate = len(paths) / (time.perf_counter() - start)
    os.sched_setaffinity(0, cores)
    return rate


def full(paths: list[str], *, tiny: bool) -> dict[str, object]:
    """Add all in one run, memory sampled, then again; ``tiny`` leaves next to nothing but decoding."""
    samples: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        model = save_tiny_model(Path(other) / "tiny.onnx") if tiny else None
        before = _one_core(paths[:200], model)
        start = time.perf_counter()
        with Library(folder, model=model) as library:
            counts: Counter[str] = Counter()
            for result in library.adding(library.scan(paths)):
                counts[result.status] += 1
                if counts.total() % 250 == 0:
                    samples.append((counts.total(), *(round(mib) for mib in _family_mib())))
        seconds = time.perf_counter() - start
        after = _one_core(paths[:200], model)
        start = time.perf_counter()
        command = [
            sys.executable,
            "-c",
            "from vhash_sdk.cli import main; main()",
            "add",
            folder,
            "-",
            "--json",
        ]
        again = subprocess.run(command, input="\0".join(paths), capture_output=True, text=True, check=True)
        second = time.perf_counter() - start
        unchanged = json.loads(again.stdout)["counts"]
        with Library(folder) as library:
            problems = [problem.message for problem in library.verify()]
            size = (library.directory / "library.db").stat().st_size
    return {
        "files": len(paths),
        "model": library.spec.name,
        "counts": dict(counts),
        "seconds": round(seconds, 1),
        "files_per_second": round(len(paths) / seconds, 2),
        "loop_on_one_core_files_per_second": {"before": round(before, 2), "after": round(after, 2)},
        "second_run": {"counts": unchanged, "seconds_of_vhash_add": round(second, 2)},
        "peak_mib_of_caller_and_workers": max(total for _, _, total in samples),
        "mib_by_files_done_caller_and_all": samples,
        "problems": problems,
        "database_bytes_per_video": round(size / len(paths)),
        "load_average": os.getloadavg(),
    }


def kills(paths: list[str], count: int = 20) -> dict[str, object]:
    """Kill ``vhash add`` with -9 again and again; what another process saw committed must stay."""
    rng, seen, sizes = random.Random(0), set(), []
    with tempfile.TemporaryDirectory() as name:
        folder, lib = Path(name) / "videos", Path(name) / "lib"
        folder.mkdir()
        for number, path in enumerate(paths):
            os.link(path, folder / f"{number:04d}.mp4")
        command = [
            sys.executable,
            "-c",
            "from vhash_sdk.cli import main; main()",
            "add",
            str(lib),
            str(folder),
        ]
        orphans = 0
        for _ in range(count):
            before = len(seen)
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
                wanted = before + rng.randint(1, max(1, len(paths) // count))  # a random moment, in files
                while program.poll() is None and len(seen) < wanted:
                    time.sleep(0.01)
                    seen |= _committed(lib / "library.db")
                time.sleep(rng.uniform(0.0, 0.3))
                if program.poll() is not None:
                    raise SystemExit("the run ended before it was killed: more files are needed")
                workers = _descendants(program.pid)
                program.send_signal(signal.SIGKILL)
            deadline = time.monotonic() + 10.0
            while any(map(_alive, workers)) and time.monotonic() < deadline:
                time.sleep(0.01)
            orphans += sum(map(_alive, workers))
            with Library(lib, create=False) as library:
                stored = [entry.path for entry in library]
                if not seen <= set(stored) or len(stored) != len(set(stored)):
                    raise SystemExit(f"lost {seen - set(stored)}, or doubled")
                if wrong := list(library.verify()):
                    raise SystemExit(f"verify: {wrong}")
            sizes.append(len(stored))
        final = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    return {
        "files": len(paths),
        "model": "tests/tiny_model.py",
        "kills": count,
        "in_the_library_after_each_kill": sizes,
        "lost": 0,
        "doubled": 0,
        "workers_that_outlived_the_kill": orphans,
        "last_run": json.loads(final.stdout)["counts"],
    }


def _committed(database: Path) -> set[str]:
    if not database.exists():
        return set()
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        rows = connection.execute("SELECT path FROM video").fetchall()
        connection.close()
    except sqlite3.Error:  # it is being made
        return set()
    return {os.fsdecode(path) for (path,) in rows}


def _descendants(pid: int) -> list[str]:
    try:
        return [
            child
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def _alive(pid: str) -> bool:
    try:  # one that has ended stays in /proc until somebody collects it
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def evil(good: int = 500, broken: int = 50) -> dict[str, object]:
    """Everything at once: exactly the good files are in, everything else is listed with its reason."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "videos"
        folder.mkdir()
        wanted = hostile_files.evil_folder(folder, good, broken)
        start = time.perf_counter()
        with Library(Path(name) / "lib", limits=Limits(wall_time=10.0, memory=1 << 30)) as library:
            found = list(library.scan([folder]))
            vanishing = sorted(path for path in folder.glob("*random_body*"))[:3]
            for path in vanishing:
                path.unlink()
            results = list(library.adding(found, [str(folder)]))
            inside = {os.path.relpath(os.fsencode(entry.path), os.fsencode(folder)) for entry in library}
        unexplained = [r.path for r in results if r.status not in ("added", "copied") and r.error is None]
        if inside != wanted or unexplained:
            raise SystemExit(f"wrong: {inside ^ wanted} {unexplained}")
        kinds = Counter(type(result.error).__name__ for result in results if result.error is not None)
    return {
        "good": good,
        "found": len(found),
        "in_the_library": len(inside),
        "exactly_the_good_ones": True,
        "listed_with_a_reason": dict(kinds.most_common()),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="throughput,full,kills,evil")
    parser.add_argument(
        "--tiny", action="store_true", help="the full run with the tests' tiny model, into full_tiny"
    )
    options = parser.parse_args()
    file = RESULTS / "library.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    result.pop("machine", None)
    for part in options.only.split(","):
        if part == "throughput":
            answer = throughput(make_clips(options.rounds * 2 * 250), options.rounds)
        elif part == "full":
            answer = full(make_clips(options.files), tiny=options.tiny)
            part = "full_tiny" if options.tiny else part
        else:
            answer = kills(make_clips(300)) if part == "kills" else evil()
        command = " ".join(["python -m benchmarks.robustness.library", *sys.argv[1:]])
        result[part] = {"command": command, "commit": machine()["commit"], **answer}
        print(part, json.dumps(result[part]))
        write_result("library", result)


if __name__ == "__main__":
    main()
