"""Which instruction set the kernels of the C++ engine use."""

from __future__ import annotations

from .. import _core


def simd_level() -> str:
    """The instruction set whose kernels are in use."""
    return _core.simd_level()


def simd_levels() -> list[str]:
    """The instruction sets that this CPU has kernels for, slowest first."""
    return _core.simd_levels()


def set_simd_level(level: str) -> None:
    """Force the kernels of one instruction set, or ``auto``; VHASH_SIMD does the same at the start.

    Raises:
        OptionError: the CPU does not have it.
    """
    _core.set_simd_level(level)
