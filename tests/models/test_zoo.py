from __future__ import annotations

from pathlib import Path

import pytest

from vhash_sdk.errors import ModelError, ModelNotFoundError
from vhash_sdk.models import zoo


def test_aliases_name_bundled_models() -> None:
    for alias, name in zoo.ALIASES.items():
        assert name in zoo.names()
        assert zoo.load(alias).spec.name == name


def test_every_file_of_a_model_has_one_fingerprint_and_a_card() -> None:
    files = sorted(zoo.FOLDER.glob("*.onnx"))
    assert files
    for path in files:
        model = zoo.load(path)
        assert model.spec.name == path.name.removesuffix(".onnx").removesuffix(".int8")
        assert model.spec.fingerprint == zoo.load(model.spec.name).spec.fingerprint


def test_unknown_models_are_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="bundled: default"):
        zoo.load("defualt")
    with pytest.raises(ModelNotFoundError, match=r"nowhere\.onnx"):
        zoo.load(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        zoo.load(tmp_path / "text.onnx")
