"""A program's expressions as one graph in which equal nodes are the same object, across buffers and time steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    Role,
    affine,
    apply,
    const_index,
    index_range,
    outputs_of,
    rename_axes,
    walk,
)

INNER = 64  # points of a sum that a step may contain
MOST_NODES = 400_000  # a program that needs more is no loop worth finding

Key = tuple[str, object, tuple[int, ...]]


class Unfit(Exception):
    """The program has no form that this can handle; nothing is changed."""


@dataclass(frozen=True)
class Weight:
    """What a matrix product multiplies by: out[rows, outs] = sum over `over` of left[rows, over] * value[outs, over]."""

    value: Load
    outs: tuple[Axis, ...]
    over: Axis


def feature(extent: int) -> Axis:
    """The loop over the last dimension of every value that a product may read: one name, so that equal values meet."""
    return Axis(f"k_{extent}", extent)


@dataclass(frozen=True, eq=False)
class Node:
    """kind: const | index | load | apply | sum | product. `label` is what two nodes of the same shape share (value, axis, buffer,
    operator, name of the weight). A product's arguments are its left side, at `Weight.over`, and the index of its column."""

    number: int
    kind: str
    label: object
    dtype: DType
    args: tuple[Node, ...]
    free: frozenset[str]  # loops that it depends on
    sums: bool  # does it hold a sum or a product?


class Unrolled:
    """Nodes of a program, and its buffers as nodes. `extents` of every loop ever used, for bounds of indices. `products`: matrix products
    are "kept" in memory, "short" sums are written out, or they are "nodes" (`weights` by their names)."""

    def __init__(self, program: Program, products: str = "short") -> None:
        self.program, self.products = program, products
        self.producers = {b.name: (k, op) for k, op in enumerate(program.ops) for b in outputs_of(op)}
        self.extents: dict[str, int] = {}
        self.inner: dict[str, Axis] = {}
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._instances: dict[tuple[object, ...], Node] = {}
        self._expressions: dict[int, Expr] = {}
        self.weights: dict[str, Weight] = {}
        self._names: dict[Weight, str] = {}
        self._lefts: dict[tuple[object, ...], list[tuple[Axis, int, Node]]] = {}
        self._stored: dict[int, Node] = {}

    @property
    def whole(self) -> bool:
        """Are matrix products nodes?"""
        return self.products == "nodes"

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
            elif kind == "product":
                bound = args[0].free - {self.weights[str(label)].over.name}
                free = bound.union(*(a.free for a in args[1:]))
            sums = kind in ("sum", "product") or any(a.sums for a in args)
            found = self._nodes[key] = Node(len(self._nodes), kind, label, dtype, args, free, sums)
        return found

    def constant(self, value: float | int | bool, dtype: DType) -> Node:
        return self.node("const", value, dtype)

    def index(self, axis: Axis) -> Node:
        if self.extents.setdefault(axis.name, axis.extent) != axis.extent:
            raise Unfit
        return self.node("index", axis.name, DType.I64)

    def apply(self, op: str, args: tuple[Node, ...], dtype: DType) -> Node:
        """Arithmetic and comparison of integer constants are carried out, and what the extents of loops decide."""
        if len(args) == 2 and args[1].kind == "const" and not args[1].dtype.is_float:
            args = self._shifted(op, args) if op in ("add", "sub") else args
            known = self._below(args) if op == "lt" and self.whole else None
            if known is not None or len(args) == 1:
                return args[0] if known is None else self.constant(known, DType.BOOL)
        if all(a.kind == "const" and not a.dtype.is_float for a in args):
            value = _calculated(op, [int(a.label) for a in args], dtype)  # type: ignore[call-overload]
            if value is not None:
                return self.constant(value, dtype)
        return self.node("apply", op, dtype, args)

    def _shifted(self, op: str, args: tuple[Node, ...]) -> tuple[Node, ...]:
        """(x + a) + b as x + (a + b), or x alone where that is 0. Always an addition: `apply` is told by the sign."""
        x, last = args
        offset = int(last.label) * (1 if op == "add" else -1)  # type: ignore[call-overload]
        while x.kind == "apply" and x.label in ("add", "sub") and x.args[1].kind == "const":
            offset += int(x.args[1].label) * (1 if x.label == "add" else -1)  # type: ignore[call-overload]
            x = x.args[0]
        if x.dtype is not DType.I64 or (x is args[0] and offset):
            return args
        return (x, self.constant(offset if op == "add" else -offset, DType.I64)) if offset else (x,)

    def _below(self, args: tuple[Node, ...]) -> bool | None:
        """Is the first always, or never, less than the constant?"""
        if args[0].dtype is not DType.I64 or args[0].kind == "const" or _holds_load(args[0]):
            return None
        found, limit = index_range(self.expression(args[0]), self.extents), int(args[1].label)  # type: ignore[call-overload]
        if found is None or found[0] < limit <= found[1]:
            return None
        return found[1] < limit

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
            if made is not None and made.sums and made.number not in self._stored:
                self._stored[made.number] = self.node("load", name, dtype, index)
        return self._instances[key]

    def stored(self, node: Node) -> Node:
        """The node as a value in memory, where a buffer holds it."""
        return self._stored.get(node.number, node)

    def _written_out(self, name: str, index: tuple[Node, ...], dtype: DType) -> Node | None:
        if name not in self.producers:
            return None
        op = self.producers[name][1]
        if not isinstance(op, Map | Reduce | Contract) or op.out.dtype.compute is not op.out.dtype:
            return None
        if self.products == "kept" and isinstance(op, Contract):
            return None
        if not all(self._inside(i, n) for i, n in zip(index, op.out.shape, strict=True)):
            return None
        names = {a.name: i for a, i in zip(op.axes, index, strict=True)}
        if isinstance(op, Map):
            made: Node | None = self.of(op.value, names)
        elif self.whole and isinstance(op, Contract):
            made = self._product(op, names)
        else:
            made = self._sum(op, names)
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

    def _product(self, op: Contract, names: dict[str, Node]) -> Node | None:
        """A matrix product, as a sum of one for each part of a left side that was put together from parts."""
        sides = _sides(op, self.program)
        if sides is None or op.out.dtype is not DType.F32:
            return None
        left, right, rows, outs = sides
        at = {a.name: names[a.name] for a in rows}
        key = (op.out.name, *(n.number for n in at.values()))
        if key not in self._lefts:
            self._lefts[key] = list(self._parts(left, op.raxes[0], at))
        parts = []
        for over, start, node in self._lefts[key]:
            if any(over.name in n.free for n in at.values()):  # the name is taken by a loop around
                return None
            shifted = {op.raxes[0].name: apply("add", Index(over.name), const_index(start))}
            columns = tuple(Axis(f"n{d}_{a.extent}", a.extent) for d, a in enumerate(outs))
            shifted |= {a.name: Index(c.name) for a, c in zip(outs, columns)}
            value = rename_axes(right, shifted)
            assert isinstance(value, Load)
            label = self._named(Weight(value, columns, over))
            parts.append(self.node("product", label, DType.F32, (node, *(names[a.name] for a in outs))))
        made = parts[0]
        for more in parts[1:]:
            made = self.node("apply", "add", DType.F32, (made, more))
        return made

    def _named(self, weight: Weight) -> str:
        name = self._names.setdefault(weight, f"weight {len(self._names)}")
        self.weights[name] = weight
        return name

    def _parts(self, left: Expr, over: Axis, at: dict[str, Node]) -> Iterator[tuple[Axis, int, Node]]:
        """The ranges of the summed loop in which the left side has one form, with that form."""
        whole = feature(over.extent)
        index = self.index(whole)
        cuts = sorted({0, over.extent, *_cuts(self.of(left, {**at, over.name: index}), index)})
        for start, stop in pairwise(cuts):
            part = feature(stop - start)
            place = self.apply("add", (self.index(part), self.constant(start, DType.I64)), DType.I64)
            yield part, start, self.of(left, {**at, over.name: index if part == whole else place})

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
        if node.kind in ("sum", "product"):
            raise Unfit
        return apply(str(node.label), *args, dtype=node.dtype)


