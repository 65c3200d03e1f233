"""Complex numbers as pairs of real values: in expressions two parts, in memory a last dimension of 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from kerf.kernels.ir import Const, DType, Expr, Load, Ref, affine, apply, const_index, linear
from kerf.kernels.lower.registry import Context
from kerf.kernels.lower.values import Builder, Indices, Value, probe
from kerf.kernels.lower.views import view

_PARTS = {torch.complex64: DType.F32, torch.complex128: DType.F64}
COMPLEX = {part: whole for whole, part in _PARTS.items()}


@dataclass(frozen=True, eq=False)
class Complex:
    """re + i im, of one shape and dtype. `spectrum`: the real values, dimensions and normalization of which this is the whole transform."""

    re: Value
    im: Value
    spectrum: tuple[Value, tuple[int, ...], int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.re.shape

    @property
    def rank(self) -> int:
        return self.re.rank

    def mapped(self, change: Callable[[Value], Value]) -> Complex:
        """The same done to both parts."""
        return Complex(change(self.re), change(self.im))


def part_type(dtype: torch.dtype) -> DType | None:
    """The type of the two parts; None where `dtype` is not complex."""
    return _PARTS.get(dtype)


def of_pairs(x: Value) -> Complex:
    """x[..., 0] + i x[..., 1]."""
    re, im = (view(x, x.shape[:-1], lambda i, k=k: (*i, const_index(k))) for k in (0, 1))  # type: ignore[misc]
    return Complex(re, im)


def pairs_of(x: Complex, hint: str = "") -> Value:
    """The inverse: a last dimension of 2."""

    def at(index: Indices) -> Expr:
        if isinstance(index[-1], Const):
            return (x.im if index[-1].value else x.re).at(index[:-1])
        re, im = x.re.at(index[:-1]), x.im.at(index[:-1])
        beside = _beside(re, im, index[-1])
        if beside is not None:
            return beside
        return apply("select", apply("eq", index[-1], const_index(0)), re, im, dtype=re.dtype)

    return Value((*x.shape, 2), x.re.dtype, at, hint=hint)


def _beside(re: Expr, im: Expr, part: Expr) -> Load | None:
    """One load of either part, where both lie side by side."""
    if not (isinstance(re, Load) and isinstance(im, Load)) or re.buffer != im.buffer:
        return None
    first, second = affine(re.index[-1]), affine(im.index[-1])
    if re.index[:-1] != im.index[:-1] or first is None or second is None:
        return None
    step = second.offset - first.offset
    if step != 1 or first.coefficients != second.coefficients:
        return None
    return replace(re, index=(*re.index[:-1], apply("add", re.index[-1], part)))


def lying(builder: Builder, x: Complex) -> Ref | None:
    """Where its numbers lie in memory, if both parts do side by side, at regular steps."""
    here = probe(x.rank)
    re, im = x.re.at(here), x.im.at(here)
    if not (isinstance(re, Load) and isinstance(im, Load)) or re.buffer != im.buffer:
        return None
    buffer = builder.buffers[re.buffer]
    first, second = linear(re, buffer), linear(im, buffer)
    if first is None or second is None or buffer.dtype is not x.re.dtype:
        return None
    steps = tuple(first.of(f"i{d}") for d in range(x.rank))
    beside = second.offset == first.offset + 1 and steps == tuple(second.of(f"i{d}") for d in range(x.rank))
    if not beside or any(s < 0 or s % 2 for s in (*steps, first.offset)):
        return None
    shape = (*x.shape, 2)
    whole = shape == buffer.shape and (*steps, 1) == buffer.strides
    return Ref(buffer.name, None if whole else (shape, (*steps, 1), first.offset), pairs=True)


def times(c: Context, a: Complex, b: Complex) -> Complex:
    """The product, element by element."""
    re = c.pointwise(lambda w, x, y, z: product_sum("sub", w, x, y, z), a.re, b.re, a.im, b.im)
    im = c.pointwise(lambda w, x, y, z: product_sum("add", w, x, y, z), a.re, b.im, a.im, b.re)
    return Complex(re, im)


def product_sum(op: str, w: Expr, x: Expr, y: Expr, z: Expr) -> Expr:
    """w x op y z"""
    return apply(op, apply("mul", w, x), apply("mul", y, z))
