"""Random properties and words, and the compiler's answer on them beside the reference's."""

from __future__ import annotations

from hypothesis import strategies as st
from sva_reference import Term, Word, broken, fails, render

from kerf.verification.design import Design, Source, read
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling
from kerf.verification.sva import Assertion, compile
from kerf.verification.trace import Trace, replay

NAMES = "abc"
# `pos` is where the word is, so that a loop of the monitor is one of the word
PLAYER = """module m(input clk, a, b, c, input [3:0] next);
  reg [3:0] pos;
  initial pos = 0;
  always @(posedge clk) pos <= next;
  along: assume property (@(posedge clk) pos != 15);
endmodule"""


def player() -> Design:
    return read([Source("m.sv", PLAYER)])


def compiled(term: Term) -> tuple[Model, Assertion]:
    made, found = compile(player(), [f"@(posedge clk) {render(term)}"])
    return made, found[-1]


def disagreement(term: Term, words: list[Word]) -> str:
    """What the monitor says of a word that the reference does not; "" when they agree on all."""
    model, assertion = compiled(term)
    for word in words:
        said = _on(model, assertion, term, word)
        if said:
            return (
                f"{said}: {render(term)} on {[''.join(sorted(x)) for x in word.letters]} from {word.loop} on"
            )
    return ""


def _on(model: Model, assertion: Assertion, term: Term, word: Word) -> str:
    steps = len(word.letters) + 20
    rows = [{n: int(n in (word.at(t) or ())) for n in NAMES} for t in range(steps)]
    seen = [row[assertion.finite] for row in replay(model, Trace(tuple(rows)), [], [assertion.finite])]
    first = seen.index(1) if 1 in seen else None
    wrong, known = broken(term, word), fails(term, word)
    if first is not None:
        return "" if wrong and (known is None or first <= known) else "violated, though it holds or too late"
    if known is not None:
        return "not violated, though no run goes on from here"
    shown = assertion.live and _loops(model, assertion, word)
    return "" if wrong == shown else "the infinite run is judged wrongly"


def _loops(model: Model, assertion: Assertion, word: Word) -> bool:
    """Whether the word, played to the monitor, closes a loop that violates."""
    unrolling = Unrolling(model.graph, model.initial, model.held)
    signals, steps = model.graph.signals, len(word.letters) + 8 * (len(word.letters) - word.loop) + 8
    try:
        for t in range(steps):
            for index, bit in enumerate(signals["next"].bits):
                unrolling.require(bit ^ 1 ^ (word.normal(t + 1) >> index & 1), t)
            for name in NAMES:
                unrolling.require(signals[name].bits[0] ^ (name not in (word.at(t) or ())), t)
        return any(unrolling.solve([unrolling.at(assertion.bad, t)]) for t in range(steps))
    finally:
        unrolling.close()


def words() -> st.SearchStrategy[Word]:
    letter = st.frozensets(st.sampled_from(NAMES))
    return st.lists(letter, min_size=1, max_size=4).flatmap(
        lambda row: st.builds(Word, st.just(tuple(row)), st.integers(max(0, len(row) - 3), len(row) - 1))
    )


def booleans() -> st.SearchStrategy[Term]:
    signal = st.tuples(st.just("sig"), st.sampled_from(NAMES))
    joined = st.tuples(st.sampled_from(["&&", "||"]), signal, signal)
    return (
        signal
        | signal
        | st.tuples(st.just("!"), signal)
        | joined
        | st.tuples(st.just("const"), st.integers(0, 1))
    )


def _span(low: int) -> st.SearchStrategy[tuple[int, int | None]]:
    def ends(least: int) -> st.SearchStrategy[tuple[int, int | None]]:
        return st.tuples(st.just(least), st.none() | st.integers(max(least, 1), least + 2))

    return st.integers(low, 2).flatmap(ends)


def sequences(depth: int = 2) -> st.SearchStrategy[Term]:
    plain = st.tuples(st.just("bool"), booleans())
    if depth == 0:
        return plain
    below = sequences(depth - 1)
    return st.one_of(
        plain,
        st.builds(lambda s, d, r: ("delay", s, *d, r), below, _span(0), below),
        st.builds(lambda d, r: ("lead", *d, r), _span(0), below),
        st.builds(lambda s, d: ("*", s, *d), below, _span(1)),
        st.builds(lambda op, b, d: (op, b, *d), st.sampled_from(["->", "="]), booleans(), _span(1)),
        st.tuples(st.sampled_from(["or", "and", "intersect", "within"]), below, below),
        st.tuples(st.just("throughout"), booleans(), below),
        st.tuples(st.just("first_match"), below),
    )


def properties(depth: int = 2) -> st.SearchStrategy[Term]:
    plain = st.tuples(st.sampled_from(["weak", "strong"]), sequences())
    if depth == 0:
        return plain
    below = properties(depth - 1)
    two = ["and_p", "or_p", "implies", "iff", "until", "s_until", "until_with", "s_until_with"]
    return st.one_of(
        plain,
        st.tuples(st.just("not"), below),
        st.tuples(st.sampled_from(two), below, below),
        st.tuples(st.sampled_from(["|->", "|=>", "#-#", "#=#"]), sequences(), below),
        st.tuples(st.just("nexttime"), st.integers(0, 3), below),
        st.builds(lambda op, d, p: (op, *d, p), st.sampled_from(["always", "s_eventually"]), _span(0), below),
        st.tuples(st.just("if"), booleans(), below, below),
        st.tuples(st.sampled_from(["accept_on", "reject_on"]), booleans(), below),
    )
