"""Which loop of a contraction plays which part: batch (z), rows (m), columns (n) or the summed index (k).

An axis that only one operand uses is a row or a column of the result; one that both use is a batch; the summed axes are
k. The axes of one part are flattened into a single C variable, and every address is written in these four variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

from kerf.kernels.codegen.expr import loaded, memory_loads, render
from kerf.kernels.ir import (
    Affine,
    Apply,
    Axis,
    Buffer,
    Const,
    Contract,
    DType,
    Expr,
    Group,
    Index,
    Load,
    Map,
    Role,
    const_index,
    linear,
    loads,
    outputs_of,
    rename_axes,
    walk,
)


@dataclass(frozen=True)
class Flat:
    """Loops flattened row-major into the C variable `var`; loops of one iteration are left out."""

    var: str
    axes: tuple[Axis, ...]

    @property
    def extent(self) -> int:
        return prod(a.extent for a in self.axes)

    @property
    def steps(self) -> tuple[int, ...]:
        """Flat distance between neighbours along each axis."""
        return tuple(prod(a.extent for a in self.axes[i + 1 :]) for i in range(len(self.axes)))

    def codes(self) -> dict[str, str]:
        """Each loop variable in terms of `var`."""
        out = {}
        for i, (axis, step) in enumerate(zip(self.axes, self.steps, strict=True)):
            code = self.var if step == 1 else f"{self.var} / {step}"
            out[axis.name] = f"({code} % {axis.extent})" if i else f"({code})" if step > 1 else code
        return out

    def stride(self, form: Affine) -> int | None:
        """The element step of `form` per step of `var`, or None where it is not constant."""
        if not self.axes:
            return 0
        last = form.of(self.axes[-1].name)
        even = all(form.of(a.name) == last * s for a, s in zip(self.axes, self.steps, strict=True))
        return last if even else None

    def terms(self, form: Affine) -> list[str]:
        """C terms of `form` that depend on `var`."""
        step = self.stride(form)
        if step is not None:
            return _term(self.var, step)
        codes = self.codes()
        return [t for a in self.axes for t in _term(codes[a.name], form.of(a.name))]


def _term(code: str, factor: int) -> list[str]:
    return [] if factor == 0 else [code] if factor == 1 else [f"{code} * {factor}L"]


@dataclass(frozen=True)
class Operand:
    """One factor, with loops `row` (m or n) and k. `form` is the address of its first load where that is affine; `plain` says
    that it is that load and nothing else, stored in the accumulator's type."""

    expr: Expr
    row: Flat
    load: Load | None
    form: Affine | None
    plain: bool
    batched: bool
    role: Role

    def stride(self, flat: Flat) -> int | None:
        return None if self.form is None else flat.stride(self.form)


@dataclass(frozen=True)
class Problem:
    """The contraction with its epilogue. The columns `n` hold the innermost loop of the result; `left` varies with m, `right`
    with n. `maps` are rewritten in the contraction's own loop names."""

    group: Group
    main: Contract
    z: Flat
    m: Flat
    n: Flat
    k: Flat
    left: Operand
    right: Operand
    maps: tuple[tuple[Buffer, Expr], ...]

    @property
    def acc(self) -> DType:
        """The type of the running sums."""
        return self.main.out.dtype.compute

    @property
    def flops(self) -> float:
        return 2.0 * self.z.extent * self.m.extent * self.n.extent * self.k.extent

    @property
    def bytes(self) -> float:
        return float(sum(b.bytes for b in (*self.group.inputs, *self.group.outputs)))

    @cached_property
    def codes(self) -> dict[str, str]:
        """Every loop variable in terms of z, m, n and k."""
        ones = {a.name: "0" for a in (*self.main.axes, *self.main.raxes)}
        return ones | self.z.codes() | self.m.codes() | self.n.codes() | self.k.codes()

    @property
    def results(self) -> tuple[Buffer, ...]:
        return (self.main.out, *(b for b, _ in self.maps))

    @property
    def stored(self) -> tuple[Buffer, ...]:
        """The results that somebody outside reads."""
        kept = {b.name for b in self.group.outputs}
        return tuple(b for b in self.results if b.name in kept)

    @property
    def identity(self) -> bool:
        """Is the raw sum all there is to store, in its own type?"""
        return not self.maps and self.main.out.dtype is self.acc

    def place(self, form: Affine) -> str:
        """C for an address in terms of z, m, n, k."""
        terms = [t for flat in (self.z, self.m, self.n, self.k) for t in flat.terms(form)]
        if form.offset or not terms:
            terms.append(f"{form.offset}L")
        return " + ".join(terms)

    def where(self, buffer: Buffer) -> Affine:
        """The address of the current element in a result."""
        steps = {a.name: s for a, s in zip(self.main.axes, buffer.strides, strict=True)}
        return Affine(0, steps)

    def memory(self) -> Callable[[Load], str]:
        """How to render a load from memory, in terms of z, m, n, k."""
        names = {b.name: pointer(b.name) for b in (*self.group.inputs, *self.group.outputs)}
        indirect = memory_loads(self.group.buffer, self.codes, names)

        def one(load: Load) -> str:
            buffer = self.group.buffer(load.buffer)
            form = linear(load, buffer)
            if form is None:
                return indirect(load)
            return loaded(f"{pointer(buffer.name)}[{self.place(form)}]", buffer.dtype)

        return one

    def value(self, operand: Operand) -> str:
        """C for one element of an operand, at z, m or n, and k."""
        return render(operand.expr, self.codes, self.memory())


def pointer(name: str) -> str:
    """The C name of a buffer's pointer."""
    return f"p_{name}"


