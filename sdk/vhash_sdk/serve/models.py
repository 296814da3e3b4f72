"""What comes in and goes out as JSON: the schema of the API is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Id = Annotated[int, Field(ge=0, lt=1 << 63)]
Text = Annotated[str, Field(max_length=1000)]
PathText = Annotated[str, Field(max_length=4096)]
Said = Literal["match", "not a match"]
JobKind = Literal["add", "dedup", "parts", "apply", "undo"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Action = Literal["trash", "hardlink", "symlink", "move"]


class Given(BaseModel):
    """What a client sends: nothing that is not known, no numbers written as text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Page(BaseModel, Generic[T]):
    """A part of a list; ``next`` is the cursor of the following one."""

    items: list[T]
    next: str | None = None
    total: int


class Video(BaseModel):
    """A video of the library."""

    id: int
    path: str
    path_base64: str | None = None
    name: str
    bytes: int
    modified: float | None
    added: float | None
    seconds: float | None
    width: int | None
    height: int | None
    rate: float | None
    codec: str | None
    digest: str
    damaged: str | None
    unreliable: str | None
    confidence: float | None
    code: str


class VideoState(Video):
    """A video, and what its file is now."""

    file: Literal["ok", "vanished", "changed", "unreachable"]
    message: str | None


class Failure(BaseModel):
    """A file that could not be added."""

    path: str
    path_base64: str | None = None
    kind: str
    message: str
    seen: float | None


class Rate(BaseModel):
    """A rate with its 95 % interval."""

    low: float
    estimate: float
    high: float


class RateAt(Rate):
    """The rate within a distance."""

    distance: int


class Model(BaseModel):
    """The model of the library."""

    name: str
    fingerprint: str
    bits: int


class Threshold(BaseModel):
    """The distance up to which codes alone are taken for copies, and how often strangers come as near."""

    radius: int
    false_match_rate: float | None


class CodecCount(BaseModel):
    """How many videos have a codec."""

    codec: str
    videos: int


class HeightCount(BaseModel):
    """How many videos have so many lines."""

    height: int
    videos: int


class KindCount(BaseModel):
    """How many files failed in one way."""

    kind: str
    files: int


class LibraryFacts(BaseModel):
    """What the library is and holds, and what may be done with it here."""

    name: str
    path: str
    uuid: str
    generation: str
    model: Model
    videos: int
    failures: int
    bytes: int
    seconds: float
    damaged: int
    unreliable: int
    codecs: list[CodecCount]
    heights: list[HeightCount]
    failures_by_kind: list[KindCount]
    has_segments: bool
    lacking_segments: int
    has_sound: bool
    has_pictures: bool
    threshold: Threshold | None
    read_only: bool
    writable: str
    roots: list[str]
    actions: list[Action]


class Missed(BaseModel):
    """The share of copies of one kind beyond each distance."""

    kind: str
    missed: list[float]


class SecondLook(BaseModel):
    """How near codes are looked at again, and what the verified distance then means."""

    radius: int
    rates: list[RateAt]


class CalibrationTable(BaseModel):
    """What distances mean."""

    bits: int
    fingerprint: str
    pairs: int
    scenes: int
    made: str
    threshold: Threshold | None
    rates: list[RateAt]
    copies: list[Missed]
    second_look: SecondLook | None


class MapFacts(BaseModel):
    """The map of the library; its points are at ``/v1/map/points``."""

    generation: str
    videos: int
    explained: list[float]
    etag: str


class SignIn(Given):
    """A one-time token, or a name and a password."""

    token: Text | None = None
    user: Text | None = None
    password: Text | None = None


class Session(BaseModel):
    """Who is signed in."""

    user: str
    csrf: str
    expires: float
    read_only: bool


class Link(BaseModel):
    """Signs one browser in, once."""

    url: str


class Upload(BaseModel):
    """A video that was uploaded to be asked about; it goes after a while."""

    id: str
    bytes: int
    name: str | None
    expires: float


class NewJob(Given):
    """A job; which of the others count depends on its kind."""

    kind: JobKind
    paths: Annotated[list[PathText], Field(max_length=100)] | None = None
    segments: bool | None = None
    retry: bool = False
    exclude: Annotated[list[Text], Field(max_length=100)] = []
    keep: Text = "longest"
    fmr: Annotated[float, Field(gt=0, le=1)] | None = None
    radius: Annotated[int, Field(ge=0, le=65535)] | None = None
    seconds: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    action: Action | None = None
    different: bool = False
    dry_run: bool = False
    journal: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None


class JobProblem(BaseModel):
    """A file that a job could not do."""

    path: str
    path_base64: str | None = None
    kind: str
    message: str


class Job(BaseModel):
    """A job, and how far it is."""

    id: str
    kind: JobKind
    state: JobState
    user: str
    created: float
    started: float | None
    ended: float | None
    done: int
    total: int | None
    current: str | None
    attempts: int
    message: str | None
    counts: dict[str, int]
    problems: list[JobProblem]
    options: dict[str, Any]
    result: dict[str, Any] | None
    revision: int
