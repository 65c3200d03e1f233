"""Tensors written into: a functional graph has each as a new tensor, and every element of it is a select."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kerf.kernels.ir import DType, Expr, apply, const_index
from kerf.kernels.lower.creation import wrapped
from kerf.kernels.lower.joins import cat_values
from kerf.kernels.lower.pointwise import choose
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Shape, Value
from kerf.kernels.lower.views import dim_of, expanded, narrowed, replaced, replaced_size, shift


@lowers("select_scatter")
def _select_scatter(c: Context, x: Value, source: Value, dim: int, place: int) -> Value:
    d = dim_of(dim, x.rank)
    row = c.reshape(source, (*source.shape[:d], 1, *source.shape[d:]))
    return _slice_scatter(c, x, row, d, place % x.shape[d], place % x.shape[d] + 1)


@lowers("slice_scatter")
def _slice_scatter(
    c: Context,
    x: Value,
    source: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    d = dim_of(dim, x.rank)
    first, stop, step = slice(start, end, step).indices(x.shape[d])
    source = c.converted(source, x.dtype)
    if step != 1:
        return _every(c, x, source, d, range(first, stop, step))
    parts = [narrowed(x, d, 0, first), source, narrowed(x, d, stop, x.shape[d] - stop)]
    return cat_values(c, parts, d)


def _every(c: Context, x: Value, source: Value, d: int, places: range) -> Value:
    """x with source[k] at the k-th of `places` along dimension d."""

    def at(index: Indices) -> Expr:
        i, steps = index[d], const_index(places.step)
        beyond = shift(i, -places.start)
        hit = apply("eq", apply("mod", beyond, steps), const_index(0))
        if places.start:
            hit = apply("and", hit, apply("ge", i, const_index(places.start)))
        if places.stop < x.shape[d]:
            hit = apply("and", hit, apply("lt", i, const_index(places.stop)))
        return choose(hit, source.at(replaced(index, d, apply("floordiv", beyond, steps))), x.at(index))

    return Value(x.shape, x.dtype, at, hint=c.builder.hint)


@lowers("diagonal_scatter")
def _diagonal_scatter(
    c: Context, x: Value, source: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    down, across = dim_of(dim1, x.rank), dim_of(dim2, x.rank)
    rest = [d for d in range(x.rank) if d not in (down, across)]
    source = c.converted(source, x.dtype)

    def at(index: Indices) -> Expr:
        i, j = index[down], index[across]
        along = i if offset >= 0 else j
        new = source.at((*(index[d] for d in rest), along))
        return choose(apply("eq", j, shift(i, offset)), new, x.at(index))

    return Value(x.shape, x.dtype, at, hint=c.builder.hint)


_FEW_PLACES = 8  # along a dimension, compared one after the other at every element


@lowers("index_copy")
def _index_copy(c: Context, x: Value, dim: int, places: Value, source: Value) -> Value:
    d = dim_of(dim, x.rank)
    return _placed(c, x, d, places, source)


@lowers("index_put")
def _index_put(
    c: Context, x: Value, indices: Sequence[Value | None], values: Value, accumulate: bool = False
) -> Value:
    """A mask, or one index of a few places along one dimension (a cache that a step is written to); the rest is torch's."""
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    if len(given) != 1 or given[0][1].dtype is DType.U8:
        raise LookupError("scattered writes")
    d, places = given[0]
    if places.dtype is DType.BOOL:
        return _masked(c, x, d, places, values, accumulate)
    if accumulate or places.rank > 1:
        raise LookupError("scattered writes")
    shape = (*x.shape[:d], *places.shape, *x.shape[d + 1 :])
    return _placed(c, x, d, places, expanded(c, values, shape))


def _masked(c: Context, x: Value, d: int, mask: Value, values: Value, accumulate: bool) -> Value:
    """x with `values` (added) where `mask` is true over its dimensions from d on; one value for each hit is torch's to deal out."""
    behind = x.rank - d - mask.rank
    padded = (1,) * (d + 1 + behind - values.rank) + values.shape
    if padded[d] != 1:
        raise LookupError("a value for each element of a mask")
    new = c.reshape(values, (*padded[:d], *(1,) * mask.rank, *padded[d + 1 :]))
    hits = c.reshape(mask, (*mask.shape, *(1,) * behind))

    def one(e: Expr, hit: Expr, v: Expr) -> Expr:
        v = cast(v, e.dtype)
        return choose(hit, apply("add", e, v) if accumulate else v, e)

    return c.builder.pointwise(one, [x, hits, c.converted(new, x.dtype)], x.dtype)


def _placed(c: Context, x: Value, d: int, places: Value, source: Value) -> Value:
    """x with source[k] where dimension d is at places[k]; of equal places the last counts."""
    if places.size > _FEW_PLACES:
        raise LookupError("writes to many places")
    flat = c.reshape(places, (places.size,))
    rows = c.reshape(c.converted(source, x.dtype), replaced_size(x.shape, d, places.size))

    def at(index: Indices) -> Expr:
        out = x.at(index)
        for k in range(places.size):
            here = apply("eq", index[d], wrapped(flat.at((const_index(k),)), x.shape[d]))
            out = choose(here, rows.at(replaced(index, d, const_index(k))), out)
        return out

    return Value(x.shape, x.dtype, at, hint=c.builder.hint)


_FEW_SCATTERED = (
    2  # for each row (the class of a sample, the experts of a token); more are written sooner than looked for
)


@lowers("scatter.src", "scatter.value")
def _scatter(c: Context, x: Value, dim: int, places: Value, source: Value | float) -> Value:
    return _scattered(c, x, dim, places, source, lambda old, new: new)


@lowers("scatter_add")
def _scatter_add(c: Context, x: Value, dim: int, places: Value, source: Value) -> Value:
    return _scattered(c, x, dim, places, source, lambda old, new: apply("add", old, new))


def _scattered(
    c: Context,
    x: Value,
    dim: int,
    places: Value,
    source: Value | float,
    met: Callable[[Expr, Expr], Expr],
) -> Value:
    """x with met(element, source) at the few places of each row along a dimension."""
    d = dim_of(dim, x.rank)
    if (
        not x.rank
        or places.shape[d] > _FEW_SCATTERED
        or replaced_size(places.shape, d, x.shape[d]) != x.shape
    ):
        raise LookupError("scattered writes")
    new = expanded(c, c.converted(c.value(source, x.dtype.compute), x.dtype), _grown(source, places))
    where = c.builder.reusable(places)

    def at(index: Indices) -> Expr:
        out = x.at(index)
        for k in range(places.shape[d]):
            here = replaced(index, d, const_index(k))
            hit = apply("eq", index[d], cast(where.at(here), DType.I64))
            out = choose(hit, met(out, new.at(here)), out)
        return out

    return Value(x.shape, x.dtype, at, hint=c.builder.hint)


def _grown(source: Value | float, places: Value) -> Shape:
    """One number stands for as many as there are places."""
    return source.shape if isinstance(source, Value) else places.shape
