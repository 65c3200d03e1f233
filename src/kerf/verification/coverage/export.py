"""Stimulus for other simulators: input/output tables (CSV), a SystemVerilog testbench, a cocotb test. Expected outputs are those of our simulation.

Bits that depend on unknowns (registers that start with any value, undriven nets) are not compared: 64 draws of the unknowns show which ones do.
Inputs change while the clock is low, outputs are compared just before its next edge.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.compiled import simulator
from kerf.verification.coverage.stimulus import drive_of, spread
from kerf.verification.lanes import ALL
from kerf.verification.model import Model
from kerf.verification.trace import Trace

PERIOD_NS = 10


@dataclass(frozen=True)
class Cycle:
    """`inputs`: name -> value; `expected`: output -> (value, mask of the bits that are certain)."""

    inputs: dict[str, int]
    expected: dict[str, tuple[int, int]]


def table(model: Model, trace: Trace) -> str:
    """CSV: inputs and outputs, a row a cycle, from the first after reset; x for an output that is not certain."""
    rows = []
    for cycle in cycles(model, trace):
        certain = {n: v if m + 1 == 1 << _width(model, n) else "x" for n, (v, m) in cycle.expected.items()}
        rows.append([*cycle.inputs.values(), *certain.values()])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[*model.inputs, *model.outputs], *rows])
    return text.getvalue()


def cycles(model: Model, trace: Trace) -> list[Cycle]:
    """What goes in, and what comes out whatever the unknowns are."""
    drive, graph = drive_of(model), model.graph
    stimulus = drive.stimulus(trace)
    rng = np.random.default_rng(0)
    planes = spread(stimulus.rows)
    free = planes[:, planes.shape[1] - len(drive.free) :]
    free[:] = rng.integers(0, 2**64, free.shape, dtype=np.uint64)
    start = rng.integers(0, 2**64, (len(drive.start), 1), dtype=np.uint64)
    outputs = [(n, graph.signals[n].bits) for n in model.outputs]
    bits = [b for _, row in outputs for b in row]
    initial = {n: model.initial.get(n, graph.right[n]) for n in graph.latches}
    lanes = simulator(graph, 1, initial, bits)
    for node, value in model.held.items():
        lanes.set_node(node, value)
    for node, row in zip(drive.start, start, strict=True):
        lanes.set_node(node, row)
    seen = lanes.run(drive.nodes, planes, bits, keep=True)[:, :, 0]
    return [
        Cycle({n: int(cycle.get(n, 0)) for n in model.inputs}, _expected(outputs, row))
        for cycle, row in zip(trace.inputs, seen, strict=True)
    ]


def _expected(outputs: Sequence[tuple[str, Sequence[int]]], row: np.ndarray) -> dict[str, tuple[int, int]]:
    made, at = {}, 0
    for name, bits in outputs:
        part = row[at : at + len(bits)]
        value = sum(int(v & np.uint64(1)) << i for i, v in enumerate(part))
        mask = sum(1 << i for i, v in enumerate(part) if v in (0, ALL))
        made[name] = value & mask, mask
        at += len(bits)
    return made


def _check(model: Model, traces: Sequence[Trace]) -> None:
    if model.stepped:
        raise KerfError("stimulus of a design with several clocks is exported as a table only")
    if model.graph.latches and model.reset is None and len(traces) > 1:
        raise KerfError("without a reset each run needs a simulation of its own: export one at a time")


def _width(model: Model, name: str) -> int:
    return len(model.graph.signals[name].bits)


# SystemVerilog


def testbench(model: Model, traces: Sequence[Trace], name: str = "tb") -> str:
    """A self-checking module `name`: one run after the other, each from reset; `$fatal` when an output is not as expected. KerfError for designs with
    several clocks, and for several runs without a reset between."""
    _check(model, traces)
    ports = [*model.inputs, *model.outputs, *([model.clock] if model.clock else []), *model.held_names]
    declared = [f"  logic [{_width(model, p) - 1}:0] {p};" for p in dict.fromkeys(ports)]
    lines = [
        "`timescale 1ns/1ns",
        f"module {name};",
        *declared,
        "  int errors = 0;",
        f"  {model.design.top} {_parameters(model)}dut ({', '.join(f'.{p}({p})' for p in dict.fromkeys(ports))});",
        _task(model),
        "  initial begin",
    ]
    for trace in traces:
        lines += [f"    {line}" for line in _reset(model)]
        lines += [_call(model, c) for c in cycles(model, trace)]
    lines += [
        '    if (errors != 0) $fatal(1, "%0d mismatches", errors);',
        f'    $display("{sum(map(len, traces))} cycles as expected");',
        "    $finish;",
        "  end",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _parameters(model: Model) -> str:
    given = ", ".join(f".{k}({v})" for k, v in model.design.parameters.items())
    return f"#({given}) " if given else ""


def _edges(model: Model) -> tuple[int, int]:
    """The clock's level before and after the edge that counts."""
    return (1, 0) if model.edge == "negedge" else (0, 1)


