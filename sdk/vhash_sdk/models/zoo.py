"""The bundled models: names, aliases and files.

A model has up to two files: ``NAME.int8.onnx``, what a CPU runs, and ``NAME.onnx``, the
canonical one (weights stored in fp16, computed in float32). Both give codes with the same
fingerprint. Aliases may move to better models in later versions; names never change meaning.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ModelNotFoundError
from .modelfile import ModelFile, read_model

FOLDER = Path(__file__).parent
ALIASES = {
    "default": "lite0-phash-256",
    "copy": "copy-256",
    "small": "lite0-phash-64",
    "semantic": "i3d-256",
}
"""``default``: near-duplicates, 256 bits; ``copy``: the same, by a descriptor that was trained for it;
``small``: 64 bits; ``semantic``: similar content."""
_INT8_ONLY = {"copy-256"}  # whose checkpoint is too large to lie in the repository


def names() -> list[str]:
    """Names of the bundled models, sorted.

    >>> "lite0-phash-256" in names()
    True
    """
    return sorted({path.name.removesuffix(".onnx").removesuffix(".int8") for path in FOLDER.glob("*.onnx")})


def model_path(model: str | os.PathLike[str], precision: str = "auto") -> Path:
    """The file to load for an alias, the name of a bundled model, or the path of a model file.

    Args:
        model: an alias (``default``, ``copy``, ``small``, ``semantic``), a name that ``names()`` lists, or a
            path.
        precision: ``int8``, ``fp32`` or ``fp16`` (the canonical file), or ``auto``: int8 where there is one.

    Raises:
        ModelNotFoundError: no bundled model of that name, or its file of that precision is not here.
    """
    text = os.fspath(model)
    if os.sep in text or text.endswith(".onnx"):
        return Path(text)
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
    if name in _INT8_ONLY:
        raise ModelNotFoundError(f"{name} is here as int8 only; use precision='auto', or train it again")
    if name in names():
        raise ModelNotFoundError(
            f"{name} has no {precision} file in this installation; from a clone, "
            f"`python export/to_onnx.py --bundled {name}` makes it, or use precision='auto'"
        )
    known = ", ".join([*ALIASES, *names()])
    raise ModelNotFoundError(f"{text!r} is not a model; bundled: {known}; or give the path of a .onnx file")


def load(model: str | os.PathLike[str] = "default", precision: str = "auto") -> ModelFile:
    """Read and check the file of a model; see ``model_path`` for the arguments and errors.

    >>> load("default").spec.bits
    256
    """
    return read_model(model_path(model, precision))
