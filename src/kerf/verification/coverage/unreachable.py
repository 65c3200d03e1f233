"""Bins that no run hits: proved for all that are left together by induction, then one after the other by PDR.

Mutual induction is van Eijk's (IEEE TCAD 2000): the largest set of bins of which none can be hit in a cycle after `depth` cycles in which none was.
What a solver's model hits is taken out of the set until no model is left. The result is checked by a second solver, from the first cycle on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kerf.verification.coverage.board import Board
from kerf.verification.coverage.solver import Frames
from kerf.verification.graph import FALSE
from kerf.verification.prove import Property, Unsound, Verdict, prove

CHECKER = "minisat22"  # checks what the other engine proved
INDUCTION_OF_SPENT, INDUCTION_OF_LEFT = 0.5, 0.25  # of the time; cut off, it has nothing to show
PDR_LEAST_S, PDR_NODE_S = 0.05, 3e-5  # for a bin, and a node of the graph
PDR_SHARE = (
    0.5  # of the time spent so far: it is the last resort, and slow where bins can be reached after all
)


class Prover:
    """`proved`: bin index -> engine; `tried`: what the undecided ones were put through."""

    def __init__(self, board: Board, assumed: Sequence[int]) -> None:
        self._board, self._assumed = board, tuple(assumed)
        self.proved: dict[int, str] = {i: "constant" for i in range(board.counted) if board.gated[i] == FALSE}
        self.tried = "simulation"
        self._begun, self._turn = time.monotonic(), 0

    def prove(self, depth: int, deadline: float) -> None:
        """Take out of the board what can be proved, knowing that no missing bin is hit in the first `depth` cycles."""
        board = self._board
        self.tried = f"simulation of {board.lane_cycles:,} cycles, search of {depth} cycles, induction"
        self._give_up(self._inductive(depth, deadline), "induction" if board.model.graph.latches else "sat")
        if board.missing and board.model.graph.latches and depth > 1:
            self._pdr(deadline)

    def _give_up(self, bins: Sequence[int], engine: str) -> None:
        self._board.give_up(bins)
        self.proved |= dict.fromkeys(bins, engine)

    def _inductive(self, depth: int, deadline: float) -> list[int]:
        board, now = self._board, time.monotonic()
        frames = Frames(board.model.graph, None, board.model.held)
        share = max(INDUCTION_OF_SPENT * (now - self._begun), INDUCTION_OF_LEFT * (deadline - now))
        try:
            left = self._fixpoint(frames, depth, min(deadline, now + share))
        finally:
            frames.close()
        if left and not self._checked(left, depth, deadline):
            return []
        return left

    def _fixpoint(self, frames: Frames, depth: int, deadline: float) -> list[int]:
        """The largest inductive set of missing bins; empty when time is up."""
        board, left = self._board, list(self._board.missing)
        selector = {i: frames.variable() for i in left}
        for i in left:
            if time.monotonic() > deadline:
                return []
            for t in range(depth):
                frames.solver.add_clause([-selector[i], -frames.at(board.gated[i], t)])
        while left:
            unhit = [selector[i] for i in left]
            answer = frames.some([board.gated[i] for i in left], depth, deadline, unhit)
            if answer is None:
                return []
            if not answer:
                return left
            true = frames.values()
            left = [i for i in left if not _holds(frames, board.gated[i], depth, true)]
        return left

    def _checked(self, bins: Sequence[int], depth: int, deadline: float) -> bool:
        """The same claim, by another solver: none of `bins` in the first `depth` cycles, nor after `depth` cycles without. False when time is up."""
        board = self._board
        targets = [board.gated[i] for i in bins]
        for initial in (board.model.initial, None):
            check = Frames(board.model.graph, initial, board.model.held, CHECKER)
            try:
                for t in range(depth if initial is not None else depth + 1):
                    answer = False if initial is None and t < depth else check.some(targets, t, deadline)
                    if answer is None:
                        return False
                    if answer:
                        raise Unsound("a bin that was proved unreachable can be reached")
                    for x in targets:
                        check.require(x ^ 1, t)
            finally:
                check.close()
        return True

    def _pdr(self, deadline: float) -> None:
        """All that is missing at once, then those that there is time for, the next time others."""
        board = self._board
        now = time.monotonic()
        seconds = min(
            (now - self._begun) * PDR_SHARE, (deadline - now) / 2
        )  # it runs over by what reading and checking take
        least = PDR_LEAST_S + PDR_NODE_S * len(board.model.graph)
        count = min(int(seconds / least), len(board.missing))
        if count <= 0:
            return
        self._turn = self._turn % len(board.missing)
        chosen = (board.missing[self._turn :] + board.missing[: self._turn])[:count]
        self._turn += count
        asked = [Property(str(i), board.gated[i]) for i in chosen]
        self.tried += f", PDR for {seconds / count:.1f} s"
        found = prove(board.model, asked, timeout_s=seconds)
        self._give_up([int(r.name) for r in found if r.verdict is Verdict.PROVED], "pdr")
        runs = [r.trace for r in found if r.trace is not None]
        if runs:
            board.offer([board.drive.stimulus(t) for t in runs])


def _holds(frames: Frames, literal: int, frame: int, true: set[int]) -> bool:
    variable = frames.at(literal, frame)
    return variable in true if variable > 0 else -variable not in true
