"""SVA compiled to monitors: from the source of a design to verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.verification.design import load
from kerf.verification.prove import Property, Verdict, prove, reach
from kerf.verification.sva import automaton, compile, equivalent
from kerf.verification.sva.mending import mended
from kerf.verification.trace import replay

HEAD = """module m #(parameter N = 2) (input clk, rst, a, b, c, input [3:0] d, output logic [3:0] q, output logic r);
  always @(posedge clk) if (rst) begin q <= 0; r <= 0; end else begin q <= d; r <= a; end
"""


def verdicts(text: str, extra: list[str] | None = None, **how: object) -> dict[str, str]:
    made, found = compile(design(text, **how), extra or [])
    assumed = [a.bad ^ 1 for a in found if a.kind == "assume"]
    checked = [Property(a.name, a.bad) for a in found if a.kind != "assume"]
    return {r.name: str(r.verdict) for r in prove(made, checked, assumed=assumed)}


def test_assertions_that_say_the_same_are_each_judged() -> None:
    text = (
        HEAD
        + "always_comb one: assert (q == q); always_comb two: assert (r == r); always_comb three: assert (r || !r);\nendmodule"
    )
    assert verdicts(text) == dict.fromkeys(["one", "two", "three"], "proved")


def test_fifo_invariants_are_proved_and_full_is_reached() -> None:
    made, found = compile(design(FIFO), [
        "a_count: assert property (@(posedge clk) disable iff (rst) count <= D)",
        "a_full: assert property (@(posedge clk) disable iff (rst) full |-> !empty)",
        "taking && !giving |=> count == $past(count) + 1'b1",
        "giving && !taking |=> count == $past(count) - 1'b1",
        "c_full: cover property (@(posedge clk) full)",
    ])  # fmt: skip
    assert [a.name for a in found] == ["a_count", "a_full", "kerf_extra2", "kerf_extra3", "c_full"]
    results = prove(made, [Property(a.name, a.bad) for a in found])
    assert [r.verdict for r in results] == [Verdict.PROVED] * 4 + [Verdict.REFUTED]
    assert results[4].depth == 4


PROVED = {
    "arguments by place, by name and by default": """sequence s(x, y); x ##[1:N] y; endsequence
      property p(x, n = 1); @(posedge clk) disable iff (rst) x |-> ##n $past(x, n); endproperty
      one: assert property (p(a, 3)); two: assert property (p(.x(b | c))); property w(s, t); s |-> t; endproperty
      three: assert property (@(posedge clk) w(s(a && b, c), c));""",
    "default clocking and default disable": """default clocking cb @(posedge clk); endclocking default disable iff (rst);
      one: assert property (a |=> r); two: assert property (##1 q == $past(d));""",
    "a clocking block as clock": """clocking cb @(posedge clk); endclocking
      one: assert property (@cb disable iff (rst) a |=> r);""",
    "generate loops and branches": """for (genvar i = 0; i < 4; i++) one: assert property (@(posedge clk) disable iff (rst) d[i] |=> q[i]);
      if (N == 2) two: assert property (@(posedge clk) disable iff (rst) a |=> r); else three: assert property (@(posedge clk) 0);""",
    "macros": """`define ALWAYS(n, p) n: assert property (@(posedge clk) disable iff (rst) p);
      `ALWAYS(one, a |=> r)
      `ALWAYS(two,
        d == 3 |=> q == 3)""",
    "let and functions": """let both(x, y) = x && y; function automatic logic odd(input [3:0] x); return ^x; endfunction
      one: assert property (@(posedge clk) disable iff (rst) both(a, b) |=> r);
      two: assert property (@(posedge clk) disable iff (rst) ##1 odd(q) == $past(odd(d)));""",
    "structures and enumerations": """typedef enum logic [1:0] {I, S, T} st; st s;
      always @(posedge clk) if (rst) s <= I; else case (s) I: if (a) s <= S; S: s <= T; default: s <= I; endcase
      typedef struct packed {logic v; logic [2:0] x;} t; t w; always @(posedge clk) w <= {a, d[2:0]};
      one: assert property (@(posedge clk) disable iff (rst) s == S |=> s == T && $past(s) == S && $changed(s));
      two: assert property (@(posedge clk) ##2 $past(w.v) == $past(a, 2) && w.x == $past(d[2:0]));""",
    "the past of a memory, and a gated one": """logic [3:0] mem [0:3]; logic [1:0] p; reg [3:0] h;
      always @(posedge clk) begin if (rst) p <= 0; else begin mem[p] <= d; p <= p + 1; end if (b) h <= d; end
      one: assert property (@(posedge clk) disable iff (rst) 1 |=> $past(d) == mem[$past(p)]);
      two: assert property (@(posedge clk) b ##1 1 |-> $past(d, 1, b) == h);""",
    "the past of constants, functions, and selects": """localparam [3:0] K [0:1] = '{1, 2}; typedef logic [1:0] t;
      function automatic [3:0] f(input [3:0] x); f = x ^ q; endfunction
      one: assert property (@(posedge clk) ##1 $past(K[d[0]]) == ($past(d[0]) ? 2 : 1) && $past(t'(d)) == $past(d[1:0]));
      two: assert property (@(posedge clk) ##1 $past(f(d)) == ($past(d) ^ $past(q)));
      three: assert property (@(posedge clk) ##1 $past(d[d[1:0]]) == |($past(d) & (1 << $past(d[1:0]))));
      four: assert property (@(posedge clk) ##2 $past($past(d) + d) == 4'($past(d, 2) + $past(d)));""",
    "names in other modules": """sub u(.*); one: assert property (@(posedge clk) ##1 $past(u.w[2]) == $past(d[2]));
      two: assert property (@(posedge clk) ##1 $past(u.s.x[1]) == $past(d[3]) && $past(u.s.y) == $past(d[1:0]));
      endmodule module sub(input clk, input [3:0] d); typedef struct packed {logic [1:0] x; logic [1:0] y;} t;
      t s; assign s = d; wire [3:0] w = d;""",
    "edges and counts": """one: assert property (@(posedge clk) ##1 $fell(d[2]) |-> !d[2] && $past(d[2]));
      two: assert property (@(posedge clk) ##1 $stable(d) == !$changed(d) && $rose(a) == (a && !$past(a)));
      three: assert property (@(posedge clk) $onehot(d) |-> $onehot0(d) && $countones(d) == 1 && !$isunknown(d));""",
    "procedures": """always @(posedge clk) if (!rst) begin one: assert property (##1 r == $past(a) || $past(rst));
        if (a) two: assert property (##1 r || $past(rst)); else three: assert property (1 |=> !r); end
      initial four: assert property (@(posedge clk) ##1 q == $past(d) || $past(rst));""",
    "immediate ones": """always @(posedge clk) one: assert (q <= 15) else $error("x"); always_comb two: assert #0 (d <= 15);""",
    "a case": """one: assert property (@(posedge clk) disable iff (rst)
        case (d) 4'd1, 4'd2: nexttime (q == 1 || q == 2); 4'd3: nexttime q == 3; default: nexttime q != 3; endcase);""",
}  # fmt: skip


