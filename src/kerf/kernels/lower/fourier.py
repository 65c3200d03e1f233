"""Fourier transforms: calls into PyTorch. Those of real values that were made complex first are asked for as such, which is half the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerf.kernels.lower.complex_values import Complex
from kerf.kernels.lower.library import call
from kerf.kernels.lower.registry import Context


def _c2c(c: Context, x: Complex, dims: Sequence[int], normalization: int, forward: bool) -> Complex:
    if x.im.constant != 0 or not forward:
        raise LookupError("a transform of complex values")
    made: Complex = call(c, "aten._fft_r2c.default", (x.re, list(dims), normalization, False), {})
    return made


TRANSFORMS: dict[str, Callable[..., Any]] = {"aten._fft_c2c.default": _c2c}
