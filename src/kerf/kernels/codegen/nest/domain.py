"""One loop domain for several ops: their axes split into a common refinement, by the flat order of what they compute.

Each op that covers the whole domain lays its axes out as digits of one flat position (a mixed radix: strides and extents). The
cuts of all ops together give the refined axes; an op that reduces, or works on what was reduced, runs over some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod

from kerf.kernels.codegen.nest.index import Extents, expression, flat, form
from kerf.kernels.ir import (
    Affine,
    Axis,
    Buffer,
    Expr,
    Index,
    Load,
    Map,
    Reduce,
    added,
    apply,
    const_index,
    linear,
    loads,
    rename_axes,
    scaled,
    walk,
)

Op = Map | Reduce
Buffers = Callable[[str], Buffer]
NARROWEST = 8  # columns that fill a vector


@dataclass(frozen=True)
class Step:
    """An op over refined axes. `space`: the axes its result depends on; `over`: those it reduces; `store`: the flat offset of
    its result; `position`: the index an argmax reports. Loads in `value` have one flat offset."""

    out: Buffer
    kind: str
    value: Expr
    space: frozenset[str]
    over: frozenset[str]
    store: Affine
    position: Affine

    @property
    def reduces(self) -> bool:
        return self.kind != "map"

    @property
    def ordered(self) -> bool:
        """Do positions grow in the order of the loops (axis names count from the outermost)?"""
        steps = [self.position.of(a) for a in sorted(self.over, key=lambda name: int(name[1:]))]
        return all(a > b for a, b in pairwise(steps))

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(load.buffer for load in loads(self.value)))


def all_axes(op: Op) -> tuple[Axis, ...]:
    return (*op.axes, *(op.raxes if isinstance(op, Reduce) else ()))


def volume(op: Op) -> int:
    return prod(a.extent for a in all_axes(op))


def layout(op: Op, buffers: Buffers, made: Mapping[str, object]) -> dict[str, int] | None:
    """Axis -> stride of the op's own flat order (unit axes left out): a map's is that of its result; a reduction's that of a
    buffer it reads element by element, else as its axes are written, those of the reduction inside or, where its rows lie in memory, around
    the last."""
    axes = [a for a in all_axes(op) if a.extent != 1]
    if isinstance(op, Reduce):
        found = sorted(loads(op.value), key=lambda ld: ld.buffer not in made)
        for load in found:
            strides = _digits(load, axes, buffers)
            if strides is not None:
                return strides
        if _adds_rows(op):
            kept = next(a for a in reversed(op.axes) if a.extent != 1)
            axes = [*(a for a in axes if a != kept), kept]
    strides, step = {}, 1
    for axis in reversed(axes):
        strides[axis.name] = step
        step *= axis.extent
    return strides


def _adds_rows(op: Reduce) -> bool:
    """Does it join rows that lie in memory one by one: rows that were looked up, or those of a matrix that all results share?"""
    kept = next((a for a in reversed(op.axes) if a.extent != 1), None)
    if kept is None or kept.extent < NARROWEST:
        return False
    both = [r for r in map(partial(_rows_read, kept, op.raxes), _outer_loads(op.value)) if r is not None]
    return bool(both) and all(both)


def _rows_read(kept: Axis, raxes: Sequence[Axis], load: Load) -> bool | None:
    """Whether a load of many rows runs along each of them; None where it does not depend on both loops."""
    named = {e.axis for e in walk(load) if isinstance(e, Index)}
    if kept.name not in named or named.isdisjoint(a.name for a in raxes):
        return None
    last = form(load.index[-1], {})
    inside = {e.axis for i in load.index[:-1] for e in walk(i) if isinstance(e, Index)}
    runs = last is not None and last.of(kept.name) == 1 and kept.name not in inside
    return runs and last is not None and not any(last.of(a.name) for a in raxes)


def _outer_loads(e: Expr) -> Iterator[Load]:
    """Loads but those that say where others read."""
    if isinstance(e, Load):
        yield e
    else:
        yield from (load for a in getattr(e, "args", ()) for load in _outer_loads(a))


def _digits(load: Load, axes: Sequence[Axis], buffers: Buffers) -> dict[str, int] | None:
    """Strides of `axes` (those of more than one element) where the load runs over its buffer once, element by element."""
    form_ = linear(load, buffers(load.buffer))
    names = {a.name for a in axes}
    if form_ is None or form_.offset or not names <= set(form_.coefficients):
        return None
    step = 1
    for axis in sorted(axes, key=lambda a: form_.of(a.name)):
        if form_.of(axis.name) != step:
            return None
        step *= axis.extent
    return {name: form_.of(name) for name in names}


def refined(layouts: Sequence[Mapping[str, int]], total: int) -> tuple[tuple[Axis, int], ...] | None:
    """The common refinement: (axis, stride), outermost first; None where the cuts do not divide one another."""
    cuts = sorted({s for strides in layouts for s in strides.values()} | {1, total})
    if any(b % a for a, b in pairwise(cuts)):
        return None
    pairs = [(b // a, a) for a, b in pairwise(cuts)]
    return tuple((Axis(f"i{n}", extent), stride) for n, (extent, stride) in enumerate(reversed(pairs)))


def pieces(
    axes: Sequence[Axis], strides: Mapping[str, int], digits: Sequence[tuple[Axis, int]]
) -> dict[str, Affine] | None:
    """Each axis as an affine form of the refined axes that its digit covers."""
    out = {a.name: Affine(0, {}) for a in axes}
    for axis in axes:
        if axis.extent == 1:
            continue
        low = strides.get(axis.name, 0)
        inside = [(d, s) for d, s in digits if low and low <= s < low * axis.extent]
        if prod(d.extent for d, _ in inside) != axis.extent:
            return None
        out[axis.name] = Affine(0, {d.name: s // low for d, s in inside})
    return out


def step_of(op: Op, parts: Mapping[str, Affine], buffers: Buffers, extents: Extents) -> Step:
    names = {a: expression(f) for a, f in parts.items()}
    value = flat(rename_axes(op.value, names), buffers, extents)
    over = frozenset(
        d for a in (op.raxes if isinstance(op, Reduce) else ()) for d in parts[a.name].coefficients
    )
    space = frozenset(d for a in op.axes for d in parts[a.name].coefficients)
    store = _row_major(op.axes, parts)
    position = _row_major(op.raxes, parts) if isinstance(op, Reduce) else Affine(0, {})
    if isinstance(op, Reduce) and not over:
        return Step(op.out, "map", _of_one(op, value), space, over, store, position)
    return Step(op.out, op.kind if isinstance(op, Reduce) else "map", value, space, over, store, position)


def _of_one(op: Reduce, value: Expr) -> Expr:
    """A reduction over a single element."""
    if op.kind.startswith("arg"):
        return const_index(0)
    return value if value.dtype is op.out.dtype.compute else apply("cast", value, dtype=op.out.dtype.compute)


def _row_major(axes: Sequence[Axis], parts: Mapping[str, Affine]) -> Affine:
    total, stride = Affine(0, {}), 1
    for axis in reversed(axes):
        total = added(total, scaled(parts[axis.name], stride))
        stride *= axis.extent
    return total


def collapsed(
    axes: Sequence[Axis],
    steps: Sequence[Step],
    same: Callable[[str, str], bool],
    internal: frozenset[str],
    stored: frozenset[str],
) -> tuple[tuple[Axis, ...], tuple[Step, ...]]:
    """Merge neighbouring loops wherever every access runs on from one to the next. `same(a, b)` says whether two axes have the
    same role; loads of `internal` buffers are not memory; results of `stored` ones go there."""
    out, current = list(axes), tuple(steps)
    at = len(out) - 1
    while at > 0:
        outer, inner = out[at - 1], out[at]
        if same(outer.name, inner.name) and all(
            _mergeable(s, outer, inner, internal, s.out.name in stored) for s in current
        ):
            merged = Axis(inner.name, outer.extent * inner.extent)
            current = tuple(_merged(s, outer.name) for s in current)
            out[at - 1 : at + 1] = [merged]
        at -= 1
    return tuple(out), current


def _mergeable(step: Step, outer: Axis, inner: Axis, internal: frozenset[str], stored: bool) -> bool:
    def runs_on(f: Affine) -> bool:
        return f.of(outer.name) == f.of(inner.name) * inner.extent

    if stored and not runs_on(step.store):
        return False
    if step.kind.startswith("arg") and not runs_on(step.position):
        return False
    return _only_in_loads(step.value, {outer.name, inner.name}, internal, runs_on)


def _only_in_loads(
    expr: Expr, names: set[str], internal: frozenset[str], runs_on: Callable[[Affine], bool]
) -> bool:
    if isinstance(expr, Load):
        f = form(expr.index[0], {})
        if f is None:
            return not any(isinstance(e, Index) and e.axis in names for e in walk(expr))
        return expr.buffer in internal or runs_on(f)
    if isinstance(expr, Index):
        return expr.axis not in names
    return all(_only_in_loads(a, names, internal, runs_on) for a in getattr(expr, "args", ()))


def _merged(step: Step, outer: str) -> Step:
    """`outer` has been absorbed by the axis inside it, whose coefficients now speak for both."""

    def without(f: Affine) -> Affine:
        return Affine(f.offset, {a: c for a, c in f.coefficients.items() if a != outer})

    zero = {outer: const_index(0)}
    value = rename_axes(step.value, zero)
    return Step(
        step.out,
        step.kind,
        value,
        step.space - {outer},
        step.over - {outer},
        without(step.store),
        without(step.position),
    )
