"""A run of a design, cycle by cycle: what a counterexample is, and what stimulus is made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.graph import FREE, Graph
from kerf.verification.lanes import Lanes
from kerf.verification.model import Model

LARGE = 1_000_000  # nodes times cycles from which on the simulator in C, which a machine compiles once, is worth it


@dataclass(frozen=True)
class Trace:
    """`inputs[t][name]`: the value of an input word in cycle t; `free[t][node]`: of an input that is no word (undriven nets);
    `start[node]`: initial values of latches that had none. Words that a cycle does not name are 0."""

    inputs: tuple[Mapping[str, int], ...]
    start: Mapping[int, int] = field(default_factory=dict)
    free: tuple[Mapping[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def as_json(self) -> list[dict[str, int]]:
        return [dict(row) for row in self.inputs]


def replay(
    model: Model, trace: Trace, signals: Sequence[str] | None = None, literals: Sequence[int] = ()
) -> list[dict[str | int, int]]:
    """The values of `signals` (all named ones without it) and of `literals` in every cycle of `trace`, by simulation."""
    names = list(model.graph.signals) if signals is None else list(signals)
    wanted = [*literals, *(b for n in names for b in model.graph.signals[n].bits)]
    large = len(model.graph) * len(trace) > LARGE
    make = partial(simulator, wanted=wanted) if large else Lanes
    lanes = make(model.graph, 1, _initial(model, model.graph))
    _set_start(lanes, model, trace)
    rows = []
    for t, cycle in enumerate(trace.inputs):
        drive(lanes, model, cycle, trace.free[t] if t < len(trace.free) else {})
        lanes.evaluate()
        row: dict[str | int, int] = {name: lanes.word(name) for name in names}
        row |= {literal: int(lanes.literal(literal)[0]) & 1 for literal in literals}
        rows.append(row)
        lanes.clock()
    return rows


def start(model: Model, graph: Graph, trace: Trace, words: int = 1) -> Lanes:
    """A simulator, of which every node can be read, in the state in which `trace` begins."""
    lanes = Lanes(graph, words, _initial(model, graph))
    _set_start(lanes, model, trace)
    return lanes


def _initial(model: Model, graph: Graph) -> dict[int, int]:
    return {n: model.initial.get(n, graph.right[n]) for n in graph.latches}


def _set_start(lanes: Lanes | CompiledLanes, model: Model, trace: Trace) -> None:
    for node, value in trace.start.items():
        if model.initial.get(node, lanes.graph.right[node]) == FREE:
            lanes.set_node(node, value)


def drive(
    lanes: Lanes | CompiledLanes, model: Model, cycle: Mapping[str, int], free: Mapping[int, int]
) -> None:
    """Put one cycle's inputs on a simulator; what the model holds is held."""
    for name in model.inputs:
        lanes.set_word(name, int(cycle.get(name, 0)))
    for node, value in free.items():
        lanes.set_node(node, value)
    for node, value in model.held.items():
        lanes.set_node(node, value)


def as_csv(rows: Sequence[Mapping[str | int, int]], names: Sequence[str]) -> str:
    """An input/output table: a column a signal, a row a cycle."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row[n] for n in names] for row in rows)
    return text.getvalue()


def as_vcd(model: Model, rows: Sequence[Mapping[str | int, int]], names: Sequence[str]) -> str:
    """A value change dump (IEEE 1364, 18.2); a cycle takes 10 ns, its clock rises in the middle."""
    codes = {name: _code(i + 1) for i, name in enumerate(names)}
    widths = {name: len(model.graph.signals[name].bits) for name in names}
    out = ["$timescale 1ns $end", f"$scope module {model.design.top} $end"]
    clock = _code(0)
    if model.clock:
        out.append(f"$var wire 1 {clock} {model.clock} $end")
    out += [f"$var wire {widths[n]} {codes[n]} {n.replace(' ', '_')} $end" for n in names if n != model.clock]
    out += ["$upscope $end", "$enddefinitions $end"]
    last: dict[str, int] = {}
    for t, row in enumerate(rows):
        out.append(f"#{10 * t}")
        if model.clock:
            out.append(f"0{clock}")
        for name in names:
            if name != model.clock and last.get(name) != row[name]:
                last[name] = row[name]
                out.append(
                    f"{row[name]}{codes[name]}" if widths[name] == 1 else f"b{row[name]:b} {codes[name]}"
                )
        if model.clock:
            out += [f"#{10 * t + 5}", f"1{clock}"]
    out.append(f"#{10 * len(rows)}")
    return "\n".join(out) + "\n"


def _code(number: int) -> str:
    """A VCD identifier."""
    text = ""
    while True:
        text += chr(33 + number % 94)
        number //= 94
        if number == 0:
            return text
