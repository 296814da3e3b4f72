"""What a library says of parts that its videos share; the methods of ``Library`` about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..names import printable
from ..system.checks import check_positive, checked_count
from .known_parts import KnownPart, find_known, read_known, write_known
from .lock import writing
from .near_pairs import PairCache
from .opened import OpenLibrary
from .part_cache import PartCache
from .part_looks import PartLooks
from .parts import COMMON, LEAST_SECONDS, Progress, Wanted, find_parts, known_as
from .roles import Places, Roles

if TYPE_CHECKING:
    from .shared_parts import Parts


class LibraryWithParts(OpenLibrary):
    """``Library.parts`` and the parts that it knows."""

    def parts(
        self,
        *,
        seconds: float = LEAST_SECONDS,
        common: int = COMMON,
        roles: Roles | None = None,
        radius: int | None = None,
        pixels: bool = True,
        progress: Progress | None = None,
    ) -> Parts:
        """Every pair of videos of which one is part of the other, or which share a part.

        Compilations and their clips, trailers, trimmed copies, episodes with the same intro: all kept
        segments are compared with each other at once, and what is near is aligned as ``find`` does it, at
        speeds from 0.8 to 1.25, also backwards. What many videos have is reported once, in ``common``. Only
        what is new since the last time is compared and aligned.

        Args:
            seconds: a shared part is at least so long, unless one of the two videos is part of the other.
            common: a part of so many videos is common to them.
            roles: of folders; None: those that the library keeps (``set_roles``).
            radius: segments within so many bits are looked at; None: 16 % of all bits. Of more than 131,072
                segments nearly all of those, the nearer the surer.
            pixels: whether to take third looks at parts whose score leaves a doubt, as ``find`` does: some
                hundred milliseconds each, the best scores first, up to 500 in one call (``Parts.left`` says
                how many are left for the next one). What many videos have, and what runs backwards, is not
                looked at.
            progress: called with how many pairs of videos are aligned, and of how many; then with how many
                parts are looked at.

        Returns:
            The pairs, most seconds first. ``lacking`` says how many videos have no segments: nothing is
            known of them.

        Raises:
            OptionError: no segments are kept; ``seconds`` or ``common`` is none.
            StoreError: the database, or the file of parts that are named or ignored, is damaged.
        """
        looks = PartLooks(self._looks) if pixels else None
        return self._parts(seconds, common, roles, radius=radius, looks=looks, progress=progress)

    def _parts(
        self,
        seconds: float = LEAST_SECONDS,
        common: int = COMMON,
        roles: Roles | None = None,
        *,
        radius: int | None = None,
        looks: PartLooks | None,
        progress: Progress | None = None,
    ) -> Parts:
        check_positive("seconds", seconds, "seconds", most=1e6)
        if checked_count("common", common, 3) and radius is not None and not 0 <= radius <= self.spec.bits:
            raise OptionError(f"radius={radius}: expected 0 to {self.spec.bits} bits")
        if not self.has_segments and len(self):
            raise OptionError(
                f"{self.directory}: no segments are kept, by which parts are found; make them with "
                f"`vhash add {self.directory} --segments` or segmenting()"
            )
        known = read_known(self.directory, self.spec)
        wanted = Wanted(seconds, common, Places(self.roles if roles is None else roles), known)
        caches = self._part_caches
        return find_parts(self._db, self.spec, caches, wanted, radius=radius, looks=looks, progress=progress)

    @property
    def _part_caches(self) -> tuple[PairCache, PartCache]:
        made = getattr(self, "_made_part_caches", None)
        if made is None:
            writable = not self._db.unwritable
            made = self._made_part_caches = (
                PairCache(self.directory / "segment-pairs.npz", writable=writable),
                PartCache(self.directory / "shared-parts.npz", writable=writable),
            )
        return made

    @property
    def known_parts(self) -> tuple[KnownPart, ...]:
        """Common parts that were named, or are ignored.

        Raises:
            StoreError: they are kept, but cannot be read.
        """
        return read_known(self.directory, self.spec)

    def name_part(self, part: str, name: str = "", *, ignored: bool = False) -> KnownPart:
        """Name a common part, or ignore it from now on; returns what is kept of it.

        It is recognised by what it shows, in whatever videos, also those that are added later.

        Args:
            part: the ``id`` of one of ``parts().common``, or id or name of one that is known already.
            name: what to call it; empty: as it is called.
            ignored: leave it out of ``parts`` for good, until this is called again.

        Raises:
            OptionError: there is no such part; the name is none.
            StoreError: another process writes, or nothing can be written there.
        """
        new = None
        if not any(part in (one.id, one.name) for one in self.known_parts):
            listed = self._parts(looks=PartLooks(self._looks, most=0))  # by what was seen when they were
            found = next((one for one in listed.common if one.id == part), None)
            if found is None:
                raise OptionError(
                    f"{printable(part)!r}: no common part has this id; `vhash dedup {self.directory} "
                    "--parts` lists them"
                )
            new = known_as(found, name=name, ignored=ignored)
        with writing(self._db):  # what is known is read again: another process may have named some meanwhile
            known = list(self.known_parts)
            if new is None:
                old = find_known(known, part)
                new = replace(old, name=name or old.name, ignored=ignored)
                known.remove(old)
            write_known(self.directory, self.spec, [*known, new])
        return new

    def forget_part(self, part: str) -> None:
        """Know nothing more of a part that was named or ignored.

        Raises:
            OptionError: there is no such part.
            StoreError: another process writes, or nothing can be written there.
        """
        with writing(self._db):
            known = list(self.known_parts)
            known.remove(find_known(known, part))
            write_known(self.directory, self.spec, known)
