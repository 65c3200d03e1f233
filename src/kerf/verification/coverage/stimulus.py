"""Stimulus for many lanes at once: what drives a design, in generic patterns, and mutants of what has paid.

Patterns know nothing of a design: uniform bits, ramps, alternating strides, walking ones, held values, biased bits, constants of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.graph import FREE
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling
from kerf.verification.trace import Trace

Rng = np.random.Generator
Numbers = np.ndarray  # (cycles, lanes) uint64


@dataclass(frozen=True)
class Stimulus:
    """One run as bits: `rows` (cycles, driven bits) and `start` (free latches), uint8; columns as in the `Drive` they were made for."""

    rows: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Drive:
    """What may be driven: `words` are (name, nodes) of input words, `free` other input nodes, `start` latches with any initial value."""

    words: tuple[tuple[str, tuple[int, ...]], ...]
    free: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def nodes(self) -> list[int]:
        """The columns of a stimulus."""
        return [n for _, nodes in self.words for n in nodes] + list(self.free)

    def trace(self, stimulus: Stimulus) -> Trace:
        rows, free = [], []
        for row in stimulus.rows.tolist():
            at, cycle = 0, {}
            for name, nodes in self.words:
                cycle[name] = sum(b << i for i, b in enumerate(row[at : at + len(nodes)]))
                at += len(nodes)
            rows.append(cycle)
            free.append(dict(zip(self.free, row[at:], strict=True)))
        start = dict(zip(self.start, stimulus.start.tolist(), strict=True))
        return Trace(tuple(rows), start, tuple(free) if self.free else ())

    def stimulus(self, trace: Trace) -> Stimulus:
        """The inverse of `trace`; words that a cycle does not name are 0."""
        rows = np.zeros((len(trace), len(self.nodes)), np.uint8)
        for t, cycle in enumerate(trace.inputs):
            bits = [int(cycle.get(name, 0)) >> i & 1 for name, nodes in self.words for i in range(len(nodes))]
            free = trace.free[t] if t < len(trace.free) else {}
            rows[t] = bits + [free.get(n, 0) for n in self.free]
        return Stimulus(rows, np.array([trace.start.get(n, 0) for n in self.start], np.uint8))

    def solved(self, unrolling: Unrolling, frame: int) -> Stimulus:
        """The run that a solver's model describes, up to `frame`."""
        true, nodes = unrolling.values(), self.nodes
        rows = [[unrolling.read(n, t, true) for n in nodes] for t in range(frame + 1)]
        start = [unrolling.read(n, 0, true) for n in self.start]
        return Stimulus(np.array(rows, np.uint8).reshape(frame + 1, len(nodes)), np.array(start, np.uint8))


def drive_of(model: Model) -> Drive:
    graph = model.graph
    words = tuple((n, tuple(b >> 1 for b in graph.signals[n].bits)) for n in model.inputs)
    named = {n for _, nodes in words for n in nodes} | set(model.held)
    start = tuple(n for n in graph.latches if model.initial.get(n, graph.right[n]) == FREE)
    return Drive(words, tuple(n for n in graph.inputs if n not in named), start)


def planes_of_numbers(numbers: Numbers, width: int) -> np.ndarray:
    """(cycles, width, words) uint64 from a number a lane and cycle."""
    bits = (numbers[:, None, :] >> np.arange(width, dtype=np.uint64)[None, :, None]) & np.uint64(1)
    return np.packbits(bits.astype(np.uint8), axis=2, bitorder="little").view(np.uint64)


def pick(planes: np.ndarray, start: np.ndarray, lane: int, cycles: int) -> Stimulus:
    """One lane of an episode: `planes` (cycles, bits, words), `start` (latches, words)."""
    shift = np.uint64(lane & 63)
    column = planes[:cycles, :, lane >> 6] >> shift & np.uint64(1)
    return Stimulus(column.astype(np.uint8), (start[:, lane >> 6] >> shift & np.uint64(1)).astype(np.uint8))


