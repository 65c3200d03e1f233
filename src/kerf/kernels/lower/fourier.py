"""Fourier transforms: calls into PyTorch on values that lie as its transforms want them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from kerf.kernels.ir import DType, Expr, Load, apply, const_index, linear
from kerf.kernels.lower.complex_values import COMPLEX, Complex, lying, of_pairs, pairs_of
from kerf.kernels.lower.library import call
from kerf.kernels.lower.registry import TORCH_DTYPES, Context
from kerf.kernels.lower.values import Indices, Value, probe
from kerf.kernels.lower.views import permuted
from kerf.kernels.tensors import by_stride, inverse


def _r2c(c: Context, x: Value, dims: Sequence[int], normalization: int, onesided: bool) -> Complex:
    half: Complex = _call(c, "aten._fft_r2c.default", _real(c, x, dims), list(dims), normalization, True)
    return half if onesided else _whole(x, half, tuple(d % x.rank for d in dims), normalization)


def _c2c(c: Context, x: Complex, dims: Sequence[int], normalization: int, forward: bool) -> Complex:
    """Of real values that were made complex, and of transforms of such along other dimensions, as of real ones, which is half the work."""
    if x.im.constant == 0 and forward:
        return _r2c(c, x.re, dims, normalization, False)
    if x.spectrum is not None and forward:
        real, before, how = x.spectrum
        along = [d % x.rank for d in dims]
        if how == normalization and not {*along} & {*before}:
            return _r2c(c, real, [*along, *before], normalization, False)
    made: Complex = _call(
        c, "aten._fft_c2c.default", _complex(c, x, dims), list(dims), normalization, forward
    )
    return made


def _whole(x: Value, half: Complex, dims: tuple[int, ...], normalization: int) -> Complex:
    """A transform of real values from its half: F[-k] = conj(F[k])."""
    last = dims[-1]
    kept = half.shape[last]

    def mirrored(index: Indices) -> Indices:
        def one(d: int) -> Expr:
            away = apply("sub", const_index(x.shape[d]), index[d])
            at_zero = apply("eq", index[d], const_index(0))
            return away if d == last else apply("select", at_zero, index[d], away, dtype=DType.I64)

        return tuple(one(d) if d in dims else i for d, i in enumerate(index))

    def part(of: Value, sign: bool) -> Value:
        def at(index: Indices) -> Expr:
            there = of.at(mirrored(index))
            other = apply("neg", there) if sign else there
            return apply(
                "select", apply("lt", index[last], const_index(kept)), of.at(index), other, dtype=there.dtype
            )

        return Value(x.shape, x.dtype, at, hint=half.re.hint)

    return Complex(part(half.re, False), part(half.im, True), (x, dims, normalization))


def _c2r(c: Context, x: Complex, dims: Sequence[int], normalization: int, length: int) -> Value:
    """Over several dimensions in two steps, as PyTorch does it, with what it moves between them moved by a kernel."""
    if len(dims) > 1:
        x = _c2c(c, x, dims[:-1], normalization, False)
    made: Value = _call(
        c, "aten._fft_c2r.default", _complex(c, x, dims[-1:]), [dims[-1]], normalization, length
    )
    return made


def _call(c: Context, target: str, x: Placed, *args: Any) -> Any:
    """The call, with its result where PyTorch lays that of an argument which lies so: this differs from library to library, and its own
    shape functions do not know it."""
    dtype = TORCH_DTYPES[x.value.dtype] if isinstance(x.value, Value) else COMPLEX[x.value.re.dtype]
    given = torch.empty_strided(x.value.shape, x.steps, dtype=dtype).zero_()
    name, overload = target.split(".")[1:]
    like = getattr(getattr(torch.ops.aten, name), overload)(given, *args)
    return call(c, target, (x.value, *args), {}, like)


# ---------------------------------------------------------------- where the argument lies


@dataclass(frozen=True)
class Placed:
    """An argument that has memory, and the steps in it, in elements, along its dimensions."""

    value: Value | Complex
    steps: tuple[int, ...]


def _real(c: Context, x: Value, dims: Sequence[int]) -> Placed:
    here = x.at(probe(x.rank))
    form = linear(here, c.builder.buffers[here.buffer]) if isinstance(here, Load) else None
    steps = tuple(form.of(f"i{d}") for d in range(x.rank)) if form else ()
    if form and _joined(x.shape, steps, dims):
        return Placed(x, steps)
    order = _order(c, x.rank, dims)
    return Placed(_laid(c, x, order), strides(x.shape, order))


def _complex(c: Context, x: Complex, dims: Sequence[int]) -> Placed:
    held = lying(c.builder, x)
    if held is not None:
        steps = held.view[1] if held.view else c.builder.buffers[held.buffer].strides
        if _joined(x.shape, steps, dims):
            return Placed(x, tuple(s // 2 for s in steps[:-1]))
    order = _order(c, x.rank, dims)
    kept = _laid(c, pairs_of(x, c.builder.hint), [*order, x.rank])
    return Placed(of_pairs(kept), strides(x.shape, order))


def _order(c: Context, rank: int, dims: Sequence[int]) -> list[int]:
    """The transforms one after the other in memory, in the order in which the module's results lie."""
    along = sorted(d % rank for d in dims)
    outer = by_stride(c.node.meta["val"])
    return [*(d for d in outer if d not in along), *along]


def _joined(shape: Sequence[int], steps: Sequence[int], dims: Sequence[int]) -> bool:
    """Do the transforms lie at one distance? PyTorch moves its argument if not, and more slowly than a kernel."""
    along = {d % len(shape) for d in dims}
    batch = sorted(
        ((s, n) for d, (s, n) in enumerate(zip(steps, shape)) if d not in along and n > 1), reverse=True
    )
    if min(steps, default=0) < 0:
        return False
    return all(outer == inner * n for (outer, _), (inner, n) in pairwise(batch))


def strides(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Those of a tensor without gaps whose dimensions lie in that order."""
    found, step = [0] * len(shape), 1
    for d in reversed(order):
        found[d], step = step, step * shape[d]
    return tuple(found)


def _laid(c: Context, x: Value, order: Sequence[int]) -> Value:
    if list(order) == list(range(x.rank)):
        return c.builder.realize(x, "arg")
    return permuted(c.builder.realize(permuted(x, order), "arg"), inverse(order))


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "aten._fft_r2c.default": _r2c,
    "aten._fft_c2c.default": _c2c,
    "aten._fft_c2r.default": _c2r,
}