def _sides(op: Contract, program: Program) -> tuple[Expr, Load, list[Axis], list[Axis]] | None:
    """(left, weight, the loops of each) of a matrix product, or None for other contractions."""
    left, right = sorted((op.lhs, op.rhs), key=lambda e: _fixed(e, program))
    if len(op.raxes) != 1 or not isinstance(right, Load) or right.dtype is not DType.F32:
        return None
    reads, columns = ({x.axis for x in walk(e) if isinstance(x, Index)} for e in (left, right))
    outs = [a for a in op.axes if a.name in columns]
    if any(a.name in reads for a in outs) or any(affine(i) is None for i in right.index):
        return None
    return left, right, [a for a in op.axes if a not in outs], outs


def _fixed(e: Expr, program: Program) -> int:
    """How much like a weight it is: 2 where it reads parameters only, 1 inputs too, 0 what the program computes."""
    roles = {program.buffers[x.buffer].role for x in walk(e) if isinstance(x, Load)}
    return 2 if roles == {Role.PARAM} else 1 if roles and roles <= {Role.PARAM, Role.INPUT} else 0


def _cuts(node: Node, index: Node) -> Iterator[int]:
    """Where along an index a value changes its form."""
    if node.kind == "apply" and node.label == "select":
        cond = node.args[0]
        if cond.label == "lt" and cond.args[0] is index and cond.args[1].kind == "const":
            yield int(cond.args[1].label)  # type: ignore[call-overload]
            yield from (c for a in node.args[1:] for c in _cuts(a, index))


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
