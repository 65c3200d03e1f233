"""Runs that look for a difference of two designs, where plain random ones do not get far: reset first, numbers of the source as data, and every run
that brings a register to a new value, or registers of both apart, is gone on from (coverage-guided fuzzing: RFUZZ, Laeufer et al., ICCAD 2018).

A register of gate that has another value than gold's of the same name is no difference yet, but most differences begin with one, so runs that show
one are gone on from most often. In turns with luck, a solver looks a few cycles ahead of such runs (`leaping`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.coverage.constants import mined
from kerf.verification.coverage.stimulus import (
    CONTROL_PATTERNS,
    WORD_PATTERNS,
    Stimulus,
    drive_of,
    mixed,
    mutants,
    pick,
    spread,
    stacked,
)
from kerf.verification.equivalence.leaping import Leaper
from kerf.verification.equivalence.product import Product, same_registers
from kerf.verification.lanes import Lanes, lanes_of
from kerf.verification.model import Model, Reset, find_reset
from kerf.verification.trace import Trace

WORDS = 16  # of 64 lanes, in an episode
SEGMENT = 16  # cycles that one pattern lasts
TAILS = (8, 32, 96)  # cycles after a run that is gone on from
LONGEST = 512
KEPT = 8  # runs, of one episode; and of those in which one register of gate is apart
FRESH, APART = (
    0.3,
    0.6,
)  # shares of lanes from reset on, and of the others those that go on from registers apart
RELEASED = 0.9  # share of lanes in which the reset does not come again
LOOKING, LONGER = 8, 1.2
"""How many times as long as the solver's graph took to make the first look ahead may take; and the next, where one shows nothing, than that."""
AHEAD = 40  # cycles, at most
LOOKED_AT = 4  # runs, of which the one with most registers known is gone on from


