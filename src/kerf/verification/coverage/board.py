"""The score board: which bins have been hit, by which stimulus. Every hit is seen in simulation, whoever proposed the stimulus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.coverage.greedy import greedy
from kerf.verification.coverage.stimulus import Stimulus, drive_of, pick, spread, stacked
from kerf.verification.graph import FALSE, TRUE, Graph
from kerf.verification.lanes import ALL, Lanes, lanes_of
from kerf.verification.model import Model

BYTES = 1 << 26  # of watched values at a time


@dataclass(frozen=True)
class News:
    """What an episode hit for the first time: `targets` (indices) and `words`, which words of lanes had part in it."""

    targets: list[int]
    words: np.ndarray


class Board:
    """`targets` are literals; those from `counted` on are watched for their novelty alone. A cycle counts while every cycle so far, and it, met
    `assumed`. Where a design has unknowns (registers that start with any value, nets that nothing drives) a hit is one that a run makes whatever they
    are, as far as 64 draws of them show; other hits are `lucky`."""

    def __init__(
        self, model: Model, targets: Sequence[int], counted: int, assumed: Sequence[int] = (), seed: int = 0
    ) -> None:
        self.model, self.drive, self.counted = model, drive_of(model), counted
        self.gated = gate(model.graph, targets, assumed)
        self.open = [i for i in range(len(targets)) if self.gated[i] != FALSE]
        self.stimuli: list[Stimulus] = []
        self.hit: dict[int, int] = {}  # target -> a stimulus that hits it
        self.lucky: dict[int, int] = {}
        self.lane_cycles = 0
        self._rng = np.random.default_rng(seed)
        self._simulators: dict[int, Lanes | CompiledLanes] = {}
        self._initial = {n: model.initial.get(n, model.graph.right[n]) for n in model.graph.latches}

    @property
    def missing(self) -> list[int]:
        """Counted targets not hit, not even by luck, and not given up."""
        return [i for i in self.open if i < self.counted and i not in self.lucky]

    @property
    def unknown(self) -> bool:
        return bool(self.drive.start or self.drive.free)

    def give_up(self, targets: Sequence[int]) -> None:
        """Stop looking for targets that are proved unreachable."""
        gone = set(targets)
        self.open = [i for i in self.open if i not in gone]

    def run(self, planes: np.ndarray, start: np.ndarray) -> News:
        """Simulate an episode: `planes` (cycles, bits, words), `start` (latches, words)."""
        self.lane_cycles += planes.shape[0] * planes.shape[2] * 64
        watched = [i for i in self.open if i not in self.lucky]
        seen = self._simulate(planes, start, watched)
        new = np.flatnonzero(seen.any(axis=1))
        if not len(new):
            return News([], np.zeros(planes.shape[2], np.bool_))
        found = [watched[i] for i in new]
        self._keep(planes, start, found, seen[new])
        return News(found, np.asarray(seen[new].any(axis=0)))

    def offer(self, stimuli: Sequence[Stimulus]) -> News:
        """Simulate runs as they are."""
        return self.run(*stacked(stimuli))

    def harden(self, planes: np.ndarray) -> int:
        """Try for hits without luck of what was hit by luck: 64 runs (cycles, bits, 1), each with 64 draws of the unknowns. How many were made."""
        targets = [i for i in self.open if i in self.lucky]
        if not targets:
            return 0
        none = np.zeros((len(self.drive.start), 1), np.uint64)
        runs = [pick(planes, none, lane, len(planes)) for lane in range(64)]
        sure = self.hits_of(runs, targets)
        for run in greedy(sure):
            self._record(runs[run], targets, sure[:, run], sure[:, run])
        return int(sure.any(axis=1).sum())

    def _keep(self, planes: np.ndarray, start: np.ndarray, found: list[int], seen: np.ndarray) -> None:
        """Few lanes that hit all that was found, each kept up to the last cycle that is needed of it."""
        lanes = lanes_of(seen).T.astype(bool)  # (targets, lanes)
        chosen = greedy(lanes)
        runs = [pick(planes, start, lane, len(planes)) for lane in chosen]
        first = self.cycles_of(runs, found)
        todo, cut = np.ones(len(found), bool), []
        for column, run in enumerate(runs):
            got = todo & (first[:, column] >= 0)
            todo &= ~got
            cut.append(Stimulus(run.rows[: int(first[got, column].max(initial=0)) + 1], run.start))
        sure = self.hits_of(cut, found) if self.unknown else first >= 0
        for column, run in enumerate(cut):
            self._record(run, found, sure[:, column], (first[:, column] >= 0) & (first[:, column] < len(run)))

    def _record(self, run: Stimulus, targets: Sequence[int], sure: np.ndarray, seen: np.ndarray) -> None:
        """Keep a run that hits `sure` of the targets whatever the unknowns are, and `seen` of them with its own."""
        place = len(self.stimuli)
        self.stimuli.append(run)
        for i in (targets[k] for k in np.flatnonzero(sure).tolist()):
            self.hit.setdefault(i, place)
            self.lucky.pop(i, None)
        for i in (targets[k] for k in np.flatnonzero(seen & ~sure).tolist()):
            if i not in self.hit:
                self.lucky.setdefault(i, place)
        self.open = [i for i in self.open if i not in self.hit]

    # Simulation

    def _simulate(
        self, planes: np.ndarray, start: np.ndarray, targets: Sequence[int], keep: bool = False
    ) -> np.ndarray:
        """The first cycle sets what starts and what is held, too: (cycles, targets, words) with `keep`, else or-ed over the cycles."""
        lanes, watch = self._simulator(planes.shape[2]), [self.gated[i] for i in targets]
        lanes.restart(self._initial)
        held, words = self.model.held, planes.shape[2]
        constants = np.array([ALL if v else 0 for v in held.values()], np.uint64)
        constant = np.broadcast_to(constants[:, None], (len(held), words))
        first = np.concatenate([planes[0], start, constant])
        seen = lanes.run([*self.drive.nodes, *self.drive.start, *held], first[None], watch, keep=keep)
        if len(planes) == 1:
            return seen
        rest = lanes.run(self.drive.nodes, planes[1:], watch, keep=keep)
        return np.concatenate([seen, rest]) if keep else seen | rest

    def _simulator(self, words: int) -> Lanes | CompiledLanes:
        if words not in self._simulators:
            self._simulators[words] = simulator(self.model.graph, words, self._initial, self.gated)
        return self._simulators[words]

    def hits_of(self, runs: Sequence[Stimulus], targets: Sequence[int]) -> np.ndarray:
        """(targets, runs) bool: which run hits what, in one cycle whatever the unknowns are."""
        if not self.unknown:
            return self.cycles_of(runs, targets) >= 0
        hits = np.zeros((len(targets), len(runs)), bool)
        for group in _groups(runs, 64):
            some = [runs[i] for i in group]
            planes, start = self._varied(some)
            ends = np.array([len(r) for r in some])
            for part, seen in self._watched(planes, start, targets):
                sure = (seen == ALL)[:, :, : len(some)] & (np.arange(len(planes))[:, None, None] < ends)
                hits[part, np.array(group)[None]] = sure.any(axis=0)
        return hits

    def cycles_of(self, runs: Sequence[Stimulus], targets: Sequence[int]) -> np.ndarray:
        """(targets, runs): the first cycle in which a run, with its own unknowns, hits a target; -1 where it never does."""
        first = np.full((len(targets), len(runs)), -1, np.int64)
        for group in _groups(runs, 512):
            some = [runs[i] for i in group]
            ends = np.array([len(r) for r in some])
            for part, seen in self._watched(*stacked(some), targets):
                at = _first(seen)[:, : len(some)]
                first[part, np.array(group)[None]] = np.where(at < ends, at, -1)
        return first

    def _watched(
        self, planes: np.ndarray, start: np.ndarray, targets: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of targets (as a column of places) and their values, (cycles, rows, words), so many at a time as memory is to be taken."""
        size = max(BYTES // (8 * planes.shape[0] * planes.shape[2]), 1)
        for at in range(0, len(targets), size):
            part = np.arange(at, min(at + size, len(targets)))
            yield part[:, None], self._simulate(planes, start, [targets[i] for i in part], keep=True)

    def _varied(self, runs: Sequence[Stimulus]) -> tuple[np.ndarray, np.ndarray]:
        """A word of lanes for each run: lane 0 as it is, the others with other unknowns. A multiple of 8 words, for few simulators."""
        words = -(-len(runs) // 8) * 8
        planes = np.zeros((max(map(len, runs)), len(self.drive.nodes), words), np.uint64)
        start = np.zeros((len(self.drive.start), words), np.uint64)
        for w, run in enumerate(runs):
            planes[: len(run), :, w], start[:, w] = spread(run.rows)[..., 0], spread(run.start)[..., 0]
        for unknown in (planes[:, planes.shape[1] - len(self.drive.free) :], start):
            draws = self._rng.integers(0, 2**64, unknown.shape, dtype=np.uint64)
            unknown[:] = unknown & np.uint64(1) | draws & ~np.uint64(1)
        return planes, start


def _groups(runs: Sequence[Stimulus], most: int) -> Iterator[list[int]]:
    """Places of runs, those of like length together, at most so many at a time."""
    order = sorted(range(len(runs)), key=lambda i: len(runs[i]))
    yield from (order[at : at + most] for at in range(0, len(order), most))


def _first(seen: np.ndarray) -> np.ndarray:
    """(targets, lanes): the first cycle of `seen` (cycles, targets, words) in which a lane's bit is set; -1 where none is."""
    first = np.full((seen.shape[1], seen.shape[2] * 64), -1, np.int64)
    known = np.zeros(seen.shape[1:], np.uint64)
    for t, row in enumerate(seen):
        new = row & ~known
        rows = np.flatnonzero(new.any(axis=1))
        if len(rows):
            at, lane = np.nonzero(lanes_of(new[rows]).T)
            first[rows[at], lane] = t
            known[rows] |= row[rows]
    return first


def gate(graph: Graph, targets: Sequence[int], assumed: Sequence[int]) -> list[int]:
    """Targets that count in cycles up to which all assumptions have held; adds a latch to the graph for that."""
    met = graph.all_of(assumed)
    if met == TRUE:
        return list(targets)
    if not graph.latches:  # cycles do not know of each other
        return [graph.conjunction(t, met) for t in targets]
    broken = graph.add_latch(0)
    graph.set_next(broken, graph.disjunction(broken, met ^ 1))
    fine = graph.conjunction(met, broken ^ 1)
    return [graph.conjunction(t, fine) for t in targets]
