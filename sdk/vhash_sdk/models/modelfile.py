"""Read what a model file says about itself, without any inference library.

A vhash model is an ONNX file whose ``metadata_props`` hold the specification (``vhash.spec``)
and the card (``vhash.card``). This walks the few protobuf fields that matter, so that
``vhash models`` needs neither onnx nor onnxruntime, and refuses files that point at data
outside themselves before any runtime sees them; see ``onnx_wire``.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, ModelNotFoundError
from ..matching.calibration import Calibration
from ..spec import ModelSpec
from ..system.checks import checked_path
from ..system.files import not_waiting
from ..system.strict_json import JsonError, parse_json
from .onnx_wire import ExternalDataError, scan_model

_MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class ModelFile:
    """One model file in memory, checked.

    Attributes:
        path: where it was read from.
        content: the bytes of the file, what a runtime loads.
        spec: what decides its codes.
        metadata: all of its ``metadata_props``.
    """

    path: Path
    content: bytes
    spec: ModelSpec
    metadata: dict[str, str]

    @cached_property
    def card(self) -> dict[str, Any]:
        """The model card (licence, data, figures); empty where the file has none."""
        try:
            card = parse_json(self.metadata.get("vhash.card", "{}"))
        except JsonError as error:
            raise ModelError(
                f"{self.path}: its card is not JSON ({error}); export the model again"
            ) from error
        return card if isinstance(card, dict) else {}

    @cached_property
    def calibration(self) -> Calibration | None:
        """What its distances mean; None where the file does not say."""
        text = self.metadata.get("vhash.calibration")
        try:
            return None if text is None else Calibration.from_json(text)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from error

    @cached_property
    def scales(self) -> NDArray[np.float32]:
        """``float32[bits]``: what gives each frame logit the unit deviation that logits have."""
        text = self.metadata.get("vhash.scales")
        if text is None:
            return np.ones(self.spec.bits, np.float32)
        try:
            with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused below
                scales = np.asarray(parse_json(text), np.float32)
        except (ValueError, TypeError) as error:
            raise ModelError(f"{self.path}: vhash.scales is no list of numbers ({error})") from error
        if scales.shape != (self.spec.bits,) or not np.isfinite(scales).all():
            raise ModelError(
                f"{self.path}: vhash.scales has shape {list(scales.shape)}, not [{self.spec.bits}], or "
                "a value that is no float32"
            )
        return scales

    @property
    def precision(self) -> str:
        """``int8`` for a quantised file, else ``fp32`` (weights may be stored in fp16)."""
        return self.metadata.get("vhash.precision", "fp32")

    def __repr__(self) -> str:
        return f"ModelFile({self.path.name}, {self.spec.name}, {self.spec.bits} bits, {self.precision})"


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read and check a model file.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelError: it is not ONNX, not a vhash model, or refers to data outside itself.
    """
    path = checked_path("model", path)
    try:
        content = _content(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ModelNotFoundError(
            f"{path}: no such model file; give a .onnx file or a name from `vhash models`"
        ) from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        metadata = scan_model(memoryview(content))
    except (IndexError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable ONNX file ({error}); export or copy it again") from error
    except ExternalDataError as error:
        raise ModelError(
            f"{path}: keeps tensors in another file, which vhash never opens; export it with the data inside"
        ) from error
    if "vhash.spec" not in metadata:
        raise ModelError(f"{path}: ONNX without a vhash.spec; make models with export/to_onnx.py")
    try:
        spec = ModelSpec.from_json(metadata["vhash.spec"])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return ModelFile(path, content, spec, metadata)


def _content(path: Path) -> bytes:
    """The bytes of a regular file; a library may name any path as its model, a pipe or a device too."""
    with open(path, "rb", opener=not_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: a pipe, socket or device, not a file; give a .onnx file")
        if status.st_size > _MAX_BYTES:
            raise ModelError(f"{path}: larger than 2 GiB, which no ONNX file may be; check the path")
        return file.read(status.st_size)
