"""Can a mutant be told from its design at all? Both in one graph, sharing inputs and every latch that the fault cannot touch.

First whether, in any state at all, outputs and next states are the same (one call of a SAT solver); then the model checker on what is left.
A register that no reset reaches starts with the same unknown value in both; one that only the mutant does not reset, with any.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kerf.verification.graph import FALSE, FREE, TRUE, Graph, Node
from kerf.verification.model import ternary_step
from kerf.verification.mutation.mutated import Mutated
from kerf.verification.prove import Property, Unsound, Verdict, prove
from kerf.verification.sat import Unrolling
from kerf.verification.trace import Trace

SOLVERS = ("glucose4", "minisat22")  # the second confirms the first; both can be told how much to try
EFFORT, TURNS = 20_000, 10  # conflicts, and in how many turns, between which the time is looked at


@dataclass(frozen=True)
class Difference:
    """`verdict`: proved (the mutant is equivalent), refuted (`trace` tells it from the design in its last cycle), or undecided. `complete`: the trace has
    all values that the difference rests on; else it may take an x, or a register of no name, to be what shows it."""

    verdict: Verdict
    engine: str = ""
    trace: Trace | None = None
    complete: bool = True


@dataclass
class Products:
    """Compares mutants of one graph with the design, one after another in a growing graph of its own."""

    mutated: Mutated
    graph: Graph = field(default_factory=Graph)
    _design: dict[int, int] = field(default_factory=dict)
    _initial: dict[int, int] = field(default_factory=dict)
    _start: dict[int, int] = field(default_factory=dict)
    _twins: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        source = self.mutated.graph
        self._switches = {n for row in self.mutated.select for n in row}
        self._unused = [n for n in self._vector_bits() if n not in self._switches]
        self._uses = _uses(source)
        self._start = self._after_reset(())
        for node in range(len(source)):
            self._design[node] = self._copy(node)
        for node in source.latches:
            self.graph.set_next(self._design[node], self._at(source.left[node], {}))
        self._first = self.graph.add_latch(1)
        self.graph.set_next(self._first, FALSE)
        self._initial[self._first >> 1] = 1
        self._name()

    def _vector_bits(self) -> list[int]:
        return [b >> 1 for n, s in self.mutated.graph.signals.items() if n.rpartition(".")[2].startswith("kerf_mutant_") for b in s.bits]  # fmt: skip

    def _copy(self, node: int) -> int:
        source = self.mutated.graph
        kind = source.kind[node]
        if kind == Node.INPUT:
            return FALSE if node in self._switches or node in self._unused else self.graph.add_input()
        if kind == Node.LATCH:
            latch = self.graph.add_latch(self._start[node])
            self._initial[latch >> 1] = self._start[node]
            return latch
        if kind == Node.AND:
            return self.graph.conjunction(self._at(source.left[node], {}), self._at(source.right[node], {}))
        return FALSE

    def _at(self, literal: int, changed: Mapping[int, int]) -> int:
        node = literal >> 1
        return changed.get(node, self._design[node]) ^ (literal & 1)

    def _name(self) -> None:
        """Words that stimulus and the clock need."""
        for name, signal in self.mutated.graph.signals.items():
            if signal.kind == "input":
                bits = tuple(self._at(b, {}) for b in signal.bits)
                self.graph.signals[name] = replace(signal, bits=bits)

    def _after_reset(self, on: tuple[int, ...]) -> dict[int, int]:
        """The state in which tests begin, with the switches `on`."""
        model, source = self.mutated.model, self.mutated.graph
        state = {n: source.right[n] for n in source.latches}
        if model.reset is None:
            return state
        quiet = dict.fromkeys((*self._switches, *self._unused), 0) | dict.fromkeys(on, 1)
        for held in model.reset.steps(source, model.clock):
            state = ternary_step(source, state, quiet | held)
        return state

    def compare(self, index: int, seconds: float) -> Difference:
        """Mutant `index` with the design, in at most about `seconds`."""
        deadline = time.monotonic() + seconds
        on = self.mutated.select[index]
        start = {n: FREE if self._start[n] == FREE else v for n, v in self._after_reset(on).items()}
        certain = all(v != FREE or self._start[n] == FREE for n, v in start.items())
        split = {n: self._twin(n, start[n]) for n in start if start[n] != self._start[n]}
        first = not split
        while True:
            changed = self._changed(on, split)
            differing = self._differing(changed)
            if first and self._same_in_any_state(differing, changed, deadline):
                return Difference(Verdict.PROVED, "any state")
            first = False
            new = [n for n in differing if n not in split]
            if not new:
                break
            split |= {n: self._twin(n, start[n]) for n in new}
        for node, (latch, _) in split.items():
            self.graph.set_next(latch, self._at(self.mutated.graph.left[node], changed))
        return self._checked(changed, certain, deadline - time.monotonic())

    def _twin(self, node: int, start: int) -> tuple[int, int]:
        """The mutant's own latch, and its value: an unknown one is the design's in the first cycle."""
        both = start == FREE and self._start[node] == FREE
        latch = self.graph.add_latch(0 if both else start)
        self._twins.append(latch)
        self._initial[latch >> 1] = 0 if both else start
        value = self.graph.choose(self._first, self._design[node], latch) if both else latch
        return latch, value

    def _changed(self, on: tuple[int, ...], split: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Literals of the nodes that are not the design's, in ascending order of nodes."""
        source = self.mutated.graph
        changed = dict.fromkeys(on, TRUE) | {n: value for n, (_, value) in split.items()}
        for node in _reached(changed, self._uses):
            if source.kind[node] == Node.AND:
                left, right = source.left[node], source.right[node]
                if left >> 1 in changed or right >> 1 in changed:
                    literal = self.graph.conjunction(self._at(left, changed), self._at(right, changed))
                    if literal != self._design[node]:
                        changed[node] = literal
        return changed

    def _differing(self, changed: Mapping[int, int]) -> list[int]:
        """Latches whose next values are not the design's."""
        source = self.mutated.graph
        return [n for n in source.latches if self._at(source.left[n], changed) != self._at(source.left[n], {})]  # fmt: skip

    def _outputs_differ(self, changed: Mapping[int, int]) -> int:
        pairs = ((self._at(b, changed), self._at(b, {})) for b in self.mutated.outputs)
        return self.graph.any_of(self.graph.exclusive_or(a, b) for a, b in pairs)

    def _same_in_any_state(self, differing: list[int], changed: Mapping[int, int], deadline: float) -> bool:
        left = self.mutated.graph.left
        nexts = (self.graph.exclusive_or(self._at(left[n], changed), self._at(left[n], {})) for n in differing)  # fmt: skip
        bad = self.graph.any_of([self._outputs_differ(changed), *nexts])
        if bad == FALSE:
            return True
        if self._possible(bad, SOLVERS[0], deadline) is not False:
            return False
        again = self._possible(bad, SOLVERS[1], deadline)
        if again:
            raise Unsound("two solvers disagree about a mutant")
        return again is False

    def _possible(self, bad: int, solver: str, deadline: float) -> bool | None:
        """Whether a state and inputs make `bad` true; None when that takes more than EFFORT conflicts, or until `deadline`."""
        held = {self._design[self._node(n)] >> 1: v for n, v in self.mutated.model.held.items()}
        unrolling = Unrolling(self.graph, None, held, solver)
        try:
            asked, found = [unrolling.at(bad, 0)], None
            for _ in range(TURNS):
                if found is None and time.monotonic() < deadline:
                    unrolling.solver.conf_budget(EFFORT // TURNS)
                    found = unrolling.solver.solve_limited(assumptions=asked)
            return found
        finally:
            unrolling.close()

    def _node(self, node: int) -> int:
        return self.mutated.nodes[node] >> 1

    def _checked(self, changed: Mapping[int, int], certain: bool, seconds: float) -> Difference:
        bad = self._outputs_differ(changed)
        if bad == FALSE:
            return Difference(Verdict.PROVED, "structure")
        if seconds < 0.05:
            return Difference(Verdict.UNDECIDED)
        model = replace(self.mutated.model, graph=self.graph, initial=dict(self._initial), checks=())
        (found,) = prove(model, [Property("same", bad)], timeout_s=seconds)
        if found.trace is None:
            return Difference(found.verdict, found.engine)
        trace, whole = self._told(found.trace)
        return Difference(found.verdict, found.engine, trace, whole and certain)

    def _told(self, trace: Trace) -> tuple[Trace, bool]:
        """A trace in terms of the design's own graph, and whether it is all there."""
        back = {self._design[place >> 1] >> 1: (node, place & 1) for node, place in self.mutated.nodes.items()}  # fmt: skip
        start = {back[n][0]: v ^ back[n][1] for n, v in trace.start.items() if n in back}
        free = tuple({back[n][0]: v ^ back[n][1] for n, v in row.items() if n in back} for row in trace.free)
        added = {self._first >> 1, *(latch >> 1 for latch in self._twins)}
        unknown = {*trace.start, *(n for row in trace.free for n in row)} - back.keys() - added
        return Trace(trace.inputs, start, free), not unknown


def _uses(graph: Graph) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(len(graph))]
    for node in range(len(graph)):
        if graph.kind[node] == Node.AND:
            rows[graph.left[node] >> 1].append(node)
            rows[graph.right[node] >> 1].append(node)
    return rows


def _reached(roots: Mapping[int, int], uses: list[list[int]]) -> list[int]:
    """ANDs that depend on `roots` within a cycle, in ascending order."""
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        for node in uses[todo.pop()]:
            if node not in seen:
                seen.add(node)
                todo.append(node)
    return sorted(seen)
