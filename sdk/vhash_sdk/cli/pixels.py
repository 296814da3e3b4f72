"""What a third look says, as text and as JSON, and the option that forgoes it."""

from __future__ import annotations

from typing import Annotated

import typer

from ..matching.relation import VideoRelation
from ..report.pixels import look_entry as look_entry
from ..report.pixels import look_text as look_text

Pixels = Annotated[
    bool,
    typer.Option(
        "--pixels/--no-pixels",
        help="Look at the pixels of pairs in doubt, which reads their files: some hundred milliseconds each.",
    ),
]
"""Whether third looks are taken."""
TOLD = frozenset({VideoRelation.PART, VideoRelation.CONTAINS, VideoRelation.SHARES, VideoRelation.TAKE})
"""Relations that are named beside "copy" and its lack."""
