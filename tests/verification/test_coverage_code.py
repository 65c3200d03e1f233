"""Bins of code, state machines, toggles and covergroups: what they count is what runs."""

from __future__ import annotations

import random

from designs import COUNTER, FIFO, design

from kerf.verification.coverage import Bin, close
from kerf.verification.coverage.code import instrumented
from kerf.verification.coverage.constants import mined
from kerf.verification.coverage.instrument import instrument
from kerf.verification.model import Model, model
from kerf.verification.trace import Trace, replay

DECODER = """\
`define GO 2'd2
module decoder #(parameter bit WIDE = 0) (
  input  logic clk, rst, en, mode,
  input  logic [1:0] op,
  output logic [3:0] y, z, total
);
  // a comment ? that : must not matter
  if (WIDE) assign z = en ? 4'd9 : 4'd8; else assign z = mode ? (en ? 4'd1 : 4'd2) : 4'd3;
  always_comb begin
    y = 4'd0;
    unique case (op)
      2'd0: y = 4'd1;
      2'd1: if (en && (mode || op[0])) y = 4'd2;
      `GO: y = 4'd3;
      2'd3: begin
        if (en) y = 4'd4;
        else if (mode) y = 4'd5;
        if (en && !en) y = 4'd6; /* never */
      end
    endcase
  end
  always @(posedge clk)
    if (rst) total <= 4'd0;
    else if (en) total <= total + y;
endmodule
"""


def by_name(bins: list[Bin], kind: str) -> dict[str, Bin]:
    return {b.name.removeprefix("design.sv:"): b for b in bins if b.kind == kind}


def random_trace(made: Model, seed: int, cycles: int = 200) -> Trace:
    rng = random.Random(seed)
    widths = {n: len(made.graph.signals[n].bits) for n in made.inputs}
    return Trace(tuple({n: rng.getrandbits(w) for n, w in widths.items()} for _ in range(cycles)))


def test_instrumented_designs_do_what_they_did() -> None:
    for text in (FIFO, COUNTER, DECODER):
        plain = model(design(text))
        made, _, _ = instrumented(design(text))
        trace = random_trace(plain, 1)
        assert replay(plain, trace, plain.outputs) == replay(made, trace, plain.outputs)


def test_lines_keep_their_numbers() -> None:
    for text in (FIFO, COUNTER, DECODER):
        written = instrument(design(text)).texts["design.sv"].splitlines()
        assert len(written) == len(text.splitlines())
        for old, new in zip(text.splitlines(), written, strict=True):
            assert [w for w in old.split() if w.isidentifier() and w not in new] == []


def test_branches_count_exactly_the_cycles_that_take_them() -> None:
    made, bins, notes = instrumented(design(DECODER))
    branches = by_name(bins, "branch")
    wanted = {
        "8 ? true": lambda r: r["mode"], "8 ? false": lambda r: not r["mode"],
        "8 ? true #2": lambda r: r["mode"] and r["en"], "8 ? false #2": lambda r: r["mode"] and not r["en"],
        "12 case 2'd0": lambda r: r["op"] == 0, "13 case 2'd1": lambda r: r["op"] == 1,
        "13 if true": lambda r: r["op"] == 1 and r["en"], "13 if false": lambda r: r["op"] == 1 and not r["en"],
        "15 case 2'd3": lambda r: r["op"] == 3, "16 if true": lambda r: r["op"] == 3 and r["en"],
        "17 if true": lambda r: r["op"] == 3 and not r["en"] and r["mode"],
        "17 if false": lambda r: r["op"] == 3 and not r["en"] and not r["mode"],
        "18 if true": lambda r: False, "18 if false": lambda r: r["op"] == 3,
        "24 if true": lambda r: r["en"], "24 if false": lambda r: not r["en"],
    }  # fmt: skip
    trace = random_trace(made, 2)
    rows = replay(made, trace, [], [branches[n].target for n in wanted])
    for cycle, row in zip(trace.inputs, rows, strict=True):
        for name, happens in wanted.items():
            assert row[branches[name].target] == bool(happens(cycle)), (name, cycle)
    assert not any("if true" in n and n.startswith("23") for n in branches)  # reset itself takes it
    assert notes == ()


def test_dead_code_is_proved_dead_and_the_rest_covered() -> None:
    made, bins, _ = instrumented(design(DECODER))
    found = close(made, bins, seconds=20, constants=mined(made.design))
    assert not found.undecided and not found.lucky
    assert {n.removeprefix("design.sv:") for n in found.unreachable} == {
        "13 mode true decides", "13 mode false decides", "13 op[0] false decides",  # op is 1 there
        "18 if true", "18 en true decides", "18 !en true decides", "y[3] rises", "y[3] falls",
    }  # fmt: skip


def test_a_branch_that_is_a_macro_has_no_bin_rather_than_a_wrong_one() -> None:
    text = """`define NOTHING y = y
module m(input a, b, output reg y);
  always @* begin
    y = b;
    if (a) `NOTHING;
    if (b) y = a; else `NOTHING;
  end
endmodule"""
    made, bins, notes = instrumented(design(text))
    assert set(by_name(bins, "branch")) == {"6 if true"} and "3 processes or statements" in notes[0]
    assert not close(made, bins, seconds=5).unreachable


