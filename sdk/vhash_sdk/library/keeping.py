"""Which video of a group is kept: rules in an order, and what the one that decided says.

Rules are measures; the first by which two videos differ decides between them. Where none does, the first that
was added is kept, so that the same library gives the same groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..names import printable
from .duplicates import Videos
from .records import Entry

Measure = Callable[[Videos], NDArray[np.float64]]
Said = Callable[[Entry, Entry], str]

_GENERATIONS = (
    ("mpeg1video", "h261"),
    ("mpeg2video", "h263", "flv1", "wmv1", "wmv2", "msmpeg4v1", "msmpeg4v2"),
    ("mpeg4", "msmpeg4v3", "vp6", "vp6f", "rv30", "rv40", "wmv3", "theora", "svq3"),
    ("h264", "vp8", "vc1", "cavs"),
    ("hevc", "vp9", "avs2"),
    ("av1", "vvc", "avs3"),
)
_RANK = {name: rank for rank, names in enumerate(_GENERATIONS, 1) for name in names}
_ALIASES = {"h265": "hevc", "avc": "h264", "h266": "vvc", "mpeg2": "mpeg2video", "mpeg1": "mpeg1video"}
_WORDS = (
    "longest", "sharpest", "largest", "reference", "undamaged", "resolution", "fps", "bitrate", "oldest",
    "codec", "codec>h264", "codec>=h264", "codec=h264", "path~TEXT", "path!~TEXT",
)  # fmt: skip
ALLOWED = f"{', '.join(map(repr, _WORDS))}, or several with commas between them"
"""What rules may be, for messages."""


@dataclass(frozen=True)
class Rule:
    """One measure.

    Attributes:
        name: as it is written.
        measure: of n videos ``float64[n]``, the larger the better.
        said: what it says of two entries that differ by it, the better one first.
    """

    name: str
    measure: Measure
    said: Said


class KeepRules:
    """Rules in their order, from a text such as ``"reference, longest, codec>h264, path~/originals/"``.

    ``longest``: seconds, to the half. ``resolution``: pixels of the picture (half of them where a part of it
    carries the content: bars, an inset). ``sharpest``: ``resolution``, then bytes a second; it goes by what
    is known without decoding, so a copy that was scaled *up* looks better than it is. ``largest``: bytes of
    the file. ``reference``: what lies in a reference folder. ``undamaged``: of whose file nothing is known to
    be missing. ``fps``: frames a second. ``bitrate``: bits of the file a second. ``oldest``: the time of the
    file's last change. ``codec``: the newest generation; ``codec>h264``, ``codec>=h264``: a newer one than
    that of H.264, or one as new; ``codec=h264``: that one. ``path~TEXT``: a path with this text in it;
    ``path!~TEXT``: one without. A comma in a text is written as ``\\,``.

    References come first, and then what is not damaged, unless the text says where they come. What is equal
    by all rules goes by ``sharpest``, then by exact seconds, then by what was added first.

    Raises:
        OptionError: no such rule.

    >>> [rule.name for rule in KeepRules("undamaged, fps").rules]
    ['reference', 'undamaged', 'fps', 'resolution', 'bitrate', 'longest']
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise OptionError(f"keep={text!r}; allowed: {ALLOWED}")
        words = [word.replace("\\,", ",").strip() for word in re.split(r"(?<!\\),", text)]
        self.text = ", ".join(words)
        written = [rule for word in words for rule in _rules(word)]
        names = [rule.name for rule in written]
        if "reference" not in names:
            written.insert(0, _REFERENCE)
        if "undamaged" not in names:
            written.insert(int(written[0] is _REFERENCE), _UNDAMAGED)
        self.rules = (*written, _RESOLUTION, _BYTE_RATE, _SECONDS)

    @property
    def needs_traits(self) -> bool:
        """Whether a rule asks for what ``Videos.traits`` holds, beside what lies in a reference folder."""
        return any(
            rule.measure in _OF_TRAITS or rule.name.startswith(("codec", "path")) for rule in self.rules
        )

    def measures(self, videos: Videos) -> list[NDArray[np.float64]]:
        """What each rule says of each video."""
        return [np.asarray(rule.measure(videos), np.float64) for rule in self.rules]

    def because(self, measures: list[NDArray[np.float64]], kept: int, other: int, a: Entry, b: Entry) -> str:
        """Why a video is kept rather than another one.

        Args:
            measures: of all videos.
            kept, other: their places.
            a, b: their entries.
        """
        for rule, measure in zip(self.rules, measures, strict=True):
            if measure[kept] != measure[other]:
                return f"{rule.name}: {rule.said(a, b)}"
        return "added first: by every rule they are equal"


def best_first(
    videos: Videos, keep: str | KeepRules, measures: list[NDArray[np.float64]] | None = None
) -> NDArray[np.int64]:
    """Places of the videos, the best first; of equal ones the first that was added.

    Raises:
        OptionError: no such rule.
    """
    rules = keep if isinstance(keep, KeepRules) else KeepRules(keep)
    found = rules.measures(videos) if measures is None else measures
    return np.lexsort([videos.ids, *(-measure for measure in reversed(found))])


def _rules(word: str) -> Iterator[Rule]:
    if word == "sharpest":
        yield Rule(word, _RESOLUTION.measure, _RESOLUTION.said)
        yield Rule(word, _BYTE_RATE.measure, _BYTE_RATE.said)
    elif word in _SIMPLE:
        yield _SIMPLE[word]
    elif match := re.fullmatch(r"path(!?)~(.+)", word, re.DOTALL):
        yield _of_path(word, match[2], wanted=not match[1])
    elif match := re.fullmatch(r"codec\s*(>=|>|=)\s*(\w+)", word):
        yield _of_codec(word, match[1], match[2].lower())
    else:
        raise OptionError(f"keep={word!r}; allowed: {ALLOWED}")