@pytest.mark.parametrize("what", PROVED)
def test_what_a_source_may_hold(what: str) -> None:
    found = verdicts(f"{HEAD}{PROVED[what]}\nendmodule", top="m")
    assert found and set(found.values()) == {"proved"}


def test_each_instance_has_its_own_assertion_with_its_own_parameters() -> None:
    text = """module m #(parameter N = 2) (input clk, rst, a, output r);
      logic [N-1:0] s; always @(posedge clk) if (rst) s <= 0; else s <= {s, a};
      assign r = s[N-1];
      one: assert property (@(posedge clk) disable iff (rst) ##N $past(a, N) == r);
      two: assert property (@(posedge clk) disable iff (rst) a |-> ##3 r);
    endmodule
    module probe(input clk, a, r); three: cover property (@(posedge clk) a ##1 r); endmodule
    bind m probe p(.*);
    module top(input ck, rst, a, output [1:0] r);
      m #(.N(3)) u(.clk(ck), .r(r[0]), .*); m #(.N(5)) v(.clk(ck), .r(r[1]), .*);
    endmodule"""
    found = verdicts(text, top="top")
    assert found.pop("v.two") == "refuted"
    assert found.pop("u.p.three") == found.pop("v.p.three") == "refuted"  # covered
    assert found == {"u.one": "proved", "u.two": "proved", "v.one": "proved"}


