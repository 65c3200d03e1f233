"""Cheaper forms of scalar expressions, chosen as they are written as C: the same values to within a few units in the last place.

They use helpers of `mathlib.h` that are no ops of the IR, so nothing may transform an expression afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TypeGuard

from kerf.kernels.ir import Apply, Const, DType, Expr, Load

LINEAR_FROM = 14.0  # softplus(x) is x in float32 from about here on (e^-14 / 14 < 2^-24)
ONE = Const(1.0, DType.F32)


@lru_cache(maxsize=4096)
def cheaper(expr: Expr) -> Expr:
    """`expr` with softplus, mish, clamps, quotients written as exp(-log1p(y)), and products with sigmoids or 1 + tanh in closed form,
    from the leaves up."""
    if not isinstance(expr, Apply):
        return expr
    args = tuple(cheaper(a) for a in expr.args)
    node = expr if args == expr.args else replace(expr, args=args)
    if node.dtype is not DType.F32:
        return node
    return _softplus(node) or _bounded(node) or _gated(node) or _over_exp(node) or _clipped(node) or node


def flushed(expr: Expr, form: Callable[[Expr], str | None]) -> Expr:
    """`expr` with exp replaced where `form` of its argument names a form that flushes subnormal results to zero: weights beside a
    weight of 1, where less than 2^-125 is nothing."""
    if not isinstance(expr, Apply):
        return expr
    args = tuple(flushed(a, form) for a in expr.args)
    known = form(expr.args[0]) if expr.op == "exp" and expr.dtype is DType.F32 else None
    op = known or expr.op
    return expr if op == expr.op and args == expr.args else replace(expr, op=op, args=args)


def _softplus(node: Apply) -> Expr | None:
    """log(1 + e^s) where s is small, s itself beyond: one expression for both, without overflow."""
    if node.op != "select":
        return None
    test, far, near = node.args
    if not (isinstance(test, Apply) and test.op == "gt" and _at_least(test.args[1], LINEAR_FROM)):
        return None
    s = test.args[0]
    soft = Apply("log1p", (Apply("exp", (s,), DType.F32),), DType.F32)
    if near == soft and far == s:
        return Apply("softplus", (s,), DType.F32)
    scaled = near.args if isinstance(near, Apply) and near.op == "mul" else ()
    if (
        scaled
        and scaled[0] == soft
        and isinstance(scaled[1], Const)
        and _product(s, far, 1.0 / float(scaled[1].value))
    ):
        return Apply("mul", (Apply("softplus", (s,), DType.F32), scaled[1]), DType.F32)
    return None


def _product(value: Expr, x: Expr, factor: float) -> bool:
    if not (isinstance(value, Apply) and value.op == "mul" and value.args[0] == x):
        return False
    k = value.args[1]
    return isinstance(k, Const) and abs(float(k.value) - factor) <= 1e-6 * abs(factor)


def _bounded(node: Apply) -> Expr | None:
    inner = node.args[0]
    if node.op == "tanh" and isinstance(inner, Apply) and inner.op == "softplus":
        return Apply("tanh_softplus", inner.args, DType.F32)
    if node.op != "exp" or not isinstance(inner, Apply) or inner.op != "neg":
        return None
    log = inner.args[0]
    if isinstance(log, Apply) and log.op == "log1p" and _not_negative(log.args[0]):
        return Apply("recip", (Apply("add", (log.args[0], ONE), DType.F32),), DType.F32)
    return None


def _gated(node: Apply) -> Expr | None:
    """a sigmoid(x) = a / (1 + e^-x), and a (1 + tanh(u)) = 2 a / (1 + e^-2u): a division takes the place of one, and of an expm1."""
    if node.op != "mul":
        return None
    for a, gate in (node.args, node.args[::-1]):
        if isinstance(gate, Apply) and gate.op == "sigmoid":
            return _logistic(a, Apply("neg", gate.args, DType.F32))
        if isinstance(gate, Apply) and gate.op == "add" and gate.args[1] == ONE and _is(gate.args[0], "tanh"):
            return _logistic(_scaled(a, 2.0), _scaled(gate.args[0].args[0], -2.0))
    return None


def _logistic(a: Expr, exponent: Expr) -> Expr:
    power = Apply("exp_flush", (exponent,), DType.F32)
    return Apply("div", (a, Apply("add", (power, ONE), DType.F32)), DType.F32)


def _over_exp(node: Apply) -> Expr | None:
    """Beside a 1 below a fraction, results of exp below 2^-125 are nothing."""
    below = node.args[-1]
    if node.op not in ("div", "recip") or not _is(below, "add") or ONE not in below.args:
        return None
    power = next((a for a in below.args if _is(a, "exp")), None)
    if power is None:
        return None
    flush = replace(power, op="exp_flush")
    return replace(node, args=(*node.args[:-1], replace(below, args=(flush, ONE))))


def _clipped(node: Apply) -> Expr | None:
    """min(max(x, low), high) and each alone by one instruction a bound, where compilers turn constants into two."""
    if node.op not in ("max", "min"):
        return None
    x, bound = node.args[0], _number(node.args[1])
    if bound is None:
        return None
    inner = x.args if _is(x, "at_least") and node.op == "min" else None
    if inner:
        return Apply("clip", (*inner, node.args[1]), DType.F32)
    return Apply("at_least" if node.op == "max" else "at_most", node.args, DType.F32)


def _number(value: Expr) -> float | None:
    """The finite constant that `value` is."""
    return float(value.value) if isinstance(value, Const) and math.isfinite(value.value) else None


def _scaled(value: Expr, factor: float) -> Expr:
    """`value` times a power of two, inside a constant factor where it has one."""
    if _is(value, "mul") and isinstance(value.args[1], Const):
        x, factor = value.args[0], factor * float(value.args[1].value)
        return x if factor == 1.0 else Apply("mul", (x, Const(factor, DType.F32)), DType.F32)
    return Apply("mul", (value, Const(factor, DType.F32)), DType.F32)


def _is(value: Expr, op: str) -> TypeGuard[Apply]:
    return isinstance(value, Apply) and value.op == op


def _at_least(value: Expr, bound: float) -> bool:
    return isinstance(value, Const) and float(value.value) >= bound


def _not_negative(value: Expr) -> bool:
    """Known to be at least zero (or NaN)."""
    if isinstance(value, Const | Load) or not isinstance(value, Apply):
        return _at_least(value, 0.0)
    if value.op in ("exp", "exp2", "sigmoid", "softplus", "abs", "sqrt"):
        return True
    if value.op == "mul":
        return value.args[0] == value.args[1] or all(_not_negative(a) for a in value.args)
    if value.op in ("max", "at_least"):
        return any(_not_negative(a) for a in value.args)
    if value.op == "clip":
        x, low, high = value.args
        return (_not_negative(x) or _not_negative(low)) and _not_negative(high)
    return value.op in ("add", "min", "at_most") and all(_not_negative(a) for a in value.args)
