"""A design with all its mutants in one graph: one lane of a simulator each, lane 0 the design itself."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerf.core.types import KerfError
from kerf.verification.compiled import CompiledLanes, simulator
from kerf.verification.deadline import left
from kerf.verification.graph import FREE, Graph, Node
from kerf.verification.lanes import ALL, Lanes, lanes_of, random_planes
from kerf.verification.model import Model
from kerf.verification.mutation.mutant import Mutant, instrument
from kerf.verification.mutation.sites import find
from kerf.verification.prove import Unsound
from kerf.verification.synthesis import Synthesized, synthesize
from kerf.verification.tables import Table
from kerf.verification.trace import Trace

ANY = 2  # an expected value that may be either
FIRST, FEWER = 0.6, 8  # the share of the time for all mutants at once; then every eighth is tried
LATCHES = "latches:"  # begins the note that synthesis makes of them


@dataclass(frozen=True)
class Mutated:
    """`select[k]`: the inputs of `graph` that switch mutant k on, one an instance of its module. `left_out`: mutants that no synthesis takes
    together with the rest: they would close a loop of gates, or need a latch. `size`: nodes of `graph` before monitors, which begin after reset."""

    model: Model
    graph: Graph
    mutants: tuple[Mutant, ...]
    select: tuple[tuple[int, ...], ...]
    left_out: tuple[Mutant, ...] = ()
    size: int = 0

    @cached_property
    def nodes(self) -> dict[int, int]:
        """Inputs and latches of the model's graph -> literals of this one, by the names that both have."""
        pairs: dict[int, int] = {}
        for name, signal in self.model.graph.signals.items():
            other = self.graph.signals.get(name)
            for bits in zip(signal.bits, other.bits if other else ()):
                a, b = _source(self.model.graph, bits[0]), _source(self.graph, bits[1])
                if (
                    a is not None
                    and b is not None
                    and self.model.graph.kind[a >> 1] == self.graph.kind[b >> 1]
                ):
                    pairs[a >> 1] = b ^ (a & 1)
        return pairs

    @property
    def outputs(self) -> list[int]:
        """Literals, in the order of the model's outputs."""
        return [b for n in self.model.outputs for b in self.graph.signals[n].bits]

    @property
    def words(self) -> int:
        return (len(self.mutants) + 64) // 64

    def lanes(self, wanted: Sequence[int]) -> Lanes | CompiledLanes:
        """A simulator with every mutant switched on in its lane, k + 1."""
        made = simulator(self.graph, self.words, None, wanted)
        rows: dict[int, np.ndarray] = {}
        for k, nodes in enumerate(self.select):
            for node in nodes:
                row = rows.setdefault(node, np.zeros(self.words, np.uint64))
                row[(k + 1) // 64] |= np.uint64(1 << (k + 1) % 64)
        for node, row in rows.items():
            made.set_node(node, row)
        return made

    def killed(self, test: Trace | Table, lanes: Lanes | CompiledLanes | None = None) -> np.ndarray:
        """(mutants,) bool: whose outputs differ, in a cycle of `test`, from the design's, or from what a table expects. KerfError for a table
        that the design itself fails. `lanes`: what `self.lanes(self.outputs)` made, to be used again."""
        stimulus, expected = self._stimulus(test), self._expected(test)
        made = lanes or self.lanes(self.outputs)
        self._begin(made, test)
        seen = made.run(*stimulus, self.outputs, expected=expected)
        return self._lanes_of(np.bitwise_or.reduce(seen, axis=0) if len(seen) else np.zeros(self.words, np.uint64))  # fmt: skip

    def first_shown(self, test: Trace | Table, index: int, lanes: Lanes | CompiledLanes) -> int:
        """The first cycle of `test`, which kills mutant `index`, in which its outputs differ."""
        stimulus, expected = self._stimulus(test), self._expected(test)
        self._begin(lanes, test)
        seen = lanes.run(*stimulus, self.outputs, keep=True)[:, :, (index + 1) // 64]
        bits = (seen >> np.uint64((index + 1) % 64)) & np.uint64(1)
        return int(((bits != expected) & (expected != ANY)).any(axis=1).argmax())

    def violated(self, test: Trace | Table, bad: Sequence[int], lanes: Lanes | CompiledLanes) -> np.ndarray:
        """(literals, mutants) bool: in which mutants a literal of `graph`, false in the design itself, is true in a cycle of `test`.
        `lanes` keeps them."""
        seen = self._seen(test, bad, lanes)
        return np.array([self._lanes_of(row) for row in seen]).reshape(len(bad), len(self.mutants))

    def broken(self, test: Trace | Table, bad: Sequence[int], lanes: Lanes | CompiledLanes) -> np.ndarray:
        """(literals, mutants) bool: as `violated`, for literals that may be true in the design too: what a test shows of the design says nothing of
        its mutants."""
        seen = self._seen(test, bad, lanes)
        fine = (seen[:, :1] & np.uint64(1)) == 0
        return fine & lanes_of(seen).T[:, 1 : len(self.mutants) + 1].astype(bool)

    def _seen(self, test: Trace | Table, bad: Sequence[int], lanes: Lanes | CompiledLanes) -> np.ndarray:
        """(literals, words): in which lanes a literal is true in some cycle."""
        self._begin(lanes, test)
        return lanes.run(*self._stimulus(test), bad)

    def _lanes_of(self, row: np.ndarray) -> np.ndarray:
        bits = np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little")
        if bits[0]:
            raise Unsound(
                "the design among its mutants, none of them switched on, does not do what it should"
            )
        return bits[1 : len(self.mutants) + 1].astype(bool)

    def _begin(self, lanes: Lanes | CompiledLanes, test: Trace | Table) -> None:
        """The state in which a test begins: after a reset of each mutant's own, unless the test drives reset itself."""
        reset = self.model.reset
        lanes.restart(self._power_up())
        for node, value in self._held().items():
            lanes.set_node(node, value)
        if reset and not _resets(self.model, test):
            node = self.graph.signals[reset.name].bits[0] >> 1
            steps = reset.steps(self.graph)
            inputs = [n >> 1 for n in map(self.nodes.get, self._driven_bits()) if n is not None and n >> 1 not in steps[0]]  # fmt: skip
            bits = np.random.default_rng(0).integers(0, 2, (len(steps), len(inputs) + len(steps[0])), np.uint8)  # fmt: skip
            bits[:, len(inputs) :] = [list(held.values()) for held in steps]
            lanes.run([*inputs, *steps[0]], np.where(bits == 1, ALL, np.uint64(0)), [])
            lanes.set_node(node, 1 - reset.active)
        for node in self.graph.latches:
            if node >= self.size:
                lanes.set_node(node, int(self.graph.right[node] == 1))
        start = test.start if isinstance(test, Trace) else {}
        for node, value in self.model.initial.items():
            place = self.nodes.get(node)
            if value == FREE and place is not None and not _resets(self.model, test):
                lanes.set_node(place >> 1, start.get(node, 0) ^ (place & 1))

    def _power_up(self) -> dict[int, int]:
        state = {n: self.graph.right[n] for n in self.graph.latches}
        for node, value in _power_up_of(self.model).items():
            place = self.nodes.get(node)
            if place is not None and state[place >> 1] == FREE and value != FREE:
                state[place >> 1] = value ^ (place & 1)
        return {n: 0 if v == FREE else v for n, v in state.items()}

    def _held(self) -> dict[int, int]:
        rows = {self.nodes[n]: v for n, v in self.model.held.items() if n in self.nodes}
        return {place >> 1: v ^ (place & 1) for place, v in rows.items()}

    def _driven_bits(self) -> list[int]:
        return [b >> 1 for n in self.model.inputs for b in self.model.graph.signals[n].bits]

    def _stimulus(self, test: Trace | Table) -> tuple[list[int], np.ndarray]:
        """Nodes, and (cycles, nodes) words."""
        return _planes(self.graph, _driven(self.model, test), test, self.nodes)

    def _expected(self, test: Trace | Table) -> np.ndarray:
        """(cycles, output bits): what the design does; only where a table says so, if the table says anything."""
        seen = reference(self.model, test, self.nodes)
        if not isinstance(test, Table) or not any(test.expected):
            return seen
        wanted = np.full_like(seen, ANY)
        at = 0
        for name in self.model.outputs:
            width = len(self.model.graph.signals[name].bits)
            for t, row in enumerate(test.expected):
                if name in row:
                    wanted[t, at : at + width] = [row[name] >> i & 1 for i in range(width)]
            at += width
        wrong = ((wanted != seen) & (wanted != ANY) & (seen != ANY)).any(axis=1)
        if wrong.any():
            raise KerfError(f"{test.name}: the design itself fails it, in cycle {int(wrong.argmax())}")
        return wanted


def _source(graph: Graph, literal: int) -> int | None:
    """The input or latch that a literal is, or that it is while an asynchronous reset is off (an AND of a latch and an input)."""
    node = literal >> 1
    if graph.kind[node] in (Node.INPUT, Node.LATCH):
        return literal
    if graph.kind[node] == Node.AND:
        for a, b in ((graph.left[node], graph.right[node]), (graph.right[node], graph.left[node])):
            if graph.kind[a >> 1] == Node.LATCH and graph.kind[b >> 1] == Node.INPUT:
                return a ^ (literal & 1)
    return None


def _resets(model: Model, test: Trace | Table) -> bool:
    """Whether a test drives the reset that is held otherwise, and so begins before it."""
    return any(name in row for name in model.held_names for row in test.inputs)


def _driven(model: Model, test: Trace | Table) -> list[str]:
    """Inputs that a test has values for: with the reset, where it drives that."""
    return [*model.inputs, *(sorted(model.held_names) if _resets(model, test) else [])]


def _planes(graph: Graph, names: Sequence[str], test: Trace | Table, nodes: Mapping[int, int]) -> tuple[list[int], np.ndarray]:  # fmt: skip
    found, columns = [], []
    for name in names:
        values = [int(row.get(name, 0)) for row in test.inputs]
        for index, bit in enumerate(graph.signals[name].bits):
            found.append(bit >> 1)
            columns.append(np.array([v >> index & 1 for v in values], bool))
    free = test.free if isinstance(test, Trace) else ()
    for node in sorted({n for row in free for n in row}):
        if node in nodes and nodes[node] >> 1 not in found:
            found.append(nodes[node] >> 1)
            inverted = nodes[node] & 1
            columns.append(np.array([free[t].get(node, 0) ^ inverted if t < len(free) else 0 for t in range(len(test))], bool))  # fmt: skip
    rows = np.where(np.array(columns, bool).reshape(len(columns), len(test)).T, ALL, np.uint64(0))
    return found, np.ascontiguousarray(rows)


def reference(model: Model, test: Trace | Table, known: Container[int] | None = None) -> np.ndarray:
    """(cycles, output bits) uint8: what the design's outputs are; ANY where that depends on what nothing determines: an x, a net without a driver, a
    register that neither a reset nor the test gives a value. Of those, lane 0 has zeros and 63 others random values. `known`: the registers whose start counts as given."""
    graph = model.graph
    outputs = [b for n in model.outputs for b in graph.signals[n].bits]
    given = dict(test.start) if isinstance(test, Trace) else {}
    given = {n: v for n, v in given.items() if known is None or n in known}
    start = _power_up_of(model) if _resets(model, test) else _begun(model)
    lanes = simulator(graph, 1, {n: 0 if v == FREE else v for n, v in start.items()}, outputs)
    for node, value in model.held.items():
        lanes.set_node(node, value)
    rng = np.random.default_rng(0)
    for node, value in start.items():
        if value == FREE:
            lanes.set_node(node, given[node] if node in given else _unknown(rng, 1))
    driven, rows = _planes(graph, _driven(model, test), test, {n: 2 * n for n in range(len(graph))})
    hidden = [n for n in graph.inputs if n not in set(driven) and n not in model.held]
    unknown = _unknown(rng, len(test) * len(hidden)).reshape(len(test), len(hidden))
    seen = lanes.run([*driven, *hidden], np.concatenate([rows, unknown], axis=1), outputs, keep=True)[:, :, 0]
    return np.where((seen == 0) | (seen == ALL), seen & np.uint64(1), ANY).astype(np.uint8)


def _unknown(rng: np.random.Generator, count: int) -> np.ndarray:
    return random_planes(rng, count, 1)[:, 0] & ~np.uint64(1)


def _begun(model: Model) -> dict[int, int]:
    return {n: model.initial.get(n, model.graph.right[n]) for n in model.graph.latches}


def _power_up_of(model: Model) -> dict[int, int]:
    """Before reset: what declarations say, else the opposite of what reset makes of it, so that a reset that does not come shows."""
    start, declared = _begun(model), model.graph.right
    return {n: declared[n] if declared[n] != FREE or v == FREE or model.reset is None else 1 - v for n, v in start.items()}  # fmt: skip


def mutated(model: Model, mutants: Sequence[Mutant], headers: Mapping[int, tuple[str, int]] | None = None,
            *, timeout_s: float = 60.0) -> Mutated:  # fmt: skip
    """Synthesize the design with all of `mutants` in it. Those that make another kind of hardware of it are found by halving, and left out; where all
    together take too long, every eighth is taken.
    OutOfTime when not even the design alone can be done in time."""
    builder = _Builder(model, headers or find(model.design).headers, time.monotonic() + timeout_s)
    made, kept = builder.largest(list(mutants))
    return builder.finish(made, kept, [m for m in mutants if m not in set(kept)])


@dataclass
class _Builder:
    model: Model
    headers: Mapping[int, tuple[str, int]]
    deadline: float
    slow: bool = False

    def largest(self, mutants: list[Mutant]) -> tuple[Synthesized, list[Mutant]]:
        """All, or an eighth where all take too long, or those that can be taken."""
        made = self._made(mutants, FIRST)
        if made is None and self.slow:
            mutants = mutants[::FEWER]
            made = self._made(mutants)
        if made is not None:
            return made, mutants
        kept = self._takeable(mutants, known_bad=True)
        made = self._made(kept)
        while made is None and kept:
            kept = kept[: len(kept) // 2]  # fine one by one, but not together
            made = self._made(kept)
        if made is None or not kept:
            left(self.deadline, "synthesis with mutants")
            raise KerfError("the design could not be synthesized with mutants in it: give it more time, or fewer mutants")  # fmt: skip
        return made, kept

    def _takeable(self, mutants: list[Mutant], known_bad: bool = False) -> list[Mutant]:
        if not mutants or time.monotonic() > self.deadline:
            return []
        if not known_bad and self._made(mutants) is not None:
            return mutants
        if len(mutants) == 1:
            return []
        half = len(mutants) // 2
        return self._takeable(mutants[:half]) + self._takeable(mutants[half:])

    def _made(self, mutants: Sequence[Mutant], share: float = 1.0) -> Synthesized | None:
        """None where it is not the same kind of hardware, or takes more than a share of what time is left."""
        texts = instrument(self.model.design, mutants, self.headers).texts
        begun = time.monotonic()
        limit = (self.deadline - begun) * share
        try:
            made = synthesize(self.model.design, texts, stepped=self.model.stepped, timeout_s=limit)
        except KerfError:
            self.slow = time.monotonic() - begun > 0.9 * limit
            return None
        had, has = (any(n.startswith(LATCHES) for n in notes) for notes in (self.model.notes, made.notes))
        same = made.stepped == self.model.stepped and (had or not has)
        return made if same else None

    def finish(self, made: Synthesized, kept: Sequence[Mutant], left_out: Sequence[Mutant]) -> Mutated:
        graph = made.netlist.graph
        select = switches(graph, instrument(self.model.design, kept, self.headers).select)
        return Mutated(self.model, graph, tuple(kept), select, tuple(left_out), len(graph))


def switches(graph: Graph, chosen: Sequence[tuple[str, int]]) -> tuple[tuple[int, ...], ...]:
    """The inputs that are the bit of a vector, (name, index), one an instance."""
    vectors: dict[str, list[tuple[int, ...]]] = {}
    for name, signal in graph.signals.items():
        vectors.setdefault(name.rpartition(".")[2], []).append(signal.bits)
    return tuple(tuple(bits[index] >> 1 for bits in vectors.get(vector, ())) for vector, index in chosen)