def _of_path(word: str, text: str, *, wanted: bool) -> Rule:
    def measure(videos: Videos) -> NDArray[np.float64]:
        assert videos.traits is not None
        return np.array([(text in path) == wanted for path in videos.traits.paths], np.float64)

    def said(a: Entry, b: Entry) -> str:
        return (
            f"{printable(text)} is in its path, not in the other"
            if wanted
            else (f"{printable(text)} is in the path of the other")
        )

    return Rule(printable(word), measure, said)


def _of_codec(word: str, sign: str, name: str) -> Rule:
    name = _ALIASES.get(name, name)
    if sign != "=" and name not in _RANK:
        raise OptionError(
            f"keep={word!r}: of no known generation; allowed: {', '.join(_RANK)}, or codec={name}"
        )
    least = _RANK.get(name, 0) + (sign == ">")

    def measure(videos: Videos) -> NDArray[np.float64]:
        assert videos.traits is not None
        codecs = videos.traits.codecs
        fits = [codec == name if sign == "=" else _RANK.get(codec, 0) >= least for codec in codecs]
        return np.array(fits, np.float64)

    return Rule(word.replace(" ", ""), measure, _codec_said)


def _references(videos: Videos) -> NDArray[np.float64]:
    n = len(videos.ids)
    return np.zeros(n) if videos.references is None else videos.references.astype(np.float64)


def _undamaged(videos: Videos) -> NDArray[np.float64]:
    return np.zeros(len(videos.ids)) if videos.damaged is None else -videos.damaged.astype(np.float64)


def _kilobits(videos: Videos) -> NDArray[np.float64]:
    known = videos.seconds > 0
    return np.rint(np.where(known, videos.sizes / 125 / np.where(known, videos.seconds, 1.0), 0.0))


def _newest(videos: Videos) -> NDArray[np.float64]:
    assert videos.traits is not None
    return np.array([_RANK.get(codec, 0) for codec in videos.traits.codecs], np.float64)


def _frame_rate(videos: Videos) -> NDArray[np.float64]:
    assert videos.traits is not None
    return np.round(videos.traits.rates, 2)


def _oldest(videos: Videos) -> NDArray[np.float64]:
    assert videos.traits is not None
    return -videos.traits.modified  # whole seconds: not all file systems keep more when a file is copied


def _codec_said(a: Entry, b: Entry) -> str:
    return f"{printable(a.codec or 'unknown')} against {printable(b.codec or 'unknown')}"


def _picture(entry: Entry) -> str:
    return f"{entry.width}x{entry.height}" if entry.width and entry.height else "unknown"


def _picture_said(a: Entry, b: Entry) -> str:
    better, worse = _picture(a), _picture(b)
    bars = ((b.width or 0) * (b.height or 0)) >= ((a.width or 0) * (a.height or 0)) > 0
    return f"{better} against {worse}" + (" of which a part carries the content" if bars else "")


def _numbers(better: float | None, worse: float | None, unit: str, digits: int = 1) -> str:
    """Two numbers with as many digits as tell them apart."""
    known = [value is not None and value == value for value in (better, worse)]
    if not all(known):
        return " against ".join(
            f"{value:,.{digits}f} {unit}" if is_known else "unknown"
            for value, is_known in zip((better, worse), known, strict=True)
        )
    while f"{better:.{digits}f}" == f"{worse:.{digits}f}" and digits < 6:
        digits += 1
    return f"{better:,.{digits}f} {unit} against {worse:,.{digits}f} {unit}"


def _seconds_said(a: Entry, b: Entry) -> str:
    return _numbers(a.code.duration, b.code.duration, "s")


def _rate_said(a: Entry, b: Entry) -> str:
    return _numbers(_bits_a_second(a), _bits_a_second(b), "kbit/s", 0)


def _bits_a_second(entry: Entry) -> float | None:
    seconds = entry.code.duration
    return entry.size / 125 / seconds if seconds > 0 else None


def _date_said(a: Entry, b: Entry) -> str:
    return " against ".join(_date(entry.modified) for entry in (a, b)) + " UTC"


def _date(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds // 1, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):  # a file may claim any year
        return f"{seconds:.0f} s after 1970"


_REFERENCE = Rule("reference", _references, lambda a, b: "it lies in a reference folder, the other does not")
_UNDAMAGED = Rule("undamaged", _undamaged, lambda a, b: f"of the other: {printable(b.damaged or '')}")
_RESOLUTION = Rule("resolution", lambda videos: videos.pixels, _picture_said)
_BYTE_RATE = Rule("bitrate", lambda videos: videos.sizes / np.maximum(videos.seconds, 1.0), _rate_said)
_SECONDS = Rule("longest", lambda videos: videos.seconds, _seconds_said)
_SIMPLE = {
    "reference": _REFERENCE,
    "undamaged": _UNDAMAGED,
    "longest": Rule(
        "longest", lambda videos: np.round(2 * videos.seconds), _seconds_said
    ),  # frames are no merit
    "resolution": _RESOLUTION,
    "largest": Rule(
        "largest", lambda videos: videos.sizes, lambda a, b: f"{a.size:,} bytes against {b.size:,} bytes"
    ),
    "fps": Rule("fps", _frame_rate, lambda a, b: _numbers(a.rate, b.rate, "frames/s", 2)),
    "bitrate": Rule("bitrate", _kilobits, _rate_said),
    "oldest": Rule("oldest", _oldest, _date_said),
    "codec": Rule("codec", _newest, _codec_said),
}
_OF_TRAITS = (_frame_rate, _oldest, _newest)
