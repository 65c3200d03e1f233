"""Which ops become one kernel.

Elementwise producers are first substituted into their only consumer where that saves a pass over memory; then each op in turn
joins the latest group whose generator accepts the longer group, if no cycle arises and, for loop nests, if no further
pass over memory is needed than the group had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from kerf.kernels.codegen.nest.join import join
from kerf.kernels.codegen.nest.phase import phases
from kerf.kernels.codegen.nest.pieces import Piece, joined, joint, pieces, unmerged
from kerf.kernels.codegen.nest.sweep import cost
from kerf.kernels.codegen.template import template_for
from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Contract,
    Expr,
    Group,
    Library,
    Load,
    Map,
    Op,
    Program,
    Reduce,
    affine,
    apply,
    exprs_of,
    linear,
    loads,
    outputs_of,
    reads_of,
    rename_axes,
    transform,
    within,
)

LEVELS = ("full", "none")
FEASIBLE = 16  # lanes for which it is asked whether a loop can be written; on which the answer hardly depends
CHEAP = 6  # vector instructions that may be done again for each use of a value
PROLOGUE = 4  # the same, inside a contraction, which reads its operands many times


def fuse(program: Program, level: str = "full") -> tuple[Group | Library, ...]:
    """Groups and library calls in execution order, covering every op that an output needs. `level`: "none" (one op a
    kernel) or "full". Groups are named k0, k1, ... in that order. Raises ValueError for another level."""
    if level not in LEVELS:
        raise ValueError(f"fusion level {level!r} is not one of {', '.join(LEVELS)}")
    ops = _live(program)
    if level == "full":
        ops = _inlined(ops, program)
    steps = _Steps(program, ops)
    for op in ops:
        steps.add(op, join=level == "full")
    return steps.groups()


def _live(program: Program) -> list[Op]:
    wanted = {*program.outputs, *program.updates}
    out: list[Op] = []
    for op in reversed(program.ops):
        if any(b.name in wanted for b in outputs_of(op)):
            wanted |= set(reads_of(op))
            out.append(op)
    return out[::-1]


# ---------------------------------------------------------------- substitution


def _inlined(ops: Sequence[Op], program: Program) -> list[Op]:
    """Maps substituted into their only consumer."""
    current = list(ops)
    kept = {*program.outputs, *program.updates}
    for op in [o for o in current if isinstance(o, Map) and o.out.name not in kept]:
        here = next(o for o in current if outputs_of(o)[0].name == op.out.name)
        readers = [o for o in current if op.out.name in reads_of(o)]
        if not isinstance(here, Map) or len(readers) != 1:
            continue
        new = _into_pieces(here, readers[0], program)
        if new is None and not _merged(here.out, readers[0]):
            new = _substituted(here, readers[0], program)
        if new is not None:
            current = [new if o is readers[0] else o for o in current if o is not here]
    return current


def _merged(made: Buffer, reader: Op) -> bool:
    """Does `reader` address two dimensions of the buffer by one index? Memory allows that (row-major, one index runs past its
    dimension while the one before it stays 0); a definition by dimensions does not."""
    extents = {a.name: a.extent for a in (*getattr(reader, "axes", ()), *getattr(reader, "raxes", ()))}
    found = [ld for e in exprs_of(reader) for ld in loads(e) if ld.buffer == made.name]
    return any(_runs_past(ld, made, extents) for ld in found)


def _runs_past(load: Load, made: Buffer, extents: Mapping[str, int]) -> bool:
    for d, index in enumerate(load.index):
        form = affine(index)
        fixed_before = any(isinstance(i, Const) and made.shape[e] > 1 for e, i in enumerate(load.index[:d]))
        if form is None or not fixed_before:
            continue
        last = form.offset + sum(max(0, c) * (extents.get(a, 1) - 1) for a, c in form.coefficients.items())
        if last >= made.shape[d]:
            return True
    return False


def _substituted(producer: Map, consumer: Op, program: Program) -> Op | None:
    if not _inside(producer, consumer):
        return None
    if isinstance(consumer, Contract):
        return _prologue(producer, consumer, program)
    if not isinstance(consumer, Map | Reduce):
        return None
    uses = [ld for ld in loads(consumer.value) if ld.buffer == producer.out.name]
    if not _pays(producer, consumer, uses):
        return None
    return replace(consumer, value=_with(consumer.value, producer))


def _into_pieces(producer: Map, consumer: Op, program: Program) -> Op | None:
    """The producer substituted into what is put together from it along a narrow axis: each piece reads its own part."""
    axis = joint(consumer.value, consumer.axes) if isinstance(consumer, Map) else None
    if axis is None or not isinstance(consumer, Map) or cost(producer.value) <= CHEAP:
        return None
    parts = [_piece(p, axis, producer, consumer) for p in pieces(consumer.value, axis)]
    uses = [prod(a.extent for a in part.axes) for part in parts for _ in _uses(producer, part)]
    if sum(uses) > producer.out.size or not all(_inside(producer, part) for part in parts):
        return None
    made = [
        Piece(p.start, p.extent, _with(part.value, producer))
        for p, part in zip(pieces(consumer.value, axis), parts, strict=True)
    ]
    new = replace(consumer, value=joined(made, axis.name))
    group = _group("k", [new], program, set())
    (phase,) = phases(group)
    return new if join(phase, group.buffer, FEASIBLE) else None


def _piece(piece: Piece, axis: Axis, producer: Map, consumer: Map) -> Map:
    """The piece as a map of its own, which reads the producer by its dimensions."""
    axes = tuple(replace(a, extent=piece.extent) if a == axis else a for a in consumer.axes)
    extents = {a.name: a.extent for a in axes}
    value = unmerged(piece.value, producer.out.name, producer.out.shape, extents)
    return replace(consumer, axes=axes, value=value)


def _uses(producer: Map, consumer: Map) -> set[Load]:
    return {ld for ld in loads(consumer.value) if ld.buffer == producer.out.name}


def _inside(producer: Map, consumer: Op) -> bool:
    """A load that runs past a dimension sees the buffer in another shape: its indices are not the producer's axes."""
    axes = (*getattr(consumer, "axes", ()), *getattr(consumer, "raxes", ()))
    extents = {a.name: a.extent for a in axes}
    uses = (ld for e in exprs_of(consumer) for ld in loads(e) if ld.buffer == producer.out.name)
    return all(within(ld, producer.out, extents) for ld in uses)


