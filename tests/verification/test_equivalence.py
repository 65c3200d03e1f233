"""Two designs: equal, different, undecided. A wrong verdict is the worst bug there is, so most of this is an oracle of its own."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import pytest
from designs import COUNTER, FIFO, design
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.verification.equivalence import Same, decide, equivalent
from kerf.verification.equivalence.correspondence import Invariant
from kerf.verification.equivalence.unknowns import used_alike
from kerf.verification.graph import Graph, Node
from kerf.verification.model import Model, model
from kerf.verification.prove import Unsound


def verdict(gold: str, gate: str, **how: object) -> Same:
    return equivalent(design(gold), design(gate), **how).verdict  # type: ignore[arg-type]


FLOP = "module m(input clk, rst, d, output reg q); always @(posedge clk) {} endmodule"

SAME = [
    # another structure, the same function
    ("module m(input [7:0] a, b, output [7:0] y); assign y = a + b; endmodule",
     "module m(input [7:0] a, b, output [7:0] y); assign y = a - ~b - 1; endmodule"),
    # another encoding of states, and other names
    ("""module m(input clk, rst, go, output done); reg [1:0] s;
        always @(posedge clk) if (rst) s <= 0; else if (s == 2) s <= 0; else if (go) s <= s + 1;
        assign done = s == 2; endmodule""",
     """module m(input clk, rst, go, output done); reg [2:0] hot;
        always @(posedge clk) if (rst) hot <= 1; else if (hot[2]) hot <= 1; else if (go) hot <= hot << 1;
        assign done = hot[2]; endmodule"""),
    # an x promises nothing
    ("module m(input [1:0] s, input a, output reg y); always @* case (s) 0: y = a; 1: y = ~a; default: y = 'x; endcase endmodule",
     "module m(input [1:0] s, input a, output y); assign y = a ^ s[0]; endmodule"),
    # nothing is promised of a register before it is given a value
    (FLOP.format("if (rst) q <= 0; else q <= q ^ d;"), FLOP.format("q <= rst ? 1'b0 : d != q;")),
    # a register that never gets one: it starts like the other's
    (FLOP.format("q <= q ^ d;"), FLOP.format("q <= d ? ~q : q;")),
    (FLOP.format("q <= q ^ d;"), FLOP.replace("reg q", "reg q = 1").format("q <= d ? ~q : q;")),
    # a reset that acts at once
    ("module m(input clk, rst, d, output reg q); always @(posedge clk or posedge rst) if (rst) q <= 1; else q <= d; endmodule",
     "module m(input clk, rst, d, output q); reg n; always @(posedge clk or posedge rst) if (rst) n <= 0; else n <= !d; assign q = !n; endmodule"),
    # both edges of a clock
    ("module m(input clk, d, output q); reg p, n; always @(posedge clk) p <= d; always @(negedge clk) n <= d; assign q = clk ? p : n; endmodule",
     "module m(input clk, d, output q); reg p, n; always @(posedge clk) p <= ~d; always @(negedge clk) n <= ~d; assign q = ~(clk ? p : n); endmodule"),
    # a state that an always_comb forgets
    ("""module m(input clk, rst, d, output q); reg [1:0] s, n;
        always_comb case (s) 0: n = d ? 1 : 0; 1: n = 0; endcase
        always @(posedge clk) if (rst) s <= 0; else s <= n;
        assign q = s[0]; endmodule""",
     "module m(input clk, rst, d, output reg q); always @(posedge clk) q <= !rst && d && !q; endmodule"),
    # a memory
    (FIFO, FIFO.replace("count == 0", "!count").replace("push && !full", "push & ~full").replace("head <= head + 1'b1", "head <= head - 2'd3")),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "gate"), SAME)
def test_what_is_equal_is_proved_equal(gold: str, gate: str) -> None:
    found = equivalent(design(gold), design(gate), timeout_s=20)
    assert found.verdict is Same.EQUAL, found


DIFFERENT = [
    (FLOP.format("if (rst) q <= 0; else q <= q ^ d;"), FLOP.format("if (rst) q <= 0; else q <= q | d;")),
    (FLOP.format("if (rst) q <= 0; else q <= q ^ d;"), FLOP.format("q <= q ^ d;")),
    # reset at once, or with the clock; one edge, or the other; a level, or an edge
    ("module m(input clk, rst, d, output reg q); always @(posedge clk or posedge rst) if (rst) q <= 0; else q <= d; endmodule",
     "module m(input clk, rst, d, output reg q); always @(posedge clk) if (rst) q <= 0; else q <= d; endmodule"),
    ("module m(input clk, d, output reg q); always @(posedge clk) q <= d; endmodule",
     "module m(input clk, d, output reg q); always @(negedge clk) q <= d; endmodule"),
    ("module m(input clk, d, output reg q); always @(posedge clk) q <= d; endmodule",
     "module m(input clk, d, output reg q); always @* if (clk) q = d; endmodule"),
    # the clock is data, too
    ("module m(input clk, rst, d, output y); reg q; always @(posedge clk) q <= d; assign y = q & clk; endmodule",
     "module m(input clk, rst, d, output y); assign y = 0; endmodule"),
    # only gold may be vague
    ("module m(input s, a, output y); assign y = s ? a : 1'b0; endmodule", "module m(input s, a, output y); assign y = s ? a : 1'bx; endmodule"),
    # no start of gold, which is never known, does this
    (FLOP.format("q <= ~q;"), FLOP.format("q <= q;")),
    # deep: only after nine steps
    (COUNTER, COUNTER.replace("n == 4'd9 ? 4'd0", "n == 4'd10 ? 4'd0")),
    (FIFO, FIFO.replace("count == D", "count == D - 1")),
    (FIFO, FIFO.replace("store[tail] <= din", "store[tail] <= din & 4'b0111")),
    (FIFO, FIFO.replace("head <= 0", "head <= 1")),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "gate"), DIFFERENT)
def test_what_differs_is_shown_to_differ(gold: str, gate: str) -> None:
    found = equivalent(design(gold), design(gate), timeout_s=20)
    assert found.verdict is Same.DIFFERENT, found
    last = found.table[-1]
    assert found.outputs and all("/" in str(last[name]) for name in found.outputs)
    assert found.as_json()["trace"] == [dict(row) for row in found.table]


def test_a_trace_is_short_and_readable() -> None:
    found = equivalent(design(COUNTER), design(COUNTER.replace("n == 4'd9 ? 4'd0", "n == 4'd8 ? 4'd0")))
    assert len(found.table) == 11  # reset, eight steps, and the wrong one is seen
    assert (found.table[-1]["n"], found.table[-2]["n"]) == ("1001/0000", 8)


def test_what_cannot_be_compared_is_named() -> None:
    gold = design("module m(input [3:0] a, output y, z); assign y = ^a; assign z = a[0]; endmodule")
    gate = design("module n(input [2:0] a, output y); assign y = ^a; endmodule")
    with pytest.raises(
        KerfError, match=r"a is an input of 4 bits in m, an input of 3 bits in n.*z is missing|z is missing.*"
    ):
        equivalent(gold, gate)


def test_an_input_of_one_alone_is_any_value() -> None:
    one = "module m(input a, output y); assign y = a; endmodule"
    unused = "module m(input a, scan, output y); assign y = a; endmodule"
    used = "module m(input a, scan, output y); assign y = a ^ scan; endmodule"
    found = equivalent(design(one), design(unused))
    assert found.verdict is Same.EQUAL and "scan" in found.notes[0]
    assert verdict(one, used) is Same.DIFFERENT


def test_from_reset_on_initial_values_do_not_matter() -> None:
    started = FLOP.replace("reg q", "reg q = 1").format("if (rst) q <= 0; else q <= q ^ d;")
    plain = FLOP.format("if (rst) q <= 0; else q <= q ^ d;")
    assert verdict(started, plain) is Same.DIFFERENT
    assert verdict(started, plain, reset="rst") is Same.EQUAL


def test_only_the_first_cycles() -> None:
    late = COUNTER.replace("n == 4'd9 ? 4'd0", "n == 4'd10 ? 4'd0")
    found = equivalent(design(COUNTER), design(late), bounded=8)
    assert (found.verdict, found.bound) == (Same.EQUAL, 8)
    assert verdict(COUNTER, late, bounded=16) is Same.DIFFERENT


def test_undecided_in_time() -> None:
    gold = "module m(input [15:0] a, b, output [31:0] y); assign y = a * b; endmodule"
    gate = "module m(input [15:0] a, b, output [31:0] y); assign y = (a * b[7:0]) + ((a * b[15:8]) << 8); endmodule"
    begun = time.monotonic()
    found = equivalent(design(gold), design(gate), timeout_s=2)
    assert found.verdict is Same.UNDECIDED and time.monotonic() - begun < 4
    assert any("tried" in n for n in found.notes)


def test_a_false_induction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    gold = FLOP.format("if (rst) q <= 0; else q <= q ^ d;")
    gate = FLOP.format("if (rst) q <= 0; else q <= (q ^ d) & (q | d | ~rst);")

    def lie(made: decide.Product, deadline: float) -> Invariant:
        latches = [2 * n for n in made.model.graph.latches]
        return Invariant(((0, *latches),))

    monkeypatch.setattr(decide, "correspond", lie)
    with pytest.raises(Unsound):
        equivalent(design(gold), design(gate))


# random machines: three bits of state, two inputs, judged by walking through all states of both

OPERATORS = {"&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b}
Expression = tuple  # ("&", left, right), ("~", inner), ("s", index), ("i", index)


@dataclass(frozen=True)
class Machine:
    """`following[k]`: the next value of state bit k; `start[k]`: its initial value, None: unknown."""

    following: tuple[Expression, ...]
    output: Expression
    start: tuple[int | None, ...] = (None, None, None)


def _leaf() -> st.SearchStrategy[Expression]:
    return st.one_of(st.tuples(st.just("s"), st.integers(0, 2)), st.tuples(st.just("i"), st.integers(0, 1)))


EXPRESSIONS = st.recursive(
    _leaf(), lambda e: st.one_of(st.tuples(st.sampled_from(list(OPERATORS)), e, e), st.tuples(st.just("~"), e)), max_leaves=7
)  # fmt: skip
STARTS = st.tuples(*[st.sampled_from([0, 1])] * 3)
MACHINES = st.builds(Machine, st.tuples(*[EXPRESSIONS] * 3), EXPRESSIONS, STARTS)


def value(e: Expression, state: tuple[int, ...], inputs: tuple[int, ...]) -> int:
    if e[0] in "si":
        return (state if e[0] == "s" else inputs)[e[1]]
    if e[0] == "~":
        return 1 - value(e[1], state, inputs)
    return OPERATORS[e[0]](value(e[1], state, inputs), value(e[2], state, inputs))


def written(e: Expression, other: bool) -> str:
    """As Verilog; `other`: by De Morgan's laws."""
    if e[0] in "si":
        return f"{'s' if e[0] == 's' else 'i'}[{e[1]}]"
    if e[0] == "~":
        return f"(~{written(e[1], other)})"
    a, b = written(e[1], other), written(e[2], other)
    if not other:
        return f"({a} {e[0]} {b})"
    return {"&": f"(~(~{a} | ~{b}))", "|": f"(~(~{a} & ~{b}))", "^": f"(({a} & ~{b}) | (~{a} & {b}))"}[e[0]]


