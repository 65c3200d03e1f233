"""The score board: which bins have been hit, by which stimulus. Every hit is seen in simulation, whoever proposed the stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.coverage.stimulus import Stimulus, drive_of, pick, spread, stacked
from kerf.verification.graph import TRUE, Graph
from kerf.verification.lanes import ALL, Lanes, lanes_of
from kerf.verification.model import Model

LUCKY_AGAIN = 0.1  # of the episodes look for better ways to what was hit by luck
BATCH = 512  # runs simulated at once when they are looked at again


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
        self.open = [i for i in range(len(targets)) if self.gated[i] != 0]
        self.stimuli: list[Stimulus] = []
        self.hit: dict[int, int] = {}  # target -> stimulus that hit it first
        self.lucky: dict[int, int] = {}
        self._rng = np.random.default_rng(seed)
        self.lane_cycles = 0
        self._simulators: dict[int, Lanes | CompiledLanes] = {}
        self._initial = {n: model.initial.get(n, model.graph.right[n]) for n in model.graph.latches}

    @property
    def missing(self) -> list[int]:
        """Counted targets not hit, not even by luck, and not given up."""
        return [i for i in self.open if i < self.counted and i not in self.lucky]

    def give_up(self, targets: Sequence[int]) -> None:
        """Stop looking for targets that are proved unreachable."""
        gone = set(targets)
        self.open = [i for i in self.open if i not in gone]

    def run(self, planes: np.ndarray, start: np.ndarray) -> News:
        """Simulate an episode: `planes` (cycles, bits, words), `start` (latches, words)."""
        self.lane_cycles += planes.shape[0] * planes.shape[2] * 64
        again = self._rng.random() < LUCKY_AGAIN
        watched = [i for i in self.open if again or i not in self.lucky]
        seen = self._simulate(planes, start, [self.gated[i] for i in watched])
        new = np.flatnonzero(seen.any(axis=1))
        if not len(new):
            return News([], np.zeros(planes.shape[2], np.bool_))
        found = [watched[i] for i in new]
        self._keep(planes, start, found, seen[new])
        self.open = [i for i in self.open if i not in self.hit]
        return News(found, np.asarray(seen[new].any(axis=0)))

    def offer(self, stimuli: Sequence[Stimulus]) -> News:
        """Simulate runs as they are."""
        return self.run(*stacked(stimuli))

    def _keep(self, planes: np.ndarray, start: np.ndarray, found: list[int], seen: np.ndarray) -> None:
        """Few lanes that hit all that was found, each kept up to the last cycle that is needed of it."""
        lanes = lanes_of(seen).T.astype(bool)  # (targets, lanes)
        per_cycle = self._simulate(planes, start, [self.gated[i] for i in found], keep=True)
        todo = np.ones(len(found), bool)
        while todo.any():
            lane = int(lanes[todo].sum(axis=0).argmax())
            got = todo & lanes[:, lane]
            at = per_cycle[:, got, lane >> 6] >> np.uint64(lane & 63) & np.uint64(1)
            self.stimuli.append(pick(planes, start, lane, int(at.argmax(axis=0).max()) + 1))
            self._record(self.stimuli[-1], [found[i] for i in np.flatnonzero(got)])
            todo &= ~got

    def _record(self, stimulus: Stimulus, hit: list[int]) -> None:
        """Tell what the newest run hits from what it hits by luck."""
        place = len(self.stimuli) - 1
        sure = self.cycles_of([stimulus], hit)[:, 0] >= 0 if self._unknown else [True] * len(hit)
        self.hit |= {i: place for i, s in zip(hit, sure, strict=True) if s}
        self.lucky = {i: p for i, p in self.lucky.items() if i not in self.hit}
        for i, s in zip(hit, sure, strict=True):
            if not s:
                self.lucky.setdefault(i, place)

    @property
    def _unknown(self) -> bool:
        return bool(self.drive.start or self.drive.free)

    def _simulate(
        self, planes: np.ndarray, start: np.ndarray, watch: list[int], keep: bool = False
    ) -> np.ndarray:
        lanes = self._simulator(planes.shape[2])
        lanes.restart(self._initial)
        for node, value in self.model.held.items():
            lanes.set_node(node, value)
        for node, row in zip(self.drive.start, start, strict=True):
            lanes.set_node(node, row)
        return lanes.run(self.drive.nodes, planes, watch, keep=keep)

    def _simulator(self, words: int) -> Lanes | CompiledLanes:
        if words not in self._simulators:
            self._simulators[words] = simulator(self.model.graph, words, self._initial, self.gated)
        return self._simulators[words]

    def cycles_of(
        self, stimuli: Sequence[Stimulus], targets: Sequence[int], lucky: bool = False
    ) -> np.ndarray:
        """(targets, stimuli): the first cycle in which a stimulus hits a target (whatever the unknowns are, unless `lucky`), -1 where it never does."""
        first = np.full((len(targets), len(stimuli)), -1, np.int64)
        watch, alone = [self.gated[i] for i in targets], self._unknown and not lucky
        for at in range(0, len(stimuli), BATCH):
            group = stimuli[at : at + BATCH]
            seen = self._simulate(*(self._varied(group) if alone else stacked(group)), watch, keep=True)
            if alone:
                seen = np.packbits(seen == ALL, axis=2, bitorder="little")
                seen = np.pad(seen, ((0, 0), (0, 0), (0, -seen.shape[2] % 8))).view(np.uint64)
            first[:, at : at + BATCH] = _first(seen, np.array([len(s) for s in group]))
        return first

    def _varied(self, stimuli: Sequence[Stimulus]) -> tuple[np.ndarray, np.ndarray]:
        """A word of lanes for each run: lane 0 as it is, the others with other unknowns."""
        cycles, words = max(map(len, stimuli)), len(stimuli)
        planes = np.zeros((cycles, len(self.drive.nodes), words), np.uint64)
        driven = planes.shape[1] - len(self.drive.free)
        for w, s in enumerate(stimuli):
            planes[: len(s), :, w] = spread(s.rows)[..., 0]
        starts = np.concatenate([spread(s.start) for s in stimuli], axis=1)
        for unknown in (planes[:, driven:], starts):
            draws = self._rng.integers(0, 2**64, unknown.shape, dtype=np.uint64)
            unknown[:] = unknown & np.uint64(1) | draws & ~np.uint64(1)
        return planes, starts


def _first(seen: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(targets, lanes): the first cycle of `seen` (cycles, targets, words) in which a lane's bit is set, before the lane's end; -1 where none is."""
    first = np.full((seen.shape[1], len(ends)), -1, np.int64)
    known = np.zeros(seen.shape[1:], np.uint64)
    for t, row in enumerate(seen):
        new = row & ~known
        rows = np.flatnonzero(new.any(axis=1))
        if len(rows):
            at, lane = np.nonzero(lanes_of(new[rows]).T[:, : len(ends)])
            fine = t < ends[lane]
            first[rows[at[fine]], lane[fine]] = t
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
