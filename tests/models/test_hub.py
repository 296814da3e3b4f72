"""Models from a hub, by its own client, from a stand-in that speaks its interface over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import Hub, hub_server
from tests.tiny_model import save_tiny_model
from vhash_sdk.errors import MissingDependencyError, OptionError
from vhash_sdk.models import hub as ours
from vhash_sdk.models import zoo
from vhash_sdk.models.folder import save_folder

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_folder([zoo.load(save_tiny_model(tmp_path / "tiny.onnx"))], tmp_path / "tiny")


LOAD = """
import sys
from vhash_sdk import Encoder
from vhash_sdk.errors import VhashError
try:
    with Encoder.from_pretrained(sys.argv[1], revision=sys.argv[2] or None) as encoder:
        print(encoder.spec.fingerprint, encoder.info()["file"])
except VhashError as error:
    print(type(error).__name__, error)
"""


def load(hub: Hub, cache: Path, repo: str, revision: str = "", **more: str) -> str:
    """What a program of its own prints, for the client reads its settings when it is imported."""
    told = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", **more}
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | told
    command = [sys.executable, "-c", LOAD, repo, revision]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_model_is_downloaded_once(hub: Hub, folder: Path, tmp_path: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"a pickle would lie here")
    commit = hub.put("our-studio/video-256", folder, "v1")
    fingerprint, file = load(hub, tmp_path / "cache", "our-studio/video-256").split()
    assert fingerprint == zoo.load(tmp_path / "tiny.onnx").spec.fingerprint
    assert commit in file
    assert {path.name for path in Path(file).parent.iterdir()} == {"config.json", "README.md", "model.onnx"}
    assert not any("pytorch_model.bin" in request for request in hub.requests)
    fetched = [request for request in hub.requests if request.startswith("GET") and "model.onnx" in request]
    assert len(fetched) == 1
    again = load(hub, tmp_path / "cache", "our-studio/video-256", "v1")
    assert again.split() == [fingerprint, file]
    assert len([r for r in hub.requests if r.startswith("GET") and "model.onnx" in r]) == 1
    without = load(hub, tmp_path / "cache", "our-studio/video-256", HF_HUB_OFFLINE="1")
    assert without.split() == [fingerprint, file]


def test_a_revision_is_what_it_names(hub: Hub, folder: Path, tmp_path: Path) -> None:
    old = hub.put("us/video", folder, "v1")
    newer = save_folder([zoo.load(save_tiny_model(tmp_path / "new.onnx", bits=16))], tmp_path / "newer")
    hub.put("us/video", newer, "v2")
    cache = tmp_path / "cache"
    first, second = zoo.load(folder).spec.fingerprint, zoo.load(newer).spec.fingerprint
    assert (
        load(hub, cache, "us/video", "v1").split()[0] == load(hub, cache, "us/video", old).split()[0] == first
    )
    assert load(hub, cache, "us/video").split()[0] == load(hub, cache, "us/video", "v2").split()[0] == second


def test_what_the_hub_does_not_have(hub: Hub, folder: Path, tmp_path: Path) -> None:
    hub.put("us/video", folder)
    cache = tmp_path / "cache"
    assert load(hub, cache, "us/vidoe").startswith("ModelNotFoundError us/vidoe: the hub has no such model")
    assert "at revision v9" in load(hub, cache, "us/video", "v9")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "README.md").write_text("a text")
    hub.put("us/text", tmp_path / "text")
    assert load(hub, cache, "us/text").startswith("ModelNotFoundError us/text has no config.json")


def test_what_is_no_model_or_was_tampered_with(hub: Hub, folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    save_tiny_model(other / "model.onnx", bits=16)
    hub.put("us/other", other)
    assert "not the bytes that config.json lists" in load(hub, tmp_path / "cache", "us/other")
    strange = shutil.copytree(folder, tmp_path / "strange")
    (strange / "config.json").write_text(json.dumps({"model_type": "bert"}))
    hub.put("us/strange", strange)
    assert load(hub, tmp_path / "cache", "us/strange").startswith("ModelError")


def test_a_hub_that_gives_no_answer(hub: Hub, tmp_path: Path) -> None:
    nowhere = load(hub, tmp_path / "cache", "us/video", HF_ENDPOINT="http://127.0.0.1:9")
    assert nowhere.startswith("UnreachableError us/video: ") and "give its path" in nowhere
    assert load(hub, tmp_path / "cache", "us/video", HF_HUB_OFFLINE="1").startswith("UnreachableError")


def test_a_name_of_ones_own_may_lie_on_a_hub(hub: Hub, folder: Path, tmp_path: Path) -> None:
    hub.put("us/video", folder, "v1")
    registry = tmp_path / "models.toml"
    registry.write_text("[models.studio]\nrepo = 'us/video'\nrevision = 'v1'\n")
    said = load(hub, tmp_path / "cache", "studio", VHASH_MODELS=str(registry))
    assert said.split()[0] == zoo.load(folder).spec.fingerprint


def test_what_has_no_revision(folder: Path) -> None:
    for local in (str(folder), "small"):
        with pytest.raises(OptionError, match="OWNER/NAME"):
            ours.pretrained(local, revision="v1")
    assert ours.pretrained("small") == "small" and ours.pretrained(folder) == folder


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vhash-sdk\[hub\]'"):
        ours.pretrained("us/video")
