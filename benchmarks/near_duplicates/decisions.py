"""What the product says of copies and of strangers: dedup, search, compare and find by their defaults.

    python -m benchmarks.near_duplicates.decisions                 # the default model
    python -m benchmarks.near_duplicates.decisions --model lite0-phash-256 --find

Copies of ``copies`` (47 kinds) and strangers go into a library once, which is kept in ``.cache``. *dedup*:
for each kind a library of originals, strangers and the copies of that kind. *Or part*: copies that are called
copies, or that are told to contain the original beside other matter, or to share a part with it. *search*:
the copy is the query, its original must be called a copy. *compare*: the two are compared. *find*
(``--find``, decodes every copy again): a span in the original. Strangers: other scenes; other takes of one
scene (UCF101's make-up clips that nothing was tuned on); made alike (``alike``); composed with the same other
video. Originals at even places are for tuning, the others are reported. Writes
benchmarks/results/decisions_MODEL.json.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.common import CACHE, DATA, command_line, write_result
from benchmarks.near_duplicates.alike import COUNT, SETS, Alike, made_alike
from benchmarks.near_duplicates.copies import COPIES, CopySet, copy_set
from training.copy_data import MAKEUP_GROUPS
from vhash_sdk import Encoder, Library
from vhash_sdk.library.library import Library as Opened
from vhash_sdk.library.records import Entry
from vhash_sdk.library.searching import Query, StoredViews, hits, nearest
from vhash_sdk.matching.calibration import USUAL_RATE
from vhash_sdk.matching.relation import VideoRelation
from vhash_sdk.matching.third_look_result import ThirdLook
from vhash_sdk.matching.verdict import Decision, Verdict
from vhash_sdk.video.filming import Filmed

FOLDER = CACHE / "copies"
Rates = dict[str, Any]


def filled(where: Path, encoder: Encoder, files: Iterable[Path]) -> None:
    """A library that holds at least these files, as they are now."""
    with Library(where, encoder=encoder) as library:
        print(f"{where}: {library.add(files)}", flush=True)


def only(whole: Path, part: Path, encoder: Encoder, files: Iterable[Path]) -> Opened:
    """A copy of a library with these files only."""
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(whole, part)
    library = Library(part, encoder=encoder)
    wanted = {str(file.resolve()) for file in files}
    library.remove([entry.path for entry in library if entry.path not in wanted])
    return library


class Asked:
    """A library of everything, and what is known of each of its files."""

    def __init__(self, library: Opened) -> None:
        self.library, self.views = library, StoredViews(library._db, library.spec)
        self.entries: dict[str, Entry] = {entry.path: entry for entry in library}
        self.by_id = {entry.id: entry for entry in self.entries.values()}
        assert library.calibration is not None
        self.verdict = Verdict.at(library.spec, library.calibration, USUAL_RATE)
        self.looks = library._looks

    def look(self, a: Path, b: Path) -> ThirdLook | None:
        """What the pixels of two files say, whatever their codes do."""
        return self.looks.at(*(self.entries[str(path.resolve())] for path in (a, b)))

    def decision(self, a: Path, b: Path) -> Decision:
        """What ``compare`` says of two files."""
        one, two = self.entries[str(a.resolve())], self.entries[str(b.resolve())]
        told_apart = not (one.code.unreliable or two.code.unreliable)
        closer = partial(self.looks.at, one, two)
        seen = self.views.of(one.id), self.views.of(two.id)
        return self.verdict.decide(*seen, told_apart=told_apart, closer=closer)

    def found(self, gallery: Opened, query: Path) -> tuple[set[str], set[str]]:
        """The paths that ``search`` in a library calls copies of a file, and those that share a part."""
        entry = self.entries[str(query.resolve())]
        seen = self.views.of(entry.id)
        near = nearest(gallery.index(), gallery._picture_parts(), seen, radius=gallery.spec.bits, k=10)

        def closer(other: Entry) -> ThirdLook | None:  # both are in the library of everything
            return self.looks.at(entry, self.entries[other.path])

        verdict = replace(self.verdict, videos=len(gallery))
        asked = Query(entry.code, seen, Filmed(query, entry.width or 0, entry.height or 0, 0.0, seen))
        said = hits(gallery._db, gallery.spec, verdict, near, asked, closer=closer)
        copies = {hit.entry.path for hit in said if hit.same}
        return copies, {hit.entry.path for hit in said if hit.relation is VideoRelation.SHARES}


def share(found: Sequence[bool]) -> dict[str, float | int]:
    """How many of how many."""
    return {"share": sum(found) / max(1, len(found)), "found": sum(found), "of": len(found)}


def grouped(library: Opened, owner: dict[str, int]) -> tuple[set[str], set[str], int]:
    """What ``dedup`` says.

    Paths that it groups with a video of the same owner; those that it calls a part, or sharing one; and
    how many groups hold several owners.
    """
    right, wrong = set(), 0
    groups = library.duplicates()
    parts = {
        path
        for pair in groups.related
        if pair.relation is not VideoRelation.TAKE and owner[pair.a.path] == owner[pair.b.path]
        for path in (pair.a.path, pair.b.path)
    }
    for group in groups:
        paths = [group.representative.path, *(member.entry.path for member in group.members)]
        owners = [owner[path] for path in paths]
        wrong += len(set(owners)) > 1
        right |= {path for path, own in zip(paths, owners, strict=True) if owners.count(own) > 1}
    return right, parts, wrong


def by_dedup(
    whole: Path, encoder: Encoder, asked: CopySet
) -> tuple[dict[str, list[bool]], dict[str, list[bool]], int]:
    """For each kind, of each copy, whether it is grouped with its original, or told to be; false groups."""
    owner = {str(clip.path.resolve()): i for i, clip in enumerate([*asked.clips, *asked.strangers])}
    place = {clip.name: i for i, clip in enumerate(asked.clips)}
    found, told, wrong = {}, {}, 0
    for kind in dict.fromkeys(copy.kind for copy in asked.made):
        made = [copy for copy in asked.made if copy.kind == kind]
        known = owner | {str(copy.path.resolve()): place[copy.original.name] for copy in made}
        with only(whole, whole.with_name("part"), encoder, map(Path, known)) as library:
            right, parts, more = grouped(library, known)
        names = [str(copy.path.resolve()) for copy in made]
        found[kind], wrong = [name in right for name in names], wrong + more
        told[kind] = [name in right | parts for name in names]
    return found, told, wrong


def alike_sets(whole: Path, encoder: Encoder, made: Sequence[Alike]) -> dict[str, Any]:
    """Of each set, groups that hold different videos, and videos that are grouped with their re-encode."""
    result = {}
    for name in dict.fromkeys(one.set for one in made):
        ours = [one for one in made if one.set == name]
        owner = {str(file.resolve()): i for i, one in enumerate(ours) for file in (one.path, one.reencode)}
        with only(whole, whole.with_name("part"), encoder, map(Path, owner)) as library:
            right, _, wrong = grouped(library, owner)
        again = [str(one.path.resolve()) in right for one in ours]
        result[name] = {"false groups": wrong, "re-encodes grouped": sum(again), "of": len(ours)}
    return result


def takes(data: Path) -> list[list[Path]]:
    """Clips of one scene each, of scenes that nothing was tuned on."""
    scenes: dict[str, list[Path]] = {}
    for path in sorted((data / "videos" / "ucf101_applyeyemakeup_25f").glob("*.mp4")):
        scene = path.stem.split("_g")[1][:2]
        if int(scene) > MAKEUP_GROUPS:
            scenes.setdefault(scene, []).append(path)
    return list(scenes.values())


def half_of(copies: CopySet) -> list[int]:
    """Of the copies of each kind, in their order: 0 where it is for tuning, 1 where it is reported."""
    first = copies.made[0].kind
    return [copies.clips.index(copy.original) % 2 for copy in copies.made if copy.kind == first]


def halves(by_kind: dict[str, list[bool]], places: Sequence[int]) -> Rates:
    """Shares in the half for tuning and in that for reporting, all kinds together and each."""
    taken = {
        half: {kind: [hit for hit, of in zip(row, places, strict=True) if of == number]
               for kind, row in by_kind.items()}
        for number, half in enumerate(("tuning", "reporting"))
        if number in places
    }  # fmt: skip
    return {
        half: {
            "all": share([hit for row in rows.values() for hit in row]),
            "kinds": {kind: round(share(row)["share"], 3) for kind, row in rows.items()},
        }
        for half, rows in taken.items()
    }


def by_find(gallery: Opened, asked: CopySet) -> tuple[dict[str, list[bool]], int]:
    """For each kind whether ``find`` gives a span in the original; and in how many strangers it gives one."""
    found: dict[str, list[bool]] = {}
    wrong = 0
    for copy in asked.made:
        paths = {span.entry.path for span in gallery.find(copy.path)}
        own = str(copy.original.path.resolve())
        found.setdefault(copy.kind, []).append(own in paths)
        wrong += len(paths - {own})
    return found, wrong


def main() -> None:
    """Fill the library, ask, count."""
    parser = command_line(__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--originals", type=int, default=40)
    parser.add_argument("--find", action="store_true", help="find too")
    parser.add_argument("--reported", action="store_true", help="only the half that is reported")
    parser.add_argument("--no-result", action="store_true", help="print only")
    given = parser.parse_args()
    asked = copy_set(FOLDER, originals_=given.originals, kinds=list(COPIES))
    if given.reported:
        asked = replace(asked, made=[copy for copy in asked.made if copy.original in asked.clips[1::2]])
    gallery = [clip.path for clip in (*asked.clips, *asked.strangers)]
    made = made_alike([clip.path for clip in asked.clips[: COUNT + 1]], FOLDER, sets=SETS)
    scenes = takes(DATA)
    files = [*gallery, *(copy.path for copy in asked.made), *(path for scene in scenes for path in scene)]
    files += [file for one in made for file in (one.path, one.reencode)]
    with Encoder(given.model) as encoder:
        whole = FOLDER / "libraries" / encoder.spec.fingerprint[:8] / "whole"
        filled(whole, encoder, files)
        with Library(whole, encoder=encoder, create=False) as library:
            everything = Asked(library)
            with only(whole, whole.with_name("gallery"), encoder, gallery) as searched:
                result = answers(everything, searched, asked, scenes)
                everything.looks.save()  # each library of a part of them begins with it
                if given.find:
                    for one in searched.segmenting():
                        assert one.error is None, one
                    spans, strangers = by_find(searched, asked)
                    result["find"] = {**halves(spans, half_of(asked)), "strangers": strangers}
        deduped, told, wrong = by_dedup(whole, encoder, asked)
        result["dedup"] = {**halves(deduped, half_of(asked)), "false groups": wrong}
        result["dedup, or part"] = halves(told, half_of(asked))
        result["made alike"] = alike_sets(whole, encoder, made)
        name = encoder.spec.name
    _print(result)
    if not given.no_result:
        command = f"python -m benchmarks.near_duplicates.decisions --model {name}"
        command += " --find" * given.find + " --reported" * given.reported
        print(write_result(f"decisions_{name}", {"command": command, **result}))


def answers(everything: Asked, searched: Opened, asked: CopySet, scenes: list[list[Path]]) -> dict[str, Any]:
    """What ``search`` and ``compare`` say."""
    search: dict[str, list[bool]] = {}
    search_part: dict[str, list[bool]] = {}
    compare: dict[str, list[bool]] = {}
    compare_part: dict[str, list[bool]] = {}
    false = shared = 0
    for copy in asked.made:
        hits_, parts = everything.found(searched, copy.path)
        own = str(copy.original.path.resolve())
        search.setdefault(copy.kind, []).append(own in hits_)
        search_part.setdefault(copy.kind, []).append(own in hits_ | parts)
        false += len(hits_ - {own})
        shared += len(parts - {own})
        said = everything.decision(copy.path, copy.original.path)
        compare.setdefault(copy.kind, []).append(said.same is True)
        part = said.same is True or said.relation is VideoRelation.SHARES
        compare_part.setdefault(copy.kind, []).append(part)
    pairs = [pair for scene in scenes for pair in combinations(scene, 2)]
    return {
        "search": {
            **halves(search, half_of(asked)),
            "strangers": false,
            "strangers that share a part": shared,
            "stranger pairs": len(asked.made) * (len(searched) - 1),
        },
        "search, or part": halves(search_part, half_of(asked)),
        "compare": halves(compare, half_of(asked)),
        "compare, or part": halves(compare_part, half_of(asked)),
        "other takes called copies": share([everything.decision(*pair).same is True for pair in pairs]),
    }


def _print(result: dict[str, Any]) -> None:
    for name in result:
        if name.split(",")[0] in ("dedup", "search", "compare", "find"):
            part = result[name]
            every = {
                half: round(part[half]["all"]["share"], 3) for half in ("tuning", "reporting") if half in part
            }
            low = {kind: at for kind, at in part["reporting"]["kinds"].items() if at < 0.92}
            print(name, every, {k: v for k, v in part.items() if k not in every}, low)
    print("other takes", result["other takes called copies"])
    for name, row in result["made alike"].items():
        print(name, row)


if __name__ == "__main__":
    main()
