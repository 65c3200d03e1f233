"""Tensors made from nothing, and gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerf.kernels.ir import Const, DType, Expr, Index, apply, const_index
from kerf.kernels.lower.pointwise import num
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Value, broadcast, broadcast_index, constant
from kerf.kernels.lower.views import replaced, view


@lowers("full", "full_like", "new_full", "scalar_tensor", "fill.Scalar")
def _full(c: Context, *args: Any, **_: Any) -> Value:
    return constant(args[-1], c.dtype, c.shape)


@lowers("zeros", "zeros_like", "new_zeros", "zero", "empty.memory_format", "empty_like", "new_empty")
def _zeros(c: Context, *_: Any, **__: Any) -> Value:
    return constant(0, c.dtype, c.shape)


@lowers("ones", "ones_like", "new_ones")
def _ones(c: Context, *_: Any, **__: Any) -> Value:
    return constant(1, c.dtype, c.shape)


@lowers("arange", "arange.start", "arange.start_step")
def _arange(c: Context, *args: Any, **_: Any) -> Value:
    start, _end, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    kind = c.dtype.compute

    def at(index: Indices) -> Expr:
        if kind is DType.I64:
            return apply("add", apply("mul", index[0], const_index(step)), const_index(start))
        i = cast(index[0], kind)
        return apply("add", apply("mul", i, num(step, i)), num(start, i))

    return Value(c.shape, c.dtype, at, hint="arange")


@lowers("linspace")
def _linspace(c: Context, start: float, end: float, steps: int, **_: Any) -> Value:
    """From both ends, as torch does it, so that the last element is exact."""
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    kind = c.dtype.compute

    def at(index: Indices) -> Expr:
        i = cast(index[0], kind)
        up = apply("add", num(start, i), apply("mul", i, num(step, i)))
        down = apply("sub", num(end, i), apply("mul", apply("sub", num(steps - 1, i), i), num(step, i)))
        return apply("select", apply("lt", index[0], const_index((steps + 1) // 2)), up, down, dtype=kind)

    return Value(c.shape, c.dtype, at, hint="linspace")


@lowers("eye", "eye.m")
def _eye(c: Context, *_: Any, **__: Any) -> Value:
    one, zero = Const(1, c.dtype.compute), Const(0, c.dtype.compute)
    return Value(
        c.shape,
        c.dtype,
        lambda i: apply("select", apply("eq", i[0], i[1]), one, zero, dtype=one.dtype),
        hint="eye",
    )


def wrapped(e: Expr, extent: int) -> Expr:
    """A user's index, with negative ones counted from the end."""
    e = cast(e, DType.I64)
    if isinstance(e, Index | Const):
        return e
    return apply(
        "select", apply("lt", e, const_index(0)), apply("add", e, const_index(extent)), e, dtype=DType.I64
    )


@lowers("embedding")
def _embedding(c: Context, weight: Value, indices: Value, *_: Any) -> Value:
    source = c.builder.reusable(weight)
    return Value(
        c.shape,
        c.dtype,
        lambda index: source.at((cast(indices.at(index[:-1]), DType.I64), index[-1])),
        hint="embedding",
    )


@lowers("index_select")
def _index_select(c: Context, x: Value, dim: int, indices: Value) -> Value:
    d = dim % x.rank
    source, flat = c.builder.reusable(x), c.reshape(indices, (indices.size,))
    return view(source, c.shape, lambda index: replaced(index, d, cast(flat.at((index[d],)), DType.I64)))


@lowers("gather")
def _gather(c: Context, x: Value, dim: int, indices: Value, **_: Any) -> Value:
    d = dim % x.rank
    source = c.builder.reusable(x)
    return view(source, c.shape, lambda index: replaced(index, d, cast(indices.at(index), DType.I64)))


@lowers("take")
def _take(c: Context, x: Value, indices: Value) -> Value:
    flat = c.reshape(c.builder.realize(x), (x.size,))
    return view(flat, c.shape, lambda index: (wrapped(indices.at(index), x.size),))


@lowers("index.Tensor")
def _index(c: Context, x: Value, indices: Sequence[Value | None]) -> Value:
    """Integer tensors index together; slices (None) stay. torch puts the joint dimensions where the first index
    was if the indexed dimensions are adjacent, and in front otherwise."""
    picked = [d for d, i in enumerate(indices) if i is not None]
    chosen = [i for i in indices if i is not None]
    if any(i.dtype is DType.BOOL for i in chosen):
        raise LookupError("indexing by a boolean mask gives a shape that depends on data")
    joint = broadcast(*(i.shape for i in chosen))
    front = picked[0] if picked == list(range(picked[0], picked[-1] + 1)) else 0
    source = c.builder.reusable(x)
    kept = [d for d in range(x.rank) if d not in picked]

    def where(index: Indices) -> Indices:
        inner, outer = index[front : front + len(joint)], index[:front] + index[front + len(joint) :]
        made = dict(zip(kept, outer))
        for d, tensor in zip(picked, chosen):
            made[d] = wrapped(tensor.at(broadcast_index(inner, tensor.shape)), x.shape[d])
        return tuple(made[d] for d in range(x.rank))

    return view(source, c.shape, where)


@lowers("one_hot")
def _one_hot(c: Context, x: Value, num_classes: int = -1) -> Value:
    def at(index: Indices) -> Expr:
        hit = apply("eq", cast(x.at(index[:-1]), DType.I64), index[-1])
        return apply("select", hit, const_index(1), const_index(0), dtype=DType.I64)

    return Value(c.shape, c.dtype, at, hint="one_hot")


_FEW_EDGES = 64


@lowers("bucketize.Tensor")
def _bucketize(c: Context, x: Value, edges: Value, *, out_int32: bool = False, right: bool = False) -> Value:
    """The edges that do not lie above (at or above) each value: NaN, above which no edge lies, counts all of them, as in torch."""
    if edges.size > _FEW_EDGES:
        raise LookupError("a binary search is quicker than to look at all edges")
    above = "gt" if right else "ge"
    spread = c.reshape(x, (*x.shape, 1))
    below = c.builder.pointwise(
        lambda e, v: cast(apply("not", apply(above, e, v)), DType.I64), [edges, spread], DType.I64
    )
    return c.converted(c.builder.reduce("sum", below, [x.rank], DType.I64), c.dtype)
