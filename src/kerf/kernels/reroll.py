"""Loops over time that arrived unrolled, as one `Recurrence` again.

torch.export unrolls a Python loop, so h_t = f(h_{t-1}, x_t) becomes as many copies of f as there are steps, and the stack of
results a chain of selects. Here the stack is cut at every time t into an expression over the inputs (equal nodes are kept once),
the expressions of all times are anti-unified (Plotkin, 1970: the most specific term of which all are instances), integer constants
that grow linearly with t become the time loop, and a position whose value at t is that of another position at t - 1 is a state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kerf.kernels.ir import (
    Apply,
    Axis,
    Const,
    Contract,
    DType,
    Emit,
    Expr,
    Index,
    Load,
    Map,
    Op,
    Program,
    Recurrence,
    Reduce,
    State,
    StepSum,
    apply,
    const_index,
    loads,
    outputs_of,
    reads_of,
    transform,
    walk,
)
from kerf.kernels.unrolled import Node, Unfit, Unrolled

FEWEST = 4  # steps worth a loop
FEWEST_ALONE = 8  # the same, where no stack of results says that there is a loop
MOST = 4096  # steps
DEPTH, WIDTH = 12, 64  # how far down, and among how many nodes, a step's beginning is looked for
MOST_DELAYS = 8  # states that only show by where they start
Vector = tuple[Node | None, ...]  # one node a time; None where nothing is asked of the pattern


def reroll(program: Program) -> Program | None:
    """The program with its first unrolled recurrence as a `Recurrence`, or None where there is none."""
    from kerf.kernels.lower import live

    for op, new in _loops_in(program):
        ops = tuple(o for old in program.ops for o in ([new] if old is op else [old]))
        again = {b.name for b in outputs_of(new)}
        ops = tuple(o for o in ops if o is new or not again & {b.name for b in outputs_of(o)})
        return program.rewritten(
            "reroll", _in_order(live(_in_order(ops), {*program.outputs, *program.updates}))
        )
    return None


def _loops_in(program: Program) -> Iterator[tuple[Op, Op]]:
    """Ops with the loop over time that computes them: stacks along one of their axes, then last values."""
    maps = [op for op in program.ops if isinstance(op, Map)]
    tries = [(op, time) for op in reversed(maps) for time in op.axes if _cut(program, op, time)]
    deep = [op for op in reversed(maps) if _size(op) > 2 * FEWEST_ALONE]
    for op, time in [*tries, *((op, None) for op in deep)]:
        try:
            yield op, _stacked(program, op, time) if time else _last(program, op)
        except (Unfit, RecursionError):  # deeper than the interpreter's stack: left as it is
            continue


def _size(op: Map) -> int:
    return sum(1 for _ in walk(op.value))


def _cut(program: Program, op: Map, time: Axis) -> bool:
    """Do the op and the Maps it is made from choose among about as many cases as the axis has points?"""
    if not FEWEST <= time.extent <= MOST or not _selects(op, time.name):
        return False
    wanted, found = {op.out.name}, 0
    for o in reversed(program.ops):
        if isinstance(o, Map) and o.out.name in wanted:
            found += _selects(o, None)
            wanted |= set(reads_of(o))
    return found >= time.extent - 2


def _selects(op: Map, axis: str | None) -> int:
    """Choices, by one loop or by any."""
    found = (e.args[0] for e in walk(op.value) if isinstance(e, Apply) and e.op == "select")
    return sum(axis is None or Index(axis) in walk(cond) for cond in found)


def _stacked(program: Program, op: Map, time: Axis) -> Op:
    graph = Unrolled(program)
    cases = _cases(graph, op, time)
    for reverse in (False, True):
        pattern = _Pattern(graph, tuple(a for a in op.axes if a != time), time, reverse)
        try:
            value = pattern.root(cases[::-1] if reverse else cases)
        except Unfit:
            continue
        if pattern.carried:
            return _with_others(program, pattern, op, Emit(op.out, op.axes, value))
    raise Unfit


def _cases(graph: Unrolled, op: Map, time: Axis) -> Vector:
    """The op's value at every time, the earliest computed first, so that each rests on those before."""
    names = {a.name: graph.index(a) for a in op.axes}
    points = [{**names, time.name: graph.constant(t, DType.I64)} for t in range(time.extent)]
    latest = [_latest(graph, op.value, p) for p in points]
    made = {t: graph.of(op.value, points[t]) for t in sorted(range(time.extent), key=latest.__getitem__)}
    return tuple(made[t] for t in range(time.extent))


