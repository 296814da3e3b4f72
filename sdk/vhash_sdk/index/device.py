"""Exact Hamming search in the memory of an NVIDIA GPU: the results are those of ``Index``, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import BackendError, OptionError
from ..gpu.module import cuda_module
from ..system.checks import check_choice, checked_count
from .arguments import Codes, checked_codes, checked_range, eligible_ids
from .base import BaseIndex
from .matches import Matches, RangeMatches

if TYPE_CHECKING:
    from ..gpu.cuda import DeviceArray

Method = Literal["auto", "few", "popc", "slices", "s8", "b1"]
_CHUNK = 1 << 22  # codes that are copied at once


class CudaIndex:
    """A copy of an index in device memory, as it was when ``Index.to`` made it.

    Later changes of the index are not seen: copy it again. Codes take 8, 16, 32 or 64 bytes each up to
    64, 128, 256 or 512 bits (more: rounded up to 16 bytes), and 8 more where ids have gaps. Calls may
    come from several threads; the device runs one after the other.

    Args:
        index: what to copy.
        device: ``cuda`` or ``cuda:N``.

    Raises:
        BackendError: no driver, no such device, or not enough memory there.
        MissingDependencyError: this installation has no CUDA kernels.
        OptionError: ``device`` is not one of those.
    """

    def __init__(self, index: BaseIndex, *, device: str = "cuda") -> None:
        number = _device_number(device)
        module = cuda_module()
        if not 0 <= number < module.device_count():
            raise BackendError(
                f"device {device!r}: there are {module.device_count()} CUDA devices here (0: no driver or "
                "GPU); search the index where it is, on the CPU"
            )
        self._bits, self._model = index.bits, index.model
        self._ids: NDArray[np.int64] | None  # None: they are _base, _base + 1, ...
        self._engine = self._copied(index, module, number)

    def _copied(self, index: BaseIndex, module: Any, number: int) -> Any:
        rows = index._engine.rows()
        chunks: Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]] = iter(lambda: rows.next(_CHUNK), None)
        consecutive = False
        if rows.ordered:
            first, last = rows.bounds or (0, rows.live - 1)
            consecutive = last - first + 1 == rows.live
        else:  # ties are broken by row on the device, so rows have to ascend with ids
            parts = list(chunks)
            codes, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(ids)
            chunks = iter([(codes[order], ids[order])])
        self._base = first if consecutive else 0
        engine = module.DeviceIndex(
            index.bits, rows.live, device=number, with_ids=not consecutive, id_base=self._base
        )
        kept = [np.empty(0, np.int64)]
        for codes, ids in chunks:
            engine.append(codes, None if consecutive else ids)
            if not consecutive:
                kept.append(ids)
        self._ids = None if consecutive else np.concatenate(kept)
        return engine

    @property
    def bits(self) -> int:
        """Width of the codes, in bits."""
        return self._bits

    @property
    def model(self) -> str | None:
        """Fingerprint of the model whose codes these are, or None where it is not known."""
        return self._model

    @property
    def device(self) -> str:
        """``cuda:N``."""
        return f"cuda:{self._engine.device}"

    @property
    def nbytes(self) -> int:
        """Device memory in use, in bytes."""
        return int(self._engine.nbytes)

    def __len__(self) -> int:
        return len(self._engine)

    def __repr__(self) -> str:
        return f"CudaIndex({self.bits}, codes={len(self)}, {self.device})"

    def search(
        self, codes: Codes, k: int = 10, *, among: ArrayLike | None = None, method: Method = "auto"
    ) -> Matches:
        """Find the k nearest codes of each query, by (distance, id); see ``Index.search``.

        Args:
            codes: the queries.
            k: how many neighbours of each.
            among: eligible ids, or a boolean mask with a place for each id from 0; None: all.
            method: how to scan (see csrc/cuda/hamming_kernels.cuh); all give the same. For measurements.
        """
        check_choice("method", method, get_args(Method))
        array, _ = checked_codes(codes, self.bits, self.model)
        engine, wanted = self._eligible(among), checked_count("k", k, 0)
        return Matches(*engine.search(array, None, wanted, method=method))

    def range_search(
        self,
        codes: Codes,
        radius: int,
        *,
        limit: int | None = None,
        among: ArrayLike | None = None,
        method: Method = "auto",
    ) -> RangeMatches:
        """Find all codes within ``radius`` bits (inclusive) of each query; see ``Index.range_search``."""
        check_choice("method", method, get_args(Method))
        array, _ = checked_codes(codes, self.bits, self.model)
        within, most = checked_range(radius, limit, self.bits)
        engine = self._eligible(among)
        return RangeMatches(*engine.range_search(array, None, within, most, method=method))

    def search_device(self, codes: DeviceArray, k: int = 10, *, stream: int = 0) -> Matches:
        """The same for queries ``uint8[n, bytes]`` in device memory, ready on ``stream`` (a cudaStream_t).

        Only the result comes to the host.
        """
        expected = ((self.bits + 7) // 8,)
        if codes.dtype != np.uint8 or codes.shape[1:] != expected:
            raise OptionError(
                f"codes {codes.dtype}{list(codes.shape)} on the device: expected uint8 [n, {expected[0]}]"
            )
        found = self._engine.search(codes.pointer, codes.shape[0], checked_count("k", k, 0), stream=stream)
        return Matches(*found)

    def _eligible(self, among: ArrayLike | None) -> Any:
        wanted = eligible_ids(among)
        if wanted is None:
            return self._engine
        wanted = np.unique(wanted)
        if self._ids is None:
            rows = wanted[(wanted >= self._base) & (wanted < self._base + len(self))] - self._base
        else:
            places = np.searchsorted(self._ids, wanted)
            places = places[places < len(self)]
            rows = places[np.isin(self._ids[places], wanted)]
        return self._engine.take(np.ascontiguousarray(rows, np.int64))


def _device_number(device: str) -> int:
    number = device.removeprefix("cuda").removeprefix(":") or "0"
    if not device.startswith("cuda") or not number.isdecimal():
        raise OptionError(f"device={device!r}; allowed: 'cuda', 'cuda:0' and so on")
    return int(number)
