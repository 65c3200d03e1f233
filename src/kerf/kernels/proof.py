"""Is a rewritten program the same function? The ops that differ are cut out, their loops shortened where nothing but
plain indices depends on a size, and both versions are run on random float64 instances."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.interpret import interpret
from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Contract,
    Conv,
    DType,
    Index,
    Map,
    Op,
    Pool,
    Program,
    Recurrence,
    Reduce,
    Role,
    Scan,
    exprs_of,
    loads,
    outputs_of,
    reads_of,
    walk,
)
from kerf.kernels.lower.registry import TORCH_DTYPES

_LOOPS = Map | Reduce | Scan | Contract | Recurrence
_INSTANCES = 3
_MOST_POINTS = 2_000_000  # of one op; a proof that needs more is not attempted, and the rewrite not made
_MOST_VALUES = 16_000_000  # the same of one array: for convolutions, and where a loop of matrix products takes hundreds of ops out


def equivalent(before: Program, after: Program) -> bool:
    """True if the changed part agrees on random instances (both signs), False if not or if that cannot be tried."""
    old, new = _changed_ops(before, after)
    shared = {b.name for op in new for b in outputs_of(op)}
    wanted = tuple(b.name for op in old for b in outputs_of(op) if b.name in shared)
    if not wanted:
        return _only_dead(before, after, old)
    sizes = _Sizes((*old, *new), {**before.buffers, **after.buffers})
    loop = any(isinstance(op, Recurrence) and op.products for op in new)
    windows = any(isinstance(op, Conv) for op in new)
    many = sizes.points() > _MOST_POINTS
    if many and (not (loop or windows) or sizes.values() > _MOST_VALUES):
        return False
    try:
        return all(
            _agree(sizes, old, new, wanted, seed, loop) for seed in range(1 if loop or many else _INSTANCES)
        )
    except (KerfError, RuntimeError):  # a miniature that reads outside its buffers proves nothing
        return False


def _changed_ops(before: Program, after: Program) -> tuple[tuple[Op, ...], tuple[Op, ...]]:
    """The ops of each that the other lacks, with the unchanged producers of anything that only one side reads."""
    same = {id(op) for op in before.ops} & {id(op) for op in after.ops}
    left, right = ([op for op in p.ops if id(op) not in same] for p in (before, after))
    old = tuple(op for op in left if op not in right)
    new = tuple(op for op in right if op not in left)
    return _closed(before, old, new), _closed(after, new, old)


def _closed(program: Program, mine: tuple[Op, ...], other: tuple[Op, ...]) -> tuple[Op, ...]:
    """Where my ops read a buffer that the other side's do not, its producer decides too."""
    theirs = {n for op in other for n in reads_of(op)}
    extra = {n for op in mine for n in reads_of(op)} - theirs
    added = [p for n in extra if (p := program.producer(n)) is not None and isinstance(p, _LOOPS)]
    return tuple(op for op in program.ops if op in mine or op in added)


def _only_dead(before: Program, after: Program, old: tuple[Op, ...]) -> bool:
    """Removing ops is right if nothing that remains reads them."""
    made = {b.name for op in old for b in outputs_of(op)}
    read = {n for op in after.ops for n in reads_of(op)} | {*after.outputs, *after.updates}
    return not made & read and all(op in before.ops for op in after.ops)


