"""Detailed placement: a legal placement in, a legal one with less wirelength out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kerf.placement.design import Design, Ints, Kind, Placement
from kerf.placement.detailed.anneal import anneal
from kerf.placement.detailed.bands import anneal_in_bands
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
UNHURRIED, MOST = 300, 10_000
"""Moves a cell when annealing: without a deadline, and with one far away."""
BATCH = 10
"""Moves a cell at one temperature."""
HOT = 0.35
"""Temperature at first for 500 moves a cell, in mean net weights times row heights."""
WINDOW = (12.0, 1.0)
"""Reach of annealing moves at first and at last, in row heights."""
PUSHED = 2
"""Cells that give way on either side of an annealing move."""
UPHILL = 1.05
"""Where annealing makes the wirelength this much longer than it was, it cools faster."""


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

    Rounds of global swap, optimal shifting along rows, local reordering and flipping (hard macros flip in place), until a round gains less than ENOUGH; then annealing
    from a low temperature, for as long as the deadline allows or for UNHURRIED moves a cell, and rounds again. Every gain is
    exact. Deterministic for a seed and a number of threads where no deadline is set."""
    search = _Search(design, placement, rules, np.random.default_rng(seed), deadline, watch, threads)
    search.rounds()
    before, settled = search.total, search.placement
    search.anneal()
    search.rounds()
    found = search.placement if search.total <= before else settled
    return found if length(design, found) <= length(design, placement) else placement


def length(design: Design, placement: Placement) -> float:
    """Weighted HPWL of the nets all of whose pins have a place."""
    return float(np.nansum(design.net_weight * net_lengths(design, placement)))


@dataclass
class _Search:
    """A board, its length in the nets that can change, and the passes over it."""

    design: Design
    start: Placement
    rules: Rules
    rng: np.random.Generator
    deadline: Deadline
    watch: Watch
    threads: int = 1
    done: int = 0
    board: Board = field(init=False)
    total: float = field(init=False)
    cells: Ints = field(init=False)
    macros: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.board = set_up(self.design, self.start, self.rules)
        self.total = measure(self.board)
        self.cells = np.flatnonzero(self.board.home >= 0)
        plain = (
            (self.design.kind == Kind.MACRO) & ~self.rules.fixed & np.isfinite(self.start.x + self.start.y)
        )
        plain[list(self.design.rects)] = False
        self.macros = np.flatnonzero(plain)

    @property
    def placement(self) -> Placement:
        return placement_of(self.board, self.start)

    def rounds(self) -> None:
        """Rounds until one gains too little."""
        before = np.inf
        while before - self.total > ENOUGH * self.total and not self.deadline.passed:
            before = self.total
            self.round()
            self._report()

    def round(self) -> None:
        """Every pass of best moves once."""
        cells = self.rng.permutation(self.cells)
        for block in np.split(cells, range(BLOCK, len(cells), BLOCK)):
            self._run(relocate, block, 6, 4, 4)
        self._by_rows(shift_rows)
        for width in (3, 4):
            self._by_rows(reorder_rows, _orders(width))
        self._run(flip_cells, cells, 0)
        for axis in (0, 1):
            self._run(flip_cells, self.macros, axis)

    def anneal(self) -> None:
        """From warm to cold within the time left, or within UNHURRIED moves a cell."""
        budget = 0.92 * self.deadline.left
        if not len(self.cells) or self.total <= 0 or budget <= 0:
            return
        states = self.rng.integers(1, 2**63, (self.threads, 1)).astype(np.uint64)
        most = len(self.cells) * (UNHURRIED if budget == np.inf else MOST)
        batch = min(BATCH * len(self.cells), 1_000_000)
        planned, best, cooling, began = batch, self.total, 1.0, time.monotonic()
        moves, progress = 0, 0.0
        while progress < 1:
            heat = cooling * HOT * (planned / len(self.cells) / 500) ** 0.75 * (1 - progress)
            self._anneal(states, batch, heat, WINDOW[1] + (WINDOW[0] - WINDOW[1]) * (1 - progress))
            moves += batch
            progress = max(moves / most, (time.monotonic() - began) / budget)
            planned = int(moves / progress)
            best = min(best, self.total)
            cooling *= 0.7 if self.total > UPHILL * best else 1.0
            self._report()

    def _anneal(self, states: np.ndarray, moves: int, heat: float, reach: float) -> None:
        """One temperature, in mean net weights times row heights; `reach` in row heights."""
        row = float(np.median(self.board.tall))
        how = (moves, heat * row * float(self.board.weight.mean()), reach * row, PUSHED)
        if len(states) > 1:
            self.total = anneal_in_bands(self.board, states, *how, self.rng)
        else:
            self.total -= anneal(self.board, self.cells, states[0], *how)
        self._by_rows(shift_rows)
        self._run(flip_cells, self.cells, 0)

    def _by_rows(self, step: Callable[..., float], *arguments: object) -> None:
        """A step over segments, BLOCK cells at a time."""
        block = (np.cumsum(self.board.filled) - self.board.filled) // BLOCK
        first = np.flatnonzero(np.diff(block, prepend=-1)).tolist()
        for span in itertools.pairwise([*first, len(block)]):
            self._run(step, *span, *arguments)

    def _run(self, step: Callable[..., float], *arguments: object) -> None:
        if not self.deadline.passed:
            least = 1e-9 * max(self.total, 1e-3) / (1 + len(self.board.weight))
            self.total -= step(self.board, *arguments, least)

    def _report(self) -> None:
        self.done += 1
        found = self.placement
        self.watch(Step("detailed", self.done, hpwl=length(self.design, found), placement=found, legal=True))


def _orders(count: int) -> Ints:
    """(F, count): every order of so many neighbours, the present one first."""
    return np.array(list(itertools.permutations(range(count))))
