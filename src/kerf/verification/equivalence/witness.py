"""Differences shown on the two designs themselves, not on the product that an engine saw; and the product shown to be what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.compiled import simulator
from kerf.verification.equivalence.product import Compared, Product
from kerf.verification.equivalence.simulation import Cycle, run
from kerf.verification.graph import FALSE, FREE
from kerf.verification.lanes import ALL, Lanes, random_planes
from kerf.verification.model import Model
from kerf.verification.prove import Unsound, read_trace
from kerf.verification.sat import Unrolling
from kerf.verification.trace import Trace, replay

WORDS = 4


def confirm(gold: Model, gate: Model, made: Product, trace: Trace) -> tuple[str, ...]:
    """The outputs that differ in the last cycle of `trace`, by simulation of both designs, gold with 256 choices of its unknowns: those bits in
    which all choices agree and gate differs. Unsound when there are none."""
    last = len(trace) - 1
    ours = _outputs(gold, trace.inputs, {}, last, np.random.default_rng(1))
    theirs = _outputs(gate, trace.inputs, _chosen(gate, made, trace), last, None)
    differ = dict.fromkeys(
        c.output
        for c in made.compared
        if _agreed(row := ours[c.output][c.bit]) and (row ^ theirs[c.output][c.bit]).any()
    )
    if not differ:
        raise Unsound("a difference of two designs does not show in simulation")
    return tuple(differ)


def _agreed(row: np.ndarray) -> bool:
    return not row.any() or bool((row == ALL).all())


def _chosen(gate: Model, made: Product, trace: Trace) -> dict[int, list[int]]:
    """What the trace says of gate's unknowns: node -> the initial value of a latch, or the values of an input cycle by cycle."""
    found: dict[int, list[int]] = {}
    for node, literal in made.gate_nodes.items():
        if literal >> 1 in trace.start and node in gate.graph.latches:
            found[node] = [trace.start[literal >> 1]]
        elif trace.free and literal >> 1 in trace.free[0]:
            found[node] = [row[literal >> 1] for row in trace.free]
    return found


def _outputs(side: Model, inputs: Sequence[Mapping[str, int]], chosen: Mapping[int, Sequence[int]], last: int,
             rng: np.random.Generator | None) -> dict[str, np.ndarray]:  # fmt: skip
    """The outputs of one design in cycle `last`; unknowns as `chosen`, else by `rng`, else 0."""
    graph, outputs = side.graph, [b for n in side.outputs for b in side.graph.signals[n].bits]
    lanes = simulator(graph, WORDS, side.initial, outputs)
    latches = [n for n in graph.latches if side.initial[n] == FREE]
    named = {b >> 1 for s in graph.signals.values() if s.kind == "input" for b in s.bits}
    pick = lambda: random_planes(rng, 1, WORDS)[0] if rng else 0  # noqa: E731
    for node in latches:
        lanes.set_node(node, chosen[node][0] if node in chosen else pick())
    for t in range(last + 1):
        for name in side.inputs:
            lanes.set_word(name, int(inputs[t].get(name, 0)))
        for node in graph.inputs:
            if node not in named:
                lanes.set_node(node, chosen[node][t] if node in chosen else pick())
        for node, value in side.held.items():
            lanes.set_node(node, value)
        lanes.evaluate()
        if t < last:
            lanes.clock()
    return {n: lanes.planes(graph.signals[n].bits) for n in side.outputs}


def check_product(gold: Model, gate: Model, made: Product, cycles: int = 12) -> None:
    """In random runs the product's outputs are those of the designs: gate's always, gold's where it says that they are determined. Unsound otherwise."""
    unknown = {FALSE, *(d.one for d in made.doubled)}
    mine = {n: literal for n, literal in made.gold_nodes.items() if literal not in unknown}
    sides = [_Follower(gold, mine), _Follower(gate, made.gate_nodes)]
    for cycle in run(made.model, made.pairs, cycles=cycles, words=1, seed=3):
        ours, theirs = (side.step(cycle) for side in sides)
        for c in made.compared:
            known, one, other = (cycle.lanes.literal(x) for x in (c.known, c.gold, c.gate))
            wrong = (known & (one ^ ours[c.output][c.bit])) | (other ^ theirs[c.output][c.bit])
            if wrong.any():
                raise Unsound(f"the product of two designs misrepresents output {c.output}")


