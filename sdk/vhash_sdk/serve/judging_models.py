"""What comes in and goes out about groups, parts, judgements and the basket."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .models import Given, Id, Page, Rate, Said, Text, Video
from .search_models import Pixels, Span


class Member(BaseModel):
    """A duplicate of the video that is kept."""

    video: Video
    distance: int
    verified: int | None
    false_match_rate: Rate | None
    kept_because: str
    not_offered: str | None
    names: list[str]
    same_bytes: bool
    judgement: Said | None = None
    in_basket: bool = False
    spans: list[Span] | None = None
    relation: str | None = None
    pixels: Pixels | None = None


class Group(BaseModel):
    """Videos that are copies of one."""

    number: int
    bytes: int
    representative: Video
    names: list[str]
    members: list[Member]


class GroupRun(BaseModel):
    """The search for duplicates that the groups are from."""

    job: str
    ended: float
    stale: bool
    keep: str
    radius: int
    rate: Rate | None
    facts: str
    groups: int
    duplicates: int
    bytes: int
    judged: int
    related: int | None = None


class Groups(Page[Group]):
    """Groups, and where they are from."""

    run: GroupRun | None


class Related(BaseModel):
    """Two videos that are no duplicates of each other, but related; ``relation`` is that of ``a`` to ``b``.

    One contains the other beside others, both share a part, or they are takes of one scene. Neither is
    offered for removal because of the other.
    """

    number: int
    a: Video
    b: Video
    relation: str
    distance: int
    verified: int | None
    pixels: Pixels | None


class LeftOut(BaseModel):
    """A near video that is in no group, for what the disk says."""

    path: str
    path_base64: str | None = None
    reason: Literal["vanished", "changed", "unreachable"]
    message: str


class Spans(BaseModel):
    """The parts that two videos have in common; ``a`` is the query."""

    spans: list[Span]


class SharedSpan(BaseModel):
    """Which part of one video is which part of the other, in seconds."""

    a_start: float
    a_end: float
    b_start: float
    b_end: float
    score: float | None
    speed: float | None
    reversed: bool


class Part(BaseModel):
    """Two videos that share parts."""

    number: int
    a: Video
    b: Video
    relation: str
    a_covered: float
    b_covered: float
    seconds: float
    spans: list[SharedSpan]


class PartRun(BaseModel):
    """The search for parts that these are from."""

    job: str
    ended: float
    stale: bool
    segments: int
    lacking: int
    ignored: int
    left: int = 0
    radius: int


class Parts(Page[Part]):
    """Pairs of videos that share parts, and where they are from."""

    run: PartRun | None


class PartPlace(BaseModel):
    """Where a common part is."""

    video: Video
    start: float
    end: float


class CommonPart(BaseModel):
    """A part that many videos have; at most 50 of its places."""

    id: str
    name: str
    videos: int
    seconds: float
    places: list[PartPlace]


class KnownPart(BaseModel):
    """A part that was named, or is ignored."""

    id: str
    name: str
    ignored: bool
    seconds: float


class KnownParts(BaseModel):
    """All of them."""

    items: list[KnownPart]


class NamePart(Given):
    """What is to be known of a part."""

    name: Annotated[str, Field(max_length=200)] = ""
    ignored: bool = False


class Judged(Given):
    """What somebody says of two videos."""

    a: Id
    b: Id
    judgement: Said


class Judge(Given):
    """What somebody says of some pairs; all of it is kept, or nothing."""

    judgements: Annotated[list[Judged], Field(min_length=1, max_length=1000)]


class Recorded(BaseModel):
    """Kept; ``recorded``: in the library too, else as soon as whoever writes it has ended."""

    id: int
    recorded: bool
    not_a_match: int


class Holds(BaseModel):
    """What holds of a pair now."""

    a: int
    b: int
    judgement: Said | None


class Undone(BaseModel):
    """What was taken back, and what holds now."""

    id: int
    judgements: list[Holds]


class PastJudgement(BaseModel):
    """What was said of a pair; a video is None where it is not in the library any more."""

    id: int
    a: Video | None
    b: Video | None
    judgement: Said
    when: float
    user: str


class InBasket(BaseModel):
    """A duplicate that is to go, and the video that is kept instead."""

    video: Video
    kept: Video
    group: int
    distance: int
    reason: str


class Basket(BaseModel):
    """What is to go."""

    items: list[InBasket]
    bytes: int


class Put(Given):
    """Which video is kept instead."""

    kept: Id


class Fill(Given):
    """Which duplicates are put in."""

    max_distance: Annotated[int, Field(ge=0, le=65535)] | None = None
    text: Text | None = None


class Filled(BaseModel):
    """How many were put in."""

    added: int


class JournalFacts(BaseModel):
    """What was done by a plan, and how much of it is taken back."""

    name: str
    began: str
    action: str
    steps: int
    done: int
    undone: int
    unfinished: bool


class Journals(BaseModel):
    """All of them, the latest first."""

    items: list[JournalFacts]
