"""Sums of squared deviations from a mean, found in a phase: they need not wait for the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isclose

from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.phase import Phase, pass_numbers
from kerf.kernels.ir import Apply, Const, DType, Expr, Load


def merged(phase: Phase) -> Phase:
    """The phase with each sum of (e - mean of e)^2 over R as one reduction of e, in the sweep that has e."""
    known = {s.out.name: s for s in phase.steps}
    steps = tuple(_squared(s, known, phase) for s in phase.steps)
    return replace(phase, steps=steps, sweep=pass_numbers(steps, phase.level, phase.reduced))


def _squared(s: Step, known: Mapping[str, Step], phase: Phase) -> Step:
    v = s.value
    if s.kind != "sum" or s.over != phase.reduced or s.out.dtype.compute not in (DType.F32, DType.F64):
        return s
    if not (isinstance(v, Apply) and v.op == "mul" and v.args[0] == v.args[1]):
        return s
    off = v.args[0]
    if isinstance(off, Apply) and off.op == "sub" and _mean_of(off.args[1], off.args[0], known, phase):
        return replace(s, kind="sqdev", value=off.args[0])
    return s


def _mean_of(mean: Expr, value: Expr, known: Mapping[str, Step], phase: Phase) -> bool:
    """Is `mean` the sum over R of `value`, over the number of elements of R?"""
    if isinstance(mean, Load) and mean.buffer in known and not known[mean.buffer].reduces:
        return _mean_of(known[mean.buffer].value, value, known, phase)
    if not (isinstance(mean, Apply) and mean.op in ("mul", "div") and isinstance(mean.args[1], Const)):
        return False
    total, scale = mean.args[0], float(mean.args[1].value)
    count = 1 / scale if mean.op == "mul" and scale else scale
    step = known.get(total.buffer) if isinstance(total, Load) else None
    return (
        step is not None
        and step.kind == "sum"
        and step.over == phase.reduced
        and step.value == value
        and isclose(count, phase.depth, rel_tol=1e-6)
    )
