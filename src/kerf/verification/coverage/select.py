"""Few runs that cover all that many cover: greedy set cover, the longest gain first (Chvatal, 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerf.verification.coverage.board import Board
from kerf.verification.coverage.stimulus import Stimulus

Where = dict[int, tuple[int, int]]


def select(board: Board, targets: Sequence[int]) -> tuple[list[Stimulus], Where]:
    """Runs of the board that hit all `targets`, cut after the last cycle that is needed, and target -> (run, cycle)."""
    if not targets:
        return [], {}
    first = board.cycles_of(board.stimuli, targets)
    picked = greedy(first >= 0)
    if not board.model.graph.latches:
        return _merged(board, targets, first, picked)
    chosen, where = [], {}
    todo = np.ones(len(targets), bool)
    for stimulus in picked:
        got = todo & (first[:, stimulus] >= 0)
        todo &= ~got
        where |= {targets[i]: (len(chosen), int(first[i, stimulus])) for i in np.flatnonzero(got)}
        chosen.append(_cut(board.stimuli[stimulus], int(first[got, stimulus].max()) + 1))
    return chosen, where


def greedy(hits: np.ndarray) -> list[int]:
    """Columns of `hits` (targets, runs) that cover every row, each the one that covers most of what is left."""
    todo, picked = hits.any(axis=1), []
    gains = hits[todo].sum(axis=0).astype(np.int64)
    while todo.any():
        best = int(gains.argmax())
        got = todo & hits[:, best]
        gains -= hits[got].sum(axis=0)
        todo &= ~got
        picked.append(best)
    return picked


def _cut(stimulus: Stimulus, cycles: int) -> Stimulus:
    return Stimulus(stimulus.rows[:cycles], stimulus.start)


def _merged(
    board: Board, targets: Sequence[int], first: np.ndarray, picked: Sequence[int]
) -> tuple[list[Stimulus], Where]:
    """Without state each cycle stands alone: one run of those that are needed."""
    rows: list[np.ndarray] = []
    where: Where = {}
    place: dict[tuple[int, int], int] = {}
    for row, target in enumerate(targets):
        stimulus = next(s for s in picked if first[row, s] >= 0)
        cycle = int(first[row, stimulus])
        if (stimulus, cycle) not in place:
            place[stimulus, cycle] = len(rows)
            rows.append(board.stimuli[stimulus].rows[cycle])
        where[target] = (0, place[stimulus, cycle])
    return [Stimulus(np.stack(rows), board.stimuli[picked[0]].start)], where