@dataclass
class Seeker:
    """`shown` are the runs gone on from, `parted` those of them that end with a register of gate apart from gold's. Inputs without a name, which a source's
    x becomes, are thousands: each keeps one value for a run, chosen like that of a register that starts unknown."""

    gold: Model
    gate: Model
    made: Product
    constants: Sequence[int]
    reset: Reset | None
    seed: int = 1
    shown: list[Stimulus] = field(default_factory=list)
    parted: list[Stimulus] = field(default_factory=list)

    def __post_init__(self) -> None:
        model, begun = self.made.model, time.monotonic()
        whole, self.rng = drive_of(model), np.random.default_rng(self.seed)
        self.unnamed = whole.free
        self.apart, self._looking_s = _apart(self.gold, self.gate, self.made), 0.0
        self.drive = replace(whole, free=(), start=whole.start + whole.free)
        values = [2 * n + inverted for n in model.graph.latches for inverted in (0, 1)]
        self.watch = np.array([self.made.bad, *self.apart, *values])
        self.wanted = np.ones(len(self.watch), np.int64)  # runs that may still be kept for it
        self.wanted[1 : len(self.apart) + 1] = KEPT
        self.lanes = simulator(model.graph, WORDS, model.initial, self.watch.tolist())
        self.single = simulator(model.graph, 1, model.initial, self.watch.tolist())
        self._making_s = time.monotonic() - begun  # the solver's graph takes about as long

    def seek(self, deadline: float) -> Trace | None:
        """A run whose last cycle shows a difference; None at `deadline` (of `time.monotonic`)."""
        looked = played = 0.0
        while (now := time.monotonic()) < deadline:
            ahead = (
                looked < played and bool(self.shown or self.parted) and now + 2 * self._making_s < deadline
            )
            found = self._look_ahead(deadline) if ahead else self.episode()
            spent = time.monotonic() - now
            looked, played = (looked + spent, played) if ahead else (looked, played + spent)
            if found is not None:
                trace = self.drive.trace(found)
                values = {n: trace.start[n] for n in self.unnamed}
                return replace(trace, free=(values,) * len(trace))
        return None

    def episode(self) -> Stimulus | None:
        tail = int(self.rng.choice(TAILS))
        columns = [self._column(tail) for _ in range(WORDS)]
        cycles = max(len(c) for c, _ in columns)
        planes = np.concatenate([self._long(c, cycles) for c, _ in columns], axis=2)
        start = np.concatenate([s for _, s in columns], axis=1)
        seen = self._run(self.lanes, planes, start)
        hit = np.flatnonzero(lanes_of(seen[:1])[:, 0])
        chosen = [int(hit[0])] if len(hit) else self._news(seen)
        if not chosen:
            return None
        runs = [pick(planes, start, lane, cycles) for lane in chosen]
        return self._cut(runs, found=bool(len(hit)))

    def _look_ahead(self, deadline: float) -> Stimulus | None:
        """A run gone on from by a solver: registers apart, or a difference; kept, or found."""
        leaper = self._leaper
        tried = [(run, *self._after(run)) for run in (self._known() for _ in range(LOOKED_AT))]
        base, values, apart = max(tried, key=lambda row: self._determined(row[1]))
        asked = [i for i, a in enumerate(apart) if not a and self.wanted[1 + i] > 0]
        end = min(deadline, time.monotonic() + self._looking_s)
        found = leaper.leap(leaper.state(values), asked, AHEAD, end)
        if (rows := found.rows) is None:
            self._looking_s *= 1 if found.quiet else LONGER
            if found.quiet:
                self.shown, self.parted = ([r for r in runs if r is not base] for runs in (self.shown, self.parted))  # fmt: skip
            return None
        if self.reset is not None and (column := self._reset_column) is not None:
            rows[:, column] = 1 - self.reset.active
        run = Stimulus(np.concatenate([base.rows, rows])[:LONGEST], base.start)
        return self._judged(run, len(base))

    def _determined(self, values: Mapping[int, int]) -> int:
        """How many of gold's registers that may be unknown have a value: a difference that rests on the others is none."""
        return sum(values[d.one >> 1] | values[d.zero >> 1] for d in self.made.doubled)

    def _after(self, base: Stimulus) -> tuple[dict[int, int], list[int]]:
        """The latches after a run, and which of `apart` are then true."""
        self._run(self.single, *stacked([base]))
        self.single.evaluate()
        latches = self.made.model.graph.latches
        values, apart = (self.single.planes(x)[:, 0] & np.uint64(1) for x in ([2 * n for n in latches], self.apart))  # fmt: skip
        return dict(zip(latches, values.tolist(), strict=True)), apart.tolist()

    @cached_property
    def _leaper(self) -> Leaper:
        model, begun = self.made.model, time.monotonic()
        held = {n: model.held[s.bits[0] >> 1] for n, s in model.graph.signals.items() if s.kind == "input" and s.bits[0] >> 1 in model.held}  # fmt: skip
        if self.reset is not None:
            held[self.reset.name] = 1 - self.reset.active
        made = Leaper(self.gold, self.gate, self.made, [name for name, _ in self.drive.words], held)
        self._looking_s = LOOKING * (time.monotonic() - begun)
        return made

    def _judged(self, run: Stimulus, known: int) -> Stimulus | None:
        """A run of which the first `known` cycles are not new: cut where it shows a difference, or kept where registers come apart."""
        seen = self._run(self.single, *stacked([run]), keep=True)[:, :, 0] & np.uint64(1)
        if seen[:, 0].any():
            return Stimulus(run.rows[: int(seen[:, 0].argmax()) + 1], run.start)
        new = seen[known:].astype(bool) & ~seen[:known].any(axis=0) & (self.wanted > 0)
        parted = new[:, 1 : len(self.apart) + 1].any(axis=1)
        if parted.any():
            self.wanted[new[int(parted.argmax())]] -= 1
            self.parted.append(Stimulus(run.rows[: known + int(parted.argmax()) + 1], run.start))
        return None

    def _run(self, lanes: Lanes | CompiledLanes, planes: np.ndarray, start: np.ndarray, keep: bool = False) -> np.ndarray:  # fmt: skip
        model = self.made.model
        lanes.restart(model.initial)
        for node, row in zip(self.drive.start, start, strict=True):
            lanes.set_node(node, row)
        for node, value in model.held.items():
            lanes.set_node(node, value)
        return lanes.run(self.drive.nodes, planes, self.watch, keep=keep)

    def _news(self, seen: np.ndarray) -> list[int]:
        """Lanes that show what few runs have shown, registers apart first."""
        rows = np.flatnonzero((self.wanted > 0) & seen.any(axis=1))
        lanes = [self._some_lane(seen[row]) for row in rows[: 4 * KEPT]]
        return list(dict.fromkeys(lanes))[:KEPT]

    def _some_lane(self, row: np.ndarray) -> int:
        return int(self.rng.choice(np.flatnonzero(lanes_of(row[None])[:, 0])))

    def _cut(self, runs: Sequence[Stimulus], found: bool) -> Stimulus | None:
        """Runs up to the cycle in which they show something: the first of them where it is a difference (`found`); else they are kept."""
        planes, start = stacked(runs)
        seen = self._run(self.single, planes, start, keep=True)[:, :, 0]
        for lane, run in enumerate(runs):
            bits: np.ndarray = (seen[: len(run)] >> np.uint64(lane) & np.uint64(1)).astype(bool)
            new: np.ndarray = bits[:, :1] if found else bits & (self.wanted > 0)
            if not new.any():
                continue
            length = int(new.any(axis=1).argmax()) + 1
            short = Stimulus(run.rows[:length], run.start)
            if found:
                return short
            shows: np.ndarray = np.asarray(bits[:length].any(axis=0))
            self.wanted[shows] -= 1
            (self.parted if shows[1 : len(self.apart) + 1].any() else self.shown).append(short)
        return None

    def _column(self, tail: int) -> tuple[np.ndarray, np.ndarray]:
        """64 lanes, (cycles, bits, 1), and their start, (latches, 1)."""
        base = self._base()
        if base is None:
            planes = self._fresh(tail + SEGMENT)
            self._put_reset(planes)
            return planes, self.rng.integers(0, 2**64, (len(self.drive.start), 1), dtype=np.uint64)
        if self.rng.random() < 0.3:
            planes = mutants(self.rng, base, 64, len(base) + tail)
        else:
            planes = np.concatenate([spread(base.rows), self._fresh(tail)])
            self._release(planes[len(base) :])
        return planes[:LONGEST], spread(base.start)

    def _base(self) -> Stimulus | None:
        if not (self.shown or self.parted) or self.rng.random() < FRESH:
            return None
        return self._known()

    def _known(self) -> Stimulus:
        """A run to go on from."""
        first, other = (self.parted, self.shown) if self.rng.random() < APART else (self.shown, self.parted)
        rows = first or other
        return rows[int(len(rows) * np.sqrt(self.rng.random()))]  # newer ones more often

    def _fresh(self, cycles: int) -> np.ndarray:
        parts = []
        for at in range(0, cycles, SEGMENT):
            names = str(self.rng.choice(list(WORD_PATTERNS))), str(self.rng.choice(list(CONTROL_PATTERNS)))
            parts.append(mixed(self.drive, self.rng, min(SEGMENT, cycles - at), names, self.constants))
        return np.concatenate(parts)

    def _put_reset(self, planes: np.ndarray) -> None:
        """Held at first, then released; in some lanes left to luck."""
        if self.reset is None:
            return
        self._release(planes)
        column = self._reset_column
        if column is not None and self.rng.random() < RELEASED:
            planes[: self.reset.cycles * (2 if self.reset.clocks else 1), column] = spread(
                np.array([self.reset.active])
            )

    def _release(self, planes: np.ndarray) -> None:
        column = self._reset_column
        if self.reset is not None and column is not None and self.rng.random() < RELEASED:
            planes[:, column] = spread(np.array([1 - self.reset.active]))

    @property
    def _reset_column(self) -> int | None:
        names = [name for name, nodes in self.drive.words for _ in nodes]
        return names.index(self.reset.name) if self.reset and self.reset.name in names else None

    @staticmethod
    def _long(planes: np.ndarray, cycles: int) -> np.ndarray:
        return np.concatenate([planes, np.repeat(planes[-1:], cycles - len(planes), axis=0)])


def seeker(gold: Model, gate: Model, made: Product) -> Seeker:
    numbers = sorted({*mined(gold.design), *mined(gate.design)})
    reset = None if gold.reset else find_reset(gold.graph, gold.clock, gold.clocks)
    return Seeker(gold, gate, made, numbers, reset)


def _apart(gold: Model, gate: Model, made: Product) -> list[int]:
    """For each of `same_registers`: gold's is known, and gate's is another value."""
    graph = made.model.graph
    doubled = {d.one: d.zero for d in made.doubled}
    found = []
    for node, other in same_registers(gold, gate).items():
        one = made.gold_nodes[node]
        zero = doubled.get(one, one ^ 1)
        value = made.gate_nodes[other >> 1] ^ (other & 1)
        literal = graph.disjunction(graph.conjunction(one, value ^ 1), graph.conjunction(zero, value))
        found.append(literal)
    return found
