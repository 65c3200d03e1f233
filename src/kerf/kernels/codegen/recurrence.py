"""Recurrences over time: outer loops are parallel, states stay in a small block of memory close to the core for all time.

A block is a run of one outer loop (the one most loads are contiguous in). Its states, one array a value of the inner loops, are
kept from the first step to the last; every step computes sums, emits and next states for the whole block in one vector loop.
Reads and writes are one stream a buffer, each touched once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from kerf.kernels.codegen.expr import CTYPE, ctype, memory_loads, render, stored
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import (
    Apply,
    Axis,
    Buffer,
    Const,
    DType,
    Emit,
    Expr,
    Group,
    Index,
    Load,
    Recurrence,
    const_index,
    exprs_of,
    linear,
    loads,
    rename_axes,
    transform,
    walk,
)
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

BLOCKS = (16, 32, 64, 128, 256, 512, 1024, 2048)
UNROLLED = 256  # inner points times states that one step may write out


class RecurrenceTemplate:
    name = "recurrence"

    def accepts(self, group: Group) -> bool:
        op = group.ops[0]
        return (
            len(group.ops) == 1
            and isinstance(op, Recurrence)
            and not op.products
            and prod(a.extent for a in op.inner) <= UNROLLED
        )

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        plan = _Plan(group)
        return (Decision("block", BLOCKS, plan.block(chip, threads)),)

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        code = _Writer(_Plan(group), int(choices["block"]), symbol).code()
        op = group.ops[0]
        assert isinstance(op, Recurrence)
        points = prod(a.extent for a in op.loops)
        work = sum(isinstance(e, Apply) for x in exprs_of(op) for e in walk(x))
        return Emitted(code, symbol, flops=float(points * work), bytes=float(group.bytes))


@dataclass
class _Plan:
    group: Group

    def __post_init__(self) -> None:
        op = self.group.ops[0]
        assert isinstance(op, Recurrence)
        self.op = op
        votes = {a: self._contiguous(a) for a in op.axes}
        self.lane = max(op.axes, key=lambda a: (votes[a], a.extent), default=Axis("lane", 1))
        self.outer = tuple(a for a in op.axes if a != self.lane)

    def _contiguous(self, axis: Axis) -> int:
        """Accesses that are contiguous in the axis."""
        reads = [ld for e in exprs_of(self.op) for ld in loads(e) if ld.buffer not in self.op.carried]
        forms = [linear(ld, self.group.buffer(ld.buffer)) for ld in reads]
        writes = sum(1 for e in self.op.emits if bool(e.axes) and e.axes[-1] == axis)
        return writes + sum(f is not None and f.of(axis.name) == 1 for f in forms)

    def block(self, chip: Chip, threads: int) -> int:
        """States in half of the first-level cache, and work for every thread."""
        each = sum(8 * prod(a.extent for a in s.axes if a in self.op.inner) for s in self.op.states) or 8
        most = max(BLOCKS[0], min(chip.l1_bytes // 2 // each, self.lane.extent))
        blocks = prod(a.extent for a in self.outer)
        while threads > 1 and most > 64 and blocks * -(-self.lane.extent // most) < 2 * threads:
            most //= 2
        return max(b for b in BLOCKS if b <= most or b == BLOCKS[0])


@dataclass
class _Writer:
    plan: _Plan
    block: int
    symbol: str

    def code(self) -> str:
        p, buffers = self.plan, (*self.plan.group.inputs, *self.plan.group.outputs)
        given = {b.name for b in p.group.inputs}
        arguments = ", ".join(
            f"{'const ' if b.name in given else ''}{CTYPE[b.dtype]} *restrict {b.name}" for b in buffers
        )
        places = "".join(f"const long {a.name}, " for a in p.outer)
        passed = ", ".join([*(b.name for b in buffers), *(a.name for a in p.outer), "first"])
        return "\n".join([
            f"static inline __attribute__((always_inline)) void {self.symbol}_block({arguments}, {places}const long first, const long width) {{",
            *self._arrays(),
            *self._lanes(self._start()),
            *self._steps(),
            "}",
            "",
            f"static void {self.symbol}({arguments}, char *restrict scratch, int threads) {{",
            "    (void)scratch; (void)threads;",
            *self._around(passed),
            "}",
            "",
        ])  # fmt: skip

    def _around(self, passed: str) -> list[str]:
        p = self.plan
        blocks = -(-p.lane.extent // self.block)
        items = prod(a.extent for a in p.outer) * blocks
        out = [
            "    #pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)",
            f"    for (long item = 0; item < {items}L; item++) {{",
            f"        const long first = item % {blocks}L * {self.block}L;",
            f"        long rest = item / {blocks}L;",
        ]
        for a in reversed(p.outer):
            out += [f"        const long {a.name} = rest % {a.extent}L;", f"        rest /= {a.extent}L;"]
        return [
            *out,
            "        (void)rest;",
            f"        const long width = {p.lane.extent}L - first < {self.block}L ? {p.lane.extent}L - first : {self.block}L;",
            f"        if (width == {self.block}L) {self.symbol}_block({passed}, {self.block}L);",
            f"        else {self.symbol}_block({passed}, width);",
            "    }",
        ]

    def _arrays(self) -> list[str]:
        return [
            f"    {ctype(s.value.dtype)} {s.name}[{len(_points(self._inner(s.axes)))}][{self.block}] __attribute__((aligned(64)));"
            for s in self.plan.op.states
        ]

    def _inner(self, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return tuple(a for a in axes if a in self.plan.op.inner)

    def _lanes(self, body: list[str], indent: str = "    ") -> list[str]:
        head = [
            f"{indent}#pragma omp simd",
            f"{indent}for (long lane_ = 0; lane_ < width; lane_++) {{",
            f"{indent}    const long {self.plan.lane.name} = first + lane_;",
            f"{indent}    (void){self.plan.lane.name};",
        ]
        return [*head, *(f"{indent}    {line}" for line in body), f"{indent}}}"]

    def _start(self) -> list[str]:
        return [
            f"{s.name}[{k}][lane_] = {self._scalar(_at(s.initial, point))};"
            for s in self.plan.op.states
            for k, point in enumerate(_points(self._inner(s.axes)))
        ]

    def _steps(self) -> list[str]:
        """Steps that differ by a condition on time run before the rest, so that the rest has no condition."""
        op = self.plan.op
        time, own = op.time.name, max((k for e in exprs_of(op) for k in _early(e, op.time.name)), default=0)
        out = []
        for low, high, step in (
            (0, own, op),
            (own, op.time.extent, op.mapped(lambda e: _later(e, time, own))),
        ):
            if low < high:
                out.append(f"    for (long step_ = {low}; step_ < {high}L; step_++) {{")
                out.append(
                    f"        const long {time} = {f'{op.time.extent - 1}L - step_' if op.reverse else 'step_'};"
                )
                out += [*self._lanes(self._step(step), "        "), "    }"]
        return out

    def _step(self, op: Recurrence) -> list[str]:
        out: list[str] = []
        for s in op.sums:
            out.append(f"{ctype(s.value.dtype)} {s.name} = 0;")
            for point in _points(s.raxes):
                out.append(f"{s.name} += {self._scalar(_at(s.value, point))};")
        for n, e in enumerate(op.emits):
            out.append(self._store(e, n))
        later = []
        for state in op.states:
            for k, point in enumerate(_points(self._inner(state.axes))):
                out.append(
                    f"const {ctype(state.value.dtype)} next_{state.name}_{k} = {self._scalar(_at(state.value, point))};"
                )
                later.append(f"{state.name}[{k}][lane_] = next_{state.name}_{k};")
        return [*out, *later]

    def _store(self, e: Emit, number: int) -> str:
        """Also where an inner loop is among the axes. Values without a time are overwritten until the last step."""
        lines = []
        for point in _points(self._inner(e.axes)):
            index = tuple(point.get(a.name, Index(a.name)) for a in e.axes)
            place = memory_loads(self._buffer, self._names)(Load(e.out.name, index, DType.F32))
            place = place if e.out.dtype not in (DType.F16, DType.BF16) else place[place.index("(") + 1 : -1]
            lines.append(f"{place} = {stored(self._scalar(_at(e.value, point)), e.out.dtype)};")
        return " ".join(lines)

    @property
    def _names(self) -> dict[str, str]:
        return {a.name: a.name for a in (*self.plan.op.loops, self.plan.lane)}

    def _buffer(self, name: str) -> Buffer:
        return self.plan.group.buffer(name)

    def _scalar(self, e: Expr) -> str:
        memory = memory_loads(self._buffer, self._names)
        sums = {s.name for s in self.plan.op.sums}
        states = {s.name: s for s in self.plan.op.states}

        def load(ld: Load) -> str:
            if ld.buffer in sums:
                return ld.buffer
            if ld.buffer not in states:
                return memory(ld)
            place = 0
            for a, i in zip(states[ld.buffer].axes, ld.index):
                place = place * a.extent + int(i.value) if isinstance(i, Const) else place
            return f"{ld.buffer}[{place}][lane_]"

        return render(e, self._names, load)


def _points(axes: tuple[Axis, ...]) -> list[dict[str, Expr]]:
    return [
        {a.name: const_index(v) for a, v in zip(axes, values)}
        for values in product(*(range(a.extent) for a in axes))
    ]


def _at(e: Expr, point: dict[str, Expr]) -> Expr:
    return rename_axes(e, point)


def _early(e: Expr, time: str) -> Iterator[int]:
    """Numbers of first steps that a select treats differently."""
    for x in walk(e):
        if isinstance(x, Apply) and x.op == "select":
            limit = _limit(x.args[0], time)
            if limit is not None:
                yield limit


def _limit(cond: Expr, time: str) -> int | None:
    if (
        isinstance(cond, Apply)
        and cond.op == "lt"
        and cond.args[0] == Index(time)
        and isinstance(cond.args[1], Const)
    ):
        return int(cond.args[1].value)
    return None


def _later(e: Expr, time: str, start: int) -> Expr:
    def leaf(x: Expr) -> Expr | None:
        if isinstance(x, Apply) and x.op == "select":
            limit = _limit(x.args[0], time)
            return _later(x.args[2], time, start) if limit is not None and limit <= start else None
        return None

    return transform(e, leaf)


TEMPLATE = RecurrenceTemplate()
