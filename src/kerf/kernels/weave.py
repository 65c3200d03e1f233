"""A step with matrix products, as ops: what a state needs of itself stays in a loop over time, everything else leaves it.

States that depend on each other form one `Recurrence`; those of another layer form one of their own. A product that reads no
state of the loop it serves, such as an input's share, or that only reads what the loop makes, such as an output layer, becomes
one `Contract` over all times (Appleyard et al., "Optimizing Performance of Recurrent Neural Networks on GPUs", 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from kerf.kernels.ir import (
    Axis,
    Buffer,
    Contract,
    DType,
    Emit,
    Expr,
    Index,
    Load,
    Map,
    Op,
    Recurrence,
    State,
    StepProduct,
    const_index,
    linear,
    loads,
    rename_axes,
    transform,
    walk,
)
from kerf.kernels.pattern import Carried, Pattern, Product
from kerf.kernels.unrolled import Unfit

Names = frozenset[str]


@dataclass
class _Loop:
    """One `Recurrence` to be: its states, its loops (the last is the products' column), and what it must store."""

    states: Names
    axes: tuple[Axis, ...]
    emits: dict[tuple[Expr, bool], tuple[Buffer, tuple[Axis, ...]]] = field(default_factory=dict)


class Weave:
    """The ops of one pattern. `order`: the loops of the value it was found by, as they lie in memory."""

    def __init__(self, pattern: Pattern, order: Sequence[Axis]) -> None:
        if pattern.sums:
            raise Unfit
        self.pattern, self.time, self.graph = pattern, pattern.time, pattern.graph
        self.carried: dict[str, Carried] = {c.name: c for c in pattern.carried.values()}
        self.next = {name: pattern.done[c.of] for name, c in self.carried.items()}
        self.order = [a.name for a in order]
        self.order = self.order if self.time in order else [self.time.name, *self.order]
        self.over = {p.weight.over.name for p in pattern.products.values()}
        self.needs = self._needs()
        self.free = self._free()
        self.loops = {name: loop for loop in self._found() for name in loop.states}
        self.made: dict[object, Contract] = {}
        self.buffers = dict(self.graph.program.buffers)

    # ------------------------------------------------------------ who needs whom

    def _needs(self) -> dict[str, Names]:
        """Of every state and product: the states that it depends on, through others too."""
        direct = {n: self._states_in(e) for n, e in self.next.items()}
        direct |= {n: self._states_in(p.left) for n, p in self.pattern.products.items()}
        changed = True
        while changed:
            new = {n: d.union(*(direct[x] for x in d)) for n, d in direct.items()}
            changed, direct = new != direct, new
        return direct

    def _states_in(self, e: Expr) -> Names:
        """States read by an expression, and by the products in it."""
        found: set[str] = set()
        for ld in loads(e):
            if ld.buffer in self.carried:
                found.add(ld.buffer)
            elif ld.buffer in self.pattern.products:
                found |= self._states_in(self.pattern.products[ld.buffer].left)
        return frozenset(found)

    def _free(self) -> dict[str, Names]:
        """The loops, other than time, over which every state and product varies."""
        products = self.pattern.products
        known: dict[str, Names] = {n: frozenset() for n in (*self.carried, *products)}
        while True:
            new = {n: self._loops_of(self.next[n], known) | self._loops_of(self.pattern.initial(c), known)
                   for n, c in self.carried.items()}  # fmt: skip
            for n, p in products.items():
                left = self._loops_of(p.left, known) - {p.weight.over.name}
                new[n] = left.union(*(self._loops_of(e, known) for e in p.columns))
            if new == known:
                return known
            known = new

    def _loops_of(self, e: Expr, known: dict[str, Names]) -> Names:
        found = {x.axis for x in walk(e) if isinstance(x, Index)} - {self.time.name}
        return frozenset(found.union(*(known.get(ld.buffer, ()) for ld in loads(e))))

    def _found(self) -> list[_Loop]:
        """States that depend on each other, together."""
        groups = dict.fromkeys(
            frozenset([n, *(m for m in self.needs[n] if n in self.needs[m])]) for n in self.carried
        )
        return [_Loop(g, self._axes(frozenset().union(*(self.free[n] for n in g)))) for g in groups]

    def _axes(self, names: Iterable[str]) -> tuple[Axis, ...]:
        """In the order of memory, what a product reads last."""

        def place(name: str) -> tuple[bool, int, str]:
            rank = self.order.index(name) if name in self.order else len(self.order)
            return name in self.over, rank, name

        extents = {**self.graph.extents, self.time.name: self.time.extent}
        return tuple(Axis(n, extents[n]) for n in sorted(names, key=place))

    def places(self) -> tuple[tuple[Axis, ...], ...]:
        """Loops over which a value may be wanted: those of its states, with time anywhere among them or without."""
        wide = dict.fromkeys(loop.axes for loop in self.loops.values())
        timed = [(*axes[:k], self.time, *axes[k:]) for axes in wide for k in range(len(axes) + 1)]
        return self.pattern.axes, *wide, *timed

    # ------------------------------------------------------------ expressions in their places

    def _inside(self, home: _Loop | None, product: str) -> bool:
        return home is not None and not home.states.isdisjoint(self.needs[product])

    def value(self, e: Expr, home: _Loop | None, last: bool = False) -> Expr:
        """`e` as it is read in a loop, or outside all of them: what others make comes from memory. `last`: of the last time."""
        known = {self.next[n]: n for n in self.carried if self._apart(n, home)}

        def leaf(x: Expr) -> Expr | None:
            if x in known:
                return self._read(self.loops[known[x]], x, last)
            if isinstance(x, Load) and x.buffer in self.carried and self.loops[x.buffer] is not home:
                return self._read(self.loops[x.buffer], x, last)
            if isinstance(x, Load) and x.buffer in self.pattern.products and not self._inside(home, x.buffer):
                return self._product(self.pattern.products[x.buffer], last)
            return const_index(self._end) if last and x == Index(self.time.name) else None

        return transform(e, leaf)

    @property
    def _end(self) -> int:
        return 0 if self.pattern.reverse else self.time.extent - 1

    def _apart(self, state: str, home: _Loop | None) -> bool:
        return home is None or home.states.isdisjoint({state, *self.needs[state]})

    def _read(self, loop: _Loop, e: Expr, last: bool) -> Load:
        """A value of a loop, stored by it."""
        if (e, last) not in loop.emits:
            axes = loop.axes if last else self._axes([a.name for a in (*loop.axes, self.time)])
            loop.emits[e, last] = self._buffer("last" if last else "steps", axes, e.dtype), axes
        buffer, axes = loop.emits[e, last]
        return Load(buffer.name, tuple(Index(a.name) for a in axes), buffer.dtype)

    def _buffer(self, kind: str, axes: Sequence[Axis], dtype: DType) -> Buffer:
        number = next(k for k in range(len(self.buffers) + 1) if f"v_{kind}_{k}" not in self.buffers)
        made = Buffer(f"v_{kind}_{number}", tuple(a.extent for a in axes), dtype)
        self.buffers[made.name] = made
        return made

    def _product(self, p: Product, last: bool) -> Load:
        """A product of all times at once."""
        left = self.value(p.left, None, last)
        key = (p.weight, left)
        if key not in self.made:
            rows = {x.axis for x in walk(left) if isinstance(x, Index)} - {p.weight.over.name}
            axes = (*self._rows(rows, left), *p.weight.outs)
            out = self._buffer("product", axes, DType.F32)
            self.made[key] = Contract(out, axes, (p.weight.over,), left, p.weight.value)
        made = self.made[key]
        rows_index = [Index(a.name) for a in made.axes[: len(made.axes) - len(p.columns)]]
        return Load(made.out.name, (*rows_index, *p.columns), DType.F32)

    def _rows(self, names: Iterable[str], left: Expr) -> tuple[Axis, ...]:
        """In the order in which the left side lies in memory, so that they are one loop."""
        axes = self._axes(names)
        for ld in loads(left):
            form = linear(ld, self.buffers[ld.buffer])
            if form is not None and all(form.of(a.name) for a in axes):
                return tuple(sorted(axes, key=lambda a: -form.of(a.name)))
        return axes

    # ------------------------------------------------------------ ops

    def ops(self, wanted: Sequence[Emit]) -> tuple[Op, ...]:
        """Ops that store what is wanted. Raises Unfit where some loop has no form that a kernel could have."""
        maps: list[Map] = []
        for e in sorted(wanted, key=lambda e: e.value not in self.next.values()):
            loop = self._only(e)
            key = (e.value, self.time not in e.axes)
            if loop is not None and key not in loop.emits:
                loop.emits[key] = e.out, e.axes
            else:
                maps.append(Map(e.out, e.axes, self.value(e.value, None, self.time not in e.axes)))
        loops = list({id(x): x for x in self.loops.values()}.values())
        made: dict[int, Recurrence] = {}
        while todo := [
            x for x in loops if x.emits and (id(x) not in made or len(made[id(x)].emits) < len(x.emits))
        ]:
            made |= {id(x): self._recurrence(x) for x in todo}
        return *self.made.values(), *made.values(), *maps

    def _only(self, e: Emit) -> _Loop | None:
        """The loop that has all that the value needs, over the same axes."""
        read = {ld.buffer for ld in loads(e.value)}
        for loop in self.loops.values():
            core = {p for n in loop.states for p in self._products_in(self.next[n], loop)}
            own = {p for p in read & self.pattern.products.keys() if self._inside(loop, p)}
            if (
                (read & self.carried.keys()) <= loop.states
                and own <= core
                and {*loop.axes, self.time} == {*e.axes, self.time}
            ):
                return loop
        return None

    def _recurrence(self, loop: _Loop) -> Recurrence:
        wanted = [*(self.next[n] for n in sorted(loop.states)), *(e for e, _ in loop.emits)]
        inside = self._in_order([p for e in wanted for p in self._products_in(e, loop)])
        here, column = {*loop.states, *inside}, loop.axes[-1:]
        if any((p.weight.over,) != column for p in inside.values()):
            raise Unfit
        rows = tuple(Index(a.name) for a in loop.axes[:-1])

        def placed(e: Expr, last: str) -> Expr:
            def leaf(x: Expr) -> Expr | None:
                return (
                    replace(x, index=(*rows, Index(last)))
                    if isinstance(x, Load) and x.buffer in here
                    else None
                )

            return transform(self.value(e, loop), leaf)

        name = column[0].name
        states = tuple(
            State(n, loop.axes, self.pattern.initial(self.carried[n]), placed(self.next[n], name))
            for n in sorted(loop.states)
        )
        emits = tuple(Emit(out, axes, placed(e, name)) for (e, _), (out, axes) in loop.emits.items())
        products = tuple(self._step(n, p, column[0], placed) for n, p in inside.items())
        made = Recurrence(loop.axes, self.time, (), states, (), emits, self.pattern.reverse, products)
        _check(made)
        return made

    def _products_in(self, e: Expr, loop: _Loop) -> list[str]:
        """Products of the loop that an expression needs, those that others need first."""
        found: list[str] = []
        for ld in loads(e):
            if ld.buffer in self.pattern.products and self._inside(loop, ld.buffer):
                found += [*self._products_in(self.pattern.products[ld.buffer].left, loop), ld.buffer]
        return found

    def _in_order(self, names: Iterable[str]) -> dict[str, Product]:
        return {n: self.pattern.products[n] for n in dict.fromkeys(names)}

    def _step(self, name: str, p: Product, column: Axis, placed: Callable[[Expr, str], Expr]) -> StepProduct:
        raxis = Axis(f"r_{column.extent}", column.extent)
        left = rename_axes(placed(p.left, column.name), {column.name: Index(raxis.name)})
        places = {a.name: e for a, e in zip(p.weight.outs, p.columns, strict=True)}
        return StepProduct(
            name, raxis, left, rename_axes(p.weight.value, {**places, column.name: Index(raxis.name)})
        )


def _check(op: Recurrence) -> None:
    """Every value must depend only on loops that are there where it is computed."""
    space, time = {a.name for a in op.axes}, op.time.name
    for p in op.products:
        last = op.axes[-1].name
        sides = [(p.left, space - {last} | {p.raxis.name, time}), (p.right, {last, p.raxis.name})]
        if any(isinstance(x, Index) and x.axis not in allowed for e, allowed in sides for x in walk(e)):
            raise Unfit
    values = [*((s.initial, space) for s in op.states), *((s.value, space | {time}) for s in op.states)]
    values += [(e.value, space | {time}) for e in op.emits]
    if any(isinstance(x, Index) and x.axis not in allowed for e, allowed in values for x in walk(e)):
        raise Unfit
