"""Repairs: what is handed out passes, checked here by simulation of the source read again."""

from __future__ import annotations

import random
import re
import time

import pytest
from designs import COUNTER, FIFO, design
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.equivalence import Same, equivalent
from kerf.verification.model import model
from kerf.verification.repair import Outcome, Status, repair, search
from kerf.verification.repair.keeping import kept_share
from kerf.verification.repair.lint import variants
from kerf.verification.repair.reading import places
from kerf.verification.repair.source import behind
from kerf.verification.tables import Table, parse_table
from kerf.verification.trace import Trace, replay

GATE = """\
module gate (input clk, input rst, input start, input stop, input [3:0] limit, output reg busy, output reg [3:0] n, output done);
  localparam [1:0] IDLE = 2'd0, RUN = 2'd1, LAST = 2'd2;
  reg [1:0] state, next;
  assign done = state == LAST;
  always @(*) begin
    next = state;
    case (state)
      IDLE: if (start) next = RUN;
      RUN: if (stop || n == limit) next = LAST;
      LAST: next = IDLE;
      default: next = IDLE;
    endcase
  end
  always @(posedge clk) begin
    if (rst) begin
      state <= IDLE;
      n <= 4'd0;
      busy <= 1'b0;
    end else begin
      state <= next;
      busy <= next != IDLE;
      if (state == RUN) n <= n + 4'd1;
      else n <= 4'd0;
    end
  end
endmodule
"""


def recorded(made: Design, cycles: int = 60, seed: int = 1) -> Table:
    """What a design does under random inputs; its outputs in the first cycles, which are a reset, do not matter."""
    rng = random.Random(seed)
    inputs = [p for p in made.ports if p.direction == "input" and p.name != "clk"]
    rows = []
    for t in range(cycles):
        row = {p.name: rng.getrandbits(p.width) for p in inputs}
        row |= {n: (t < 2) ^ (n == "rst_n") for n in ("rst", "rst_n") if n in row}
        rows.append({n: int(v) for n, v in row.items()})
    power_up = model(made, reset="")
    seen = replay(power_up, Trace(tuple(rows)), power_up.outputs)
    outputs = [{str(n): v for n, v in row.items()} if t >= 2 else {} for t, row in enumerate(seen)]
    return Table("recorded", tuple(rows), tuple(outputs))


def does(texts: dict[str, str], like: Design, table: Table) -> bool:
    """Whether a source, read again, does what a table says; without any of the code of repair."""
    made = model(like.with_texts(texts), reset="")
    rows = tuple({n: v for n, v in row.items() if n in made.inputs} for row in table.inputs)
    seen = replay(made, Trace(rows), made.outputs)
    return all(seen[t][n] == v for t, row in enumerate(table.expected) for n, v in row.items())


def mended(text: str, old: str, new: str, seconds: float = 30.0) -> Outcome:
    """The repairs of a design with one slip, each of them checked."""
    assert text.count(old) >= 1, old
    table = recorded(design(text))
    broken = design(text.replace(old, new, 1))
    outcome = repair(broken, table=table, seconds=seconds)
    for found in outcome.repairs:
        assert does(dict(found.texts), broken, table)
        assert found.status is Status.CHECKED and found.diff.startswith("--- design.sv")
    return outcome


@pytest.mark.parametrize(
    ("old", "new", "template"),
    [
        ("n + 4'd1", "n + 4'd3", "replace literal"),
        ("LAST = 2'd2", "LAST = 2'd1", "replace parameter"),
        ("if (start) next", "if (!start) next", "invert condition"),
        ("stop || n == limit", "stop && n == limit", "replace operator"),
        ("next = LAST", "next = IDLE", "replace variable"),
        ("stop || n == limit", "n == limit", "add guard"),
        ("      n <= 4'd0;\n", "", "add assignment"),
        ("busy <= next", "busy = next", "nonblocking assignment"),
        ("@(*)", "@(state)", "sensitivity list"),
        ("posedge clk", "clk", "add edge"),
    ],
)  # fmt: skip
def test_a_slip_is_repaired_where_it_is(old: str, new: str, template: str) -> None:
    outcome = mended(GATE, old, new)
    assert outcome.repairs
    assert any(template in change for r in outcome.repairs for change in r.changes), outcome.repairs[0].diff


