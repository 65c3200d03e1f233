"""From source to verdict."""

from __future__ import annotations

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.verification import prove as proving
from kerf.verification.graph import Graph
from kerf.verification.model import model
from kerf.verification.prove import Property, Unsound, Verdict, check_invariant, prove
from kerf.verification.trace import as_csv, as_vcd, replay


def test_fifo_invariants_are_proved_and_a_wrong_one_refuted_with_its_shortest_run() -> None:
    made = model(design(FIFO))
    g, s = made.graph, made.graph.signals
    above = g.any_of(g.equal(s["count"].bits, k) for k in range(5, 8))
    both = g.conjunction(s["full"].bits[0], s["empty"].bits[0])
    full = Property("never_full", s["full"].bits[0])
    results = prove(made, [Property("count", above), Property("both", both), full])
    assert [r.verdict for r in results] == [Verdict.PROVED, Verdict.PROVED, Verdict.REFUTED]
    trace = results[2].trace
    assert trace is not None and len(trace) == 5  # four pushes, then it is seen
    rows = replay(made, trace)
    assert [r["count"] for r in rows] == [0, 1, 2, 3, 4]
    assert as_csv(rows, ["count", "full"]).splitlines()[-1] == "4,1"
    assert "$enddefinitions" in as_vcd(made, rows, ["clk", "count", "full"])


def test_assumptions_hold_in_every_cycle() -> None:
    made = model(design(FIFO))
    s = made.graph.signals
    never = [s["push"].bits[0] ^ 1]
    (result,) = prove(made, [Property("full", s["full"].bits[0])], assumed=never)
    assert result.verdict is Verdict.PROVED


def test_an_asynchronous_reset_that_is_active_low_is_found() -> None:
    made = model(design(COUNTER))
    assert made.reset and (made.reset.name, made.reset.active) == ("rst_n", 0)
    g, s = made.graph, made.graph.signals
    (nine, ten) = prove(
        made, [Property("9", g.equal(s["n"].bits, 9)), Property("10", g.equal(s["n"].bits, 10))]
    )
    assert nine.verdict is Verdict.REFUTED and nine.depth == 9
    assert ten.verdict is Verdict.PROVED


def test_registers_that_no_reset_reaches_start_with_any_value() -> None:
    text = "module m(input clk, input d, output reg q); always @(posedge clk) q <= d; endmodule"
    made = model(design(text))
    q = made.graph.signals["q"].bits[0]
    low, high = prove(made, [Property("low", q ^ 1), Property("high", q)])
    assert low.depth == high.depth == 0  # neither value may be relied on
    assert "start with any value" in made.notes[-1]


def test_a_false_invariant_is_caught() -> None:
    g = Graph()
    a, b = g.add_latch(), g.add_latch()
    g.set_next(a, g.add_input())
    g.set_next(b, a)
    with pytest.raises(Unsound, match="inductive"):
        check_invariant(g, b, [[2]])  # "b is never true" is not inductive
    with pytest.raises(Unsound, match="imply"):
        check_invariant(g, b, [])
    with pytest.raises(Unsound, match="initial"):
        check_invariant(g, b, [[1]])


def test_an_engine_that_lies_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(design(COUNTER))
    g, s = made.graph, made.graph.signals
    monkeypatch.setattr(proving.abc, "check", lambda *a: proving.abc.Answer(False, 3))
    with pytest.raises(Unsound):
        prove(made, [Property("10", g.equal(s["n"].bits, 10))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("module m(input a, output y);\n assign y = a + ;\nendmodule", "design.sv:2:"),
        (
            "module m(input a, output y);\n wire w;\n assign w = ~w & a; assign y = w;\nendmodule",
            "combinational loop",
        ),
        ("module m(input a, output y); nowhere u(a, y); endmodule", "nowhere"),
        (
            "module m(input clk, input [15:0] a, input d, output y); reg [31:0] k [0:65535];"
            " always @(posedge clk) k[a] <= d; assign y = k[a][0]; endmodule",
            "memory",
        ),
        ("module a(input x, output y); endmodule module b(input x, output y); endmodule", "--top"),
    ],
)
def test_what_cannot_be_verified_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(KerfError, match=words):
        model(design(text))


