"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from kerf.kernels.ir import Const, Conv, DType, Expr, Pool, apply, const_index
from kerf.kernels.lower.joins import padded
from kerf.kernels.lower.layout import laid, runs_along
from kerf.kernels.lower.matmul import biased, contract
from kerf.kernels.lower.reductions import mean_of
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Value, stored
from kerf.kernels.lower.views import narrowed, permuted, view
from kerf.kernels.tensors import inverse

VECTOR = 16  # channels that fill the widest vector


def spread(value: Any, n: int, default: int = 0) -> tuple[int, ...]:
    """torch lets one number stand for all dimensions, and an empty list for the default."""
    given = [value] if isinstance(value, int) else list(value) if value is not None else []
    given = given or [default]
    return tuple(given) if len(given) == n else tuple(given) * n


def _batched(c: Context, x: Value, spatial: int) -> Value:
    return x if x.rank == spatial + 2 else c.reshape(x, (1, *x.shape))


def _convolve(
    c: Context, x: Value, weight: Value, bias: Value | None, stride: Any, padding: Any, dilation: Any, groups: int,
    transposed: bool = False, output_padding: Any = 0,
) -> Value:  # fmt: skip
    n = weight.rank - 2
    source = _batched(c, x, n)
    single = prod(weight.shape[2:]) == 1 and prod(spread(stride, n, 1)) == 1 and not any(spread(padding, n))
    if single and groups == 1 and not transposed and source.shape[1] > 1 and runs_along(c.builder, source, 1):
        return _across_channels(c, source, weight, bias)
    tiles = (
        tuple(weight.shape[2:]) == spread(stride, n, 1)
        and not any(spread(padding, n))
        and set(spread(dilation, n, 1)) == {1}
    )
    if tiles and groups == 1 and not transposed and source.shape[1] > 1 and runs_along(c.builder, source, 1):
        return _patches(c, source, weight, bias)
    shape = c.shape if len(c.shape) == n + 2 else (1, *c.shape)
    last = not transposed and _each_channel(c, source, weight, groups) and runs_along(c.builder, source, 1)
    order = (0, *range(2, n + 2), 1) if last else ()
    if last:
        source, shape = permuted(source, order), tuple(shape[d] for d in order)
    names = (c.builder.plain(source, "x"), c.builder.plain(weight, "weight"))
    bias_name = c.builder.plain(bias, "bias") if bias is not None else None
    out = c.builder.temp(shape, c.dtype)
    extra = spread(output_padding, n) if transposed else ()
    c.builder.ops.append(
        Conv(
            out,
            *names,
            bias_name,
            spread(stride, n, 1),
            spread(padding, n),
            spread(dilation, n, 1),
            groups,
            transposed,
            extra,
            last,
        )
    )
    return c.reshape(laid(out, order), c.shape) if last else stored(out, c.shape)


def _each_channel(c: Context, x: Value, weight: Value, groups: int) -> bool:
    """One filter a channel, and channels enough for vectors?"""
    return x.shape[1] == weight.shape[0] == groups >= VECTOR and c.dtype is DType.F32


def _across_channels(c: Context, x: Value, weight: Value, bias: Value | None) -> Value:
    """Filters of one value over channels that lie side by side: a product of matrices."""
    rows = permuted(x, (0, *range(2, x.rank), 1))
    return _product(c, rows, c.reshape(weight, weight.shape[:2]), bias)