def test_a_port_that_is_too_narrow_is_made_as_wide_as_its_values() -> None:
    outcome = mended(
        "module m(input [3:0] a, output [3:0] y); assign y = a; endmodule", "output [3:0]", "output"
    )
    assert "output [3:0] y" in outcome.repairs[0].texts["design.sv"]


def test_two_slips_take_two_changes() -> None:
    outcome = mended(GATE.replace("n == limit", "n != limit"), "n + 4'd1", "n + 4'd2")
    assert len(outcome.repairs[0].changes) == 1
    both = GATE.replace("n == limit", "n != limit").replace("n + 4'd1", "n + 4'd2")
    found = repair(design(both), table=recorded(design(GATE)), seconds=30).repairs[0]
    assert len(found.changes) == 2
    assert does(dict(found.texts), design(both), recorded(design(GATE)))


def test_a_design_that_passes_is_left_alone() -> None:
    outcome = repair(design(GATE), table=recorded(design(GATE)))
    assert outcome.passes and not outcome.repairs


def test_what_no_template_can_mend_is_said_so() -> None:
    """Outputs that follow no input and no state that the design has."""
    text = "module m(input clk, input a, output y); assign y = a; endmodule"
    table = parse_table("a,y\n0,0\n0,1\n0,0\n0,0\n0,1\n0,1\n", design(text))
    outcome = repair(design(text), table=table, seconds=20)
    assert not outcome.repairs and outcome.exhausted


def test_a_repair_is_proved_equal_to_a_reference() -> None:
    for old, new in (("push && !full", "push"), ("      count <= 0;\n", ""), ("count == D", "count == 3")):
        broken = design(FIFO.replace(old, new, 1))
        outcome = repair(
            broken, reference=design(FIFO), seconds=120
        )  # a proof gets a share, also where others work
        assert outcome.repairs and outcome.repairs[0].status is Status.PROVED
        again = equivalent(design(FIFO), broken.with_texts(outcome.repairs[0].texts))
        assert again.verdict is Same.EQUAL


def test_assertions_are_met_by_the_repair_that_changes_least() -> None:
    broken = design(COUNTER.replace("4'd9 ?", "4'd11 ?"))
    outcome = repair(broken, assertions=["n <= 9"], seconds=30)
    assert outcome.repairs[0].status is Status.PROVED
    assert not repair(design(COUNTER), assertions=["n <= 9"]).repairs


def test_a_reset_that_other_processes_wait_for_is_added_to_the_list() -> None:
    text = COUNTER.replace("endmodule", "  reg seen;\n  always @(posedge clk)\n    if (!rst_n) seen <= 0;\n    else seen <= go;\nendmodule")  # fmt: skip
    outcome = repair(design(text), table=recorded(design(COUNTER)))
    assert "or negedge rst_n" in outcome.repairs[0].texts["design.sv"].split("seen;")[1]


def test_of_equally_small_repairs_the_one_that_keeps_most_of_the_design_comes_first() -> None:
    broken = design(GATE.replace("stop || n == limit", "stop && n == limit"))
    table = recorded(design(GATE), 16)
    found = repair(broken, table=table, seconds=30).repairs
    old = model(broken)
    least = [r for r in found if len(r.changes) == len(found[0].changes)]
    kept = [round(kept_share(old, model(broken.with_texts(r.texts))), 2) for r in least]
    assert len(kept) > 1 and kept == sorted(kept, reverse=True)


def test_repairs_are_shown_unranked_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            """An hour later once two repairs are found."""
            return time.monotonic() + 3600 * (sum(text.startswith("a repair") for text in told) > 1)

    monkeypatch.setattr(search, "time", Clock)
    monkeypatch.setattr(search, "RANKING", 0.0)
    broken = design(GATE.replace("stop || n == limit", "stop && n == limit"))
    outcome = repair(broken, table=recorded(design(GATE), 16), seconds=30, watch=told.append)
    assert len(outcome.repairs) > 1 and any("time was over" in note for note in outcome.notes)


