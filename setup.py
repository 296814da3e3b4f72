"""Builds ``vhash_sdk._core``, the C++ engine, and where it is asked for ``vhash_sdk._cuda``.

Everything else about the package is in pyproject.toml. The sources are portable C++17:
instruction sets come by function ``target`` attributes and a run-time probe, never by
compiler flags, so one wheel serves every CPU of an architecture.

``VHASH_CUDA=1`` builds the CUDA module with nvcc 12 or newer from CUDA_HOME or the PATH, which takes
minutes; ``auto`` goes on without it where there is no nvcc or it fails; ``0``, the default, leaves it
out. ``VHASH_CUDA_ARCHS`` lists compute capabilities ("80 89 90"); PTX of the last is added. The
runtime is linked statically and finds the driver at run time: the module loads without a GPU.

Two builds of one commit are equal to the byte, with the same compiler and setuptools: every file has
the time of the commit, and no path of the machine gets into the module. An archive of the sources and
every wheel carry the commit (``vhash --version``); a wheel also lists what is in it (``*.cdx.json``).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import uuid
from datetime import UTC, datetime
from glob import glob
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pybind11
from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

COMMIT = Path("sdk/vhash_sdk/commit.txt")
"""In archives and wheels only: the commit, "+" after it where files had been changed, and its time."""


def commit() -> tuple[str, int] | None:
    """What is being built, and when it was written (seconds since 1970); None: nobody can say."""
    if not Path(".git").exists():
        return (
            (words[0], int(words[1])) if COMMIT.is_file() and (words := COMMIT.read_text().split()) else None
        )
    try:
        name, seconds = _git("log", "-1", "--format=%H %ct").split()
        changed = _git(
            "status", "--porcelain", "--untracked-files=no", "--", "csrc", "sdk", "setup.py", "pyproject.toml"
        )
    except (OSError, ValueError, subprocess.CalledProcessError):  # no git, or a clone of somebody else's
        return None
    return name + ("+" if changed else ""), int(seconds)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


built = commit()
if built is not None:  # what setuptools gives to the files of a wheel
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(built[1]))

flags = ["-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-pthread"]
for folder, shown in ((os.getcwd(), "vhash"), (pybind11.get_include(), "pybind11")):
    flags.append(f"-ffile-prefix-map={folder}={shown}")  # where it was built must not show in what was built
link = ["-pthread"]
if werror := bool(os.environ.get("VHASH_WERROR")):  # CI: a warning is an error
    flags.append("-Werror")
if sanitizers := os.environ.get("VHASH_SANITIZE"):  # e.g. "address,undefined" or "thread"
    flags += [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer", "-g", "-O1"]
    link.append(f"-fsanitize={sanitizers}")
else:  # Python's own flags ask for them
    flags.append("-g0")


def nvcc() -> str | None:
    """The CUDA compiler to use; None: leave the CUDA module out."""
    wanted = os.environ.get("VHASH_CUDA", "0")
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
            if os.environ.get("VHASH_CUDA") == "1":
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


def write_commit(folder: Path) -> None:
    """Put the commit into a folder of what is being built."""
    if built is not None and folder.is_dir():
        (folder / COMMIT.name).write_text(f"{built[0]} {built[1]}\n")


class BuildPython(build_py):
    """Adds the commit to what is installed; an editable installation asks git instead."""

    def run(self) -> None:
        """Copy the modules, then write the commit beside them."""
        super().run()
        if not self.editable_mode:
            write_commit(Path(self.build_lib, "vhash_sdk"))


class SourceArchive(sdist):
    """An archive whose bytes depend on its contents only."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, then write the commit among them."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir, COMMIT.parent))

    def make_archive(self, base_name: str, format: str, *args: Any, **options: Any) -> str:
        """Pack in the order of names, with one time, no owner, and one of two modes."""
        if format != "gztar":
            return super().make_archive(base_name, format, *args, **options)
        time = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))  # 1980, which a zip can say too
        Path(base_name).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(f"{base_name}.tar.gz", "wb") as file,
            gzip.GzipFile("", "wb", mtime=time, fileobj=file) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(path for path in Path(options["base_dir"]).rglob("*") if path.is_file()):
                member = tarfile.TarInfo(path.as_posix())
                member.size, member.mtime = path.stat().st_size, time
                member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                with path.open("rb") as content:
                    archive.addfile(member, content)
        return f"{base_name}.tar.gz"


class Wheel(bdist_wheel):
    """A wheel with a list of what is in it beside its own files (PEP 770)."""

    def write_wheelfile(self, folder: str, *args: Any, **options: Any) -> None:
        """Write the list where the metadata is complete, just before the wheel is packed."""
        super().write_wheelfile(folder, *args, **options)
        package = Path(self.bdist_dir, "vhash_sdk")
        if package.is_dir():  # an editable wheel has nothing in it
            target = Path(folder, "sboms", "vhash-sdk.cdx.json")
            target.parent.mkdir(exist_ok=True)
            bill = bill_of_materials(self.distribution.get_version(), package)
            target.write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for path in Path(self.bdist_dir).rglob("*"):  # whoever builds, whatever their umask
            if path.is_file():
                path.chmod(0o755 if path.suffix == ".so" else 0o644)


def bill_of_materials(ours: str, package: Path) -> dict[str, Any]:
    """What a wheel carries that has an origin and a licence of its own, as CycloneDX."""
    about = f"pkg:pypi/vhash-sdk@{ours}"
    parts = [
        component("library", "pybind11", version("pybind11"), "BSD-3-Clause")
        | {"purl": f"pkg:pypi/pybind11@{version('pybind11')}", "description": "headers, compiled in"}
    ]
    for path in sorted([*package.glob("models/*.onnx"), *package.glob("samples/*.mp4")]):
        model = path.suffix == ".onnx"
        free = "Apache-2.0" if model else "CC-BY-3.0" if path.stem == "bunny" else "BSD-3-Clause"
        kind = "machine-learning-model" if model else "data"
        parts.append(
            component(kind, path.relative_to(package.parent).as_posix(), ours, free)
            | {"hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]}
        )
    time = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), UTC)
    place = f"{about}#{built[0] if built else ''}/{platform.machine()}/{sys.implementation.cache_tag}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, place)}",
        "version": 1,
        "metadata": {
            "timestamp": time.isoformat(timespec="seconds"),
            "component": component("library", "vhash-sdk", ours, "Apache-2.0") | {"purl": about},
        },
        "components": parts,
    }


def component(kind: str, name: str, number: str, free: str) -> dict[str, Any]:
    """One thing with a licence."""
    return {
        "type": kind,
        "bom-ref": name,
        "name": name,
        "version": number,
        "licenses": [{"license": {"id": free}}],
    }


# csrc/cuda is a module of its own
rooms = ("bindings", "frames", "hamming", "index", "matching", "store", "system")
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
            sorted(
                glob("csrc/cuda/*.cu")
                + glob("csrc/cuda/*.cpp")
                + glob("csrc/frames/*.cpp")
                + ["csrc/bindings/gil.cpp"]
            ),
            depends=sorted(glob("csrc/cuda/*.*h*") + glob("csrc/frames/*.hpp") + ["csrc/system/gil.hpp"]),
            include_dirs=["csrc"],
        )
    )

ParallelCompile("NPY_NUM_BUILD_JOBS", default=2).install()
setup(
    ext_modules=extensions,
    cmdclass={
        "build_ext": BuildExtensions,
        "build_py": BuildPython,
        "sdist": SourceArchive,
        "bdist_wheel": Wheel,
    },
)