def verilog(m: Machine, other: bool = False) -> str:
    body = " ".join(f"s[{k}] <= {written(e, other)};" for k, e in enumerate(m.following))
    start = " ".join(f"s[{k}] = {v};" for k, v in enumerate(m.start) if v is not None)
    start = f"initial begin {start} end" if start else ""
    return f"""module m(input clk, input [1:0] i, output y); reg [2:0] s; {start}
      always @(posedge clk) begin {body} end assign y = {written(m.output, other)}; endmodule"""


def same(a: Machine, b: Machine) -> bool:
    """By walking through every pair of states that is reached."""
    todo = [(a.start, b.start)]
    seen = set(todo)
    while todo:
        p, q = todo.pop()
        for inputs in itertools.product((0, 1), repeat=2):
            if value(a.output, p, inputs) != value(b.output, q, inputs):
                return False
            pair = (
                tuple(value(e, p, inputs) for e in a.following),
                tuple(value(e, q, inputs) for e in b.following),
            )
            if pair not in seen:
                seen.add(pair)
                todo.append(pair)
    return True


def changed(e: Expression, path: int) -> Expression:
    """One place of an expression made another."""
    if e[0] in "si":
        return (e[0], (e[1] + 1) % (3 if e[0] == "s" else 2))
    if e[0] == "~":
        return e[1] if path % 2 else ("~", changed(e[1], path // 2))
    if path % 3 == 0:
        return ({"&": "|", "|": "^", "^": "&"}[e[0]], e[1], e[2])
    return (e[0], changed(e[1], path // 3), e[2]) if path % 3 == 1 else (e[0], e[1], changed(e[2], path // 3))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(MACHINES, st.integers(0, 3), st.integers(0, 1000))
def test_random_machines_and_their_mutants_against_all_states(
    machine: Machine, where: int, path: int
) -> None:
    parts = [*machine.following, machine.output]
    parts[where] = changed(parts[where], path)
    mutant = Machine(tuple(parts[:3]), parts[3], machine.start)
    assert verdict(verilog(machine), verilog(machine, other=True)) is Same.EQUAL
    expected = Same.EQUAL if same(machine, mutant) else Same.DIFFERENT
    assert verdict(verilog(machine), verilog(mutant, other=True)) is expected


def explained(gold: Machine, gate: Machine) -> bool:
    """Whether, whatever gate's start, some start of gold does the same: by walking through gate's states and those of gold that are left."""
    every = list(itertools.product((0, 1), repeat=3))
    todo = [(frozenset(every), q) for q in every]
    seen = set(todo)
    while todo:
        left, q = todo.pop()
        for inputs in itertools.product((0, 1), repeat=2):
            out = value(gate.output, q, inputs)
            fit = [p for p in left if value(gold.output, p, inputs) == out]
            if not fit:
                return False
            following = frozenset(tuple(value(e, p, inputs) for e in gold.following) for p in fit)
            pair = (following, tuple(value(e, q, inputs) for e in gate.following))
            if pair not in seen:
                seen.add(pair)
                todo.append(pair)
    return True


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.builds(Machine, st.tuples(*[EXPRESSIONS] * 3), EXPRESSIONS), st.integers(0, 3), st.integers(0, 1000)
)
def test_random_machines_that_start_unknown(machine: Machine, where: int, path: int) -> None:
    parts = [*machine.following, machine.output]
    parts[where] = changed(parts[where], path)
    mutant = Machine(tuple(parts[:3]), parts[3])
    assert verdict(verilog(machine), verilog(machine, other=True)) is Same.EQUAL
    if verdict(verilog(machine), verilog(mutant, other=True)) is Same.DIFFERENT:
        assert not explained(machine, mutant)


def test_unknown_values_are_paired_by_their_use_not_by_their_order() -> None:
    """What one synthesis writes first another may write last."""
    one = "if (s) p <= a; else p <= 4'bx;"
    two = "if (t) q <= p; else q <= 4'bx;"
    head = "module m(input clk, s, t, input [3:0] a, output reg [3:0] p, q); always @(posedge clk) begin"
    gold, gate = (model(design(f"{head} {body} end endmodule"), reset="") for body in (one + two, two + one))
    mine, theirs = (_unnamed(side) for side in (gold, gate))
    for order in (theirs, theirs[::-1], theirs[3:] + theirs[:3]):
        found = used_alike(gold.graph, gate.graph, mine, order)
        readers = [{_readers(gold, m), _readers(gate, t)} for m, t in found.items()]
        assert len(found) == len(mine) == 8 and all(len(names) == 1 for names in readers)


def _unnamed(side: Model) -> list[int]:
    named = {b >> 1 for s in side.graph.signals.values() if s.kind == "input" for b in s.bits}
    return [n for n in side.graph.inputs if n not in named]


def _readers(side: Model, node: int) -> str:
    """The register bit that takes a node's value."""
    graph = side.graph
    bits = [(n, i, b) for n in "pq" for i, b in enumerate(graph.signals[n].bits)]
    (found,) = [f"{n}{i}" for n, i, b in bits if node in _step(graph, graph.left[b >> 1])]
    return found


def _step(graph: Graph, literal: int) -> set[int]:
    seen, todo = set[int](), [literal >> 1]
    while todo:
        node = todo.pop()
        seen.add(node)
        if graph.kind[node] == Node.AND:
            todo += [graph.left[node] >> 1, graph.right[node] >> 1]
    return seen


def test_registers_of_other_names_are_found_by_what_they_do() -> None:
    """Many that no reset reaches, declared in another order: paired in their order they would start apart."""
    names = [f"r{i}" for i in range(6)]
    body = "".join(f"if (at == {i}) {n} <= {n} ^ (d << {i}) + {i}; " for i, n in enumerate(names))
    read = "".join(f"at == {i} ? {n} : " for i, n in enumerate(names)) + "8'd0"
    head = "module m(input clk, input [2:0] at, input [7:0] d, output [7:0] q);"
    gold = f"{head} reg [7:0] {', '.join(names)}; always @(posedge clk) begin {body} end assign q = {read}; endmodule"
    gate = gold.replace(f"reg [7:0] {', '.join(names)};", f"reg [7:0] {', '.join(reversed(names))};")
    for i, n in enumerate(names):
        gate = gate.replace(n, f"word_{'fbdaec'[i]}")
    told = equivalent(design(gold), design(gate), timeout_s=20)
    assert told.verdict is Same.EQUAL and told.engine == "register correspondence"