def test_one_change_of_another_kind_is_tried_before_many_of_the_simplest() -> None:
    told: list[str] = []
    text = """module m(input [7:0] a, b, output [7:0] y, z); wire [7:0] s = a + b, d = {a[0], b[7:1]};
assign y = s ^ 8'd3, z = s ^ 8'd5; endmodule"""
    outcome = repair(design(text.replace("z = s", "z = d")), table=recorded(design(text)), watch=told.append)
    assert any(r.texts["design.sv"] == text for r in outcome.repairs)
    assert not any("more changes at once" in line for line in told)


def test_what_no_failing_output_depends_on_is_not_varied() -> None:
    broken = design("""module m(input [7:0] a, output reg [7:0] y, z); integer i, j;
always @* begin y = 0; for (j = 0; j < 7; j = j + 1) y[j] = a[7 - j]; end
always @* begin z = 0; for (i = 0; i < 8; i = i + 1) z[i] = a[7 - i]; end
endmodule""")
    reached = behind(places(broken), {("m", "y")})
    told = [v.line for v in variants(broken, places(broken), reached)]
    assert told and set(told) == {2}
    assert {v.line for v in variants(broken, places(broken))} == {2, 3}


def test_what_a_change_keeps_is_a_share_of_cycles() -> None:
    one, inverted, rarely = (design(f"module m(input [3:0] a, output y); assign y = {e}; endmodule") for e in ("a == 3", "a != 3", "a == 3 || a == 7"))  # fmt: skip
    shares = [kept_share(model(one), model(other)) for other in (one, inverted, rarely)]
    assert shares[:2] == [1.0, 0.0] and 0.9 < shares[2] < 0.97


def test_every_instance_of_a_module_changes_with_it() -> None:
    text = """module add(input [3:0] a, output [3:0] y); assign y = a + 4'd3; endmodule
module top(input [3:0] a, output [3:0] y); wire [3:0] m; add one(a, m); add two(m, y); endmodule"""
    outcome = mended(text, "a + 4'd3", "a - 4'd3")
    assert any("replace operator" in c or "replace literal" in c for c in outcome.repairs[0].changes)


def test_a_table_that_does_not_fit_is_refused_with_row_and_column() -> None:
    given = design("module m(input a, output y); assign y = a; endmodule")
    with pytest.raises(KerfError, match="table:3, y: 'two' is no number"):
        parse_table("a,y\n1,0\n1,two\n", given)
    with pytest.raises(KerfError, match="3 cells where the first line has 2"):
        parse_table("a,y\n1,0,1\n", given)
    with pytest.raises(KerfError, match="no port called 'z'"):
        parse_table("a,z\n1,1\n", given)
    with pytest.raises(KerfError, match="no column for an output"):
        repair(given, table=parse_table("a\n1\n", given))
    with pytest.raises(KerfError, match="repair of what"):
        repair(design(GATE))


SLIPS = [
    (r"4'd(\d)", lambda m: f"4'd{(int(m[1]) + 1) % 10}"), (r"2'd(\d)", lambda m: f"2'd{(int(m[1]) + 1) % 4}"),
    (r"==", lambda m: "!="), (r"\|\|", lambda m: "&&"), (r"\+", lambda m: "-"), (r"if \((\w+)\)", lambda m: f"if (!{m[1]})"),
    (r"<= next;", lambda m: "<= state;"),
]  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(SLIPS) - 1), st.integers(0, 5))
def test_any_slip_of_one_token_is_repaired_or_passes(kind: int, which: int) -> None:
    pattern, slip = SLIPS[kind]
    places = list(re.finditer(pattern, GATE))
    place = places[which % len(places)]
    broken = design(GATE[: place.start()] + slip(place) + GATE[place.end() :])
    table = recorded(design(GATE), 40)
    outcome = repair(broken, table=table, seconds=30)
    assert outcome.passes or outcome.repairs
    for found in outcome.repairs:
        assert does(dict(found.texts), broken, table)
