"""Sums, extremes, variances, norms of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Any

from kerf.kernels.ir import DType, Expr, apply
from kerf.kernels.lower.pointwise import num, power, truth
from kerf.kernels.lower.registry import Context, cast, lowers, normal_dims
from kerf.kernels.lower.values import Value, constant


def stat_type(dtype: DType) -> DType:
    """In which a statistic of values of `dtype` is kept."""
    return dtype.compute if dtype.is_float else DType.F32


def extent(x: Value, dims: Sequence[int]) -> int:
    return prod(x.shape[d] for d in dims)


def total(
    c: Context,
    x: Value,
    dims: Sequence[int],
    keepdim: bool = True,
    suffix: str = "sum",
    dtype: DType | None = None,
) -> Value:
    kind = dtype or stat_type(x.dtype)
    return c.builder.reduce(
        "sum", c.converted(x, kind) if not x.dtype.is_float else x, dims, kind, keepdim, suffix
    )


def scaled(c: Context, x: Value, factor: float, dtype: DType | None = None) -> Value:
    return (
        c.pointwise(lambda e: apply("mul", e, num(factor, e)), x, dtype=dtype or x.dtype)
        if factor != 1
        else x
    )


def mean_of(c: Context, x: Value, dims: Sequence[int], keepdim: bool = True) -> Value:
    return scaled(c, total(c, x, dims, keepdim, "sum"), 1 / max(extent(x, dims), 1))


def squared_deviations(c: Context, x: Value, mean: Value, dims: Sequence[int], keepdim: bool = True) -> Value:
    """sum((x - mean)^2): the second pass, which loses no digits where the mean is large."""
    kind = stat_type(x.dtype)

    def square(e: Expr, m: Expr) -> Expr:
        d = apply("sub", e, m)
        return apply("mul", d, d)

    return total(c, c.pointwise(square, x, mean, dtype=kind), dims, keepdim, "sqdev")


@lowers("sum", "sum.dim_IntList")
def _sum(c: Context, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> Value:
    where = normal_dims(dims, x.rank)
    return c.builder.reduce("sum", c.converted(x, c.dtype), where, c.dtype, keepdim)


@lowers("mean", "mean.dim")
def _mean(c: Context, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> Value:
    where = normal_dims(dims, x.rank)
    made = total(c, x, where, keepdim, dtype=c.dtype.compute)
    return scaled(c, made, 1 / max(extent(x, where), 1), c.dtype)


@lowers("prod", "prod.dim_int")
def _prod(c: Context, x: Value, dim: Any = None, keepdim: bool = False, **_: Any) -> Value:
    return c.builder.reduce("prod", c.converted(x, c.dtype), normal_dims(dim, x.rank), c.dtype, keepdim)


@lowers("amax", "amin", "max", "min")
def _extreme(c: Context, x: Value, dims: Any = None, keepdim: bool = False) -> Value:
    kind = "max" if "max" in str(c.node.target) else "min"
    return c.builder.reduce(kind, x, normal_dims(dims, x.rank), c.dtype, keepdim)


@lowers("max.dim", "min.dim")
def _extreme_dim(c: Context, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
    kind = "max" if "max" in str(c.node.target) else "min"
    dims = normal_dims(dim, x.rank)
    values = c.builder.reduce(kind, x, dims, x.dtype, keepdim)
    return values, c.builder.reduce(f"arg{kind}", x, dims, DType.I64, keepdim, "indices")


@lowers("aminmax")
def _aminmax(c: Context, x: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    dims = normal_dims(dim, x.rank)
    return tuple(c.builder.reduce(k, x, dims, x.dtype, keepdim, k) for k in ("min", "max"))  # type: ignore[return-value]


@lowers("argmax", "argmin")
def _arg(c: Context, x: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    kind = "argmax" if "argmax" in str(c.node.target) else "argmin"
    return c.builder.reduce(kind, x, normal_dims(dim, x.rank), DType.I64, keepdim)


@lowers("any", "any.dim", "any.dims", "all", "all.dim", "all.dims")
def _any_all(c: Context, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    kind = "any" if ".any" in str(c.node.target) else "all"
    test = c.builder.pointwise(truth, [x], DType.BOOL)
    made = c.builder.reduce(kind, test, normal_dims(dim, x.rank), DType.BOOL, keepdim)
    return c.converted(made, c.dtype)  # bytes stay bytes


@lowers("count_nonzero.dim_IntList", "count_nonzero")
def _count(c: Context, x: Value, dim: Any = None) -> Value:
    ones = c.builder.pointwise(lambda e: cast(truth(e), DType.I64), [x], DType.I64)
    return c.builder.reduce("sum", ones, normal_dims(dim, x.rank), DType.I64)


def _moments(c: Context, x: Value, args: Sequence[Any], options: dict[str, Any]) -> tuple[Value, Value]:
    """(variance, mean) for the three overloads of torch's var."""
    first = args[0] if args else options.get("dim")
    old_form = isinstance(first, bool)
    unbiased = first if old_form else (args[1] if len(args) > 1 else options.get("unbiased", True))
    dims = normal_dims(None if old_form else first, x.rank)
    keep = bool(args[2] if len(args) > 2 else options.get("keepdim", False))
    correction = options.get("correction")
    correction = (1 if unbiased else 0) if correction is None else correction
    x = c.builder.reusable(x)
    mean = mean_of(c, x, dims)
    spread = squared_deviations(c, x, mean, dims, keep)
    count = extent(x, dims) - correction
    shape = spread.shape
    return scaled(c, spread, 1 / count if count > 0 else inf), c.reshape(mean, shape)


