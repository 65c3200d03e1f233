"""Elementwise ops: arithmetic, comparisons, conversions."""

from __future__ import annotations

from typing import Any

import torch

from kerf.kernels.ir import TRANSCENDENTAL, Const, DType, Expr, apply
from kerf.kernels.lower.registry import TORCH_DTYPES, Context, cast, dtype_of, lowers
from kerf.kernels.lower.values import Value, constant

_FLOAT_UNARY = [
    "sqrt",
    "rsqrt",
    *TRANSCENDENTAL,
]
_SAME_UNARY = ["neg", "abs", "floor", "ceil", "trunc", "round"]
_BINARY = {
    "sub": "sub",
    "mul": "mul",
    "multiply": "mul",
    "maximum": "max",
    "minimum": "min",
    "atan2": "atan2",
    "fmod": "fmod",
    "remainder": "mod",
    "floor_divide": "floordiv",
    "bitwise_and": "bitand",
    "bitwise_or": "bitor",
    "bitwise_xor": "bitxor",
}
_COMPARE = ["lt", "le", "gt", "ge", "eq", "ne"]


def num(value: float, like: Expr) -> Const:
    """A constant of the same type as `like`."""
    return Const(float(value) if like.dtype.is_float else value, like.dtype)


def _register_unary(op: str, name: str) -> None:
    @lowers(name)
    def lower(c: Context, x: Value) -> Value:
        if not c.dtype.is_float and op in ("floor", "ceil", "trunc", "round"):
            return x
        return c.pointwise(lambda e: apply(op, e), x)


def _register_binary(name: str, op: str) -> None:
    @lowers(f"{name}.Tensor", f"{name}.Scalar", name, f"{name}.Scalar_Tensor", f"{name}.Tensor_Scalar")
    def lower(c: Context, a: Any, b: Any, alpha: float = 1) -> Value:
        kind = _logical(op) if c.dtype is DType.BOOL else op
        if alpha != 1:
            return c.pointwise(lambda x, y: apply(kind, x, apply("mul", y, num(alpha, y))), a, b)
        return c.pointwise(lambda x, y: apply(kind, x, y), a, b)


def _logical(op: str) -> str:
    return {"bitand": "and", "bitor": "or", "bitxor": "xor", "mul": "and", "max": "or", "min": "and"}.get(
        op, op
    )


def _register_compare(op: str) -> None:
    @lowers(f"{op}.Tensor", f"{op}.Scalar")
    def lower(c: Context, a: Any, b: Any) -> Value:
        return c.pointwise(lambda x, y: apply(op, x, y), a, b, compute=promoted(a, b))


def _register_shift(op: str, *names: str) -> None:
    @lowers(
        *(
            f"{name}.{kind}"
            for name in names
            for kind in ("Tensor", "Scalar", "Tensor_Scalar", "Scalar_Tensor")
        )
    )
    def lower(c: Context, a: Any, b: Any) -> Value:
        """By as many bits as there are, or a negative number: nothing is left but the sign."""
        bits = 8 * c.dtype.bytes

        def one(x: Expr, n: Expr) -> Expr:
            if isinstance(n, Const) and 0 <= n.value < bits:
                return apply(op, x, n)
            most = num(bits - 1, n)
            inside = apply("and", apply("ge", n, num(0, n)), apply("le", n, most))
            gone = apply("shr", x, most) if op == "shr" and c.dtype is not DType.U8 else num(0, x)
            safe = choose(inside, n, num(0, n))
            return choose(inside, apply(op, x, safe), gone)

        return c.pointwise(one, a, b)


def promoted(*args: Any) -> DType:
    """torch's type promotion."""
    metas = [
        torch.empty((1,) * a.rank, dtype=TORCH_DTYPES[a.dtype], device="meta") if isinstance(a, Value) else a
        for a in args
    ]
    return dtype_of(torch.result_type(*metas))


for _name in _FLOAT_UNARY + _SAME_UNARY:
    _register_unary(_name, _name)
for _name, _op in {"reciprocal": "recip", "sign": "sign", "sgn": "sign", "square": "square"}.items():
    if _op != "square":
        _register_unary(_op, _name)
for _name, _op in _BINARY.items():
    _register_binary(_name, _op)
for _name in _COMPARE:
    _register_compare(_name)
_register_shift("shl", "bitwise_left_shift", "__lshift__")
_register_shift("shr", "bitwise_right_shift", "__rshift__")


