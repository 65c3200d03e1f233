"""Repairs that give an expression other names, and the names that no repair may touch."""

from __future__ import annotations

from designs import design
from test_repair import mended

from kerf.verification.model import model
from kerf.verification.repair.change import weave
from kerf.verification.repair.order import Order
from kerf.verification.repair.reading import places
from kerf.verification.repair.templates import Offer

QUEUE = """\
module queue (input clk, input rst, input push, input pop, input keep, output full, output empty, output reg [2:0] level);
  reg [2:0] head, tail, held;
  assign full = head[2] != tail[2] && head[1:0] == tail[1:0];
  assign empty = held == tail;
  always @(posedge clk) begin
    if (rst) begin
      head <= 3'd0;
      tail <= 3'd0;
      held <= 3'd0;
    end else begin
      if (push && !full) head <= head + 3'd1;
      if (keep) held <= head;
      if (pop && !empty) tail <= tail + 3'd1;
    end
    level <= head - tail;
  end
endmodule
"""
WRAPPED = QUEUE + """\
module top (input clk, input rst, input push, input pop, input keep, output full, output empty, output [2:0] level);
  queue inner (.clk(clk), .rst(rst), .push(push), .pop(pop), .keep(keep), .full(full), .empty(empty), .level(level));
endmodule
"""  # fmt: skip


def test_a_variable_whose_bits_are_named_twice_is_replaced_in_both_places() -> None:
    right = "head[2] != tail[2] && head[1:0] == tail[1:0]"
    outcome = mended(QUEUE, right, right.replace("head", "held"))
    first = outcome.repairs[0]
    assert len(first.changes) == 1 and first.changes[0].startswith("rename variable")
    assert right in first.texts["design.sv"]


def test_a_clock_that_a_wrapper_passes_on_stays_a_clock() -> None:
    """Were it replaced by another word, every clock of the design would be an input, and each row two steps."""
    wrapped = design(WRAPPED, top="top")
    found = places(wrapped)
    texts = {s.name: s.text for s in wrapped.sources}
    plan = Offer(found, Order(found), texts, 1).plan()
    assert any(c.module == "top" for c in plan.changes)
    made = model(wrapped.with_texts(weave(texts, found.modules, plan)), reset="")
    assert made.clock == "clk" and not made.stepped
