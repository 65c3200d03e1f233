"""Assertions in designs of several clocks: a property goes on where its own clock has an edge, and reads what was there just before."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from designs import design

from kerf.core.types import KerfError
from kerf.verification.prove import Property, prove
from kerf.verification.sva.compiler import Assertion, compile
from kerf.verification.trace import Trace, replay

CROSSING = """
module crossing(input ca, cb, rst_n, d, output reg [1:0] n, output reg q, r);
  always @(posedge ca or negedge rst_n) if (!rst_n) begin n <= 0; q <= 0; end else begin n <= n + d; q <= n[0]; end
  always @(posedge cb or negedge rst_n) if (!rst_n) r <= 0; else r <= q;
"""


def verdicts(text: str, **how: object) -> dict[str, str]:
    made, found = compile(design(f"{text}\nendmodule"), **how)  # type: ignore[arg-type]
    assumed = [a.bad ^ 1 for a in found if a.kind == "assume"]
    asked = [Property(a.name, a.bad) for a in found if a.kind == "assert"]
    return {r.name: str(r.verdict) for r in prove(made, asked, assumed=assumed, timeout_s=30)}


def test_each_assertion_goes_with_its_own_clock() -> None:
    found = verdicts(
        CROSSING
        + """
      counts: assert property (@(posedge ca) n == 1 && d |=> n == 2);
      early: assert property (@(posedge ca) n == 1 && d |=> n == 3);
      follows: assert property (@(posedge cb) q |=> r);
      stays: assert property (@(posedge cb) q |=> q);
      earlier: assert property (@(posedge ca) $rose(q) |-> $past(n[0]));
      other_edge: assert property (@(negedge ca) n == 2 |=> n != 1);
    """
    )
    assert found == {
        "counts": "proved", "early": "refuted", "follows": "proved", "stays": "refuted", "earlier": "proved",
        "other_edge": "proved",
    }  # fmt: skip


def test_an_assumption_of_one_clock_serves_a_proof_of_another() -> None:
    held = CROSSING + "quiet: assume property (@(posedge ca) !d); never: assert property (@(posedge cb) !q);"
    assert verdicts(held) == {"never": "proved"}
    assert verdicts(held.replace("quiet: assume property (@(posedge ca) !d);", "")) == {"never": "refuted"}


def test_a_second_clock_in_the_assertions_alone_is_one_too() -> None:
    text = """module m(input clk, d, output reg q); always @(posedge clk) q <= d;
      stable: assert property (@(negedge clk) 1'b1 |-> ##1 q == $past(d) || d != $past(d));
      rises: assert property (@(posedge clk) d |=> q);"""
    found = verdicts(text)
    assert found["rises"] == "proved" and found["stable"] == "refuted"  # d may change and come back between


WITHIN = [
    "a |=> b", "a ##1 b |-> ##2 c", "a |-> b[*2] ##1 c", "a[->2] ##1 b |-> c", "disable iff (c) a |=> b", "a |-> b until c",
    "$rose(a) |=> $past(b) || c", "not (a ##[1:2] b ##1 c)", "a |-> ##[1:3] b", "(a throughout b[->1]) |-> c",
]  # fmt: skip
PORTS = "input a, b, c, output reg q"


@pytest.mark.parametrize("asked", WITHIN)
def test_a_clock_of_several_sees_what_the_only_clock_would(asked: str) -> None:
    """Against the monitor of a design of one clock, driven with what was there just before each edge."""
    claim = f"one: assert property (@(posedge clk) {asked});"
    alone, (single,) = compile(
        design(f"module m(input clk, {PORTS}); always @(posedge clk) q <= a; {claim} endmodule"), reset=""
    )
    several, (stepped,) = compile(
        design(f"module m(input clk, other, {PORTS}); always @(posedge clk) q <= a; reg p; always @(negedge other) p <= b; {claim} endmodule"),
        reset="",
    )  # fmt: skip
    assert several.stepped and not alone.stepped
    rng = Random(asked)
    for _ in range(8):
        steps = [{n: rng.getrandbits(1) for n in ("clk", "other", "a", "b", "c")} for _ in range(60)]
        edges = [s for s in range(1, len(steps)) if steps[s]["clk"] and not steps[s - 1]["clk"]]
        seen = violations(several, stepped, steps)
        assert not [s for s, bad in enumerate(seen) if bad and s not in edges]
        cycles = [{n: steps[s - 1][n] for n in "abc"} for s in edges]
        assert [seen[s] for s in edges] == violations(alone, single, cycles)


def violations(made: object, claim: Assertion, rows: list[dict[str, int]]) -> list[int]:
    return [row[claim.bad] for row in replay(made, Trace(tuple(rows)), [], [claim.bad])]  # type: ignore[arg-type]


def test_a_counterexample_is_one_of_the_registers_themselves() -> None:
    """The steps of a refutation, played by hand: each register takes what was there before the edge of its clock."""
    made, found = compile(design(f"{CROSSING} stays: assert property (@(posedge cb) q |=> q); endmodule"))
    (result,) = prove(made, [Property("stays", found[0].bad)], timeout_s=30)
    assert result.trace is not None
    rows = replay(made, result.trace, ["ca", "cb", "d", "n", "q", "r"])
    for last, now in pairwise(rows):
        ticked = now["ca"] and not last["ca"]
        assert now["n"] == ((last["n"] + last["d"]) % 4 if ticked else last["n"])
        assert now["q"] == (last["n"] & 1 if ticked else last["q"])
        assert now["r"] == (last["q"] if now["cb"] and not last["cb"] else last["r"])
    ticks = [last for last, now in pairwise(rows) if now["cb"] and not last["cb"]]
    assert ticks[-2]["q"] == 1 and ticks[-1]["q"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one: assert property (@(posedge ca) d |-> ##1 @(posedge cb) q);", "a second clock, posedge cb"),
        (
            "one: assert property (@(posedge ca) d |-> s_eventually q);",
            "infinite run.*several clocks.*bound it",
        ),
        ("one: assert property (@(posedge ca) $past(d, 1, , @(posedge cb)));", "clock of its own"),
    ],
)
def test_what_mixes_clocks_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(KerfError, match=words):
        verdicts(CROSSING + text)
