"""What the pixels of copies, of strangers and of other takes say: the third look by itself.

    python -m benchmarks.near_duplicates.pixels --model copy-256

Every copy of ``copies`` beside its original and beside the nearest stranger; takes of one scene; videos that
were made alike (``alike``). In the library of ``decisions``, whose looks are used again. Originals at even
places are for tuning, the others are reported. Writes benchmarks/results/pixels_MODEL.json.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, command_line, write_result
from benchmarks.near_duplicates.alike import COUNT, SETS, made_alike
from benchmarks.near_duplicates.copies import COPIES, CopySet, copy_set
from benchmarks.near_duplicates.decisions import FOLDER, Asked, filled, takes
from vhash_sdk import Encoder, Library
from vhash_sdk.library.searching import nearest
from vhash_sdk.matching.third_look_result import ThirdLook


def summary(found: Iterable[ThirdLook | None]) -> dict[str, Any]:
    """What is said of some pairs, and how much the same moves in them: least, tenths, median, most."""
    looks = [look for look in found if look is not None]
    said = [look.same for look in looks]
    motion = [abs(look.motion) if look.motion * look.still > 0 else 0.0 for look in looks]
    spread = np.percentile(motion, [0, 10, 50, 90, 100]) if motion else np.zeros(5)
    return {
        "pairs": len(looks),
        "copies": said.count(True),
        "no copies": said.count(False),
        "motion": dict(
            zip(("least", "10 %", "median", "90 %", "most"), spread.round(3).tolist(), strict=True)
        ),
    }


def strangers(asked: Asked, gallery: Library, copies: CopySet) -> list[ThirdLook | None]:
    """Of each copy and the video nearest to it that is not its original."""
    known = {str(clip.path.resolve()) for clip in (*copies.clips, *copies.strangers)}
    found = []
    for copy in copies.made:
        entry = asked.entries[str(copy.path.resolve())]
        seen = asked.views.of(entry.id)
        own = str(copy.original.path.resolve())
        near = nearest(gallery.index(), gallery._picture_parts(), seen, radius=gallery.spec.bits, k=None)
        paths = (asked.by_id[video].path for _, video in near)
        other = next(path for path in paths if path in known and path != own)
        found.append(asked.looks.at(entry, asked.entries[other]))
    return found


def main() -> None:
    """Look, count."""
    parser = command_line(__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--originals", type=int, default=40)
    given = parser.parse_args()
    copies = copy_set(FOLDER, originals_=given.originals, kinds=list(COPIES))
    made = made_alike([clip.path for clip in copies.clips[: COUNT + 1]], FOLDER, sets=SETS)
    scenes = takes(DATA)
    files: list[Path] = [clip.path for clip in (*copies.clips, *copies.strangers)]
    files += [*(copy.path for copy in copies.made), *(path for scene in scenes for path in scene)]
    files += [file for one in made for file in (one.path, one.reencode)]
    with Encoder(given.model) as encoder:
        whole = FOLDER / "libraries" / encoder.spec.fingerprint[:8] / "whole"
        filled(whole, encoder, files)
        with Library(whole, encoder=encoder, create=False) as library:
            asked = Asked(library)
            halves: dict[str, Any] = {}
            for half, first in (("tuning", 0), ("reporting", 1)):
                kinds: dict[str, list[ThirdLook | None]] = {}
                for place, original in enumerate(copies.clips):
                    for copy in copies.made:
                        if place % 2 == first and copy.original is original:
                            kinds.setdefault(copy.kind, []).append(asked.look(copy.path, original.path))
                halves[half] = {kind: summary(looks) for kind, looks in kinds.items()}
            result = {
                "kinds": halves,
                "nearest strangers": summary(strangers(asked, library, copies)),
                "other takes": summary(
                    asked.look(*pair) for scene in scenes for pair in combinations(scene, 2)
                ),
                "made alike": {
                    name: summary(
                        asked.look(one.path, other.path)
                        for one, other in combinations([each for each in made if each.set == name], 2)
                    )
                    for name in SETS
                },
                "their re-encodes": summary(asked.look(one.path, one.reencode) for one in made),
            }
            asked.looks.save()
        name = encoder.spec.name
    command = f"python -m benchmarks.near_duplicates.pixels --model {name}"
    print(write_result(f"pixels_{name}", {"command": command, **result}))


if __name__ == "__main__":
    main()
