"""The seam of the resident pipeline: runtimes that take frames and leave codes in device memory.

TensorRT and ONNX Runtime's CUDA path implement ``DeviceRuntime`` beside ``Runtime``; those on a
CPU do not: ``isinstance(runtime, DeviceRuntime)`` tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..gpu.cuda import DeviceArray, DeviceBuffer, PinnedArray
from ..gpu.dlpack import from_device, on_device
from ..spec import ModelSpec
from . import Output, Runtime


class DeviceOutput(NamedTuple):
    """``Output``, in device memory; shapes and dtypes as there."""

    codes: DeviceArray
    logits: DeviceArray
    embeddings: DeviceArray
    frame_logits: DeviceArray | None = None

    def first(self, count: int) -> DeviceOutput:
        """The first ``count`` rows of each, without copying."""
        return DeviceOutput(*(None if array is None else array.first(count) for array in self))  # type: ignore[arg-type]


@runtime_checkable
class DeviceRuntime(Runtime, Protocol):
    """A model that runs on frames in device memory.

    ``run_device`` may be called from several threads; what it puts on the caller's stream is in the
    order of the calls. A double-buffered pipeline keeps two outputs of ``allocate`` and two buffers of
    frames: CUDA graphs are recorded for each (batch, addresses) and launched again.
    """

    @property
    def stream(self) -> int:
        """The ``cudaStream_t`` that ``run`` uses."""

    @property
    def max_batch(self) -> int:
        """The largest batch that ``run_device`` takes."""

    def run(self, frames: NDArray[np.uint8] | DeviceArray) -> Output:
        """As ``Runtime.run``, of frames on either side; those in device memory are used where they are."""

    def allocate(self, batch: int) -> DeviceOutput:
        """Device memory for what ``run_device`` gives for up to ``batch`` videos."""

    def run_device(self, frames: int, batch: int, stream: int, out: DeviceOutput) -> DeviceOutput:
        """Encode ``batch`` videos whose frames lie in device memory, without waiting for the result.

        Args:
            frames: address of ``uint8[batch, crops, T, H, W, 3]``, C-contiguous.
            batch: 1 to ``max_batch``.
            stream: the ``cudaStream_t`` on which the frames become ready and ``out`` will be ready.
            out: where to, from ``allocate``; reading it belongs on the same stream.

        Returns:
            the first ``batch`` rows of ``out``.

        Raises:
            BackendError: the batch is too large, or the device fails (then at the next
                synchronisation at the latest).
        """


def arrays_of(out: DeviceOutput) -> list[DeviceArray]:
    """The arrays that are there, in the order of the graph's outputs."""
    return [array for array in out if array is not None]


def split(frames: NDArray[np.uint8] | DeviceArray, most: int) -> list[NDArray[np.uint8]] | list[DeviceArray]:
    """A batch in parts of at most ``most``, none copied."""
    starts = range(0, frames.shape[0], most)
    if isinstance(frames, np.ndarray):
        return [frames[start : start + most] for start in starts]
    size, total = frames.nbytes // max(frames.shape[0], 1), frames.shape[0]
    return [
        DeviceArray(
            frames.pointer + start * size,
            (min(most, total - start), *frames.shape[1:]),
            frames.dtype,
            frames.owner,
        )
        for start in starts
    ]


def run_in_parts(
    frames: NDArray[np.uint8] | DeviceArray,
    run_part: Callable[[NDArray[np.uint8] | DeviceArray], list[NDArray[Any]]],
    *,
    most: int,
    stream: int,
) -> Output:
    """Run a batch of any size in parts of at most ``most``.

    Frames that are on the GPU already (DLPack, CUDA array interface) are used where they are.
    """
    taken = from_device(frames, stream) if on_device(frames) else frames
    parts = [run_part(part) for part in split(taken, most)]
    return Output(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Room:
    """Memory on both sides for batches up to the size of ``out``."""

    def __init__(self, spec: ModelSpec, out: DeviceOutput) -> None:
        self.batch, self.out = out.codes.shape[0], out
        frames = (self.batch, *spec.input_shape)
        self._pinned = [PinnedArray(frames, np.uint8)]
        self._pinned += [PinnedArray(array.shape, array.dtype) for array in arrays_of(out)]
        self.host_frames, *self.host_out = (pinned.array for pinned in self._pinned)
        self.frames: DeviceArray = DeviceBuffer(self.host_frames.nbytes).array(frames, np.uint8)


def allocate_output(spec: ModelSpec, batch: int, *, frame_logits: bool) -> DeviceOutput:
    """Device memory for the output of ``batch`` videos of a model. Raises BackendError."""

    def array(shape: tuple[int, ...], dtype: type) -> DeviceArray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return DeviceBuffer(size).array(shape, dtype)

    return DeviceOutput(
        array((batch, (spec.bits + 7) // 8), np.uint8),
        array((batch, spec.bits), np.float32),
        array((batch, spec.embedding), np.float32),
        array((batch, spec.sampling.frames, spec.bits), np.float32) if frame_logits else None,
    )
