"""Folders of models, and names for them: what is written is found again, what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tiny_model import save_tiny_model
from vhash_sdk import Encoder
from vhash_sdk.cli.app import app
from vhash_sdk.errors import ModelError, ModelNotFoundError, OptionError
from vhash_sdk.models import zoo
from vhash_sdk.models.folder import save_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_folder([zoo.load(save_tiny_model(tmp_path / "tiny.onnx"))], tmp_path / "tiny")


def edited(folder: Path, **changes: object) -> None:
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, **changes}))


def test_a_folder_is_a_model(folder: Path) -> None:
    known = zoo.load(folder.parent / "tiny.onnx")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.onnx"]
    assert zoo.load(folder).content == known.content
    with Encoder(folder) as encoder:
        assert encoder.spec == known.spec
    with Encoder.from_pretrained(folder) as encoder:
        assert encoder.spec == known.spec
    assert "library_name: vhash" in (folder / "README.md").read_text()
    with pytest.raises(ModelNotFoundError, match="no int8 file, only fp32"):
        zoo.load(folder, "int8")


def test_both_precisions_of_a_bundled_model(tmp_path: Path) -> None:
    made = save_folder([zoo.load("default", "int8"), zoo.load("default", "fp32")], tmp_path / "made")
    assert zoo.load(made).precision == "int8" and zoo.load(made, "fp32").precision == "fp32"
    assert zoo.load(made).spec == zoo.load("default").spec
    assert "license: apache-2.0" in (made / "README.md").read_text()
    with pytest.raises(OptionError, match="different models"):
        save_folder([zoo.load("default", "fp32"), zoo.load("small")], tmp_path / "other")
    with pytest.raises(OptionError, match="one file in int8"):
        save_folder([], tmp_path / "other")


def test_other_bytes_and_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    save_tiny_model(folder / "model.onnx", bits=16)
    with pytest.raises(ModelError, match="not the bytes"):
        zoo.load(folder)
    save_tiny_model(folder / "model.onnx")
    edited(folder, fingerprint="0" * 64)
    with pytest.raises(ModelError, match=r"not the model that config\.json describes"):
        zoo.load(folder)


@pytest.mark.parametrize(
    "name", ["../tiny.onnx", "/etc/passwd", "weights.pkl", "a/b.onnx", ".onnx", "a\n.onnx"]
)
def test_nothing_outside_and_nothing_but_onnx(folder: Path, name: str) -> None:
    edited(folder, files={"fp32": {"file": name, "sha256": "0" * 64}})
    with pytest.raises(ModelError, match=r"allowed: NAME\.onnx"):
        zoo.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"library_name": "vhash", "format": 2}', "null", "\xff"])
def test_a_config_of_something_else(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, "latin-1")
    with pytest.raises(ModelError, match="does not describe a vhash model"):
        zoo.load(folder)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="--save FOLDER"):
        zoo.load(tmp_path)


def test_a_folder_with_other_files_is_left_alone(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"weights\.bin"):
        save_folder([zoo.load(folder)], folder)


def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "models.toml").write_text(text)
    monkeypatch.setenv("VHASH_MODELS", str(tmp_path / "models.toml"))


def test_names_of_ones_own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = zoo.load(folder).spec.fingerprint
    text = f'[models.dashcam]\npath = "tiny"\nfingerprint = "{fingerprint[:8]}"\n'
    register(tmp_path, monkeypatch, text + '[models.file]\npath = "tiny.onnx"\n')
    assert list(zoo.own()) == ["dashcam", "file"]
    assert Encoder("dashcam").spec == Encoder("file").spec == zoo.load(folder).spec
    with pytest.raises(ModelNotFoundError, match="your own: dashcam, file"):
        zoo.load("dashcams")
    register(tmp_path, monkeypatch, '[models.dashcam]\npath = "tiny"\nfingerprint = "00000000"\n')
    with pytest.raises(ModelError, match=f"has fingerprint {fingerprint[:8]}, not 00000000"):
        zoo.load("dashcam")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models.default]\npath = 'x'", "keeps its meaning"),
        ("[models.copy-256]\npath = 'x'", "keeps its meaning"),
        ("[models.'a/b']\npath = 'x'", "allowed: letters"),
        ("[models.a]", "either path or repo"),
        ("[models.a]\npath = 'x'\nrepo = 'a/b'", "either path or repo"),
        ("[models.a]\npath = 'x'\nrevision = 'v1'", "no revision"),
        ("[models.a]\npath = 3", "each a text"),
        ("[models.a]\nfolder = 'x'", "may have fingerprint, path"),
        ("models = 3", "models.NAME"),
        ("[models", "models.NAME"),
    ],
)
def test_a_registry_that_is_none(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, monkeypatch, text)
    with pytest.raises(ModelError, match=said):
        zoo.load("a")
    assert zoo.load("small").spec.bits == 64  # a bundled model asks nobody


def test_the_command_saves_and_lists(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(tmp_path, monkeypatch, "[models.dashcam]\npath = 'tiny'\n[models.studio]\nrepo = 'us/video'\n")
    result = CliRunner().invoke(app, ["models", "dashcam", "--save", str(tmp_path / "again"), "--json"])
    assert result.exit_code == 0, result.output
    (entry,) = json.loads(result.stdout)["models"]
    assert entry["folder"] == str(tmp_path / "again")
    assert zoo.load(tmp_path / "again").content == zoo.load(folder).content
    listed = CliRunner().invoke(app, ["models", "--json"])
    assert "tiny" in [entry["name"] for entry in json.loads(listed.stdout)["models"]]
    assert "us/video" in CliRunner().invoke(app, ["models"]).stderr
    assert CliRunner().invoke(app, ["models", "--save", str(tmp_path / "more")]).exit_code == 2
