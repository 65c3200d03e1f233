"""Random runs of two designs at once: they tell different designs apart within milliseconds, and guess which registers correspond."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerf.verification.graph import FREE
from kerf.verification.lanes import ALL, Lanes, Planes, lanes_of, random_planes
from kerf.verification.model import Model
from kerf.verification.trace import Trace


@dataclass
class Stimulus:
    """Values for the inputs of `model` in 64 * `words` lanes. Each group of 64 lanes treats each input word in one of four ways: fair bits, mostly 0,
    mostly 1, or kept for some cycles, because fair bits leave few designs out of reset for long."""

    model: Model
    words: int
    rng: np.random.Generator
    _ways: dict[str, np.ndarray] = field(default_factory=dict)
    _last: dict[str, Planes] = field(default_factory=dict)

    def next(self) -> dict[str, Planes]:
        widths = {n: len(self.model.graph.signals[n].bits) for n in self.model.inputs}
        self._last = {n: self._word(n, w) for n, w in widths.items()}
        return self._last

    def _word(self, name: str, width: int) -> Planes:
        fair, more, third = (random_planes(self.rng, width, self.words) for _ in range(3))
        rare = fair & more & third
        if name not in self._ways:
            self._ways[name] = self.rng.integers(0, 4, self.words)
            return fair
        change = random_planes(self.rng, 1, self.words) & random_planes(self.rng, 1, self.words)
        kept = (fair & change) | (self._last[name] & ~change)
        return np.asarray(np.choose(self._ways[name], [fair, rare, rare ^ ALL, kept]))


@dataclass(frozen=True)
class Cycle:
    """`lanes` hold the values of one cycle; `start` is how latches without an initial value began."""

    time: int
    lanes: Lanes
    inputs: dict[str, Planes]
    free: dict[int, np.ndarray]
    start: dict[int, np.ndarray]


def run(model: Model, pairs: Sequence[tuple[int, int]] = (), *, cycles: int = 32, words: int = 4, seed: int = 1) -> Iterator[Cycle]:  # fmt: skip
    """Random runs from the initial states. `pairs`: literals of latches that start with the same unknown value."""
    rng = np.random.default_rng(seed)
    lanes = Lanes(model.graph, words, model.initial)
    for node in model.graph.latches:
        if model.initial[node] == FREE:
            lanes.set_node(node, random_planes(rng, 1, words)[0])
    for mine, other in pairs:
        lanes.set_node(mine >> 1, lanes.literal(other ^ (mine & 1)))
    start = {n: lanes.values[n].copy() for n in model.graph.latches if model.initial[n] == FREE}
    stimulus = Stimulus(model, words, rng)
    named = {b >> 1 for n in model.inputs for b in model.graph.signals[n].bits}
    others = [n for n in model.graph.inputs if n not in named and n not in model.held]
    for time in range(cycles):
        inputs, free = stimulus.next(), {n: random_planes(rng, 1, words)[0] for n in others}
        for name, planes in inputs.items():
            lanes.set_word(name, planes)
        for node, value in (free | model.held).items():
            lanes.set_node(node, value)
        lanes.evaluate()
        yield Cycle(time, lanes, inputs, free, start)
        lanes.clock()


def signatures(
    model: Model, pairs: Sequence[tuple[int, int]], nodes: Sequence[int], **how: int
) -> np.ndarray:
    """(nodes, samples) uint64: the values of nodes in random runs."""
    rows = [cycle.lanes.values[nodes].copy() for cycle in run(model, pairs)]
    return np.concatenate(rows, axis=1)


def hunt(model: Model, target: int) -> Trace | None:
    """A random run whose last cycle has the literal `target` true."""
    history: list[Cycle] = []
    for cycle in run(model):
        history.append(cycle)
        hit = np.flatnonzero(lanes_of(cycle.lanes.literal(target)[None])[:, 0])
        if len(hit):
            return _trace(model, history, int(hit[0]))
    return None


def samples(model: Model, cycles: int, count: int = 4) -> list[Trace]:
    """Some random runs."""
    history = list(run(model, cycles=cycles, words=count))
    return [_trace(model, history, 64 * k) for k in range(count)]


def _trace(model: Model, history: Sequence[Cycle], lane: int) -> Trace:
    inputs = tuple({n: _number(p, lane) for n, p in c.inputs.items()} for c in history)
    free = tuple({n: _number(p[None], lane) for n, p in c.free.items()} for c in history)
    start = {n: _number(history[0].start[n][None], lane) for n in history[0].start}
    return Trace(inputs, start, free)


def _number(planes: Planes, lane: int) -> int:
    bits = planes[:, lane >> 6] >> np.uint64(lane & 63) & np.uint64(1)
    return sum(int(b) << i for i, b in enumerate(bits))


def determined(model: Model, known: Sequence[int]) -> list[bool]:
    """Which of the literals `known` are true in some cycle of random runs."""
    seen = np.zeros(len(known), bool)
    for cycle in run(model):
        seen |= cycle.lanes.planes(known).any(axis=1)
        if seen.all():
            break
    return [bool(s) for s in seen]
