"""The bundled models: names, aliases and files; beside them, models of one's own by path or name.

A model has up to two files: ``NAME.int8.onnx``, what a CPU runs, and ``NAME.onnx``, the
canonical one (weights stored in fp16, computed in float32). Both give codes with the same
fingerprint. Aliases may move to better models in later versions; names never change meaning.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ModelError, ModelNotFoundError
from .folder import CONFIG, folder_path, load_folder
from .modelfile import ModelFile, read_model
from .registry import Registered, registered, registry_file

FOLDER = Path(__file__).parent
ALIASES = {
    "default": "copy-256",
    "copy": "copy-256",
    "small": "lite0-phash-64",
    "semantic": "i3d-256",
}
"""``default`` and ``copy``: copies, 256 bits, by a descriptor that was trained to find them; ``small``:
near-duplicates, 64 bits; ``semantic``: similar content."""


def names() -> list[str]:
    """Names of the bundled models, sorted.

    >>> "lite0-phash-256" in names()
    True
    """
    return sorted({path.name.removesuffix(".onnx").removesuffix(".int8") for path in FOLDER.glob("*.onnx")})


def model_path(model: str | os.PathLike[str], precision: str = "auto") -> Path:
    """The file to load for an alias, the name of a model, or the path of a model file or folder.

    Args:
        model: an alias (``default``, ``copy``, ``small``, ``semantic``), a name that ``names()`` or
            ``own()`` lists, or a path: of a ``.onnx`` file, or a folder in the layout of hubs.
        precision: ``int8``, ``fp32`` or ``fp16`` (the canonical file), or ``auto``: int8 where there is one.

    Raises:
        ModelNotFoundError: no model of that name, or its file of that precision is not here.
        ModelError: the registry of one's own models, or the folder of one, cannot be used.
        UnreachableError, MissingDependencyError: one's own model lies on a hub that gives no answer, or the
            extra ``hub`` is not installed.
    """
    text = os.fspath(model)
    if os.sep in text or text.endswith(".onnx"):
        return _at(Path(text), precision)
    name = ALIASES.get(text, text)
    files = {
        "int8": FOLDER / f"{name}.int8.onnx",
        "fp32": FOLDER / f"{name}.onnx",
        "fp16": FOLDER / f"{name}.onnx",
    }
    wanted = ("int8", "fp32") if precision == "auto" else (precision,)
    for choice in wanted:
        if files[choice].is_file():
            return files[choice]
    if name in names():
        raise ModelNotFoundError(
            f"{name} has no {precision} file in this installation; from a clone, "
            f"`python export/to_onnx.py --bundled {name}` makes it, or use precision='auto'"
        )
    mine = own()
    if text in mine:
        return _at(_place(mine[text]), precision)
    if os.path.isdir(text):
        return _at(Path(text), precision)
    known = "; ".join(
        [f"bundled: {', '.join([*ALIASES, *names()])}", *([f"your own: {', '.join(mine)}"] if mine else [])]
    )
    raise ModelNotFoundError(
        f"{text!r} is not a model; {known}; or give the path of a .onnx file or a folder, "
        "Encoder.from_pretrained('OWNER/NAME') takes one from a hub"
    )


def own() -> dict[str, Registered]:
    """The models of one's own that have names; see ``models/registry.py``. Raises ModelError."""
    return registered({*ALIASES, *names()})


def _at(path: Path, precision: str) -> Path:
    return folder_path(path, precision) if path.is_dir() else path


def _place(model: Registered) -> Path:
    """Where a model of one's own lies; one on a hub is downloaded, unless it is in the cache."""
    if model.path is not None:
        return model.path
    from .hub import download

    return download(model.repo or "", model.revision)


def load(model: str | os.PathLike[str] = "default", precision: str = "auto") -> ModelFile:
    """Read and check the file of a model; see ``model_path`` for the arguments and errors.

    >>> load("default").spec.bits
    256
    """
    path = model_path(model, precision)
    name = os.fspath(model)
    # a folder says what its files have to be
    listed = not name.endswith(".onnx") and path.parent != FOLDER and (path.parent / CONFIG).is_file()
    found = load_folder(path.parent, precision) if listed else read_model(path)
    mine = {} if os.sep in name or name.endswith(".onnx") or path.parent == FOLDER else own()
    if name in mine and not found.spec.fingerprint.startswith(mine[name].fingerprint):
        raise ModelError(
            f"{name}: {path} has fingerprint {found.spec.fingerprint[:8]}, not {mine[name].fingerprint} "
            f"as in {registry_file()}; codes of the two cannot be compared"
        )
    return found
