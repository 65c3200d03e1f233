"""Values while lowering, and the builder that turns them into ops.

A `Value` is lazy: a function from an index to a scalar expression. Views compose that function and cost nothing;
elementwise chains nest it. `Builder.realize` gives a value memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from kerf.kernels.ir import (
    TRANSCENDENTAL,
    Apply,
    Axis,
    Buffer,
    Const,
    DType,
    Expr,
    Index,
    Load,
    Map,
    Op,
    Reduce,
    Role,
    apply,
    const_index,
    loads,
    walk,
)

Shape = tuple[int, ...]
Indices = tuple[Expr, ...]

_SLOW = frozenset(
    [
        *TRANSCENDENTAL,
        "pow",
        "atan2",
        "fmod",
    ]
)
HEAVY = 8.0  # computing a value twice costs more than storing it once from about here
_LARGEST = 400  # nodes of one expression; beyond it, memory is cheaper than C that compiles slowly


@dataclass(eq=False)
class Value:
    """`at(index)` is the element there, in the compute type of `dtype`. `buffer`: where it is stored contiguously
    (perhaps declared with another shape), once realized. `reshape_to` rebuilds a view or an elementwise value in
    another shape without memory, or says None. `flipped`: this is `flipped[0]` flipped along dimension
    `flipped[1]`. `diagonal`: this is the square matrix with that diagonal and zeros elsewhere."""

    shape: Shape
    dtype: DType
    at: Callable[[Indices], Expr]
    buffer: Buffer | None = None
    reshape_to: Callable[[Shape], Value | None] | None = None
    flipped: tuple[Value, int] | None = None
    diagonal: Value | None = None
    constant: float | int | bool | None = None
    hint: str = ""
    _cost: tuple[float, int] | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    def cost(self) -> tuple[float, int]:
        """(work to compute one element in units of an addition, nodes of its expression)."""
        if self._cost is None:
            self._cost = expression_cost(self.at(probe(self.rank)))
        return self._cost

    @property
    def heavy(self) -> bool:
        work, nodes = self.cost()
        return self.buffer is None and (work >= HEAVY or nodes > _LARGEST)


def probe(rank: int) -> Indices:
    return tuple(Index(f"i{d}") for d in range(rank))


def expression_cost(expr: Expr) -> tuple[float, int]:
    work, nodes = 0.0, 0
    for node in walk(expr):
        nodes += 1
        if isinstance(node, Apply) and node.dtype is not DType.I64:
            work += HEAVY if node.op in _SLOW else 1.0
        elif isinstance(node, Apply) and node.op in ("floordiv", "mod"):
            work += 2.0
    return work, nodes


def axes_of(shape: Sequence[int], prefix: str = "i") -> tuple[Axis, ...]:
    return tuple(Axis(f"{prefix}{d}", n) for d, n in enumerate(shape))


def constant(value: float | int | bool, dtype: DType, shape: Shape = ()) -> Value:
    kind = dtype.compute
    node = Const(bool(value) if kind is DType.BOOL else float(value) if kind.is_float else int(value), kind)
    return Value(
        shape,
        dtype,
        lambda _: node,
        reshape_to=lambda s: constant(value, dtype, s),
        constant=value,
        hint="constant",
    )


def stored(buffer: Buffer, shape: Shape | None = None) -> Value:
    """The contents of a buffer, seen in `shape` (any shape of as many elements)."""
    seen = buffer.shape if shape is None else shape

    def at(index: Indices) -> Expr:
        return Load(buffer.name, reindex(index, seen, buffer.shape, past_end=True), buffer.dtype.compute)

    return Value(seen, buffer.dtype, at, buffer, lambda s: stored(buffer, s), hint=buffer.name)


def flat_index(index: Sequence[Expr], shape: Sequence[int]) -> Expr:
    """Row-major position of `index` in `shape`."""
    total: Expr = const_index(0)
    for i, n in zip(index, shape, strict=True):
        total = apply("add", apply("mul", total, const_index(n)), i) if n != 1 else total
    return _expanded(total)


def _expanded(expr: Expr) -> Expr:
    """Distribute multiplications by constants over sums, so that the form reads offset + sum(stride * axis)."""
    if not isinstance(expr, Apply) or expr.dtype is not DType.I64:
        return expr
    args = tuple(_expanded(a) for a in expr.args)
    if expr.op == "mul" and isinstance(args[1], Const):
        first, factor = args[0], args[1]
        if isinstance(first, Apply) and first.op in ("add", "sub"):
            return apply(first.op, *(_expanded(apply("mul", a, factor)) for a in first.args))
        if isinstance(first, Apply) and first.op == "mul" and isinstance(first.args[1], Const):
            return apply("mul", first.args[0], const_index(int(first.args[1].value) * int(factor.value)))
    return apply(expr.op, *args, dtype=expr.dtype)


def groups(new: Shape, old: Shape) -> list[tuple[list[int], list[int]]]:
    """The finest partition of both shapes into runs of dimensions with equal products; dimensions of size 1 are
    left out."""
    a, b = [d for d, n in enumerate(new) if n != 1], [d for d, n in enumerate(old) if n != 1]
    out, i, j = [], 0, 0
    while i < len(a) or j < len(b):
        left, right = [a[i]], [b[j]]
        p, q = new[a[i]], old[b[j]]
        i, j = i + 1, j + 1
        while p != q:
            if p < q:
                left.append(a[i])
                p, i = p * new[a[i]], i + 1
            else:
                right.append(b[j])
                q, j = q * old[b[j]], j + 1
        out.append((left, right))
    return out


def is_affine_reshape(new: Shape, old: Shape) -> bool:
    return all(len(right) == 1 for _, right in groups(new, old))


def reindex(index: Indices, new: Shape, old: Shape, past_end: bool = False) -> Indices:
    """The index in `old` of the element at `index` in `new`. Where several old dimensions are seen as one, division
    is needed, or, with `past_end`, the position goes whole into the last of them: `Load` counts in element offsets."""
    if new == old:
        return index
    out: list[Expr] = [const_index(0)] * len(old)
    for left, right in groups(new, old):
        flat = flat_index([index[d] for d in left], [new[d] for d in left])
        if past_end:
            out[right[-1]] = flat
            continue
        for d in reversed(right[1:]):
            out[d] = apply("mod", flat, const_index(old[d]))
            flat = apply("floordiv", flat, const_index(old[d]))
        out[right[0]] = flat
    return tuple(out)


_RESERVED_LENGTH = 48


class Builder:
    """Collects buffers and ops. `hint` is the name of the node being lowered; new buffers are called after it."""

    def __init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.ops: list[Op] = []
        self.hint = "value"

    def declare(
        self,
        name: str,
        shape: Shape,
        dtype: DType,
        role: Role = Role.TEMP,
        source: str = "",
        order: tuple[int, ...] = (),
    ) -> Buffer:
        base = "".join(c if c.isalnum() else "_" for c in name)[:_RESERVED_LENGTH]
        unique, n = base, 1
        while unique in self.buffers:
            unique, n = f"{base}_{n}", n + 1
        self.buffers[unique] = Buffer(unique, shape, dtype, role, source, order)
        return self.buffers[unique]

    def temp(self, shape: Shape, dtype: DType, suffix: str = "") -> Buffer:
        return self.declare(f"v_{self.hint}{'_' + suffix if suffix else ''}", shape, dtype)

    def realize(self, value: Value, suffix: str = "") -> Value:
        """Give the value memory (once); every holder of it sees that."""
        if value.buffer is None:
            out = self.temp(value.shape, value.dtype, suffix)
            self.ops.append(Map(out, axes_of(value.shape), value.at(probe(value.rank))))
            kept = stored(out)
            value.at, value.buffer, value.reshape_to, value._cost = kept.at, out, kept.reshape_to, None
        return value

    def plain(self, value: Value, suffix: str = "") -> str:
        """The name of a buffer declared with exactly the value's shape."""
        here = probe(value.rank)
        seen = value.at(here) if value.buffer is None else None
        if isinstance(seen, Load) and seen.index == here:
            lying = self.buffers[seen.buffer]
            if lying.shape == value.shape and lying.dtype is value.dtype:
                return lying.name
        if value.buffer is not None and value.buffer.shape != value.shape:
            return self.plain(Value(value.shape, value.dtype, value.at), suffix)
        made = self.realize(value, suffix).buffer
        assert made is not None
        return made.name

    def reusable(self, value: Value, suffix: str = "") -> Value:
        """The value, stored if reading it several times would compute or read too much."""
        return self.realize(value, suffix) if value.heavy or self._wide(value) else value

    def _wide(self, value: Value) -> bool:
        """Does each reading pass over three buffers as large as the result? Sums along a residual stream would grow without end."""
        if value.buffer is not None:
            return False
        read = {ld.buffer for ld in loads(value.at(probe(value.rank)))}
        return sum(self.buffers[b].size >= value.size for b in read) >= 3

    def pointwise(self, fn: Callable[..., Expr], args: Sequence[Value], dtype: DType) -> Value:
        """fn applied element by element to the broadcast arguments."""
        shape = broadcast(*(a.shape for a in args))
        for a in args:
            if a.size < prod(shape) and a.heavy:
                self.realize(a, "part")
        return Value(
            shape,
            dtype,
            lambda index: fn(*(a.at(broadcast_index(index, a.shape)) for a in args)),
            reshape_to=lambda new: self._reshaped_pointwise(fn, args, dtype, shape, new),
            hint=self.hint,
        )

    def _reshaped_pointwise(
        self, fn: Callable[..., Expr], args: Sequence[Value], dtype: DType, old: Shape, new: Shape
    ) -> Value | None:
        parts = [_reshaped_operand(a, old, new) for a in args]
        if any(p is None for p in parts):
            return None
        return self.pointwise(fn, [p for p in parts if p is not None], dtype) if parts else None

    def reduce(
        self,
        kind: str,
        value: Value,
        dims: Sequence[int],
        dtype: DType,
        keepdim: bool = False,
        suffix: str = "",
    ) -> Value:
        """A Reduce over `dims`, stored as `dtype`."""
        kept = [d for d in range(value.rank) if d not in dims]
        index: list[Expr] = [const_index(0)] * value.rank
        axes: list[Axis] = []
        raxes: list[Axis] = []
        for d in kept:
            axes.append(Axis(f"i{len(axes)}", value.shape[d]))
            index[d] = Index(axes[-1].name)
        for d in sorted(dims):
            raxes.append(Axis(f"r{len(raxes)}", value.shape[d]))
            index[d] = Index(raxes[-1].name)
        out = self.temp(tuple(value.shape[d] for d in kept), dtype, suffix)
        self.ops.append(Reduce(out, tuple(axes), tuple(raxes), kind, value.at(tuple(index))))
        full = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
        return stored(out, full if keepdim else out.shape)


