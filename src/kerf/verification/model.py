"""A design ready for engines: its graph, clock, reset, and the state that it is in after reset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.graph import FREE, Graph, Node
from kerf.verification.netlist import Check, Netlist
from kerf.verification.synthesis import synthesize

RESET_NAMES = re.compile(r"(^|_|\b)(a|s|r|w|rd|wr|hw|sys|n|async_|sync_)?(rst|reset|resetn|rstn|clr|clear)(_?n|_?ni|_?i|_?b|_?l)?($|_)", re.I)  # fmt: skip
RESET_CYCLES = 16
X = 2


@dataclass(frozen=True)
class Reset:
    """An input that, held at `active` for `cycles` clock cycles, brings registers to known values. `clocks`: inputs that all change in such a cycle, where
    every clock is an input."""

    name: str
    active: int
    cycles: int
    clocks: tuple[str, ...] = ()

    def steps(self, graph: Graph, clock: str = "") -> list[dict[int, int]]:
        """Input node -> value in every step in which it is held: a cycle each, or two where clocks are inputs: low, then high."""
        held = {graph.signals[self.name].bits[0] >> 1: self.active}
        if not self.clocks:
            return [held | ({graph.signals[clock].bits[0] >> 1: 0} if clock else {})] * self.cycles
        pins = [b >> 1 for name in self.clocks for b in graph.signals[name].bits]
        return [held | dict.fromkeys(pins, level) for level in (0, 1)] * self.cycles


@dataclass(frozen=True)
class Model:
    """`clock` is the name of the one clock, "" for combinational designs and those modelled step by step (`stepped`); `edge`: posedge or negedge. `initial`: latch node -> 0, 1 or FREE in
    the cycle in which verification starts: after reset, where there is one. Reset is then held inactive, unless `reset_free`."""

    design: Design
    graph: Graph
    checks: tuple[Check, ...]
    clock: str
    reset: Reset | None
    initial: Mapping[int, int]
    notes: tuple[str, ...] = ()
    reset_free: bool = False
    edge: str = ""
    stepped: bool = False
    clocks: tuple[str, ...] = ()  # inputs, where `stepped`

    @property
    def inputs(self) -> list[str]:
        """Names of the input words that stimulus drives: neither the clock nor, while it is held, the reset."""
        held = {self.clock} | ({self.reset.name} if self.reset and not self.reset_free else set())
        return [n for n, s in self.graph.signals.items() if s.kind == "input" and n not in held]

    @property
    def held_names(self) -> set[str]:
        """The reset, where it is an input that is held."""
        return {self.reset.name} if self.reset and not self.reset_free else set()

    @property
    def outputs(self) -> list[str]:
        return [n for n, s in self.graph.signals.items() if s.kind == "output"]

    @property
    def held(self) -> dict[int, int]:
        """Input nodes with a constant value: the clock, as it is just before its edge, and the reset where it is held inactive."""
        values: dict[int, int] = {}
        if self.clock:
            values |= {b >> 1: int(self.edge == "negedge") for b in self.graph.signals[self.clock].bits}
        if self.reset and not self.reset_free:
            values[self.graph.signals[self.reset.name].bits[0] >> 1] = 1 - self.reset.active
        return values


def model(design: Design, texts: Mapping[str, str] | None = None, *, reset: str | None = None, reset_free: bool = False,
          free_unknowns: bool = True, stepped: bool = False, checks: bool = False, keep: bool = False, timeout_s: float = 60.0) -> Model:  # fmt: skip
    """Synthesize and find clock and reset. `reset`: its name, "!name" for an active-low one, "" for none; found by name and effect when None.
    `free_unknowns`, `stepped`, `checks` and `keep` as for `synthesize`."""
    how: dict[str, Any] = {
        "free_unknowns": free_unknowns,
        "checks": checks,
        "keep": keep,
        "timeout_s": timeout_s,
    }
    made = synthesize(design, texts, stepped=stepped, **how)
    net = made.netlist
    clock, edge = net.clocks[0] if net.clocks and not made.stepped else ("", "")
    initial = {n: net.graph.right[n] for n in net.graph.latches}
    notes = made.notes
    if clock and _reads_clock(net):
        notes += (f"{clock} is data too: taken everywhere as it is just before its edge",)
    pins = _clock_inputs(net) if made.stepped else ()
    found = Model(
        design, net.graph, net.checks, clock, None, initial, notes, reset_free, edge, made.stepped, pins
    )
    chosen = find_reset(net.graph, clock, pins) if reset is None else _given_reset(net.graph, reset, pins)
    return _begun(found, chosen)


def _clock_inputs(net: Netlist) -> tuple[str, ...]:
    signals = net.graph.signals
    return tuple(dict.fromkeys(n for n, _ in net.clocks if n in signals and signals[n].kind == "input"))


def with_reset(made: Model) -> Model:
    """A model that was made without a reset, with the one that is found by name and effect."""
    return _begun(made, find_reset(made.graph, made.clock, made.clocks))


def _begun(made: Model, chosen: Reset | None) -> Model:
    """`made` in the state after a reset, and with notes of it."""
    initial, notes = made.initial, made.notes
    if chosen:
        initial = _after(made.graph, chosen, made.clock)
        level = "high" if chosen.active else "low"
        notes += (
            f"reset {chosen.name}: held {level} for {chosen.cycles} cycle(s), "
            + ("then free" if made.reset_free else "then inactive"),
        )
    unknown = sum(v == FREE for v in initial.values())
    if unknown:
        notes += (
            f"{unknown} of {len(initial)} register bits start with any value: no reset or initial value reaches them",
        )
    return replace(made, reset=chosen, initial=initial, notes=notes)


def _reads_clock(net: Netlist) -> bool:
    """Whether a register or an immediate assertion reads the clock as data. A simulator shows it the value after the edge; cycles have the one before
    it, which is what concurrent assertions sample."""
    if len(net.clocks) != 1 or net.clocks[0][0] not in net.graph.signals:
        return False
    graph, clock = net.graph, net.graph.signals[net.clocks[0][0]].bits[0] >> 1
    todo = [graph.left[n] >> 1 for n in graph.latches] + [c.holds >> 1 for c in net.checks]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if node == clock:
            return True
        if node not in seen and graph.kind[node] == Node.AND:
            todo += [graph.left[node] >> 1, graph.right[node] >> 1]
        seen.add(node)
    return False


def _given_reset(graph: Graph, text: str, clocks: Sequence[str] = ()) -> Reset | None:
    name = text.lstrip("!")
    if not name:
        return None
    signal = graph.signals.get(name)
    if signal is None or signal.kind != "input" or len(signal.bits) != 1:
        raise KerfError(f"--reset {text}: no input of one bit has this name")
    return _measured(graph, name, 0 if text.startswith("!") else 1, clocks)[1]


def find_reset(graph: Graph, clock: str, clocks: Sequence[str] = ()) -> Reset | None:
    """The input with a reset's name that determines most registers; None when none determines any that were free. Its level is the one of its name,
    but where the other one determines more than twice as many: held inactive, a design may lose some of its unknowns too. `clocks`: as for `Reset`."""
    best: tuple[int, Reset | None] = (0, None)
    for name, signal in graph.signals.items():
        if signal.kind == "input" and len(signal.bits) == 1 and name != clock and RESET_NAMES.search(name):
            low_first = bool(re.search(r"n$|_ni$|_n$|_b$|_l$", name, re.I))
            named, other = (_measured(graph, name, active, clocks) for active in ((0, 1) if low_first else (1, 0)))  # fmt: skip
            best = max(best, other if other[0] > 2 * named[0] else named, key=lambda found: found[0])
    return best[1]


def _measured(graph: Graph, name: str, active: int, clocks: Sequence[str]) -> tuple[int, Reset]:
    """How many registers the reset determines, and after how many cycles it determines no more."""
    once = Reset(name, active, 1, tuple(clocks))
    state = dict.fromkeys(graph.latches, X)
    known, cycles = 0, 1
    for cycle in range(1, RESET_CYCLES + 1):
        for held in once.steps(graph):
            state = ternary_step(graph, state, held)
        now = sum(v != X for v in state.values())
        if now > known:
            known, cycles = now, cycle
        elif cycle > cycles + 2:
            break
    return known, replace(once, cycles=cycles)


def _after(graph: Graph, reset: Reset, clock: str) -> dict[int, int]:
    state = {n: graph.right[n] for n in graph.latches}
    for held in reset.steps(graph, clock):
        state = ternary_step(graph, state, held)
    # a clock's level before the first step is the one from which no edge follows at once
    pins = {b >> 1 for name in reset.clocks for b in graph.signals[name].bits}
    return state | {n: graph.right[n] for n in graph.latches if graph.left[n] >> 1 in pins}


def ternary(graph: Graph, state: Mapping[int, int], inputs: Mapping[int, int]) -> bytearray:
    """The value of every node in a cycle: 0, 1 or X, unknown, which latches and inputs are that have none in `state` and `inputs`."""
    value = bytearray(len(graph))
    kind, left, right = graph.kind, graph.left, graph.right
    for node in range(1, len(graph)):
        if kind[node] == Node.AND:
            a, b = left[node], right[node]
            x, y = value[a >> 1], value[b >> 1]
            x = x if x == X else x ^ (a & 1)
            y = y if y == X else y ^ (b & 1)
            value[node] = 0 if x == 0 or y == 0 else (1 if x == 1 and y == 1 else X)
        else:
            value[node] = (inputs if kind[node] == Node.INPUT else state).get(node, X)
    return value


def literal_value(value: bytearray, literal: int) -> int:
    """Of a literal in `ternary`'s values: 0, 1 or X."""
    found = value[literal >> 1]
    return found if found == X else found ^ (literal & 1)


def ternary_step(graph: Graph, state: Mapping[int, int], inputs: Mapping[int, int]) -> dict[int, int]:
    """The next value (0, 1 or FREE, unknown) of every latch, from those of the latches and of some inputs; other inputs are unknown."""
    value = ternary(graph, state, inputs)
    return {node: literal_value(value, graph.left[node]) for node in graph.latches}
