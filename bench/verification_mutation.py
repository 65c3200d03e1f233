"""Lanes, mutants and mined assertions: how fast, how many, how true.

`python bench/verification_mutation.py --data FOLDER`, with checkouts of github.com/YosysHQ/picorv32, ZixiBenZhang/ml4dv and NVlabs/verilog-eval in FOLDER.
CPU seconds are of this process, the synthesis worker and the model checkers; the worker is warm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.compiled import CompiledLanes, library
from kerf.verification.design import Design, Source, load, read
from kerf.verification.mining import mine
from kerf.verification.model import model
from kerf.verification.mutation import mutated, random_tests, sample, score
from verification_table import FIFO_HEAD, Row, cpu_s, part

ALU = """module alu #(parameter W = 32) (input [2:0] op, input [W-1:0] a, b, output reg [W-1:0] y, output zero);
  always @* case (op)
    3'd0: y = a + b;
    3'd1: y = a - b;
    3'd2: y = a & b;
    3'd3: y = a | b;
    3'd4: y = a ^ b;
    3'd5: y = $signed(a) < $signed(b);
    3'd6: y = a << b[4:0];
    default: y = a >> b[4:0];
  endcase
  assign zero = y == 0;
endmodule
"""
FIFO = FIFO_HEAD + "endmodule\n"
CYCLES = 300


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, wall and CPU seconds."""
    wall, cpu = time.monotonic(), cpu_s()
    made = work()
    return made, time.monotonic() - wall, cpu_s() - cpu


def row(work: str, known: str, aim: str, measured: str, wall: float, **more: Any) -> Row:
    return {"work": work, "known": known, "aim": aim, "measured": measured, "seconds": round(wall, 2), **more}


def picorv32(data: Path) -> Design:
    return load([data / "picorv32" / "picorv32.v"], top="picorv32")


def stride(data: Path) -> Design:
    """The detector as ml4dv prints it."""
    text = (data / "ml4dv" / "examples_SD" / "dut_code.txt").read_text()
    return read([Source("stride_detector.sv", text)], top="stride_detector")


def lanes(data: Path) -> Row:
    made = model(picorv32(data))
    graph = made.graph
    library()  # compiled once on a machine
    outputs = [b for n in made.outputs for b in graph.signals[n].bits]
    simulator, prepare, _ = timed(lambda: CompiledLanes(graph, 8, None, outputs))
    inputs = [b >> 1 for n in made.inputs for b in graph.signals[n].bits]
    stimulus = np.random.default_rng(0).integers(0, 2**64, (4000, len(inputs)), np.uint64)
    rates = []
    for _ in range(5):
        _, wall, cpu = timed(lambda: simulator.run(inputs, stimulus, outputs))
        rates.append(len(stimulus) * 512 / cpu / 1e6)
    measured = f"{np.median(rates):.1f} M lane-cycles/CPU-s; {simulator.operations} operations, ready in {prepare * 1e3:.0f} ms"  # fmt: skip
    return row("picorv32 in lanes", "7 M cycles/CPU-s (Verilator)", ">= 20 M", measured, wall, rate=round(float(np.median(rates)), 2))  # fmt: skip


def mutants(name: str, design: Design, count: int, seconds: float, known: str, aim: str) -> Row:
    made = model(design)
    tests = random_tests(made, CYCLES)
    _, wall, cpu = timed(lambda: mutated(made, *sample(made, count)).killed(tests[0]))
    found, long, _ = timed(lambda: score(made, tests, mutants=count, seconds=seconds))
    shown = sum(s.trace is not None for s in found.survived)
    measured = (
        f"{found.total} mutants x {CYCLES} cycles in {cpu:.2f} CPU-s ({wall:.2f} s); {found.killed} killed, {len(found.equivalent)} proved equivalent, "
        f"{len(found.survived)} survive, {shown} of them with a run that would tell them ({long:.1f} s)"
    )  # fmt: skip
    return row(f"mutants of {name}", known, aim, measured, long, cpu_seconds=round(cpu, 2), total=found.total, killed=found.killed,
               equivalent=len(found.equivalent), survived=len(found.survived), told=shown)  # fmt: skip


def mining(name: str, design: Design, seconds: float) -> Row:
    found, wall, cpu = timed(lambda: mine(model(design), seconds=seconds))
    best = "; ".join(f"{m.sva} ({m.kills})" for m in found.assertions[:3])
    measured = (
        f"{len(found.assertions)} shown of {found.proved} proved of {found.candidates} proposed, all true ({', '.join(found.confirmed)}); "
        f"{found.killed} of {found.mutants} mutants noticed; {cpu:.1f} CPU-s; best: {best}"
    )  # fmt: skip
    return row(f"mined: {name}", "11.6 % true (HARM on AssertionBench)", "100 % of those shown", measured, wall, shown=len(found.assertions),
               proved=found.proved, mutants=found.mutants, killed=found.killed, assertions=[m.as_json() for m in found.assertions])  # fmt: skip


def references(data: Path, every: int) -> Row:
    """VerilogEval's references with a clock, each for a few seconds."""
    begun, totals, refused = time.monotonic(), dict.fromkeys(("designs", "shown", "again", "mutants", "killed"), 0), []  # fmt: skip
    for path in sorted((data / "verilog-eval" / "dataset_spec-to-rtl").glob("*_ref.sv"))[::every]:
        try:
            made = model(load([path]))
            if not made.clock:
                continue
            found = mine(made, seconds=8, mutants=60)
        except KerfError as error:
            refused.append(f"{path.name}: {str(error).splitlines()[0]}")
            continue
        totals["designs"] += 1
        totals["shown"] += len(found.assertions)
        totals["again"] += sum(int(c.split()[0]) for c in found.confirmed if "from their texts" in c)
        totals["mutants"] += found.mutants
        totals["killed"] += found.killed
    measured = (
        f"{totals['designs']} designs, {totals['shown']} assertions shown, {totals['again']} of them proved again from their texts, none refuted; "
        f"{totals['killed']} of {totals['mutants']} mutants noticed; {len(refused)} refused"
    )  # fmt: skip
    return row("mined: VerilogEval's references with a clock", "11.6 % true (HARM on AssertionBench)", "100 % of those shown", measured,
               time.monotonic() - begun, **totals, refused=refused)  # fmt: skip


def rows(data: Path, every: int = 3) -> Iterator[Row]:
    yield lanes(data)
    alu, fifo = (read([Source(f"{n}.sv", t)]) for n, t in (("alu", ALU), ("fifo", FIFO)))
    yield mutants("a 32-bit ALU", alu, 400, 20, "2.7 s prototype; 460 s a simulator a mutant", "<= 3 s")
    yield mutants("a FIFO", fifo, 400, 20, "", "<= 3 s")
    yield mutants("picorv32", picorv32(data), 400, 60, "", "works")
    yield mining("a FIFO", fifo, 20)
    yield mining("stride detector", stride(data), 30)
    yield references(data, every)
    yield mining("picorv32", picorv32(data), 120)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", type=int, default=3, help="of VerilogEval's references")


if __name__ == "__main__":
    part(__doc__, lambda chosen: rows(chosen.data, chosen.every), _options)