@lowers("var", "var.dim", "var.correction")
def _var(c: Context, x: Value, *args: Any, **options: Any) -> Value:
    return c.converted(_moments(c, x, args, options)[0], c.dtype)


@lowers("std", "std.dim", "std.correction")
def _std(c: Context, x: Value, *args: Any, **options: Any) -> Value:
    return c.pointwise(lambda e: apply("sqrt", e), _moments(c, x, args, options)[0])


@lowers("var_mean", "var_mean.dim", "var_mean.correction")
def _var_mean(c: Context, x: Value, *args: Any, **options: Any) -> tuple[Value, Value]:
    variance, mean = _moments(c, x, args, options)
    return c.converted(variance, c.dtype), c.converted(mean, c.dtype)


@lowers(
    "linalg_vector_norm",
    "norm.ScalarOpt_dim",
    "norm.Scalar",
    "frobenius_norm.dim",
    "norm.ScalarOpt_dim_dtype",
)
def _vector_norm(c: Context, x: Value, *args: Any, dtype: Any = None) -> Value:
    if "frobenius" in str(c.node.target):
        args = (2, *args)
    order, dims, keepdim = (*args, *(2, None, False)[len(args) :])[:3]
    return vector_norm(c, x, 2 if order is None else order, normal_dims(dims, x.rank), bool(keepdim))


def vector_norm(c: Context, x: Value, order: float, dims: Sequence[int], keepdim: bool) -> Value:
    kind = c.dtype.compute
    size = c.pointwise(lambda e: apply("abs", e), x, dtype=kind)
    if abs(order) == inf:
        return c.converted(
            c.builder.reduce("max" if order > 0 else "min", size, dims, kind, keepdim), c.dtype
        )
    if order == 0:
        return _count_as_float(c, x, dims, keepdim)
    term = x if order == 2 else size
    powered = c.pointwise(lambda e: power(e, order), term, dtype=kind)
    made = total(c, powered, dims, keepdim, dtype=kind)
    return c.pointwise(lambda e: power(e, 1 / order), made) if order != 1 else c.converted(made, c.dtype)


def _count_as_float(c: Context, x: Value, dims: Sequence[int], keepdim: bool) -> Value:
    ones = c.builder.pointwise(lambda e: cast(truth(e), c.dtype.compute), [x], c.dtype.compute)
    return c.converted(total(c, ones, dims, keepdim), c.dtype)


@lowers("logsumexp")
def logsumexp(c: Context, x: Value, dims: Any, keepdim: bool = False) -> Value:
    where = normal_dims(dims, x.rank)
    x = c.builder.reusable(x)
    kind = stat_type(x.dtype)
    top = c.builder.reduce("max", x, where, kind, True, "max")
    # An infinite maximum would give inf - inf.
    safe = c.pointwise(
        lambda m: apply("select", apply("isinf", m), num(0, m), m, dtype=m.dtype), top, dtype=kind
    )
    terms = c.pointwise(lambda e, m: apply("exp", apply("sub", e, m)), x, safe, dtype=kind)
    added = total(c, terms, where, True)
    out = c.pointwise(lambda s, m: apply("add", apply("log", s), m), added, safe)
    return out if keepdim else c.reshape(out, c.shape)


@lowers("trace")
def _trace(c: Context, x: Value) -> Value:
    n = min(x.shape)
    diagonal = Value((n,), x.dtype, lambda index: x.at((index[0], index[0])))
    return c.builder.reduce("sum", c.converted(diagonal, c.dtype), [0], c.dtype)


def averaged(c: Context, x: Value, reduction: int) -> Value:
    """A loss over all of x: torch's codes 0 none, 1 mean, 2 sum."""
    if reduction == 0:
        return c.converted(x, c.dtype)
    made = total(c, x, range(x.rank), keepdim=False)
    return scaled(c, made, 1 / max(x.size, 1) if reduction == 1 else 1.0, c.dtype)


def zero_like(x: Value) -> Value:
    return constant(0, x.dtype, x.shape)
