"""Every error that vhash raises on purpose.

``VhashError`` is the root; each subclass is also the builtin that a caller would naturally
catch. A message names the bad value, then what is allowed, then what to do next.
"""

from __future__ import annotations


class VhashError(Exception):
    """The root of all errors raised by vhash."""


class OptionError(VhashError, ValueError):
    """An argument has a value outside the allowed set."""


class CodeError(VhashError, ValueError):
    """A code, or an array or text of codes, has the wrong shape, type, width or padding."""


class JsonError(VhashError, ValueError):
    """A text is not JSON as vhash reads it; whoever reads it says which file, and what to do."""


class ModelError(VhashError, ValueError):
    """A model file is broken, is not a vhash model, or asks for something unsafe."""


class ModelNotFoundError(ModelError, LookupError):
    """No bundled model has this name, or there is no such model file."""


class ModelMismatchError(VhashError, ValueError):
    """Codes of different models were about to be mixed; their distances mean nothing."""


class VideoError(VhashError, OSError):
    """A video cannot be read; the base of everything that is wrong with one source."""


class SourceError(VideoError):
    """The source does not exist, is not a file, is empty or cannot be opened."""


class UnsupportedVideoError(VideoError):
    """The container, codec or protocol is refused, or the file has no video in it."""


class DecodeError(VideoError):
    """The file claims to be a video but no usable frame comes out of it."""


class LimitError(VideoError):
    """A source exceeds a limit that protects the program (see ``vhash_sdk.video.Limits``)."""


class PixelLimitError(LimitError):
    """The frames of a source are larger than ``Limits.pixels``."""


class DurationLimitError(LimitError):
    """A source is longer than ``Limits.duration`` seconds."""


class TimeLimitError(LimitError):
    """Decoding a source took longer than ``Limits.wall_time`` seconds."""


class MemoryLimitError(LimitError):
    """Decoding a source took more than ``Limits.memory`` bytes."""


class WorkerError(VideoError):
    """The process that decoded a source died (a crash inside a decoder library)."""


class BackendError(VhashError, RuntimeError):
    """A backend or device was asked for and does not work on this machine."""


class MissingDependencyError(VhashError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class IndexFormatError(VhashError, OSError):
    """An index file is damaged, truncated, of another format or of a newer version."""


class UnknownIdError(VhashError, LookupError):
    """No code in the index has this id."""


class StoreError(VhashError, OSError):
    """A directory or library cannot be opened or written: locked, full, damaged, not ours."""


class PlanError(VhashError, ValueError):
    """A file is no plan that ``vhash dedup`` wrote, or was edited into none."""


class JournalError(VhashError, OSError):
    """A journal of ``vhash apply`` cannot be written or read, or is none."""


class RefusedError(VhashError, OSError):
    """A file was left as it is: it, or what is kept of it, is not as it has to be."""


class UnreachableError(VhashError, ConnectionError):
    """A server gives no answer, or none in time; what was asked of it may be done or not."""
