"""What each sweep over R computes, stores, and takes over from an earlier sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kerf.kernels.codegen.nest.domain import Step, collapsed
from kerf.kernels.codegen.nest.index import expression
from kerf.kernels.codegen.nest.phase import Phase, sweeping
from kerf.kernels.ir import (
    TRANSCENDENTAL,
    Affine,
    Apply,
    Axis,
    Buffer,
    Expr,
    Index,
    Load,
    apply,
    loads,
    transform,
    walk,
)

HEAVY = frozenset(
    [
        *TRANSCENDENTAL,
        "exp_flush",
        "exp_fade",
        "softplus",
        "tanh_softplus",
        "pow",
        "atan2",
        "fmod",
        "mod",
    ]
)

STEPPED = frozenset(["round", "floor", "ceil", "trunc", "floordiv", "mod", "fmod"])


@dataclass(frozen=True)
class Sweep:
    """`axes`: R's loops for these accesses, neighbours merged where they can be. `steps` in order; `taken`: values of
    earlier sweeps, each from "scratch" or its "output"; `kept`: values to put into scratch for later."""

    axes: tuple[Axis, ...]
    steps: tuple[Step, ...]
    taken: Mapping[str, str]
    taken_steps: Mapping[str, Step]
    kept: frozenset[str]


def cost(expr: Expr) -> int:
    """Vector instructions, roughly."""
    return sum(_weight(e) for e in walk(expr) if isinstance(e, Apply))


def _weight(e: Apply) -> int:
    return 20 if e.op in HEAVY else 8 if e.op in ("div", "recip", "sqrt", "rsqrt") else 1


def cost_along(expr: Expr, level: Mapping[str, str]) -> int:
    """`cost` of an element of a row: without what only depends on row values, which is computed once a row."""
    names = [load.buffer for load in loads(expr)]
    if not isinstance(expr, Apply) or (names and all(level.get(n, "full") != "full" for n in names)):
        return 0
    return _weight(expr) + sum(cost_along(a, level) for a in expr.args)


def needed(phase: Phase, stored: frozenset[str]) -> list[set[str]]:
    """Names of the full values that each sweep would compute if nothing were kept."""
    count = max([phase.sweep[s.out.name] for s in phase.steps if _sweeps(phase, s)] or [-1]) + 1
    return [_closure(phase, p, stored, {}) for p in range(count)]


def _sweeps(phase: Phase, step: Step) -> bool:
    return sweeping(step, phase.level[step.out.name], phase.reduced)


def _closure(phase: Phase, number: int, stored: frozenset[str], taken: Mapping[str, str]) -> set[str]:
    roots = [
        s
        for s in phase.steps
        if _sweeps(phase, s) and phase.sweep[s.out.name] == number and (s.reduces or s.out.name in stored)
    ]
    found, queue = set[str](), list(roots)
    while queue:
        step = queue.pop()
        if step.out.name in found:
            continue
        found.add(step.out.name)
        queue += [phase.step(b) for b in step.reads if phase.level.get(b) == "full" and b not in taken]
    return found


def reusable(phase: Phase, stored: frozenset[str]) -> tuple[str, ...]:
    """Costly values that more than one sweep needs."""
    sets = needed(phase, stored)
    return tuple(
        s.out.name
        for s in phase.steps
        if phase.level[s.out.name] == "full"
        and sum(s.out.name in found for found in sets) > 1
        and cost_along(s.value, phase.level) >= 8
    )


def sweeps(phase: Phase, stored: frozenset[str], keep: bool) -> tuple[Sweep, ...]:
    again = reusable(phase, stored) if keep else ()
    out: list[Sweep] = []
    taken: dict[str, str] = {}
    for number in range(len(needed(phase, stored))):
        found = _closure(phase, number, stored, taken)
        steps = [s for s in phase.steps if s.out.name in found]
        reads = {b for s in steps for b in s.reads}
        here = {b: how for b, how in taken.items() if b in reads}
        kept = frozenset(n for n in again if n in found and n not in taken and n not in stored)
        out.append(_sweep(phase, steps, here, kept, stored))
        taken |= dict.fromkeys(kept, "scratch")
        exact = {
            s.out.name
            for s in steps
            if s.out.name in stored and not s.reduces and s.out.dtype.compute is s.out.dtype
        }
        taken |= dict.fromkeys(exact, "output")
    return tuple(out)


def _sweep(
    phase: Phase,
    steps: Sequence[Step],
    taken: Mapping[str, str],
    kept: frozenset[str],
    stored: frozenset[str],
) -> Sweep:
    reloads = [phase.step(b) for b, how in taken.items() if how == "output"]
    axes = tuple(a for a in phase.axes if a.name in phase.reduced)
    memory = stored | {s.out.name for s in reloads}
    merged, current = collapsed(axes, [*steps, *reloads], lambda a, b: True, phase.made, memory)
    made = dict(zip([s.out.name for s in reloads], current[len(steps) :], strict=True))
    return Sweep(merged, current[: len(steps)], taken, made, kept)


def hoisted(phase: Phase, scalars: frozenset[str], reciprocal: bool) -> Phase:
    """What only depends on row values is computed once a row: compilers leave it inside vector loops. With `reciprocal`, division by
    such values becomes multiplication (`scalars`: single values from outside, which need no step of their own)."""
    hoist = _Hoist(phase, scalars, reciprocal)
    for s in phase.steps:
        late = phase.level[s.out.name] == "full" or bool(s.over & phase.reduced) or not phase.reduced
        hoist.steps.append(replace(s, value=hoist.expr(s.value)) if late else s)
    return replace(phase, steps=tuple(hoist.steps), level=hoist.level, sweep=hoist.sweep)


class _Hoist:
    def __init__(self, phase: Phase, scalars: frozenset[str], reciprocal: bool) -> None:
        self.phase, self.scalars, self.reciprocal = phase, scalars, reciprocal
        self.steps: list[Step] = []
        self.level, self.sweep = dict(phase.level), dict(phase.sweep)
        self.made: dict[Expr, Load] = {}

    def expr(self, value: Expr) -> Expr:
        return transform(value, self._leaf)

    def _leaf(self, node: Expr) -> Expr | None:
        if not isinstance(node, Apply):
            return None
        if self._row(node):
            return self._step(node) if cost(node) > 1 else None
        if node.op in STEPPED and self.reciprocal:
            return apply(node.op, *map(self._exact, node.args), dtype=node.dtype)
        if not (self.reciprocal and node.op == "div" and node.dtype.compute.is_float):
            return None
        below = node.args[1]
        if self._row(below):
            return apply("mul", self.expr(node.args[0]), self._step(apply("recip", below)))
        names = [load.buffer for load in loads(below)]
        if (
            names
            and all(n in self.scalars for n in names)
            and not any(isinstance(e, Index) for e in walk(below))
        ):
            return apply("mul", self.expr(node.args[0]), apply("recip", below))
        return None

    def _exact(self, value: Expr) -> Expr:
        """The same with its divisions left: what is rounded to whole numbers must not land beside a half that it lay on."""
        self.reciprocal = False
        try:
            return self.expr(value)
        finally:
            self.reciprocal = True

    def _row(self, node: Expr) -> bool:
        """Does it read row values of this phase and nothing else?"""
        names = [load.buffer for load in loads(node)]
        bare = [e for e in walk(node) if isinstance(e, Index) and e.axis in self.phase.reduced]
        return bool(self.phase.reduced and names and not bare) and all(
            self.level.get(n) == "row" for n in names
        )

    def _step(self, value: Expr) -> Load:
        if value not in self.made:
            names = {load.buffer for load in loads(value)}
            source = next(s for s in self.steps if s.out.name in names)
            name = f"row{len(self.made)}"
            out = Buffer(name, source.out.shape, value.dtype)
            self.steps.append(Step(out, "map", value, self._kept(), frozenset(), source.store, Affine(0, {})))
            self.level[name], self.sweep[name] = "row", max(self.sweep[n] for n in names)
            self.made[value] = Load(name, (expression(source.store),), value.dtype)
        return self.made[value]

    def _kept(self) -> frozenset[str]:
        return frozenset(a.name for a in self.phase.kept)
