"""Running sums, products and extremes."""

from __future__ import annotations

from typing import Any

from kerf.kernels.ir import DType, Expr, Scan, apply, const_index
from kerf.kernels.lower.layout import laid, source_order
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Indices, Value, axes_of, constant, probe, stored
from kerf.kernels.lower.views import flip, permuted


def scan(c: Context, kind: str, x: Value, dim: int) -> Value:
    """A scan along `dim`, in the order of memory where it is only returned (other readers go along their own). Over a flipped value it
    is the reverse scan of the original, flipped: flipping that again, as people do to write a reverse scan, then costs nothing."""
    if not x.rank:
        return x
    d = dim % x.rank
    turned = x.flipped if x.flipped is not None and x.flipped[1] == d else None
    source = turned[0] if turned else x
    value = c.converted(source, c.dtype)
    order = source_order(c.builder, value) if all(u.op == "output" for u in c.node.users) else ()
    lying = permuted(value, order) if order else value
    axis = f"i{order.index(d) if order else d}"
    out = c.builder.temp(lying.shape, c.dtype)
    expr = lying.at(probe(x.rank))
    c.builder.ops.append(Scan(out, axes_of(lying.shape), axis, kind, expr, reverse=turned is not None))
    return flip(c, laid(out, order), [d]) if turned else laid(out, order)


@lowers("cumsum")
def _cumsum(c: Context, x: Value, dim: int, **_: Any) -> Value:
    return scan(c, "sum", x, dim)


@lowers("cumprod")
def _cumprod(c: Context, x: Value, dim: int, **_: Any) -> Value:
    return scan(c, "prod", x, dim)


@lowers("cummax", "cummin")
def _cumulative_extreme(c: Context, x: Value, dim: int) -> tuple[Value, Value]:
    """The running extreme, and where it was last met: an index moves on wherever the value there is the extreme so far
    (or NaN), so it is a running maximum of positions."""
    kind = "max" if "cummax" in str(c.node.target) else "min"
    x = c.builder.reusable(x)
    values = scan(c, kind, x, dim)
    if not x.rank:
        return values, constant(0, DType.I64)
    d = dim % x.rank

    def position(index: Indices) -> Expr:
        here = x.at(index)
        met = apply("eq", here, values.at(index))
        met = apply("or", met, apply("isnan", here)) if here.dtype.is_float else met
        return apply("select", met, index[d], const_index(0), dtype=DType.I64)

    out = c.builder.temp(x.shape, DType.I64, "indices")
    c.builder.ops.append(Scan(out, axes_of(x.shape), f"i{d}", "max", position(probe(x.rank))))
    return values, stored(out)


@lowers("logcumsumexp")
def _logcumsumexp(c: Context, x: Value, dim: int) -> Value:
    return scan(c, "logsumexp", x, dim)
