"""The common form of what an unrolled loop computes at every time: anti-unification (see `reroll.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kerf.kernels.ir import (
    Axis,
    Const,
    Contract,
    DType,
    Emit,
    Expr,
    Index,
    Load,
    Map,
    Recurrence,
    Reduce,
    State,
    StepSum,
    apply,
    const_index,
    transform,
    walk,
)
from kerf.kernels.unrolled import Node, Unfit, Unrolled, Weight

MOST_DELAYS = 8  # states that only show by where they start
Vector = tuple[Node | None, ...]  # one node a time; None where nothing is asked of the pattern


def head(n: Node) -> tuple[object, ...]:
    return n.kind, str(n.label), n.dtype, len(n.args)


def key_of(v: Vector) -> tuple[int, ...]:
    return tuple(-1 if n is None else n.number for n in v)


@dataclass
class Carried:
    name: str
    dtype: DType
    of: tuple[int, ...]  # the vector whose value a step before this is
    initial: Node | None


@dataclass(frozen=True)
class Product:
    """A matrix product of every time: its left side, where it reads `weight.over`, and the index of its column."""

    weight: Weight
    left: Expr
    columns: tuple[Expr, ...]


class Pattern:
    """The common form of one vector (a node for every time) or several. Loads of states and sums have no indices until
    `recurrence` knows over which loops they vary."""

    def __init__(self, graph: Unrolled, axes: tuple[Axis, ...], time: Axis, reverse: bool = False) -> None:
        self.graph, self.axes, self.time, self.reverse = graph, axes, time, reverse
        now: Expr = Index(time.name)
        self.now = apply("sub", const_index(time.extent - 1), now) if reverse else now
        self.done: dict[tuple[int, ...], Expr] = {}
        self.seen: dict[tuple[int, int], list[Vector]] = {}
        self.carried: dict[tuple[object, ...], Carried] = {}
        self.sums: list[StepSum] = []
        self.products: dict[str, Product] = {}
        self.delays = 0

    def root(self, v: Vector) -> Expr:
        """The form of a whole value; its first step may have one of its own."""
        return self.visit(v, first=True)

    def visit(self, v: Vector, first: bool = False) -> Expr:
        key = key_of(v)
        if key not in self.done:
            self.done[key] = self._form(v, first)
        return self.done[key]

    def _form(self, v: Vector, first: bool) -> Expr:
        known = [n for n in v if n is not None]
        if len(known) < 3:
            raise Unfit
        if len({n.number for n in known}) == 1 and not self.graph.stored(known[0]).sums:
            return self.graph.expression(self.graph.stored(known[0]))
        state = self._state(v)
        if state is not None:
            return state
        for t, n in enumerate(v):
            if n is not None and n.kind in ("apply", "sum", "product"):
                self.seen.setdefault((t, n.number), []).append(v)
        if len({head(n) for n in known}) == 1:
            return self._same(known[0], v)
        if all(n.kind == "const" and n.dtype is DType.I64 for n in known):
            return self._counted(v)
        return self._own_start(v) if first else self._delayed(v)

    def _same(self, like: Node, v: Vector) -> Expr:
        args = [self.visit(tuple(n and n.args[k] for n in v)) for k in range(len(like.args))]
        if like.kind == "product":
            return self._product(Product(self.graph.weights[str(like.label)], args[0], tuple(args[1:])))
        if like.kind != "sum":
            return self.graph.rebuilt(like, args)
        name = f"summed_{len(self.sums)}"
        self.sums.append(StepSum(name, like.label, args[0]))  # type: ignore[arg-type]
        return Load(name, (), like.dtype)

    def _product(self, made: Product) -> Expr:
        known = next((n for n, p in self.products.items() if p == made), f"product_{len(self.products)}")
        self.products[known] = made
        return Load(known, (), DType.F32)

    def _counted(self, v: Vector) -> Expr:
        """Integers a + b t."""
        points = [(t, int(n.label)) for t, n in enumerate(v) if n is not None]  # type: ignore[call-overload]
        (t0, x0), (t1, x1) = points[:2]
        step = x1 - x0
        if t1 != t0 + 1 or any(x != x0 + step * (t - t0) for t, x in points):
            raise Unfit
        base = x0 - step * t0
        if self.reverse:
            base, step = base + step * (self.time.extent - 1), -step
        return apply("add", apply("mul", Index(self.time.name), const_index(step)), const_index(base))

    def _state(self, v: Vector) -> Expr | None:
        """Is v a vector seen before, one step late?"""
        last = max(t for t, n in enumerate(v) if n is not None)
        end = v[last]
        if end is None:
            return None
        for w in self.seen.get((last - 1, end.number), ()):
            if all(n is None or w[t] is n for t, n in enumerate(v[1:])):
                return self._load(key_of(w), v[0], end.dtype)
        return None

    def _load(self, of: tuple[int, ...], initial: Node | None, dtype: DType) -> Expr:
        initial = initial and self.graph.stored(initial)
        if initial is not None and (initial.sums or initial.dtype is not dtype):
            raise Unfit
        place = (of, initial and initial.number)
        state = self.carried.setdefault(place, Carried(f"carried_{len(self.carried)}", dtype, of, initial))
        return Load(state.name, (), dtype)

    def _own_start(self, v: Vector) -> Expr:
        """The first value is of another form than the rest."""
        start = next(t for t, n in enumerate(v) if n is not None)
        begin = v[start]
        assert begin is not None
        rest = self.visit((*v[:start], None, *v[start + 1 :]))
        early = apply("lt", self.now, const_index(start + 1))
        begin = self.graph.stored(begin)
        return apply("select", early, self.graph.expression(begin), rest, dtype=begin.dtype)

    def _delayed(self, v: Vector) -> Expr:
        """The first value differs because it is where a state starts that nothing else has shown yet."""
        self.delays += 1
        if self.delays > MOST_DELAYS or v[0] is None:
            raise Unfit
        ahead = (*v[1:], None)
        out = self._load(key_of(ahead), v[0], v[0].dtype)
        self.done[key_of(v)] = out
        self.visit(ahead)
        return out

    # ------------------------------------------------------------ the op

    def places(self, stacked: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], ...]:
        """Loops over which a value may be wanted."""
        return stacked, self.axes, (*self.axes, *self.graph.inner.values())

    def emitted(self, op: Map | Reduce | Contract, places: Sequence[tuple[Axis, ...]]) -> Emit | None:
        """The op's result, if it is a value of this recurrence at every time or at the last."""
        for axes in places:
            if op.out.shape == tuple(a.extent for a in axes) and op.out.dtype.compute is op.out.dtype:
                value = self._stack_of(op, axes) if self.time in axes else self._end_of(op, axes)
                if value is not None:
                    return Emit(op.out, axes, value)
        return None

    def _stack_of(self, op: Map | Reduce | Contract, axes: tuple[Axis, ...]) -> Expr | None:
        points = range(self.time.extent)[:: -1 if self.reverse else 1]
        return self.done.get(key_of(tuple(self._at(op, axes, t) for t in points)))

    def _end_of(self, op: Map | Reduce | Contract, axes: tuple[Axis, ...]) -> Expr | None:
        number = self._at(op, axes, 0).number
        return next((e for key, e in self.done.items() if key[-1] == number and len(set(key)) > 1), None)

    def _at(self, op: Map | Reduce | Contract, axes: tuple[Axis, ...], t: int) -> Node:
        g = self.graph
        index = tuple(g.constant(t, DType.I64) if a == self.time else g.index(a) for a in axes)
        return g.loaded(op.out.name, index, op.out.dtype)

    def recurrence(self, emits: tuple[Emit, ...]) -> Recurrence:
        """Everything found so far as one op."""
        vary = self._varying()
        inner = tuple(self.graph.inner.values())
        space = (*self.axes, *inner)
        over = {name: tuple(a for a in space if a.name in loops) for name, loops in vary.items()}
        over |= {s.name: self.axes for s in self.sums}

        def placed(e: Expr) -> Expr | None:
            if isinstance(e, Load) and e.buffer in over:
                return replace(e, index=tuple(Index(a.name) for a in over[e.buffer]))
            return None

        states = tuple(
            State(c.name, over[c.name], self.initial(c), transform(self.done[c.of], placed))
            for c in self.carried.values()
        )
        sums = tuple(replace(s, value=transform(s.value, placed)) for s in self.sums)
        out = tuple(replace(e, value=transform(e.value, placed)) for e in emits)
        op = Recurrence(self.axes, self.time, inner, states, sums, out, self.reverse)
        _check(op)
        return op

    def initial(self, c: Carried) -> Expr:
        if c.initial is None:
            return Const(0.0 if c.dtype.is_float else 0, c.dtype)
        return self.graph.expression(c.initial)

    def _varying(self) -> dict[str, set[str]]:
        """The loops that each state depends on, through other states too."""
        space = {a.name for a in (*self.axes, *self.graph.inner.values())}
        vary: dict[str, set[str]] = {c.name: set() for c in self.carried.values()}
        every = {s.name: {a.name for a in self.axes} for s in self.sums}
        changed = True
        while changed:
            changed = False
            for c in self.carried.values():
                both = (self.done[c.of], self.initial(c))
                found = set().union(*(_depends(e, space, {**vary, **every}) for e in both))
                changed |= not found <= vary[c.name]
                vary[c.name] |= found
        return vary


def _depends(e: Expr, space: set[str], known: dict[str, set[str]]) -> set[str]:
    out: set[str] = set()
    for x in walk(e):
        if isinstance(x, Index) and x.axis in space:
            out.add(x.axis)
        elif isinstance(x, Load):
            out |= known.get(x.buffer, set())
    return out


def _check(op: Recurrence) -> None:
    """Every value must depend only on loops that are there where it is computed."""
    outer = {a.name for a in (*op.axes, op.time)}
    for allowed, e in [
        *((outer | {a.name for a in s.raxes}, s.value) for s in op.sums),
        *(({op.time.name} | {a.name for a in s.axes}, s.value) for s in op.states),
        *(({a.name for a in s.axes}, s.initial) for s in op.states),
        *(({op.time.name} | {a.name for a in e.axes}, e.value) for e in op.emits),
    ]:
        if any(isinstance(x, Index) and x.axis not in allowed for x in walk(e)):
            raise Unfit
