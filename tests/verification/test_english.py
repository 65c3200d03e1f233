"""Sentences as assertions. What is expected is another wording of the same property, and a proof says whether it is the same."""

from __future__ import annotations

import pytest
from designs import design

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.english import to_sva
from kerf.verification.sva import equivalent

TEXT = """module m(input clk, rst_n, req, ack, busy, input [3:0] data, input valid, ready, output [2:0] grant,
  output fifo_full, fifo_empty, wr_en, output [4:0] count);
  wire [1:0] state;
  localparam IDLE = 0;
endmodule"""

SAID = [
    ("whenever req rises then ack within 4 cycles, unless reset", "disable iff (!rst_n) $rose(req) |-> ##[0:4] ack"),
    ("If req is high, ack must be high in the next cycle", "req |=> ack"),
    ("if req is high, then between 2 to 5 clock cycles later, ack must not be high", "req |-> ##[2:5] !ack"),
    ("never fifo full and fifo empty", "!(fifo_full && fifo_empty)"),
    ("the fifo is never both full and empty", "!(fifo_full && fifo_empty)"),
    ("req and ack are never high at the same time", "!(req && ack)"),
    ("neither req nor ack is high", "!req && !ack"),
    ("req and ack must be low", "!req && !ack"),
    ("req or ack must not be high", "!req && !ack"),
    ("not both req and ack", "!req || !ack"),
    ("if the fifo is full then wr_en must not be asserted", "fifo_full |-> !wr_en"),
    ("wr en is low whenever the full flag is high", "fifo_full |-> !wr_en"),
    ("ack is high only if req was high in the previous cycle", "ack |-> $past(req)"),
    ("at most one of req, ack and busy is high", "$onehot0({req, ack, busy})"),
    ("exactly one of req or ack is high", "req ^ ack"),
    ("either req or ack is high, but not both", "req != ack"),
    ("grant is zero or one hot", "grant == 0 || grant == 1 || grant == 2 || grant == 4"),
    ("data stays stable while valid is high and ready is low", "valid && !ready && $past(valid && !ready) |-> $stable(data)"),
    ("after req, busy stays high until ack", "req |=> busy until ack"),
    ("count never exceeds 16", "count <= 5'd16"),
    ("count is 4 or 5", "count == 4 || count == 5"),
    ("count is between 2 and 5", "count >= 2 && count <= 5"),
    ("all bits of data are high, or no bits of grant are high", "data == 15 || grant == 0"),
    ("data has an odd number of 1 bits", "data[0] ^ data[1] ^ data[2] ^ data[3]"),
    ("data contains at least one '0' bit", "data != 15"),
    ("the XOR of req and ack must equal the OR reduction of data", "(req ^ ack) == |data"),
    ("req implies that ack is eventually high", "req |-> s_eventually ack"),
    ("each req is followed by ack after 3 cycles", "req |-> ##3 ack"),
    ("if req is high for 2 cycles then ack", "req [*2] |-> ack"),
    ("if req was high two cycles ago, then ack is high", "$past(req, 2) |-> ack"),
    ("busy is high if and only if state is not equal to IDLE", "busy == (state != 0)"),
    ("if req is high or ack is low, and busy is high, then valid is high", "(req || !ack) && busy |-> valid"),
    ("if req is high and ack differs from busy, the property holds", "req && ack != busy"),
    ("if req is greater than ack, then it must equal busy", "(req > ack) == busy"),
    ("when wr_en is high, count increases by one in the next cycle", "wr_en |=> count == $past(count) + 5'd1"),
    ("bit 2 of data is never set", "!data[2]"),
    ("the number of ones in data is at most 2", "$countones(data) <= 2"),
    ("is the fifo ever both full and empty?", "!(fifo_full && fifo_empty)"),
    ("can req and ack ever be high at the same time?", "!(req && ack)"),
    ("the fifo never overflows", "!(fifo_full && wr_en)"),
    ("if req is high, ack must be high for the next 3 cycles", "req |=> ack [*3]"),
    ("the condition that req is high and ack is low implies busy is high", "req && !ack |-> busy"),
    ("if req then ack else busy", "(req |-> ack) and (!req |-> busy)"),
    ("ack is high one cycle after req is high", "req |=> ack"),
    ("ack before busy", "!busy until ack"),
    ("a rising edge of req is followed by ack within 2 cycles", "$rose(req) |-> ##[0:2] ack"),
    ("the transition of req from high to low implies busy is low", "$fell(req) |-> !busy"),
    ("if req is less than ack, which is different from busy, then valid is high", "(req < ack) != busy |-> valid"),
    ("if req and ack are high, but this result is not equal to busy, then valid is high", "(req && ack) != busy |-> valid"),
    ("if req is high, then ack is high in the next cycyle", "req |=> ack"),
]  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Design:
    return design(TEXT)


@pytest.mark.parametrize(("sentence", "meaning"), SAID)
def test_a_sentence_means_what_it_says(stage: Design, sentence: str, meaning: str) -> None:
    said = to_sva(sentence, stage)
    guard, _, rest = meaning.partition(") ") if meaning.startswith("disable") else ("", "", meaning)
    wanted = f"assert property (@(posedge clk) {guard + ') ' if guard else ''}{rest});"
    assert equivalent(stage, said.sva, wanted, timeout_s=20).verdict == "equivalent", said.sva


def test_what_was_resolved_is_told(stage: Design) -> None:
    said = to_sva("whenever reqq rises, the full flag is low within 2 cycles unless reset", stage)
    assert said.resolved == {"reqq": "req", "the full flag": "fifo_full"}
    assert to_sva("if req is high, then ack is high in the next cycyle", stage).resolved == {
        "cycyle": "cycle"
    }
    assert (said.clock, said.reset) == ("clk", "!rst_n")
    assert "same cycle counts" in said.notes[0]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("colorless green ideas sleep furiously", "Say it like"),
        ("if req is high then frobnicate the cache", "understood 'if req is high'.*frobnicate"),
        ("fifo is high", "which signal is 'fifo': fifo_full, fifo_empty"),
        ("", "not understood"),
    ],
)
def test_what_is_not_understood_is_asked(stage: Design, sentence: str, words: str) -> None:
    with pytest.raises(KerfError, match=words):
        to_sva(sentence, stage)


def test_a_clock_is_needed() -> None:
    text = design("module m(input a, b); endmodule")
    with pytest.raises(KerfError, match="clock"):
        to_sva("a implies b", text)
    assert "@(posedge b)" in to_sva("a is high", text, clock="b").sva
