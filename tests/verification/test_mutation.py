"""Mutants: the text with all of them, and what one lane does, against the design with that fault alone."""

from __future__ import annotations

import random

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.verification.graph import FREE
from kerf.verification.model import model
from kerf.verification.mutation import find, mutated, random_tests, sample, score
from kerf.verification.mutation.mutated import reference
from kerf.verification.tables import Table
from kerf.verification.trace import Trace

EVERYTHING = """\
package kinds; typedef enum logic [1:0] {IDLE, BUSY, DONE} state_t; endpackage
module part #(parameter W = 4) (input clk, input signed [W-1:0] a, b, input [1:0] k, output reg signed [W:0] s, output lt);
  assign lt = a < b;  // signed
  always @(posedge clk) case (k)
    2'd0: s <= a + b;
    2'd1: s <= a - b;
    2'd2: begin
      s <= a >>> 1; // one
      if (lt) s <= -b;
    end
    default: s <= $signed({a[W-1:1],
                           b[0]});
  endcase
endmodule
module top (input clk, input rst_n, input go, input [7:0] x, output reg [7:0] acc, output [5:0] q, output bit any, output [1:0] st);
  import kinds::*;
  state_t state, next;
  wire lt0, lt1;
  wire signed [4:0] s0, s1;
  part #(.W(4)) p0 (.clk(clk), .a(x[3:0]), .b(x[7:4]), .k(acc[1:0]), .s(s0), .lt(lt0));
  part #(4) p1 (.clk, .a(acc[3:0]), .b({x[1:0], ~x[3:2]}), .k(state), .s(s1), .lt(lt1));
  always_comb begin
    next = state;
    unique case (state)
      IDLE: if (go && !lt0) next = BUSY;
      BUSY: begin if (x[0] ^ lt1 || acc >= 8'hc0) next = DONE; else if (acc == 8'd3) next = IDLE; end
      default: next = IDLE;
    endcase
  end
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin state <= IDLE; acc <= 8'd7; end
    else begin
      state <= next;
      for (int i = 0; i < 4; i++) if (x[i]) acc[i] <= acc[i] ^ go;
      if (state == DONE) acc[7:4] <= acc[6:3] + 4'd1;
    end
  genvar g;
  generate for (g = 0; g < 2; g = g + 1) begin : lane
    assign q[g*3 +: 3] = g ? s1[2:0] & {3{go}} : s0[4:2] | x[6:4];
  end endgenerate
  assign any = |x & ~&acc;
  assign st = state;
endmodule
"""


@pytest.mark.parametrize("text", [FIFO, COUNTER, EVERYTHING])
def test_a_lane_does_what_the_design_with_that_fault_alone_does(text: str) -> None:
    plain = design(text)
    made = model(plain)
    all_of, headers = sample(made, 100_000)
    together = mutated(made, all_of, headers)
    assert len(together.left_out) == 0
    (test,) = random_tests(made, 200, seed=3)
    test = Trace(test.inputs)
    killed = together.killed(test)  # raises if the design among its mutants is not the design
    good = reference(made, test)
    assert 0.3 < killed.mean() < 1
    compared = 0
    for k in random.Random(5).sample(range(len(together.mutants)), 20):
        mutant = together.mutants[k]
        alone = model(plain, {"design.sv": mutant.applied(text)}, reset=_reset(made))
        unknown = [sum(v == FREE for v in m.initial.values()) for m in (alone, made)]
        if unknown[0] == unknown[1]:  # else a reset that does not come, which a lane starts from the worst
            assert bool((reference(alone, test) != good).any()) == killed[k], mutant.name
            compared += 1
    assert compared > 10


def _reset(made: object) -> str:
    reset = made.reset  # type: ignore[attr-defined]
    return "" if reset is None else ("" if reset.active else "!") + reset.name


def test_lines_stay_where_they_are() -> None:
    from kerf.verification.mutation.mutant import instrument

    plain = design(EVERYTHING)
    sites = find(plain)
    (text,) = instrument(plain, sites.mutants, sites.headers).texts.values()
    old, new = EVERYTHING.splitlines(), text.splitlines()
    assert len(old) == len(new) and old[0] == new[0] and "kerf_mutant_0" in text and "kerf_mutant_1" in text
    kinds = {m.kind for m in sites.mutants}
    assert kinds >= {"operator", "operand", "comparison", "constant", "condition", "negation", "deletion", "stuck", "stuck bit",
                     "confusion", "selection", "width", "sign", "reset value"}  # fmt: skip


def test_the_score_of_a_fifo() -> None:
    made = model(design(FIFO))
    weak, strong = ([t] for t in (random_tests(made, 6)[0], random_tests(made, 300)[0]))
    low, high = score(made, weak, seconds=20), score(made, strong, seconds=20)
    assert low.total == high.total > 100 and low.killed < high.killed
    assert high.rate > 0.97 and not high.left_out
    names = [m.name for m in high.equivalent]
    assert any("`count == D` becomes `count >= D`" in n for n in names)  # never above D
    assert {m.name for m in low.equivalent} >= set(names) - {s.mutant.name for s in low.survived}
    told = [s for s in low.survived if s.trace is not None]
    assert told and all(s.diff.startswith("--- design.sv") and s.diff.count("\n+") == 2 for s in low.survived)
    again = score(made, [*weak, *(s.trace for s in told if s.trace)], seconds=20)
    assert again.killed == low.killed + len(told) and sum(again.killed_by) == again.killed
    assert high.as_json()["equivalent"] == len(high.equivalent)


def test_a_table_notices_only_what_it_expects() -> None:
    made = model(design(COUNTER))
    rows = [{"rst_n": 0, "go": 1}] + [{"rst_n": 1, "go": 1}] * 12
    counts = [{"n": 0}] + [{"n": t % 10} for t in range(12)]
    full = Table("full", tuple(rows), tuple(counts))
    blind = Table("blind", tuple(rows), tuple({"wrapped": 0} if t == 3 else {} for t in range(13)))
    both = [score(made, [t], seconds=10) for t in (full, blind)]
    assert both[0].killed > both[1].killed > 0
    wrong = Table("wrong", tuple(rows), (*counts[:-1], {"n": 9}))
    with pytest.raises(KerfError, match="wrong: the design itself fails it, in cycle 12"):
        score(made, [wrong])


def test_a_latch_that_nothing_sets_shows_no_mutant() -> None:
    text = """module m(input clock, input a, output reg p, output reg q);
      always @(negedge clock) q <= a;
      always @* if (clock) p = a; endmodule"""
    made = model(design(text))
    assert score(made, random_tests(made, 20, 3), seconds=5).total > 3  # Unsound, were p taken to be known


def test_a_reset_that_may_come_at_any_time() -> None:
    made = model(design(FIFO), reset_free=True)
    result = score(made, random_tests(made, 200), seconds=10)
    assert result.total > 100 and result.rate > 0.8


def test_faults_that_would_be_other_hardware_are_left_out() -> None:
    text = """module m(input [3:0] a, input s, output reg [3:0] y, output [4:0] c);
      assign c[0] = 1'b0;
      genvar i;
      generate for (i = 0; i < 4; i = i + 1) begin : g assign c[i + 1] = a[i] & c[i]; end endgenerate
      always @* if (s) y = a; else y = ~a;
    endmodule"""
    made = model(design(text))
    result = score(made, random_tests(made, 60), seconds=20)
    assert result.total > 20 and result.rate > 0.9


def test_nothing_to_put_a_fault_into() -> None:
    made = model(design("module m(input a, output b); buf(b, a); endmodule"))
    with pytest.raises(KerfError, match="nothing in m"):
        score(made, [])
