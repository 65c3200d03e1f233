"""Monitors in designs of several clocks, which are modelled step by step: a monitor goes on in the steps in which its own clock has an edge, and
reads what was there in the step before, as its registers do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kerf.verification.graph import Graph


@dataclass
class Ticks:
    """The ticks of clocks in `graph`, and what was sampled for them."""

    graph: Graph
    _sampled: dict[int, int] = field(default_factory=dict)
    _ticks: dict[int, int] = field(default_factory=dict)
    _own: set[int] = field(default_factory=set)

    def tick(self, clock: int, edge: str) -> int:
        """A literal that is true in the steps in which the literal `clock` has an edge (posedge or negedge); in the first step there is none."""
        level = clock if edge == "posedge" else clock ^ 1
        if level not in self._ticks:
            self._ticks[level] = self.graph.conjunction(level, self._before(level, 1) ^ 1)
        return self._ticks[level]

    def sampled(self, literal: int) -> int:
        """The literal as it was in the step before."""
        if literal < 2:
            return literal
        if literal not in self._sampled:
            self._sampled[literal] = self._before(literal, 0)
        return self._sampled[literal]

    def _before(self, literal: int, first: int) -> int:
        latch = self.graph.add_latch(first)
        self.graph.set_next(latch, literal)
        self._own.add(latch >> 1)
        return latch

    def hold(self, nodes: Iterable[int], tick: int) -> None:
        """Latches that change in steps with `tick` alone, but for those that sample."""
        for node in nodes:
            if node not in self._own:
                following = self.graph.choose(tick, self.graph.left[node], 2 * node)
                self.graph.set_next(2 * node, following)
