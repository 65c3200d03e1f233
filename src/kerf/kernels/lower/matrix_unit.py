"""Convolutions and attention of bfloat16 on chips with matrix registers (AMX): oneDNN uses these, and generated code was not measured beside it there, so
that large ones stay calls into the library inside the candidate. Matrix products are generated: they use the registers too."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from kerf.kernels.ir import DType
from kerf.kernels.lower.registry import Context
from kerf.kernels.lower.values import Value
from kerf.kernels.targets.cpu import native

LEAST = 1 << 22  # multiplications, which take generated code longer than a call into the library does
TILE = 16  # rows of a matrix register: thinner operands leave it mostly empty
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")


def left_to_library(c: Context, args: Sequence[Any]) -> bool:
    if c.dtype is not DType.BF16 or "amx_bf16" not in native().features:
        return False
    shapes = [a.shape for a in args if isinstance(a, Value)]
    return _multiplications(str(c.node.target).split(".")[1], c.shape, shapes) >= LEAST


def _multiplications(name: str, out: Sequence[int], operands: Sequence[Sequence[int]]) -> int:
    """Of a product that fills matrix registers; 0 for other ops."""
    if name in CONVOLUTIONS:
        depth, wide = prod(operands[1][1:]), min(operands[1][:2])
    elif name == "scaled_dot_product_attention":
        depth, wide = 2 * operands[1][-2], min(operands[1][-2], out[-1], out[-2])
    else:
        return 0
    return prod(out) * depth if wide >= TILE else 0
