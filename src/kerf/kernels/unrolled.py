"""A program's expressions as one graph in which equal nodes are the same object, across buffers and time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from kerf.kernels.ir import (
    Apply,
    Axis,
    Const,
    Contract,
    DType,
    Expr,
    Index,
    Load,
    Map,
    Program,
    Reduce,
    apply,
    const_index,
    index_range,
    outputs_of,
)

INNER = 64  # points of a sum that a step may contain
MOST_NODES = 400_000  # a program that needs more is no loop worth finding

Key = tuple[str, object, tuple[int, ...]]


class Unfit(Exception):
    """The program has no form that this can handle; nothing is changed."""


@dataclass(frozen=True, eq=False)
class Node:
    """kind: const | index | load | apply | sum. `label` is what two nodes of the same shape share (value, axis, buffer, operator)."""

    number: int
    kind: str
    label: object
    dtype: DType
    args: tuple[Node, ...]
    free: frozenset[str]  # loops that it depends on
    sums: bool  # does it hold a sum?


class Unrolled:
    """Nodes of a program, and its buffers as nodes. `extents` of every loop ever used, for bounds of indices."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.producers = {b.name: (k, op) for k, op in enumerate(program.ops) for b in outputs_of(op)}
        self.extents: dict[str, int] = {}
        self.inner: dict[str, Axis] = {}
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._instances: dict[tuple[object, ...], Node] = {}
        self._expressions: dict[int, Expr] = {}

    # ------------------------------------------------------------ nodes

    def node(self, kind: str, label: object, dtype: DType, args: tuple[Node, ...] = ()) -> Node:
        key = (kind, str(label), dtype, tuple(a.number for a in args))
        found = self._nodes.get(key)
        if found is None:
            if len(self._nodes) > MOST_NODES:
                raise Unfit
            free = frozenset().union(*(a.free for a in args))
            if kind == "index":
                free = frozenset([str(label)])
            elif kind == "sum":
                free -= {a.name for a in label}  # type: ignore[attr-defined]
            sums = kind == "sum" or any(a.sums for a in args)
            found = self._nodes[key] = Node(len(self._nodes), kind, label, dtype, args, free, sums)
        return found

    def constant(self, value: float | int | bool, dtype: DType) -> Node:
        return self.node("const", value, dtype)

    def index(self, axis: Axis) -> Node:
        self.extents[axis.name] = axis.extent
        return self.node("index", axis.name, DType.I64)

    def apply(self, op: str, args: tuple[Node, ...], dtype: DType) -> Node:
        """Arithmetic and comparison of integer constants are carried out."""
        if all(a.kind == "const" and not a.dtype.is_float for a in args):
            value = _calculated(op, [int(a.label) for a in args], dtype)  # type: ignore[call-overload]
            if value is not None:
                return self.constant(value, dtype)
        return self.node("apply", op, dtype, args)

    # ------------------------------------------------------------ expressions

    def of(self, e: Expr, names: Mapping[str, Node]) -> Node:
        """`e` with loops substituted and producers written out."""
        while isinstance(e, Apply) and e.op == "select":
            cond = self.of(e.args[0], names)
            if cond.kind != "const":
                branches = tuple(self.of(a, names) for a in e.args[1:])
                return self.node("apply", "select", e.dtype, (cond, *branches))
            e = e.args[1] if cond.label else e.args[2]
        if isinstance(e, Const):
            return self.constant(e.value, e.dtype)
        if isinstance(e, Index):
            return names[e.axis]
        if isinstance(e, Load):
            return self.loaded(e.buffer, tuple(self.of(i, names) for i in e.index), e.dtype)
        return self.apply(e.op, tuple(self.of(a, names) for a in e.args), e.dtype)

    def loaded(self, name: str, index: tuple[Node, ...], dtype: DType) -> Node:
        """A buffer at an index: what its producer computes there where that can be written out, else a load."""
        key = (name, tuple(i.number for i in index))
        if key not in self._instances:
            made = self._written_out(name, index, dtype)
            self._instances[key] = made or self.node("load", name, dtype, index)
        return self._instances[key]

    def _written_out(self, name: str, index: tuple[Node, ...], dtype: DType) -> Node | None:
        if name not in self.producers:
            return None
        op = self.producers[name][1]
        if not isinstance(op, Map | Reduce | Contract) or op.out.dtype.compute is not op.out.dtype:
            return None
        if not all(self._inside(i, n) for i, n in zip(index, op.out.shape, strict=True)):
            return None
        names = {a.name: i for a, i in zip(op.axes, index, strict=True)}
        made = self.of(op.value, names) if isinstance(op, Map) else self._sum(op, names)
        if made is None or made.dtype is dtype:
            return made
        return self.node("apply", "cast", dtype, (made,))

    def _inside(self, index: Node, extent: int) -> bool:
        found = index_range(self.expression(index), self.extents) if not _holds_load(index) else None
        return found is not None and found[0] >= 0 and found[1] < extent

    def _sum(self, op: Reduce | Contract, names: dict[str, Node]) -> Node | None:
        if (isinstance(op, Reduce) and op.kind != "sum") or prod(a.extent for a in op.raxes) > INNER:
            return None
        raxes = tuple(Axis(f"s{d}_{a.extent}", a.extent) for d, a in enumerate(op.raxes))
        bound = {a.name for a in raxes}
        if any(bound & i.free for i in names.values()):  # the name is taken by a loop around
            return None
        self.inner.update((a.name, a) for a in raxes)
        every = {**names, **{old.name: self.index(new) for old, new in zip(op.raxes, raxes)}}
        if isinstance(op, Contract):
            sides = tuple(self.of(e, every) for e in (op.lhs, op.rhs))
            return self.node("sum", raxes, op.out.dtype, (self.node("apply", "mul", op.out.dtype, sides),))
        value = self.of(op.value, every)
        return self.node("sum", raxes, op.out.dtype, (value,)) if value.dtype is op.out.dtype else None

    def expression(self, node: Node) -> Expr:
        """Back to the IR; a node with a sum has no such form."""
        if node.number not in self._expressions:
            self._expressions[node.number] = self.rebuilt(node, [self.expression(a) for a in node.args])
        return self._expressions[node.number]

    def rebuilt(self, node: Node, args: Sequence[Expr]) -> Expr:
        """The IR form of a node with these arguments in place of its own."""
        if node.kind == "const":
            return Const(node.label, node.dtype)  # type: ignore[arg-type]
        if node.kind == "index":
            return Index(str(node.label))
        if node.kind == "load":
            return Load(str(node.label), tuple(args), node.dtype)
        if node.kind == "sum":
            raise Unfit
        return apply(str(node.label), *args, dtype=node.dtype)


def _holds_load(node: Node) -> bool:
    return node.kind == "load" or any(_holds_load(a) for a in node.args)


def _calculated(op: str, values: Sequence[int], dtype: DType) -> int | bool | None:
    x, y = values[0], values[-1]
    if dtype is DType.BOOL:
        table = {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "eq": x == y, "ne": x != y,
                 "and": bool(x and y), "or": bool(x or y), "not": not x}  # fmt: skip
        return table.get(op)
    folded = (
        apply(op, *(const_index(v) for v in values)) if dtype is DType.I64 and op in _ARITHMETIC else None
    )
    return int(folded.value) if isinstance(folded, Const) else None


_ARITHMETIC = frozenset(["add", "sub", "mul", "floordiv", "mod", "neg", "min", "max"])