def test_an_infinite_run_refutes_and_fairness_saves() -> None:
    text = COUNTER.replace(
        "endmodule", "live: assert property (@(posedge clk) s_eventually n == 0);\nendmodule"
    )
    made, found = compile(design(text))
    (result,) = prove(made, [Property("live", found[0].bad)])
    assert found[0].live and result.trace is not None and found[0].looping is not None
    rows = replay(made, result.trace, ["n", "go"], [found[0].looping])
    start = next(t for t, row in enumerate(rows) if row[found[0].looping]) - 1
    assert rows[start]["n"] == rows[-1]["n"] != 0  # the loop, in which go stays away
    assert verdicts(text, ["assume property (@(posedge clk) s_eventually go)"]) == {"live": "proved"}
    assert verdicts(text, ["assume property (@(posedge clk) s_eventually !go)"]) == {"live": "refuted"}


def test_data_comes_out_as_it_went_in() -> None:
    """A local variable of the property follows any one datum, whatever its value."""
    whole = "property {0}; logic [W-1:0] v; @(posedge clk) disable iff (rst) (taking{1}, v = din) ##1 (!giving)[*0:$] ##1 giving |-> dout == v; endproperty {0}_: assert property ({0});"
    text = FIFO.replace(
        "endmodule", whole.format("first", " && empty") + whole.format("any", "") + "endmodule"
    )
    assert verdicts(text) == {"first_": "proved", "any_": "refuted"}
    next_ = "property p; logic [3:0] v; @(posedge clk) (a, v = d) |=> q == v {0}; endproperty one: assert property (p);"
    plain = HEAD.replace("if (rst)", "if (0)") + next_ + "endmodule"
    assert verdicts(plain.format("")) == {"one": "proved"}
    assert verdicts(plain.format("+ 1")) == {"one": "refuted"}


def test_an_antecedent_that_is_never_met_is_told() -> None:
    made, found = compile(
        design(FIFO), ["full && empty |-> push", "full ##1 empty |-> push", "full |=> full |-> push"]
    )
    triggered = [Property(a.name, a.triggered) for a in found if a.triggered is not None]
    results = prove(made, triggered)
    assert [str(r.verdict) for r in results] == ["proved", "proved", "refuted"]


def test_what_has_too_many_states_is_followed_one_attempt_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = [
        "taking |=> !empty",
        "a |-> ##[1:3] b",
        "a |-> (b ##[1:3] c) within ##[2:4] b",
        "a |-> ##1 b[->2]",
    ]
    texts = [FIFO, *(["module m(input clk, a, b, c); endmodule"] * 3)]
    before = [shortest(t, e) for t, e in zip(texts, extra)]
    monkeypatch.setattr(automaton, "LIMIT", 1)
    after = [shortest(t, e) for t, e in zip(texts, extra)]
    assert after == before and before[0] is None
    with pytest.raises(KerfError, match="too many states"):
        compile(design(texts[1]), ["assume property (@(posedge clk) a |-> ##[1:3] b)"])


def shortest(text: str, extra: str) -> int | None:
    """The first cycle in which a run of up to eight cycles violates."""
    made, found = compile(design(text), [extra])
    return next((t for t in range(8) if reach(made, found[0].bad, t) is not None), None)