def test_two_clocks_are_modelled_step_by_step() -> None:
    text = """module m(input a, b, d, output reg x, y);
      initial x = 0; initial y = 0;
      always @(posedge a) x <= d;
      always @(posedge b) y <= x; endmodule"""
    made = model(design(text))
    assert made.clock == "" and any("step by step" in n for n in made.notes)
    (result,) = prove(made, [Property("y", made.graph.signals["y"].bits[0])])
    assert result.verdict is Verdict.REFUTED


def test_a_design_cannot_read_outside_its_folder(tmp_path: object) -> None:
    text = '`include "/etc/hostname"\nmodule m(input a, output y); assign y = a; endmodule'
    with pytest.raises(KerfError, match="outside"):
        design(text)
    secret = 'module m(input clk, input [1:0] a, output [7:0] y); reg [7:0] k [0:3]; initial $readmemh("/etc/hostname", k); assign y = k[a]; endmodule'
    with pytest.raises(KerfError):
        model(design(secret))


def test_an_unknown_value_is_any_value() -> None:
    text = "module m(input s, input a, output y, output z); wire w; assign y = s ? 1'bx : a; assign z = w & s; endmodule"
    made = model(design(text))
    g, s = made.graph, {n: w.bits[0] for n, w in made.graph.signals.items()}
    differs = g.conjunction(s["s"], g.exclusive_or(s["y"], s["a"]))
    results = prove(made, [Property("x", differs), Property("undriven", s["z"])])
    assert [r.verdict for r in results] == [Verdict.REFUTED] * 2


def test_a_name_for_an_unknown_value_is_one_value_wherever_it_is_read() -> None:
    text = """module m(input clk, a, output reg q); wire x = 1'bx; wire y = x ^ a; initial q = 1;
      always @(posedge clk) if (1'b0 | x) q <= 0; endmodule"""
    made = model(design(text))
    g, s = made.graph, {n: w.bits[0] for n, w in made.graph.signals.items()}
    one = g.exclusive_or(s["y"], g.exclusive_or(s["x"], s["a"]))
    same, taken = prove(made, [Property("one", one), Property("taken", s["q"] ^ 1)])
    assert same.verdict is Verdict.PROVED
    assert taken.verdict is Verdict.REFUTED  # a condition that is x may be met


def test_the_level_of_a_reset_is_its_name_s_though_constants_come_at_the_other_one() -> None:
    text = """module m(input clk, rst_n, a, output reg q, output reg [2:0] k); always @(posedge clk or negedge rst_n)
      if (!rst_n) q <= 0; else begin q <= a; k[0] <= 1; end endmodule"""
    made = model(design(text))
    assert made.reset and made.reset.active == 0
    made = model(
        design(
            text.replace("!rst_n", "rst_n").replace("negedge", "posedge").replace("k[0] <= 1", "k <= {3{a}}")
        )
    )
    assert made.reset and made.reset.active == 1  # a name that misleads


def test_two_unknown_values_are_two() -> None:
    text = """module m(input a, b, output y, output [3:0] z); wire [1:0] w; wire v;
      assign y = w[0] ^ v; assign z = {a ? w[1] : b, b & v, w}; endmodule"""
    made = model(design(text))
    g, s = made.graph, made.graph.signals
    bits = [*s["w"].bits, *s["v"].bits]
    pairs = [g.exclusive_or(a, b) for a in bits for b in bits if a < b]
    results = prove(made, [Property(str(i), p) for i, p in enumerate([s["y"].bits[0], *pairs])])
    assert [r.verdict for r in results] == [Verdict.REFUTED] * 4


