"""Why has a signal its value at a time? A dynamic slice: the signals, lines and inputs that made it so in one run, and nothing else.

Values are justified backwards through the graph: a true AND needs both its inputs, a false one needs one false input (one that is in the
slice already, else the shallower). What the slice names is sufficient: with those input bits and initial bits alone, and any values elsewhere,
the signal has the value it has (checked by ternary simulation). Cf. dynamic slicing (Korel and Laski, 1988) and justification in test
generation (Roth, 1966).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kerf.core.types import KerfError
from kerf.verification.graph import Graph, Node, Signal
from kerf.verification.locations import assignments
from kerf.verification.model import Model, X, literal_value, ternary
from kerf.verification.prove import Unsound
from kerf.verification.trace import Trace, drive, start

Point = tuple[str, int]


@dataclass(frozen=True)
class Reason:
    """`signal` had `value` in cycle `time`, because of the points in `because` (signal, cycle). `source`: "file:line" where it is
    declared; `lines`: where it is assigned."""

    signal: str
    time: int
    value: int
    source: str
    because: tuple[Point, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """`reasons`: from the signal asked about down to inputs and initial values, each after those that need it. `needed[t][input]`: the mask of bits
    that matter in cycle t; `initial`: names of registers whose initial value matters."""

    reasons: tuple[Reason, ...]
    needed: tuple[Mapping[str, int], ...]
    initial: tuple[str, ...]


def explain(model: Model, trace: Trace, name: str, time: int) -> Explanation:
    """Why `name` has its value in cycle `time` of `trace`. KerfError for names and times that do not exist."""
    if name not in model.graph.signals:
        raise KerfError(f"no signal {name!r} in {model.design.top}{_nearest(name, model.graph.signals)}")
    if not 0 <= time < len(trace):
        raise KerfError(f"cycle {time} is not in the run, which has cycles 0 to {len(trace) - 1}")
    return _Slice(model, trace, time, lines=assignments(model.design)).explain(name)


def _nearest(name: str, signals: Mapping[str, Signal]) -> str:
    import difflib

    near = difflib.get_close_matches(name, signals, 3)
    return f": did you mean {' or '.join(near)}?" if near else ""


@dataclass
class _Slice:
    model: Model
    trace: Trace
    time: int
    values: list[list[int]] = field(default_factory=list)
    needed: list[dict[str, int]] = field(default_factory=list)
    kept: set[tuple[int, int]] = field(default_factory=set)
    initial: dict[str, None] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def explain(self, name: str) -> Explanation:
        self.values = _simulate(self.model, self.trace, self.time)
        self.needed = [{} for _ in range(self.time + 1)]
        owner = _owners(self.model.graph)
        reasons: dict[Point, Reason] = {}
        todo: list[Point] = [(name, self.time)]
        bits: dict[Point, set[int]] = {todo[0]: set(range(len(self.model.graph.signals[name].bits)))}
        while todo:
            point = todo.pop(0)
            found = self._because(point, bits[point], owner)
            signal = self.model.graph.signals[point[0]]
            old = reasons.get(point)
            because = dict.fromkeys([*(old.because if old else ()), *found])
            reasons[point] = Reason(
                *point,
                self._word(signal, point[1]),
                signal.source,
                tuple(p for p in because if p != point),
                self.lines.get(point[0], ()),
            )
            for other, wanted in found.items():
                new = wanted - bits.setdefault(other, set())
                bits[other] |= new
                if new or other not in reasons:
                    todo.append(other)
        self._check(name)
        return Explanation(_ordered(reasons, (name, self.time)), tuple(self.needed), tuple(self.initial))

    def _word(self, signal: Signal, t: int) -> int:
        return sum(self._value(b, t) << i for i, b in enumerate(signal.bits))

    def _value(self, literal: int, t: int) -> int:
        return self.values[t][literal >> 1] ^ (literal & 1)

    def _because(
        self, point: Point, wanted: set[int], owner: Mapping[int, tuple[str, int]]
    ) -> dict[Point, set[int]]:
        """The named points that determine some bits of a named point, with the bits of each that matter."""
        name, t = point
        graph = self.model.graph
        found: dict[Point, set[int]] = {}
        roots = [graph.signals[name].bits[i] >> 1 for i in sorted(wanted)]
        seen: set[tuple[int, int]] = set()
        todo = [(node, t, True) for node in roots]
        while todo:
            node, at, root = todo.pop()
            if (node, at) in seen:
                continue
            seen.add((node, at))
            self.kept.add((node, at))
            named = owner.get(node)
            if named and not (root and named[0] == name) and (named[0], at) != point:
                found.setdefault((named[0], at), set()).add(named[1])
            elif graph.kind[node] == Node.INPUT:
                self._need(node, at, owner)
            elif graph.kind[node] == Node.LATCH and at == 0:
                self.initial[name] = None
            elif graph.kind[node] == Node.LATCH:
                todo.append((graph.left[node] >> 1, at - 1, False))
            elif graph.kind[node] == Node.AND:
                todo += [(n, at, False) for n in self._supports(node, at)]
        return found

    def _supports(self, node: int, t: int) -> list[int]:
        a, b = self.model.graph.left[node], self.model.graph.right[node]
        if self.values[t][node]:
            return [a >> 1, b >> 1]
        false = [x >> 1 for x in (a, b) if not self._value(x, t)]
        return [min(false, key=lambda n: ((n, t) not in self.kept, n))]

    def _need(self, node: int, t: int, owner: Mapping[int, tuple[str, int]]) -> None:
        if node in owner and node not in self.model.held:
            name, bit = owner[node]
            self.needed[t][name] = self.needed[t].get(name, 0) | 1 << bit

    def _check(self, name: str) -> None:
        """With only what the slice kept, all else unknown, the signal has its value."""
        graph = self.model.graph
        state = {n: self.values[0][n] if (n, 0) in self.kept else X for n in graph.latches}
        for t in range(self.time + 1):
            known = {n: self.values[t][n] for n in graph.inputs if (n, t) in self.kept}
            now = ternary(graph, state, known)
            state = {n: literal_value(now, graph.left[n]) for n in graph.latches}
        if any(literal_value(now, bit) != self._value(bit, self.time) for bit in graph.signals[name].bits):
            raise Unsound(f"the slice of {name} does not determine its value")


def _simulate(model: Model, trace: Trace, last: int) -> list[list[int]]:
    """The value of every node in every cycle up to `last`."""
    lanes = start(model, model.graph, trace)
    rows = []
    for t in range(last + 1):
        drive(lanes, model, trace.inputs[t], trace.free[t] if t < len(trace.free) else {})
        lanes.evaluate()
        rows.append([int(v) & 1 for v in lanes.values[:, 0]])
        lanes.clock()
    return rows


def _owners(graph: Graph) -> dict[int, tuple[str, int]]:
    """Node -> the name (the shortest, least deep) and bit that it is known by."""
    owner: dict[int, tuple[str, int]] = {}
    named = [
        n for n in graph.signals if not n.rpartition(".")[2].startswith("kerf_")
    ]  # not what monitors added
    for name in sorted(named, key=lambda n: (n.count("."), len(n)), reverse=True):
        for index, bit in enumerate(graph.signals[name].bits):
            if bit > 1:
                owner[bit >> 1] = (name, index)
    return owner


def _ordered(reasons: Mapping[Point, Reason], first: Point) -> tuple[Reason, ...]:
    """Breadth first from the point asked about."""
    order: dict[Point, None] = {}
    todo: Sequence[Point] = [first]
    while todo:
        order |= dict.fromkeys(p for p in todo if p not in order)
        todo = [b for p in todo for b in reasons[p].because if b not in order]
        todo = list(dict.fromkeys(todo))
    return tuple(reasons[p] for p in order)
