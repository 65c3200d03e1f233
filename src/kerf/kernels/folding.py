"""Scalar expressions folded: constant arithmetic, neutral elements, and clamps that cannot bite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from kerf.kernels.ir import (
    Apply,
    Const,
    DType,
    Expr,
    Load,
    apply,
)


def folded(e: Expr) -> Expr:
    if isinstance(e, Load):
        return replace(e, index=tuple(folded(i) for i in e.index))
    if not isinstance(e, Apply):
        return e
    args = tuple(folded(a) for a in e.args)
    return _fold_one(apply(e.op, *args, dtype=e.dtype))


def _fold_one(e: Expr) -> Expr:
    if not isinstance(e, Apply) or e.dtype is DType.I64:
        return e
    for fold in (_fold_neutral, _fold_constants, _fold_select, _fold_clamp, _fold_cast):
        new = fold(e)
        if new is not None:
            return new
    return e


def _is(e: Expr, value: float) -> bool:
    return (
        isinstance(e, Const)
        and not isinstance(e.value, bool)
        and e.value == value
        and math.copysign(1, e.value) > 0
    )


def _fold_neutral(e: Apply) -> Expr | None:
    """x * 1, 1 * x, x / 1, x - 0, x ** 1, -(-x). Not x + 0, which makes -0 into 0, unless 0 is -0."""
    if e.op == "mul" and (_is(e.args[1], 1) or _is(e.args[0], 1)):
        return e.args[0] if _is(e.args[1], 1) else e.args[1]
    if e.op in ("div", "pow") and _is(e.args[1], 1):
        return e.args[0]
    if e.op in ("sub", "add") and _is(e.args[1], 0):
        return e.args[0]
    if e.op == "add" and _is(e.args[0], 0):
        return e.args[1]
    inner = e.args[0]
    return inner.args[0] if e.op == "neg" and isinstance(inner, Apply) and inner.op == "neg" else None


_SCALAR: Mapping[str, Callable[..., float]] = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "neg": lambda x: -x,
    "max": max, "min": min, "abs": abs,
}  # fmt: skip


def _fold_constants(e: Apply) -> Expr | None:
    """Arithmetic on constants, where the result is exact in the type or the type is wide."""
    if e.op not in _SCALAR or not e.dtype.is_float or not all(isinstance(a, Const) for a in e.args):
        return None
    values = [float(a.value) for a in e.args if isinstance(a, Const)]
    result = _SCALAR[e.op](*values) if all(map(math.isfinite, values)) else math.nan
    return Const(result, e.dtype) if math.isfinite(result) else None


def _fold_select(e: Apply) -> Expr | None:
    if e.op != "select":
        return None
    cond, a, b = e.args
    if isinstance(cond, Const):
        return a if cond.value else b
    return a if a == b else None


def _fold_cast(e: Apply) -> Expr | None:
    if e.op != "cast" or e.dtype in (DType.F16, DType.BF16):
        return None
    if isinstance(e.args[0], Const) and e.dtype.is_float:
        return Const(float(e.args[0].value), e.dtype)
    return e.args[0] if e.args[0].dtype is e.dtype else None


def _fold_clamp(e: Apply) -> Expr | None:
    """max(x, c) where x >= c always, min(x, c) where x <= c: the bounds come from other clamps and from functions."""
    if e.op not in ("max", "min") or not isinstance(e.args[1], Const) or not e.dtype.is_float:
        return None
    low, high = bounds(e.args[0])
    c = float(e.args[1].value)
    if (low >= c) if e.op == "max" else (high <= c):
        return e.args[0]
    return None


def bounds(e: Expr) -> tuple[float, float]:
    """An interval that holds every non-NaN value of e."""
    everything = (-math.inf, math.inf)
    if isinstance(e, Const):
        return (float(e.value), float(e.value)) if not math.isnan(float(e.value)) else everything
    if not isinstance(e, Apply):
        return everything
    known = {
        "sigmoid": (0.0, 1.0),
        "tanh": (-1.0, 1.0),
        "exp": (0.0, math.inf),
        "erf": (-1.0, 1.0),
        "sqrt": (0.0, math.inf),
    }
    if e.op in known:
        return known[e.op]
    if e.op == "abs":
        return 0.0, math.inf
    if e.op in ("max", "min"):
        (a, b), (c, d) = bounds(e.args[0]), bounds(e.args[1])
        return (max(a, c), max(b, d)) if e.op == "max" else (min(a, c), min(b, d))
    return everything
