"""Loops over time that arrived unrolled, as one `Recurrence` again.

torch.export unrolls a Python loop, so h_t = f(h_{t-1}, x_t) becomes as many copies of f as there are steps, and the stack of
results a chain of selects. Here the stack is cut at every time t into an expression over the inputs (equal nodes are kept once),
the expressions of all times are anti-unified (Plotkin, 1970: the most specific term of which all are instances), integer constants
that grow linearly with t become the time loop, and a position whose value at t is that of another position at t - 1 is a state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kerf.kernels.ir import (
    Apply,
    Axis,
    Buffer,
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
    Reduce,
    apply,
    const_index,
    loads,
    outputs_of,
    reads_of,
    rename_axes,
    walk,
)
from kerf.kernels.pattern import Pattern, Vector, head
from kerf.kernels.unrolled import Node, Unfit, Unrolled, feature
from kerf.kernels.weave import Weave

FEWEST = 4  # steps worth a loop
FEWEST_ALONE = 8  # the same, where no stack of results says that there is a loop
MOST = 4096  # steps
MOST_ENDS = 8  # places near a program's end that may be the end of a loop
DEPTH, WIDTH = 12, 64  # how far down, and among how many nodes, a step's beginning is looked for


def reroll(program: Program) -> Program | None:
    """The program with its first unrolled recurrence as a `Recurrence`, or None where there is none."""
    from kerf.kernels.lower import live

    wanted = {*program.outputs, *program.updates}
    for start in filter(None, (_apart(program), program)):
        for op, new in _loops_in(start):
            ops = tuple(o for old in start.ops for o in (new if old is op else [old]))
            again = {b.name for o in new for b in outputs_of(o)}
            ops = tuple(o for o in ops if o in new or not again & {b.name for b in outputs_of(o)})
            ops = _in_order(live(_in_order(ops), wanted))
            if len(new) == 1 or len(program.ops) - len(ops) >= FEWEST:
                return program.rewritten("reroll", ops)
    return None


def _apart(program: Program) -> Program | None:
    """What two loops made, put side by side in one value (both directions of a layer), in a buffer for each."""
    for k, op in enumerate(program.ops):
        axis, cut = _seam(op) if isinstance(op, Map) else (None, 0)
        if axis is None or not isinstance(op, Map) or not isinstance(op.value, Apply):
            continue
        if any(_cut(program, op, time) for time in op.axes if time != axis):
            first, second = _part(op, axis, 0, cut), _part(op, axis, cut, axis.extent)
            sides = [_read(first, op, axis, 0), _read(second, op, axis, cut)]
            joined = apply("select", op.value.args[0], *sides, dtype=op.value.dtype)
            ops = (*program.ops[:k], first, second, replace(op, value=joined), *program.ops[k + 1 :])
            return program.rewritten("apart", ops)
    return None


def _seam(op: Map) -> tuple[Axis | None, int]:
    """The loop along which a value is put together from two, and where the second begins."""
    if isinstance(op.value, Apply) and op.value.op == "select" and op.out.dtype.compute is op.out.dtype:
        cond = op.value.args[0]
        for a in op.axes:
            if isinstance(cond, Apply) and cond.op == "lt" and cond.args[0] == Index(a.name):
                limit = cond.args[1]
                return (
                    (a, int(limit.value))
                    if isinstance(limit, Const) and 0 < limit.value < a.extent
                    else (None, 0)
                )
    return None, 0


def _part(op: Map, axis: Axis, start: int, stop: int) -> Map:
    """The op's points from `start` to `stop` along a loop."""
    assert isinstance(op.value, Apply)
    axes = tuple(Axis(a.name, stop - start) if a == axis else a for a in op.axes)
    out = Buffer(f"{op.out.name}_from_{start}", tuple(a.extent for a in axes), op.out.dtype)
    place = apply("add", Index(axis.name), const_index(start))
    return Map(out, axes, rename_axes(op.value.args[2 if start else 1], {axis.name: place}))


def _read(part: Map, op: Map, axis: Axis, start: int) -> Load:
    index = (apply("sub", Index(a.name), const_index(start if a == axis else 0)) for a in op.axes)
    return Load(part.out.name, tuple(index), part.out.dtype)


def _loops_in(program: Program) -> Iterator[tuple[Op, tuple[Op, ...]]]:
    """Ops with the loops over time that compute them: stacks along one of their axes, then last values; each time without matrix
    products in a step before with them, but for last values, of which any op could be one."""
    maps = [op for op in program.ops if isinstance(op, Map)]
    stacks = [(op, time) for op in reversed(maps) for time in op.axes if _cut(program, op, time)]
    yield from _tried(program, stacks, "kept")
    yield from _tried(program, stacks, "short")
    if _repeats(program):
        last = list(reversed(maps))[:MOST_ENDS]
        yield from _tried(program, [*stacks, *((op, None) for op in last)], "nodes")
    ends = [(op, None) for op in _ends(program, maps) if _size(op) > 2 * FEWEST_ALONE]
    yield from _tried(program, ends, "short")


