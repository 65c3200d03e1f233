"""Long expressions cut into several loops over one block.

A chain of transcendental functions is one long dependence per vector. Processors overlap iterations only within their
scheduler's window, so short loops that pass values through a small array in L1 run at the rate of the instructions, where one long loop
runs at their latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.sweep import HEAVY, cost
from kerf.kernels.codegen.strength import cheaper
from kerf.kernels.ir import Apply, DType, Expr, Load, const_index, loads


@dataclass(frozen=True)
class Part:
    """A named value: a step's, or a piece of one (`step` is None)."""

    name: str
    value: Expr
    step: Step | None = None


@dataclass
class _Cutter:
    limit: int
    loops: list[list[Part]] = field(default_factory=lambda: [[]])
    made: dict[Expr, Load] = field(default_factory=dict)
    weight: int = 0

    def add(self, step: Step) -> None:
        value = self.inside(cheaper(step.value))
        self.loops[-1].append(Part(step.out.name, value, step))

    def inside(self, expr: Expr) -> Expr:
        """`expr` with the heavy values below its root taken out."""
        if not isinstance(expr, Apply) or (expr.op == "select" and not _safe(expr)):
            return expr
        args = tuple(self.cut(a) for a in expr.args)
        return expr if args == expr.args else replace(expr, args=args)

    def cut(self, expr: Expr) -> Expr:
        if expr in self.made:
            return self.made[expr]
        new = self.inside(expr)
        if not isinstance(new, Apply) or new.op not in HEAVY or new.dtype is not DType.F32:
            return new
        name = f"part{len(self.made)}"
        self.loops[-1].append(Part(name, new))
        self.weight += cost(new)
        if self.weight >= self.limit:
            self.loops.append([])
            self.weight = 0
        self.made[expr] = Load(name, (const_index(0),), new.dtype)
        return self.made[expr]


def _safe(select: Apply) -> bool:
    """Nothing is read under a condition alone: such reads may lie outside of their buffer."""
    return set(loads(select)) <= set(loads(select.args[0]))


def loops(steps: Sequence[Step], limit: int) -> list[list[Part]]:
    """The steps' values in order, cut into loops where the work since the last cut reaches `limit` vector instructions; 0: one loop."""
    if not limit:
        return [[Part(s.out.name, s.value, s) for s in steps]]
    cutter = _Cutter(limit)
    for s in steps:
        cutter.add(s)
    return [loop for loop in cutter.loops if loop]


def passed(found: Sequence[Sequence[Part]]) -> dict[str, DType]:
    """Values that a later loop reads, with their types: each needs an array over the block."""
    out: dict[str, DType] = {}
    for n, loop in enumerate(found):
        later = {ld.buffer for other in found[n + 1 :] for p in other for ld in loads(p.value)}
        out |= {p.name: p.step.out.dtype if p.step else p.value.dtype for p in loop if p.name in later}
    return out
