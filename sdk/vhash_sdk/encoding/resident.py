"""From file to code in the memory of one GPU: NVDEC, frame kernel and network, without a way back.

What comes to the host is the result, and a sixteenth of the pixels, from which is told whether a
video has enough in it (``reliability``). Threads that decode the next videos while the network runs on
one batch keep the decoder and the multiprocessors busy at once: each has its own decoder and stream.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, MissingDependencyError
from ..gpu.cuda import DeviceArray, DeviceBuffer, Stream, call, cudart, download, upload
from ..runtime import Output, Runtime
from ..runtime.device import DeviceRuntime
from ..spec import ModelSpec, Resize, Sampling
from ..video import Clip, Limits, Source, open_source
from ..video.nvdec import NvdecDecoder
from .reliability import STRIDE, thinned

if TYPE_CHECKING:
    from ..index.device import CudaIndex
    from ..index.matches import Matches

logger = logging.getLogger("vhash_sdk")


class Resident:
    """The stages before and around a network on a GPU. May be shared by threads.

    Args:
        runtime: the network.
        spec: of its model, with one crop.
        limits: what a source may cost.

    Raises:
        BackendError, MissingDependencyError: a stage does not work here; the message says which and why.
    """

    def __init__(self, runtime: DeviceRuntime, spec: ModelSpec, limits: Limits) -> None:
        self._device = int(runtime.device.removeprefix("cuda:"))
        self.decoder = NvdecDecoder(device=self._device, limits=limits)
        self._runtime, self._spec = runtime, spec
        self._stream = Stream()
        self._lock = threading.Lock()
        self._batch: DeviceBuffer | None = None  # used again, by one batch at a time

    def decode(
        self, source: Source, sampling: Sampling, resize: Resize, *, stream: int | None = None
    ) -> Clip:
        """Frames on the device (a ``DeviceArray``), or on the host where NVDEC cannot. Raises VideoError."""
        with open_source(source, self.decoder.limits, decoder=self.decoder, stream=stream) as reader:
            return reader.sample(sampling, resize)

    def run(self, clips: list[Clip]) -> Output:
        """The network on the frames of some clips, wherever they are."""
        with self._lock:
            return self._runtime.run(cast(Any, self._gathered(clips)))

    def nearest(self, clips: list[Clip], index: CudaIndex, k: int = 10) -> Matches:
        """The nearest codes in an index on the same device: only they come to the host.

        Frames, network and search follow each other on one stream.
        """
        with self._lock:
            frames, stream = self._gathered(clips), self._stream
            out = self._runtime.allocate(len(clips))
            codes = self._runtime.run_device(frames.pointer, len(clips), stream.handle, out).codes
            return index.search_device(codes, k, stream=stream.handle)

    def thinned(self, clip: Clip) -> NDArray[np.uint8]:
        """What ``reliability`` looks at of its frames, on the host."""
        frames: Any = clip.frames
        if not isinstance(frames, DeviceArray):
            return thinned(clip.frames)
        count, height, width = frames.shape[:3]
        thin = np.empty((count, -(-height // STRIDE), -(-width // STRIDE), 3), np.uint8)
        out = DeviceBuffer(thin.nbytes).array(thin.shape, np.uint8)
        with self._lock:
            stream = self._stream
            self.decoder.scaler.thin(
                frames.pointer, count, (height, width), STRIDE, out.pointer, stream=stream.handle
            )
            download(thin, out, stream.handle)
            stream.synchronize()
        return thin

    def _gathered(self, clips: list[Clip]) -> DeviceArray:
        """Their frames as one batch ``uint8[n, 1, T, H, W, 3]`` on the device."""
        shape = (len(clips), *self._spec.input_shape)
        call("cudaSetDevice", self._device)
        first: Any = clips[0].frames
        if len(clips) == 1 and isinstance(first, DeviceArray):
            return DeviceArray(first.pointer, shape, first.dtype, first)
        size = int(np.prod(shape))
        if self._batch is None or self._batch.nbytes < size:
            self._batch = DeviceBuffer(size)
        batch, part = self._batch.array(shape, np.uint8), size // len(clips)
        kind, stream = cudart().cudaMemcpyKind.cudaMemcpyDeviceToDevice, self._stream
        for i, clip in enumerate(clips):
            frames: Any = clip.frames
            place = DeviceArray(batch.pointer + i * part, frames.shape, batch.dtype, batch)
            if isinstance(frames, DeviceArray):
                call("cudaMemcpyAsync", place.pointer, frames.pointer, part, kind, stream.handle)
            else:
                upload(place, np.ascontiguousarray(frames), stream.handle)
        stream.synchronize()  # the network has a stream of its own
        return batch


def resident(runtime: Runtime, spec: ModelSpec, limits: Limits) -> Resident | None:
    """The resident pipeline around a network, where every stage of it is there; else None.

    On a GPU one warning says what is missing.
    """
    if not isinstance(runtime, DeviceRuntime) or spec.crops != 1:
        return None
    try:
        return Resident(runtime, spec, limits)
    except (BackendError, MissingDependencyError) as error:
        logger.warning("decoding and scaling frames on the CPU: %s", error)
        return None
