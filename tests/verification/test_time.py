"""Time limits are kept within a tenth, on questions that nobody answers in time. On a busy core any step may be late, so each has three tries: a step that
does not look at the clock is late in all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from designs import FIFO, design

from kerf.verification.coverage import Bin, close
from kerf.verification.deadline import OutOfTime
from kerf.verification.equivalence import Same, equivalent
from kerf.verification.mining import mine
from kerf.verification.model import Model, model
from kerf.verification.mutation import random_tests, score
from kerf.verification.prove import Property, Verdict, prove

TRIES = 3

# no two factors of 32 bits make this prime, which nobody proves in seconds
MULTIPLIER = """module m(input clk, input [31:0] a, b, output reg [63:0] p, output reg prime);
  initial begin p = 0; prime = 0; end
  always @(posedge clk) begin p <= a * {32'd0, b}; prime <= p == 64'h800000000000001d; end
endmodule
"""
PARTS = "a * {32'd0, b[15:0]} + (({32'd0, a} * {48'd0, b[31:16]}) << 16)"


def kept(limit: float, work: Callable[[], None]) -> None:
    spent = []
    for _ in range(TRIES):
        begun = time.monotonic()
        work()
        spent.append(time.monotonic() - begun)
        if spent[-1] < 1.1 * limit:
            return
    raise AssertionError(f"{', '.join(f'{s:.2f} s' for s in spent)} of {limit} s")


def test_coverage_of_many_bins() -> None:
    made = model(design(MULTIPLIER), reset="")
    hard = made.graph.signals["prime"].bits[0]
    bins = [Bin(f"gate{x}", x) for x in range(2, 2 * len(made.graph), 2)] + [Bin("hard", hard)]

    def work() -> None:
        found = close(made, bins, seconds=4.0)
        assert len(bins) > 8000 and len(found.covered) > 0.9 * len(bins)
        assert "hard" in found.undecided

    kept(4.0, work)


def test_equivalence_of_two_multipliers() -> None:
    other = MULTIPLIER.replace("a * {32'd0, b}", PARTS)

    def work() -> None:
        found = equivalent(design(MULTIPLIER), design(other), timeout_s=3.0)
        assert found.verdict is Same.UNDECIDED and found.notes

    kept(3.0, work)


def test_a_proof() -> None:
    made = model(design(MULTIPLIER), reset="")
    asked = [Property(f"prime{k}", made.graph.signals["prime"].bits[0]) for k in range(3)]

    def work() -> None:
        assert {r.verdict for r in prove(made, asked, timeout_s=2.0)} == {Verdict.UNDECIDED}

    kept(2.0, work)


def test_mutants_and_mining() -> None:
    small = MULTIPLIER.replace("31", "11").replace("63", "23").replace("{32'd0, b}", "{12'd0, b}").replace("64'h800000000000001d", "24'h3fffdd")  # fmt: skip
    made, fifo = model(design(small), reset=""), model(design(FIFO))
    tests = random_tests(made, 20)

    def scored() -> None:
        with suppress(OutOfTime):
            assert score(made, tests, seconds=3.0).total > 20

    kept(3.0, scored)
    kept(2.0, lambda: _mined(fifo))


def _mined(made: Model) -> None:
    assert mine(made, seconds=2.0).candidates > 100
