"""Phases: the runs of a group's ops that share one parallel loop nest. Between phases all threads have finished.

Within a phase, axes are kept (K) or reduced (R). Per point of K the reductions run over R in passes: a pass is one sweep over R,
and what needs a reduction's result comes in a later pass. Reductions over everything (also K) end the phase: they are
accumulated per thread, and only scalar ops may use them in the same phase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from kerf.kernels.codegen.nest.domain import (
    Buffers,
    Op,
    Step,
    all_axes,
    collapsed,
    layout,
    pieces,
    refined,
    step_of,
    volume,
)
from kerf.kernels.codegen.nest.index import form
from kerf.kernels.codegen.nest.staged import Staged
from kerf.kernels.ir import (
    Affine,
    Axis,
    Buffer,
    Group,
    Load,
    Map,
    Reduce,
    linear,
    loads,
    reads_of,
)


@dataclass(frozen=True)
class Phase:
    """`axes` outermost first; `reduced` names R. `level` of each step's result: "full" (K and R), "row" (K), "global" (a
    reduction over everything), "before" and "after" (scalar ops without and with globals). `sweep`: for a full step the
    pass that it may first run in; for a row step the pass after which it is known. `staged`: operands that a fused innermost axis reads from
    arrays, whose patterns repeat every `unit` elements."""

    axes: tuple[Axis, ...]
    reduced: frozenset[str]
    steps: tuple[Step, ...]
    level: Mapping[str, str]
    sweep: Mapping[str, int]
    staged: tuple[Staged, ...] = ()
    unit: int = 1

    @property
    def made(self) -> frozenset[str]:
        return frozenset(s.out.name for s in self.steps)

    @property
    def known(self) -> frozenset[str]:
        """What is read from elsewhere than the buffers of memory."""
        return self.made | {o.name for o in self.staged}

    def step(self, name: str) -> Step:
        return next(s for s in self.steps if s.out.name == name)

    @property
    def kept(self) -> tuple[Axis, ...]:
        return tuple(a for a in self.axes if a.name not in self.reduced)

    @property
    def rows(self) -> int:
        return prod(a.extent for a in self.kept)

    @property
    def depth(self) -> int:
        """Elements of R."""
        return prod(a.extent for a in self.axes if a.name in self.reduced)


def phases(group: Group) -> tuple[Phase, ...]:
    """The group's phases, each as long as the analysis allows."""
    out: list[Phase] = []
    start, ops = 0, [op for op in group.ops if isinstance(op, Map | Reduce)]
    while start < len(ops):
        end, best = start + 1, phase_of(ops[start : start + 1], group)
        assert best is not None, f"one op is always a phase: {ops[start]}"
        while end < len(ops) and (longer := phase_of(ops[start : end + 1], group)):
            best, end = longer, end + 1
        out.append(best)
        start = end
    return tuple(out)


def phase_of(ops: Sequence[Op], group: Group) -> Phase | None:
    """`ops` as one phase, or None where they do not share a domain or need a barrier between them."""
    made = {op.out.name for op in ops}
    stored = ({b.name for b in group.outputs} | _read_later(ops, group)) & made
    read = {n for op in ops for n in reads_of(op)} - made
    used = [b for b in (*group.inputs, *group.outputs, *group.internal) if b.name in read | made]
    return _phase_of(tuple(ops), tuple(used), frozenset(stored))


@lru_cache(maxsize=1 << 12)  # fusion asks for the same phases as members of ever longer groups
def _phase_of(ops: tuple[Op, ...], used: tuple[Buffer, ...], stored: frozenset[str]) -> Phase | None:
    buffers = {b.name: b for b in used}.__getitem__
    total = max(volume(op) for op in ops)
    made = {op.out.name: op for op in ops}
    layouts = [layout(op, buffers, made) for op in ops if volume(op) == total]
    digits = refined([x for x in layouts if x], total)
    if digits is None or any(x is None for x in layouts):
        return None
    steps = _steps(ops, total, digits, buffers)
    return None if steps is None else _built(tuple(a for a, _ in digits), steps, stored)


def _read_later(ops: Sequence[Op], group: Group) -> set[str]:
    inside = {op.out.name for op in ops}
    mine = set(map(id, ops))
    later = (op for op in group.ops if id(op) not in mine and isinstance(op, Map | Reduce))
    return {name for op in later for name in reads_of(op)} & inside