class _Follower:
    """A design simulated beside the product, with the same inputs; unknowns as in the product where `nodes` says which literal of it they are,
    and random elsewhere."""

    def __init__(self, side: Model, nodes: Mapping[int, int]) -> None:
        self.side, self.nodes, self.rng = side, nodes, np.random.default_rng(2)
        self.lanes = Lanes(side.graph, 1, side.initial)
        named = {b >> 1 for s in side.graph.signals.values() if s.kind == "input" for b in s.bits}
        self.free = [n for n in side.graph.inputs if n not in named]

    def step(self, cycle: Cycle) -> dict[str, np.ndarray]:
        lanes, side = self.lanes, self.side
        if cycle.time:
            lanes.clock()
        else:
            for node in side.graph.latches:
                if side.initial[node] == FREE:
                    lanes.set_node(node, self._value(cycle, node))
        for name in side.inputs:
            lanes.set_word(name, cycle.inputs.get(name, 0))  # a clock that the other alone uses
        for node in self.free:
            lanes.set_node(node, self._value(cycle, node))
        for node, value in side.held.items():
            lanes.set_node(node, value)
        lanes.evaluate()
        return {n: lanes.planes(side.graph.signals[n].bits) for n in side.outputs}

    def _value(self, cycle: Cycle, node: int) -> np.ndarray:
        literal = self.nodes.get(node)
        return random_planes(self.rng, 1, 1)[0] if literal is None else cycle.lanes.literal(literal)


def explainable(gold: Model, inputs: Sequence[Mapping[str, int]], wanted: Sequence[Mapping[tuple[str, int], int]]) -> bool:  # fmt: skip
    """Whether some choice of gold's unknowns gives the `wanted` values of output bits, (name, bit) -> value, cycle by cycle."""
    unrolling = Unrolling(gold.graph, gold.initial, gold.held)
    signals = gold.graph.signals
    try:
        for t, row in enumerate(inputs):
            for name in gold.inputs:
                for i, bit in enumerate(signals[name].bits):
                    unrolling.require(bit ^ 1 ^ (int(row.get(name, 0)) >> i & 1), t)
            for (name, i), value in wanted[t].items():
                unrolling.require(signals[name].bits[i] ^ 1 ^ value, t)
        return unrolling.solve()
    finally:
        unrolling.close()


def table(made: Product, trace: Trace) -> tuple[dict[str, int | str], ...]:
    """One row a cycle: inputs; of each output the value where both have the same, else "gold/gate" in binary, x where gold determines nothing."""
    literals = sorted({x for c in made.compared for x in (c.known, c.gold, c.gate)})
    rows = []
    for t, values in enumerate(replay(made.model, trace, [], literals)):
        row: dict[str, int | str] = {n: int(trace.inputs[t].get(n, 0)) for n in made.model.inputs}
        for output in dict.fromkeys(c.output for c in made.compared):
            row[output] = _cell([c for c in made.compared if c.output == output], values)
        rows.append(row)
    return tuple(rows)


def _cell(bits: Sequence[Compared], values: Mapping[str | int, int]) -> int | str:
    ours = "".join(str(values[c.gold]) if values[c.known] else "x" for c in reversed(bits))
    theirs = "".join(str(values[c.gate]) for c in reversed(bits))
    return int(ours, 2) if ours == theirs else f"{ours}/{theirs}"


@dataclass(frozen=True)
class Search:
    """`trace`: the shortest run that shows the target; without one, `clean` cycles are free of it."""

    trace: Trace | None
    clean: int


def shortest(model: Model, target: int, cycles: int, deadline: float) -> Search:
    """Cycle by cycle, with one incremental solver that stops at `deadline` (of `time.monotonic`)."""
    unrolling = Unrolling(model.graph, model.initial, model.held)
    try:
        for t in range(cycles):
            found = unrolling.solve_until([unrolling.at(target, t)], deadline)
            if found:
                return Search(read_trace(model, unrolling, t), t)
            if found is None:
                return Search(None, t)
    finally:
        unrolling.close()
    return Search(None, cycles)
