"""Algebraic rewrites of a Program.

A rule is a named function from a Program to a better one, or None where it finds nothing. `simplify` applies rules
until none finds anything; each application is proved on random instances (proof.py) before it is kept.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import replace

from kerf.kernels.early_averages import average_before_convolving
from kerf.kernels.early_sums import sum_before_contracting
from kerf.kernels.folding import folded
from kerf.kernels.ir import (
    Affine,
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
    loads,
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


FEW_TERMS = 4  # coordinates of points, channels of colours: shorter than any vector
MOST_OF_A_TERM = 24  # operations


def write_out_short_sums(program: Program) -> Program | None:
    """A sum of few cheap terms that lie side by side (squared distances in space) is written out: vectors then run over its points
    instead of its terms."""
    for k, op in enumerate(program.ops):
        if isinstance(op, Reduce) and _is_short(op):
            made = Map(op.out, op.axes, _written_out(op))
            return program.rewritten("write_out_short_sums", _replaced(program.ops, k, made))
    return None


def _is_short(op: Reduce) -> bool:
    few = math.prod(a.extent for a in op.raxes) <= FEW_TERMS < math.prod(a.extent for a in op.axes)
    if not few or op.kind != "sum" or not op.value.dtype is op.out.dtype is DType.F32:
        return False
    summed = {Index(a.name) for a in op.raxes}
    side_by_side = any(not summed.isdisjoint(walk(x.index[-1])) for x in loads(op.value) if x.index)
    return side_by_side and expression_cost(op.value)[0] < MOST_OF_A_TERM


def _written_out(op: Reduce) -> Expr:
    points = itertools.product(*(range(a.extent) for a in op.raxes))
    terms = (
        rename_axes(op.value, {a.name: const_index(i) for a, i in zip(op.raxes, at, strict=True)})
        for at in points
    )
    return functools.reduce(lambda x, y: apply("add", x, y), terms)


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
    write_out_short_sums,
    merge_equal_ops,
    inline_cheap_maps,
    sum_before_contracting,
    average_before_convolving,
    reshape_into_producer,
)
