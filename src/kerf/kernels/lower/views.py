"""Ops that only move elements: they become index arithmetic and cost nothing, wherever the index stays affine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

from kerf.kernels.ir import Const, DType, Expr, apply, const_index
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import HEAVY, Indices, Shape, Value, broadcast_index, constant
from kerf.kernels.tensors import inverse

IndexMap = Callable[[Indices], Indices]


def shift(i: Expr, offset: int, step: int = 1) -> Expr:
    scaled = apply("mul", i, const_index(step))
    return (
        apply("add", scaled, const_index(offset))
        if offset >= 0
        else apply("sub", scaled, const_index(-offset))
    )


def view(x: Value, shape: Sequence[int], where: IndexMap) -> Value:
    """The elements of x at `where(index)`."""
    return Value(tuple(shape), x.dtype, lambda index: x.at(where(index)), constant=x.constant, hint=x.hint)


def replaced(index: Indices, d: int, new: Expr) -> Indices:
    return (*index[:d], new, *index[d + 1 :])


def dim_of(d: int, rank: int) -> int:
    return d % rank if rank else 0


@lowers(
    "view",
    "reshape",
    "_unsafe_view",
    "flatten.using_ints",
    "unflatten.int",
    "view_copy",
    "_reshape_alias",
    "view_as",
    "reshape_as",
)
@lowers(
    "unsqueeze",
    "squeeze",
    "squeeze.dim",
    "squeeze.dims",
    "unsqueeze_copy",
    "squeeze_copy.dim",
    "atleast_1d",
    "atleast_2d",
    "ravel",
)
def _reshape(c: Context, x: Value, *_: Any, **__: Any) -> Value:
    return c.reshape(x, c.shape)


@lowers("permute", "permute_copy")
def permute(c: Context, x: Value, dims: Sequence[int]) -> Value:
    order = [dim_of(d, x.rank) for d in dims]
    if all(n == 1 for d, n in enumerate(x.shape) if order[d] != d):
        return c.reshape(x, c.shape)
    return permuted(x, order)


def permuted(x: Value, order: Sequence[int]) -> Value:
    """Its dimensions in another order."""
    back = inverse(order)
    return view(x, [x.shape[d] for d in order], lambda index: tuple(index[d] for d in back))


@lowers("transpose.int", "transpose_copy.int", "swapaxes", "swapdims")
def _transpose(c: Context, x: Value, a: int, b: int) -> Value:
    order = list(range(x.rank))
    if order:
        order[a], order[b] = order[b], order[a]
    return permute(c, x, order)


@lowers("t", "numpy_T", "mT", "adjoint", "t_copy")
def _t(c: Context, x: Value) -> Value:
    return _transpose(c, x, -2, -1) if x.rank > 1 else x


@lowers("movedim.int", "movedim.intlist", "moveaxis.int")
def _movedim(c: Context, x: Value, source: Any, destination: Any) -> Value:
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    placed = {dim_of(t, x.rank): dim_of(s, x.rank) for s, t in zip(sources, targets)}
    rest = iter(d for d in range(x.rank) if d not in placed.values())
    return permute(c, x, [placed[d] if d in placed else next(rest) for d in range(x.rank)])


@lowers("expand", "expand_copy", "expand_as", "broadcast_to")
def _expand(c: Context, x: Value, *_: Any, **__: Any) -> Value:
    return expanded(c, x, c.shape)


def expanded(c: Context, x: Value, shape: Shape) -> Value:
    if x.shape == shape:
        return x
    if x.cost()[0] >= HEAVY:
        c.builder.realize(x)
    old = x.shape
    return view(x, shape, lambda index: broadcast_index(index, old))


@lowers("broadcast_tensors")
def _broadcast_tensors(c: Context, tensors: Sequence[Value]) -> list[Value]:
    return [expanded(c, t, shape) for t, (shape, _) in zip(tensors, c.outs)]


@lowers("meshgrid", "meshgrid.indexing")
def _meshgrid(c: Context, tensors: Sequence[Value], indexing: str = "ij") -> list[Value]:
    out = []
    for k, t in enumerate(tensors):
        d = {0: 1, 1: 0}.get(k, k) if indexing == "xy" else k
        shape = c.outs[k][0]
        out.append(expanded(c, c.reshape(t, (t.size,) + (1,) * (len(shape) - 1 - d)), shape))
    return out


@lowers("slice.Tensor", "slice_copy.Tensor")
def slice_of(
    c: Context, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    d = dim_of(dim, x.rank)
    first, stop, _ = slice(start, end, step).indices(x.shape[d])
    return narrowed(x, d, first, max(0, -(-(stop - first) // step)), step)


def narrowed(x: Value, d: int, start: int, length: int, step: int = 1) -> Value:
    if start == 0 and length == x.shape[d] and step == 1:
        return x
    return view(
        x, replaced_size(x.shape, d, length), lambda index: replaced(index, d, shift(index[d], start, step))
    )


def replaced_size(shape: Shape, d: int, n: int) -> Shape:
    return (*shape[:d], n, *shape[d + 1 :])


@lowers("narrow", "narrow_copy")
def _narrow(c: Context, x: Value, dim: int, start: int, length: int) -> Value:
    d = dim_of(dim, x.rank)
    return narrowed(x, d, start % x.shape[d] if start < 0 else start, length)


@lowers("select.int", "select_copy.int")
def _select(c: Context, x: Value, dim: int, index: int) -> Value:
    d = dim_of(dim, x.rank)
    return c.reshape(narrowed(x, d, index % x.shape[d], 1), c.shape)


@lowers(
    "split.Tensor",
    "chunk",
    "tensor_split.sections",
    "split_with_sizes",
    "split.sizes",
    "split_with_sizes_copy",
)
def _split(c: Context, x: Value, _how: Any, dim: int = 0) -> list[Value]:
    d = dim_of(dim, x.rank)
    sizes = [shape[d] for shape, _ in c.outs]
    return [narrowed(x, d, start, n) for start, n in zip(accumulate([0, *sizes]), sizes)]


@lowers("unbind.int", "unbind_copy.int")
def _unbind(c: Context, x: Value, dim: int = 0) -> list[Value]:
    d = dim_of(dim, x.rank)
    return [c.reshape(narrowed(x, d, k, 1), c.outs[k][0]) for k in range(x.shape[d])]


@lowers("flip")
def flip(c: Context, x: Value, dims: Sequence[int]) -> Value:
    turned = [dim_of(d, x.rank) for d in dims]
    if x.flipped is not None and turned == [x.flipped[1]]:
        return x.flipped[0]

    def where(index: Indices) -> Indices:
        return tuple(
            apply("sub", const_index(x.shape[d] - 1), i) if d in turned else i for d, i in enumerate(index)
        )

    out = view(x, x.shape, where)
    out.flipped = (x, turned[0]) if len(turned) == 1 else None
    return out


@lowers("fliplr", "flipud")
def _flip_named(c: Context, x: Value) -> Value:
    return flip(c, x, [1 if "fliplr" in str(c.node.target) else 0])


@lowers("repeat", "tile")
def _repeat(c: Context, x: Value, repeats: Sequence[int]) -> Value:
    lead = len(c.shape) - x.rank
    old = (1,) * lead + x.shape
    source = c.reshape(x, old)

    def where(index: Indices) -> Indices:
        return tuple(
            const_index(0) if n == 1 else i if n == m else apply("mod", i, const_index(n))
            for i, n, m in zip(index, old, c.shape)
        )

    return view(source, c.shape, where)


@lowers("repeat_interleave.self_int")
def _repeat_interleave(
    c: Context, x: Value, repeats: int, dim: int | None = None, output_size: int | None = None
) -> Value:
    source = c.reshape(x, (x.size,)) if dim is None else x
    d = dim_of(dim or 0, source.rank)
    return view(
        source, c.shape, lambda index: replaced(index, d, apply("floordiv", index[d], const_index(repeats)))
    )


@lowers("unfold")
def _unfold(c: Context, x: Value, dim: int, size: int, step: int) -> Value:
    d = dim_of(dim, x.rank)

    def where(index: Indices) -> Indices:
        return replaced(index[:-1], d, apply("add", shift(index[d], 0, step), index[-1]))

    return view(x, c.shape, where)


@lowers("as_strided", "as_strided_copy")
def _as_strided(
    c: Context, x: Value, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> Value:
    flat = c.reshape(c.builder.realize(x), (x.size,))

    def where(index: Indices) -> Indices:
        total: Expr = const_index(offset or 0)
        for i, s in zip(index, stride):
            total = apply("add", total, apply("mul", i, const_index(s)))
        return (total,)

    return view(flat, size, where)


@lowers("diagonal", "diagonal_copy")
def _diagonal(c: Context, x: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    a, b = dim_of(dim1, x.rank), dim_of(dim2, x.rank)
    rest = [d for d in range(x.rank) if d not in (a, b)]

    def where(index: Indices) -> Indices:
        made = {a: shift(index[-1], max(0, -offset)), b: shift(index[-1], max(0, offset))}
        made |= dict(zip(rest, index))
        return tuple(made[d] for d in range(x.rank))

    return view(x, c.shape, where)


@lowers("diag", "diag_embed")
def _diag(c: Context, x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    if x.rank >= 2 and "diag_embed" not in str(c.node.target):
        return _diagonal(c, x, offset)
    zero = Const(0, x.dtype.compute)

    def at(index: Indices) -> Expr:
        i, j = index[-2], index[-1]
        here = apply("eq", shift(j, -offset), i)
        inside = x.at((*index[:-2], shift(i, 0) if offset >= 0 else shift(i, offset)))
        return apply("select", here, inside, zero, dtype=zero.dtype)

    out = Value(c.shape, x.dtype, at, hint="diag")
    if (dim1 % len(c.shape), dim2 % len(c.shape)) != (len(c.shape) - 2, len(c.shape) - 1):
        raise LookupError("diag_embed on other than the last two dimensions")
    out.diagonal = x if offset == 0 else None
    return out


@lowers("triu", "tril")
def _triangle(c: Context, x: Value, diagonal: int = 0) -> Value:
    op = "ge" if "triu" in str(c.node.target) else "le"
    zero = Const(0 if x.dtype is not DType.BOOL else False, x.dtype.compute)

    def at(index: Indices) -> Expr:
        cond = apply(op, apply("sub", index[-1], index[-2]), const_index(diagonal))
        return apply("select", cond, x.at(index), zero, dtype=zero.dtype)

    return Value(x.shape, x.dtype, at, hint=c.builder.hint)


@lowers("pixel_shuffle", "pixel_unshuffle")
def _pixel_shuffle(c: Context, x: Value, factor: int) -> Value:
    *lead, channels, h, w = x.shape
    k, r = len(lead), factor
    if "unshuffle" in str(c.node.target):
        split = c.reshape(x, (*lead, channels, h // r, r, w // r, r))
        order = [*range(k), k, k + 2, k + 4, k + 1, k + 3]
    else:
        split = c.reshape(x, (*lead, channels // (r * r), r, r, h, w))
        order = [*range(k), k, k + 3, k + 1, k + 4, k + 2]
    return c.reshape(permute(c, split, order), c.shape)


@lowers("channel_shuffle")
def _channel_shuffle(c: Context, x: Value, groups: int) -> Value:
    n, channels, *rest = x.shape
    split = c.reshape(x, (n, groups, channels // groups, prod(rest)))
    return c.reshape(permute(c, split, [0, 2, 1, 3]), c.shape)


def filled(c: Context, value: Any) -> Value:
    return constant(value, c.dtype, c.shape)
