"""What tolerances and comparisons look at in each element of a tensor, and the C that does it in one pass."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.resources import files

import torch

from kerf.core.types import KerfError
from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import compile_library, native_flags


def at_memory(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def category(x: torch.Tensor) -> torch.Tensor:
    """0 finite, 1 NaN, 2 infinity, 3 minus infinity."""
    return (
        torch.isnan(x).to(torch.int8)
        + torch.isposinf(x).to(torch.int8) * 2
        + torch.isneginf(x).to(torch.int8) * 3
    )


def exponent(x: torch.Tensor) -> torch.Tensor:
    """The biased float32 exponent of each element, 0 (zero, denormal) to 255."""
    return (x.float().contiguous().view(torch.int32) >> 23) & 0xFF


@cache
def compiled() -> ctypes.CDLL | None:
    """compare.c, compiled once a machine; None without a compiler (then torch does the same in ten passes)."""
    chip = native()
    try:
        build = compile_library(
            (files(__package__) / "compare.c").read_text(), native_flags(chip.machine, chip.vector_bits)
        )
    except KerfError:
        return None
    return ctypes.CDLL(str(build.library)) if build.library else None