def _latest(graph: Unrolled, e: Expr, names: dict[str, Node]) -> int:
    """The place in the program of the last producer that the chosen case reads."""
    while isinstance(e, Apply) and e.op == "select":
        cond = graph.of(e.args[0], names)
        if cond.kind != "const":
            break
        e = e.args[1] if cond.label else e.args[2]
    return max((graph.producers[ld.buffer][0] for ld in loads(e) if ld.buffer in graph.producers), default=-1)


def _with_others(program: Program, pattern: _Pattern, op: Map, first: Emit) -> Op:
    """The recurrence, with every other value of it that the rest of the program still reads."""
    wanted, emits = {*program.outputs, *program.updates}, [first]
    for o in reversed([o for o in program.ops if o is not op]):
        if wanted.isdisjoint(b.name for b in outputs_of(o)):
            continue
        found = pattern.emitted(o, op.axes) if isinstance(o, Map | Reduce | Contract) else None
        emits += [found] if found else []
        wanted |= set() if found else set(reads_of(o))
    return pattern.recurrence(tuple(emits))


def _last(program: Program, op: Map) -> Op:
    """f(f(f(...))), where only the last value is wanted."""
    graph = Unrolled(program)
    end = graph.of(op.value, {a.name: graph.index(a) for a in op.axes})
    for path in _paths(end):
        chain = _chain(end, path)
        if len(chain) < FEWEST_ALONE:
            continue
        try:
            pattern = _Pattern(graph, op.axes, Axis("t", len(chain)))
            value = pattern.root(tuple(reversed(chain)))
            if pattern.carried:
                return _with_others(program, pattern, op, Emit(op.out, op.axes, value))
        except Unfit:
            continue
    raise Unfit


def _paths(end: Node) -> Iterator[tuple[int, ...]]:
    """Ways down from a node to others like it, short ones first."""
    level: list[tuple[tuple[int, ...], Node]] = [((), end)]
    for _ in range(DEPTH):
        level = [((*path, k), a) for path, n in level for k, a in enumerate(n.args) if n.kind == "apply"][
            :WIDTH
        ]
        yield from (path for path, n in level if _head(n) == _head(end))


def _chain(end: Node, path: tuple[int, ...]) -> list[Node]:
    out, here = [end], end
    while True:
        for k in path:
            if len(here.args) <= k:
                return out
            here = here.args[k]
        if _head(here) != _head(end):
            return out
        out.append(here)


def _in_order(ops: Sequence[Op]) -> tuple[Op, ...]:
    """Producers before readers, otherwise as given."""
    made = {b.name: op for op in ops for b in outputs_of(op)}
    out: dict[int, Op] = {}

    def place(op: Op) -> None:
        if id(op) not in out:
            for name in reads_of(op):
                if name in made:
                    place(made[name])
            out[id(op)] = op

    for op in ops:
        place(op)
    return tuple(out.values())


def _head(n: Node) -> tuple[object, ...]:
    return n.kind, str(n.label), n.dtype, len(n.args)


def _key(v: Vector) -> tuple[int, ...]:
    return tuple(-1 if n is None else n.number for n in v)


@dataclass
class _Carried:
    name: str
    dtype: DType
    of: tuple[int, ...]  # the vector whose value a step before this is
    initial: Node | None


