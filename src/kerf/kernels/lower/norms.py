"""Softmax and the normalizations, as reductions and elementwise ops."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from kerf.kernels.ir import DType, Expr, apply, const_index
from kerf.kernels.lower.layout import runs_along
from kerf.kernels.lower.pointwise import num
from kerf.kernels.lower.reductions import extent, mean_of, scaled, squared_deviations, stat_type, total
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Value, broadcast
from kerf.kernels.lower.views import expanded, view


def _shifted(c: Context, x: Value, d: int) -> tuple[Value, Value, Value]:
    """(x stored where needed, its maximum, the sum of exp(x - maximum)) over dimension d."""
    x = c.builder.reusable(x)
    kind = stat_type(x.dtype)
    top = c.builder.reduce("max", x, [d], kind, True, "max")
    terms = c.pointwise(lambda e, m: apply("exp", apply("sub", e, m)), x, top, dtype=kind)
    return x, top, total(c, terms, [d], suffix="sum")


@lowers("softmax.int", "_softmax", "_safe_softmax")
def _softmax(c: Context, x: Value, dim: int, *_: Any, **__: Any) -> Value:
    x, top, added = _shifted(c, c.converted(x, c.dtype), dim % max(x.rank, 1)) if x.rank else (x, x, x)
    if not x.rank:
        return c.pointwise(lambda e: apply("exp", apply("sub", e, e)), x)
    return c.pointwise(
        lambda e, m, s: apply("mul", apply("exp", apply("sub", e, m)), apply("recip", s)), x, top, added
    )


@lowers("softmin.int")
def _softmin(c: Context, x: Value, dim: int, *_: Any) -> Value:
    return _softmax(c, c.pointwise(lambda e: apply("neg", e), x), dim)


@lowers("log_softmax.int", "_log_softmax")
def log_softmax(c: Context, x: Value, dim: int, *_: Any, **__: Any) -> Value:
    x, top, added = _shifted(c, x, dim % max(x.rank, 1))
    return c.pointwise(
        lambda e, m, s: apply("sub", apply("sub", e, m), apply("log", s)), x, top, added, dtype=x.dtype
    )


def affine_norm(e: Expr, mean: Expr, rstd: Expr, weight: Expr | None, bias: Expr | None) -> Expr:
    """(x - mean) * (rstd * weight) + bias: the factor does not vary along the normalized elements of a channel."""
    factor = rstd if weight is None else apply("mul", rstd, weight)
    out = apply("mul", apply("sub", e, mean), factor)
    return out if bias is None else apply("add", out, bias)


def normalized(
    c: Context, x: Value, dims: Sequence[int], eps: float, weight: Value | None, bias: Value | None
) -> tuple[Value, Value, Value, Value]:
    """(normalized x, mean, reciprocal standard deviation, sum of squared deviations) over `dims`; weight and bias
    broadcast against x."""
    mean = mean_of(c, x, dims)
    spread = squared_deviations(c, x, mean, dims)
    rstd = _rstd(c, spread, 1 / extent(x, dims), eps)
    return _apply_norm(c, x, mean, rstd, weight, bias), mean, rstd, spread


def _rstd(c: Context, spread: Value, factor: float, eps: float) -> Value:
    def one(e: Expr) -> Expr:
        variance = apply("mul", e, num(factor, e)) if factor != 1 else e
        return apply("rsqrt", apply("add", variance, num(eps, e)))

    return c.pointwise(one, spread, dtype=spread.dtype)


def _apply_norm(
    c: Context, x: Value, mean: Value, rstd: Value, weight: Value | None, bias: Value | None
) -> Value:
    extra = [v for v in (weight, bias) if v is not None]

    def one(e: Expr, m: Expr, r: Expr, *rest: Expr) -> Expr:
        found = iter(rest)
        w = next(found) if weight is not None else None
        return affine_norm(e, m, r, w, next(found) if bias is not None else None)

    return c.pointwise(one, x, mean, rstd, *extra, dtype=x.dtype, compute=stat_type(x.dtype))


@lowers("layer_norm", "native_layer_norm")
def _layer_norm(
    c: Context,
    x: Value,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    x = c.builder.reusable(x)
    dims = range(x.rank - len(shape), x.rank)
    out, mean, rstd = normalized(c, x, dims, eps, weight, bias)[:3]
    return (out, mean, rstd) if "native" in str(c.node.target) else out


@lowers("rms_norm", "_fused_rms_norm")
def _rms_norm(
    c: Context, x: Value, shape: Sequence[int], weight: Any = None, eps: float | None = None
) -> Any:
    x = c.builder.reusable(x)
    dims = range(x.rank - len(shape), x.rank)
    kind = stat_type(x.dtype)
    small = {DType.F64: 2.220446049250313e-16}.get(kind, 1.1920928955078125e-07) if eps is None else eps
    squares = c.pointwise(lambda e: apply("mul", e, e), x, dtype=kind)
    rstd = _rstd(c, total(c, squares, dims), 1 / extent(x, dims), small)
    args = [x, rstd] + ([weight] if weight is not None else [])

    def one(e: Expr, r: Expr, *w: Expr) -> Expr:
        out = apply("mul", e, r)
        return apply("mul", out, w[0]) if w else out

    out = c.pointwise(one, *args, dtype=x.dtype)
    return (out, rstd) if "_fused" in str(c.node.target) else out


def by_channel(c: Context, v: Value | None, rank: int) -> Value | None:
    """(C,) as (C, 1, ..., 1), for x of that rank with channels in dimension 1."""
    return None if v is None else c.reshape(v, (v.size,) + (1,) * (rank - 2))


@lowers("group_norm", "native_group_norm")
def _group_norm(c: Context, x: Value, *args: Any) -> Any:
    native = "native" in str(c.node.target)
    if native:
        weight, bias, _n, _c, _hw, groups, eps = args
    else:
        groups, weight, bias, eps = (*args, *(1, None, None, 1e-5)[len(args) :])[:4]
    x = c.builder.reusable(x)
    n, channels, *rest = x.shape
    size = channels // groups
    last = prod(rest) > 1 and runs_along(c.builder, x, 1)
    if last:  # the columns that lie side by side first, then the few of a group
        each = range(2, x.rank)
        sums = c.reshape(total(c, x, each, keepdim=False, suffix="channel"), (n, groups, size))
        mean = scaled(c, total(c, sums, [2], keepdim=False), 1 / max(size * prod(rest), 1))
        center = c.builder.realize(_of_channel(mean, x), "center")
        spread = squared_deviations(c, x, center, each, keepdim=False)
        spread = total(c, c.reshape(spread, (n, groups, size)), [2], keepdim=False, suffix="group")
    else:
        grouped = c.reshape(x, (n, groups, size, *rest))
        dims = range(2, grouped.rank)
        mean = mean_of(c, grouped, dims, keepdim=False)
        spread = squared_deviations(
            c, grouped, c.reshape(mean, (n, groups) + (1,) * len(dims)), dims, keepdim=False
        )
        center = _of_channel(mean, x)
    rstd = _rstd(c, spread, 1 / max(size * prod(rest), 1), eps)
    scale = _of_channel(rstd, x)
    if last:
        scale = c.builder.realize(scale, "scale")
    w, b = by_channel(c, weight, x.rank), by_channel(c, bias, x.rank)
    out = _apply_norm(c, x, center, scale, w, b)
    return (out, mean, rstd) if native else out


def _of_channel(statistic: Value, x: Value) -> Value:
    """A (N, G) statistic as (N, C, 1, ..., 1): channel i belongs to group i // (C / G)."""
    size = const_index(x.shape[1] // statistic.shape[1])
    shape = (*x.shape[:2],) + (1,) * (x.rank - 2)
    return view(statistic, shape, lambda index: (index[0], apply("floordiv", index[1], size)))


@lowers("instance_norm")
def _instance_norm(
    c: Context,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    use_input: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    x = c.builder.reusable(x)
    w, b = by_channel(c, weight, x.rank), by_channel(c, bias, x.rank)
    if not use_input:
        return _eval_norm(c, x, mean, var, w, b, eps)
    return normalized(c, x, range(2, x.rank), eps, w, b)[0]


def _eval_norm(
    c: Context, x: Value, mean: Value, var: Value, weight: Value | None, bias: Value | None, eps: float
) -> Value:
    m, v = by_channel(c, mean, x.rank), by_channel(c, var, x.rank)
    assert m is not None and v is not None
    return _apply_norm(c, x, m, _rstd(c, v, 1.0, eps), weight, bias)


def _batch_norm_training(
    c: Context, x: Value, weight: Any, bias: Any, momentum: float, eps: float
) -> tuple[Value, Value, Value, Value]:
    x = c.builder.reusable(x)
    dims = [d for d in range(x.rank) if d != 1]
    out, mean, rstd, spread = normalized(
        c, x, dims, eps, by_channel(c, weight, x.rank), by_channel(c, bias, x.rank)
    )
    flat = (x.shape[1],)
    n = extent(x, dims)
    return (
        out,
        c.reshape(mean, flat),
        c.reshape(rstd, flat),
        c.reshape(scaled(c, spread, 1 / max(n - 1, 1)), flat),
    )


def _moved(c: Context, old: Value, new: Value, momentum: float) -> Value:
    return c.pointwise(
        lambda o, x: apply("add", apply("mul", o, num(1 - momentum, o)), apply("mul", x, num(momentum, o))),
        old, new, dtype=old.dtype,
    )  # fmt: skip


@lowers("_native_batch_norm_legit_functional", "_batch_norm_with_update_functional")
def _batch_norm_functional(
    c: Context, x: Value, weight: Any, bias: Any, mean: Value, var: Value, *rest: Any
) -> tuple[Any, ...]:
    training, momentum, eps = (True, rest[0], rest[1]) if len(rest) == 2 else rest
    if not training:
        out = _eval_norm(c, x, mean, var, by_channel(c, weight, x.rank), by_channel(c, bias, x.rank), eps)
        return out, mean, var, mean, var
    out, batch_mean, rstd, unbiased = _batch_norm_training(c, x, weight, bias, momentum, eps)
    return out, batch_mean, rstd, _moved(c, mean, batch_mean, momentum), _moved(c, var, unbiased, momentum)


@lowers("_native_batch_norm_legit_no_training")
def _batch_norm_eval(
    c: Context, x: Value, weight: Any, bias: Any, mean: Value, var: Value, momentum: float, eps: float
) -> tuple[Any, ...]:
    out = _eval_norm(c, x, mean, var, by_channel(c, weight, x.rank), by_channel(c, bias, x.rank), eps)
    return out, None, None


@lowers("_native_batch_norm_legit.no_stats")
def _batch_norm_no_stats(
    c: Context, x: Value, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    return _batch_norm_training(c, x, weight, bias, momentum, eps)[:3]


@lowers("batch_norm")
def _batch_norm(
    c: Context,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    if not training:
        return _batch_norm_eval(c, x, weight, bias, mean, var, momentum, eps)[0]
    return _batch_norm_training(c, x, weight, bias, momentum, eps)[0]


@lowers("cosine_similarity")
def _cosine_similarity(c: Context, a: Value, b: Value, dim: int = 1, eps: float = 1e-8) -> Value:
    """a.b / (max(|a|, eps) max(|b|, eps)), as torch clamps each norm."""
    shape = broadcast(a.shape, b.shape)
    a, b = (expanded(c, c.builder.reusable(v), shape) for v in (a, b))
    d = [dim % len(shape)]
    dot, aa, bb = (
        _dot(c, *pair, d, name) for pair, name in (((a, b), "dot"), ((a, a), "aa"), ((b, b), "bb"))
    )

    def one(x: Expr, p: Expr, q: Expr) -> Expr:
        left, right = (apply("max", apply("sqrt", n), num(eps, n)) for n in (p, q))
        return apply("div", x, apply("mul", left, right))

    return c.pointwise(one, dot, aa, bb)


def _dot(c: Context, a: Value, b: Value, dims: Sequence[int], suffix: str) -> Value:
    product = c.pointwise(lambda x, y: apply("mul", x, y), a, b, dtype=stat_type(c.dtype))
    return total(c, product, dims, keepdim=False, suffix=suffix)
