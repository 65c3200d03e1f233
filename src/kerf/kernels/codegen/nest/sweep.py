"""What each sweep over R computes, stores, and takes over from an earlier sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kerf.kernels.codegen.nest.domain import Step, collapsed
from kerf.kernels.codegen.nest.index import expression
from kerf.kernels.codegen.nest.phase import Phase, sweeping
from kerf.kernels.ir import Affine, Apply, Axis, Buffer, Expr, Index, Load, apply, loads, transform, walk

HEAVY = frozenset(
    [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "erf",
        "erfc",
        "sigmoid",
        "pow",
        "atan2",
        "fmod",
        "mod",
    ]
)


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
    weights = [
        (20 if e.op in HEAVY else 8 if e.op in ("div", "recip", "sqrt", "rsqrt") else 1)
        for e in walk(expr)
        if isinstance(e, Apply)
    ]
    return sum(weights)


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
        and cost(s.value) >= 8
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


def with_reciprocals(phase: Phase, scalars: frozenset[str]) -> Phase:
    """Division of full values by row values as multiplication by the reciprocal, computed once a row (`scalars`: single
    values of earlier phases, which need no step)."""
    steps: list[Step] = []
    level, sweep = dict(phase.level), dict(phase.sweep)
    made: dict[Expr, Load] = {}
    for s in phase.steps:
        if level[s.out.name] != "full" and not (s.over & phase.reduced) and phase.reduced:
            steps.append(s)
            continue
        value = transform(s.value, lambda e: _inverted(e, phase, made, steps, level, sweep, scalars))
        steps.append(replace(s, value=value))
    return replace(phase, steps=tuple(steps), level=level, sweep=sweep)


def _inverted(
    node: Expr,
    phase: Phase,
    made: dict[Expr, Load],
    steps: list[Step],
    level: dict[str, str],
    sweep: dict[str, int],
    scalars: frozenset[str],
) -> Expr | None:
    if not (isinstance(node, Apply) and node.op == "div" and node.dtype.compute.is_float):
        return None
    below = node.args[1]
    names = [load.buffer for load in loads(below)]
    if not names or any(isinstance(e, Index) and e.axis in phase.reduced for e in walk(below)):
        return None
    top = transform(node.args[0], lambda e: _inverted(e, phase, made, steps, level, sweep, scalars))
    if all(n in scalars for n in names):
        return apply("mul", top, apply("recip", below))
    if not phase.reduced or any(level.get(n) != "row" for n in names):
        return None
    if below not in made:
        made[below] = _row_step(apply("recip", below), phase, steps, level, sweep)
    return apply("mul", top, made[below])


def _row_step(
    value: Expr, phase: Phase, steps: list[Step], level: dict[str, str], sweep: dict[str, int]
) -> Load:
    source = next(s for s in steps if s.out.name in {load.buffer for load in loads(value)})
    name = f"inverse{sum(s.out.name.startswith('inverse') for s in steps)}"
    steps.append(
        Step(
            Buffer(name, source.out.shape, value.dtype),
            "map",
            value,
            source.space,
            frozenset(),
            source.store,
            Affine(0, {}),
        )
    )
    level[name], sweep[name] = "row", max(sweep[load.buffer] for load in loads(value))
    return Load(name, (expression(source.store),), value.dtype)