def test_conditions_need_each_part_to_decide() -> None:
    text = (
        "module m(input a, b, c, output reg y); always_comb if (a && (b || c)) y = 1; else y = 0; endmodule"
    )
    made, bins, _ = instrumented(design(text))
    parts = by_name(bins, "condition")
    assert len(parts) == 6
    rows = [{"a": i & 1, "b": i >> 1 & 1, "c": i >> 2 & 1} for i in range(8)]
    seen = replay(made, Trace(tuple(rows)), [], [b.target for b in parts.values()])
    for row, hit in zip(rows, seen, strict=True):
        for name, b in parts.items():
            part, value = name.split()[1], "true" in name
            flipped = row | {part: 1 - row[part]}
            outcome, other = (r["a"] and (r["b"] or r["c"]) for r in (row, flipped))
            assert hit[b.target] == (row[part] == value and bool(outcome) != bool(other)), (name, row)


MACHINE = """\
module machine (input logic clk, rst, go, halt, output logic busy);
  typedef enum logic [1:0] {IDLE, RUN, WAIT, DEAD} state;
  state now, later;
  always_comb begin
    later = now;
    case (now)
      IDLE: if (go) later = RUN;
      RUN: if (halt) later = WAIT;
      default: later = IDLE;
    endcase
  end
  always_ff @(posedge clk) if (rst) now <= IDLE; else now <= later;
  assign busy = now != IDLE;
  covergroup steps @(posedge clk);
    value: coverpoint now iff (go);
    input_pair: coverpoint {go, halt} { bins none = {0}; bins some[] = {[1:2]}; ignore_bins both = {3}; wildcard bins any_go = {2'b1?}; }
    path: coverpoint now { bins round = (IDLE => 1 => 2 => 0); bins stay[] = (1 => 1), (3 => 0); }
    pairs: cross value, input_pair iff (busy);
  endgroup
  steps cover_steps = new;
endmodule
"""


def test_states_and_transitions_are_those_of_the_logic() -> None:
    made, bins, notes = instrumented(design(MACHINE.replace("(IDLE =>", "(0 =>")))
    assert notes == ()
    found = close(made, bins, seconds=20)
    states = {b.name for b in bins if b.kind == "state"}
    steps = {b.name for b in bins if b.kind == "transition"}
    assert states == {f"now = {s}" for s in ("IDLE", "RUN", "WAIT", "DEAD")}
    assert steps == {"now: IDLE -> RUN", "now: RUN -> WAIT", "now: WAIT -> IDLE", "now: DEAD -> IDLE"}
    assert {"now = DEAD", "now: DEAD -> IDLE"} <= set(found.unreachable)
    assert "now: WAIT -> IDLE" in found.covered and not found.undecided


def test_covergroups_sample_what_they_say() -> None:
    made, bins, _ = instrumented(design(MACHINE.replace("(IDLE =>", "(0 =>")))
    groups = {b.name: b for b in bins if b.kind == "functional"}
    assert set(groups) == {
        *(f"steps.value[auto[{s}]]" for s in ("IDLE", "RUN", "WAIT", "DEAD")),
        *(f"steps.input_pair[{s}]" for s in ("none", "some[1]", "some[2]", "any_go")),
        *(f"steps.path[{s}]" for s in ("round", "stay[1 => 1]", "stay[3 => 0]")),
        *(f"steps.pairs[auto[{s}], {p}]" for s in ("IDLE", "RUN", "WAIT", "DEAD") for p in ("none", "some[1]", "some[2]", "any_go")),
    }  # fmt: skip
    trace = random_trace(made, 3)
    rows = replay(made, trace, ["now"], [b.target for b in groups.values()])
    states = [r["now"] for r in rows]
    for t, (cycle, row) in enumerate(zip(trace.inputs, rows, strict=True)):
        pair = 2 * cycle["go"] + cycle["halt"]
        for name, happens in {
            "steps.value[auto[RUN]]": states[t] == 1 and cycle["go"], "steps.input_pair[none]": pair == 0,
            "steps.input_pair[some[1]]": pair == 1, "steps.input_pair[any_go]": pair == 2,
            "steps.path[round]": states[max(t - 3, 0) : t + 1] == [0, 1, 2, 0], "steps.path[stay[1 => 1]]": states[max(t - 1, 0) : t + 1] == [1, 1],
            "steps.pairs[auto[RUN], some[2]]": states[t] == 1 and pair == 2,
        }.items():  # fmt: skip
            assert row[groups[name].target] == bool(happens), (t, name)
    found = close(made, list(groups.values()), seconds=10)
    assert {n for n in groups if "DEAD" in n or "3 => 0" in n} <= set(found.unreachable)


def test_what_a_covergroup_cannot_be_is_told_by_name_and_line() -> None:
    _, bins, notes = instrumented(design(MACHINE))
    assert any("design.sv:17" in n and "IDLE" in n and "no literal" in n for n in notes)
    assert any(b.name == "steps.input_pair[none]" for b in bins)


def test_toggles_need_a_step_from_one_cycle_to_the_next() -> None:
    made, bins, _ = instrumented(design(COUNTER))
    toggles = by_name(bins, "toggle")
    assert {f"n[{i}] {way}" for i in range(4) for way in ("rises", "falls")} <= set(toggles)
    rows = replay(made, Trace(({"go": 1},) * 12), ["n"], [b.target for b in toggles.values()])
    for t in range(12):
        for i in range(4):
            before, now = (rows[max(t - 1, 0)]["n"] >> i & 1, rows[t]["n"] >> i & 1)
            assert rows[t][toggles[f"n[{i}] rises"].target] == (before < now)
            assert rows[t][toggles[f"n[{i}] falls"].target] == (before > now)


def test_constants_are_mined() -> None:
    assert {0, 1, 9} <= set(mined(design(COUNTER)))
