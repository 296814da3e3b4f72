"""Are two videos the same, and which part of one is which part of the other?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .codes import VideoCode, hamming_distance, same_model, unpack_bits
from .encoding.encoded import Encoded, views
from .encoding.encoder import Encoder
from .encoding.reliability import STILL, pixels_tell
from .encoding.tracks import kept_segments, kept_track, query_tracks
from .errors import VhashError
from .matching.alignment import Span, align, without_covered
from .matching.calibration import USUAL_RATE
from .matching.second_look import View, nearest_views
from .matching.sequence import Segments
from .matching.sound import Heard, Relation, hear, witness
from .matching.span_evidence import LEAST_OF_A_PAIR
from .matching.track import Track
from .matching.verdict import Decision, Verdict
from .matching.windows import RATE
from .spec import ModelSpec
from .video import Box, Limits, Source, VideoInfo
from .video.filming import Filmed, Filming
from .video.isolation.pool import DecodePool
from .video.sound import check_sound

if TYPE_CHECKING:
    from .matching.calibration import Rate


class PartDistance(NamedTuple):
    """Distance of one named range of bits, as a model's parts have (``ModelSpec.parts``)."""

    name: str
    distance: int
    bits: int


@dataclass(frozen=True)
class Subject:
    """One side of a comparison.

    Attributes:
        source: the video; None: only its code was given.
        code: of the whole picture.
        views: the whole picture, where it is another its content box, and the panes of a split screen.
        info: size, duration, rate, codec; None for a code.
        box: where the content box is; None: it is the whole picture.
        panes: where the panes are.
        framewise: whether the model looks at single frames, so that parts can be found.
    """

    source: Source | None
    code: VideoCode
    views: tuple[View, ...]
    info: VideoInfo | None = None
    box: Box | None = None
    panes: tuple[Box, ...] = ()
    framewise: bool = False

    @property
    def parts(self) -> tuple[Box, ...]:
        """Where all its views but the whole picture are."""
        return (*(() if self.box is None else (self.box,)), *self.panes)

    def view_name(self, place: int) -> str:
        """What one of its views is, for people."""
        if place == 0:
            return "whole picture"
        return "content box" if place == 1 and self.box is not None else "pane"


