"""What comes in and goes out about searching: what is asked about, and what is found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .models import Given, Id, PathText, Rate, Text, Video


class Source(Given):
    """What is asked about: exactly one of these."""

    upload: Annotated[str, Field(pattern="^u[0-9a-f]{32}$")] | None = None
    video: Id | None = None
    code: Annotated[str, Field(max_length=5000)] | None = None
    path: PathText | None = None


class Encode(Given):
    """What is to be encoded."""

    source: Source


class Encoded(BaseModel):
    """A code, and what is known of its video."""

    code: str
    bits: int
    confidence: float | None
    seconds: float | None
    width: int | None = None
    height: int | None = None
    rate: float | None = None
    codec: str | None = None
    unreliable: str | None
    damaged: str | None = None
    box_code: str | None = None
    pane_codes: list[str] = []


class Search(Given):
    """What is searched for, and which of the answers are wanted."""

    source: Source
    k: Annotated[int, Field(ge=1, le=500)] = 10
    radius: Annotated[int, Field(ge=0, le=65535)] | None = None
    text: Text | None = None
    min_seconds: Annotated[float, Field(ge=0)] | None = None
    max_seconds: Annotated[float, Field(ge=0)] | None = None


class Query(BaseModel):
    """What was searched for."""

    code: str
    seconds: float | None
    unreliable: str | None


class Pixels(BaseModel):
    """What a third look at the pixels of two videos says; there is one where codes left a doubt.

    ``same``: whether they are copies; null where the pixels do not tell. ``motion``: how alike what moves is,
    -1 in an inverted copy. ``against``: the share of what moves in both that moves otherwise. ``still``:
    correlation of the pictures; ``agreeing``: the share of them that agree. ``moving``: how much changes at
    all. ``seconds``: how much time was compared. ``anywhere``: how much of what changes is in the other
    video too, at whatever time; ``path``: by how many pixels, of 64, one moves over the other. ``detail``:
    share of a held picture's detail that is the same, 0 where it was not asked. ``enlarged``: how much
    larger one shows the same; ``turned``: by how many degrees.
    """

    same: bool | None
    motion: float | None
    still: float | None
    against: float | None
    agreeing: float | None
    moving: float | None
    seconds: float | None
    anywhere: float | None
    path: float | None
    detail: float | None
    enlarged: float | None
    turned: int | None
    mirrored: bool | None


What = Annotated[
    Literal["codes", "videos"],
    Field(
        description="`codes`: a bare code was given, so that only codes were compared: `same` goes by their "
        "distance alone, and `relation` is null. `videos`: what is near was looked at a second time by its "
        "frames, and pairs in doubt a third time by their pixels, where the files are as they were added."
    ),
]


class Hit(BaseModel):
    """A near video."""

    video: Video
    distance: int
    verified: int | None
    false_match_rate: float | None
    same: bool | None
    relation: str | None = None
    pixels: Pixels | None = None


class Hits(BaseModel):
    """The nearest videos, by distance and id."""

    query: Query
    compared: What = "videos"
    hits: list[Hit]
    milliseconds: float


class Find(Given):
    """What is looked for inside of videos."""

    source: Source
    k: Annotated[int, Field(ge=1, le=500)] = 10
    fmr: Annotated[float, Field(gt=0, le=1)] | None = None


class Span(BaseModel):
    """Which part of the query is which part of a video, in seconds."""

    query_start: float
    query_end: float
    start: float
    end: float
    score: float | None
    speed: float | None
    reversed: bool


class FoundSpan(BaseModel):
    """A part that was found."""

    video: Video
    span: Span


class FoundFrame(BaseModel):
    """A moment that looks like a picture."""

    video: Video
    time: float
    distance: int


class Found(BaseModel):
    """Where a clip is; or which videos show a picture, and when."""

    spans: list[FoundSpan]
    frames: list[FoundFrame]


class Compare(Given):
    """What is compared."""

    a: Source
    b: Source
    spans: bool = True


class Moment(BaseModel):
    """When a video shows most nearly what a picture shows."""

    time: float
    distance: int


class Compared(BaseModel):
    """What is to be said of two videos."""

    a: Encoded
    b: Encoded
    distance: int
    whole: int
    same: bool | None
    verified: int | None
    false_match_rate: Rate | None
    relation: str | None = None
    pixels: Pixels | None = None
    compared: What = "videos"
    spans: list[Span] | None
    moment: Moment | None
