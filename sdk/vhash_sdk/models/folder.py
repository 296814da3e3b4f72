"""Models as folders in the layout of model hubs: ``config.json``, a card, and the ONNX files.

A folder can be copied, served, or uploaded as it is (``hf upload USER/NAME FOLDER``), and what is downloaded
again is the same folder. Nothing in it is a program: ``config.json`` names files of ONNX and their digests,
and whatever else lies there is never opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, ModelNotFoundError, OptionError
from ..names import printable
from ..system.files import write_text, write_whole
from ..system.strict_json import JsonError, parse_json
from .modelfile import ModelFile, read_model

CONFIG = "config.json"
_FORMAT = 1
_FILE = re.compile(r"[A-Za-z0-9][\w.-]{0,199}\.onnx", re.ASCII)
_MOST_BYTES = 1 << 20  # of a config.json


@dataclass(frozen=True)
class Listed:
    """One file of a folder: its name there, and the SHA-256 of its bytes in hexadecimal digits."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Config:
    """What ``config.json`` says: the fingerprint of the model, and its files by precision."""

    fingerprint: str
    files: dict[str, Listed]


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a directory, whatever is in it."""
    return os.path.isdir(path)


def read_config(folder: Path) -> Config:
    """Read and check ``config.json``.

    Raises:
        ModelNotFoundError: there is none.
        ModelError: it is none of vhash, or names a file outside its folder.
    """
    path = folder / CONFIG
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ModelNotFoundError(
            f"{printable(folder)}: no folder of a model, for its {CONFIG} cannot be read ({error.strerror}); "
            "`vhash models NAME --save FOLDER` makes one"
        ) from error
    try:
        return _config(parse_json(content[:_MOST_BYTES]))
    except (JsonError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"{printable(path)}: does not describe a vhash model ({error}); "
            "`vhash models NAME --save FOLDER` writes one that does"
        ) from error


def _config(said: Any) -> Config:
    if said["library_name"] != "vhash" or said["format"] != _FORMAT:
        raise ValueError(f"library_name and format are not 'vhash' and {_FORMAT}")
    files = {}
    for precision, entry in said["files"].items():
        listed = Listed(str(entry["file"]), str(entry["sha256"]))
        if precision not in ("int8", "fp32"):
            raise ValueError(f"precision {precision!r}; allowed: int8, fp32")
        if not _FILE.fullmatch(listed.file):
            raise ValueError(f"the file {printable(listed.file)}; allowed: NAME.onnx in the same folder")
        files[precision] = listed
    if not files:
        raise ValueError("it lists no file")
    return Config(str(said["fingerprint"]), files)


def folder_path(folder: Path, precision: str) -> Path:
    """The file of a folder for a precision (as in ``zoo.model_path``).

    Raises:
        ModelNotFoundError: no folder of a model, or it has none of that precision.
    """
    files = read_config(folder).files
    for choice in (
        ("int8", "fp32") if precision == "auto" else ("fp32" if precision == "fp16" else precision,)
    ):
        if choice in files:
            return folder / files[choice].file
    raise ModelNotFoundError(
        f"{printable(folder)} has no {precision} file, only {', '.join(sorted(files))}; use precision='auto'"
    )


def load_folder(folder: Path, precision: str) -> ModelFile:
    """Read the file of a folder for a precision, and check it against ``config.json``.

    Raises:
        ModelError: it is not the file that was described: another model, or other bytes.
    """
    config, path = read_config(folder), folder_path(folder, precision)
    model = read_model(path)
    (listed,) = {listed.sha256 for listed in config.files.values() if listed.file == path.name}
    if hashlib.sha256(model.content).hexdigest() != listed:
        raise ModelError(f"{printable(path)}: not the bytes that {CONFIG} lists; copy or download it again")
    if model.spec.fingerprint != config.fingerprint:
        raise ModelError(
            f"{printable(path)}: is {model.spec.name} ({model.spec.fingerprint[:8]}), not the model that "
            f"{CONFIG} describes ({printable(config.fingerprint[:8])}); copy or download it again"
        )
    return model


def save_folder(models: list[ModelFile], folder: str | os.PathLike[str]) -> Path:
    """Write a folder of a model from its files, one a precision; returns the folder.

    Raises:
        OptionError: no files, two of one precision, or files of different models.
        ModelError: the folder has other files in it, which would be uploaded too.
    """
    target = Path(folder)
    by_precision = {model.precision: model for model in models}
    if not models or len(by_precision) != len(models) or set(by_precision) - {"int8", "fp32"}:
        raise OptionError(f"models={models}; allowed: one file in int8, one in fp32, or both")
    if len({model.spec.fingerprint for model in models}) != 1:
        raise OptionError(f"models={models} are of different models; give the files of one")
    ours = {CONFIG, "README.md", "model.onnx", "model.int8.onnx"}
    target.mkdir(parents=True, exist_ok=True)
    others = sorted({path.name for path in target.iterdir()} - ours)
    if others:
        raise ModelError(f"{printable(target)} has {printable(others[0])} in it; give a new or empty folder")
    files = {}
    for precision, model in sorted(by_precision.items()):
        name = "model.onnx" if precision == "fp32" else f"model.{precision}.onnx"
        with write_whole(target / name) as stream:
            stream.write(model.content)
        files[precision] = {"file": name, "sha256": hashlib.sha256(model.content).hexdigest()}
    spec = models[0].spec
    config = {
        "library_name": "vhash",
        "format": _FORMAT,
        "name": spec.name,
        "version": spec.version,
        "family": spec.family,
        "bits": spec.bits,
        "fingerprint": spec.fingerprint,
        "files": files,
    }
    write_text(target / "README.md", _card(models[0]))
    write_text(target / CONFIG, json.dumps(config, indent=2) + "\n")  # last: now the folder is one of a model
    return target


def _card(model: ModelFile) -> str:
    """What people see of it on a hub: the header that hubs read, how to use it, what its card says."""
    spec, card = model.spec, model.card
    licence = str(card.get("licence", card.get("license", ""))).partition(".")[0].partition(" ")[0]
    known = {"Apache-2": "apache-2.0", "MIT": "mit"}
    lines = ["---", "library_name: vhash", f"license: {known.get(licence, 'other')}"]
    lines += ["tags: [video, hashing, near-duplicate, onnx]", "---", "", f"# {spec.name}", ""]
    lines += [f"{spec.bits} bits, fingerprint `{spec.fingerprint[:8]}`, version {spec.version}.", ""]
    lines += ["```python", "from vhash_sdk import Encoder", ""]
    lines += ['encoder = Encoder.from_pretrained("USER/NAME")  # or the path of this folder', "```", ""]
    for key, value in card.items():
        said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines += [f"**{key}.** {said}", ""]
    return "\n".join(lines)
