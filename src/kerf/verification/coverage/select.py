"""Few runs that cover all that many cover, strung together where they still do."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from kerf.verification.coverage.board import BYTES, Board
from kerf.verification.coverage.greedy import greedy
from kerf.verification.coverage.stimulus import Stimulus

LONGEST = 2048  # cycles of a run made of several
THINNINGS = 3
THINNING, CHAINING = (
    9,
    1,
)  # the cost, in units of what came before: every run with 64 draws of the unknowns, 8 times as many words

Where = dict[int, tuple[int, int]]


def select(board: Board, deadline: float) -> tuple[list[Stimulus], Where]:
    """Runs that hit all that the board counts as hit, by luck or not, and target -> (run, cycle). They are made fewer as
    far as that ends before `deadline` (time.monotonic), by what the step before it took."""
    hit = sorted(i for i in board.hit if i < board.counted)
    used = sorted({board.hit[i] for i in hit})
    runs = [board.stimuli[i] for i in used]
    begun = time.monotonic()
    where = _places(board, hit, runs, 0)
    placed = time.monotonic()
    if hit and placed + (THINNING if board.unknown else 2) * (placed - begun) < deadline:
        runs = [runs[i] for i in greedy(board.hits_of(runs, hit))]
        thinned = time.monotonic()
        if board.model.graph.latches and thinned + CHAINING * (thinned - begun) < deadline:
            runs = _chained(board, hit, runs)
        where = _places(board, hit, runs, 0)
    lucky = sorted(i for i in board.lucky if i < board.counted)
    by_luck = [board.stimuli[i] for i in sorted({board.lucky[i] for i in lucky})]
    where |= _places(board, lucky, by_luck, len(runs))
    assert len(where) == len(hit) + len(lucky), "runs do not hit what they were kept for"
    return (runs + by_luck, where) if board.model.graph.latches else _merged(runs + by_luck, where)


def _places(board: Board, targets: Sequence[int], runs: Sequence[Stimulus], offset: int) -> Where:
    """Where each target is hit first, runs in order."""
    if not targets:
        return {}
    first = board.cycles_of(runs, targets)
    best = (first >= 0).argmax(axis=1)
    return {
        t: (offset + int(s), int(first[i, s]))
        for i, (t, s) in enumerate(zip(targets, best, strict=True))
        if first[i, s] >= 0
    }


def _chained(board: Board, targets: Sequence[int], runs: Sequence[Stimulus]) -> list[Stimulus]:
    """The same hits in fewer runs: one after the other without a reset between, as far as that still hits; what is lost so stays alone."""
    made = _chain(board, targets, runs)
    kept = board.hits_of(made, targets)
    lost = [t for row, t in enumerate(targets) if not kept[row].any()]
    if lost:
        made += [runs[s] for s in greedy(board.hits_of(runs, lost))]
    return made if len(made) < len(runs) else list(runs)


def _chain(board: Board, targets: Sequence[int], runs: Sequence[Stimulus]) -> list[Stimulus]:
    """Runs strung together, at most `LONGEST` cycles in one (a longer one stays alone)."""
    pieces: list[list[Stimulus]] = [[]]
    longest = min(LONGEST, BYTES // (512 * max(len(board.drive.nodes), 1)))
    for run in runs:
        if pieces[-1] and sum(map(len, pieces[-1])) + len(run) > longest:
            pieces.append([])
        pieces[-1].append(run)
    return [_thinned(board, targets, group) for group in pieces]


def _thinned(board: Board, targets: Sequence[int], pieces: list[Stimulus]) -> Stimulus:
    """One run of pieces; those in which nothing is hit first are dropped."""
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


def _merged(runs: Sequence[Stimulus], where: Where) -> tuple[list[Stimulus], Where]:
    """Without state each cycle stands alone: one run of those that are needed."""
    place: dict[tuple[int, int], int] = {}
    for at in where.values():
        place.setdefault(at, len(place))
    if not place:
        return [], {}
    rows = np.stack([runs[run].rows[cycle] for run, cycle in place])
    return [Stimulus(rows, runs[0].start)], {t: (0, place[at]) for t, at in where.items()}
