"""The doctor: it must see what is broken, not only what works."""

from __future__ import annotations

import json
import runpy
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vhash_sdk import VideoCode
from vhash_sdk.doctor import diagnose, doctor, references
from vhash_sdk.doctor.trials import in_process
from vhash_sdk.gpu import probe
from vhash_sdk.models import zoo


def test_this_machine_works() -> None:
    found = list(diagnose())
    assert [f"{c.name}: {c.detail}" for c in found if c.status == "failed"] == []
    assert {c.section for c in found} == {"machine", "packages", "engine", "backends", "gpu", "models"}
    by_name = {c.name: c for c in found}
    assert by_name["CPUExecutionProvider"].detail == "runs"
    assert by_name["numpy"].detail == np.__version__


def test_every_bundled_model_has_a_reference() -> None:
    known = json.loads(references.REFERENCES.read_text())
    fingerprints = {zoo.load(name).spec.fingerprint for name in zoo.names()}
    assert set(known) == fingerprints, "models changed: run `python -m vhash_sdk.doctor`"


def test_the_references_are_written_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = json.loads(references.REFERENCES.read_text())
    path = zoo.model_path("small")
    (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    monkeypatch.setattr(references, "REFERENCES", tmp_path / "references.json")
    runpy.run_module("vhash_sdk.doctor", run_name="__main__")
    ((fingerprint, text),) = json.loads((tmp_path / "references.json").read_text()).items()
    assert VideoCode.from_text(text) - VideoCode.from_text(known[fingerprint]) <= 4


def test_a_wrong_code_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = json.loads(references.REFERENCES.read_text())
    flipped = {key: text[:-16] + f"{int(text[-16:], 16) ^ (2**64 - 1):016x}" for key, text in known.items()}
    file = tmp_path / "references.json"
    file.write_text(json.dumps(flipped))
    monkeypatch.setattr(references, "REFERENCES", file)
    assert {check.status for check in doctor._models()} == {"failed"}
    file.write_text("{}")
    assert all("no reference" in check.detail for check in doctor._models())


def test_a_provider_that_only_pretends_does_not_run() -> None:
    # in every CPU wheel, and it runs nothing on its own
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime does not list Azure")
    assert in_process("provider", "AzureExecutionProvider") != "ok"
    assert in_process("provider", "NoSuchProvider") != "ok"


def test_a_crash_is_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "ended with -6" in in_process("provider", "CPUExecutionProvider")


def test_clashing_wheels_and_missing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "av":
            raise metadata.PackageNotFoundError(name)
        return "1.31.0" if name == "onnxruntime-gpu" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {check.name: check for check in doctor._packages()}
    assert found["onnxruntime wheels"].status == "warning"
    assert "--force-reinstall onnxruntime-gpu" in found["onnxruntime wheels"].remedy
    assert found["av"].status == "failed" and "pip install" in found["av"].remedy


def test_an_onnxruntime_without_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    (check,) = list(doctor._backends())
    assert check.status == "failed" and "vhash-sdk[cpu]" in check.remedy


def test_no_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    (check,) = list(doctor._models())
    assert check.status == "failed"


def test_a_surprise_is_reported_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(doctor, "_cpu_name", broken)
    found = list(diagnose())
    assert any(c.status == "failed" and "surprise" in c.detail for c in found)
    assert any(c.section == "models" for c in found)


@pytest.mark.needs_cuda
def test_nvdec_is_asked() -> None:
    from vhash_sdk.gpu.probe import nvdec_codecs

    assert "h264" in nvdec_codecs()


def test_tensorrt_is_reported_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    if probe.cuda_devices():
        assert doctor._tensorrt("rtx").status in ("ok", "warning")
        return
    check = doctor._tensorrt("rtx")
    assert check.status == "absent" and "builds engines; no NVIDIA driver" in check.detail
    monkeypatch.setattr(doctor.util, "find_spec", lambda name: None)
    for flavour, extra in (("tensorrt", "[trt]"), ("rtx", "[rtx]")):
        check = doctor._tensorrt(flavour)  # type: ignore[arg-type]
        assert check.status == "absent" and check.detail == "not installed" and extra in check.remedy
