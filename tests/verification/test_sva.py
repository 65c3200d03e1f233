"""SVA compiled to monitors."""

from __future__ import annotations

from designs import FIFO, design

from kerf.verification.prove import Property, Verdict, prove
from kerf.verification.sva import compile

ASSERTIONS = [
    "a_count: assert property (@(posedge clk) disable iff (rst) count <= D)",
    "a_full: assert property (@(posedge clk) disable iff (rst) full |-> !empty)",
    "taking && !giving |=> count == $past(count) + 1'b1",
    "giving && !taking |=> count == $past(count) - 1'b1",
    "c_full: cover property (@(posedge clk) full)",
]


def test_fifo_invariants_are_proved_and_full_is_reached() -> None:
    made, found = compile(design(FIFO), ASSERTIONS)
    assert [a.name for a in found] == ["a_count", "a_full", "kerf_extra2", "kerf_extra3", "c_full"]
    results = prove(made, [Property(a.name, a.bad) for a in found])
    assert [r.verdict for r in results] == [Verdict.PROVED] * 4 + [Verdict.REFUTED]
    assert results[4].depth == 4
