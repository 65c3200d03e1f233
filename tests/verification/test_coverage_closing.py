"""Closed coverage against exhaustive search: what is covered is covered, what is unreachable is so, and nothing small stays undecided."""

from __future__ import annotations

from itertools import product

import pytest
from designs import COUNTER, FIFO, design
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.verification.coverage import Bin, close, cross, value_bins, within, word
from kerf.verification.design import Design
from kerf.verification.graph import FREE, Graph, Node, Signal
from kerf.verification.model import Model, model
from kerf.verification.trace import replay


@st.composite
def systems(draw: st.DrawFn) -> tuple[Model, list[Bin], list[int]]:
    """A random graph with up to 3 input bits and 4 latches, bins on random literals, and perhaps an assumption."""
    g = Graph()
    inputs = [g.add_input() for _ in range(draw(st.integers(0, 3)))]
    latches = [g.add_latch(draw(st.sampled_from([0, 1, FREE]))) for _ in range(draw(st.integers(0, 4)))]
    literals = [0, *inputs, *latches]
    for _ in range(draw(st.integers(1, 12))):
        a, b = (draw(st.sampled_from(literals)) ^ draw(st.integers(0, 1)) for _ in range(2))
        literals.append(g.conjunction(a, b))
    any_of = st.builds(lambda x, s: x ^ s, st.sampled_from(literals), st.integers(0, 1))
    for latch in latches:
        g.set_next(latch, draw(any_of))
    if inputs:
        g.signals["in"] = Signal("in", tuple(inputs), "input")
    bins = [Bin(f"b{i}", x) for i, x in enumerate(draw(st.lists(any_of, min_size=1, max_size=6)))]
    assumed = draw(st.lists(any_of, max_size=1))
    initial = {n: g.right[n] for n in g.latches}
    return Model(Design((), "m", ()), g, (), "", None, initial), bins, assumed


def exhaustive(made: Model, bins: list[Bin], assumed: list[int]) -> set[str]:
    """Bins that some run hits in a cycle up to which the assumptions held."""
    g, hit = made.graph, set()

    def evaluate(state: tuple[int, ...], inputs: tuple[int, ...]) -> list[int]:
        given = dict(zip(g.latches, state)) | dict(zip(g.inputs, inputs))
        values: list[int] = []
        for n in range(len(g)):
            if g.kind[n] == Node.AND:
                a, b = g.left[n], g.right[n]
                values.append((values[a >> 1] ^ a & 1) & (values[b >> 1] ^ b & 1))
            else:
                values.append(given.get(n, 0))
        return values

    start = [(0, 1) if made.initial[n] == FREE else (made.initial[n],) for n in g.latches]
    seen, todo = set(), list(product(*start))
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        for inputs in product((0, 1), repeat=len(g.inputs)):
            values = evaluate(state, inputs)
            read = lambda x: values[x >> 1] ^ (x & 1)  # noqa: B023, E731
            if all(read(a) for a in assumed):
                hit |= {b.name for b in bins if read(b.target)}
                todo.append(tuple(read(g.left[n]) for n in g.latches))
    return hit


@settings(max_examples=60, deadline=None)
@given(systems(), st.integers(0, 3))
def test_what_is_covered_and_unreachable_is_what_exhaustive_search_says(
    case: tuple[Model, list[Bin], list[int]], seed: int
) -> None:
    made, bins, assumed = case
    wanted = exhaustive(made, bins, assumed)
    found = close(made, bins, seconds=20, seed=seed, assumed=assumed)
    assert set(found.covered) == wanted
    assert set(found.unreachable) == {b.name for b in bins} - wanted
    for name, hit in found.covered.items():
        target = next(b.target for b in bins if b.name == name)
        rows = replay(made, found.stimuli[hit.stimulus], [], [target, *assumed])
        assert rows[hit.cycle][target] and all(r[a] for r in rows[: hit.cycle + 1] for a in assumed)


def test_a_fifo_fills_to_its_depth_and_no_further() -> None:
    made = model(design(FIFO))
    g = made.graph
    bins = value_bins(g, "count", word(g, "count"), range(8))
    bins += cross(g, "full x push", value_bins(g, "full", word(g, "full"), [0, 1]), value_bins(g, "push", word(g, "push"), [0, 1]))  # fmt: skip
    found = close(made, bins, seconds=20)
    assert set(found.unreachable) == {f"count[{n}]" for n in (5, 6, 7)}
    assert len(found.covered) == 9 and not found.undecided and not found.lucky
    assert len(found.stimuli) == 1  # one run shows it all


def test_a_value_that_only_an_unknown_start_gives_is_called_lucky() -> None:
    text = "module m(input clk, input d, output reg q, output reg r); always @(posedge clk) begin q <= d; r <= r; end endmodule"
    made = model(design(text))
    s = made.graph.signals
    found = close(made, [Bin("q", s["q"].bits[0]), Bin("r", s["r"].bits[0])], seconds=10)
    assert set(found.covered) == {"q", "r"} and found.lucky == {"r"}


def test_deep_states_are_found_by_search_and_time_is_kept() -> None:
    made = model(design(COUNTER))
    g = made.graph
    found = close(made, value_bins(g, "n", word(g, "n"), {"high": range(8, 10), "over": range(10, 16)}), seconds=10)  # fmt: skip
    assert set(found.covered) == {"n[high]"} and set(found.unreachable) == {"n[over]"}
    assert found.seconds < 11


@pytest.mark.parametrize("values", [3, range(2, 6), [0, 7], range(8), range(5, 5)])
def test_ranges_are_what_they_say(values: int | range | list[int]) -> None:
    g = Graph()
    bits = [g.add_input() for _ in range(3)]
    made = Model(Design((), "m", ()), g, (), "", None, {})
    g.signals["x"] = Signal("x", tuple(bits), "input")
    inside = within(g, bits, values)
    hits = close(made, [Bin(f"{v}", g.conjunction(inside, g.equal(bits, v))) for v in range(8)], seconds=5)
    assert {int(k) for k in hits.covered} == set([values] if isinstance(values, int) else values)


def test_a_signal_that_does_not_exist_is_named() -> None:
    with pytest.raises(KerfError, match="did you mean count"):
        word(model(design(FIFO)).graph, "coumt")
