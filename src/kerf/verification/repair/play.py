"""A table played on a graph, in 64 lanes that differ in all that the table does not say: initial values and free inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerf.verification.graph import Graph
from kerf.verification.lanes import ALL, Lanes
from kerf.verification.tables import Table

LANES = 64


@dataclass(frozen=True)
class Frame:
    """One evaluation of a graph: `known` input node -> 0 or 1; `expected`: (literal, value) pairs; `row` of the table that they come from;
    `clocks`: whether a clock edge follows; `restart`: whether the state is that of power-up."""

    known: Mapping[int, int]
    expected: tuple[tuple[int, int], ...]
    row: int
    clocks: bool = True
    restart: bool = False


@dataclass(frozen=True)
class Run:
    """A table as frames of a graph. `free`: inputs that the table says nothing about (unknown values among them)."""

    frames: tuple[Frame, ...]
    free: tuple[int, ...]
    rows: int


def frames_of(table: Table, graph: Graph, clocks: Sequence[str], *, stepped: bool = False, late: bool = False,
              fixed: Sequence[int] = ()) -> Run:  # fmt: skip
    """`fixed`: inputs that belong to someone else (holes). `stepped`: clocks are inputs, and a cycle is two frames, low and high; `late`: a
    cycle's outputs are looked at after its edge (registers clocked by the other edge than the table's)."""
    pins = {b >> 1 for c in clocks if c in graph.signals for b in graph.signals[c].bits}
    frames = []
    for index, (driven, seen) in enumerate(zip(table.inputs, table.expected)):
        row = {**driven, **seen}
        masks = {n: table.masks[index, n] for n in row if (index, n) in table.masks}
        known, expected = _bits(row, masks, graph, clocks)
        low = known | dict.fromkeys(pins, 0)
        restart = index == 0 or index in table.restarts
        frames.append(Frame(low, () if late else expected, index, restart=restart))
        if stepped:
            frames.append(Frame(known | dict.fromkeys(pins, 1), (), index))
        if late:
            frames.append(Frame(low, expected, index, clocks=False))
    taken = set(fixed)
    free = tuple(n for n in graph.inputs if n not in taken and not all(n in f.known for f in frames))
    return Run(tuple(frames), free, len(table))


def _bits(
    row: Mapping[str, int], masks: Mapping[str, int], graph: Graph, clocks: Sequence[str]
) -> tuple[dict[int, int], tuple[tuple[int, int], ...]]:
    known: dict[int, int] = {}
    expected: list[tuple[int, int]] = []
    for name, value in row.items():
        signal = graph.signals.get(name)
        if signal is None or name in clocks:
            continue
        pairs = [(bit, value >> i & 1) for i, bit in enumerate(signal.bits) if masks.get(name, -1) >> i & 1]
        if signal.kind == "input":
            known |= {b >> 1: v for b, v in pairs}
        else:
            expected += pairs
            if value >> len(signal.bits):
                expected.append((0, 1))  # a value too large for the port: never met
    return known, tuple(expected)


@dataclass(frozen=True)
class Unknowns:
    """What 64 lanes take for what a run leaves open. Lane k of `seed` has the same values each time it is asked for. `zero`: registers without an
    initial value start at 0, as in two-state simulators."""

    seed: int = 0
    zero: bool = False

    def start(self, graph: Graph) -> np.ndarray:
        """(latches,) uint64: one bit a lane."""
        rng = np.random.default_rng((self.seed, 0))
        values = rng.integers(0, 2**64, len(graph.latches), dtype=np.uint64)
        initial = np.array([graph.right[n] for n in graph.latches], np.int64)
        if self.zero:
            values[:] = 0
        values[initial == 0] = 0
        values[initial == 1] = ALL
        return values

    def inputs(self, run: Run, frame: int) -> np.ndarray:
        """(free inputs,) uint64 in a frame."""
        rng = np.random.default_rng((self.seed, 1 + frame))
        return rng.integers(0, 2**64, len(run.free), dtype=np.uint64)


@dataclass(frozen=True)
class Played:
    """`first[k]`: the first row in which lane k's outputs are not as expected, or the number of rows. `states`: the
    latches, one bit a lane, before each frame; `wrong`: of rows in which a lane fails first, the literals that are not as expected;
    `names`: of the outputs that they are bits of, in the row in which most lanes fail."""

    first: np.ndarray
    rows: int
    states: list[np.ndarray] = field(default_factory=list, repr=False)
    wrong: dict[int, set[int]] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return bool((self.first == self.rows).all())

    @property
    def share(self) -> float:
        """Of lanes that pass."""
        return float((self.first == self.rows).mean())

    @property
    def row(self) -> int:
        """The row in which most of the lanes that fail do so first."""
        failed = self.first[self.first < self.rows]
        return int(np.bincount(failed).argmax()) if len(failed) else self.rows

    @property
    def lane(self) -> int:
        """A lane that fails there."""
        return int(np.flatnonzero(self.first == self.row)[0])


def play(graph: Graph, run: Run, unknowns: Unknowns, holes: Mapping[int, int] | None = None, *, whole: bool = False) -> Played:  # fmt: skip
    """`holes`: input node -> 0 or 1, constant over the run. Stops when all lanes have failed, unless `whole`, which keeps the states."""
    lanes = Lanes(graph)
    latches, free = np.array(graph.latches, np.int64), np.array(run.free, np.int64)
    start = unknowns.start(graph)
    for node, value in (holes or {}).items():
        lanes.set_node(node, value)
    played = Played(np.full(LANES, run.rows, np.int64), run.rows)
    for index, frame in enumerate(run.frames):
        if frame.restart:
            lanes.values[latches, 0] = start
        if whole:
            played.states.append(lanes.values[latches, 0].copy())
        lanes.values[free, 0] = unknowns.inputs(run, index)
        nodes = np.fromiter(frame.known, np.int64, len(frame.known))
        lanes.values[nodes, 0] = np.fromiter(frame.known.values(), np.uint64, len(nodes)) * ALL
        lanes.evaluate()
        if frame.expected:
            _note(lanes, frame, played)
            if not whole and (played.first < run.rows).all():
                break
        if frame.clocks:
            lanes.clock()
    return played


def _note(lanes: Lanes, frame: Frame, played: Played) -> None:
    literals = np.array([b for b, _ in frame.expected], np.int64)
    wanted = np.array([ALL if v else 0 for _, v in frame.expected], np.uint64)[:, None]
    wrong = np.bitwise_or.reduce(lanes.planes(literals) ^ wanted, axis=0)
    if wrong.any():
        bits = np.unpackbits(wrong.view(np.uint8), bitorder="little").astype(bool)
        new = bits & (played.first == played.rows)
        played.first[new] = frame.row
        if new.any():
            odd = (lanes.planes(literals) ^ wanted).any(axis=1)
            played.wrong.setdefault(frame.row, set()).update(int(b) for b in literals[odd])