def _pays(producer: Map, consumer: Map | Reduce, uses: Sequence[Load]) -> bool:
    """Does computing the value where it is used cost less than writing and reading it? Heavy values are not computed more often
    than once an element; values that a nest shares anyway are left to it."""
    axes = (*consumer.axes, *(consumer.raxes if isinstance(consumer, Reduce) else ()))
    times = prod(a.extent for a in axes) * len(set(uses))
    if cost(producer.value) <= CHEAP:
        return True
    return times <= producer.out.size and not any(_across(ld, producer.out, axes) for ld in uses)


def _across(load: Load, made: Buffer, axes: Sequence[Axis]) -> bool:
    """Does the innermost loop step through memory in leaps? Compilers do not vectorize what is computed from such loads."""
    form = linear(load, made)
    return form is not None and bool(axes) and form.of(axes[-1].name) > 1


def _prologue(producer: Map, consumer: Contract, program: Program) -> Op | None:
    if cost(producer.value) > PROLOGUE:
        return None
    new = replace(consumer, lhs=_with(consumer.lhs, producer), rhs=_with(consumer.rhs, producer))
    before, after = (
        template_for(_group("k", [consumer], program, set())),
        template_for(_group("k", [new], program, set())),
    )
    return new if after is not None and after is before and _plain(producer) else None


def _plain(producer: Map) -> bool:
    """A view: one load and nothing else, or arithmetic on one load."""
    return len({ld.buffer for ld in loads(producer.value)}) == 1


def _with(expr: Expr, producer: Map) -> Expr:
    """`expr` with loads of the producer's result replaced by what it computes, in the type that it would have stored."""

    def leaf(node: Expr) -> Expr | None:
        if not isinstance(node, Load) or node.buffer != producer.out.name:
            return None
        index = [_with(i, producer) for i in node.index]
        value = rename_axes(producer.value, dict(zip([a.name for a in producer.axes], index, strict=True)))
        want = node.dtype
        return value if value.dtype.compute is want else apply("cast", value, dtype=want)

    return transform(expr, leaf)


# ---------------------------------------------------------------- grouping


@dataclass
class _Step:
    ops: list[Op]
    library: bool = False

    @cached_property
    def made(self) -> set[str]:
        return {b.name for op in self.ops for b in outputs_of(op)}

    @cached_property
    def read(self) -> set[str]:
        return {n for op in self.ops for n in reads_of(op)} - self.made


