"""Properties as flip-flops and gates of a design's graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kerf.verification.graph import FALSE, TRUE, Graph
from kerf.verification.sva.automaton import Automaton
from kerf.verification.sva.guards import Guards


@dataclass
class Gates:
    """Guards as literals of `graph`; `atoms[n]` is that of atom n."""

    graph: Graph
    guards: Guards
    atoms: Sequence[int]
    _made: dict[int, int] = field(default_factory=dict)

    def literal(self, guard: int) -> int:
        return self.guards.fold(guard, lambda n: self.atoms[n], self.graph.choose, self._made)


def watch(gates: Gates, automaton: Automaton, begin: int = TRUE) -> int:
    """A literal that is true in every cycle in which a good prefix ends that began in a cycle with `begin`."""
    graph, edges = gates.graph, automaton.edges
    targets = {t for row in edges.values() for _, t in row if t != automaton.done}
    latches = {s: graph.add_latch(0) for s in sorted(targets)}
    active = dict(latches)
    if 0 in edges:
        active[0] = graph.disjunction(latches.get(0, FALSE), begin)
    arriving: dict[int, list[int]] = {t: [] for t in (*targets, automaton.done)}
    for source, row in edges.items():
        for guard, target in row:
            arriving[target].append(graph.conjunction(active[source], gates.literal(guard)))
    for state, latch in latches.items():
        graph.set_next(latch, graph.any_of(arriving[state]))
    return graph.any_of(arriving[automaton.done])


def first_cycle(graph: Graph) -> int:
    """A literal that is true in the first cycle alone."""
    begun = graph.add_latch(0)
    graph.set_next(begun, TRUE)
    return begun ^ 1
