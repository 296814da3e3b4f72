"""Hostile files against the real decoder: an error or a code for each, in time, and the caller lives.

The long versions are hostile.py (2,000 corrupted files) and library.py in benchmarks/robustness/.
"""

from __future__ import annotations

import http.server
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from tests import hostile_files as hostile
from tests.tiny_model import save_tiny_model
from vhash_sdk import Encoder, Library
from vhash_sdk.errors import (
    DurationLimitError,
    LimitError,
    MemoryLimitError,
    PixelLimitError,
    TimeLimitError,
    UnsupportedVideoError,
    VideoError,
)
from vhash_sdk.video import Limits

LIMITS = Limits(wall_time=5.0, memory=1 << 30)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="module")
def encoder(model: Path) -> Iterator[Encoder]:
    with Encoder(model, limits=LIMITS) as encoder:
        yield encoder


def test_every_corrupted_file_is_an_error_or_a_code(encoder: Encoder, tmp_path: Path) -> None:
    paths = []
    for name, content in hostile.corrupted(tmp_path, 150, seed=1):
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results = list(encoder.encode_many(paths, isolate=True))
    assert [result.source for result in results] == paths
    for result in results:
        assert (result.code is None) != (result.error is None)
        assert isinstance(result.error, (VideoError, type(None))), result
        assert result.error is None or os.path.basename(result.source) in str(result.error)
    kinds = Counter(type(result.error).__name__ for result in results)
    assert kinds["NoneType"] > 5 and kinds["DecodeError"] > 20 and kinds["UnsupportedVideoError"] > 20, kinds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


@pytest.mark.parametrize(
    ("make", "suffix", "limits", "error"),
    [
        (hostile.gif_bomb, "gif", Limits(wall_time=1.0), TimeLimitError),
        (hostile.png_bomb, "mov", Limits(memory=200 << 20), MemoryLimitError),
        (hostile.endless_search, "mkv", Limits(wall_time=1.0), TimeLimitError),
        (hostile.huge_frame, "gif", Limits(), PixelLimitError),
        (hostile.long_time, "mkv", Limits(), DurationLimitError),
        (hostile.clip, "mp4", Limits(pixels=64 * 48 - 1), PixelLimitError),
        (hostile.clip, "mp4", Limits(duration=0.4), DurationLimitError),
    ],
)
def test_each_limit_has_its_error(  # type: ignore[no-untyped-def]
    make, suffix: str, limits: Limits, error: type[VideoError], model: Path, tmp_path: Path
) -> None:
    path = make(tmp_path / f"bomb.{suffix}")
    started = time.monotonic()
    with Encoder(model, limits=limits) as encoder:
        good = str(hostile.clip(tmp_path / "good.mp4"))
        bad, fine = encoder.encode_many([path, good], isolate=True, workers=1)
    assert isinstance(bad.error, error) and "bomb" in str(bad.error)
    if "good" not in str(fine.error) or not isinstance(fine.error, LimitError):
        assert fine.error is None  # the batch goes on
    assert time.monotonic() - started < 30


def test_limits_can_be_lifted(model: Path, tmp_path: Path) -> None:
    lifted = Limits(pixels=None, duration=None, wall_time=None, memory=None)
    with Encoder(model, limits=lifted) as encoder:
        (result,) = encoder.encode_many([hostile.long_time(tmp_path / "long.mkv")], isolate=True)
    assert result.code is not None and result.code.duration > 86_400 * 12


@pytest.mark.parametrize("isolate", [False, True])
def test_scripts_dressed_as_videos_open_nothing(encoder: Encoder, tmp_path: Path, isolate: bool) -> None:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    secret = hostile.clip(tmp_path / "secret.mp4")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x.ts"
    scripts = {
        "list.mp4": f"#EXTM3U\n#EXTINF:10,\n{url}\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat.mkv": f"ffconcat version 1.0\nfile {secret}\n",
        "plain.avi": f"file '{secret}'\n",
        "dash.mp4": f"<?xml version='1.0'?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>",
        "session.ts": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "image.mp4": f"%d.png {secret}",
    }
    sources: list[object] = [url, f"concat:{secret}|{secret}", f"subfile,,start,0,end,0,,:{secret}", "pipe:0"]
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
        sources += [str(tmp_path / name), text.encode()]
    try:
        for result in encoder.encode_many(sources, isolate=isolate):  # type: ignore[arg-type]
            assert result.code is None and isinstance(result.error, VideoError), result
            if str(result.source).startswith("http"):
                assert isinstance(result.error, UnsupportedVideoError)
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_isolated_codes_are_those_of_encoding_in_process(encoder: Encoder, tmp_path: Path) -> None:
    videos = hostile.seeds(tmp_path)
    sources = list(videos.values()) + [str(tmp_path / f"seed.{suffix}") for suffix in videos]
    plain = [result.code for result in encoder.encode_many(sources)]
    assert None not in plain
    assert [result.code for result in encoder.encode_many(sources, isolate=True)] == plain
    infos = [result.info for result in encoder.encode_many(sources)]
    assert [result.info for result in encoder.encode_many(sources, isolate=True)] == infos


@pytest.mark.slow
def test_exactly_the_good_files_of_an_evil_folder_get_in(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "évil"
    folder.mkdir()
    good = hostile.evil_folder(folder, 45, 12)
    vanishing = folder / "vanishes.mp4"
    vanishing.write_bytes((folder / "bomb.mov").read_bytes()[:5000])
    everything = {
        os.path.join(base, name) for base, _, names in os.walk(os.fsencode(folder)) for name in names
    }
    everything.add(os.fsencode(folder / "loop"))  # a link to a folder
    limits = Limits(pixels=10_000_000, wall_time=1.5, memory=1 << 30)
    with Encoder(model, limits=limits) as encoder, Library(tmp_path / "lib", encoder=encoder) as library:
        found = list(library.scan([folder]))
        vanishing.unlink()
        results = list(library.adding(found, [str(folder)]))
        inside = {os.path.relpath(os.fsencode(entry.path), os.fsencode(folder)) for entry in library}
        assert inside == good
        assert {os.fsencode(result.path) for result in results} == everything and len(results) == len(
            everything
        )
        for result in results:
            relative = os.path.relpath(os.fsencode(result.path), os.fsencode(folder))
            assert (result.status == "added") == (relative in good)
            assert (result.error is None) == (relative in good) and str(result.error or "x")
        reasons = {Path(result.path).name: type(result.error) for result in results if result.error}
        assert reasons["endless.mkv"] is TimeLimitError
        assert reasons["bomb.gif"] is PixelLimitError
        assert list(library.verify(content=True)) == []
        again = library.add([folder])
        assert again.counts["unchanged"] == len(good) and "added" not in again.counts
        library.add([folder], follow_symlinks=True)  # ends, and doubles nothing
        assert len(library) == len(good)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_and_folders_are_reported(encoder: Encoder, tmp_path: Path) -> None:
    hostile.clip(tmp_path / "closed.mp4").chmod(0)
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0)
    try:
        with Library(tmp_path / "lib", encoder=encoder) as library:
            problems = library.add([tmp_path]).problems
        assert sorted(Path(p.path).name for p in problems) == ["closed.mp4", "shut"]
        assert all("Permission denied" in str(p.error) for p in problems)
    finally:
        (tmp_path / "shut").chmod(0o700)