@dataclass
class _Sizes:
    """Loops and buffer dimensions that must have the same extent, joined; each class gets a small extent unless some
    index other than a plain loop variable depends on it."""

    ops: tuple[Op, ...]
    buffers: dict[str, Buffer]
    parent: dict[Any, Any] = field(default_factory=dict)
    fixed: set[Any] = field(default_factory=set)
    extent: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for k, op in enumerate(self.ops):
            if isinstance(op, _LOOPS):
                self._visit(k, op)
            elif isinstance(op, Conv | Pool):
                self._windows(op)
            else:
                self._fix(op)

    def _find(self, x: Any) -> Any:
        while self.parent.setdefault(x, x) != x:
            x = self.parent[x]
        return x

    def _join(self, a: Any, b: Any) -> None:
        a, b = self._find(a), self._find(b)
        if a == b:
            return
        self.parent[a] = b
        if a in self.fixed or self.extent.get(a, self.extent.get(b)) != self.extent.get(
            b, self.extent.get(a)
        ):
            self.fixed.add(b)

    def _windows(self, op: Conv | Pool) -> None:
        """What windows slide over keeps its size; how many there are beside each other does not matter."""
        x, outs = op.x, [b.name for b in outputs_of(op)]
        names = [x, *outs, *([op.weight] if isinstance(op, Conv) else [])]
        for name in names:
            for d, n in enumerate(self.buffers[name].shape):
                self._dimension(("buffer", name, d), n)
        same = [((x, 0), (outs[0], 0))]
        windowed = {(name, d) for name in names for d in range(2, len(self.buffers[name].shape))}
        last = op.channels_last
        if isinstance(op, Conv) and last:
            windowed = {(n, d) for n in (x, *outs) for d in range(1, len(self.buffers[x].shape) - 1)}
            windowed |= {(op.weight, d) for d in range(2, len(self.buffers[op.weight].shape))}
        if isinstance(op, Conv):
            i, o = (0, 1) if op.transposed else (1, 0)
            place = len(self.buffers[x].shape) - 1 if last else 1
            channels = [((x, place), (op.weight, i)), ((outs[0], place), (op.weight, o))]
            if op.bias:
                self._dimension(("buffer", op.bias, 0), self.buffers[op.bias].shape[0])
                channels.append(((op.bias, 0), (outs[0], place)))
            if op.groups == 1:
                same += channels
            else:
                windowed |= {place for pair in channels for place in pair}
        else:
            rank = len(self.buffers[x].shape)
            lead = 1 if op.channels_last else rank - len(op.kernel)
            beside = {*range(lead), *range(lead + len(op.kernel), rank)}
            same = [((x, d), (name, d)) for name in outs for d in beside]
            windowed = {(name, d) for name in names for d in range(lead, lead + len(op.kernel))}
        for a, b in same:
            self._join(("buffer", *a), ("buffer", *b))
        for name, d in windowed:
            self._pin(("buffer", name, d), self.buffers[name].shape[d])

    def _fix(self, op: Op) -> None:
        for name in (*reads_of(op), *(b.name for b in outputs_of(op))):
            for d, n in enumerate(self.buffers[name].shape):
                self._pin(("buffer", name, d), n)

    def _pin(self, key: Any, n: int) -> None:
        self.extent.setdefault(self._find(key), n)
        self.fixed.add(self._find(key))

    def _visit(self, k: int, op: Any) -> None:
        for a in (*_loops_of(op), *(p.raxis for p in getattr(op, "products", ()))):
            self.extent[self._find((k, a.name))] = a.extent
        for p in getattr(op, "products", ()):
            self._join((k, p.raxis.name), (k, op.axes[-1].name))
        for out, axes in _stores(op):
            for d, a in enumerate(axes):
                self._dimension(("buffer", out.name, d), a.extent)
                self._join((k, a.name), ("buffer", out.name, d))
        carried = op.carried if isinstance(op, Recurrence) else ()
        for e in exprs_of(op):
            self._bare_indices(k, op, e)
            for load in loads(e):
                if load.buffer not in carried:
                    self._visit_load(k, load)

    def _dimension(self, key: Any, n: int) -> None:
        self.extent.setdefault(self._find(key), n)

    def _visit_load(self, k: int, load: Any) -> None:
        for d, i in enumerate(load.index):
            key = ("buffer", load.buffer, d)
            n = self.buffers[load.buffer].shape[d]
            self._dimension(key, n)
            if isinstance(i, Index):
                loop = self._find((k, i.axis))
                if self.extent[loop] > n:
                    self._pin_buffer(load.buffer)
                self._join(loop, key)
            elif not (isinstance(i, Const) and n == 1):
                self._pin(key, n)
                self._pin_axes(k, i)

    def _pin_buffer(self, name: str) -> None:
        for d, n in enumerate(self.buffers[name].shape):
            self._pin(("buffer", name, d), n)

    def _pin_axes(self, k: int, e: Any) -> None:
        if isinstance(e, Index):
            self.fixed.add(self._find((k, e.axis)))
        for child in getattr(e, "args", ()) or getattr(e, "index", ()):
            self._pin_axes(k, child)

    def _bare_indices(self, k: int, op: Any, e: Any) -> None:
        """A loop variable used as a number (a mask, arange) keeps its extent."""
        if isinstance(e, Index):
            self.fixed.add(self._find((k, e.axis)))
        for child in getattr(e, "args", ()):
            self._bare_indices(k, op, child)

    def small(self, key: Any, n: int) -> int:
        root = self._find(key)
        return n if root in self.fixed else min(n, 3 + len(str(root)) % 3)

    def op(self, k: int) -> Op:
        op = self.ops[k]
        if isinstance(op, Conv):
            return replace(op, out=self.buffer(op.out))
        if isinstance(op, Pool):
            return replace(op, out=self.buffer(op.out), indices=op.indices and self.buffer(op.indices))
        if not isinstance(op, _LOOPS):
            return op
        if isinstance(op, Recurrence):
            return self._recurrence(k, op)
        changes: dict[str, Any] = {"out": self.buffer(op.out)}
        for name in ("axes", "raxes"):
            if hasattr(op, name):
                changes[name] = tuple(
                    Axis(a.name, self.small((k, a.name), a.extent)) for a in getattr(op, name)
                )
        return replace(op, **changes)

    def _recurrence(self, k: int, op: Recurrence) -> Recurrence:
        def few(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
            return tuple(Axis(a.name, self.small((k, a.name), a.extent)) for a in axes)

        return replace(
            op,
            axes=few(op.axes),
            time=few((op.time,))[0],
            inner=few(op.inner),
            states=tuple(replace(s, axes=few(s.axes)) for s in op.states),
            sums=tuple(replace(s, raxes=few(s.raxes)) for s in op.sums),
            emits=tuple(replace(e, out=self.buffer(e.out), axes=few(e.axes)) for e in op.emits),
            products=tuple(replace(p, raxis=few((p.raxis,))[0]) for p in op.products),
        )

    def buffer(self, b: Buffer) -> Buffer:
        return replace(b, shape=tuple(self.small(("buffer", b.name, d), n) for d, n in enumerate(b.shape)))

    def points(self) -> int:
        return max((self._points(k) for k in range(len(self.ops))), default=0)

    def values(self) -> int:
        """Of the largest array in memory: the sides of a product are there, their outer product is not."""
        return max((self._values(k) for k in range(len(self.ops))), default=0)

    def _values(self, k: int) -> int:
        op = self.op(k)
        if not isinstance(op, Contract):
            return self._points(k)
        used = [{x.axis for x in walk(e) if isinstance(x, Index)} for e in (op.lhs, op.rhs)]
        sides = (math.prod(a.extent for a in (*op.axes, *op.raxes) if a.name in u) for u in used)
        return max(op.out.size, *sides)

    def _points(self, k: int) -> int:
        op = self.op(k)
        if not isinstance(op, _LOOPS):
            names = (*reads_of(op), *(b.name for b in outputs_of(op)))
            return max((self.buffer(self.buffers[n]).size for n in names), default=0)
        return math.prod(a.extent for a in _loops_of(op))


def _loops_of(op: Any) -> tuple[Axis, ...]:
    return op.loops if isinstance(op, Recurrence) else (*op.axes, *getattr(op, "raxes", ()))


def _stores(op: Any) -> list[tuple[Buffer, tuple[Axis, ...]]]:
    """What an op writes, and over which loops."""
    return [(e.out, e.axes) for e in op.emits] if isinstance(op, Recurrence) else [(op.out, op.axes)]


def _agree(
    sizes: _Sizes, old: tuple[Op, ...], new: tuple[Op, ...], wanted: tuple[str, ...], seed: int, calm: bool
) -> bool:
    """Both versions on one random instance. A reordered sum may differ in the last digits."""
    ops = [sizes.op(k) for k in range(len(sizes.ops))]
    first, second = ops[: len(old)], ops[len(old) :]
    made = [{b.name for op in part for b in outputs_of(op)} for part in (first, second)]
    names = {n for op in first for n in reads_of(op) if n not in made[0]}
    names |= {n for op in second for n in reads_of(op) if n not in made[1]}
    inputs = {n: replace(sizes.buffer(sizes.buffers[n]), role=Role.INPUT) for n in sorted(names)}
    generator = torch.Generator().manual_seed(seed)
    tensors = {n: _random(b, generator, calm) for n, b in inputs.items()}
    results = [interpret(_part(part, inputs, wanted), tensors, double=True) for part in (first, second)]
    return all(
        torch.allclose(results[0][n], results[1][n], rtol=1e-9, atol=1e-9, equal_nan=True) for n in wanted
    )


def _part(ops: list[Op], inputs: dict[str, Buffer], wanted: tuple[str, ...]) -> Program:
    made = {b.name: b for op in ops for b in outputs_of(op)}
    return Program({**inputs, **made}, tuple(ops), tuple(inputs), wanted)


def _random(b: Buffer, generator: torch.Generator, calm: bool) -> torch.Tensor:
    """`calm`: so small that hundreds of products one after the other do not multiply the last digits' differences."""
    if b.dtype.is_float:
        scale = max(b.shape, default=1) ** -0.5 if calm else 2
        return torch.randn(b.shape, generator=generator, dtype=torch.float64) * scale
    high = 2 if b.dtype is DType.BOOL else max(1, min((n for n in b.shape), default=2))
    return torch.randint(0, high, b.shape, generator=generator).to(TORCH_DTYPES[b.dtype])