def test_a_register_with_an_asynchronous_load_keeps_what_clears_it() -> None:
    text = """module m(input clk, input rst_n, v, z, input [3:0] d, output reg [3:0] q); always @(posedge clk or negedge rst_n)
      if (!rst_n) q <= {3'b0, v}; else q <= z ? 4'd0 : d; endmodule"""
    made = model(design(text), reset="")
    g, s = made.graph, {n: w.bits for n, w in made.graph.signals.items()}
    cleared = g.add_latch()
    g.set_next(cleared, g.conjunction(s["z"][0], s["rst_n"][0]))
    bad = g.all_of([cleared, s["rst_n"][0], g.equal(s["q"], 0) ^ 1])
    assert prove(made, [Property("cleared", bad)])[0].verdict is Verdict.PROVED


def test_names_stand_for_what_the_source_says_whether_or_not_anything_uses_them() -> None:
    text = """module part(input a, b, output y); wire both = a & b; assign y = a; endmodule
      module m(input clk, rst, a, b, output reg [3:0] q, output z); part p(a, b, z); reg [3:0] next;
      always @* case (q) 4'd0: next = {3'b0, a}; 4'd1: next = b ? 4'd12 : 4'd1; 4'd12: next = 4'd0; default: next = 4'bx; endcase
      always @(posedge clk) if (rst) q <= 0; else q <= next; endmodule"""
    made = model(design(text, top="m"))
    g, s = made.graph, {n: w.bits for n, w in made.graph.signals.items()}
    both = g.exclusive_or(s["p.both"][0], g.conjunction(s["a"][0], s["b"][0]))
    later = g.conjunction(g.equal(s["q"], 12), g.equal(s["next"], 0) ^ 1)
    other = g.all_of(g.equal(s["q"], k) ^ 1 for k in (0, 1, 12))
    results = prove(made, [Property("both", both), Property("later", later), Property("other", other)])
    assert [r.verdict for r in results] == [Verdict.PROVED] * 3


def test_a_word_that_a_register_does_not_take_is_still_what_the_source_says() -> None:
    text = """module m(input clk, rst_n, v, hit, input [3:0] x, output reg [1:0] q, output reg [3:0] s); reg [1:0] d; reg [3:0] t;
      always_comb begin d = q; t = s; if (v) begin
        if (hit) begin if (q < 2'd3) d = q + 2'd1; end else if (q > 0) d = q - 2'd1; else t = x; end end
      always @(posedge clk or negedge rst_n) if (!rst_n) begin q <= 0; s <= 0; end else if (v) begin q <= d; s <= t; end endmodule"""
    made = model(design(text))
    g, s = made.graph, {n: w.bits for n, w in made.graph.signals.items()}
    quiet = g.disjunction(s["v"][0] ^ 1, g.all_of([s["hit"][0] ^ 1, g.equal(s["q"], 0)]))
    moved = g.conjunction(quiet, g.equal(s["d"], s["q"]) ^ 1)
    taken = g.conjunction(g.disjunction(s["v"][0] ^ 1, s["hit"][0]), g.equal(s["t"], s["s"]) ^ 1)
    results = prove(made, [Property("moved", moved), Property("taken", taken)])
    assert [r.verdict for r in results] == [Verdict.PROVED] * 2


def test_a_clock_that_is_data_is_said_to_be() -> None:
    text = "module m(input clk, output reg q); initial q = 0; always @(posedge clk) q <= clk; endmodule"
    assert any("just before its edge" in n for n in model(design(text)).notes)
    assert not any("just before its edge" in n for n in model(design(COUNTER)).notes)


@pytest.mark.parametrize(("edge", "before"), [("posedge", 0), ("negedge", 1)])
def test_outputs_show_the_clock_as_it_is_before_its_edge(edge: str, before: int) -> None:
    text = f"module m(input clk, d, output reg q, output y); always @({edge} clk) q <= d; assign y = clk; endmodule"
    made = model(design(text))
    y = made.graph.signals["y"].bits[0]
    results = prove(made, [Property("low", y ^ 1), Property("high", y)])
    proved = [r.verdict is Verdict.PROVED for r in results]
    assert proved == [bool(before), not before]
