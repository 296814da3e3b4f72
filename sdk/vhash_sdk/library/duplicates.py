"""Groups of duplicates in a library.

Every member of a group is within the threshold of its representative: groups are stars, found
greedily from the best video down (a star cover; Aslam, Pelekhov, Rus 2004), so that a chain of
small differences never ties two strangers together. A representative is never near another one:
without the members no two videos of the library are near. The same library gives the same groups.
A video that is composed of several others ties them together neither: its parts are told beside the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..matching.calibration import Rate
    from ..matching.relation import VideoRelation
    from ..matching.sound import Heard
    from ..matching.third_look_result import ThirdLook
    from .near_pairs import NearPairs
    from .on_disk import LeftOut, SameFile
    from .records import Entry


@dataclass(frozen=True)
class Member:
    """A video that duplicates the representative of its group.

    Attributes:
        entry: the video.
        distance: to the representative, in bits; 0 where the files are the same byte for byte.
        false_match_rate: the share of pairs of different scenes that are as near as this, or nearer, by
            ``verified`` where there was a second look; None where the model is not calibrated.
        names: paths of other entries that are hard links of its file: all have to go, or it stays.
        not_offered: why its file is not one to remove: it is a symbolic link, or one leads to it, it has hard
            links elsewhere, lies in a reference folder, or holds more than is kept. Nothing: it may go.
        verified: the verified distance, as in ``Hit``; None where there was no second look.
        sound: what the sounds of the representative (``a``) and of this say; None where they are not known.
            No decision hangs on it.
        look: what the pixels of both say, where there was a third look because of a doubt.
        relation: of it to the representative: the same video, or a part of it; None for equal files.
        kept_because: the rule by which the representative is kept rather than this, and what it says of both:
            ``longest: 12.0 s against 10.0 s``.
    """

    entry: Entry
    distance: int
    false_match_rate: Rate | None = None
    names: tuple[str, ...] = ()
    not_offered: str = ""
    verified: int | None = None
    kept_because: str = ""
    sound: Heard | None = None
    look: ThirdLook | None = None
    relation: VideoRelation | None = None


@dataclass(frozen=True)
class Group:
    """Videos that duplicate one, the best of them by the chosen measure.

    Attributes:
        representative: the one to keep.
        members: the others, by (distance, id); at least one.
    """

    representative: Entry
    members: tuple[Member, ...]

    @property
    def bytes(self) -> int:
        """Bytes of the members' files: what is free when all that may go have gone."""
        return sum(member.entry.size for member in self.members if not member.not_offered)

    def __repr__(self) -> str:
        return f"Group({self.representative.path!r}, {len(self.members)} duplicates, {self.bytes} bytes)"


@dataclass(frozen=True)
class Related:
    """Two videos that are no duplicates, but more to each other than strangers.

    Attributes:
        a, b: the videos.
        relation: of ``a`` to ``b``: a part of it, sharing a part with it, another take of its scene.
        distance: in bits.
        verified: the verified distance; None where there was no second look.
        look: what their pixels say, where there was a third look.
    """

    a: Entry
    b: Entry
    relation: VideoRelation
    distance: int
    verified: int | None = None
    look: ThirdLook | None = None


class Groups(list[Group]):
    """Groups, what was no part of them for what the disk says, and who is related otherwise.

    Attributes:
        related: pairs of a representative (or a video without duplicates) and another one that were looked
            at and are no duplicates, but parts of each other, or takes of one scene.
        left_out: videos with near ones whose file is gone, has changed or cannot be reached.
        same_files: files that the library knows under several paths; one of them is in the groups.
        radius: codes within so many bits were looked at.
        rate: how often videos of different scenes are grouped by that; None where it is not known.
    """

    def __init__(
        self,
        groups: Iterable[Group] = (),
        *,
        related: Iterable[Related] = (),
        left_out: Iterable[LeftOut] = (),
        same_files: Iterable[SameFile] = (),
        radius: int = 0,
        rate: Rate | None = None,
    ) -> None:
        super().__init__(groups)
        self.related = tuple(related)
        self.left_out = tuple(left_out)
        self.same_files = tuple(same_files)
        self.radius, self.rate = radius, rate


@dataclass(frozen=True, eq=False)
class Traits:
    """What some rules and roles ask of each video, n of them in the order of their ids.

    Attributes:
        paths: of the files.
        codecs: FFmpeg's names; empty where not known.
        rates: ``float64[n]``, frames a second; 0 where not known.
        modified: ``float64[n]``, whole seconds since 1970.
    """

    paths: list[str]
    codecs: list[str]
    rates: NDArray[np.float64]
    modified: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Videos:
    """What grouping needs to know of each video, n of them in the order of their ids.

    Attributes:
        ids: ``int64[n]``.
        digests: of the content of each file.
        compared: ``bool[n]``; one that is not is only grouped with files that are the same byte for byte.
        told_apart: ``bool[n]``, whether there is enough in each to be told from others by its code.
        seconds, pixels, sizes: ``float64[n]``; 0 where not known.
        owner: ``int64[rows]``, for each code row the place of its video.
        damaged: ``bool[n]``; None: none is.
        references: ``bool[n]``, whether each lies in a reference folder; None: none does.
        traits: what only some rules and roles ask for; None: it was not read.
    """

    ids: NDArray[np.int64]
    digests: list[bytes]
    compared: NDArray[np.bool_]
    told_apart: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    pixels: NDArray[np.float64]
    sizes: NDArray[np.float64]
    owner: NDArray[np.int64]
    damaged: NDArray[np.bool_] | None = None
    references: NDArray[np.bool_] | None = None
    traits: Traits | None = None


