"""Algebraic rewrites of a Program.

A rule is a named function from a Program to a better one, or None where it finds nothing. `simplify` applies rules
until none finds anything; each application is proved on random instances (proof.py) before it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from kerf.kernels.ir import (
    Affine,
    Apply,
    Axis,
    Buffer,
    Const,
    Contract,
    DType,
    Expr,
    Index,
    Load,
    Map,
    Op,
    Program,
    Recurrence,
    Reduce,
    Role,
    Scan,
    apply,
    const_index,
    exprs_of,
    linear,
    reads_of,
    rename_axes,
    transform,
    values_of,
    walk,
)
from kerf.kernels.lower.values import expression_cost, is_affine_reshape, reindex
from kerf.kernels.proof import equivalent
from kerf.kernels.reroll import reroll

Rule = Callable[[Program], Program | None]


def simplify(program: Program, rules: tuple[Rule, ...] | None = None) -> Program:
    """Apply the rules to a fixed point. The result's parents are the programs before each step."""
    refused: set[tuple[str, tuple[Op, ...]]] = set()
    before = None
    while before is not program:
        before = program
        for rule in RULES if rules is None else rules:
            program = _exhausted(rule, program, refused)
    return program


def _exhausted(rule: Rule, program: Program, refused: set[tuple[str, tuple[Op, ...]]]) -> Program:
    """The program after one rule, as often as it finds something that can be proved."""
    while (new := rule(program)) is not None and (rule.__name__, new.ops) not in refused:
        if equivalent(program, new):
            program = new
        else:
            refused.add((rule.__name__, new.ops))
    return program


# ---------------------------------------------------------------- scalar expressions


def fold_expressions(program: Program) -> Program | None:
    """Constant arithmetic, neutral elements, and clamps that cannot bite."""
    return _with_expressions(program, "fold_expressions", folded)


def _with_expressions(program: Program, step: str, change: Callable[[Expr], Expr]) -> Program | None:
    ops = tuple(_changed(op, change) for op in program.ops)
    return program.rewritten(step, ops) if ops != program.ops else None


def _changed(op: Op, change: Callable[[Expr], Expr]) -> Op:
    if isinstance(op, Contract):
        return replace(op, lhs=change(op.lhs), rhs=change(op.rhs))
    if isinstance(op, Recurrence):
        return op.mapped(change)
    return replace(op, value=change(op.value)) if isinstance(op, Map | Reduce | Scan) else op


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


# ---------------------------------------------------------------- ops


def drop_dead_ops(program: Program) -> Program | None:
    """Ops whose results nobody reads."""
    from kerf.kernels.lower import live

    ops = live(program.ops, {*program.outputs, *program.updates})
    return program.rewritten("drop_dead_ops", ops) if len(ops) < len(program.ops) else None


def merge_equal_ops(program: Program) -> Program | None:
    """Common subexpressions: of two loop ops that compute the same, the first serves for both."""
    seen: dict[Op, Buffer] = {}
    for op in program.ops:
        if not isinstance(op, Map | Reduce | Scan | Contract):
            continue
        anonymous = replace(op, out=Buffer("", op.out.shape, op.out.dtype))
        if anonymous in seen and op.out.role is Role.TEMP:
            kept = tuple(o for o in program.ops if o is not op)
            return program.rewritten("merge_equal_ops", _redirected(kept, op.out, seen[anonymous]))
        seen.setdefault(anonymous, op.out)
    return None


def _redirected(ops: tuple[Op, ...], old: Buffer, new: Buffer) -> tuple[Op, ...]:
    """Read `new` wherever `old` was read. Ops that name whole buffers are renamed too."""

    def load(e: Expr) -> Expr | None:
        if isinstance(e, Load) and e.buffer == old.name:
            return Load(new.name, tuple(transform(i, load) for i in e.index), e.dtype)
        return None

    return tuple(_renamed(_changed(op, lambda e: transform(e, load)), old.name, new.name) for op in ops)


def _renamed(op: Op, old: str, new: str) -> Op:
    if old not in reads_of(op):
        return op
    return replace(op, **{k: _rename_value(v, old, new) for k, v in values_of(op).items()})  # type: ignore[arg-type]


def _rename_value(value: object, old: str, new: str) -> object:
    if isinstance(value, tuple):
        return tuple(_rename_value(v, old, new) for v in value)
    if hasattr(value, "buffer"):
        return replace(value, buffer=new) if value.buffer == old else value  # type: ignore[type-var]
    return new if isinstance(value, str) and value == old else value


def drop_unit_reductions(program: Program) -> Program | None:
    """A reduction over one element is that element; reduction axes of size 1 are dropped."""
    for k, op in enumerate(program.ops):
        if isinstance(op, Reduce) and any(a.extent == 1 for a in op.raxes):
            return program.rewritten("drop_unit_reductions", _replaced(program.ops, k, _without_units(op)))
    return None