def _patches(c: Context, x: Value, weight: Value, bias: Value | None) -> Value:
    """Filters that tile an image whose channels lie side by side: a product of the patches, as they lie, with the filters turned alike."""
    n, kernel, out = weight.rank - 2, weight.shape[2:], c.shape[len(c.shape) - weight.rank + 2 :]
    last = permuted(x, (0, *range(2, x.rank), 1))
    for d in range(n):
        last = narrowed(last, d + 1, 0, out[d] * kernel[d])
    cut = c.reshape(last, (x.shape[0], *(e for pair in zip(out, kernel) for e in pair), x.shape[1]))
    order = (0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
    depth = prod(kernel) * x.shape[1]
    rows = c.reshape(permuted(cut, order), (x.shape[0], *out, depth))
    filters = c.reshape(permuted(weight, (0, *range(2, n + 2), 1)), (weight.shape[0], depth))
    return _product(c, rows, filters, bias)


def _product(c: Context, rows: Value, filters: Value, bias: Value | None) -> Value:
    """Rows (N, *out, K) times filters (O, K), as (N, O, *out) that lies as (N, *out, O)."""
    places = "nhwd"[: rows.rank - 1]
    made = biased(c, contract(c, rows, filters, f"{places}k", "ok", f"{places}o"), bias)
    return c.reshape(permuted(made, inverse((0, *range(2, rows.rank), 1))), c.shape)


@lowers("conv1d", "conv2d", "conv3d")
def _conv(
    c: Context,
    x: Value,
    weight: Value,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    return _convolve(c, x, weight, bias, stride, padding, dilation, groups)


@lowers("conv1d.padding", "conv2d.padding", "conv3d.padding")
def _conv_named(
    c: Context,
    x: Value,
    weight: Value,
    bias: Any = None,
    stride: Any = 1,
    padding: str = "valid",
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    n = weight.rank - 2
    if padding == "valid":
        return _convolve(c, x, weight, bias, stride, 0, dilation, groups)
    totals = [d * (k - 1) for d, k in zip(spread(dilation, n, 1), weight.shape[2:])]
    if all(t % 2 == 0 for t in totals):
        return _convolve(c, x, weight, bias, stride, [t // 2 for t in totals], dilation, groups)
    pad = [p for t in reversed(totals) for p in (t // 2, t - t // 2)]  # the odd one goes behind, as in torch
    return _convolve(c, padded(c, x, pad, 0), weight, bias, stride, 0, dilation, groups)


@lowers("conv_transpose1d", "conv_transpose2d.input", "conv_transpose3d.input")
def _conv_transpose(
    c: Context,
    x: Value,
    weight: Value,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    return _convolve(c, x, weight, bias, stride, padding, dilation, groups, True, output_padding)


@lowers("convolution", "_convolution")
def _convolution(
    c: Context,
    x: Value,
    weight: Value,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> Value:
    return _convolve(c, x, weight, bias, stride, padding, dilation, groups, transposed, output_padding)


def _pool(
    c: Context, x: Value, kind: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False,
    include_pad: bool = True, divisor: int | None = None, with_indices: bool = False, n: int = 2,
) -> tuple[Value, Value | None]:  # fmt: skip
    size = spread(kernel, n)
    source = _batched(c, x, n)
    last = source.shape[1] > 1 and runs_along(c.builder, source, 1)
    order = (0, *range(2, n + 2), 1) if last else tuple(range(n + 2))
    name = c.builder.plain(permuted(source, order) if last else source, "x")
    batched = c.shape if len(c.shape) == n + 2 else (1, *c.shape)
    full = tuple(batched[d] for d in order)
    out = c.builder.temp(full, c.dtype)
    indices = c.builder.temp(full, DType.I64, "indices") if with_indices else None
    step = spread(stride, n) if stride not in (None, [], ()) else size
    c.builder.ops.append(
        Pool(
            out,
            name,
            kind,
            size,
            step,
            spread(padding, n),
            spread(dilation, n, 1),
            ceil_mode,
            include_pad,
            divisor,
            indices,
            last,
        )
    )
    made = [c.reshape(laid(b, order if last else ()), c.shape) for b in (out, indices) if b]
    return made[0], made[1] if with_indices else None


def _spatial(c: Context) -> int:
    return int(next(ch for ch in str(c.node.target) if ch.isdigit()))


@lowers("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(
    c: Context,
    x: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Value:
    return _pool(c, x, "max", kernel, stride, padding, dilation, ceil_mode, n=_spatial(c))[0]


@lowers("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def _max_pool_indices(
    c: Context,
    x: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    used = any("getitem" in str(u.target) and u.args[1] == 1 for u in c.node.users)
    return _pool(c, x, "max", kernel, stride, padding, dilation, ceil_mode, with_indices=used, n=_spatial(c))


@lowers("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(
    c: Context,
    x: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    include_pad: bool = True,
    divisor: int | None = None,
) -> Value:
    if not x.dtype.is_float:
        raise LookupError("averages of integers round down")
    return _pool(c, x, "avg", kernel, stride, padding, 1, ceil_mode, include_pad, divisor, n=_spatial(c))[0]


@lowers(
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
)
def _adaptive_avg(c: Context, x: Value, _size: Any) -> Value:
    n = _spatial(c)
    given, wanted = x.shape[-n:], c.shape[-n:]
    if prod(wanted) == 1:
        return c.converted(mean_of(c, x, range(x.rank - n, x.rank)), c.dtype)
    if all(i % o == 0 for i, o in zip(given, wanted)):
        size = [i // o for i, o in zip(given, wanted)]
        return _pool(c, x, "avg", size, size, 0, n=n)[0]
    return _uneven(c, x, n, "sum")


@lowers("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_max(c: Context, x: Value, _size: Any) -> tuple[Value, Any]:
    n = _spatial(c)
    if any("getitem" in str(u.target) and u.args[1] == 1 for u in c.node.users):
        raise LookupError("adaptive max pooling with indices")
    given, wanted = x.shape[-n:], c.shape[-n:]
    if prod(wanted) == 1:
        return c.builder.reduce("max", x, range(x.rank - n, x.rank), c.dtype, True), None
    if all(i % o == 0 for i, o in zip(given, wanted)):
        size = [i // o for i, o in zip(given, wanted)]
        return _pool(c, x, "max", size, size, 0, n=n)[0], None
    return _uneven(c, x, n, "max"), None


def _uneven(c: Context, x: Value, n: int, kind: str) -> Value:
    """Windows floor(i * in / out) to ceil((i + 1) * in / out), as a masked reduction over the largest window."""
    x = c.builder.reusable(x)
    lead, wanted = x.rank - n, c.shape[-n:]
    given = x.shape[-n:]
    widths = [max(-(-(i + 1) * a // b) - i * a // b for i in range(b)) for a, b in zip(given, wanted)]
    fill = Const(0.0 if kind == "sum" else float("-inf"), x.dtype.compute)

    def bounds(i: Expr, k: int) -> tuple[Expr, Expr]:
        a, b = const_index(given[k]), const_index(wanted[k])
        first = apply("floordiv", apply("mul", i, a), b)
        last = apply(
            "floordiv",
            apply("add", apply("mul", apply("add", i, const_index(1)), a), const_index(wanted[k] - 1)),
            b,
        )
        return first, last

    def at(index: Indices) -> Expr:
        outer, inner = index[lead : lead + n], index[lead + n :]
        places = [apply("add", bounds(i, k)[0], r) for k, (i, r) in enumerate(zip(outer, inner))]
        tests = [apply("lt", p, bounds(i, k)[1]) for k, (p, i) in enumerate(zip(places, outer))]
        cond = tests[0]
        for t in tests[1:]:
            cond = apply("and", cond, t)
        return apply("select", cond, x.at((*index[:lead], *places)), fill, dtype=fill.dtype)

    windows = Value((*c.shape, *widths), x.dtype, at)
    made = c.builder.reduce(kind, windows, range(len(c.shape), len(c.shape) + n), x.dtype.compute)
    if kind == "max":
        return made

    def mean(index: Indices) -> Expr:
        count: Expr = const_index(1)
        for k, i in enumerate(index[lead:]):
            first, last = bounds(i, k)
            count = apply("mul", count, apply("sub", last, first))
        return apply("div", made.at(index), cast(count, x.dtype.compute))

    return Value(c.shape, c.dtype, mean)


@lowers("im2col")
def _im2col(
    c: Context,
    x: Value,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value:
    kh, kw = kernel
    source = padded(c, _batched(c, x, 2), [padding[1], padding[1], padding[0], padding[0]], 0)
    oh, ow = ((source.shape[2 + d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in (0, 1))

    def where(i: Indices) -> Indices:
        def place(out: Expr, tap: Expr, d: int) -> Expr:
            return apply(
                "add", apply("mul", out, const_index(stride[d])), apply("mul", tap, const_index(dilation[d]))
            )

        return (i[0], i[1], place(i[4], i[2], 0), place(i[5], i[3], 1))

    windows = view(source, (*source.shape[:2], kh, kw, oh, ow), where)
    return c.reshape(windows, c.shape)