def analyse(group: Group) -> Problem | None:
    """The group as a contraction with an elementwise epilogue, or None where it is something else."""
    main = group.ops[0] if group.ops else None
    if not isinstance(main, Contract) or not all(isinstance(op, Map) for op in group.ops[1:]):
        return None
    maps = _epilogue(main, tuple(op for op in group.ops[1:] if isinstance(op, Map)))
    made = {b.name for op in group.ops for b in outputs_of(op)}
    if maps is None or any(ld.buffer in made for e in (main.lhs, main.rhs) for ld in loads(e)):
        return None
    return _roles(group, main, maps)


def _epilogue(main: Contract, maps: tuple[Map, ...]) -> tuple[tuple[Buffer, Expr], ...] | None:
    out, ready = [], {main.out.name: main.out}
    made = {main.out.name} | {op.out.name for op in maps}
    for op in maps:
        if op.out.shape != main.out.shape:
            return None
        names = {theirs.name: Index(ours.name) for theirs, ours in zip(op.axes, main.axes, strict=True)}
        value = rename_axes(op.value, names)
        for load in loads(value):
            if load.buffer in made and not (load.buffer in ready and _own_element(load, main.axes)):
                return None
        out.append((op.out, value))
        ready[op.out.name] = op.out
    return tuple(out)


def _own_element(load: Load, axes: tuple[Axis, ...]) -> bool:
    pairs = zip(load.index, axes, strict=True)
    return all(i == Index(a.name) or (a.extent == 1 and i == const_index(0)) for i, a in pairs)


def _uses(expr: Expr) -> set[str]:
    return {e.axis for e in walk(expr) if isinstance(e, Index)}


def _roles(group: Group, main: Contract, maps: tuple[tuple[Buffer, Expr], ...]) -> Problem:
    axes = [a for a in main.axes if a.extent > 1]
    in_left, in_right = _uses(main.lhs), _uses(main.rhs)
    lhs, rhs = main.lhs, main.rhs
    innermost = axes[-1].name if axes else ""
    if innermost in in_left and innermost not in in_right:
        lhs, rhs, in_left, in_right = rhs, lhs, in_right, in_left
    rows = [a for a in axes if a.name in in_left and a.name not in in_right]
    columns = _trailing([a for a in axes if a.name in in_right and a.name not in in_left], axes)
    batch = [a for a in axes if a not in rows and a not in columns]
    summed = tuple(a for a in main.raxes if a.extent > 1)
    z, m, n = Flat("z", tuple(batch)), Flat("m", tuple(rows)), Flat("n", tuple(columns))
    k = Flat("k", _k_order(summed, lhs, rhs, group))
    acc = main.out.dtype.compute
    left, right = (_operand(e, f, z, acc, group) for e, f in ((lhs, m), (rhs, n)))
    return Problem(group, main, z, m, n, k, left, right, maps)


def _trailing(columns: list[Axis], axes: list[Axis]) -> list[Axis]:
    """Those columns that lie side by side at the inner end of the result, so that a run of n is a run of memory."""
    kept: list[Axis] = []
    for axis in reversed(axes):
        if axis not in columns:
            break
        kept.insert(0, axis)
    return kept


def _k_order(axes: tuple[Axis, ...], lhs: Expr, rhs: Expr, group: Group) -> tuple[Axis, ...]:
    """Summed loops in the order in which the operands lie in memory: a sum does not mind, addresses do."""

    def reach(axis: Axis) -> int:
        forms = [linear(ld, group.buffer(ld.buffer)) for e in (rhs, lhs) for ld in loads(e)]
        return max([abs(f.of(axis.name)) for f in forms if f] or [0])

    return tuple(sorted(axes, key=reach, reverse=True))


def _operand(expr: Expr, row: Flat, z: Flat, acc: DType, group: Group) -> Operand:
    first = next(loads(expr), None)
    form = linear(first, group.buffer(first.buffer)) if first else None
    plain = (
        expr is first and first is not None and form is not None and group.buffer(first.buffer).dtype is acc
    )
    batched = bool(_uses(expr) & {a.name for a in z.axes})
    role = _role(expr, group)
    return Operand(expr, row, first, form, plain, batched, role)


def _role(expr: Expr, group: Group) -> Role:
    """PARAM when the operand is made of parameters only, so that it may be laid out once."""
    names = {ld.buffer for ld in loads(expr)}
    return Role.PARAM if names and all(group.buffer(n).role is Role.PARAM for n in names) else Role.INPUT


def sources(operand: Operand) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ld.buffer for ld in loads(operand.expr)))


def read_outside(problem: Problem, operand: Operand) -> set[str]:
    """Buffers that something other than this operand reads."""
    other = problem.left if operand is problem.right else problem.right
    exprs: Iterable[Expr] = (other.expr, *(value for _, value in problem.maps))
    return {ld.buffer for e in exprs for ld in loads(e)}


def result_mask(problem: Problem) -> Apply | None:
    """The condition of a triangular result: select(condition, x, 0) of two affine indices as the last map."""
    if not problem.maps or len(problem.stored) != 1:
        return None
    value = problem.maps[-1][1]
    if not (isinstance(value, Apply) and value.op == "select" and value.args[2] == Const(0, value.dtype)):
        zero = isinstance(value, Apply) and value.op == "select" and isinstance(value.args[2], Const)
        if not (zero and value.args[2].value == 0):  # type: ignore[union-attr]
            return None
    condition = value.args[0]  # type: ignore[union-attr]
    if (
        isinstance(condition, Apply)
        and condition.op in ("lt", "le", "gt", "ge")
        and not list(loads(condition))
    ):
        return condition
    return None
