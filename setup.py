"""Builds ``vhash_sdk._core``, the C++ engine, with pybind11.

Everything else about the package is in pyproject.toml. The sources are portable C++17:
instruction sets come by function ``target`` attributes and a run-time probe, never by
compiler flags, so one wheel serves every CPU of an architecture.
"""

from __future__ import annotations

import os
from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import setup

flags = ["-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-pthread"]
link = ["-pthread"]
if os.environ.get("VHASH_WERROR"):  # CI: a warning is an error
    flags.append("-Werror")
if sanitizers := os.environ.get("VHASH_SANITIZE"):  # e.g. "address,undefined" or "thread"
    flags += [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer", "-g", "-O1"]
    link.append(f"-fsanitize={sanitizers}")

ParallelCompile("NPY_NUM_BUILD_JOBS", default=2).install()
setup(
    ext_modules=[
        Pybind11Extension(
            "vhash_sdk._core",
            sorted(glob("csrc/*.cpp")),
            depends=sorted(glob("csrc/*.h*") + glob("csrc/*.inc")),
            include_dirs=["csrc"],
            cxx_std=17,
            extra_compile_args=flags,
            extra_link_args=link,
        )
    ]
)