def stacked(stimuli: Sequence[Stimulus]) -> tuple[np.ndarray, np.ndarray]:
    """Runs as lanes, those that end early padded with zeros: planes (cycles, bits, words) and start (latches, words)."""
    words, cycles = -(-len(stimuli) // 64), max(map(len, stimuli))
    rows = np.zeros((cycles, stimuli[0].rows.shape[1], words * 64), np.uint8)
    start = np.zeros((len(stimuli[0].start), words * 64), np.uint8)
    for lane, s in enumerate(stimuli):
        rows[: len(s), :, lane], start[:, lane] = s.rows, s.start
    pack = lambda bits, axis: np.packbits(bits, axis=axis, bitorder="little").view(np.uint64)  # noqa: E731
    return pack(rows, 2), pack(start, 1)


def mutants(rng: Rng, base: Stimulus, lanes: int, cycles: int) -> np.ndarray:
    """(cycles, bits, words): lane 0 is `base` (its cycles repeated where it ends); the others have bits flipped, with a rate of its own for each word of
    lanes, in a window of cycles, or whole cycles taken from elsewhere in it."""
    order = np.arange(cycles) % len(base)
    words = lanes // 64
    planes = np.empty((cycles, base.rows.shape[1], words), np.uint64)
    for w in range(words):
        moved = order if w % 2 == 0 else _moved(rng, order, len(base))
        source = spread(base.rows[moved])[..., 0]
        planes[:, :, w] = source ^ _sparse(rng, source.shape, rate=int(rng.integers(2, 8)))
    keep = np.uint64(1)
    planes[:, :, 0] = (planes[:, :, 0] & ~keep) | base.rows[order].astype(np.uint64)
    return planes


def spread(bits: np.ndarray) -> np.ndarray:
    """(..., 1) uint64: each bit in all 64 lanes of a word."""
    return (0 - bits.astype(np.int64)).astype(np.uint64)[..., None]


def _moved(rng: Rng, order: np.ndarray, length: int) -> np.ndarray:
    """Another order of the cycles: a piece repeated, or some replaced by others."""
    at, to = int(rng.integers(len(order))), int(rng.integers(length))
    moved = order.copy()
    moved[at:] = (to + np.arange(len(order) - at)) % length
    return moved


def _sparse(rng: Rng, shape: tuple[int, ...], rate: int) -> np.ndarray:
    """Random bits, each set with probability 2^-rate."""
    bits = rng.integers(0, 2**64, shape, dtype=np.uint64)
    for _ in range(rate - 1):
        bits &= rng.integers(0, 2**64, shape, dtype=np.uint64)
    return bits


Pattern = Callable[[Rng, int, int, int, Sequence[int]], Numbers]
ONE = np.uint64(1)


def _mask(width: int) -> np.uint64:
    return np.uint64((1 << width) - 1)


def _uniform(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    return rng.integers(0, 1 << width, (cycles, lanes), dtype=np.uint64, endpoint=False) if width < 64 else rng.integers(0, 2**64, (cycles, lanes), dtype=np.uint64)  # fmt: skip


def _small(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    keep = rng.integers(1, width + 1, lanes).astype(np.uint64)
    return _uniform(rng, cycles, lanes, width, constants) & ((ONE << keep) - ONE)


def _step(rng: Rng, lanes: int, width: int) -> np.ndarray:
    """(lanes,) strides of either sign, small ones as likely as large ones."""
    size = rng.integers(1, min(width, 8) + 1, lanes).astype(np.uint64)
    step = rng.integers(0, 2**63, lanes, dtype=np.uint64) & ((ONE << size) - ONE)
    return np.where(rng.random(lanes) < 0.5, step, np.uint64(0) - step)


def _ramp(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    return _strides(rng, cycles, lanes, width, 1)


def _alternating(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    return _strides(rng, cycles, lanes, width, 2)


def _strides(rng: Rng, cycles: int, lanes: int, width: int, period: int) -> Numbers:
    base = _uniform(rng, 1, lanes, width, ())
    steps = np.stack([_step(rng, lanes, width) for _ in range(period)])
    return (base + np.cumsum(steps[np.arange(cycles) % period], axis=0, dtype=np.uint64)) & _mask(width)


def _walking(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    at = (np.arange(cycles)[:, None] + rng.integers(0, width, lanes)[None]) % width
    one = ONE << at.astype(np.uint64)
    return np.where(rng.random(lanes) < 0.5, one, one ^ _mask(width))


def _held(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    """Values that stay for a while: each lane changes at a rate of its own, some never."""
    rate = rng.choice([0.0, 0.05, 0.2, 0.5], lanes)
    change = rng.random((cycles, lanes)) < rate
    change[0] = True
    source = np.maximum.accumulate(np.where(change, np.arange(cycles)[:, None], 0), axis=0)
    return np.take_along_axis(_small(rng, cycles, lanes, width, ()), source, axis=0)


def _biased(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    """Mostly ones or mostly zeros."""
    few = _uniform(rng, cycles, lanes, width, ())
    for _ in range(int(rng.integers(1, 4))):
        few &= _uniform(rng, cycles, lanes, width, ())
    return np.where(rng.random(lanes) < 0.5, few, few ^ _mask(width))


def _mined(rng: Rng, cycles: int, lanes: int, width: int, constants: Sequence[int]) -> Numbers:
    """Constants of the source, as they are or in a field of a random number."""
    if not constants:
        return _small(rng, cycles, lanes, width, ())
    chosen = rng.choice(np.array(constants, np.uint64), (cycles, lanes)) & _mask(width)
    size = max(int(max(constants)).bit_length(), 1)
    high = _uniform(rng, cycles, lanes, width, ()) & ~_mask(min(size, 63)) & _mask(width)
    return np.where(rng.random(lanes) < 0.5, chosen, chosen | high)


WORD_PATTERNS: dict[str, Pattern] = {
    "uniform": _uniform, "small": _small, "ramp": _ramp, "alternating": _alternating, "walking": _walking, "held": _held, "biased": _biased,
    "mined": _mined,
}  # fmt: skip
CONTROL_PATTERNS: dict[str, Pattern] = {
    "uniform": _uniform, "held": _held, "biased": _biased, "alternating": _ramp,
}  # fmt: skip
CONTROL_BITS = 2  # words no wider are controls


def mixed(
    drive: Drive, rng: Rng, cycles: int, chosen: tuple[str, str], constants: Sequence[int]
) -> np.ndarray:
    """(cycles, bits, 1): 64 lanes of one pattern for words and one for controls."""
    parts = []
    for _, nodes in drive.words:
        for at in range(0, len(nodes), 64):
            width = min(64, len(nodes) - at)
            pattern = CONTROL_PATTERNS[chosen[1]] if len(nodes) <= CONTROL_BITS else WORD_PATTERNS[chosen[0]]
            parts.append(planes_of_numbers(pattern(rng, cycles, 64, width, constants), width))
    if drive.free:
        parts.append(rng.integers(0, 2**64, (cycles, len(drive.free), 1), dtype=np.uint64))
    return np.concatenate(parts, axis=1) if parts else np.zeros((cycles, 0, 1), np.uint64)
