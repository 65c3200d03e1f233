"""Few runs that cover all that many cover: greedy set cover, the longest gain first (Chvatal, 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerf.verification.coverage.board import Board
from kerf.verification.coverage.stimulus import Stimulus

LONGEST = 2048  # cycles of a run made of several
THINNINGS = 3

Where = dict[int, tuple[int, int]]


def select(board: Board, targets: Sequence[int]) -> tuple[list[Stimulus], Where]:
    """Runs of the board that hit all `targets`, cut after the last cycle that is needed, and target -> (run, cycle)."""
    if not targets:
        return [], {}
    first = board.cycles_of(board.stimuli, targets)
    picked = greedy(first >= 0)
    if not board.model.graph.latches:
        return _merged(board, targets, first, picked)
    return chained(board, targets, [_cut_for(board, first, s) for s in picked])


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


def _cut_for(board: Board, first: np.ndarray, stimulus: int) -> Stimulus:
    """Up to the last cycle in which it hits a target first."""
    run = board.stimuli[stimulus]
    return Stimulus(run.rows[: int(first[:, stimulus].max()) + 1], run.start)


def chained(board: Board, targets: Sequence[int], runs: Sequence[Stimulus]) -> tuple[list[Stimulus], Where]:
    """The same hits in fewer runs: runs one after the other without a reset between, as far as that still hits; pieces that bring nothing new are
    left out. `runs` together hit all targets."""
    made = _chain(board, targets, runs)
    where = _hits(board, targets, made, 0)
    left = [t for t in targets if t not in where]
    if left:
        first = board.cycles_of(runs, left)
        alone = [runs[s] for s in greedy(first >= 0)]
        where |= _hits(board, left, alone, len(made))
        made += alone
    assert len(where) == len(targets), "runs do not hit what they were chosen for"
    return made, where


def _hits(board: Board, targets: Sequence[int], runs: Sequence[Stimulus], offset: int) -> Where:
    first = board.cycles_of(runs, targets)
    best = (first >= 0).argmax(axis=1)
    return {
        t: (offset + int(s), int(first[i, s]))
        for i, (t, s) in enumerate(zip(targets, best, strict=True))
        if first[i, s] >= 0
    }


def _chain(board: Board, targets: Sequence[int], runs: Sequence[Stimulus]) -> list[Stimulus]:
    """Runs strung together, at most `LONGEST` cycles in one (a longer one stays alone); pieces without a first hit are dropped."""
    pieces: list[list[Stimulus]] = [[]]
    for run in runs:
        if pieces[-1] and sum(map(len, pieces[-1])) + len(run) > LONGEST:
            pieces.append([])
        pieces[-1].append(run)
    return [_thinned(board, targets, group) for group in pieces]


def _thinned(board: Board, targets: Sequence[int], pieces: list[Stimulus]) -> Stimulus:
    for _ in range(THINNINGS):
        first = board.cycles_of([_joined(pieces)], targets)[:, 0]
        ends = np.cumsum([len(p) for p in pieces])
        needed = set(np.searchsorted(ends, first[first >= 0], side="right").tolist())
        if len(needed) == len(pieces):
            break
        pieces = [p for i, p in enumerate(pieces) if i in needed] or pieces[:1]
    return _joined(pieces)


def _joined(pieces: Sequence[Stimulus]) -> Stimulus:
    return Stimulus(np.concatenate([p.rows for p in pieces]), pieces[0].start)


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