def _steps(
    ops: Sequence[Op], total: int, digits: Sequence[tuple[Axis, int]], buffers: Buffers
) -> list[Step] | None:
    extents = {a.name: a.extent for a, _ in digits}
    done: dict[str, Step] = {}
    made = {op.out.name: op for op in ops}
    for op in ops:
        if volume(op) == total:
            parts = pieces(all_axes(op), layout(op, buffers, made) or {}, digits)
        else:
            parts = _inherited(op, done, buffers, digits)
        if parts is None:
            return None
        step = step_of(op, parts, buffers, extents)
        if not _consistent(step, done):
            return None
        done[op.out.name] = step
    return list(done.values())


def _inherited(
    op: Op, done: Mapping[str, Step], buffers: Buffers, digits: Sequence[tuple[Axis, int]]
) -> dict[str, Affine] | None:
    """Axes of an op on reduced values, by where those values lie."""
    axes = [a for a in all_axes(op) if a.extent != 1]
    if not axes:
        return {a.name: Affine(0, {}) for a in all_axes(op)}
    for load in loads(op.value):
        if load.buffer not in done:
            continue
        source, here = done[load.buffer].store, linear(load, buffers(load.buffer))
        if here is None or set(here.coefficients) != {a.name for a in axes}:
            continue
        placed = [(a, source.of(a.name)) for a, _ in digits if source.of(a.name)]
        parts = pieces(all_axes(op), here.coefficients, placed)
        if parts is not None and {d for f in parts.values() for d in f.coefficients} == set(
            source.coefficients
        ):
            return parts
    return None


def _consistent(step: Step, done: Mapping[str, Step]) -> bool:
    """Is every value made in this phase read at the point that made it?"""
    for load in loads(step.value):
        if load.buffer in done:
            here = form(load.index[0], {})
            if here is None or here != done[load.buffer].store:
                return False
    return True


def _built(axes: tuple[Axis, ...], steps: list[Step], stored: frozenset[str]) -> Phase | None:
    every = {a.name for a in axes}
    partial = [s for s in steps if s.reduces and s.over and (s.space or s.kind.startswith("arg"))]
    reduced = partial[0].over if partial else frozenset[str]()
    kept = frozenset(every) - reduced
    if partial and any(s.over != reduced or s.space != kept for s in partial):
        return None
    level = _levels(steps, frozenset(every), reduced, kept)
    if level is None:
        return None
    made = frozenset(s.out.name for s in steps)

    def same(a: str, b: str) -> bool:
        return (a in reduced) == (b in reduced)

    merged, current = collapsed(axes, steps, same, made, stored)
    names = {a.name for a in merged}
    return Phase(merged, reduced & names, current, level, pass_numbers(current, level, reduced & names))


def _levels(
    steps: Sequence[Step], every: frozenset[str], reduced: frozenset[str], kept: frozenset[str]
) -> dict[str, str] | None:
    level: dict[str, str] = {}
    for s in steps:
        spans = s.space | s.over
        read = {level[b] for b in s.reads if b in level}
        after = bool(read & {"global", "after"})
        if after and spans:
            return None
        if after:
            level[s.out.name] = "after"
        elif not spans and every and not (read & {"row"}):
            level[s.out.name] = "before"
        elif (s.over and reduced and s.over == reduced and s.space == kept) or (
            not s.over and s.space == kept
        ):
            level[s.out.name] = "row"
        elif s.over and not s.space and spans in (every, kept):
            level[s.out.name] = "global"
        elif not s.over and s.space == every:
            level[s.out.name] = "full"
        else:
            return None
    return level


def sweeping(step: Step, level: str, reduced: frozenset[str]) -> bool:
    """Does the step run over R?"""
    return level == "full" or bool(step.over & reduced)


def pass_numbers(steps: Sequence[Step], level: Mapping[str, str], reduced: frozenset[str]) -> dict[str, int]:
    """`Phase.sweep` of these steps, in order."""
    sweep: dict[str, int] = {}
    for s in steps:
        late = sweeping(s, level[s.out.name], reduced)
        inputs = [b for b in s.reads if b in sweep and level[b] in ("row", "full")]
        sweep[s.out.name] = max([sweep[b] + (1 if late and level[b] == "row" else 0) for b in inputs] or [0])
    return sweep


def external(step: Step, made: frozenset[str]) -> list[Load]:
    return [load for load in loads(step.value) if load.buffer not in made]