def stars(
    videos: Videos,
    places: NDArray[np.int64],
    pairs: NearPairs,
    *,
    order: NDArray[np.int64],
    apart: dict[bytes, set[bytes]] | None = None,
    alike: Callable[[int, int], bool] = lambda here, there: True,
    parts: Callable[[int, list[int]], set[int]] = lambda here, members: set(),
    usable: Callable[[NDArray[np.int64]], Iterable[int]] | None = None,
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Groups as (representative, [(member, distance), …]), in places of ``videos``.

    Args:
        videos: what there is.
        places: ``int64[rows]``, for each code row the place of its code in ``pairs``.
        pairs: codes that are near each other.
        order: from ``best_first``.
        apart: contents that are no match; none of a group's videos is no match with another one.
        alike: a second look at a representative and a member, by their places.
        parts: of such members those that the representative is composed of, which are no duplicates.
        usable: of the places of videos that have near ones, those that may be in a group; None: all.
    """
    near = _Neighbours(videos, places, pairs)
    free = near.paired.copy()
    if usable is not None:
        free[:] = False
        free[list(usable(np.flatnonzero(near.paired)))] = True
    apart = apart or {}
    for here in order[near.paired[order]]:
        if not free[here]:
            continue
        free[here] = False
        found, distances = near.of(int(here))
        eligible = free[found]
        taken = [
            (place, distance)
            for place, distance in zip(found[eligible].tolist(), distances[eligible].tolist(), strict=True)
            if alike(int(here), place)
        ]
        if len(taken) > 1 and (composed_of := parts(int(here), [place for place, _ in taken])):
            taken = [(place, distance) for place, distance in taken if place not in composed_of]
        if apart:
            taken = _without_strangers(videos.digests, int(here), taken, apart)
        if taken:
            free[[place for place, _ in taken]] = False
            yield int(here), taken


def _without_strangers(
    digests: list[bytes], here: int, found: list[tuple[int, int]], apart: dict[bytes, set[bytes]]
) -> list[tuple[int, int]]:
    """Leave out whoever is no match with the representative, or with a nearer member."""
    barred, kept = set(apart.get(digests[here], ())), []
    for place, distance in found:
        if digests[place] not in barred:
            barred |= apart.get(digests[place], set())
            kept.append((place, distance))
    return kept


class _Neighbours:
    """Which videos are near which. A node is one code, or the content of videos whose code says nothing."""

    def __init__(self, videos: Videos, places: NDArray[np.int64], pairs: NearPairs) -> None:
        nodes = len(pairs.codes)
        compared = videos.compared[videos.owner]
        _, content = np.unique(np.array(videos.digests, dtype="V32"), return_inverse=True)
        node = np.where(compared, places, nodes + content.reshape(-1)[videos.owner])
        # a video once in each node, though several of its codes may be equal
        owner, node = np.unique(np.stack([videos.owner, node]), axis=1) if len(node) else (videos.owner, node)
        self._node_of = _Ragged(owner, node, len(videos.ids))
        count = nodes + len(videos.ids)
        self._videos_of = _Ragged(node, owner, count)
        ends, distances = pairs.ends.astype(np.int64), pairs.distances
        both = np.concatenate([ends, ends[:, ::-1]])
        self._near = _Ragged(both[:, 0], both[:, 1], count)
        self._distance = np.concatenate([distances, distances])[self._near.order]
        crowded = np.bincount(node, minlength=count) > 1
        crowded[ends.ravel()] = True
        self.paired = np.zeros(len(videos.ids), bool)
        self.paired[owner[crowded[node]]] = True

    def of(self, video: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Other videos within the radius, each with its smallest distance, by (distance, place)."""
        spans = [self._near.span(node) for node in self._node_of[video]]
        nodes = np.concatenate([self._node_of[video], *(self._near.values[span] for span in spans)])
        distances = np.concatenate(
            [np.zeros(len(spans), np.uint16), *(self._distance[span] for span in spans)]
        )
        rows, videos = self._videos_of.gather(nodes)
        bits = distances[rows]
        order = np.lexsort((videos, bits))
        videos, bits = videos[order], bits[order]
        first = np.sort(np.unique(videos, return_index=True)[1])
        first = first[videos[first] != video]
        return videos[first], bits[first]


class _Ragged:
    """For each key from 0 to ``count`` its values, stored one after the other."""

    def __init__(self, keys: NDArray[np.int64], values: NDArray[np.int64], count: int) -> None:
        self.order = np.argsort(keys, kind="stable")
        self.values = values[self.order]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=count))])

    def span(self, key: int) -> slice:
        return slice(int(self._starts[key]), int(self._starts[key + 1]))

    def __getitem__(self, key: int) -> NDArray[np.int64]:
        return self.values[self.span(key)]

    def gather(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The values of many keys, and for each value the place of its key."""
        starts = self._starts[keys]
        counts = self._starts[keys + 1] - starts
        places = np.repeat(np.arange(len(keys)), counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self.values[starts[places] + within]
