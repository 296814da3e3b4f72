"""Builds ``vhash_sdk._core``, the C++ engine, and where there is a CUDA compiler ``vhash_sdk._cuda``.

Everything else about the package is in pyproject.toml. The sources are portable C++17:
instruction sets come by function ``target`` attributes and a run-time probe, never by
compiler flags, so one wheel serves every CPU of an architecture.

``VHASH_CUDA=auto`` (the default) builds the CUDA module with nvcc 12 or newer from CUDA_HOME or the
PATH, and goes on without it where there is none or it fails; ``1`` makes that an error, ``0`` leaves
it out. ``VHASH_CUDA_ARCHS`` lists compute capabilities ("80 89 90"); PTX of the last is added. The
runtime is linked statically and finds the driver at run time: the module loads without a GPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

flags = ["-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-pthread"]
link = ["-pthread"]
if werror := bool(os.environ.get("VHASH_WERROR")):  # CI: a warning is an error
    flags.append("-Werror")
if sanitizers := os.environ.get("VHASH_SANITIZE"):  # e.g. "address,undefined" or "thread"
    flags += [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer", "-g", "-O1"]
    link.append(f"-fsanitize={sanitizers}")


def nvcc() -> str | None:
    """The CUDA compiler to use; None: leave the CUDA module out."""
    wanted = os.environ.get("VHASH_CUDA", "auto")
    if wanted not in ("auto", "0", "1"):
        raise SystemExit(f"VHASH_CUDA={wanted!r}; allowed: auto, 0, 1")
    home = os.environ.get("CUDA_HOME")
    found = shutil.which("nvcc", path=str(Path(home, "bin"))) if home else shutil.which("nvcc")
    if wanted == "1" and found is None:
        raise SystemExit("VHASH_CUDA=1, but no nvcc in CUDA_HOME/bin or the PATH; install the CUDA toolkit")
    return None if wanted == "0" else found


class BuildExtensions(build_ext):
    """Compiles the CUDA module with nvcc, the others as usual."""

    failed: Pybind11Extension | None = None

    def build_extension(self, extension: Pybind11Extension) -> None:
        """Build one module; a CUDA module that was not asked for may fail."""
        if not extension.name.endswith("._cuda"):
            return super().build_extension(extension)
        try:
            self.build_cuda(extension)
        except subprocess.CalledProcessError as error:
            if os.environ.get("VHASH_CUDA", "auto") == "1":
                raise SystemExit(f"the CUDA module cannot be built: {error}") from error
            print(f"warning: going on without the CUDA module: {error}", file=sys.stderr)
            self.failed = extension

    def build_cuda(self, extension: Pybind11Extension) -> None:
        """Compile each source with nvcc and link with the static CUDA runtime."""
        archs = os.environ.get("VHASH_CUDA_ARCHS", "80 89 90").split()
        host = [flag for flag in flags if flag.startswith(("-f", "-W", "-pthread"))]
        command = [str(nvcc()), "-std=c++17", "-O3", "--expt-relaxed-constexpr"]
        command += ["-Xcompiler", ",".join([*host, "-fPIC"])]
        command += ["-Werror", "all-warnings"] if werror else []
        for arch in archs:
            command += ["-gencode", f"arch=compute_{arch},code=sm_{arch}"]
        command += ["-gencode", f"arch=compute_{archs[-1]},code=compute_{archs[-1]}"]
        for folder in (*extension.include_dirs, *self.include_dirs):
            command += ["-I" if folder == "csrc" else "-isystem", folder]  # warnings of others are not ours
        target = Path(self.get_ext_fullpath(extension.name))
        objects, jobs = [], []
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in extension.sources:
            objects.append(str(Path(self.build_temp, "cuda", source.replace("/", "_") + ".o")))
            Path(objects[-1]).parent.mkdir(parents=True, exist_ok=True)
            if self.force or not is_newer(objects[-1], [source, *extension.depends]):
                jobs.append([*command, "-c", source, "-o", objects[-1]])
        running = [subprocess.Popen(job) for job in jobs]
        for process in running:
            process.wait()
        for process in running:
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        subprocess.run([command[0], "-shared", "-cudart", "static", *objects, "-o", str(target)], check=True)

    def copy_extensions_to_source(self) -> None:
        """Leave out a CUDA module that could not be built."""
        self.extensions = [extension for extension in self.extensions if extension is not self.failed]
        super().copy_extensions_to_source()


def is_newer(target: str, sources: list[str]) -> bool:
    """Whether a file exists and none of the sources is younger."""
    return os.path.exists(target) and all(os.path.getmtime(s) <= os.path.getmtime(target) for s in sources)


rooms = ("bindings", "frames", "hamming", "index", "store", "system")  # csrc/cuda is a module of its own
core = sorted(glob("csrc/vhash.*") + [part for room in rooms for part in glob(f"csrc/{room}/*")])
extensions = [
    Pybind11Extension(
        "vhash_sdk._core",
        [part for part in core if part.endswith(".cpp")],
        depends=[part for part in core if not part.endswith(".cpp")],
        include_dirs=["csrc"],
        cxx_std=17,
        extra_compile_args=flags,
        extra_link_args=link,
    )
]
if nvcc() is not None:
    extensions.append(
        Pybind11Extension(
            "vhash_sdk._cuda",
            sorted(glob("csrc/cuda/*.cu") + glob("csrc/cuda/*.cpp") + glob("csrc/frames/*.cpp")),
            depends=sorted(glob("csrc/cuda/*.*h*") + glob("csrc/frames/*.hpp") + ["csrc/system/gil.hpp"]),
            include_dirs=["csrc"],
        )
    )

ParallelCompile("NPY_NUM_BUILD_JOBS", default=2).install()
setup(ext_modules=extensions, cmdclass={"build_ext": BuildExtensions})
