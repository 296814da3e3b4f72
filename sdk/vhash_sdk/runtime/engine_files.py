"""Engine files: what is beside them, which may be trusted, and the cache they live in.

An engine is code for one GPU architecture, TensorRT version and driver, so it is built where it
runs and kept in a cache of the user. Beside ``F.engine`` lies ``F.engine.json``: the model's
specification, what it was built for and with, and the engine's SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..gpu import probe
from ..models.modelfile import ModelFile
from ..spec import ModelSpec
from ..system.files import write_private
from ..system.strict_json import parse_json
from .tensorrt_build import BuildOptions, Progress, build_engine, check_target
from .trt_library import Flavour, import_tensorrt

logger = logging.getLogger("vhash_sdk")

SCHEMA = 1
SUFFIX = ".engine"
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Target:
    """Where an engine runs: another value of any of these, and it must be built anew.

    Attributes:
        flavour: ``tensorrt`` or ``rtx``.
        version: of TensorRT.
        compute_capabilities: of the GPUs, e.g. ``("9.0",)``.
        driver: CUDA version of the driver, e.g. 13000; 0 for an engine built ahead of time.
    """

    flavour: Flavour
    version: str
    compute_capabilities: tuple[str, ...]
    driver: int

    @classmethod
    def of(cls, options: BuildOptions) -> Target:
        """What an engine with these options is for, on this machine.

        Raises:
            MissingDependencyError, BackendError: there is no such TensorRT or GPU here.
        """
        trt = check_target(options)
        if options.compute_capabilities:
            return cls(options.flavour, trt.__version__, options.compute_capabilities, 0)
        major, minor = probe.compute_capability(options.device)
        return cls(options.flavour, trt.__version__, (f"{major}.{minor}",), probe.driver_version())


@dataclass(frozen=True)
class EngineFile:
    """An engine in memory, checked.

    Attributes:
        file: path, what TensorRT deserialises, specification and all that the model file said of itself.
        target: where it runs.
        options: how it was built.
        source: SHA-256 of the model file that it was built from.
    """

    file: ModelFile
    target: Target
    options: BuildOptions
    source: str

    @property
    def path(self) -> Path:
        """Where it was read from."""
        return self.file.path

    @property
    def spec(self) -> ModelSpec:
        """What decides its codes."""
        return self.file.spec


def write_engine(path: Path, content: bytes, model: ModelFile, target: Target, options: BuildOptions) -> None:
    """Write an engine and its sidecar, each whole or not at all, readable and writable by the user only."""
    sidecar = {
        "schema": SCHEMA,
        "metadata": model.metadata | {"vhash.precision": options.precision},
        "target": asdict(target),
        "options": asdict(options),
        "source": hashlib.sha256(model.content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, content)
    write_private(sidecar_path(path), json.dumps(sidecar, indent=1).encode() + b"\n")


def read_engine(path: str | os.PathLike[str]) -> EngineFile:
    """Read an engine and its sidecar.

    Engines are programs: one is read only if it and its sidecar belong to this user (or root) and
    nobody else may write them.

    Raises:
        ModelError: one of the two is missing, damaged, of another format, or not to be trusted.
    """
    path = Path(path)
    remedy = "build it again: python export/to_trt.py MODEL --output FILE"
    for file in (path, sidecar_path(path)):
        if not file.is_file():
            raise ModelError(f"{file}: there is no such file; {remedy}")
        _check_owner(file)
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: {path.stat().st_size} bytes are too many for an engine; {remedy}")
    content = path.read_bytes()
    try:
        sidecar: dict[str, Any] = parse_json(sidecar_path(path).read_bytes())
        if sidecar["schema"] != SCHEMA:
            raise ModelError(f"{sidecar_path(path)}: format {sidecar['schema']!r} is not {SCHEMA}; {remedy}")
        if hashlib.sha256(content).hexdigest() != sidecar["sha256"]:
            raise ModelError(f"{path}: damaged: its SHA-256 is not the one in its sidecar; {remedy}")
        target, options = sidecar["target"], sidecar["options"]
        target["compute_capabilities"] = tuple(target["compute_capabilities"])
        options["compute_capabilities"] = tuple(options["compute_capabilities"])
        options["batches"] = tuple(options["batches"])
        metadata = {str(key): str(text) for key, text in sidecar["metadata"].items()}
        return EngineFile(
            ModelFile(path, content, ModelSpec.from_json(metadata["vhash.spec"]), metadata),
            Target(**target),
            BuildOptions(**options),
            str(sidecar["source"]),
        )
    except ModelError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(f"{sidecar_path(path)}: not readable ({error}); {remedy}") from error


def sidecar_path(path: Path) -> Path:
    """``F.engine`` → ``F.engine.json``."""
    return path.with_name(path.name + ".json")


def cache_folder() -> Path:
    """Where engines are kept: ``$VHASH_CACHE``, or ``vhash`` in ``$XDG_CACHE_HOME`` (``~/.cache``)."""
    if own := os.environ.get("VHASH_CACHE"):
        return Path(own) / "engines"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vhash" / "engines"


def cache_path(model: ModelFile, target: Target, options: BuildOptions) -> Path:
    """The file of this engine in the cache; any other model, target or option gives another name.

    The key has the digest of the model's file too: files of one fingerprint differ in their outputs.
    """
    key = {
        "fingerprint": model.spec.fingerprint,
        "model": hashlib.sha256(model.content).hexdigest(),
        "target": asdict(target),
        "options": asdict(options),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^A-Za-z0-9._-]|^\.", "_", model.spec.name)  # a model file says it, and may say "../x"
    return cache_folder() / f"{name}-{options.precision}-{digest[:16]}{SUFFIX}"


def cached_engine(model: ModelFile, options: BuildOptions, *, progress: Progress | None = None) -> EngineFile:
    """The engine of a model for this machine, from the cache, or built and kept there.

    One that is damaged, or was built for another TensorRT, GPU, driver or profile, is built anew.

    Raises:
        MissingDependencyError, BackendError, ModelError: as ``build_engine``.
    """
    target = Target.of(options)
    path = cache_path(model, target, options)
    try:
        return read_engine(path)
    except ModelError:
        timings_path = path.parent / f"timings-{target.version}-{'-'.join(target.compute_capabilities)}.cache"
        content, timings = build_engine(
            model, options, timing_cache=read_timings(timings_path), progress=progress
        )
        write_engine(path, content, model, target, options)
        if timings:
            write_private(timings_path, timings)
        return read_engine(path)


def read_timings(path: Path) -> bytes:
    """A timing cache, or nothing where there is none that may be trusted."""
    try:
        _check_owner(path)
        return path.read_bytes()
    except (OSError, ModelError):
        return b""


def check_runs_here(engine: EngineFile, device: int) -> Any:
    """The TensorRT module for an engine, after making sure that it fits this machine.

    Raises:
        MissingDependencyError: its TensorRT is not installed.
        BackendError, ModelError: no GPU; or another TensorRT version, GPU or driver than it was built for.
    """
    trt = import_tensorrt(engine.target.flavour)
    probe.require_cuda(device)
    capability = ".".join(map(str, probe.compute_capability(device)))
    options, target = engine.options, engine.target
    problems = []
    if target.version != trt.__version__ and not options.version_compatible:
        problems.append(f"TensorRT {target.version}, here is {trt.__version__}")
    if capability not in target.compute_capabilities and not options.hardware_compatible:
        problems.append(
            f"compute capability {' or '.join(target.compute_capabilities)}, cuda:{device} has {capability}"
        )
    if target.driver not in (0, probe.driver_version()):  # it runs; its kernels were chosen with another
        logger.warning(
            "%s was built with CUDA driver %d; build it again to be fast", engine.path, target.driver
        )
    if problems:
        raise ModelError(
            f"{engine.path} was built for {'; for '.join(problems)}; build it again here: "
            "python export/to_trt.py MODEL --output FILE, or give Encoder the model file"
        )
    return trt


def _check_owner(file: Path) -> None:
    if not hasattr(os, "getuid"):  # Windows says by lists who may write a file
        return
    status = file.stat()
    if status.st_uid not in (os.getuid(), 0):
        raise ModelError(
            f"{file} belongs to user {status.st_uid}, not to you: engines are programs; build your own with "
            "python export/to_trt.py"
        )
    if status.st_mode & 0o022:
        raise ModelError(f"{file} can be written by others: engines are programs; chmod go-w {file}")
