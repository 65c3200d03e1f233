"""Which function lowers which ATen overload, and what such a function is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.ir import DType, Expr, apply
from kerf.kernels.lower.values import Builder, Shape, Value, constant, reshape_view

DTYPES: dict[torch.dtype, DType] = {
    torch.float64: DType.F64,
    torch.float32: DType.F32,
    torch.float16: DType.F16,
    torch.bfloat16: DType.BF16,
    torch.int64: DType.I64,
    torch.int32: DType.I32,
    torch.int16: DType.I16,
    torch.int8: DType.I8,
    torch.uint8: DType.U8,
    torch.bool: DType.BOOL,
}
TORCH_DTYPES = {ours: theirs for theirs, ours in DTYPES.items()}


def dtype_of(dtype: torch.dtype) -> DType:
    if dtype not in DTYPES:
        raise KerfError(
            f"tensors of {dtype} have no place in the tensor IR; convert to a real or integer type first"
        )
    return DTYPES[dtype]


@dataclass
class Context:
    """What a lowering works with. `outs`: shape and dtype of each tensor the node returns."""

    builder: Builder
    node: torch.fx.Node
    outs: tuple[tuple[Shape, DType], ...]
    values: Mapping[torch.fx.Node, Any]

    @property
    def shape(self) -> Shape:
        return self.outs[0][0]

    @property
    def dtype(self) -> DType:
        return self.outs[0][1]

    @property
    def makes_complex(self) -> bool:
        """Is the node's result complex, with `dtype` the type of its parts?"""
        made = self.node.meta["val"]
        return isinstance(made, torch.Tensor) and made.is_complex()

    def value_of(self, node: torch.fx.Node) -> Value:
        """What an earlier node was lowered to."""
        made = self.values[node]
        assert isinstance(made, Value)
        return made

    def value(self, x: Any, dtype: DType | None = None) -> Value:
        """A lowered argument: a value as it is, a Python number as a constant of `dtype`."""
        return x if isinstance(x, Value) else constant(x, dtype or self.dtype)

    def pointwise(
        self, fn: Callable[..., Expr], *args: Any, dtype: DType | None = None, compute: DType | None = None
    ) -> Value:
        """fn over the arguments, each first converted to the compute type of `compute` (default: of the result)."""
        result = dtype or self.dtype
        kind = (compute or result).compute
        values = [self.value(a, kind) for a in args]
        return self.builder.pointwise(lambda *e: fn(*(cast(x, kind) for x in e)), values, result)

    def converted(self, x: Value, dtype: DType) -> Value:
        return (
            x
            if x.dtype is dtype
            else self.builder.pointwise(lambda e: convert(e, x.dtype, dtype), [x], dtype)
        )

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        target = tuple(shape)
        made = reshape_view(x, target)
        if made is None:
            made = reshape_view(self.builder.realize(x), target)
        assert made is not None
        return made


def cast(expr: Expr, dtype: DType) -> Expr:
    return expr if expr.dtype is dtype else apply("cast", expr, dtype=dtype)


def convert(expr: Expr, source: DType, target: DType) -> Expr:
    """A conversion a user asked for: to a narrower float it rounds, as torch does."""
    if target in (DType.F16, DType.BF16) and source is not target and source.is_float:
        return apply("cast", apply("cast", expr, dtype=target), dtype=DType.F32)
    return cast(expr, target.compute)


# Where and how a tensor is kept says nothing about its values; the node's own dtype is read from its result.
ABOUT_STORAGE = frozenset(
    {"dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "implicit", "out_dtype"}
)

Lowering = Callable[..., Any]
LOWERINGS: dict[str, Lowering] = {}


def lowers(*targets: str) -> Callable[[Lowering], Lowering]:
    """Register `fn(context, *args, **kwargs)` for ATen overloads such as "relu" (meaning "aten.relu.default") or "add.Tensor"."""

    def register(fn: Lowering) -> Lowering:
        for target in targets:
            LOWERINGS[
                target if target.count(".") == 2 else f"aten.{target}" + ("" if "." in target else ".default")
            ] = fn
        return fn

    return register


def normal_dims(dims: Any, rank: int) -> list[int]:
    """Dimensions as non-negative ints; None or [] means all of them."""
    if dims is None or (isinstance(dims, Sequence) and not dims):
        return list(range(rank))
    listed = [dims] if isinstance(dims, int) else list(dims)
    return sorted(d % max(rank, 1) for d in listed) if rank else []
