"""Tensors made from Python numbers inside forward()."""

from __future__ import annotations

import torch

from kerf.core.types import KerfError
from kerf.kernels.ir import Const, DType, Expr, apply, const_index
from kerf.kernels.lower.registry import dtype_of
from kerf.kernels.lower.values import Value, constant, flat_index

_LARGEST = 4096  # elements written out as comparisons of the index


def embedded(tensor: torch.Tensor) -> Value:
    """The tensor as an expression of the index: one constant, or a tree of comparisons."""
    shape, dtype = tuple(tensor.shape), dtype_of(tensor.dtype)
    values = tensor.detach().reshape(-1).tolist()
    if len(set(values)) == 1:
        return constant(values[0], dtype, shape)
    if len(values) > _LARGEST:
        raise KerfError(
            f"forward() makes a constant tensor of shape {shape}; register it once with self.register_buffer(...) instead."
        )
    return Value(
        shape, dtype, lambda index: _tree(flat_index(index, shape), values, 0, dtype.compute), hint="constant"
    )


def _tree(position: Expr, values: list[float], first: int, dtype: DType) -> Expr:
    """Binary search for values[position - first], equal runs taken together."""
    if len(set(values)) == 1:
        return Const(values[0], dtype)
    half = len(values) // 2
    left, right = (
        _tree(position, values[:half], first, dtype),
        _tree(position, values[half:], first + half, dtype),
    )
    if left == right:
        return left
    return apply("select", apply("lt", position, const_index(first + half)), left, right, dtype=dtype)
