"""Where an encoder's frames come from: this process, processes of their own, or the decoder of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError, VhashError
from ..runtime import Runtime
from ..spec import ModelSpec, Resize
from ..video import Box, Clip, Limits, Source, describe, open_source, sample_views

if TYPE_CHECKING:
    from ..video.isolation.pool import DecodePool
    from .resident import Resident


@dataclass(frozen=True)
class Decoding:
    """What a model needs of any source: frames at its times, at its size.

    Attributes:
        spec: of the model that will see them.
        limits: what a source may cost.
        resident: decodes on the GPU that runs the model, where that works.
    """

    spec: ModelSpec
    limits: Limits
    resident: Resident | None

    @property
    def resize(self) -> Resize:
        """How frames are scaled; where the model takes several crops, they are cut out later."""
        resize = self.spec.resize
        return resize if self.spec.crops == 1 else replace(resize, crop=None)

    def clip(
        self,
        source: Source,
        decoders: DecodePool | None = None,
        *,
        with_views: bool = False,
        stream: int | None = None,
    ) -> Clip:
        """The frames that make a code; ``with_views``: all that it is seen by. Raises VideoError."""
        sampling, resize = self.spec.sampling, self.resize
        with _named(source):
            if decoders is not None:
                return decoders.decode(source, sampling, resize, with_views=with_views, stream=stream)
            if self.resident is not None and not with_views:
                return self.resident.decode(source, sampling, resize, stream=stream)
            with open_source(source, self.limits, stream=stream) as reader:
                return sample_views(reader, sampling, resize, parts=with_views)

    @contextmanager
    def reader(
        self, source: Source, decoders: DecodePool | None, *, box: Box | None, stream: int | None
    ) -> Iterator[Callable[[NDArray[np.float64]], Clip]]:
        """What gives the frames of a source at any times. Raises VideoError."""
        with _named(source):
            if decoders is not None:
                ask = partial(decoders.frames_at, source, stream=stream)
                yield lambda times: ask(times, self.resize, box=box)
                return
            with open_source(source, self.limits, stream=stream) as reader:
                yield lambda times: reader.frames_at(times, self.resize, box=box)


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """A decoder library's own surprise becomes a DecodeError that names the source."""
    try:
        yield
    except VhashError:
        raise
    except Exception as error:
        raise DecodeError(f"{describe(source)}: unexpected {type(error).__name__}: {error}") from error


def decode_pool(workers: int, limits: Limits) -> DecodePool:
    """Processes to decode in, which may be killed."""
    from ..video.isolation.pool import DecodePool

    return DecodePool(workers, limits)


def resident_of(runtime: Runtime, spec: ModelSpec, limits: Limits) -> Resident | None:
    """What decodes on the GPU that runs the model; None on a CPU."""
    if runtime.device == "cpu":
        return None
    from .resident import resident

    return resident(runtime, spec, limits)
