"""Compiles the CUDA sources for the CPU, against the emulator of ``cuda_runtime.h`` beside this file.

What comes out is the same module ``vhash_sdk._cuda``, with the same kernels: "device" memory is host
memory and addresses are those of numpy arrays.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pybind11
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CXX", "g++")
FLAGS = [
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-fvisibility=hidden",
    "-pthread",
    "-Wall",
    "-Wextra",
    "-Werror",
]
FLAGS += ["-Wno-unknown-pragmas"]  # unroll is nvcc's


def sources() -> list[Path]:
    """Everything that the module is made of."""
    csrc = ROOT / "csrc"
    parts = [*csrc.glob("cuda/*.cu"), *csrc.glob("cuda/*.cpp"), *csrc.glob("frames/*.cpp")]
    return sorted([*parts, csrc / "bindings" / "gil.cpp"])


def build(*, sanitize: str = "") -> Path:
    """The compiled module, built anew only where a source has changed."""
    parts = [*sources(), *(ROOT / "csrc").glob("cuda/*.*h*"), *(ROOT / "csrc").glob("frames/*.hpp")]
    parts += [ROOT / "csrc/system/gil.hpp", Path(__file__), Path(__file__).with_name("cuda_runtime.h")]
    digest = hashlib.sha256(repr((sanitize, sys.version, pybind11.__version__)).encode())
    for part in sorted(parts):
        digest.update(part.read_bytes())
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    folder = ROOT / "build" / f"cuda_emulator-{digest.hexdigest()[:16]}"
    target = folder / f"_cuda{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):  # of several processes one compiles, the others wait for it
        if not target.is_file():
            _compile(folder, target, sanitize)
    return target


def _compile(folder: Path, target: Path, sanitize: str) -> None:
    # sanitizers make g++ see uninitialised variables that are none
    flags = [
        *FLAGS,
        *(["-Wno-error", f"-fsanitize={sanitize}", "-fno-omit-frame-pointer", "-g"] if sanitize else []),
    ]
    # system headers of pybind11: their warnings are not ours
    flags += ["-I", str(Path(__file__).parent), "-I", str(ROOT / "csrc")]
    flags += ["-isystem", pybind11.get_include(), "-isystem", sysconfig.get_paths()["include"]]
    objects, running = [], []
    for source in sources():
        objects.append(str(folder / f"{source.parent.name}_{source.name}.o"))
        command = [COMPILER, *flags, "-x", "c++", "-c", str(source), "-o", objects[-1]]
        running.append(subprocess.Popen(command))
    results = [process.wait() for process in running]
    if any(results):
        raise RuntimeError("the CUDA sources do not compile against the emulator")
    temporary = folder / f"{os.getpid()}.so"
    subprocess.run([COMPILER, "-shared", *flags, *objects, "-o", str(temporary)], check=True)
    os.replace(temporary, target)


def load(path: Path) -> ModuleType:
    """The module, under the name that the SDK imports."""
    spec = importlib.util.spec_from_file_location("vhash_sdk._cuda", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