class Moment(NamedTuple):
    """When a video shows most nearly what a picture shows: its middle, and the bits between."""

    time: float
    distance: int


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` says of two videos.

    Attributes:
        a, b: the two sides.
        whole: distance of the whole pictures, in bits.
        seen: which view of each side is nearest to the other, places in their ``views``.
        parts: the distance of these views by parts of the code; empty for codes of a model not at hand.
        decision: distance, second look, threshold, and how often other videos come as near.
        spans: the parts that both have in common, the best first, ``a`` being the query; None where they
            were not looked for: a bare code, or a model of whole clips.
        moment: where one side is a picture: when the other shows most nearly the same; None: neither is, or
            both are, or it was not looked for.
        sound: what their sounds say, a second witness that decides nothing; None where it was not asked.
        sound_of_spans: of each of ``spans``, whether it sounds the same where the pictures say; None where
            there is too little sound. Empty where ``sound`` is None.
    """

    a: Subject
    b: Subject
    whole: int
    seen: tuple[int, int]
    parts: tuple[PartDistance, ...]
    decision: Decision
    spans: tuple[Span, ...] | None
    moment: Moment | None = None
    sound: Heard | None = None
    sound_of_spans: tuple[Relation | None, ...] = ()

    @property
    def distance(self) -> int:
        """Of the nearest views, in bits."""
        return self.decision.distance

    @property
    def same(self) -> bool | None:
        """Whether they are copies of one video as a whole; None: nothing can be concluded."""
        return self.decision.same

    @property
    def false_match_rate(self) -> Rate | None:
        """How often videos of different scenes come as near as these two; None without a calibration."""
        return self.decision.rate


def compare(
    a: Source | VideoCode,
    b: Source | VideoCode,
    *,
    encoder: Encoder | None = None,
    fmr: float = USUAL_RATE,
    spans: bool = True,
    sound: bool = False,
    pixels: bool = True,
) -> Comparison:
    """Compare two videos: distance and what it means, and which part of one is which part of the other.

    Sources are decoded in processes of their own, which a hostile file may take down.

    Args:
        a, b: what ``Encoder.encode`` takes, or codes, also as text (``vh1:…``).
        encoder: of the model to compare by; None: one of the default model, made for this call.
        fmr: the threshold, as the share of pairs of different scenes that may match.
        spans: whether to look for common parts, which decodes both videos a second time.
        sound: whether to compare their sounds too, which needs Chromaprint (the extra ``sound``).
        pixels: whether to take a third look at their pixels where codes leave a doubt.

    Raises:
        VideoError: a source cannot be read.
        MissingDependencyError: Chromaprint is not there.
        ModelMismatchError: a code of another model than the other side.
        OptionError: the calibration cannot support so small a rate.

    >>> from vhash_sdk import compare
    >>> from vhash_sdk.models import zoo
    >>> samples = zoo.FOLDER.parent / "samples"
    >>> one = compare(samples / "bunny.mp4", samples / "bunny.mp4")
    >>> other = compare(samples / "bunny.mp4", samples / "chair.mp4", spans=False)
    >>> one.distance, one.same, len(one.spans), other.same
    (0, True, 1, False)
    """
    if sound:
        check_sound()
    with Encoder(limits=Limits(stills=True)) if encoder is None else nullcontext(encoder) as own:
        first, second = _subject(a, own), _subject(b, own)
        whole = first.code - second.code  # of one model, or this raises
        distance, i, j = nearest_views(first.views, second.views)
        common, moment = _common(own, first, second) if spans else (None, None)
        heard, agreed = _listened(own, first, second, common or ()) if sound else (None, ())
        return Comparison(
            first,
            second,
            whole,
            (i, j),
            tuple(_parts(first, i, second, j, own.spec)),
            _decide(own, first, second, distance, fmr, pixels=pixels),
            common,
            moment,
            heard,
            agreed,
        )


def common_spans(
    encoder: Encoder, a: Source, b: Source, decoders: DecodePool, *, parts: Iterable[Box] = ()
) -> list[Span]:
    """The parts that two videos have in common, the best first; ``a`` is the query.

    Args:
        encoder: of a model that looks at single frames.
        a, b: videos; that of ``a`` is also taken by its content box and panes.
        decoders: processes to decode in.
        parts: of the picture of ``b`` that it is to be taken by too.

    Raises:
        VideoError: one of them cannot be read.
    """
    tracks = list(query_tracks(encoder, a, decoders))
    seen = (encoder.encode_sequence(b, rate=RATE, box=each, decoders=decoders) for each in (None, *parts))
    return without_covered(span for sequence in seen for span in spans_in(tracks, kept_segments(sequence)))


def spans_in(queries: Iterable[Track], kept: Segments) -> list[Span]:
    """The parts of a query, in any of its tracks, that are in a video of these segments, the best first."""
    duration = float(kept.spans[-1, 1])
    reference = kept_track(kept.codes, kept.spans.mean(axis=1), kept.bits, duration)
    return without_covered(
        span for query in queries for span in align(query, reference, least=LEAST_OF_A_PAIR)
    )


def _subject(given: Source | VideoCode, encoder: Encoder) -> Subject:
    if isinstance(given, str) and given.startswith("vh1:") and not os.path.lexists(given):
        given = VideoCode.from_text(given)
    if isinstance(given, VideoCode):
        return Subject(None, given, (View(given.code, None),))
    (encoded,) = encoder.encode_many([given], isolate=True, detail="views")
    return _of(given, encoded)


def _of(source: Source, encoded: Encoded) -> Subject:
    if encoded.code is None:
        raise encoded.error or VhashError("neither code nor error")
    box = None if encoded.box is None else encoded.box.place
    panes = tuple(pane.place for pane in encoded.panes)
    framewise = encoded.sequence is not None
    return Subject(source, encoded.code, views(encoded), encoded.info, box, panes, framewise)


def _decide(encoder: Encoder, a: Subject, b: Subject, distance: int, fmr: float, *, pixels: bool) -> Decision:
    table = encoder.calibration
    if STILL in (a.code.unreliable, b.code.unreliable):
        return Decision(distance, None, None, None, None)
    if table is None or not same_model(a.code.fingerprint, table.fingerprint):
        return Decision(distance, None, None, None, None)
    told_apart = not (a.code.unreliable or b.code.unreliable)
    verdict = Verdict.at(encoder.spec, table, fmr)
    with Filming(encoder.limits) as filming:
        one, two = _filmed(a), _filmed(b)
        closer = partial(filming.look, one, two) if pixels and one is not None and two is not None else None
        said = verdict.decide(a.views, b.views, distance=distance, told_apart=told_apart, closer=closer)
    # how near a bare code is is known, but not what the videos are to each other
    return replace(said, relation=None) if a.source is None or b.source is None else said


def _filmed(side: Subject) -> Filmed | None:
    if side.source is None or side.info is None or not pixels_tell(side.code.unreliable):
        return None
    return Filmed(side.source, side.info.width, side.info.height, side.info.duration, side.views)


def _parts(a: Subject, i: int, b: Subject, j: int, spec: ModelSpec) -> Iterable[PartDistance]:
    """Distance of each named bit range; none where the codes are of a model that is not at hand."""
    if not same_model(a.code.fingerprint, spec.fingerprint):
        return
    differs = (unpack_bits(a.views[i].code, spec.bits) != unpack_bits(b.views[j].code, spec.bits))[0]
    for part in spec.parts:
        start, stop = part.bits
        yield PartDistance(part.name, int(differs[start:stop].sum()), stop - start)


def _listened(
    encoder: Encoder, a: Subject, b: Subject, common: tuple[Span, ...]
) -> tuple[Heard | None, tuple[Relation | None, ...]]:
    """What the sounds of both say, and of the parts that the pictures have in common; a code has none."""
    if a.source is None or b.source is None:
        return None, ()
    with DecodePool(1, encoder.limits) as decoders:
        first, second = decoders.sound(a.source), decoders.sound(b.source)
    return hear(first, second), tuple(witness(first, second, span) for span in common)


def _common(encoder: Encoder, a: Subject, b: Subject) -> tuple[tuple[Span, ...] | None, Moment | None]:
    """Common parts; or, where one side is a picture, when the other shows it."""
    if a.source is None or b.source is None or not a.framewise:
        return None, None
    stills = [side.code.unreliable == STILL for side in (a, b)]
    if all(stills):
        return (), None
    with DecodePool(2, encoder.limits) as decoders:
        if any(stills):
            picture, video = (a, b) if stills[0] else (b, a)
            sequence = encoder.encode_sequence(video.source, rate=RATE, decoders=decoders)
            return (), _moment(picture.views, kept_segments(sequence))
        return tuple(common_spans(encoder, a.source, b.source, decoders, parts=b.parts)), None


def _moment(views: Iterable[View], kept: Segments) -> Moment:
    distances = np.min([hamming_distance(view.code, kept.codes) for view in views], axis=0)
    at = int(distances.argmin())
    return Moment(float(kept.spans[at].mean()), int(distances[at]))
