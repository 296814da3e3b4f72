"""Rules that say which video is kept: what each goes by, their order, and what is said of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_cli import run, run_json
from tests.library.test_duplicates import library, names, videos_of, write
from vhash_sdk import Library, VideoCode
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS
from vhash_sdk.errors import OptionError
from vhash_sdk.library.duplicates import Traits, Videos
from vhash_sdk.library.keeping import KeepRules, best_first
from vhash_sdk.library.records import Entry

__all__ = ["library"]

FACTS: dict[str, Any] = {"seconds": [10.0, 9.9, 12.0], "pixels": [100, 400, 100], "sizes": [5000, 4000, 9000]}


def three(**traits: Any) -> Videos:
    """Three videos: the second has most pixels, the third is longest and largest."""
    known = {
        "paths": ["/v/a", "/v/originals/b", "/v/c,d"],
        "codecs": ["hevc", "h264", "av1"],
        "rates": np.array([25.0, 50.0, 25.001]),
        "modified": np.array([30.0, 20.0, 10.0]),
        **traits,
    }
    return replace(videos_of(np.arange(3), **FACTS), traits=Traits(**known))


@pytest.mark.parametrize(
    ("rules", "order"),
    [
        ("longest", [2, 1, 0]),
        ("resolution", [1, 2, 0]),
        ("sharpest", [1, 2, 0]),
        ("largest", [2, 0, 1]),
        ("fps", [1, 2, 0]),  # 25 and 25.001 are one rate, then the tie goes by what is sharpest
        ("bitrate", [2, 0, 1]),
        ("oldest", [2, 1, 0]),
        ("codec", [2, 0, 1]),
        ("codec>h264", [2, 0, 1]),
        ("codec >= HEVC", [2, 0, 1]),
        ("codec=h264", [1, 2, 0]),
        ("path~/originals/", [1, 2, 0]),
        ("path!~/originals/", [2, 0, 1]),
        (r"path~c\,d", [2, 1, 0]),
        (" fps , codec>h265,longest", [1, 2, 0]),
        ("codec>h264, path~/a", [0, 2, 1]),
    ],
)
def test_each_rule_in_its_order(rules: str, order: list[int]) -> None:
    assert best_first(three(), rules).tolist() == order


def test_damaged_and_reference_come_where_they_are_named() -> None:
    videos = replace(
        three(), damaged=np.array([False, True, True]), references=np.array([False, False, True])
    )
    assert best_first(videos, "longest").tolist() == [2, 0, 1]  # the reference, though it is damaged
    assert best_first(videos, "undamaged").tolist() == [2, 0, 1]
    assert best_first(videos, "undamaged, reference").tolist() == [0, 2, 1]
    assert best_first(videos, "resolution, undamaged").tolist() == [2, 1, 0]
    assert best_first(videos, "resolution, undamaged, reference").tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "text", ["", "longest,", "newest", "codec>nonsense", "codec<h264", "path~", "longest; fps", 3]
)
def test_what_is_no_rule_is_refused(text: Any) -> None:
    with pytest.raises(OptionError, match="allowed: ") as error:
        KeepRules(text)
    assert "keep=" in str(error.value)


def entry(**facts: Any) -> Entry:
    code = VideoCode(np.zeros(8, np.uint8), 64, "0" * 64, duration=facts.pop("seconds", 10.0))
    usual = Entry(1, "/v/a", 1_000_000, 0.0, 0.0, 320, 240, 25.0, "h264", code, bytes(32))
    return replace(usual, **facts)


@pytest.mark.parametrize(
    ("rules", "better", "worse", "said"),
    [
        ("longest", {"seconds": 12.0}, {"seconds": 10.0}, "longest: 12.0 s against 10.0 s"),
        ("resolution", {"width": 640, "height": 360}, {}, "resolution: 640x360 against 320x240"),
        ("largest", {"size": 2_000_000}, {}, "largest: 2,000,000 bytes against 1,000,000 bytes"),
        ("fps", {"rate": 50.0}, {"rate": None}, "fps: 50.00 frames/s against unknown"),
        ("bitrate", {"size": 2_000_000}, {}, "bitrate: 1,600 kbit/s against 800 kbit/s"),
        ("oldest", {"modified": 1.5}, {"modified": 86_400.0},
         "oldest: 1970-01-01 00:00:01 against 1970-01-02 00:00:00 UTC"),
        ("codec>h264", {"codec": "av1"}, {}, "codec>h264: av1 against h264"),
        ("path~/o/", {"path": "/o/x"}, {}, "path~/o/: /o/ is in its path, not in the other"),
        ("undamaged", {}, {"damaged": "cut\noff"}, r"undamaged: of the other: cut\noff"),
        ("fps", {}, {}, "added first: by every rule they are equal"),
    ],
)  # fmt: skip
def test_the_rule_that_decided_is_explained(rules: str, better: Any, worse: Any, said: str) -> None:
    entries = [entry(**better), entry(**worse)]
    videos = Videos(
        np.arange(2),
        [bytes(32)] * 2,
        np.ones(2, bool),
        np.ones(2, bool),
        np.array([each.code.duration for each in entries]),
        np.array([float((each.width or 0) * (each.height or 0)) for each in entries]),
        np.array([float(each.size) for each in entries]),
        np.arange(2),
        np.array([each.damaged is not None for each in entries]),
        traits=Traits(
            [each.path for each in entries],
            [each.codec or "" for each in entries],
            np.array([each.rate or 0 for each in entries]),
            np.array([each.modified // 1 for each in entries]),
        ),
    )
    keep = KeepRules(rules)
    assert best_first(videos, keep).tolist() == [0, 1]
    assert keep.because(keep.measures(videos), 0, 1, *entries) == said


def test_a_library_says_why(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write(folder, "long", 0, 20)
    write(folder, "short", 1, 10)
    (folder / "originals").mkdir()
    write(folder / "originals", "kept", 2, 10)
    library.add([folder])
    (group,) = library.duplicates(radius=2)
    assert names([group]) == [("long", [("kept", 1), ("short", 1)])]
    assert {member.kept_because for member in group.members} == {"longest: 20.0 s against 10.0 s"}
    (group,) = library.duplicates(radius=3, keep="path~/originals/, longest")
    assert names([group]) == [("kept", [("long", 1), ("short", 2)])]
    assert "/originals/ is in its path" in group.members[0].kept_because


@pytest.mark.usefixtures("remembered")
def test_the_command_line_explains_in_every_form(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    half = next(variant for variant in VARIANTS if variant.name == "half size")
    half.write(SAMPLES / "chair.mp4", folder / "a.mp4")
    shutil.copy(SAMPLES / "chair.mp4", folder / "b.mp4")
    lib, plan, page = tmp_path / "library", tmp_path / "plan.sh", tmp_path / "page.html"
    run("add", lib, folder)
    rules = ("--keep", "undamaged, resolution", "--radius", 60)
    with Library(lib) as library:
        large, small = (library.get(folder / name) for name in ("b.mp4", "a.mp4"))
    assert large and small and large.width and small.width and large.width > small.width
    why = f"resolution: {large.width}x{large.height} against {small.width}x{small.height}"
    text = run("dedup", lib, *rules, "--plan", plan, "--report", page).stdout
    assert f"kept because {why}" in text and f"keep  {folder / 'b.mp4'}" in text
    assert f"kept because {why}" in plan.read_text() and f'"because":"{why}"' in page.read_text()
    assert f",{why}," in run("dedup", lib, *rules, "--csv").stdout
    document = run_json("dedup", lib, *rules)
    assert document["keep"] == "undamaged, resolution"
    assert document["groups"][0]["members"][0]["kept_because"] == why
    assert "allowed:" in run("dedup", lib, "--keep", "longest, newest", code=2).stderr