def test_a_violation_is_seen_in_the_first_cycle_in_which_it_is_certain() -> None:
    empty = "module m(input clk, a, b, c); endmodule"
    for text, depth in [
        ("a |-> ##[1:3] b", 3),
        ("not (a ##[1:$] b)", 0),
        ("a |-> b[*3]", 0),
        ("a |-> (b ##1 c) or ##2 c", 2),
    ]:
        assert shortest(empty, text) == depth, text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one: assert property (@(posedge clk) a |-> ##1 @(negedge clk) b);", "design.sv:4: .*second clock"),
        ("one: assert property (@(negedge clk) s_eventually r);", "design.sv:4: .*several clocks"),
        (
            "property p; logic v; @(posedge clk) a |-> (b, v = c) ##1 v; endproperty one: assert property (p);",
            "assignment to v",
        ),
        (
            "property p; logic v; @(posedge clk) (a, v = b)[*2] |-> v; endproperty one: assert property (p);",
            "assignment to v",
        ),
        (
            "property p(x); x and (1 |=> p(x)); endproperty one: assert property (@(posedge clk) p(a));",
            "recursive",
        ),
        ("one: assert property (@(posedge clk iff b) a |=> r);", "iff"),
        ("one: cover property (@(posedge clk) always a);", "design.sv:4: .*no finite run"),
        ("one: assert property (@(posedge clk) a |-> );", "design.sv:4:"),
    ],
)
def test_what_is_not_supported_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(KerfError, match=words):
        compile(design(f"{HEAD}\n{text}\nendmodule"))


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ("a |-> b", "!a || b", "equivalent"),
        ("a |-> ##2 b", "a |=> ##1 b", "equivalent"),
        ("a |-> s_eventually b", "a |-> strong(##[0:$] b)", "equivalent"),
        ("a |-> $past(b && c, 3)", "a |-> $past(b, 3) && $past(c, 3)", "equivalent"),
        ("a |-> ##[0:4] b", "a |-> s_eventually b", "left implies right"),
        ("a |-> ##[0:40] b", "a |-> ##[0:39] b", "right implies left"),
        ("a |-> b", "b |-> a", "different"),
        ("a |-> always b", "s_eventually a |-> b", "left implies right"),
        ("asrt: assert property (@(posedge clk) disable iff (c) a |-> b);", "@(posedge clk) disable iff (c) !b |-> !a", "equivalent"),
    ],
)  # fmt: skip
def test_one_assertion_may_imply_another(left: str, right: str, verdict: str) -> None:
    assert equivalent(design("module m(input clk, a, b, c); endmodule"), left, right).verdict == verdict


def test_what_is_not_quite_sva_is_mended_and_told() -> None:
    text, notes = mended("assert property (@(posedge clk) (a && b) |-> c && b));")
    assert text == "assert property (@(posedge clk) (a && b) |-> c && b);" and len(notes) == 1
    assert mended("a |-> s_always (b)") == ("a |-> always (b)", ("s_always without a range, read as always",))
    assert mended("a |-> s_until(b && c)")[0] == "a |-> s_eventually (b && c)"
    fine = "a |-> (b s_until (c)) and s_always [1:2] (b)"
    assert mended(fine) == (fine, ())


def test_files_that_begin_with_an_include_or_a_macro(tmp_path: Path) -> None:
    (tmp_path / "first.svh").write_text(
        "package pk; localparam K = 3; endpackage\n`define TICK @(posedge clk)\n`define MOD module\n"
    )
    inner = '`include "first.svh"\n`MOD inner(input clk, a, output reg r);\n  always @(posedge clk) r <= a;\n  one: assert property (`TICK a |=> r);\nendmodule\n'
    (tmp_path / "inner.sv").write_text(inner)
    (tmp_path / "outer.sv").write_text("module outer(input clk, a, output r); inner u(.*); endmodule\n")
    made, found = compile(load([tmp_path / "outer.sv", tmp_path / "inner.sv"], top="outer"), ["u.r == r"])
    assert [a.source.rpartition("/")[2] for a in found] == ["inner.sv:4", "outer.sv:1"]
    results = prove(made, [Property(a.name, a.bad) for a in found])
    assert [str(r.verdict) for r in results] == ["proved", "proved"]