def _without_units(op: Reduce) -> Op:
    unit = {a.name: const_index(0) for a in op.raxes if a.extent == 1}
    kept = tuple(a for a in op.raxes if a.extent != 1)
    value = rename_axes(op.value, unit)
    if kept:
        return replace(op, raxes=kept, value=value)
    if op.kind.startswith("arg"):
        return Map(op.out, op.axes, const_index(0))
    return Map(
        op.out,
        op.axes,
        value if value.dtype is op.out.dtype.compute else apply("cast", value, dtype=op.out.dtype.compute),
    )


def _replaced(ops: tuple[Op, ...], k: int, *new: Op) -> tuple[Op, ...]:
    return (*ops[:k], *new, *ops[k + 1 :])


def reshape_into_producer(program: Program) -> Program | None:
    """A Map that copies a whole temporary into a buffer of another shape: let its producer write that shape."""
    for k, op in enumerate(program.ops):
        source = _copied(program, op)
        producer = source and program.producer(source.name)
        if not isinstance(op, Map) or source is None or not isinstance(producer, Map | Reduce | Contract):
            continue
        if is_affine_reshape(op.out.shape, source.shape):
            made = _reshaped(producer, op.out)
            ops = tuple(made if o is producer else o for o in (*program.ops[:k], *program.ops[k + 1 :]))
            return program.rewritten("reshape_into_producer", ops)
    return None


def _copied(program: Program, op: Op) -> Buffer | None:
    """The temporary that `op` copies element by element in memory order, if nobody else reads it."""
    if not isinstance(op, Map) or not isinstance(op.value, Load):
        return None
    source = program.buffers[op.value.buffer]
    if source.role is not Role.TEMP or source.dtype is not op.out.dtype or source.size != op.out.size:
        return None
    identity = Affine(0, {a.name: s for a, s in zip(op.axes, op.out.strides) if a.extent > 1})
    form = linear(op.value, source)
    if (
        form is None
        or form.offset
        or {a: c for a, c in form.coefficients.items() if _extent(op, a) > 1} != identity.coefficients
    ):
        return None
    return source if len(program.consumers(source.name)) == 1 else None


def _extent(op: Map, axis: str) -> int:
    return next(a.extent for a in op.axes if a.name == axis)


def _reshaped(op: Map | Reduce | Contract, out: Buffer) -> Op:
    axes = tuple(Axis(f"i{d}", n) for d, n in enumerate(out.shape))
    old = reindex(tuple(Index(a.name) for a in axes), out.shape, op.out.shape)
    names: dict[str, Expr] = {a.name: e for a, e in zip(op.axes, old)}
    return replace(_changed(op, lambda e: rename_axes(e, names)), out=out, axes=axes)  # type: ignore[arg-type, type-var]


# ---------------------------------------------------------------- sums of contractions


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

    return live(_replaced(program.ops, k, *made), {*program.outputs, *program.updates})


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


def inline_cheap_maps(program: Program) -> Program | None:
    """A temporary made by a cheap Map (a few operations a point) and read at exact positions by loop ops only, once or as a copy,
    is computed where it is read."""
    for op in program.ops:
        if (
            not isinstance(op, Map)
            or op.out.role is not Role.TEMP
            or op.out.dtype.compute is not op.out.dtype
        ):
            continue
        readers = program.consumers(op.out.name)
        if (
            readers
            and all(isinstance(r, Map | Reduce | Scan) for r in readers)
            and _worth_inlining(op, readers)
        ):
            ops = tuple(_inlined(o, op) for o in program.ops if o is not op)
            return program.rewritten("inline_cheap_maps", ops)
    return None


def _worth_inlining(op: Map, readers: tuple[Op, ...]) -> bool:
    found = [
        e
        for r in readers
        for x in exprs_of(r)
        for e in walk(x)
        if isinstance(e, Load) and e.buffer == op.out.name
    ]
    if not all(_in_place(load, op) for load in found):
        return False
    trivial = isinstance(op.value, Const | Load)
    return trivial or (
        len(set(found)) == len(readers) == 1
        and expression_cost(op.value)[0] < 8
        and _as_large(op, readers[0])
    )


def _in_place(load: Load, op: Map) -> bool:
    """Each index is one loop variable or a legal constant: no run past the end of a dimension."""
    return all(
        isinstance(i, Index) or (isinstance(i, Const) and 0 <= i.value < a.extent)
        for i, a in zip(load.index, op.axes)
    )


def _as_large(op: Map, reader: Op) -> bool:
    """The reader visits no more points than the buffer has."""
    loops = (*getattr(reader, "axes", ()), *getattr(reader, "raxes", ()))
    return math.prod(a.extent for a in loops) <= op.out.size


def _inlined(reader: Op, op: Map) -> Op:
    def load(e: Expr) -> Expr | None:
        if not isinstance(e, Load) or e.buffer != op.out.name:
            return None
        value = rename_axes(op.value, {a.name: i for a, i in zip(op.axes, e.index)})
        return value if value.dtype is e.dtype else apply("cast", value, dtype=e.dtype)

    return _changed(reader, lambda e: transform(e, load)) if op.out.name in reads_of(reader) else reader


RULES: tuple[Rule, ...] = (
    reroll,
    drop_dead_ops,
    fold_expressions,
    drop_unit_reductions,
    merge_equal_ops,
    inline_cheap_maps,
    sum_before_contracting,
    reshape_into_producer,
)
