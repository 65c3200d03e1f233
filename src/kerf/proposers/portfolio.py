"""Share the budget among proposers by what pays."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from kerf.core.records import Memory
from kerf.core.types import Candidate, Evaluation, Proposer, Space, Status
from kerf.proposers.cost_model import CostModel
from kerf.proposers.evolution import Evolution
from kerf.proposers.memory import MemorySearch
from kerf.proposers.simple import Heuristic, RandomSearch

FORGET = 0.9
TRIES = 8
PRIOR = {"cost_model": (4.0, 2.0), "memory": (1.5, 2.0), "evolution": (1.0, 2.0), "random": (0.4, 4.0)}
UNKNOWN_MEMBER = (1.0, 2.0)


class Portfolio:
    """The heuristic's answer first; then each candidate comes from a member drawn by Thompson sampling on the chance that it sets a
    new best, with old results forgotten (discounted Thompson sampling, Raj and Kalyani 2017). The prior says what was measured over
    many problems: a cost model pays most. Every member learns from every evaluation."""

    name = "portfolio"

    def __init__(
        self, space: Space, memory: Memory | None, seed: int, members: Mapping[str, Proposer] | None = None
    ) -> None:
        self._rng = random.Random(f"portfolio/{seed}")
        self._first: Proposer = Heuristic(space, memory, seed)
        self._members = dict(members) if members else _built_in(space, memory, seed)
        self._wins = dict.fromkeys(self._members, 0.0)
        self._losses = dict.fromkeys(self._members, 0.0)
        self._ids: set[str] = set()
        self._best = float("-inf")

    def ask(self, n: int) -> list[Candidate]:
        found = self._novel(self._first, 1) if n > 0 else []
        live = list(self._members)
        while len(found) < n and live:
            drawn = Counter(max(live, key=self._draw) for _ in range(n - len(found)))
            for name, share in drawn.items():
                proposed = self._novel(self._members[name], share)
                found += proposed
                if not proposed:
                    live.remove(name)
        return found

    def _draw(self, name: str) -> float:
        wins, losses = PRIOR.get(name, UNKNOWN_MEMBER)
        return self._rng.betavariate(wins + self._wins[name], losses + self._losses[name])

    def _novel(self, member: Proposer, n: int) -> list[Candidate]:
        """What the member proposes that no other did."""
        for _ in range(TRIES):
            proposed = member.ask(n)
            new = [c for c in proposed if c.id not in self._ids]
            self._ids.update(c.id for c in new)
            if new or not proposed:
                return new
        return []

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self._ids.add(candidate.id)
        for member in (self._first, *self._members.values()):
            member.tell(candidate, evaluation)
        self._credit(candidate.proposer, evaluation)

    def _credit(self, name: str, evaluation: Evaluation) -> None:
        won = evaluation.status is Status.PASSED and (evaluation.score or 0.0) > self._best
        if won:
            self._best = evaluation.score or 0.0
        if name in self._members:
            self._wins = {k: FORGET * v for k, v in self._wins.items()}
            self._losses = {k: FORGET * v for k, v in self._losses.items()}
            (self._wins if won else self._losses)[name] += 1.0


def _built_in(space: Space, memory: Memory | None, seed: int) -> dict[str, Proposer]:
    kinds = (CostModel, MemorySearch, Evolution, RandomSearch)
    return {kind.name: kind(space, memory, seed) for kind in kinds}
