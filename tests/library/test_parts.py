"""What videos share: spans on both sides, common parts, names, caches, and no quadratic blow-up."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vhash_sdk.library.parts as parts_module
from tests.cli.test_cli import run, run_json
from tests.library.made_up_parts import BITS, add_video, made_up, planted, scene, windows
from vhash_sdk import Library
from vhash_sdk.codes import hamming_distance
from vhash_sdk.errors import OptionError, StoreError
from vhash_sdk.library.known_parts import FILE, KnownPart
from vhash_sdk.library.near_pairs import near_pairs
from vhash_sdk.library.part_cache import Kept, PartCache
from vhash_sdk.library.roles import Roles
from vhash_sdk.library.segment_join import SegmentTable, crowds, link, telling
from vhash_sdk.library.shared_parts import Parts
from vhash_sdk.matching.parts import SharedSpan, connected, covered, overlaps, relation
from vhash_sdk.matching.third_look import NOTHING


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    planted(folder).close()
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Iterator[Library]:
    shutil.copytree(made / "lib", tmp_path / "lib")
    with made_up(tmp_path / "lib") as opened:
        yield opened


def name(path: str) -> str:
    return os.path.basename(path)


def said(parts: Parts) -> dict[tuple[str, str], tuple[str, list[list[float]]]]:
    return {
        (name(pair.a.path), name(pair.b.path)): (
            pair.relation,
            [[round(t) for t in (s.a_start, s.a_end, s.b_start, s.b_end)] for s in pair.spans],
        )
        for pair in parts
    }


def close(found: list[list[float]], wanted: list[list[float]]) -> bool:
    return len(found) == len(wanted) and all(
        abs(a - b) <= 1.5
        for one, two in zip(sorted(found), sorted(wanted), strict=True)
        for a, b in zip(one, two, strict=True)
    )


EXPECTED = {
    ("film", "trimmed"): ("contains", [[10, 100, 0, 90]]),
    ("film", "trailer"): ("shares a part", [[20, 29, 0, 9], [70, 79, 9, 18]]),
    ("trailer", "trimmed"): ("shares a part", [[0, 9, 10, 19], [9, 18, 60, 69]]),
    ("clip", "forwards"): ("part of", [[0, 15, 20, 35]]),
    ("clip", "backwards"): ("part of", [[0, 15, 20, 35]]),
    ("forwards", "backwards"): ("shares a part", [[20, 35, 20, 35]]),
}


def test_everything_that_was_planted_is_found_and_nothing_else(library: Library) -> None:
    found = library.parts()
    pairs = said(found)
    assert set(pairs) == set(EXPECTED)
    for key, (kind, spans) in EXPECTED.items():
        assert pairs[key][0] == kind and close(pairs[key][1], spans), (key, pairs[key])
    backwards = {frozenset(key) for key in EXPECTED if "backwards" in key}
    for pair in found:
        turned = frozenset((name(pair.a.path), name(pair.b.path))) in backwards
        assert all(span.reversed == turned for span in pair.spans)
        assert all(0.95 < span.speed < 1.05 for span in pair.spans)
    contains = next(pair for pair in found if pair.relation == "contains")
    assert contains.b_covered == 1.0 and abs(contains.a_covered - 0.75) < 0.01
    (intro,) = found.common
    assert intro.videos == 7 and abs(intro.seconds - 12) <= 1.5 and intro.name == ""
    for i, place in enumerate(intro.places):
        assert name(place.entry.path) == f"episode{i}" and abs(place.start - 4 - i) <= 1.5
    assert found.lacking == 0 and found.ignored == 0 and found.segments > 1000
    assert said(library.parts(seconds=10)).keys() == EXPECTED.keys() - {
        ("film", "trailer"),
        ("trailer", "trimmed"),
    }
    with pytest.raises(OptionError):
        library.parts(seconds=0)


def test_roles_of_folders_hold(library: Library, made: Path) -> None:
    assert not library.parts(roles=Roles(across_only=True))


def test_a_part_that_is_ignored_stays_so_in_videos_that_come_later(library: Library, tmp_path: Path) -> None:
    mark = library.parts().common[0].id
    assert library.name_part(mark, "news intro").name == "news intro"
    assert [part.name for part in library.parts().common] == ["news intro"]
    library.name_part("news intro", ignored=True)
    assert not library.parts().common and library.parts().ignored > 0
    new = np.concatenate([scene(90, 8), scene(1, 12), scene(91, 50)])
    add_video(library, tmp_path / "new", "episode9", new)
    assert not library.parts().common and set(said(library.parts())) == set(EXPECTED)
    library.remove(missing=True)  # the made-up files lie elsewhere, those of the library still do
    library.name_part("news intro", ignored=False)
    assert library.parts().common[0].videos == 8 and library.parts().common[0].name == "news intro"
    library.forget_part(mark)
    assert library.known_parts == () and library.parts().common[0].name == ""
    for bad in ("nothing", ""):
        with pytest.raises(OptionError, match="no common part has this id"):
            library.name_part(bad, "x")
        with pytest.raises(OptionError, match="no part that is kept"):
            library.forget_part(bad)
    with pytest.raises(OptionError, match="one line"):
        library.name_part(mark, "two\nlines")


def test_what_is_kept_of_parts_is_read_or_refused(library: Library) -> None:
    library.name_part(library.parts().common[0].id, "intro")
    file = library.directory / FILE
    document = json.loads(file.read_text())
    for change in (
        {"kind": "other"}, {"schema": 2}, {"fingerprint": "0"}, {"parts": [{}]}, {"parts": 3},
        {"parts": [{**document["parts"][0], "codes": ["00"]}]},
        {"parts": [{**document["parts"][0], "codes": []}]},
        {"parts": [{**document["parts"][0], "seconds": True}]},
        {"parts": [{**document["parts"][0], "name": "a\nb"}]},
    ):  # fmt: skip
        file.write_text(json.dumps({**document, **change}))
        with pytest.raises(StoreError, match=r"parts\.json"):
            library.parts()
    file.write_text(json.dumps(document))
    assert library.parts().common[0].name == "intro"


def test_only_what_is_new_is_aligned_and_caches_may_vanish(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    align = parts_module.shared_spans

    def counting(*arguments: Any, **options: Any) -> Any:
        asked.append(1)
        return align(*arguments, **options)

    monkeypatch.setattr(parts_module, "shared_spans", counting)
    first = said(library.parts())
    many = len(asked)
    assert many >= len(EXPECTED)
    asked.clear()
    assert said(library.parts()) == first and not asked
    add_video(library, tmp_path / "new", "again", np.concatenate([scene(95, 20), scene(2, 15)]))
    more = said(library.parts())
    assert 1 <= len(asked) <= 5 and ("clip", "again") in more and first.items() <= more.items()
    for damage in (b"", b"PK\x03\x04", None):
        for file in (library.directory / "shared-parts.npz", library.directory / "segment-pairs.npz"):
            assert file.exists()
            file.unlink() if damage is None else file.write_bytes(damage)
        assert said(library.parts()) == more


def test_a_cache_that_lies_is_not_believed(tmp_path: Path) -> None:
    cache = PartCache(tmp_path / "c.npz", writable=True)
    spans = {(1, 2, 3, 4): (SharedSpan(0, 5, 1, 6, 9.0, True),), (5, 2, 3, 4): ()}
    look = NOTHING._replace(motion=0.9, still=0.9, moving=0.3, seconds=5.0)
    kept = Kept(spans, {((1, 2, 3, 4), 0): look})
    cache.write(40, kept)
    assert cache.read(40) == kept and cache.read(20) == Kept()
    good = dict(np.load(tmp_path / "c.npz"))
    for change in (
        {"counts": np.array([1, 1])}, {"counts": np.array([-1, 2])}, {"spans": good["spans"] * np.nan},
        {"spans": -good["spans"]}, {"spans": good["spans"][:, ::-1]}, {"keys": good["keys"][:, :3]},
        {"keys": good["keys"].astype(np.int32)},
    ):  # fmt: skip
        np.savez(tmp_path / "c.npz", **{**good, **change})
        assert cache.read(40) == Kept()
    for change in (
        {"looked": np.array([1])}, {"looked": np.array([-1])}, {"looks": good["looks"] * np.nan},
        {"looks": good["looks"][:, 1:]}, {"looked": good["looked"].astype(np.int32)},
        {"looks": np.append(good["looks"][:, :11], np.full((1, 10), -1.0), axis=1)},
        {"version": np.array([good["version"][0], -1])},
    ):  # fmt: skip
        np.savez(tmp_path / "c.npz", **{**good, **change})
        assert cache.read(40) == Kept(spans)
    np.savez(tmp_path / "c.npz", **{name: value for name, value in good.items() if name != "version"})
    assert cache.read(40) == Kept()
    memory = PartCache(tmp_path / "none.npz", writable=False)
    memory.write(40, kept)
    assert memory.read(40) == kept and not (tmp_path / "none.npz").exists()


def test_videos_without_segments_are_counted_and_a_library_without_any_says_so(tmp_path: Path) -> None:
    with made_up(tmp_path / "lib") as library:
        assert library.parts() == [] and library.parts().lacking == 0
        (tmp_path / "a.ivf").write_bytes(b"DKIFa")
        library.add([tmp_path / "a.ivf"])
        with pytest.raises(OptionError, match="no segments are kept.*--segments"):
            library.parts()
        add_video(library, tmp_path / "v", "one", scene(1, 20))
        assert library.parts() == [] and library.parts().lacking == 1


def table(videos: list[tuple[int, np.ndarray[Any, Any]]]) -> SegmentTable:
    """Segments of (video, codes)."""
    numbers = np.concatenate([np.full(len(codes), video, np.int64) for video, codes in videos])
    starts = np.concatenate([0.5 * np.arange(len(codes)) for _, codes in videos])
    every = np.concatenate([codes for _, codes in videos])
    spans = np.stack([starts, starts + 1], axis=1).astype(np.float32)
    return SegmentTable(
        np.arange(len(numbers)), numbers, spans, np.full(len(numbers), 0.5, np.float32), every, BITS
    )


def codes(seed: int, count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (count, BITS // 8), np.uint8)


def test_links_are_those_of_the_obvious_way() -> None:
    base = codes(1, 30)
    near = base.copy()
    near[:, 0] ^= 3
    made = table([(1, base), (4, codes(2, 20)), (7, near[5:20]), (9, base[10:12])])
    links = link(made, near_pairs, radius=10)
    distance = hamming_distance(made.codes[:, None], made.codes[None]).astype(int)
    wanted = {
        (a, b, int(distance[a, b]))
        for a, b in np.argwhere(distance <= 10).tolist()
        if made.videos[a] < made.videos[b]
    }
    assert {(a, b, int(d)) for (a, b), d in zip(links.ends.tolist(), links.distances, strict=True)} == wanted
    assert len(links.ends) == len(wanted)
    pairs = [tuple(made.videos[links.ends[part][0]]) for part in links.by_pair(made.videos)]
    assert pairs == [(1, 7), (1, 9), (7, 9)]


def test_what_stands_still_or_is_blank_is_hardly_joined() -> None:
    still = table([(1, np.repeat(codes(1, 1), 100, axis=0)), (2, codes(2, 10))])
    assert np.count_nonzero(telling(still) < 100) == 25 and np.count_nonzero(telling(still) >= 100) == 10
    still.confidences[:100] = 0.01
    assert (telling(still) >= 100).all()


def test_crowds_and_common_parts_do_not_grow_with_the_square() -> None:
    generator = np.random.default_rng(3)
    black, intro = codes(4, 1), codes(5, 20)
    videos = []
    for video in range(200):
        noise = intro.copy()
        noise[np.arange(20), generator.integers(0, 32, 20)] ^= 1 << generator.integers(0, 8, 20).astype(
            np.uint8
        )
        videos.append((video, np.concatenate([codes(1000 + video, 10), black, noise])))
    made = table(videos)
    links = link(made, near_pairs, radius=20)
    assert len(links.ends) < 2 * 200 * 21  # not 200 * 199 / 2 * 21
    owners = {tuple(pair) for pair in made.videos[links.ends].tolist()}
    assert {(0, video) for video in range(1, 200)} <= owners
    leaders = crowds(np.repeat(black, 50, axis=0), BITS)
    assert (leaders == 0).all()


def test_small_sums() -> None:
    assert covered([], 10.0) == 0 and covered([(0, 20)], 10.0) == 1 and covered([(0, 1)], 0.0) == 0
    assert relation(0.9, 0.9) == "same video" and relation(0.1, 0.9) == "contains"
    assert overlaps((0, 4), []) == 0 and overlaps((0, 4), [(0, 1), (1, 2)]) == 0.5
    found = connected(
        np.array([1, 2, 2, 3, 2, 4]), np.array([0.0, 0, 1, 5, 50, 0]), np.array([10.0, 10, 10, 14, 60, 10])
    )
    assert len(set(found[:4].tolist())) == 1 and len(set(found[4:].tolist())) == 1 and found[0] != found[4]
    part = KnownPart("1", "", False, 1.0, codes(1, 5))
    assert part.holds(codes(1, 5)[:3], BITS) and not part.holds(codes(2, 5), BITS)
    assert not part.holds(codes(1, 0), BITS)
    assert len(windows(scene(1, 3), noise=0, seed=0)) == 5


def test_the_command_tells_names_and_ignores(library: Library, tmp_path: Path) -> None:
    lib = library.directory
    library.close()
    text = run("dedup", lib, "--parts").output
    assert "clip  is part of  " in text and "backwards" in text and "common part of 7 videos" in text
    document = run_json("dedup", lib, "--parts")["parts"]
    assert {(name(p["a"]["path"]), name(p["b"]["path"])) for p in document["pairs"]} == set(EXPECTED)
    rows = list(csv.DictReader(run("dedup", lib, "--parts", "--csv").stdout.splitlines()))
    assert [row["kind"] for row in rows].count("common") == 7 and len(rows) == 7 + 8
    mark = document["common"][0]["id"]
    assert run("parts", lib).stdout == "no part is named or ignored\n"
    assert run_json("parts", lib, "--name", mark, "news intro")["parts"][0]["ignored"] is False
    assert "“news intro”" in run("dedup", lib, "--parts").output
    assert "ignored" in run("parts", lib, "--ignore", "news intro").stdout
    assert run_json("dedup", lib, "--parts")["parts"]["common"] == []
    assert "named" in run("parts", lib, "--heed", mark).stdout
    assert run_json("parts", lib, "--forget", mark)["parts"] == []
    assert "no part that is kept" in run("parts", lib, "--forget", mark, code=3).stderr
    assert "parts" not in run_json("dedup", lib)
