"""What a library keeps of one video's content: metadata, codes, trajectories; from the encoder or a twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..encoding.encoded import Encoded, views
from ..video.rules import DECODING
from .database import Database
from .rows import Code, Metadata, Trajectory, fitting

METADATA = Metadata._fields
"""Columns of ``video`` that come from the content."""


@dataclass(frozen=True)
class Content:
    """Rows of one video.

    Attributes:
        metadata: values of METADATA.
        codes: rows (kind, t0, t1, confidence, code, place) of ``code``.
        trajectories: rows (kind, place, steps) of ``trajectory``.
    """

    metadata: Metadata
    codes: tuple[Code, ...]
    trajectories: tuple[Trajectory, ...]

    @property
    def damaged(self) -> str | None:
        """What of the file is missing; None: nothing is known."""
        return self.metadata.damaged

    @classmethod
    def of(cls, encoded: Encoded) -> Content:
        """What the encoder made of a file; it has a code."""
        code, info, box = encoded.code, encoded.info, encoded.box
        assert code is not None
        picture = (None,) * 4 if info is None else (info.width, info.height, info.rate, info.codec)
        codes = {("full", 0): code} if box is None else {("full", 0): code, ("box", 0): box.code}
        codes |= {("pane", place): pane.code for place, pane in enumerate(encoded.panes)}
        seen = zip(codes, views(encoded), strict=True)
        return cls(
            fitting(
                Metadata,
                code.duration,
                *picture,
                code.unreliable,
                None if info is None else info.damaged,
                DECODING,
            ),
            tuple(
                fitting(Code, kind, 0.0, None, one.confidence, one.code.tobytes(), place)
                for (kind, place), one in codes.items()
            ),
            tuple(
                Trajectory(*part, view.frames.to_bytes()) for part, view in seen if view.frames is not None
            ),
        )

    @classmethod
    def at(cls, database: Database, video: int) -> Content:
        """What is kept of a video already."""
        (metadata,) = database.read(
            Metadata, f"SELECT {', '.join(METADATA)} FROM video WHERE id = ?", (video,)
        )
        codes = database.read(
            Code,
            "SELECT kind, t0, t1, confidence, code, place FROM code WHERE video = ? ORDER BY id",
            (video,),
        )
        steps = database.read(
            Trajectory, "SELECT kind, place, steps FROM trajectory WHERE video = ?", (video,)
        )
        return cls(metadata, tuple(codes), tuple(steps))

    def write(self, video: int, execute: Callable[..., object]) -> None:
        """Write codes and trajectories in the place of what there was."""
        for table in ("code", "trajectory"):
            execute(f"DELETE FROM {table} WHERE video = ?", video)
        for code in self.codes:
            execute(
                "INSERT INTO code (video, kind, t0, t1, confidence, code, place)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                video, *code,
            )  # fmt: skip
        for row in self.trajectories:
            execute("INSERT INTO trajectory (video, kind, place, steps) VALUES (?, ?, ?, ?)", video, *row)
