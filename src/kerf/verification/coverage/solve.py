"""What luck does not find, a solver does: the missing bins of each depth asked for together, and every answer simulated with mutants around it.

One query for all missing bins ("some run of k cycles hits at least one of them") instead of one for each: a yes marks all that the run and its
neighbours hit, a no rules out the whole depth. Bounded model checking (Biere et al., TACAS 1999), incrementally.
"""

from __future__ import annotations

from collections.abc import Sequence

from kerf.verification.coverage.board import Board
from kerf.verification.coverage.fuzz import Fuzzer
from kerf.verification.coverage.solver import Frames
from kerf.verification.prove import Unsound


class Search:
    """Bounded search for missing bins; `depth` is the first cycle that has not been searched."""

    def __init__(self, board: Board, fuzzer: Fuzzer) -> None:
        model = board.model
        self._board, self._fuzzer = board, fuzzer
        self._frames = Frames(model.graph, model.initial, model.held)
        self.depth = 0
        self.answers = 0

    def deeper(self, deadline: float) -> bool:
        """Search one more cycle: True when nothing missing can be hit in it any more, False when the solver had no answer in time."""
        while missing := self._board.missing:
            answer = self._frames.some([self._board.gated[i] for i in missing], self.depth, deadline)
            if answer is None:
                return False
            if not answer:
                break
            self._mark(missing)
        self.depth += 1
        return True

    def _mark(self, missing: Sequence[int]) -> None:
        self.answers += 1
        found = self._board.drive.solved(self._frames, self.depth)
        news = self._board.offer([found])
        if not set(news.targets) & set(missing):
            raise Unsound("a run that a solver found hits nothing in simulation")
        self._fuzzer.around()

    def close(self) -> None:
        self._frames.close()