@lowers("special_expit")
def _expit(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("sigmoid", e), x)


@lowers("square")
def _square(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("mul", e, e), x)


@lowers("add.Tensor", "add.Scalar")
def _add(c: Context, a: Any, b: Any, alpha: float = 1) -> Value:
    if c.dtype is DType.BOOL:
        return c.pointwise(lambda x, y: apply("or", x, y), a, b)
    if alpha == 1:
        return c.pointwise(lambda x, y: apply("add", x, y), a, b)
    return c.pointwise(lambda x, y: apply("add", x, apply("mul", y, num(alpha, y))), a, b)


@lowers("rsub.Scalar", "rsub.Tensor")
def _rsub(c: Context, a: Any, b: Any, alpha: float = 1) -> Value:
    return c.pointwise(
        lambda x, y: apply("sub", y, x if alpha == 1 else apply("mul", x, num(alpha, x))), a, b
    )


@lowers("div.Tensor", "div.Scalar", "true_divide.Tensor", "divide.Tensor")
def _div(c: Context, a: Any, b: Any) -> Value:
    return c.pointwise(lambda x, y: apply("div", x, y), a, b)


@lowers("div.Tensor_mode", "div.Scalar_mode")
def _div_mode(c: Context, a: Any, b: Any, rounding_mode: str | None = None) -> Value:
    if rounding_mode is None:
        return _div(c, a, b)
    if rounding_mode == "floor":
        return c.pointwise(lambda x, y: apply("floordiv", x, y), a, b)
    if c.dtype.is_float:
        return c.pointwise(lambda x, y: apply("trunc", apply("div", x, y)), a, b)
    return c.pointwise(lambda x, y: apply("div", x, y), a, b)


@lowers("pow.Tensor_Scalar")
def _pow_scalar(c: Context, x: Value, p: float) -> Value:
    return c.pointwise(lambda e: power(e, p), x)


def power(x: Expr, p: float) -> Expr:
    """x**p for a known p, with the small powers as products."""
    if p in (1, 2, 3, 4):
        square = apply("mul", x, x)
        return [x, square, apply("mul", square, x), apply("mul", square, square)][int(p) - 1]
    simple = {0: num(1, x), 0.5: apply("sqrt", x), -1: apply("recip", x), -0.5: apply("rsqrt", x)}
    return simple[p] if p in simple and x.dtype.is_float else apply("pow", x, num(p, x))


@lowers("pow.Tensor_Tensor", "pow.Scalar")
def _pow(c: Context, a: Any, b: Any) -> Value:
    return c.pointwise(lambda x, y: apply("pow", x, y), a, b)


@lowers("where.self", "where.ScalarSelf", "where.ScalarOther", "where.Scalar")
def _where(c: Context, cond: Value, a: Any, b: Any) -> Value:
    kind = c.dtype.compute
    args = [cond, c.value(a), c.value(b)]
    return c.builder.pointwise(
        lambda k, x, y: apply("select", truth(k), cast(x, kind), cast(y, kind), dtype=kind), args, c.dtype
    )


@lowers("masked_fill.Scalar", "masked_fill.Tensor")
def _masked_fill(c: Context, x: Value, mask: Value, value: Any) -> Value:
    return _where(c, mask, value, x)


def truth(x: Expr) -> Expr:
    return x if x.dtype is DType.BOOL else apply("ne", x, num(0, x))


@lowers("logical_and")
def _and(c: Context, a: Value, b: Value) -> Value:
    return c.builder.pointwise(lambda x, y: apply("and", truth(x), truth(y)), [a, b], DType.BOOL)


@lowers("logical_or")
def _or(c: Context, a: Value, b: Value) -> Value:
    return c.builder.pointwise(lambda x, y: apply("or", truth(x), truth(y)), [a, b], DType.BOOL)


@lowers("logical_xor")
def _xor(c: Context, a: Value, b: Value) -> Value:
    return c.builder.pointwise(lambda x, y: apply("xor", truth(x), truth(y)), [a, b], DType.BOOL)


@lowers("logical_not")
def _not(c: Context, x: Value) -> Value:
    return c.builder.pointwise(lambda e: apply("not", truth(e)), [x], DType.BOOL)


@lowers("bitwise_not")
def _bitnot(c: Context, x: Value) -> Value:
    return c.pointwise(lambda e: apply("not" if e.dtype is DType.BOOL else "bitnot", e), x)


