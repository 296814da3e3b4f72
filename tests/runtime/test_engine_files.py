"""Engines on disk: only our own are loaded, only whole ones, and only where they fit."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

from tests import host_tensorrt  # noqa: E402
from tests.host_cudart import HostCudart  # noqa: E402
from tests.host_gpu import pretend  # noqa: E402
from tests.tiny_model import save_tiny_model  # noqa: E402
from vhash_sdk import Encoder  # noqa: E402
from vhash_sdk.errors import BackendError, ModelError, OptionError  # noqa: E402
from vhash_sdk.gpu import probe  # noqa: E402
from vhash_sdk.models.modelfile import ModelFile, read_model  # noqa: E402
from vhash_sdk.runtime import engine_files  # noqa: E402
from vhash_sdk.runtime.engine_files import cached_engine, read_engine, sidecar_path  # noqa: E402
from vhash_sdk.runtime.tensorrt_build import BuildOptions, build_engine  # noqa: E402

OPTIONS = BuildOptions(precision="fp32")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HostCudart:
    return pretend(monkeypatch, tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return read_model(save_tiny_model(tmp_path / "tiny.onnx"))


def test_an_engine_comes_from_the_cache_the_second_time(host: HostCudart, model: ModelFile) -> None:
    built = host_tensorrt.Builder.built
    first = cached_engine(model, OPTIONS)
    assert cached_engine(model, OPTIONS) == first and host_tensorrt.Builder.built == built + 1
    assert first.spec == model.spec and first.file.precision == "fp32"
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert list(first.path.parent.glob("timings-*"))  # later builds start from its timings


@pytest.mark.parametrize("changed", ["version", "capability", "driver", "profile", "precision", "model"])
def test_another_machine_profile_or_model_is_another_engine(
    host: HostCudart, model: ModelFile, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_engine(model, OPTIONS)
    options = OPTIONS
    if changed == "version":
        later = host_tensorrt.module(host, "11.5.0")
        monkeypatch.setattr(engine_files, "import_tensorrt", lambda flavour: later)
        monkeypatch.setattr("vhash_sdk.runtime.tensorrt_build.import_tensorrt", lambda flavour: later)
    elif changed == "capability":
        monkeypatch.setattr(probe, "compute_capability", lambda device=0: (9, 0))
    elif changed == "driver":
        monkeypatch.setattr(probe, "driver_version", lambda: 13010)
    elif changed == "profile":
        options = replace(OPTIONS, batches=(1, 4, 16))
    elif changed == "precision":
        options = replace(OPTIONS, precision="fp16")
        monkeypatch.setattr("vhash_sdk.runtime.onnx_graph.half_precision", lambda model, precision: model)
    else:  # an export of the same model with another output: same fingerprint
        model = replace(model, content=model.content + onnx.ModelProto(doc_string="x").SerializeToString())
    second = cached_engine(model, options)
    assert second.path != first.path and second.spec.fingerprint == first.spec.fingerprint


def test_a_damaged_engine_is_built_anew(host: HostCudart, model: ModelFile) -> None:
    path = cached_engine(model, OPTIONS).path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(ModelError, match="SHA-256"):
        read_engine(path)
    cached_engine(model, OPTIONS)
    assert path.read_bytes() == content


def test_engines_of_others_are_refused(
    host: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cached_engine(model, OPTIONS).path
    os.chmod(path, 0o666)
    with pytest.raises(ModelError, match="written by others"):
        read_engine(path)
    os.chmod(path, 0o600)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    if path.stat().st_uid == 0:  # root's are trusted
        os.chown(path, 4321, -1)
    with pytest.raises(ModelError, match="not to you"):
        read_engine(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "format 2"),
        ({"options": {}}, "not readable"),
        ({"metadata": {}}, "not readable"),
        ({"metadata": {"vhash.spec": "{}"}}, "model spec"),
    ],
)
def test_a_broken_sidecar_is_an_error(
    host: HostCudart, model: ModelFile, change: dict[str, Any], says: str
) -> None:
    path = cached_engine(model, OPTIONS).path
    sidecar = sidecar_path(path)
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    with pytest.raises(ModelError, match=says):
        read_engine(path)
    sidecar.unlink()
    with pytest.raises(ModelError, match=r"no such file.*to_trt"):
        read_engine(path)


def test_an_engine_file_is_run_where_it_fits_and_refused_elsewhere(
    host: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cached_engine(model, OPTIONS).path
    with Encoder(path) as encoder:
        assert encoder.info() | {"file": ""} == {
            **encoder.info(), "file": "", "backend": "tensorrt", "device": "cuda:0", "precision": "fp32",
        }  # fmt: skip
        assert encoder.spec == model.spec
    for options in ({"device": "cpu"}, {"backend": "openvino"}, {"precision": "int8"}):
        with pytest.raises(OptionError):
            Encoder(path, **options)  # type: ignore[arg-type]
    monkeypatch.setattr(probe, "compute_capability", lambda device=0: (9, 0))
    with pytest.raises(ModelError, match=r"compute capability 8\.9, cuda:0 has 9\.0.*build it again"):
        Encoder(path)
    monkeypatch.setattr(engine_files, "import_tensorrt", lambda flavour: host_tensorrt.module(host, "11.5.0"))
    with pytest.raises(ModelError, match=r"TensorRT 11\.4\.1, here is 11\.5\.0"):
        Encoder(path)
    monkeypatch.setattr(probe, "cuda_devices", lambda: 0)  # before TensorRT's runtime, which would crash
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        Encoder(path)


def test_another_driver_is_a_warning_for_an_engine_of_the_user(
    host: HostCudart, model: ModelFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = cached_engine(model, OPTIONS).path
    monkeypatch.setattr(probe, "driver_version", lambda: 13010)
    with Encoder(path):
        assert "CUDA driver 13000" in caplog.text


def test_progress_is_told_and_may_stop_the_build(host: HostCudart, model: ModelFile) -> None:
    told: list[float] = []
    build_engine(model, OPTIONS, progress=lambda phase, share: told.append(share) is None)
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told)
    with pytest.raises(BackendError, match="stopped"):
        build_engine(model, OPTIONS, progress=lambda phase, share: share < 0.4)


def test_a_build_that_fails_says_what_tensorrt_said(host: HostCudart, model: ModelFile) -> None:
    with pytest.raises(BackendError, match=r"OutOfMemory.*more workspace"):
        build_engine(model, replace(OPTIONS, workspace=1e-6))


def test_timings_are_carried_over(host: HostCudart, model: ModelFile) -> None:
    _, first = build_engine(model, OPTIONS)
    _, second = build_engine(model, OPTIONS, timing_cache=first)
    assert second == first * 2


def test_the_kernels_that_rtx_compiled_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: ModelFile
) -> None:
    pretend(monkeypatch, tmp_path, "rtx")
    for times in (1, 2):
        encoder = Encoder(model.path, backend="tensorrt", precision="fp32")
        path = Path(encoder.info()["file"])
        encoder.close()
        assert path.with_name(path.name + ".kernels").read_bytes() == b"kernels " * times


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"flavour": "trt"}, "flavour='trt'"),
        ({"precision": "fp8"}, "precision='fp8'"),
        ({"batches": (2, 1, 8)}, "batches="),
        ({"effort": 6}, "effort=6"),
        ({"workspace": 0}, "workspace=0"),
        ({"compute_capabilities": ("8.9",)}, "flavour='rtx'"),
        ({"flavour": "rtx", "compute_capabilities": ("9.0",)}, "H100"),
        ({"flavour": "rtx", "version_compatible": True}, "several"),
    ],
)
def test_options_outside_the_allowed_set_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        BuildOptions(**options)
