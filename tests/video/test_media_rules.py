"""Codes of older rules are found, named and coded anew, where the picture is another one now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.media_files import Part, joined, shifted, write
from vhash_sdk.library import Library
from vhash_sdk.video import Limits
from vhash_sdk.video.rules import DECODING, touched

pytestmark = pytest.mark.usefixtures("remembered")


def test_untouched_files_are_not_named(tmp_path: Path) -> None:
    for suffix, codec in (
        ("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("flv", "libx264"), ("avi", "mpeg4"),
        ("mpg", "mpeg2video"), ("wmv", "wmv2"), ("gif", "gif"),
    ):  # fmt: skip
        part = Part(40, 1, codec, "rgb8" if codec == "gif" else "yuv420p")
        assert touched(write(tmp_path / f"plain.{suffix}", part)) is None, suffix


def test_touched_files_are_named(tmp_path: Path) -> None:
    for suffix in ("mov", "mkv", "ts", "avi"):
        codec = "mpeg4" if suffix == "avi" else "libx264"
        path = write(tmp_path / f"two.{suffix}", Part(40, 1, codec), Part(40, 2, codec))
        assert touched(path) == "it has several video streams", suffix
    for suffix, codec in (("ts", "libx264"), ("flv", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video")):
        pieces = [write(tmp_path / f"{seed}.{suffix}", Part(40, seed, codec)) for seed in (1, 2)]
        said = touched(joined(tmp_path / f"all.{suffix}", *pieces))
        assert said in ("its times jump", "it was made by appending files"), suffix
    late = shifted(tmp_path / "2.ts", tmp_path / "late.ts", 3600)
    assert touched(joined(tmp_path / "gap.ts", tmp_path / "1.ts", late)) == "its times jump"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    assert touched(write(tmp_path / "cenc.mp4", Part(30, 1), muxer=options)) == "it is encrypted"


@pytest.mark.parametrize(("mirrored", "degrees"), [(False, 90), (False, 180), (True, 0), (True, 90)])
def test_mirrored_headers_are_named(mirrored: bool, degrees: int, tmp_path: Path) -> None:
    from benchmarks.robustness.making import turned

    turned(degrees, mirrored)(tmp_path / "turned.mp4")
    assert touched(tmp_path / "turned.mp4") == ("its picture is mirrored" if mirrored else None)


def test_verify_names_and_add_codes_anew(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write(videos / "plain.mp4", Part(40, 1))
    write(videos / "cover.mov", Part(1, 3, "mjpeg", "yuvj420p"), Part(40, 2))
    with Library(tmp_path / "library") as library:
        library.add([videos])
        right = {Path(entry.path).name: entry.code for entry in library}
        database = library._db
        database.execute("UPDATE video SET frames_rule = NULL")  # as an older vhash left it
        database.execute("UPDATE code SET code = zeroblob(32)")
        (problem,) = [found for found in library.verify() if found.kind == "rules"]
        assert problem.path.endswith("cover.mov") and "several video streams" in problem.message
        assert "add it again" in problem.message
        summary = library.add([videos])
        assert summary.counts == {"unchanged": 1, "changed": 1}
        now = {Path(entry.path).name: entry.code for entry in library}
        assert now["cover.mov"] == right["cover.mov"] and now["plain.mp4"] != right["plain.mp4"]
        assert not [found for found in library.verify() if found.kind == "rules"]
        assert database.rows("SELECT DISTINCT frames_rule FROM video") == [(DECODING,)]
        assert library.add([videos]).counts == {"unchanged": 2}


def test_a_passing_failure_loses_no_entry(tmp_path: Path) -> None:
    """What older rules coded is coded anew; where that fails for now, the old codes stay."""
    videos = tmp_path / "videos"
    videos.mkdir()
    write(videos / "cover.mov", Part(1, 3, "mjpeg", "yuvj420p"), Part(40, 2))
    with Library(tmp_path / "library") as library:
        library.add([videos])
        library._db.execute("UPDATE video SET frames_rule = NULL")
    with Library(tmp_path / "library", limits=Limits(pixels=1000)) as library:
        assert library.add([videos]).counts == {"failed": 1} and len(library) == 1
        assert library.add([videos]).counts == {"failed": 1} and len(library) == 1
    with Library(tmp_path / "library") as library:
        assert library.add([videos], retry=True).counts == {"changed": 1} and len(library) == 1


def test_old_codes_are_neither_kept_for_a_new_date_nor_copied(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    path = write(videos / "cover.mov", Part(1, 3, "mjpeg", "yuvj420p"), Part(40, 2))
    with Library(tmp_path / "library") as library:
        library.add([videos])
        (right,) = (entry.code for entry in library)
        library._db.execute("UPDATE video SET frames_rule = NULL")
        library._db.execute("UPDATE code SET code = zeroblob(32)")
        os.utime(path, (1, 1))
        shutil.copy(path, videos / "a.mov")
        assert library.add([videos]).counts == {"added": 1, "changed": 1}
        assert {entry.code for entry in library} == {right}


def test_what_is_ciphertext_leaves_the_library(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    path = write(videos / "a.mp4", Part(40, 1))
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    with Library(tmp_path / "library") as library:
        library.add([videos])
        write(path, Part(40, 1), muxer=options)
        status = path.stat()
        library._db.execute(
            "UPDATE video SET frames_rule = NULL, size = ?, mtime_ns = ?",
            (status.st_size, status.st_mtime_ns),
        )
        assert library.add([videos]).counts == {"failed": 1} and len(library) == 0