@lowers("isnan")
def _isnan(c: Context, x: Value) -> Value:
    return (
        c.pointwise(lambda e: apply("isnan", e), x, compute=x.dtype)
        if x.dtype.is_float
        else constant(False, DType.BOOL, x.shape)
    )


@lowers("isinf")
def _isinf(c: Context, x: Value) -> Value:
    return (
        c.pointwise(lambda e: apply("isinf", e), x, compute=x.dtype)
        if x.dtype.is_float
        else constant(False, DType.BOOL, x.shape)
    )


@lowers("clamp", "clamp.Tensor", "hardtanh", "clip")
def _clamp(
    c: Context, x: Value, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None
) -> Value:
    if str(c.node.target).startswith("aten.hardtanh"):
        low, high = (-1.0 if low is None else low), (1.0 if high is None else high)
    low, high = (min if low is None else low), (max if high is None else high)
    if low is not None:
        x = c.pointwise(lambda e, lo: apply("max", e, lo), x, low)
    return c.pointwise(lambda e, hi: apply("min", e, hi), x, high) if high is not None else x


@lowers("clamp_min", "clamp_min.Tensor", "maximum", "max.other")
def _clamp_min(c: Context, x: Value, low: Any) -> Value:
    return c.pointwise(lambda e, lo: apply(_extreme("max", c), e, lo), x, low)


@lowers("clamp_max", "clamp_max.Tensor", "minimum", "min.other")
def _clamp_max(c: Context, x: Value, high: Any) -> Value:
    return c.pointwise(lambda e, hi: apply(_extreme("min", c), e, hi), x, high)


def _extreme(op: str, c: Context) -> str:
    return _logical(op) if c.dtype is DType.BOOL else op


@lowers(
    "_to_copy",
    "to.dtype",
    "to.dtype_layout",
    "to.device",
    "to.other",
    "type_as",
    "prims.convert_element_type.default",
)
def _convert(c: Context, x: Value, *_: Any, **__: Any) -> Value:
    return c.converted(x, c.dtype)


@lowers(
    "clone",
    "alias",
    "detach",
    "contiguous",
    "lift_fresh_copy",
    "lift_fresh",
    "detach_",
    "dropout_",
    "positive",
    "view_as_real_copy",
)
def _identity(c: Context, x: Value, *_: Any, **__: Any) -> Value:
    return x


@lowers("copy")
def _copy(c: Context, x: Value, source: Value, *_: Any) -> Value:
    return c.pointwise(lambda a, b: b, constant(0, c.dtype, x.shape), c.converted(source, c.dtype))


@lowers("addcmul")
def _addcmul(c: Context, x: Value, a: Value, b: Value, value: float = 1) -> Value:
    return c.pointwise(
        lambda e, p, q: apply("add", e, apply("mul", apply("mul", p, q), num(value, e))), x, a, b
    )


@lowers("addcdiv")
def _addcdiv(c: Context, x: Value, a: Value, b: Value, value: float = 1) -> Value:
    return c.pointwise(
        lambda e, p, q: apply("add", e, apply("mul", apply("div", p, q), num(value, e))), x, a, b
    )


@lowers("lerp.Scalar", "lerp.Tensor")
def _lerp(c: Context, a: Value, b: Value, weight: Any) -> Value:
    """From the end that is nearer: with a weight of 1 it is b to the last bit."""

    def one(x: Expr, y: Expr, w: Expr) -> Expr:
        way = apply("sub", y, x)
        near = apply("add", x, apply("mul", w, way))
        far = apply("sub", y, apply("mul", way, apply("sub", num(1, w), w)))
        if isinstance(w, Const):
            return near if abs(w.value) < 0.5 else far
        return choose(apply("lt", apply("abs", w), num(0.5, w)), near, far)

    return c.pointwise(one, a, b, weight)


@lowers("xlogy.Tensor", "xlogy.Scalar_Self", "xlogy.Scalar_Other")
def _xlogy(c: Context, a: Any, b: Any) -> Value:
    return c.pointwise(x_log_y, a, b)


def x_log_y(x: Expr, y: Expr) -> Expr:
    """x log y; 0 where x is, unless y is NaN."""
    zero = apply("eq", x, num(0, x))
    number = apply("not", apply("isnan", y))
    return choose(apply("and", zero, number), num(0, x), apply("mul", x, apply("log", y)))


def choose(cond: Expr, yes: Expr, no: Expr) -> Expr:
    return apply("select", cond, yes, no, dtype=no.dtype)
