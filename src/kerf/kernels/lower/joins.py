"""Tensors put together and given margins: index arithmetic and selects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from kerf.kernels.ir import Const, Expr, apply, const_index
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Indices, Value
from kerf.kernels.lower.views import dim_of, narrowed, replaced, replaced_size, shift, view


@lowers("roll")
def _roll(c: Context, x: Value, shifts: Any, dims: Any = ()) -> Value:
    amounts = [shifts] if isinstance(shifts, int) else list(shifts)
    over = [dims] if isinstance(dims, int) else list(dims)
    if not over:
        return c.reshape(_roll(c, c.reshape(x, (x.size,)), amounts, [0]), x.shape)
    for amount, dim in zip(amounts, over):
        d = dim_of(dim, x.rank)
        k = amount % x.shape[d]
        x = (
            cat_values(c, [narrowed(x, d, x.shape[d] - k, k), narrowed(x, d, 0, x.shape[d] - k)], d)
            if k
            else x
        )
    return x


@lowers("cat", "concat", "concatenate")
def _cat(c: Context, tensors: Sequence[Value], dim: int = 0) -> Value:
    kept = [t for t in tensors if t.shape != (0,)]
    return cat_values(c, [c.converted(t, c.dtype) for t in kept], dim_of(dim, len(c.shape)))


def cat_values(c: Context, parts: Sequence[Value], d: int) -> Value:
    """Along dimension d, as a binary search of the index: selects as deep as the logarithm of the number of parts."""
    parts = [p for p in parts if p.shape[d]]
    starts = [0, *accumulate(p.shape[d] for p in parts)]

    def among(index: Indices, first: int, stop: int) -> Expr:
        if stop - first == 1:
            return parts[first].at(replaced(index, d, shift(index[d], -starts[first])))
        middle = first + 1 if stop - first <= _CHAIN else (first + stop) // 2
        left, right = among(index, first, middle), among(index, middle, stop)
        return apply(
            "select", apply("lt", index[d], const_index(starts[middle])), left, right, dtype=left.dtype
        )

    if len(parts) == 1:
        return parts[0]
    shape = replaced_size(parts[0].shape, d, starts[-1])
    return Value(shape, parts[0].dtype, lambda index: among(index, 0, len(parts)), hint=c.builder.hint)


_CHAIN = 8  # parts tried one after the other


@lowers("stack")
def _stack(c: Context, tensors: Sequence[Value], dim: int = 0) -> Value:
    d = dim_of(dim, len(c.shape))
    parts = [c.converted(t, c.dtype) for t in tensors]
    return cat_values(c, [c.reshape(t, (*t.shape[:d], 1, *t.shape[d:])) for t in parts], d)


@lowers("hstack", "vstack")
def _hvstack(c: Context, tensors: Sequence[Value]) -> Value:
    if "vstack" in str(c.node.target):
        return _cat(c, [c.reshape(t, (1, *t.shape)) if t.rank == 1 else t for t in tensors], 0)
    return _cat(c, tensors, 0 if tensors[0].rank == 1 else 1)


@lowers("constant_pad_nd")
def _constant_pad(c: Context, x: Value, pad: Sequence[int], value: float = 0) -> Value:
    return padded(c, x, pad, value)


@lowers("pad")
def _pad(
    c: Context, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    if mode == "constant":
        return padded(c, x, pad, value or 0)
    for k in range(len(pad) // 2):
        x = _wrapped_pad(x, x.rank - 1 - k, pad[2 * k], pad[2 * k + 1], mode)
    return x


@lowers("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
def _reflection_pad(c: Context, x: Value, pad: Sequence[int]) -> Value:
    return _pad(c, x, pad, "reflect")


@lowers("replication_pad1d", "replication_pad2d", "replication_pad3d")
def _replication_pad(c: Context, x: Value, pad: Sequence[int]) -> Value:
    return _pad(c, x, pad, "replicate")


def _wrapped_pad(x: Value, d: int, before: int, after: int, mode: str) -> Value:
    n = x.shape[d]

    def source(i: Expr) -> Expr:
        j = shift(i, -before)
        if mode == "circular":
            return apply("mod", apply("add", j, const_index(n)), const_index(n))
        if mode == "reflect":  # distance from 0, then from the far end
            j = apply("max", j, apply("neg", j))
            return apply("min", j, apply("sub", const_index(2 * (n - 1)), j))
        return apply("min", apply("max", j, const_index(0)), const_index(n - 1))

    return view(
        x, replaced_size(x.shape, d, before + n + after), lambda index: replaced(index, d, source(index[d]))
    )


def padded(c: Context, x: Value, pad: Sequence[int], value: float) -> Value:
    """Constant padding; negative amounts crop."""
    out = x
    for k in range(len(pad) // 2):
        d = x.rank - 1 - k
        out = _padded_dim(out, d, pad[2 * k], pad[2 * k + 1], value)
    return out


def _padded_dim(x: Value, d: int, before: int, after: int, value: float) -> Value:
    n = x.shape[d]
    if before < 0 or after < 0:
        x = narrowed(x, d, max(0, -before), n + min(0, before) + min(0, after))
        before, after, n = max(0, before), max(0, after), x.shape[d]
    if not before and not after:
        return x
    fill = Const(value, x.dtype.compute)

    def at(index: Indices) -> Expr:
        tests = [apply("ge", index[d], const_index(before))] if before else []
        tests += [apply("lt", index[d], const_index(before + n))] if after else []
        cond = apply("and", *tests) if len(tests) == 2 else tests[0]
        return apply(
            "select", cond, x.at(replaced(index, d, shift(index[d], -before))), fill, dtype=fill.dtype
        )

    return Value(replaced_size(x.shape, d, before + n + after), x.dtype, at, hint=x.hint)


@lowers("unfold_backward")
def _overlapped(c: Context, x: Value, input_size: Sequence[int], dim: int, size: int, step: int) -> Value:
    """Frames of `size` elements, `step` apart along a dimension, added where they overlap (the inverse transform of a spectrogram): every
    result is a sum over the frames that reach it, at its place in each."""
    d = dim_of(dim, len(input_size))
    count, length = x.shape[d], input_size[d]
    spread = c.builder.reusable(x)
    periods = -(-length // step)

    def at(index: Indices) -> Expr:
        period, place = index[d], index[d + 1]
        out: Expr = Const(0.0, x.dtype.compute)
        for k in range(-(-size // step)):
            frame, within = shift(period, -k), shift(place, k * step)
            there = apply("and", apply("ge", frame, const_index(0)), apply("lt", frame, const_index(count)))
            if (k + 1) * step > size:
                there = apply("and", there, apply("lt", within, const_index(size)))
            given = spread.at((*index[:d], frame, *index[d + 2 :], within))
            out = apply(
                "add", out, apply("select", there, given, Const(0.0, x.dtype.compute), dtype=out.dtype)
            )
        return out

    whole = Value((*input_size[:d], periods, step, *input_size[d + 1 :]), x.dtype, at, hint=c.builder.hint)
    joined = c.reshape(whole, replaced_size(tuple(input_size), d, periods * step))
    return narrowed(joined, d, 0, length)


def _whole(c: Context, *_: Any, **__: Any) -> Value:
    raise LookupError("torch has a kernel for the whole of it")


# Their decompositions make scattered writes of many places, which take several times as long as torch's own kernels.
for _name in ("index_add", "max_unpool2d", "max_unpool3d", "col2im"):
    lowers(_name)(_whole)
