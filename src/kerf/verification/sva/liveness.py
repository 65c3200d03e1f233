"""What no finite run decides: an infinite run is a lasso, and a lasso is found by a safety check on a graph that may save its state once and
look for it again (liveness to safety: Biere, Artho and Schuppan, FMICS 2002).

An alternating automaton is followed with one flip-flop a state: obligations of attempts that began at different ticks are the same ones. Free inputs
choose among clauses; a breakpoint (Miyano and Hayashi, Theor. Comput. Sci. 1984) is a tick in which no obligation of the least kind is
older than the breakpoint before, so that a run with breakpoints without end leaves none of them open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerf.verification.graph import FALSE, Graph
from kerf.verification.sva.automaton import STATES
from kerf.verification.sva.monitor import Gates
from kerf.verification.sva.properties import Clause, Property, Stepper, loops_forever, states


@dataclass(frozen=True)
class Pursuit:
    """A property followed along the run. `failed`: the choices made do not satisfy it (in this cycle or earlier); `met`: a breakpoint; `begun`: an attempt
    has begun in an earlier cycle; `done`: in this cycle all that was pending came to hold; `roots`: literals of its state."""

    failed: int
    met: int
    begun: int
    done: int
    roots: tuple[int, ...]


def pursue(gates: Gates, stepper: Stepper, wanted: Property, begin: int) -> Pursuit:
    """Follow `wanted` from every cycle with `begin`. OverflowError when it has too many states."""
    return _Pursuer(gates, states(stepper, [wanted], STATES)).pursue(wanted, begin)


@dataclass
class _Pursuer:
    gates: Gates
    known: Mapping[Property, tuple[Clause, ...]]

    def pursue(self, wanted: Property, begin: int) -> Pursuit:
        graph = self.gates.graph
        pending = {p: graph.add_latch(0) for p in self.known}
        owed = {p: graph.add_latch(0) for p in self.known if not loops_forever(p)}
        active = dict(pending) | {wanted: graph.disjunction(pending[wanted], begin)}
        chosen = {p: self._choices(row) for p, row in self.known.items()}
        stuck = [graph.conjunction(active[p], graph.any_of(row) ^ 1) for p, row in chosen.items()]
        met = graph.any_of(owed.values()) ^ 1
        source = {p: graph.choose(met, active[p], owed.get(p, FALSE)) for p in self.known}
        ahead = self._follow(pending, active, chosen)
        self._follow(owed, source, chosen)
        failed, begun = graph.add_latch(0), graph.add_latch(0)
        now = graph.disjunction(failed, graph.any_of(stuck))
        graph.set_next(failed, now)
        graph.set_next(begun, graph.disjunction(begun, begin))
        done = graph.all_of([graph.any_of(active.values()), now ^ 1, ahead ^ 1])
        return Pursuit(failed, met, begun, done, (failed, begun, *pending.values(), *owed.values()))

    def _follow(
        self,
        latches: Mapping[Property, int],
        held: Mapping[Property, int],
        chosen: Mapping[Property, Sequence[int]],
    ) -> int:
        """What is held goes on by the clauses chosen; whether anything does."""
        arriving = self._arriving(held, chosen)
        ahead = {p: self.gates.graph.any_of(arriving[p]) for p in latches}
        for p, latch in latches.items():
            self.gates.graph.set_next(latch, ahead[p])
        return self.gates.graph.any_of(ahead.values())

    def _choices(self, row: Sequence[Clause]) -> list[int]:
        """For each clause, whether it is the one chosen: the last wherever no other is."""
        graph, taken, chosen = self.gates.graph, FALSE, []
        for guard, _ in row[:-1]:
            here = graph.conjunction(
                graph.conjunction(graph.add_input(), self.gates.literal(guard)), taken ^ 1
            )
            taken = graph.disjunction(taken, here)
            chosen.append(here)
        return [*chosen, *(graph.conjunction(self.gates.literal(g), taken ^ 1) for g, _ in row[-1:])]

    def _arriving(
        self, held: Mapping[Property, int], chosen: Mapping[Property, Sequence[int]]
    ) -> dict[Property, list[int]]:
        arriving: dict[Property, list[int]] = {p: [] for p in self.known}
        for p, row in self.known.items():
            for literal, (_, rest) in zip(chosen[p], row):
                for q in rest:
                    arriving[q].append(self.gates.graph.conjunction(held[p], literal))
        return arriving


@dataclass(frozen=True)
class Lasso:
    """`closed`: this cycle's state is the saved one, and what was asked for holds along the loop; `saved`: the loop has begun."""

    closed: int
    saved: int


def lasso(graph: Graph, pursuits: Sequence[Pursuit], assumed: Sequence[int]) -> Lasso:
    """A literal that is true where a loop closes on which every pursuit meets breakpoints; `assumed` are literals whose state must repeat too."""
    saved, save = graph.add_latch(0), graph.add_input()
    saving = graph.conjunction(save, saved ^ 1)
    graph.set_next(saved, graph.disjunction(saved, save))
    roots = [r for p in pursuits for r in p.roots]
    same = [_repeats(graph, latch, saving) for latch in _state(graph, [*roots, *assumed])]
    met = [_seen(graph, p.met, graph.disjunction(saved, save)) for p in pursuits]
    fair = [graph.conjunction(m, p.failed ^ 1) for m, p in zip(met, pursuits)]
    begun = graph.all_of(p.begun for p in pursuits)
    started = graph.add_latch(0)
    graph.set_next(started, graph.choose(saving, begun, started))
    return Lasso(graph.all_of([saved, started, *same, *fair]), saved)


def _state(graph: Graph, roots: Sequence[int]) -> list[int]:
    """The latches that `roots` depend on, without those that never change."""
    latches = set(graph.latches)
    return [n for n in graph.cone(roots) if n in latches and graph.left[n] != 2 * n]


def _repeats(graph: Graph, node: int, saving: int) -> int:
    kept, now = graph.add_latch(0), 2 * node
    graph.set_next(kept, graph.choose(saving, now, kept))
    return graph.exclusive_or(now, kept) ^ 1


def _seen(graph: Graph, literal: int, within: int) -> int:
    seen = graph.add_latch(0)
    graph.set_next(seen, graph.disjunction(seen, graph.conjunction(within, literal)))
    return seen


def once(graph: Graph) -> int:
    """A literal that is true in one cycle at most, which a free input chooses."""
    gone, pick = graph.add_latch(0), graph.add_input()
    graph.set_next(gone, graph.disjunction(gone, pick))
    return graph.conjunction(pick, gone ^ 1)
