"""Detailed placement: a legal placement in, a legal one with less wirelength out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerf.placement.design import Design, Ints, Placement
from kerf.placement.detailed.board import Board, placement_of, set_up
from kerf.placement.detailed.nets import measure
from kerf.placement.detailed.relocate import relocate
from kerf.placement.detailed.rows import flip_cells, reorder_rows, shift_rows
from kerf.placement.hpwl import net_lengths
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched

ENOUGH = 2e-4
"""A round that gains a smaller share of the wirelength than this is the last."""
BLOCK = 20_000
"""Cells between two looks at the deadline."""


def improve(
    design: Design,
    placement: Placement,
    rules: Rules,
    *,
    seed: int = 0,
    threads: int = 1,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> Placement:
    """A placement with the same legality and no more weighted HPWL. Cells that stand illegally, or span several rows, stay where they are.

    Rounds of global swap, optimal shifting along rows, local reordering and flipping, until a round gains less than ENOUGH or the
    deadline passes. Every move is kept for its exact gain. Deterministic for a seed where the deadline does not end it."""
    board = set_up(design, placement, rules)
    search = _Search(board, measure(board), np.random.default_rng(seed), deadline)
    for done in itertools.count(1):
        before = search.total
        search.round()
        found = placement_of(board, placement)
        watch(Step("detailed", done, 0, _length(design, found), placement=found, legal=True))
        if deadline.passed or before - search.total <= ENOUGH * before:
            break
    return found if _length(design, found) <= _length(design, placement) else placement


def _length(design: Design, placement: Placement) -> float:
    """Weighted HPWL of the nets all of whose pins have a place."""
    return float(np.nansum(design.net_weight * net_lengths(design, placement)))


@dataclass
class _Search:
    """A board, its length in the nets that can change, and the passes over it."""

    board: Board
    total: float
    rng: np.random.Generator
    deadline: Deadline

    def round(self) -> None:
        cells = self.rng.permutation(np.flatnonzero(self.board.home >= 0))
        for block in np.split(cells, range(BLOCK, len(cells), BLOCK)):
            self._run(relocate, block, 6, 4, 4)
        self._run(shift_rows)
        for width in (3, 4):
            self._run(reorder_rows, _orders(width))
        self._run(flip_cells, cells, 0)

    def _run(self, step: Callable[..., float], *arguments: object) -> None:
        if not self.deadline.passed:
            least = 1e-9 * max(self.total, 1e-3) / (1 + len(self.board.weight))
            self.total -= step(self.board, *arguments, least)


def _orders(count: int) -> Ints:
    """(F, count): every order of so many neighbours, the present one first."""
    return np.array(list(itertools.permutations(range(count))))
