"""Chains of annealing over threads, from a legal start to the deadline."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.proxy import Proxy
from kerf.placement.proxy_search import anneal, moves
from kerf.placement.proxy_search.board import Board, board, copy
from kerf.placement.proxy_search.cost import terms
from kerf.placement.proxy_search.proposals import chain
from kerf.placement.proxy_search.start import legal_start
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched


@dataclass(frozen=True)
class SearchOptions:
    """tries: proposals of each chain; None is as many as the deadline allows, or PER_CELL for each movable cell without a deadline. With a
    number, the result depends on the seed and the number of threads alone. hot, cold: temperatures, in the start's cost per movable cell.
    exchanges: how often the worst chain takes up the best one's placement. even: weight, at first, of the mean squares of density and
    congestion: the cost sees only the fullest entries, and this shows the way to the rest. It falls to nothing at EVEN_UNTIL of an
    annealing."""

    tries: int | None = None
    hot: float = 0.12
    cold: float = 1e-4
    exchanges: int = 8
    even: float = 0.1


PER_CELL = 10_000
EVEN_UNTIL = 0.6
FIRST = 0.05
"""Share of the budget for a quick annealing before the real one, so that whoever stops early has something."""
CHUNK_S = 0.25
CHUNK_TRIES = 5_000


@dataclass
class _Best:
    """The cheapest legal placement so far, told to the watcher at most once a second."""

    design: Design
    watch: Watch
    cost: float = np.inf
    placement: Placement | None = None
    told: float = field(default=-np.inf)
    told_cost: float = np.inf

    def offer(self, cost: float, placement: Placement, tries: int, total: int) -> None:
        if cost < self.cost:
            self.cost, self.placement = cost, placement
        if self.cost < self.told_cost and time.monotonic() - self.told >= 1:
            self.tell(tries, total)

    def tell(self, tries: int, total: int) -> None:
        if self.placement is None:
            return
        self.told, self.told_cost = time.monotonic(), self.cost
        length = hpwl(self.design, self.placement)
        self.watch(
            Step("proxy", tries, total, hpwl=length, cost=self.cost, placement=self.placement, legal=True)
        )


def optimize(
    design: Design,
    start: Placement,
    rules: Rules,
    *,
    seed: int = 0,
    threads: int = 1,
    deadline: Deadline | None = None,
    watch: Watch = unwatched,
    options: SearchOptions = SearchOptions(),
) -> Placement:
    """A legal placement of a clustered design with a low exact proxy cost, by simulated annealing of hard and soft macros together.

    `start` may hold NaN and need not be legal; where it is, the result costs no more. Raises KerfError where the design has no grid, a
    fixed cell has no place or a cell cannot fit."""
    deadline = deadline or Deadline()
    if design.grid is None:
        raise KerfError(
            f"{design.name}: the proxy cost needs a grid and routing supply, and this format has none"
        )
    best = _Best(design, watch)
    root = board(design, design.grid, legal_start(design, start, rules, seed), rules)
    moves.fill(root)
    best.offer(_Chain(root, 0).cost, _Chain(root, 0).placement, 0, 0)
    if len(root.hard) + len(root.soft):
        _search(root, best, seed, max(threads, 1), deadline, options)
    assert best.placement is not None
    return best.placement


def _search(
    root: Board, best: _Best, seed: int, threads: int, deadline: Deadline, options: SearchOptions
) -> None:
    cells = len(root.hard) + len(root.soft)
    chains = [_Chain(copy(root), seed * 1_000_003 + k) for k in range(threads)]
    clock = _clock(cells, deadline, options)
    hot, cooling = options.hot * best.cost / cells, options.cold / options.hot
    reach = (max(root.box[:, 2].max(), root.box[:, 3].max()) / 4, max(root.size[:2]))
    exchanged = 0
    with ThreadPoolExecutor(threads) as pool:
        while (share := clock.share) < 1:
            part = share / FIRST if share < FIRST else (share - FIRST) / (1 - FIRST)
            heat, far = hot * cooling**part, reach[0] * (reach[1] / reach[0]) ** part
            even, tries = options.even * max(1 - part / EVEN_UNTIL, 0), clock.next
            list(pool.map(lambda c: c.run(heat, far, even, tries), chains))  # noqa: B023 (done before the next turn)
            clock.did(tries)
            cheapest = min(chains, key=lambda c: c.cost)
            best.offer(cheapest.cost, cheapest.placement, clock.done, clock.total)
            if share * (options.exchanges + 1) >= exchanged + 1:
                exchanged += 1
                _exchange(chains)
    best.tell(clock.done, clock.total)


class _Chain:
    """A board and what its annealing needs."""

    def __init__(self, of: Board, seed: int) -> None:
        self.board, self.own = of, chain(of, seed)

    def run(self, heat: float, reach: float, even: float, tries: int) -> None:
        self.own.weights[2] = even
        anneal.anneal(self.board, self.own, heat, heat, reach, tries)

    @property
    def cost(self) -> float:
        """The proxy cost where the board is now."""
        return Proxy(*terms(self.board, self.own.load)).cost

    @property
    def placement(self) -> Placement:
        return Placement(self.board.x.copy(), self.board.y.copy(), self.board.turn.copy())

    def take(self, other: _Chain) -> None:
        """Go on from the other's placement."""
        for name in ("x", "y", "turn"):
            getattr(self.board, name)[:] = getattr(other.board, name)


def _exchange(chains: list[_Chain]) -> None:
    """The worst chain takes up the best one's placement; all sums are made afresh, which sheds what rounding has gathered."""
    ranked = sorted(chains, key=lambda c: c.cost)
    if len(ranked) > 1:
        ranked[-1].take(ranked[0])
    for each in chains:
        moves.fill(each.board)


def _clock(cells: int, deadline: Deadline, options: SearchOptions) -> _Tries | _Seconds:
    if options.tries is None and deadline.seconds is not None:
        return _Seconds(deadline)
    return _Tries(options.tries or PER_CELL * cells, deadline)


class _Tries:
    """A budget of proposals: the same chunks at every run."""

    def __init__(self, total: int, deadline: Deadline) -> None:
        self.total, self.done, self._deadline = total, 0, deadline

    @property
    def share(self) -> float:
        return 1.0 if self._deadline.passed else self.done / max(self.total, 1)

    @property
    def next(self) -> int:
        return min(CHUNK_TRIES, self.total - self.done)

    def did(self, tries: int) -> None:
        self.done += tries


class _Seconds:
    """A budget of time: chunks as long as the last ones suggest."""

    def __init__(self, deadline: Deadline) -> None:
        self.total, self.done, self._deadline = 0, 0, deadline
        self._left, self._began = max(deadline.left, 1e-9), time.monotonic()

    @property
    def share(self) -> float:
        return (time.monotonic() - self._began) / self._left

    @property
    def next(self) -> int:
        rate = self.done / max(time.monotonic() - self._began, 1e-9)
        return max(int(min(CHUNK_S, max(self._deadline.left, 0.0)) * rate), 200)

    def did(self, tries: int) -> None:
        self.done += tries
