"""Search over what a model left open in its candidates."""

from __future__ import annotations

from dataclasses import replace

from kerf.core.types import Candidate, Evaluation
from kerf.proposers.agent.bench import Bench
from kerf.proposers.agent.board import Board
from kerf.proposers.evolution import Evolution

SPACES = 3
"""Only the spaces of the best so many candidates are explored: a tile size does not mend a bad idea."""


class Tuner:
    """Each candidate that passed and declares parameters is a Space of its own, explored by Evolution like any other; the best
    candidate's space comes first. Its candidates carry `tuned` (the values) and `of` (whose) in their notes."""

    name = "tuner"

    def __init__(self, bench: Bench, board: Board, seed: int) -> None:
        self._bench, self._board, self._seed = bench, board, seed
        self._searches: dict[str, Evolution] = {}
        self._best: dict[str, float] = {}
        self._empty: set[str] = set()

    def ask(self, n: int) -> list[Candidate]:
        found: list[Candidate] = []
        for origin in sorted(self._searches, key=lambda o: -self._best[o])[:SPACES]:
            found += self._from(origin, n - len(found))
        return found

    @property
    def busy(self) -> bool:
        """Whether there is something left to try."""
        return any(
            o not in self._empty for o in sorted(self._searches, key=lambda o: -self._best[o])[:SPACES]
        )

    def _from(self, origin: str, n: int) -> list[Candidate]:
        if n <= 0 or origin in self._empty:
            return []
        proposed = self._searches[origin].ask(n)
        if not proposed:
            self._empty.add(origin)
        new = [_marked(c, origin) for c in proposed if c.id not in self._board.told]
        return new or (self._from(origin, n) if proposed else [])

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Of every candidate: a tuned one goes to its search, any other that leaves something open founds one."""
        origin = candidate.notes.get("of")
        if origin in self._searches:
            self._learn(origin, candidate, evaluation)
        elif evaluation.score is not None and candidate.notes.get("point") is None:
            self._open(candidate, evaluation)

    def _open(self, candidate: Candidate, evaluation: Evaluation) -> None:
        space = self._bench.variants(candidate)
        if space is None:
            return
        self._searches[candidate.id] = Evolution(space, None, self._seed)
        self._best[candidate.id] = float("-inf")
        self._learn(
            candidate.id, replace(candidate, notes={**candidate.notes, "tuned": space.default()}), evaluation
        )

    def _learn(self, origin: str, candidate: Candidate, evaluation: Evaluation) -> None:
        pointed = replace(candidate, notes={"point": candidate.notes["tuned"]})
        self._searches[origin].tell(pointed, evaluation)
        self._best[origin] = max(self._best[origin], evaluation.score or float("-inf"))


def _marked(candidate: Candidate, origin: str) -> Candidate:
    notes = {"tuned": candidate.notes["point"], "of": origin}
    return replace(candidate, parent=candidate.parent or origin, proposer=Tuner.name, notes=notes)
