"""Sines and cosines of small arguments take a third of the instructions; whether a block has others is asked before its loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

from kerf.kernels.codegen.nest.fission import Part
from kerf.kernels.codegen.nest.sweep import cost
from kerf.kernels.ir import Apply, Const, DType, Expr, Load, apply, transform, walk

FURTHEST = 131072.0  # arguments of `kf_sin_near` and `kf_cos_near` are smaller
CHEAP = 8  # vector instructions for which an argument may be computed twice
_TURNS = ("sin", "cos")


def far(parts: Sequence[Part]) -> Expr | None:
    """Does any sine or cosine of these parts have an argument that is not small? As an expression over what other loops made; None where
    there is no such function, or its argument costs too much."""
    values = {p.name: p.value for p in parts}
    found = dict.fromkeys(_inlined(e.args[0], values) for p in parts for e in walk(p.value) if _turning(e))
    if not found or any(cost(x) > CHEAP for x in found) or any(map(_guarded, values.values())):
        return None
    small = [apply("lt", apply("abs", x), Const(FURTHEST, DType.F32)) for x in found]
    out = small[0]
    for test in small[1:]:
        out = apply("and", out, test)
    return apply("not", out)


def brought_near(part: Part) -> Part:
    return replace(part, value=_near(part.value))


def _near(value: Expr) -> Expr:
    if not isinstance(value, Apply):
        return value
    op = f"{value.op}_near" if _turning(value) else value.op
    return replace(value, op=op, args=tuple(map(_near, value.args)))


def _turning(e: Expr) -> TypeGuard[Apply]:
    return isinstance(e, Apply) and e.op in _TURNS and e.dtype is DType.F32


def _inlined(value: Expr, made: Mapping[str, Expr]) -> Expr:
    """`value` with what these parts make written out."""

    def leaf(e: Expr) -> Expr | None:
        return _inlined(made[e.buffer], made) if isinstance(e, Load) and e.buffer in made else None

    return transform(value, leaf)


def _guarded(value: Expr) -> bool:
    """Is such a function computed under a condition, or does it depend on what is read under one?"""
    selects = [e for e in walk(value) if isinstance(e, Apply) and e.op == "select"]
    within = [e for s in selects for a in s.args[1:] for e in walk(a)]
    return any(_turning(e) or isinstance(e, Load) for e in within)
