"""Differences that plain random runs do not show: behind a reset, opcodes of the source and a state that only a few words in a row lead to."""

from __future__ import annotations

import time

from designs import design

from kerf.verification.equivalence import Same, equivalent
from kerf.verification.equivalence.decide import models
from kerf.verification.equivalence.product import product
from kerf.verification.equivalence.seeking import Seeker, seeker
from kerf.verification.equivalence.simulation import hunt
from kerf.verification.trace import replay

MACHINE = """
module machine(input clk, resetn, valid, input [31:0] word, output reg [15:0] pc, output reg trap);
  reg [15:0] a, b, seen;
  always @(posedge clk) if (!resetn) begin pc <= 0; trap <= 0; a <= 0; b <= 0; end
    else if (valid && !trap) begin
      pc <= pc + 4;
      case (word[6:0])
        7'b0110111: begin a <= word[31:16]; b <= a; end
        7'b0010011: begin b <= word[31:16] ^ {word[23:16], word[31:24]}; a <= b; end
        7'b1100011: begin seen <= a; if (word[14:12] == 3'd6 && a != 0 && $signed(a) < $signed(b)) pc <= {word[29:16], 2'b0}; end
        default: trap <= 1;
      endcase
    end
endmodule
"""
CHANGED = MACHINE.replace("$signed(a) < $signed(b)", "$signed(a) <= $signed(b)")


def searching(gold: str, gate: str) -> Seeker:
    ours, theirs = models(design(gold), design(gate), None, 60)
    made = product(ours, theirs)
    assert hunt(made.model, made.bad) is None
    return seeker(ours, theirs, made)


def test_a_comparison_behind_a_reset_and_opcodes_is_found_to_differ() -> None:
    found = searching(MACHINE, CHANGED)
    trace = found.seek(time.monotonic() + 15)
    assert trace is not None
    rows = replay(found.made.model, trace, [], [found.made.bad])
    assert [row[found.made.bad] for row in rows] == [0] * (len(rows) - 1) + [1]


def test_the_search_is_part_of_the_verdict_and_the_trace_begins_with_the_reset() -> None:
    told = equivalent(design(MACHINE), design(CHANGED), timeout_s=20)
    assert told.verdict is Same.DIFFERENT and told.outputs == ("pc",)
    assert told.table[0]["resetn"] == 0 and "/" in str(told.table[-1]["pc"])


def test_registers_apart_are_gone_on_from() -> None:
    """A register that an output shows only after four words of 32 bits in a row: found once the register is apart."""
    keys = ["c0de1234", "feedbeef", "0badcafe", "5eed0001"]
    words = (
        "step <= " + "".join(f"step == {i} && key == 32'h{k} ? {i + 1} : " for i, k in enumerate(keys)) + "0;"
    )
    text = f"""module m(input clk, rst, input [31:0] key, input [7:0] d, output [7:0] out); reg [7:0] count; reg [2:0] step;
      always @(posedge clk) if (rst) begin count <= 0; step <= 0; end else begin count <= count + (d == 8'd77); {words} end
      assign out = step == 4 ? count : 0; endmodule"""
    found = searching(text, text.replace("d == 8'd77", "d == 8'd77 && count != 1"))
    assert found.seek(time.monotonic() + 15) is not None
    assert found.parted


def test_equal_designs_show_nothing() -> None:
    found = searching(MACHINE, MACHINE.replace("pc + 4", "4 + pc").replace("a != 0 &&", "|a &&"))
    assert found.seek(time.monotonic() + 1) is None and not found.parted


LOCK = """module lock(input clk, rst, input [31:0] word, input [7:0] d, output reg [7:0] sum);
  reg [31:0] key; reg [1:0] step;
  wire fits = word == (key ^ {key[15:0], key[31:16]}) + 32'h5bd1e995;
  always @(posedge clk) if (rst) begin key <= 1; step <= 0; sum <= 0; end
    else begin key <= key + word; step <= fits ? step + 1 : 0; sum <= sum + (step == 3 && fits ? d : 0); end
endmodule"""


def test_words_that_only_a_solver_can_choose() -> None:
    """Four in a row, each of which depends on all before it: one random run in 2^128 has them."""
    found = searching(LOCK, LOCK.replace("step == 3 && fits ? d", "step == 3 && fits ? d | 1"))
    trace = found.seek(time.monotonic() + 20)
    assert trace is not None and len(trace) >= 5
    rows = replay(found.made.model, trace, [], [found.made.bad])
    assert [row[found.made.bad] for row in rows] == [0] * (len(rows) - 1) + [1]


def test_a_solver_looks_ahead_in_designs_whose_registers_start_unknown() -> None:
    """No reset, and a register that only a chosen word makes known: what a solver finds must hold whatever the others are."""
    text = LOCK.replace("input clk, rst,", "input clk,").replace("if (rst) begin key <= 1; step <= 0; sum <= 0; end\n    else begin", "begin if (word == 7) begin key <= d; step <= 0; sum <= 0; end else begin")  # fmt: skip
    text = text.replace("d : 0); end", "d : 0); end end")
    gate = text.replace("step == 3 && fits ? d", "step == 3 && fits ? d ^ 8'h80")
    told = equivalent(design(text), design(gate), timeout_s=20)
    assert told.verdict is Same.DIFFERENT and told.outputs == ("sum",)