def _ends(program: Program, maps: Sequence[Map]) -> Iterator[Map]:
    """The ops, the last first, whose results no op of the same form reads: the steps before are no ends of a loop."""
    forms = {op.out.name: _form(op.value) for op in maps}
    goes_on = {n for op in maps for n in reads_of(op) if forms.get(n) == forms[op.out.name]}
    return (op for op in reversed(maps) if op.out.name not in goes_on)


def _form(e: Expr) -> tuple[object, ...]:
    return (e.op, *map(_form, e.args)) if isinstance(e, Apply) else (type(e),)


def _tried(
    program: Program, tries: Sequence[tuple[Map, Axis | None]], products: str
) -> Iterator[tuple[Op, tuple[Op, ...]]]:
    whole = products == "nodes"
    roots = ((op, t, root) for op, t in tries for root in (_framed(op, t) if whole else [op]))
    for op, time, root in roots:
        graph = Unrolled(program, products)
        try:
            new = _stacked(graph, root, time) if time else _last(graph, root)
        except (Unfit, RecursionError):  # deeper than the interpreter's stack: left as it is
            continue
        yield op, new


def _repeats(program: Program) -> bool:
    """Are there as many products with the same weight as a loop worth finding has steps?"""
    made = {b.name for op in program.ops for b in outputs_of(op)}
    kinds = Counter(
        (op.out.shape, frozenset(reads_of(op)) - made) for op in program.ops if isinstance(op, Contract)
    )
    return max(kinds.values(), default=0) >= FEWEST


def _frame(axes: Sequence[Axis], named: Axis) -> tuple[Axis, ...]:
    """The loops, one of them called as in the left sides of products, where the value may be read."""
    return tuple(feature(a.extent) if a == named else a for a in axes)


def _framed(op: Map, time: Axis | None) -> Iterator[Map]:
    """The op so that one of its loops but time is what products sum over, the last first."""
    for named in [a for a in reversed(op.axes) if a != time][:2]:
        axes = _frame(op.axes, named)
        new: dict[str, Expr] = {old.name: Index(a.name) for old, a in zip(op.axes, axes)}
        yield replace(op, axes=axes, value=rename_axes(op.value, new))


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


def _stacked(graph: Unrolled, op: Map, time: Axis) -> tuple[Op, ...]:
    cases = _cases(graph, op, time)
    for reverse in (False, True):
        pattern = Pattern(graph, tuple(a for a in op.axes if a != time), time, reverse)
        try:
            value = pattern.root(cases[::-1] if reverse else cases)
        except Unfit:
            continue
        if pattern.carried:
            return _with_others(pattern, op, Emit(op.out, op.axes, value))
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


def _with_others(pattern: Pattern, op: Map, first: Emit) -> tuple[Op, ...]:
    """The recurrence, with every other value of it that the rest of the program still reads."""
    program, emits = pattern.graph.program, [first]
    wanted = {*program.outputs, *program.updates}
    weave = Weave(pattern, op.axes) if pattern.graph.whole else None
    places = weave.places() if weave else pattern.places(op.axes)
    for o in reversed([o for o in program.ops if op.out not in outputs_of(o)]):
        if wanted.isdisjoint(b.name for b in outputs_of(o)):
            continue
        found = pattern.emitted(o, places) if isinstance(o, Map | Reduce | Contract) else None
        emits += [found] if found else []
        wanted |= set() if found else set(reads_of(o))
    return weave.ops(emits) if weave else (pattern.recurrence(tuple(emits)),)


def _last(graph: Unrolled, op: Map) -> tuple[Op, ...]:
    """f(f(f(...))), where only the last value is wanted."""
    if graph.whole:
        _from_the_first(graph)
    end = graph.of(op.value, {a.name: graph.index(a) for a in op.axes})
    for chain in _chains(end):
        pattern = Pattern(graph, op.axes, Axis("t", len(chain)))
        try:
            value = pattern.root(tuple(reversed(chain)))
            if pattern.carried and not (graph.whole and pattern.delays):
                return _with_others(pattern, op, Emit(op.out, op.axes, value))
        except Unfit:
            continue
    raise Unfit


def _from_the_first(graph: Unrolled) -> None:
    """Every product written out in the program's order, so that each rests on those before and none goes deep."""
    for op in graph.program.ops:
        if isinstance(op, Contract):
            graph.loaded(
                op.out.name, tuple(graph.index(a) for a in _frame(op.axes, op.axes[-1])), op.out.dtype
            )


def _paths(end: Node) -> Iterator[tuple[int, ...]]:
    """Ways down from a node to others like it, short ones first."""
    level: list[tuple[tuple[int, ...], Node]] = [((), end)]
    for _ in range(DEPTH):
        level = [
            ((*path, k), a)
            for path, n in level
            for k, a in enumerate(n.args)
            if n.kind in ("apply", "product")
        ][:WIDTH]
        yield from (path for path, n in level if head(n) == head(end))


def _chains(end: Node) -> Iterator[list[Node]]:
    """The values of all steps, the last first. What a loop starts from may look like another step."""
    for path in _paths(end):
        chain = _chain(end, path)
        if len(chain) >= FEWEST_ALONE:
            yield from (chain, chain[:-1])


def _chain(end: Node, path: tuple[int, ...]) -> list[Node]:
    out, here = [end], end
    while True:
        for k in path:
            if len(here.args) <= k:
                return out
            here = here.args[k]
        if head(here) != head(end):
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