def _reshaped_operand(value: Value, old: Shape, new: Shape) -> Value | None:
    """`value`, broadcast against `old`, in the shape that broadcasts the same way against `new`."""
    if value.size == 1:
        return reshape_view(value, () if prod(old) != 1 else new)
    padded = (1,) * (len(old) - value.rank) + value.shape
    target = [1] * len(new)
    for left, right in groups(new, old):
        whole = [padded[d] == old[d] for d in right]
        if all(whole):
            for d in left:
                target[d] = new[d]
        elif any(whole) or any(padded[d] != 1 for d in right):
            return None
    return reshape_view(value, tuple(target))


def reshape_view(value: Value, shape: Shape) -> Value | None:
    """The value in another shape without memory and without index division, or None."""
    if shape == value.shape:
        return value
    if 0 in shape:  # nothing to find
        return constant(0, value.dtype, shape)
    if value.reshape_to is not None:
        made = value.reshape_to(shape)
        if made is not None:
            return made
    if not is_affine_reshape(shape, value.shape):
        return None
    old = value.shape
    return Value(
        shape,
        value.dtype,
        lambda index: value.at(reindex(index, shape, old)),
        reshape_to=lambda s: reshape_view(value, s) if s != shape else None,
        hint=value.hint,
    )


def broadcast(*shapes: Shape) -> Shape:
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple(next((n for n in column if n != 1), 1) for column in zip(*padded))


def broadcast_index(index: Indices, shape: Shape) -> Indices:
    """`index` of the broadcast result, for an operand of `shape`."""
    tail = index[len(index) - len(shape) :] if shape else ()
    return tuple(const_index(0) if n == 1 else i for i, n in zip(tail, shape))