def _task(model: Model) -> str:
    """One cycle: drive, wait, compare, clock."""
    arguments = [f"input logic [{_width(model, n) - 1}:0] {n}_" for n in model.inputs]
    for n in model.outputs:
        arguments += [f"input logic [{_width(model, n) - 1}:0] {n}_, {n}_known"]
    compare = [
        f'    if (({n} & {n}_known) !== {n}_) begin errors++; $display("%0t: {n} is %h, expected %h", $time, {n} & {n}_known, {n}_); end'
        for n in model.outputs
    ]
    drive = [f"    {n} = {n}_;" for n in model.inputs]
    return "\n".join(
        [
            f"  task automatic cycle({', '.join(arguments)});", *drive, f"    #{PERIOD_NS // 2};", *compare, *_tick(model, "    "), "  endtask",
        ]
    )  # fmt: skip


def _tick(model: Model, indent: str) -> list[str]:
    if not model.clock:
        return []
    before, after = _edges(model)
    return [
        f"{indent}{model.clock} = {after};",
        f"{indent}#{PERIOD_NS // 2};",
        f"{indent}{model.clock} = {before};",
    ]


def _reset(model: Model) -> list[str]:
    lines = [f"{model.clock} = {_edges(model)[0]};"] if model.clock else []
    if model.reset is None:
        return lines
    name, active = model.reset.name, model.reset.active
    lines += [f"{n} = '0;" for n in model.inputs if n != name] + [f"{name} = {1 - active};", "#1;", f"{name} = {active};"]  # fmt: skip
    for _ in range(model.reset.cycles):
        lines += [f"#{PERIOD_NS // 2};", *_tick(model, "")]
    return [*lines, f"{name} = {1 - active};"]


def _call(model: Model, cycle: Cycle) -> str:
    words = [f"{_width(model, n)}'h{v:x}" for n, v in cycle.inputs.items()]
    for n, (value, mask) in cycle.expected.items():
        words += [f"{_width(model, n)}'h{value:x}", f"{_width(model, n)}'h{mask:x}"]
    return f"    cycle({', '.join(words)});"


# cocotb

COCOTB = '''"""Stimulus found by Kerf for {top}; expected outputs are those of its simulation."""

import cocotb
from cocotb.triggers import Timer

CLOCK, BEFORE, AFTER = {clock!r}, {before}, {after}
RESET, ACTIVE, RESET_CYCLES = {reset!r}, {active}, {reset_cycles}
INPUTS, OUTPUTS = {inputs!r}, {outputs!r}
# a run: cycles of input values and (expected value, mask of the bits compared) of outputs
RUNS = [
{runs}]


async def tick(dut):
    if CLOCK:
        getattr(dut, CLOCK).value = AFTER
        await Timer({half}, "ns")
        getattr(dut, CLOCK).value = BEFORE


async def reset(dut):
    if CLOCK:
        getattr(dut, CLOCK).value = BEFORE
    if not RESET:
        return
    for name in INPUTS:
        getattr(dut, name).value = 0
    getattr(dut, RESET).value = 1 - ACTIVE
    await Timer(1, "ns")
    getattr(dut, RESET).value = ACTIVE
    for _ in range(RESET_CYCLES):
        await Timer({half}, "ns")
        await tick(dut)
    getattr(dut, RESET).value = 1 - ACTIVE


def compare(name, seen, expected, mask, where):
    for i, bit in enumerate(reversed(str(seen))):
        if mask >> i & 1:
            assert bit == str(expected >> i & 1), f"{{where}}: {{name}} is {{seen}}, expected {{expected:#x}} (of {{mask:#x}})"


@cocotb.test()
async def kerf_stimulus(dut):
    for number, run in enumerate(RUNS):
        await reset(dut)
        for t, (inputs, outputs) in enumerate(run):
            for name, value in zip(INPUTS, inputs):
                getattr(dut, name).value = value
            await Timer({half}, "ns")
            for name, (expected, mask) in zip(OUTPUTS, outputs):
                compare(name, getattr(dut, name).value, expected, mask, f"run {{number}}, cycle {{t}}")
            await tick(dut)
'''


def cocotb_test(model: Model, traces: Sequence[Trace]) -> str:
    """A Python file with one cocotb 2 test, self-checking; the same refusals as `testbench`."""
    _check(model, traces)
    before, after = _edges(model)
    reset = model.reset
    return COCOTB.format(
        top=model.design.top, clock=model.clock, before=before, after=after, reset=reset.name if reset else "",
        active=reset.active if reset else 0, reset_cycles=reset.cycles if reset else 0,
        inputs=list(model.inputs), outputs=model.outputs, half=PERIOD_NS // 2, runs="".join(_run(model, t) for t in traces),
    )  # fmt: skip


def _run(model: Model, trace: Trace) -> str:
    rows = [f"        ({tuple(c.inputs.values())}, {tuple(c.expected.values())}),\n" for c in cycles(model, trace)]  # fmt: skip
    return "    [\n" + "".join(rows) + "    ],\n"
