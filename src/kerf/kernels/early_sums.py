"""A sum over the results of a matrix product, taken before the product: as many times less work as it sums."""

from __future__ import annotations

from itertools import count

from kerf.kernels.ir import (
    Apply,
    Axis,
    Buffer,
    Const,
    Contract,
    Expr,
    Index,
    Load,
    Map,
    Op,
    Program,
    Reduce,
    Role,
    apply,
    rename_axes,
    walk,
)


def sum_before_contracting(program: Program) -> Program | None:
    """sum_n (sum_k x[m,k] w[n,k] + rest[n]) = sum_k x[m,k] (sum_n w[n,k]) + sum_n rest[n]: N times less work. Only where the
    product has no other reader."""
    for k, op in enumerate(program.ops):
        if isinstance(op, Reduce) and op.kind == "sum" and op.out.dtype.is_float:
            made = _summed_early(program, op)
            if made is not None:
                return program.rewritten("sum_before_contracting", _without_product(program, k, made, op))
    return None


def _without_product(program: Program, k: int, made: tuple[Op, ...], op: Reduce) -> tuple[Op, ...]:
    from kerf.kernels.lower import live

    return live((*program.ops[:k], *made, *program.ops[k + 1 :]), {*program.outputs, *program.updates})


def _summed_early(program: Program, op: Reduce) -> tuple[Op, ...] | None:
    for load in dict.fromkeys(e for e in walk(op.value) if isinstance(e, Load)):
        product = program.producer(load.buffer)
        if not isinstance(product, Contract) or product.out.role is not Role.TEMP:
            continue
        if len(program.consumers(load.buffer)) != 1:
            continue
        split = _split_linear(op.value, load)
        if split is not None and _plain_index(load, op):
            return _rewrite_sum(program, op, product, load, *split)
    return None


def _plain_index(load: Load, op: Reduce) -> bool:
    names = [i.axis for i in load.index if isinstance(i, Index)]
    reduced = {a.name for a in op.raxes}
    return len(names) == len(load.index) == len(set(names)) and reduced <= set(names)


def _split_linear(e: Expr, load: Load) -> tuple[float, Expr | None] | None:
    """(a, rest) with e = a * load + rest, rest free of the load and None when zero."""
    if e == load:
        return 1.0, None
    if not isinstance(e, Apply) or load not in walk(e):
        return None
    x = e.args[0]
    if e.op == "neg":
        return _scaled_split(_split_linear(x, load), -1.0)
    y = e.args[1] if len(e.args) > 1 else x
    if e.op in ("mul", "div") and isinstance(y, Const) and float(y.value) != 0:
        return _scaled_split(_split_linear(x, load), float(y.value) if e.op == "mul" else 1 / float(y.value))
    if e.op == "mul" and isinstance(x, Const):
        return _scaled_split(_split_linear(y, load), float(x.value))
    if e.op == "add":
        mine, other = (x, y) if load in walk(x) else (y, x)
        return _plus(_split_linear(mine, load), other) if load not in walk(other) else None
    if e.op == "sub" and load not in walk(y):
        return _plus(_split_linear(x, load), apply("neg", y))
    return None


def _scaled_split(split: tuple[float, Expr | None] | None, factor: float) -> tuple[float, Expr | None] | None:
    if split is None:
        return None
    scale, rest = split
    return scale * factor, None if rest is None else apply("mul", rest, Const(factor, rest.dtype))


def _plus(split: tuple[float, Expr | None] | None, other: Expr) -> tuple[float, Expr | None] | None:
    if split is None:
        return None
    return split[0], other if split[1] is None else apply("add", split[1], other)


def _rewrite_sum(
    program: Program, op: Reduce, product: Contract, load: Load, scale: float, rest: Expr | None
) -> tuple[Op, ...] | None:
    """The reduced axes of the product must all belong to one of its sides."""
    place = {i.axis: a.name for i, a in zip(load.index, product.axes) if isinstance(i, Index)}
    gone = {place[a.name] for a in op.raxes}
    sides = [{x.axis for x in walk(s) if isinstance(x, Index)} for s in (product.lhs, product.rhs)]
    side = (
        0
        if gone <= sides[0] and not gone & sides[1]
        else 1
        if gone <= sides[1] and not gone & sides[0]
        else None
    )
    if side is None:
        return None
    fresh = (f"{op.out.name}_{n}" for n in count() if f"{op.out.name}_{n}" not in program.buffers)
    summed, weights = _sum_side(product, side, gone, sides[side], next(fresh))
    both = [product.lhs, product.rhs]
    both[side] = weights
    axes = tuple(a for a in product.axes if a.name not in gone)
    dot = Buffer(next(fresh), tuple(a.extent for a in axes), op.out.dtype.compute)
    small = Contract(dot, axes, product.raxes, both[0], both[1])
    back = {b: a for a, b in place.items()}
    value: Expr = Load(dot.name, tuple(Index(back[a.name]) for a in axes), dot.dtype)
    value = value if scale == 1 else apply("mul", value, Const(scale, value.dtype))
    if rest is None:
        return summed, small, Map(op.out, op.axes, value)
    others = Buffer(next(fresh), op.out.shape, op.out.dtype.compute)
    tail = Load(others.name, tuple(Index(a.name) for a in op.axes), others.dtype)
    return (
        summed,
        small,
        Reduce(others, op.axes, op.raxes, "sum", rest),
        Map(op.out, op.axes, apply("add", value, tail)),
    )


def _sum_side(product: Contract, side: int, gone: set[str], used: set[str], name: str) -> tuple[Reduce, Load]:
    """The side summed over `gone`, as a buffer over its other axes."""
    names: dict[str, Expr] = {}
    axes: list[Axis] = []
    raxes: list[Axis] = []
    index: list[Expr] = []
    for a in (*product.axes, *product.raxes):
        if a.name not in used:
            continue
        into, letter = (raxes, "r") if a.name in gone else (axes, "i")
        into.append(Axis(f"{letter}{len(into)}", a.extent))
        names[a.name] = Index(into[-1].name)
        if a.name not in gone:
            index.append(Index(a.name))
    value = rename_axes((product.lhs, product.rhs)[side], names)
    out = Buffer(name, tuple(a.extent for a in axes), value.dtype)
    return Reduce(out, tuple(axes), tuple(raxes), "sum", value), Load(name, tuple(index), value.dtype)
