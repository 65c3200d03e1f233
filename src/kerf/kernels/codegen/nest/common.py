"""Costly values that several steps of a phase compute alike become steps of their own, so that they can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.phase import Phase, pass_numbers, sweeping
from kerf.kernels.codegen.nest.sweep import cost, cost_along
from kerf.kernels.ir import Affine, Apply, Buffer, Expr, Load, const_index, loads, transform, walk

COSTLY = 8  # vector instructions from which a value is worth a name


def shared(phase: Phase) -> Phase:
    """The phase with each costly expression over R that more than one step needs computed by one step."""
    while (found := _largest(phase)) is not None:
        phase = _named(phase, found, f"shared{sum(s.out.name.startswith('shared') for s in phase.steps)}")
    return phase


def _largest(phase: Phase) -> Expr | None:
    users: dict[Expr, set[str]] = {}
    for s in phase.steps:
        if phase.reduced and sweeping(s, phase.level[s.out.name], phase.reduced):
            for e in _candidates(s, phase.level):
                users.setdefault(e, set()).add(s.out.name)
    common = [e for e, names in users.items() if len(names) > 1]
    return max(common, key=cost, default=None)


def _candidates(step: Step, level: Mapping[str, str]) -> Iterator[Expr]:
    """Costly values over R: those that read memory or full values (row values are hoisted instead)."""
    for e in walk(step.value):
        costly = isinstance(e, Apply) and e.dtype.is_float and cost_along(e, level) >= COSTLY
        if costly and any(level.get(ld.buffer, "full") == "full" for ld in loads(e)):
            yield e


def _named(phase: Phase, value: Expr, name: str) -> Phase:
    every = frozenset(a.name for a in phase.axes)
    source = next(s for s in phase.steps if value in set(walk(s.value)))
    out = Buffer(name, source.out.shape, value.dtype)
    load = Load(name, (const_index(0),), value.dtype)
    made = Step(out, "map", value, every, frozenset(), Affine(0, {}), Affine(0, {}))
    steps: list[Step] = []
    for s in phase.steps:
        if s is source:
            steps.append(made)
        steps.append(replace(s, value=transform(s.value, lambda e: load if e == value else None)))
    level = {**phase.level, name: "full"}
    return replace(phase, steps=tuple(steps), level=level, sweep=pass_numbers(steps, level, phase.reduced))
