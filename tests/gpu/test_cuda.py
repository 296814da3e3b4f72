"""Device memory, streams and graphs: on a GPU where there is one, else over host memory."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from tests.host_cudart import HostCudart
from vhash_sdk.errors import BackendError, MissingDependencyError
from vhash_sdk.gpu import cuda, probe


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> HostCudart:
    runtime = HostCudart(memory=1 << 20)
    monkeypatch.setattr(cuda, "cudart", lambda: runtime)
    monkeypatch.setattr(probe, "cuda_devices", lambda: 1)
    return runtime


def round_trip() -> None:
    source = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    stream, pinned = cuda.Stream(), cuda.PinnedArray(source.shape, source.dtype)
    pinned.array[:] = source
    device = cuda.DeviceBuffer(source.nbytes).array(source.shape, source.dtype)
    again, row = np.empty_like(source), np.empty_like(source[:1])
    cuda.upload(device, pinned.array, stream.handle)
    cuda.download(again, device, stream.handle)
    cuda.download(row, device.first(1), stream.handle)
    stream.synchronize()
    assert np.array_equal(again, source) and np.array_equal(row, source[:1])

    def work() -> None:
        cuda.upload(device, pinned.array, stream.handle)
        cuda.download(again, device, stream.handle)

    graph = cuda.Graph(stream.handle, work)
    other = cuda.Stream()
    done = cuda.Event()
    done.record(stream.handle)
    done.make_wait(other.handle)
    pinned.array[:] = -source
    assert np.array_equal(again, source)  # recorded, not run
    graph.launch(other.handle)
    other.synchronize()
    assert np.array_equal(again, -source)


def test_copies_and_graphs(host: HostCudart) -> None:
    round_trip()
    gc.collect()
    assert not host.blocks and not host.streams and not host.graphs  # all of it was freed
    assert host.free_bytes == 1 << 20


@pytest.mark.needs_cuda
def test_copies_and_graphs_on_the_device() -> None:
    cuda.device_index("cuda:0")
    round_trip()


def test_a_failed_capture_leaves_the_stream_usable(host: HostCudart) -> None:
    stream = cuda.Stream()

    def work() -> None:
        cuda.DeviceBuffer(8)

    with pytest.raises(BackendError, match="cudaMalloc"):
        cuda.Graph(stream.handle, work)
    stream.synchronize()
    assert not host.graphs


def test_out_of_device_memory_says_what_to_do(host: HostCudart) -> None:
    with pytest.raises(BackendError, match="smaller batch"):
        cuda.DeviceBuffer(2 << 20)


def test_sizes_that_do_not_fit_are_refused(host: HostCudart) -> None:
    buffer = cuda.DeviceBuffer(16)
    with pytest.raises(BackendError, match="cannot hold"):
        buffer.array((5,), np.float32)
    array, stream = buffer.array((4,), np.float32), cuda.Stream()
    with pytest.raises(BackendError, match="cannot copy"):
        cuda.upload(array, np.zeros(5, np.float32), stream.handle)
    with pytest.raises(BackendError, match="cannot copy"):
        cuda.download(np.zeros((4, 2), np.float32)[:, 0], array, stream.handle)


def test_no_driver_is_an_error_that_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "cuda_devices", lambda: 0)
    for ask in (probe.compute_capability, probe.driver_version, lambda: cuda.device_index("cuda:0")):
        with pytest.raises(BackendError, match="device='cpu'"):
            ask()
    monkeypatch.setattr(probe, "cuda_devices", lambda: 2)
    with pytest.raises(BackendError, match="2 CUDA device"):
        probe.require_cuda(2)


def test_no_cuda_bindings_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    cuda.cudart.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"vhash-sdk\[trt\]"):
        cuda.cudart()
    cuda.cudart.cache_clear()


def test_arrays_are_what_others_take(host: HostCudart) -> None:
    array = cuda.DeviceBuffer(16).array((2, 2), np.float32)
    assert array.__cuda_array_interface__ == {
        "shape": (2, 2),
        "typestr": "<f4",
        "data": (array.pointer, False),
        "strides": None,
        "version": 3,
    }
