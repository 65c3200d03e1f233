"""Annealing on several threads: the rows in as many bands, each annealed on a board of its own.

Within a batch a band sees the others' cells where they were when it began, so its gains are not quite exact; afterwards the bands are joined
and everything is measured again. Bands hold whole segments and cells stay in their band, so the joined board is legal. The borders are
drawn anew each time. The same seed and number of threads give the same result.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerf.placement.design import Ints
from kerf.placement.detailed.anneal import anneal
from kerf.placement.detailed.board import Board
from kerf.placement.detailed.nets import measure

OWN = (
    "net_off", "edge", "owner", "off", "at", "turn", "home", "site", "rank", "open", "seq", "filled", "mark", "seen", "slot", "stamp",
)  # fmt: skip
"""What annealing changes: each band has copies."""


def anneal_in_bands(
    board: Board,
    states: np.ndarray,
    moves: int,
    temperature: float,
    reach: float,
    push: int,
    rng: np.random.Generator,
) -> float:
    """One batch of `moves` in as many bands as there are `states` (T, 1) of random numbers; see `anneal`. Returns the new length."""
    spans = list(itertools.pairwise(_borders(board, len(states), rng).tolist()))
    parts = [_part(board, *span) for span in spans]
    cells = [np.flatnonzero((board.home >= first) & (board.home < last)) for first, last in spans]
    total = sum(len(some) for some in cells)

    def work(k: int) -> None:
        if len(cells[k]):
            anneal(parts[k], cells[k], states[k], moves * len(cells[k]) // total, temperature, reach, push)

    with ThreadPoolExecutor(len(states)) as pool:
        list(pool.map(work, range(len(states))))
    for part, some, span in zip(parts, cells, spans):
        _join(board, part, some, *span)
    return measure(board)


def _borders(board: Board, count: int, rng: np.random.Generator) -> Ints:
    """(count + 1,) first segments of bands of about as many cells each."""
    shares = (np.arange(1, count) + rng.uniform(-0.3, 0.3, count - 1)) / count
    sums = np.cumsum(board.filled)
    inner = np.searchsorted(sums, shares * (sums[-1] if len(sums) else 0))
    return np.concatenate([[0], inner, [len(board.filled)]]).astype(np.int64)


def _part(board: Board, first: int, last: int) -> Board:
    """The board with only these segments open, and its own copy of what changes."""
    part = board._replace(**{name: getattr(board, name).copy() for name in OWN})
    part.open[:first] = False
    part.open[last:] = False
    return part


def _join(board: Board, part: Board, cells: Ints, first: int, last: int) -> None:
    """Take over from a part where its cells are. Boxes of nets are left for `measure`."""
    for name in ("turn", "home", "site", "rank"):
        getattr(board, name)[cells] = getattr(part, name)[cells]
    board.at[:, cells] = part.at[:, cells]
    board.filled[first:last] = part.filled[first:last]
    places = slice(board.seq_start[first], board.seq_start[last])
    board.seq[places] = part.seq[places]
    mine = np.zeros(len(board.home), np.bool_)
    mine[cells] = True
    by_net = mine[board.net_cell]
    board.net_off[:, by_net] = part.net_off[:, by_net]
    by_cell = by_net[board.twin]
    board.off[:, by_cell] = part.off[:, by_cell]