class _Steps:
    """Steps in execution order, grown one op at a time."""

    def __init__(self, program: Program, ops: Sequence[Op]) -> None:
        self.program = program
        self.ops = ops
        self.steps: list[_Step] = []
        self.readers = Counter(n for op in ops for n in reads_of(op))

    def add(self, op: Op, join: bool) -> None:
        if join and not isinstance(op, Library):
            for place in self._candidates(op):
                if self._join(place, [op]):
                    self._absorb(next(i for i, s in enumerate(self.steps) if op in s.ops))
                    return
        self.steps.append(_Step([op], isinstance(op, Library)))
        if join and isinstance(op, Map | Reduce):
            self._absorb(len(self.steps) - 1)

    def _candidates(self, op: Op) -> list[int]:
        """Steps that the op could join, producers first, each the latest first."""
        reads = set(reads_of(op))
        direct = [i for i, s in enumerate(self.steps) if not s.library and reads & s.made]
        sharing = [
            i
            for i, s in enumerate(self.steps)
            if not s.library and i not in direct and reads & s.read and _nested(s.ops)
        ]
        return direct[::-1] + (sharing[::-1] if isinstance(op, Map | Reduce) else [])

    def _join(self, place: int, ops: list[Op]) -> bool:
        target = self.steps[place]
        where = self._position(place, {n for op in ops for n in reads_of(op)})
        if where is None or not self._better(target.ops, ops):
            return False
        del self.steps[place]
        self.steps.insert(where, _Step([*target.ops, *ops]))
        return True

    def _position(self, place: int, reads: set[str]) -> int | None:
        """Where the step may stand once it also reads `reads`: as it is, or behind the last producer, if nothing between reads it."""
        last = max([i for i, s in enumerate(self.steps) if s.made & reads] or [place])
        if last <= place:
            return place
        between = self.steps[place + 1 : last + 1]
        return None if any(s.read & self.steps[place].made for s in between) else last

    def _better(self, ops: list[Op], more: list[Op]) -> bool:
        group = self.group("k", [*ops, *more])
        if not (_nested(ops) and _nested(more)):
            return template_for(group) is not None and _same_domain(ops[0], more)
        return len(phases(group)) < len(phases(self.group("k", ops))) + len(phases(self.group("k", more)))

    def _absorb(self, place: int) -> None:
        """Let an earlier step take in the one at `place`, where both become one nest."""
        me = self.steps[place]
        if not _nested(me.ops):
            return
        for i in range(place - 1, -1, -1):
            other = self.steps[i]
            related = me.read & (other.made | other.read)
            if other.library or not _nested(other.ops) or not related or self._blocks(i, place):
                continue
            if self._better(other.ops, me.ops):
                del self.steps[place]
                self.steps[i] = _Step([*other.ops, *me.ops])
                self._settle(i, place)
                return

    def _blocks(self, first: int, second: int) -> bool:
        """Is there a step between the two that must run after the first and before the second?"""
        tainted = set(self.steps[first].made)
        for s in self.steps[first + 1 : second]:
            if s.read & tainted:
                tainted |= s.made
        return bool(self.steps[second].read & (tainted - self.steps[first].made))

    def _settle(self, first: int, second: int) -> None:
        """Order the steps between two that became one (now at `first`): its inputs' producers before, the rest after."""
        merged, between = self.steps[first], self.steps[first + 1 : second]
        before: list[_Step] = []
        wanted = set(merged.read)
        for s in reversed(between):
            if s.made & wanted:
                before.insert(0, s)
                wanted |= s.read
        after = [s for s in between if not any(s is b for b in before)]
        self.steps[first:second] = [*before, merged, *after]

    def group(self, name: str, ops: Sequence[Op]) -> Group:
        mine = Counter(n for op in ops for n in reads_of(op))
        outside = {b.name for op in ops for b in outputs_of(op) if self.readers[b.name] > mine[b.name]}
        return _group(name, ops, self.program, outside)

    def groups(self) -> tuple[Group | Library, ...]:
        out: list[Group | Library] = []
        for s in self.steps:
            first = s.ops[0]
            number = sum(isinstance(o, Group) for o in out)
            out.append(first if isinstance(first, Library) else self.group(f"k{number}", s.ops))
        return tuple(out)


def _nested(ops: Iterable[Op]) -> bool:
    return all(isinstance(op, Map | Reduce) for op in ops)


def _same_domain(main: Op, more: Sequence[Op]) -> bool:
    """An epilogue works on the main op's result, element by element."""
    size = outputs_of(main)[0].size
    return all(outputs_of(op)[0].size == size or isinstance(op, Reduce) for op in more)


def _group(name: str, ops: Sequence[Op], program: Program, outside: set[str]) -> Group:
    made = {b.name: b for op in ops for b in outputs_of(op)}
    buffers: Mapping[str, Buffer] = program.buffers
    reads = dict.fromkeys(n for op in ops for n in reads_of(op) if n not in made)
    wanted = outside | set(program.outputs) | set(program.updates)
    return Group(
        name, tuple(ops), tuple(buffers[n] for n in reads), tuple(b for n, b in made.items() if n in wanted)
    )
