"""Repairs of designs whose synthesis, with templates in it, would not end in time."""

from __future__ import annotations

import pytest
from designs import design
from test_repair import recorded

from kerf.verification.repair import repair, search

REVERSE = """\
module reverse (input clk, input [7:0] a, output [7:0] y);
  genvar i;
  generate for (i = 0; i < 8; i = i + 1) begin : bits assign y[i] = a[7 - i]; end endgenerate
endmodule
"""


def test_variants_of_a_slow_design_come_before_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SLOWER", 1e9)
    told: list[str] = []
    broken = design(REVERSE.replace("i < 8", "i < 7"))
    outcome = repair(broken, table=recorded(design(REVERSE)), seconds=30, watch=told.append)
    assert outcome.repairs[0].texts["design.sv"] == REVERSE
    assert not any(text.startswith("templates") for text in told)
