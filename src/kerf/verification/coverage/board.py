"""The score board: which bins have been hit, by which stimulus. Every hit is seen in simulation, whoever proposed the stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.coverage.stimulus import Stimulus, drive_of, pick, stacked
from kerf.verification.graph import TRUE, Graph
from kerf.verification.lanes import Lanes, lanes_of
from kerf.verification.model import Model


BATCH = 512  # runs simulated at once when they are looked at again


@dataclass(frozen=True)
class News:
    """What an episode hit for the first time: `targets` (indices) and `words`, which words of lanes had part in it."""

    targets: list[int]
    words: np.ndarray


class Board:
    """`targets` are literals; those from `counted` on are watched for their novelty alone. A cycle counts while every cycle so far, and it, met
    `assumed`."""

    def __init__(
        self, model: Model, targets: Sequence[int], counted: int, assumed: Sequence[int] = ()
    ) -> None:
        self.model, self.drive, self.counted = model, drive_of(model), counted
        self.gated = gate(model.graph, targets, assumed)
        self.open = [i for i in range(len(targets)) if self.gated[i] != 0]
        self.stimuli: list[Stimulus] = []
        self.hit: dict[int, int] = {}  # target -> stimulus that hit it first
        self.lane_cycles = 0
        self._simulators: dict[int, Lanes | CompiledLanes] = {}
        self._initial = {n: model.initial.get(n, model.graph.right[n]) for n in model.graph.latches}

    @property
    def missing(self) -> list[int]:
        """Counted targets not hit and not given up."""
        return [i for i in self.open if i < self.counted]

    def give_up(self, targets: Sequence[int]) -> None:
        """Stop looking for targets that are proved unreachable."""
        gone = set(targets)
        self.open = [i for i in self.open if i not in gone]

    def run(self, planes: np.ndarray, start: np.ndarray) -> News:
        """Simulate an episode: `planes` (cycles, bits, words), `start` (latches, words)."""
        self.lane_cycles += planes.shape[0] * planes.shape[2] * 64
        watched = self.open
        seen = self._simulate(planes, start, [self.gated[i] for i in watched])
        new = np.flatnonzero(seen.any(axis=1))
        if not len(new):
            return News([], np.zeros(planes.shape[2], bool))
        found = [watched[i] for i in new]
        self._keep(planes, start, found, seen[new])
        gone = set(found)
        self.open = [i for i in watched if i not in gone]
        return News(found, seen[new].any(axis=0))

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
            self.hit |= dict.fromkeys((found[i] for i in np.flatnonzero(got)), len(self.stimuli) - 1)
            todo &= ~got

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

    def cycles_of(self, stimuli: Sequence[Stimulus], targets: Sequence[int]) -> np.ndarray:
        """(targets, stimuli): the first cycle in which a stimulus hits a target, -1 where it never does."""
        first = np.full((len(targets), len(stimuli)), -1, np.int64)
        for at in range(0, len(stimuli), BATCH):
            group = stimuli[at : at + BATCH]
            seen = self._simulate(*stacked(group), [self.gated[i] for i in targets], keep=True)
            first[:, at : at + BATCH] = _first(seen, np.array([len(s) for s in group]))
        return first


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
