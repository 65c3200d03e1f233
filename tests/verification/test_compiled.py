"""C lanes against numpy lanes, which are plain enough to be the reference."""

from __future__ import annotations

import numpy as np
import pytest
from designs import FIFO, design
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.verification import compiled
from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.graph import Graph
from kerf.verification.lanes import Lanes
from kerf.verification.model import model


def random_graph(rng: np.random.Generator, inputs: int, latches: int, ands: int) -> Graph:
    """Any gates: also muxes and exclusive-ors, constants as next values, and nodes that nothing uses."""
    graph = Graph()
    pool = [0, *(graph.add_input() for _ in range(inputs))]
    states = [graph.add_latch(int(rng.integers(0, 2))) for _ in range(latches)]
    pool += states
    pick = lambda: int(pool[int(rng.integers(0, len(pool)))]) ^ int(rng.integers(0, 2))  # noqa: E731
    for _ in range(ands):
        kind = int(rng.integers(0, 4))
        made = (
            graph.choose(pick(), pick(), pick()) if kind == 0
            else graph.exclusive_or(pick(), pick()) if kind == 1
            else graph.conjunction(pick(), pick())
        )  # fmt: skip
        pool.append(made)
    for latch in states:
        graph.set_next(latch, pick())
    return graph


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 5), st.integers(0, 6), st.integers(0, 200), st.integers(1, 19))
def test_c_and_numpy_agree_on_random_graphs(
    seed: int, inputs: int, latches: int, ands: int, words: int
) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, inputs, latches, ands)
    everything = [2 * n + i for n in range(len(graph)) for i in (0, 1)]
    some = [int(x) for x in rng.choice(everything, 5)]
    stimulus = rng.integers(0, 2**64, (6, inputs, words), dtype=np.uint64)
    expected = rng.integers(0, 3, (6, len(some)), dtype=np.uint8)
    plain, full, few = Lanes(graph, words), CompiledLanes(graph, words, None, everything), CompiledLanes(graph, words, None, some)  # fmt: skip
    assert (plain.run(graph.inputs, stimulus, everything, keep=True) == full.run(graph.inputs, stimulus, everything, keep=True)).all()  # fmt: skip
    assert (plain.run(graph.inputs, stimulus, some)[:, :] == _after(few, graph, stimulus, some)).all()
    for lanes in (plain, few):
        lanes.restart()
    assert (plain.run(graph.inputs, stimulus, some, expected=expected) == few.run(graph.inputs, stimulus, some, expected=expected)).all()  # fmt: skip


def _after(lanes: CompiledLanes, graph: Graph, stimulus: np.ndarray, some: list[int]) -> np.ndarray:
    """Six cycles first, as the plain ones had, then the same run again; a cycle at a time."""
    lanes.run(graph.inputs, stimulus, some)
    seen = np.zeros((len(some), lanes.words), np.uint64)
    for cycle in stimulus:
        for node, row in zip(graph.inputs, cycle, strict=True):
            lanes.set_node(node, row)
        lanes.evaluate()
        seen |= lanes.planes(some)
        lanes.clock()
    return seen


def test_a_stimulus_for_all_lanes_and_words_by_name() -> None:
    made = model(design(FIFO))
    graph = made.graph
    push = graph.signals["push"].bits[0] >> 1
    full = graph.signals["full"].bits[0]
    for lanes in (Lanes(graph, 2, made.initial), simulator(graph, 2, made.initial)):
        seen = lanes.run([push], np.full((6, 1), 2**64 - 1, np.uint64), [full], keep=True)
        assert [int(row[0, 1] & np.uint64(1)) for row in seen] == [0, 0, 0, 0, 1, 1]
        lanes.set_word("din", 5)
        lanes.evaluate()
        assert lanes.word("din", 70) == 5 and lanes.word("count", 100) == 4


def test_what_was_not_asked_for_cannot_be_read() -> None:
    graph = Graph()
    a, b, c = graph.add_input(), graph.add_input(), graph.add_input()
    inner = graph.conjunction(a, b)
    outer = graph.conjunction(inner, c)
    lanes = CompiledLanes(graph, 1, None, [outer])
    assert lanes.operations == 1  # three inputs, one function
    with pytest.raises(KerfError, match="wanted"):
        lanes.literal(inner)


def test_without_a_compiler_there_is_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> object:
        raise compiled.NoCompiler("none")

    monkeypatch.setattr(compiled, "library", none)
    assert isinstance(simulator(Graph()), Lanes)
