"""From videos to codes: decode, sample, run the network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, get_args

from ..codes import VideoCode
from ..errors import OptionError
from ..matching.calibration import Calibration, as_calibration
from ..matching.sequence import Segments, Sequence
from ..matching.windows import check_windows, segment_rate, segments_of
from ..runtime import Output, Runtime
from ..runtime.choice import Backend, Precision, check_options, choose, run_frames
from ..runtime.onnx import usable_cores
from ..spec import ModelSpec
from ..system.checks import MAX_THREADS, check_choice, check_kind, check_positive, checked_count, checked_path
from ..system.unpicklable import NotPickled
from ..video import Box, Clip, Limits, Source
from .decoding import Decoding, decode_pool, resident_of
from .encoded import Detail, Encoded
from .network import Coded, calibration_of, codes_of, sequence_of
from .stream import check_sources, with_progress
from .stream import stream as encode_stream

if TYPE_CHECKING:
    from ..video.isolation.pool import DecodePool


class EncoderOptions(TypedDict, total=False):
    """The options of ``Encoder``, for what makes one by another way; a test holds them together."""

    device: str
    backend: Backend
    precision: Precision
    threads: int | None
    limits: Limits | None
    calibration: Calibration | str | os.PathLike[str] | None


class Encoder(NotPickled):
    """Turns videos into codes. May be shared by threads.

    Args:
        model: an alias (``default``, ``small``, ``semantic``), the name of a bundled model or one of your
            own (``models/registry.py``), a ``.onnx`` file, a folder of a model, or a TensorRT ``.engine``.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        backend: ``auto`` (what was measured to be faster), ``onnxruntime``, ``openvino`` (CPU) or
            ``tensorrt`` (builds an engine at first, kept in the user's cache).
        precision: ``auto`` (int8 on a CPU), ``int8``, ``fp32`` or ``fp16`` (no CPU backend has it).
        threads: CPU threads; None: all cores.
        limits: what a source may cost before it is refused.
        calibration: what its distances mean; a file from ``vhash calibrate``. None: that of the model.

    ``auto`` may fall back, with one warning that says why; an explicit request raises instead.

    Raises:
        ModelNotFoundError, ModelError: no such model, or not one that can be used.
        BackendError, MissingDependencyError: the device or backend does not work here.
        OptionError: an argument is outside the allowed set.

    >>> import numpy as np
    >>> from vhash_sdk import Encoder
    >>> with Encoder() as encoder:
    ...     code = encoder.encode(np.zeros((30, 240, 320, 3), np.uint8))
    >>> code.bits
    256
    """

    _instead = "make one in each process, or in each worker's initializer"

    def __init__(
        self,
        model: str | os.PathLike[str] = "default",
        *,
        device: str = "auto",
        backend: Backend = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        limits: Limits | None = None,
        calibration: Calibration | str | os.PathLike[str] | None = None,
    ) -> None:
        check_kind("model", model, (str, os.PathLike), "the name of a bundled model, or the path of a file")
        checked_path("model", model)
        check_options(device, backend, precision)
        if limits is not None:
            check_kind("limits", limits, Limits, "vhash_sdk.Limits, or None")
        given = as_calibration(calibration)
        self._threads = (
            usable_cores()
            if threads is None
            else checked_count("threads", threads, 1, MAX_THREADS, none="all cores")
        )
        self._limits = limits or Limits()
        self._choice = choose(model, device=device, backend=backend, precision=precision)
        self._model, self._device = self._choice.model, self._choice.device
        self._calibration = calibration_of(given, self._model)
        self._latency = self._choice.start(self._threads)
        self._resident = resident_of(self._latency, self.spec, self._limits)
        self._decoding = Decoding(self.spec, self._limits, self._resident)
        # one thread a run: encode_many is parallel over videos, which scales better than within one
        self._throughput: Runtime | None = None

    @classmethod
    def from_pretrained(
        cls,
        repo_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        **options: Unpack[EncoderOptions],
    ) -> Self:
        """An encoder of a model on a hub, by ``OWNER/NAME``, or of what else ``Encoder`` takes.

        Only ONNX files are loaded, checked against the digests and the fingerprint that the repository
        lists; a repository can run nothing here. Needs the extra ``hub`` for repositories.

        Args:
            repo_or_path: ``OWNER/NAME``, or a folder, file or name.
            revision: of a repository: a branch, tag or commit. None: its main branch.
            **options: ``device``, ``backend``, ``precision``, ``threads``, ``limits`` and ``calibration``, as
                for ``Encoder``.

        Raises:
            ModelNotFoundError, ModelError: no such repository or revision, or not a model of vhash.
            UnreachableError: the hub gives no answer, and the model is not in the cache.

        >>> Encoder.from_pretrained("small").spec.bits
        64
        """
        from ..models.hub import pretrained

        signature(cls).bind(repo_or_path, **options)  # a slip is said before anything is fetched
        return cls(pretrained(repo_or_path, revision=revision), **options)

    @property
    def spec(self) -> ModelSpec:
        """What decides the codes: name, bits, sampling, resize, fingerprint."""
        return self._model.spec

    @property
    def limits(self) -> Limits:
        """What a source may cost before it is refused."""
        return self._limits

    @property
    def calibration(self) -> Calibration | None:
        """What distances mean: the table given, else that of the model; None where it has none."""
        return self._calibration

    def threshold(self, fmr: float = 1e-4) -> int:
        """The largest distance at which videos of different scenes match at a rate of at most ``fmr``.

        Raises:
            OptionError: the model has no calibration, or its pairs cannot support so small a rate.
        """
        if self._calibration is None:
            raise OptionError(
                f"{self.spec.name} has no calibration, so no distance has a known false-match rate; "
                "make one with `vhash calibrate` and give it as calibration="
            )
        return self._calibration.threshold(fmr)

    def info(self) -> dict[str, Any]:
        """What really runs: model, backend, device, precision, and where frames are decoded and scaled."""
        spec = self.spec
        return {
            "model": spec.name,
            "version": spec.version,
            "fingerprint": spec.fingerprint,
            "bits": spec.bits,
            "file": str(self._model.path),
            "backend": self._latency.backend,
            "device": self._latency.device,
            "precision": self._latency.precision,
            "decoder": "pyav" if self._resident is None else self._resident.decoder.name,
            "frames": "cpu" if self._resident is None else self._latency.device,
            "threads": self._threads,
        }

    def encode(self, source: Source, *, stream: int | None = None) -> VideoCode:
        """The code of one video.

        Args:
            source: a path, the bytes of a file, a binary file object, frames ``uint8[T, H, W, 3]``
                (RGB) as an array or anything with DLPack.
            stream: which of its video streams, from 0, cover pictures not counted. None: the one marked
                as default, else the longest (``vhash_sdk.video.streams``).

        Raises:
            VideoError: the source cannot be read; the subclass says why.
        """
        clip = self._decoding.clip(source, stream=stream)
        return codes_of([clip], self._latency, self._model, self._resident)[0][0]

    def encode_many(
        self,
        sources: Iterable[Source],
        *,
        workers: int | None = None,
        batch_size: int | None = None,
        isolate: bool = False,
        detail: Detail = "code",
        stream: int | None = None,
        progress: bool = False,
    ) -> Iterator[Encoded]:
        """Codes of many videos, in the order of the input; a bad source never stops the others.

        Decoding and inference overlap over the cores; only a few videos are in memory at a time,
        so ``sources`` may be an endless generator.

        Args:
            sources: what ``encode`` takes.
            workers: videos in work at once; None: one a core.
            batch_size: videos in one run of the network; None: 1 on a CPU, 8 on a GPU.
            isolate: decode in processes of their own, which are killed at the time and memory limits:
                no source can crash, hang or bloat this one. Linux only.
            detail: how much to tell of each video. ``code``: the code of the whole picture. ``box``: also
                that of the content box (between bars, over a blurred fill, inset in another video), as
                ``Encoded.box``, and the panes of a split screen, as ``Encoded.panes``; a video that has
                them is decoded two or three times. ``views``: also the logits of the sampled frames of
                all, as ``sequence``, which is what a library keeps and a second look compares. It takes
                the place of ``frames=`` and ``box=``, which are no longer taken.
            stream: as in ``encode``, of every source.
            progress: show a progress bar on standard error.

        >>> import numpy as np
        >>> clips = [np.zeros((30, 64, 64, 3), np.uint8), "missing.mp4"]
        >>> [result.error is None for result in Encoder().encode_many(clips)]
        [True, False]
        """
        check_sources(sources)
        check_choice("detail", detail, get_args(Detail))
        if workers is None:
            workers = self._threads
        if batch_size is None:
            batch_size = 1 if self._device == "cpu" else 8
        checked_count("workers", workers, 1, MAX_THREADS, none="one a core")
        checked_count("batch_size", batch_size, 1, MAX_THREADS, none="1 on a CPU, 8 on a GPU")
        results = self._stream(
            sources, workers=workers, batch_size=batch_size, isolate=isolate, detail=detail, stream=stream
        )  # fmt: skip
        return with_progress(results, sources) if progress else results

    def _stream(
        self,
        sources: Iterable[Source],
        *,
        workers: int,
        batch_size: int,
        isolate: bool,
        detail: Detail,
        stream: int | None,
    ) -> Iterator[Encoded]:
        if self._throughput is None:
            self._throughput = self._choice.start(1) if self._device == "cpu" else self._latency
        runtime = self._throughput
        decoders = decode_pool(workers, self._limits) if isolate else None

        def code(clips: list[Clip]) -> list[Coded]:
            found = codes_of(clips, runtime, self._model, self._resident)
            return found if detail == "views" else [(code, None) for code, _ in found]

        def decode(source: Source) -> Clip:
            return self._decoding.clip(source, decoders, with_views=detail != "code", stream=stream)

        # isolated, a source may well hang until its time is up: the others go on meanwhile
        window = (8 if isolate else 2) * workers + batch_size
        return encode_stream(
            sources, decode, code, workers=workers, batch_size=batch_size, window=window,
            during=decoders or nullcontext(),
        )  # fmt: skip

    def encode_segments(self, source: Source, *, window: float, hop: float, shots: bool = False) -> Segments:
        """Codes of windows of ``window`` seconds that start every ``hop`` seconds.

        The last window ends with the video; a video shorter than ``window`` is one segment. Every
        frame passes the network once, however much the windows overlap.

        Args:
            source: what ``encode`` takes.
            window, hop: in seconds.
            shots: look for cuts, and let no window cross one.

        Raises:
            OptionError: ``window`` or ``hop`` is not positive.
            VideoError: the source cannot be read.
        """
        check_windows(window, hop)
        sequence = self.encode_sequence(source, rate=segment_rate(window, hop))
        return segments_of(sequence, window=window, hop=hop, shots=shots)

    def encode_sequence(
        self,
        source: Source,
        *,
        rate: float = 2.0,
        box: Box | None = None,
        decoders: DecodePool | None = None,
        stream: int | None = None,
    ) -> Sequence:
        """Frame logits on a uniform grid of times, from which codes of any span follow.

        Args:
            source: what ``encode`` takes.
            rate: frames per second; a video shorter than ``1 / rate`` has one frame.
            box: only this part of the picture.
            decoders: processes to decode in, so that no source can take this one down.
            stream: as in ``encode``.

        Raises:
            OptionError: ``rate`` is not positive, or the model does not look at single frames.
            VideoError: the source cannot be read.
        """
        check_positive("rate", rate, "frames per second", most=1000)
        if box is not None:
            check_kind("box", box, Box, "a Box, or None")
        with self._decoding.reader(source, decoders, box=box, stream=stream) as read:
            return sequence_of(read, self._latency, self._model, rate=rate)

    def encode_frames(self, frames: Any) -> Output:
        """The bare network: frames ``uint8[batch, crops, T, H, W, 3]`` (RGB, at the model's size)
        to ``(codes, logits, embeddings)``. Tensors on the encoder's GPU are used where they are.

        Raises:
            OptionError: shape or dtype are not the model's.
        """
        return run_frames(self._latency, self.spec, frames)

    def close(self) -> None:
        """Free the network. The encoder cannot be used afterwards."""
        self._latency.close()
        if self._throughput is not None and self._throughput is not self._latency:
            self._throughput.close()
        self._throughput = self._latency  # else another one would be started for the next batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        runtime = self._latency
        return f"Encoder({self.spec.name}, {self.spec.bits} bits, {runtime.precision} on {runtime.device})"
