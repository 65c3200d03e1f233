"""Maps that are put together along one axis (concatenations, stacks), cut into the pieces that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kerf.kernels.codegen.nest.index import expression, form
from kerf.kernels.ir import (
    Apply,
    Axis,
    Const,
    DType,
    Expr,
    Index,
    Load,
    apply,
    const_index,
    index_range,
    loads,
    rename_axes,
    transform,
    walk,
)


@dataclass(frozen=True)
class Piece:
    """`value` for the axis from `start` on: over an axis of that name that begins at 0 and has `extent` elements."""

    start: int
    extent: int
    value: Expr


def joint(value: Expr, axes: Sequence[Axis]) -> Axis | None:
    """The axis along which `value` is put together."""
    k = _bound(value)
    return next((a for a in axes if k and a.name == k[0]), None)


def pieces(value: Expr, axis: Axis) -> tuple[Piece, ...]:
    """What `value` is along `axis`, in order."""
    return tuple(_pieces(value, axis.name, 0, axis.extent))


def joined(found: Sequence[Piece], axis: str) -> Expr:
    """The value that has these pieces."""
    *before, last = found
    out = _shifted(last.value, axis, -last.start)
    for p in reversed(before):
        end = const_index(p.start + p.extent)
        value = _shifted(p.value, axis, -p.start)
        out = apply("select", apply("lt", Index(axis), end), value, out, dtype=out.dtype)
    return out


def _bound(e: Expr) -> tuple[str, int] | None:
    """The axis and the index that a select tells apart by."""
    test = e.args[0] if isinstance(e, Apply) and e.op == "select" else None
    if not isinstance(test, Apply) or test.op != "lt":
        return None
    i, k = test.args
    return (i.axis, int(k.value)) if isinstance(i, Index) and isinstance(k, Const) else None


def _pieces(value: Expr, axis: str, start: int, stop: int) -> Iterator[Piece]:
    found = _bound(value)
    if not found or found[0] != axis or not isinstance(value, Apply):
        if start < stop:
            yield Piece(start, stop - start, _shifted(value, axis, start))
        return
    middle = min(max(found[1], start), stop)
    yield from _pieces(value.args[1], axis, start, middle)
    yield from _pieces(value.args[2], axis, middle, stop)


def _shifted(value: Expr, axis: str, by: int) -> Expr:
    """`value` with the axis `by` on, its index arithmetic simplified."""
    moved = rename_axes(value, {axis: apply("add", Index(axis), const_index(by))}) if by else value

    def leaf(e: Expr) -> Expr | None:
        place = form(e, {}) if isinstance(e, Apply) and e.dtype is DType.I64 else None
        return None if place is None else expression(place)

    return transform(moved, leaf)


def digits(piece: Piece, axis: str) -> tuple[Axis, ...] | None:
    """The axis cut by the divisors in the piece, outermost first; None where these do not divide one another."""
    cuts = {1, piece.extent}
    for e in walk(piece.value):
        if isinstance(e, Apply) and e.op in ("floordiv", "mod") and Index(axis) in set(walk(e.args[0])):
            by = e.args[1]
            cuts |= {int(by.value)} if isinstance(by, Const) and by.dtype is DType.I64 else {0}
    if 0 in cuts or any(b % a for a, b in pairwise(sorted(cuts))):
        return None
    steps = sorted(cuts)
    return tuple(Axis(f"{axis}_{n}", b // a) for n, (a, b) in enumerate(pairwise(steps)))[::-1] or (
        Axis(axis, 1),
    )


def unmerged(value: Expr, made: str, shape: Sequence[int], extents: Mapping[str, int]) -> Expr:
    """`value` with loads of `made`, of this shape, that see two dimensions as one addressed by dimensions again."""

    def leaf(e: Expr) -> Expr | None:
        if not isinstance(e, Load) or e.buffer != made:
            return None
        index = list(e.index)
        for d in range(len(index) - 1, 0, -1):
            ends = index_range(index[d], extents)
            if index[d - 1] == const_index(0) and ends and ends[0] >= 0 and ends[1] >= shape[d]:
                size = const_index(shape[d])
                index[d - 1], index[d] = apply("floordiv", index[d], size), apply("mod", index[d], size)
        return Load(e.buffer, tuple(index), e.dtype)

    return transform(value, leaf)


def over(piece: Piece, axis: str, parts: Sequence[Axis], place: Callable[[Expr], Expr]) -> Expr:
    """The piece's value over the digits of its axis; `place` simplifies a load's offset."""
    total, step = const_index(0), 1
    names: Expr = total
    for a in reversed(parts):
        names = apply("add", apply("mul", Index(a.name), const_index(step)), names)
        step *= a.extent
    value = rename_axes(piece.value, {axis: names})

    def leaf(e: Expr) -> Expr | None:
        return (
            Load(e.buffer, (place(e.index[0]),), e.dtype)
            if isinstance(e, Load) and not list(loads(e.index[0]))
            else None
        )

    return transform(value, leaf)
