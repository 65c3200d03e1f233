"""An average over the results of a convolution, taken before it or inside it: a convolution is linear, so that fewer of them are needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from math import prod

from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Conv,
    Expr,
    Index,
    Load,
    Op,
    Pool,
    Program,
    Reduce,
    Role,
    apply,
    const_index,
)

GAIN = 3  # times fewer products by which averaged filters pay: minimal filtering makes the others that much cheaper


def average_before_convolving(program: Program) -> Program | None:
    """avg(conv(x, w)) = conv(avg(x), w) where filters are single values; else conv(x, sums of shifted w) over every stride-th place, where
    that is much less work. Only where the convolution has no other reader."""
    for op in program.ops:
        conv = program.producer(op.x) if isinstance(op, Pool) else None
        if isinstance(op, Pool) and isinstance(conv, Conv) and _averages(program, op, conv):
            made = _pooled_first(program, op, conv) or _averaged_filters(program, op, conv)
            if made:
                ops = [o for o in program.ops if o is not conv]
                at = ops.index(op)
                return program.rewritten("average_before_convolving", (*ops[:at], *made, *ops[at + 1 :]))
    return None


def _averages(program: Program, pool: Pool, conv: Conv) -> bool:
    """Is `pool` a mean of as many results as its window has, and the only reader of `conv`?"""
    alone = conv.out.role is Role.TEMP and len(program.consumers(conv.out.name)) == 1
    plain = pool.kind == "avg" and pool.divisor is None and not (pool.channels_last or conv.channels_last)
    alone = alone and conv.out.name not in program.outputs
    return alone and plain and not any(pool.padding) and not conv.transposed and conv.out.dtype.is_float


def _pooled_first(program: Program, pool: Pool, conv: Conv) -> tuple[Op, ...] | None:
    """Filters of one value: the average goes first, over as many channels as come in."""
    x, weight = program.buffers[conv.x], program.buffers[conv.weight]
    single = prod(weight.shape[2:]) == 1 and prod(conv.stride) == 1 and not any(conv.padding)
    if not single or prod(pool.stride) == 1:
        return None
    shape = (*x.shape[:2], *pool.out.shape[2:])
    averages = Buffer(_fresh(program, pool), shape, pool.out.dtype)
    return replace(pool, out=averages, x=conv.x), replace(conv, out=pool.out, x=averages.name)


def _averaged_filters(program: Program, pool: Pool, conv: Conv) -> tuple[Op, ...] | None:
    """One convolution with larger filters and strides: as many of the results of the old one as a window has, averaged."""
    weight = program.buffers[conv.weight]
    sizes = weight.shape[2:]
    whole = tuple(s * (p - 1) + k for s, p, k in zip(conv.stride, pool.kernel, sizes))
    full = all((n - 1) * s + k <= m for n, s, k, m in zip(pool.out.shape[2:], pool.stride, pool.kernel, conv.out.shape[2:]))  # fmt: skip
    if prod(conv.dilation) > 1 or not full or GAIN * prod(whole) > prod(sizes) * prod(pool.stride):
        return None
    filters = Buffer(_fresh(program, pool), (*weight.shape[:2], *whole), weight.dtype)
    stride = tuple(a * b for a, b in zip(conv.stride, pool.stride))
    return _mean_of_shifts(filters, weight, conv.stride, pool.kernel), replace(
        conv, out=pool.out, weight=filters.name, stride=stride
    )


def _mean_of_shifts(out: Buffer, weight: Buffer, step: tuple[int, ...], window: tuple[int, ...]) -> Reduce:
    """out[o, c, u] = the mean over r in `window` of weight[o, c, u - step r], which is 0 outside of the filter."""
    axes = tuple(Axis(f"i{d}", n) for d, n in enumerate(out.shape))
    raxes = tuple(Axis(f"r{d}", n) for d, n in enumerate(window))
    places: list[Expr] = [Index("i0"), Index("i1")]
    tests: list[Expr] = []
    for d, (s, k) in enumerate(zip(step, weight.shape[2:])):
        place = apply("sub", Index(f"i{d + 2}"), apply("mul", Index(f"r{d}"), const_index(s)))
        tests += [apply("ge", place, const_index(0)), apply("lt", place, const_index(k))]
        places.append(place)
    inside = tests[0]
    for test in tests[1:]:
        inside = apply("and", inside, test)
    share = apply(
        "mul", Load(weight.name, tuple(places), weight.dtype), Const(1 / prod(window), weight.dtype)
    )
    value = apply("select", inside, share, Const(0.0, share.dtype), dtype=share.dtype)
    return Reduce(out, axes, raxes, "sum", value)


def _fresh(program: Program, pool: Pool) -> str:
    return next(name for n in count() if (name := f"{pool.out.name}_{n}") not in program.buffers)
