"""Activations, written as torch defines them (torch.nn.functional's documentation)."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from kerf.kernels.ir import Expr, apply
from kerf.kernels.lower.pointwise import choose, num
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Value, constant


def add(x: Expr, y: Expr | float) -> Expr:
    return apply("add", x, num(y, x) if isinstance(y, float | int) else y)


def mul(x: Expr, y: Expr | float) -> Expr:
    return apply("mul", x, num(y, x) if isinstance(y, float | int) else y)


def positive(x: Expr) -> Expr:
    return apply("gt", x, num(0, x))


def between(x: Expr, low: float, high: float) -> Expr:
    return apply("min", apply("max", x, num(low, x)), num(high, x))


def softplus(x: Expr, beta: float = 1.0, threshold: float = 20.0) -> Expr:
    scaled = mul(x, beta) if beta != 1 else x
    soft = apply("log1p", apply("exp", scaled))
    return choose(apply("gt", scaled, num(threshold, x)), x, mul(soft, 1 / beta) if beta != 1 else soft)


def gelu(x: Expr, approximate: str) -> Expr:
    if approximate == "tanh":
        cubic = add(x, mul(mul(mul(x, x), x), 0.044715))
        return mul(mul(x, 0.5), add(apply("tanh", mul(cubic, sqrt(2 / pi))), 1.0))
    return mul(mul(x, 0.5), add(apply("erf", mul(x, sqrt(0.5))), 1.0))


@lowers("relu")
def _relu(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("max", e, num(0, e)), x)


@lowers("relu6")
def _relu6(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: between(e, 0, 6), x)


@lowers("leaky_relu")
def _leaky_relu(c: Context, x: Value, slope: float = 0.01) -> Value:
    return c.pointwise(lambda e: choose(positive(e), e, mul(e, slope)), x)


@lowers("prelu", "_prelu_kernel")
def _prelu(c: Context, x: Value, weight: Value) -> Value:
    if weight.rank == 1 and x.rank > 1:
        weight = c.reshape(weight, (weight.size,) + (1,) * (x.rank - 2))
    return c.pointwise(lambda e, w: choose(positive(e), e, apply("mul", e, w)), x, weight)


@lowers("elu")
def _elu(c: Context, x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    return c.pointwise(
        lambda e: choose(positive(e), mul(e, scale), mul(apply("expm1", mul(e, input_scale)), alpha * scale)),
        x,
    )


@lowers("selu")
def _selu(c: Context, x: Value) -> Value:
    return _elu(c, x, 1.6732632423543772, 1.0507009873554805)


@lowers("celu")
def _celu(c: Context, x: Value, alpha: float = 1.0) -> Value:
    return _elu(c, x, alpha, 1.0, 1.0 / alpha)


@lowers("gelu")
def _gelu(c: Context, x: Value, approximate: str = "none") -> Value:
    return c.pointwise(lambda e: gelu(e, approximate), x)


@lowers("silu")
def _silu(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("mul", e, apply("sigmoid", e)), x)


@lowers("mish")
def _mish(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("mul", e, apply("tanh", softplus(e))), x)


@lowers("softplus")
def _softplus(c: Context, x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    return c.pointwise(lambda e: softplus(e, beta, threshold), x)


@lowers("log_sigmoid")
def _log_sigmoid(c: Context, x: Value) -> Value:
    def stable(e: Expr) -> Expr:
        tail = apply("log1p", apply("exp", apply("neg", apply("abs", e))))
        return apply("sub", apply("min", e, num(0, e)), tail)

    return c.pointwise(stable, x)


@lowers("hardswish")
def _hardswish(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: mul(apply("mul", e, between(add(e, 3.0), 0, 6)), 1 / 6), x)


@lowers("hardsigmoid")
def _hardsigmoid(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: mul(between(add(e, 3.0), 0, 6), 1 / 6), x)


@lowers("hardshrink")
def _hardshrink(c: Context, x: Value, lambd: float = 0.5) -> Value:
    return c.pointwise(lambda e: choose(apply("le", apply("abs", e), num(lambd, e)), num(0, e), e), x)


@lowers("softshrink")
def _softshrink(c: Context, x: Value, lambd: float = 0.5) -> Value:
    def shrink(e: Expr) -> Expr:
        low = choose(apply("lt", e, num(-lambd, e)), add(e, lambd), mul(e, 0.0))
        return choose(apply("gt", e, num(lambd, e)), add(e, -lambd), low)

    return c.pointwise(shrink, x)


@lowers("threshold")
def _threshold(c: Context, x: Value, threshold: float, value: float) -> Value:
    return c.pointwise(lambda e: choose(apply("le", e, num(threshold, e)), num(value, e), e), x)


@lowers("dropout", "feature_dropout", "alpha_dropout")
def _dropout(c: Context, x: Value, p: float, train: bool) -> Value:
    """Only reached where it does nothing, or zeroes everything: capture refuses random dropout."""
    return constant(0, x.dtype, x.shape) if train and p == 1 else x


@lowers("native_dropout")
def _native_dropout(c: Context, x: Value, p: float, train: bool | None) -> Any:
    ones = c.outs[1]
    return _dropout(c, x, p, bool(train)), constant(not (train and p == 1), ones[1], ones[0])