class _Pattern:
    """The common form of one vector (a node for every time) or several. Loads of states and sums have no indices until
    `recurrence` knows over which loops they vary."""

    def __init__(self, graph: Unrolled, axes: tuple[Axis, ...], time: Axis, reverse: bool = False) -> None:
        self.graph, self.axes, self.time, self.reverse = graph, axes, time, reverse
        now: Expr = Index(time.name)
        self.now = apply("sub", const_index(time.extent - 1), now) if reverse else now
        self.done: dict[tuple[int, ...], Expr] = {}
        self.seen: dict[tuple[int, int], list[Vector]] = {}
        self.carried: dict[tuple[object, ...], _Carried] = {}
        self.sums: list[StepSum] = []
        self.delays = 0

    def root(self, v: Vector) -> Expr:
        """The form of a whole value; its first step may have one of its own."""
        return self.visit(v, first=True)

    def visit(self, v: Vector, first: bool = False) -> Expr:
        key = _key(v)
        if key not in self.done:
            self.done[key] = self._form(v, first)
        return self.done[key]

    def _form(self, v: Vector, first: bool) -> Expr:
        known = [n for n in v if n is not None]
        if len(known) < 3:
            raise Unfit
        if len({n.number for n in known}) == 1 and not known[0].sums:
            return self.graph.expression(known[0])
        state = self._state(v)
        if state is not None:
            return state
        for t, n in enumerate(v):
            if n is not None and n.kind in ("apply", "sum"):
                self.seen.setdefault((t, n.number), []).append(v)
        if len({_head(n) for n in known}) == 1:
            return self._same(known[0], v)
        if all(n.kind == "const" and n.dtype is DType.I64 for n in known):
            return self._counted(v)
        return self._own_start(v) if first else self._delayed(v)

    def _same(self, like: Node, v: Vector) -> Expr:
        args = [self.visit(tuple(n and n.args[k] for n in v)) for k in range(len(like.args))]
        if like.kind != "sum":
            return self.graph.rebuilt(like, args)
        name = f"summed_{len(self.sums)}"
        self.sums.append(StepSum(name, like.label, args[0]))  # type: ignore[arg-type]
        return Load(name, (), like.dtype)

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
                return self._load(_key(w), v[0], end.dtype)
        return None

    def _load(self, of: tuple[int, ...], initial: Node | None, dtype: DType) -> Expr:
        if initial is not None and (initial.sums or initial.dtype is not dtype):
            raise Unfit
        place = (of, initial and initial.number)
        state = self.carried.setdefault(place, _Carried(f"carried_{len(self.carried)}", dtype, of, initial))
        return Load(state.name, (), dtype)

    def _own_start(self, v: Vector) -> Expr:
        """The first value is of another form than the rest."""
        start = next(t for t, n in enumerate(v) if n is not None)
        begin = v[start]
        assert begin is not None
        rest = self.visit((*v[:start], None, *v[start + 1 :]))
        early = apply("lt", self.now, const_index(start + 1))
        return apply("select", early, self.graph.expression(begin), rest, dtype=begin.dtype)

    def _delayed(self, v: Vector) -> Expr:
        """The first value differs because it is where a state starts that nothing else has shown yet."""
        self.delays += 1
        if self.delays > MOST_DELAYS or v[0] is None:
            raise Unfit
        ahead = (*v[1:], None)
        out = self._load(_key(ahead), v[0], v[0].dtype)
        self.done[_key(v)] = out
        self.visit(ahead)
        return out

    # ------------------------------------------------------------ the op

    def emitted(self, op: Map | Reduce | Contract, stacked: tuple[Axis, ...]) -> Emit | None:
        """The op's result, if it is a value of this recurrence at every time or at the last."""
        inner = tuple(self.graph.inner.values())
        for axes in (stacked, self.axes, (*self.axes, *inner)):
            if op.out.shape == tuple(a.extent for a in axes) and op.out.dtype.compute is op.out.dtype:
                value = self._stack_of(op, axes) if self.time in axes else self._end_of(op, axes)
                if value is not None:
                    return Emit(op.out, axes, value)
        return None

    def _stack_of(self, op: Map | Reduce | Contract, axes: tuple[Axis, ...]) -> Expr | None:
        points = range(self.time.extent)[:: -1 if self.reverse else 1]
        return self.done.get(_key(tuple(self._at(op, axes, t) for t in points)))

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
            State(c.name, over[c.name], self._initial(c), transform(self.done[c.of], placed))
            for c in self.carried.values()
        )
        sums = tuple(replace(s, value=transform(s.value, placed)) for s in self.sums)
        out = tuple(replace(e, value=transform(e.value, placed)) for e in emits)
        op = Recurrence(self.axes, self.time, inner, states, sums, out, self.reverse)
        _check(op)
        return op

    def _initial(self, c: _Carried) -> Expr:
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
                both = (self.done[c.of], self._initial(c))
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
