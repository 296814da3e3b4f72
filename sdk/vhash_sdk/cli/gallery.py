"""What ``vhash search`` searches: a folder of videos, or a saved index with the names of its videos.

``vhash encode --index FILE`` writes two files. FILE is an ordinary index file, in which video n has
id n; ``FILE.names.json`` follows ``schema.json`` and says which video that is, which model made the
codes, and the checksum of FILE, so that two files that do not belong together are never mixed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import _core
from ..codes import VideoCode
from ..errors import IndexFormatError, SourceError
from ..index.memory import Index
from ..spec import ModelSpec
from ..system.files import write_text
from ..system.strict_json import parse_json
from ..video.outputs import check_output
from .output import SCHEMA, number, path_entry, path_from_entry, to_json

if TYPE_CHECKING:
    from ..encoding.encoded import Encoded
    from ..library.records import FoundFrame, Hit
    from ..matching.relation import VideoRelation
    from ..matching.third_look_result import ThirdLook


class Neighbour(NamedTuple):
    """A video that was found: its id, its path and its distance in bits.

    ``verified``, ``false_match_rate``, ``same``, ``look`` and ``relation`` are those of ``Hit``; a folder or
    an index has none.
    """

    id: int
    path: str
    distance: int
    verified: int | None = None
    false_match_rate: float | None = None
    same: bool | None = None
    look: ThirdLook | None = None
    relation: VideoRelation | None = None


class Gallery(Protocol):
    """Videos that can be searched by an encoded one, which has a code."""

    @property
    def kind(self) -> str:
        """``folder``, ``index`` or another kind of place."""

    @property
    def path(self) -> str:
        """Where it is."""

    @property
    def model(self) -> str:
        """Name of the model that its codes come from; only codes of that one can be searched for."""

    def __len__(self) -> int: ...

    def nearest(self, query: Encoded, k: int) -> list[Neighbour]:
        """The ``k`` nearest videos, by (distance, id)."""

    def within(self, query: Encoded, radius: int, limit: int | None) -> list[Neighbour]:
        """The videos at most ``radius`` bits away, by (distance, id)."""

    def showing(self, query: Encoded, k: int) -> list[FoundFrame]:
        """The ``k`` videos that show a picture, and when; none where the query is no picture."""


@dataclass(frozen=True)
class IndexGallery:
    """Videos in an ``Index``; implements ``Gallery``. Video n of ``names`` has id n."""

    kind: str
    path: str
    model: str
    index: Index
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, query: Encoded, k: int) -> list[Neighbour]:
        """The ``k`` nearest videos, by (distance, id)."""
        assert query.code is not None
        found = self.index.search(query.code, k)
        return self._named(found.ids[0], found.distances[0])

    def within(self, query: Encoded, radius: int, limit: int | None) -> list[Neighbour]:
        """The videos at most ``radius`` bits away, by (distance, id)."""
        assert query.code is not None
        return self._named(*self.index.range_search(query.code, radius, limit=limit)[0])

    def showing(self, query: Encoded, k: int) -> list[FoundFrame]:
        """Nothing: it has no segments."""
        return []

    def _named(self, ids: Any, distances: Any) -> list[Neighbour]:
        return [
            Neighbour(int(id), self.names[id], int(distance))
            for id, distance in zip(ids, distances, strict=True)
        ]


class LibraryGallery:
    """The videos of a library; implements ``Gallery``. Ids are those of its entries."""

    kind = "library"

    def __init__(self, directory: Path, index: str | None = None, *, pixels: bool = True) -> None:
        from ..library.library import Library

        self._pixels = pixels
        self.library = Library(directory, index=index, create=False)
        self.path, self.model = str(directory), self.library.model

    def __len__(self) -> int:
        return len(self.library)

    def nearest(self, query: Encoded, k: int) -> list[Neighbour]:
        """The ``k`` nearest videos, by (distance, id), content boxes included."""
        return self._named(self.library.search(query, k, pixels=self._pixels))

    def within(self, query: Encoded, radius: int, limit: int | None) -> list[Neighbour]:
        """The videos at most ``radius`` bits away, by (distance, id), content boxes included."""
        return self._named(self.library.search(query, limit, radius=radius, pixels=self._pixels))

    def showing(self, query: Encoded, k: int) -> list[FoundFrame]:
        """The ``k`` videos that show a picture, where segments are kept."""
        if query.info is None or not query.info.still or not self.library.has_segments:
            return []
        return self.library.find_frame(query, k)

    def _named(self, hits: Iterable[Hit]) -> list[Neighbour]:
        return [
            Neighbour(
                hit.entry.id,
                hit.entry.path,
                hit.distance,
                hit.verified,
                hit.false_match_rate,
                hit.same,
                hit.look,
                hit.relation,
            )
            for hit in hits
        ]


def build_gallery(path: str, spec: ModelSpec, videos: Sequence[tuple[str, VideoCode]]) -> IndexGallery:
    """The gallery of videos that were just encoded, e.g. those of a folder."""
    index = Index(spec.bits, model=spec.fingerprint)
    if videos:
        index.add([code for _, code in videos])
    return IndexGallery("folder", path, spec.name, index, [name for name, _ in videos])


def save_index(file: Path, spec: ModelSpec, videos: Sequence[tuple[str, VideoCode]]) -> None:
    """Save codes as an index file with the names of the videos beside it.

    Raises:
        OSError: one of the files cannot be written.
    """
    build_gallery(str(file), spec, videos).index.save(file)
    content = {
        "schema": SCHEMA,
        "command": "names",
        "model": {"name": spec.name, "fingerprint": spec.fingerprint, "bits": spec.bits},
        "index_crc32c": _checksum(file),
        "videos": [
            {
                "id": id,
                **path_entry(os.path.abspath(path)),
                "confidence": number(code.confidence),
                "duration": number(code.duration),
            }
            for id, (path, code) in enumerate(videos)
        ],
    }
    write_text(_names_file(file), to_json(content) + "\n")


def check_index(file: Path, paths: Iterable[str], *, force: bool) -> None:
    """Refuse an index file to write, or one of names beside it, over anything else; see ``check_output``."""
    for each, kind in ((file, "index"), (_names_file(file), "names")):
        check_output(each, kind, option="--index", inputs=paths, force=force)


def load_index(file: Path) -> IndexGallery:
    """Open an index file that ``save_index`` wrote.

    Raises:
        IndexFormatError: it is damaged, or its names are missing, damaged or those of another file.
        SourceError: there is no such file.
    """
    if not file.is_file():
        raise SourceError(
            f"{file}: no such library, folder or index file; make a library with `vhash add {file} PATH`"
        )
    index, names = Index.load(file), _names_file(file)
    again = f"make both again with `vhash encode … --index {file}`"
    try:
        content = parse_json(names.read_bytes())
        model, paths = str(content["model"]["name"]), [path_from_entry(video) for video in content["videos"]]
        valid = [video["id"] for video in content["videos"]] == list(range(len(index)))
        checksum = content["index_crc32c"]
    except FileNotFoundError as error:
        raise IndexFormatError(f"{names} is missing: it names the videos of {file.name}; {again}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IndexFormatError(f"{names}: not readable as names of videos ({error!r}); {again}") from error
    if not valid or checksum != _checksum(file):
        raise IndexFormatError(f"{names}: belongs to another index than {file.name}; {again}")
    return IndexGallery("index", str(file), model, index, paths)


def _names_file(file: Path) -> Path:
    return file.with_name(file.name + ".names.json")


def _checksum(file: Path) -> int:
    checksum = 0
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            checksum = _core.crc32c(block, checksum)
    return checksum
