"""Mined assertions: true, said once, and told apart from what merely happened."""

from __future__ import annotations

import re

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.verification.graph import Graph
from kerf.verification.mining import induction, mine
from kerf.verification.mining.claims import Bit, Claim, Compare, Fact, OneHot, Same, Since, View, exclusive
from kerf.verification.mining.propose import propose
from kerf.verification.mining.subsume import independent
from kerf.verification.model import model
from kerf.verification.prove import Property, Unsound, Verdict, prove

ARBITER = """\
module arbiter (input clk, input rst_n, input [2:0] req, output reg [2:0] grant, output reg [1:0] state, output busy);
  assign busy = |grant;
  always @(posedge clk or negedge rst_n)
    if (!rst_n) begin grant <= 0; state <= 0; end
    else case (state)
      0: if (req[0]) begin grant <= 3'b001; state <= 1; end
         else if (req[1]) begin grant <= 3'b010; state <= 1; end
         else if (req[2]) begin grant <= 3'b100; state <= 1; end
      1: if (!(req & grant)) state <= 2;
      default: begin grant <= 0; state <= 0; end
    endcase
endmodule
"""
RARE = """\
module rare (input clk, input rst, input [23:0] key, output reg open, output [3:0] low);
  reg [3:0] n;
  assign low = n;
  always @(posedge clk) if (rst) begin open <= 0; n <= 0; end
    else begin open <= open | (key == (24'hc5b3a7 ^ 24'h1)); n <= n == 9 ? 0 : n + 1; end
endmodule
"""


@pytest.mark.parametrize("text", [FIFO, COUNTER, ARBITER])
def test_every_mined_assertion_is_proved_by_the_model_checker_one_by_one(text: str) -> None:
    found = mine(model(design(text)), seconds=20)
    assert len(found.assertions) > 4 and found.killed > found.mutants / 4
    properties = [Property(m.sva, m.bad) for m in found.assertions]
    assert {r.verdict for r in prove(found.model, properties, timeout_s=60)} == {Verdict.PROVED}
    assert sum(m.first for m in found.assertions) == found.killed
    assert all(m.first <= m.kills for m in found.assertions)


def test_what_an_engineer_would_say_is_found() -> None:
    texts = {c.text for c in propose(model(design(FIFO)))}
    assert {"count <= 4", "empty |-> !full", "full |=> !empty", "!giving |=> $stable(head)", "taking && !giving |=> count == $past(count) + 1'b1"} <= texts  # fmt: skip
    mined = mine(model(design(ARBITER)), seconds=20, most=60)
    said = [m.sva for m in mined.assertions]
    assert "$onehot0(grant)" in said or any("grant" in s and "onehot" in s for s in said)
    assert not any("state == 3" in s and "!" not in s for s in said)
    assert re.fullmatch(
        r"assert property \(@\(posedge clk\) disable iff \(!rst_n\) .*\);", mined.assertions[0].statement
    )


def test_what_merely_never_happened_is_not_shown() -> None:
    """`open` stays 0 in any run of fair length: said by simulation, refuted by induction."""
    made = model(design(RARE))
    assert "!open" in {c.text for c in propose(made)}
    found = mine(made, seconds=10)
    assert "!open" not in {m.sva for m in found.assertions}
    assert any("low" in m.sva or "n" in m.sva for m in found.assertions)


def test_arrays_are_no_words() -> None:
    text = """module m(input clk, rst, input [1:0] d, output [1:0] y); reg [1:0] store [2]; reg [3:0] packed_one; assign y = store[1];
      always @(posedge clk) if (rst) begin store[0] <= 0; store[1] <= 0; packed_one <= 0; end
        else begin store[0] <= d; store[1] <= store[0]; packed_one <= {store[0], d}; end endmodule"""
    found = mine(model(design(text)), seconds=10)
    assert not any("store" in m.sva for m in found.assertions)
    assert any(
        f"{len(found.assertions)} of {len(found.assertions)} proved from their texts" in c
        for c in found.confirmed
    )


def test_what_others_say_is_dropped() -> None:
    a, b, c = (Fact(Bit(n)) for n in "abc")
    claims = [Claim((a,), b), Claim((b,), c), Claim((a,), c), Claim((a, c), b), Claim((a,), b, True), Claim((a, c), b, True)]  # fmt: skip
    assert independent(claims, {"a": 1, "b": 1, "c": 1}) == [0, 1, 4]
    limits = [Claim((), Fact(Compare("w", "<=", 5))), Claim((), Fact(Compare("w", "==", 7), False)), Claim((Fact(Compare("w", "==", 3)),), Fact(Compare("w", "<=", 6)))]  # fmt: skip
    assert independent(limits, {"w": 3}) == [0]


def test_pairs_become_one_claim() -> None:
    pairs = [Claim((Fact(Bit(x)),), Fact(Bit(y), False)) for x, y in ("ab", "ac", "bc", "cd")]
    assert [c.text for c in exclusive(pairs)] == ["$onehot0({a, b, c})"]


@pytest.mark.parametrize("value", range(8))
def test_terms_mean_what_they_say(value: int) -> None:
    from kerf.verification.lanes import Lanes

    graph = Graph()
    words = {n: [graph.add_input() for _ in range(3)] for n in ("w", "v")}
    view = View(graph, words)
    terms = {
        Compare("w", "==", 3): value == 3, Compare("w", "<=", 4): value <= 4, Compare("w", ">=", 2): value >= 2, Compare("w", "<=", 7): True,
        OneHot(("w",), False): value in (1, 2, 4), OneHot(("w",), True): value in (0, 1, 2, 4), Same("w", "v"): value == 5, Bit("w", 1): bool(value & 2),
        Since("w", "v"): value == 6, Since("w", "v", 1): value == 7, Since("w", "v", -1): value == 5,
    }  # fmt: skip
    literals = {t: t.literal(view) for t in terms}
    lanes = Lanes(graph)
    for w, v in ((0, 6), (value, 5)):
        for name, number in (("w", w), ("v", v)):
            for i, bit in enumerate(words[name]):
                lanes.set_node(bit >> 1, number >> i & 1)
        lanes.evaluate()
        seen = {t: bool(int(lanes.literal(x)[0]) & 1) for t, x in literals.items()}
        lanes.clock()
    assert seen == terms


def test_a_claim_that_is_no_invariant_is_caught() -> None:
    made = model(design(COUNTER))
    graph = made.graph.copy()
    bad = graph.equal(graph.signals["n"].bits, 9)
    with pytest.raises(Unsound, match="inductive"):
        induction.confirm(made.__class__(**{**vars(made), "graph": graph}), [bad], 2)


def test_designs_in_steps_are_refused() -> None:
    text = "module m(input a, b, d, output reg x, y); always @(posedge a) x <= d; always @(posedge b) y <= x; endmodule"
    with pytest.raises(KerfError, match="one clock"):
        mine(model(design(text)))
