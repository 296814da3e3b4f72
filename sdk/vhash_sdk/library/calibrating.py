"""A calibration from the user's own videos: how near different ones come to each other."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..codes import hamming_distance
from ..encoding.encoded import Encoded, views
from ..errors import OptionError
from ..matching.calibration import Calibration
from ..matching.calibration import calibrate as measure
from ..scan import content_digest
from ..spec import ModelSpec


def calibrate(videos: Sequence[Encoded], spec: ModelSpec, *, folders_are_scenes: bool = False) -> Calibration:
    """Measure videos that are no copies of each other.

    Of files that are the same byte for byte one counts; failures and videos whose code says nothing do not.
    The smallest distance of whole pictures and content boxes counts, as in a library.

    Args:
        videos: files, encoded with ``detail="box"`` or more.
        spec: of the model that encoded them.
        folders_are_scenes: the videos of one folder show one scene; else each shows its own.

    Raises:
        OptionError: fewer than two count.
        SourceError: a file cannot be read any more.
    """
    contents: dict[bytes, Encoded] = {}
    for video in videos:
        if video.code is not None and not video.code.unreliable:
            contents.setdefault(content_digest(str(video.source)), video)
    if len(contents) < 2:
        raise OptionError(
            f"{len(contents)} of {len(videos)} videos have a code that says something and are no copies of "
            "others: it takes two at least"
        )
    seen = [np.stack([view.code for view in views(video)]) for video in contents.values()]
    nearest = np.zeros((len(seen), len(seen)), np.int64)
    for i, own in enumerate(seen):
        for j in range(i):
            nearest[i, j] = nearest[j, i] = hamming_distance(own[:, None], seen[j][None]).min()
    names = [str(video.source) for video in contents.values()]
    scenes = [os.path.dirname(name) for name in names] if folders_are_scenes else names
    made = f"{len(names)} videos"
    return measure(nearest, scenes, fingerprint=spec.fingerprint, bits=spec.bits, made=made)
