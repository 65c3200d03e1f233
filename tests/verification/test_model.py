"""What a model makes of resets, tri-state drivers and unknown literals."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
from designs import design

from kerf.verification.equivalence import Same, equivalent
from kerf.verification.graph import FREE
from kerf.verification.lanes import Lanes
from kerf.verification.model import model
from kerf.verification.prove import Property, prove
from kerf.verification.sva.compiler import compile

TWO = """
module two(input wclk, rclk, wrst, d, output reg src, output reg [1:0] s, output reg [2:0] n);
  always @(posedge wclk) if (wrst) src <= 0; else src <= d;
  always @(negedge rclk) if (wrst) s <= 2'd2; else s <= {s[0], src};
  always @(posedge rclk) if (wrst) n <= 1; else if (n < 5) n <= n + 1;
  most: assert property (@(posedge rclk) n <= 5);
  less: assert property (@(posedge rclk) n <= 4);
  some: assert property (@(posedge rclk) n >= 1);
endmodule
"""


def test_a_synchronous_reset_of_several_clocks_is_held_while_they_all_change() -> None:
    made, found = compile(design(TWO))
    assert made.stepped and made.reset and made.reset.name == "wrst"
    verdicts = {r.name: r for r in prove(made, [Property(a.name, a.bad) for a in found], timeout_s=30)}
    assert {n: str(r.verdict) for n, r in verdicts.items()} == {"most": "proved", "less": "refuted", "some": "proved"}  # fmt: skip
    assert verdicts["less"].depth >= 8  # four edges of a clock, two steps each


def test_runs_from_that_reset_begin_where_a_simulation_of_it_ends() -> None:
    made = model(design(TWO))
    lanes, rng = Lanes(made.graph, 1), np.random.default_rng(0)
    for node in made.graph.latches:
        lanes.set_node(node, rng.integers(0, 2**64, 1, dtype=np.uint64))
    assert made.reset
    for held in made.reset.steps(made.graph):
        for node in made.graph.inputs:
            lanes.set_node(node, held[node] if node in held else rng.integers(0, 2**64, 1, dtype=np.uint64))
        lanes.evaluate()
        lanes.clock()
    pins = {made.graph.signals[c].bits[0] >> 1 for c in ("wclk", "rclk")}
    known = {n: v for n, v in made.initial.items() if v != FREE and made.graph.left[n] >> 1 not in pins}
    assert len(known) >= 6 and all(
        int(lanes.literal(2 * n)[0]) == (v and 2**64 - 1) for n, v in known.items()
    )


DRIVEN = "module m(input oa, ob, a, b, output y); wire bus; assign bus = oa ? a : 1'bz; assign bus = ob ? b : 1'bz; assign y = bus; endmodule"
SHARED = "module m(input oa, ob, a, b, output y, inout bus); assign bus = oa ? a : 1'bz; assign bus = ob ? b : 1'bz; assign y = bus; endmodule"


@pytest.mark.parametrize("text", [DRIVEN, SHARED])
def test_tri_state_drivers_that_are_on_decide_and_others_leave_any_value(text: str) -> None:
    made = model(design(text))
    bits = {n: s.bits[0] for n, s in made.graph.signals.items()}
    lanes, rng = Lanes(made.graph, 1), Random(1)
    for oa, ob, a, b in itertools.product((0, 1), repeat=4):
        for node in made.graph.inputs:
            lanes.set_node(node, np.array([rng.getrandbits(64)], np.uint64))
        for name, value in (("oa", oa), ("ob", ob), ("a", a), ("b", b)):
            lanes.set_word(name, value)
        lanes.evaluate()
        seen, on = int(lanes.literal(bits["y"])[0]), {v for v, e in ((a, oa), (b, ob)) if e}
        assert seen == (2**64 - 1 if on == {1} else 0) if len(on) == 1 else 0 < seen < 2**64 - 1


def test_what_an_inout_port_is_driven_by_is_its_value() -> None:
    driven = "module m(input a, output y, inout p); assign p = ~a; assign y = p; endmodule"
    made = model(design(driven))
    y, a = (made.graph.signals[n].bits[0] for n in ("y", "a"))
    assert y == a ^ 1


@pytest.mark.parametrize("literal", ["'bx", "'hx", "'dx", "'x", "64'bx", "'bX"])
def test_an_unsized_x_is_as_wide_as_what_is_around_it(literal: str) -> None:
    text = f"module m(input s, input [63:0] a, output [63:0] y); assign y = s ? a : {literal}; endmodule"
    other = "module m(input s, input [63:0] a, output [63:0] y); assign y = s ? a : ~a; endmodule"
    assert equivalent(design(text), design(other)).verdict is Same.EQUAL


def test_the_width_of_an_unsized_parameter_is_its_own() -> None:
    text = "module m #(parameter P = 'bx, parameter W = $bits(P)) (output [7:0] y); assign y = W; endmodule"
    other = "module m(output [7:0] y); assign y = 32; endmodule"
    assert equivalent(design(text), design(other)).verdict is Same.EQUAL


def test_immediate_assertions_are_called_after_their_lines() -> None:
    text = """module m(input [1:0] a, output [1:0] y); assign y = a;
for (genvar i = 0; i < 2; i++) begin : g always_comb assert (y[i] == a[i]); end
always_comb begin assert (y == a); assert (a == y); end
endmodule"""
    _, found = compile(design(text))
    assert {a.name for a in found} == {"assert_2", "assert_2_2", "assert_3", "assert_3_2"}


def test_a_note_names_nets_that_nothing_drives_but_no_argument_of_a_function() -> None:
    text = """module sub(input [3:0] a, output [3:0] y); wire [3:0] lost;
function automatic [3:0] twice(input [3:0] x); return x + x; endfunction
assign y = twice(a) ^ (lost & a); endmodule
module m(input [3:0] a, output [3:0] y); for (genvar i = 0; i < 1; i++) begin : g sub s(a, y); end endmodule"""
    notes = [n for n in model(design(text)).notes if n.startswith("undriven")]
    assert notes == ["undriven, taken to be free: g[0].s.lost"]
