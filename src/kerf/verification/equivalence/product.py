"""Two designs side by side in one graph: the same inputs, and a literal that is true where they differ.

What the reference (gold) leaves unknown is no claim about the answer (gate). An `x` of its source and a register that has not been given a value
yet are X, and each bit of gold that may be X is carried on two rails, "is 1" and "is 0" (Bryant, "Boolean analysis of MOS circuits", 1987); an output
bit is compared in the cycles in which one of the rails is up. The unknowns of gate are any value: gate has to agree whatever they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kerf.core.types import KerfError
from kerf.verification.equivalence.unknowns import used_alike
from kerf.verification.graph import FALSE, FREE, TRUE, Graph, Node, Signal
from kerf.verification.model import Model

Rails = tuple[int, int]


@dataclass(frozen=True)
class Compared:
    """One output bit: `gold` and `gate` are its values, `known` whether gold determines it."""

    output: str
    bit: int
    known: int
    gold: int
    gate: int


@dataclass(frozen=True)
class Doubled:
    """A latch of gold on two rails; `named`: the literal of gate's latch of the same name, if any."""

    one: int
    zero: int
    named: int | None


@dataclass(frozen=True)
class Product:
    """`model` holds the graph of both; `bad`: an output that gold determines differs. `pairs`: latches of gold and gate (literals) that `assumed`
    says start with the same unknown value; `doubled`: latches of gold that may be X. `gold_nodes`, `gate_nodes`: where the nodes of each went (literals; of gold: "is 1")."""

    model: Model
    compared: tuple[Compared, ...]
    bad: int
    pairs: tuple[tuple[int, int], ...]
    assumed: tuple[int, ...]
    doubled: tuple[Doubled, ...]
    gold_nodes: Mapping[int, int]
    gate_nodes: Mapping[int, int]
    unknown_starts: int

    def differs(self, outputs: Sequence[Compared]) -> int:
        graph = self.model.graph
        return graph.any_of(graph.conjunction(c.known, graph.exclusive_or(c.gold, c.gate)) for c in outputs)


def check_interface(gold: Model, gate: Model) -> tuple[str, ...]:
    """Notes on ports of one side alone. KerfError when outputs cannot be compared."""
    ours = {p.name: p for p in gold.design.ports}
    theirs = {p.name: p for p in gate.design.ports}
    wrong = [f"{n} is an inout port" for n, p in (ours | theirs).items() if p.direction == "inout"]
    for name, port in ours.items():
        other = theirs.get(name)
        if other is None and port.direction == "output":
            wrong.append(f"output {name} is missing in {gate.design.top}")
        elif other and (other.width, other.direction) != (port.width, port.direction):
            wrong.append(
                f"{name} is an {port.direction} of {port.width} bits in {gold.design.top}, an {other.direction} of {other.width} bits in {gate.design.top}"
            )
    if wrong:
        raise KerfError("the designs cannot be compared: " + "; ".join(wrong))
    return tuple(_alone(gold, gate))


def _alone(gold: Model, gate: Model) -> Iterator[str]:
    for one, other in ((gold, gate), (gate, gold)):
        theirs = {p.name for p in other.design.ports}
        names = [p for p in one.design.ports if p.name not in theirs and p.name != one.clock]
        inputs = [p.name for p in names if p.direction == "input"]
        if inputs:
            yield f"inputs of {one.design.top} alone, any value: {', '.join(inputs)}"
    if gold.clock and gate.clock and gold.clock != gate.clock:
        yield f"{gate.clock} of {gate.design.top} is taken to be the clock {gold.clock}"


def product(gold: Model, gate: Model, *, matched: bool = False, shared: bool = False) -> Product:
    """`matched`: registers of the same name that have no initial value in gold start in both with the same value, and count as known. `shared`: so do the x
    of both sources that are used alike. Either is a choice of gold's unknowns, so what is proved with it holds."""
    graph = Graph()
    words = shared_inputs(graph, gold, gate)
    alike = same_registers(gold, gate)
    starts = {n: m for n, m in alike.items() if matched and gold.initial[n] == FREE}
    begin = _beginning(gold, gate, starts)
    gate_nodes = splice(graph, gate, words)
    chosen = _same_unknowns(gold, gate, gate_nodes) if shared else {}
    maybe, starts = _maybe_unknown(gold, begin, starts, set(chosen))
    rails = splice_rails(graph, gold, placed_inputs(gold, words) | chosen, begin, maybe)
    compared = tuple(_compared(graph, gold, gate, rails, gate_nodes))
    free = {n: m for n, m in starts.items() if begin[n] == FREE}
    pairs = tuple((rails[n][0], gate_nodes[m >> 1] ^ (m & 1)) for n, m in free.items())
    assumed = (_equal_at_first(graph, pairs),) if pairs else ()
    named = {n: gate_nodes[m >> 1] ^ (m & 1) for n, m in alike.items()}
    double = tuple(Doubled(*rails[n], named.get(n)) for n in gold.graph.latches if n in maybe)
    unknown = sum(v == FREE and n not in starts for n, v in begin.items())
    made = Product(
        _model(gold, gate, graph), compared, FALSE, pairs, assumed, double, {n: r[0] for n, r in rails.items()}, gate_nodes, unknown
    )  # fmt: skip
    return replace(made, bad=made.differs(compared))


def _model(gold: Model, gate: Model, graph: Graph) -> Model:
    initial = {n: graph.right[n] for n in graph.latches}
    clock, edge, reset = gold.clock or gate.clock, gold.edge or gate.edge, gold.reset or gate.reset
    return Model(
        gold.design, graph, (), clock, reset, initial, edge=edge, stepped=gold.stepped or gate.stepped
    )


def shared_inputs(graph: Graph, gold: Model, gate: Model) -> dict[str, tuple[int, ...]]:
    """Input words by name; both clocks are one."""
    words: dict[str, tuple[int, ...]] = {}
    for side in (gold, gate):
        for name, signal in side.graph.signals.items():
            if signal.kind == "input" and name not in words:
                if name == gate.clock and gold.clock in words:
                    words[name] = words[gold.clock]
                    continue
                words[name] = tuple(graph.add_input() for _ in signal.bits)
                graph.signals[name] = replace(signal, bits=words[name])
    return words


def placed_inputs(side: Model, words: Mapping[str, tuple[int, ...]]) -> dict[int, int]:
    """The nodes of `side`'s input words -> literals of `words`."""
    place: dict[int, int] = {}
    for name, signal in side.graph.signals.items():
        if signal.kind == "input":
            place |= {b >> 1: literal for b, literal in zip(signal.bits, words[name], strict=True)}
    return place


def splice(graph: Graph, side: Model, words: Mapping[str, tuple[int, ...]]) -> dict[int, int]:
    """A copy of `side` in `graph`, driven by `words`: node -> literal. Inputs without a name become inputs."""
    source, place = side.graph, {0: FALSE} | placed_inputs(side, words)
    place |= {n: graph.add_input() for n in source.inputs if n not in place}
    place |= {n: graph.add_latch(side.initial[n]) for n in source.latches}
    for node in _ands(source):
        a, b = source.left[node], source.right[node]
        place[node] = graph.conjunction(place[a >> 1] ^ (a & 1), place[b >> 1] ^ (b & 1))
    for node in source.latches:
        following = source.left[node]
        graph.set_next(place[node], place[following >> 1] ^ (following & 1))
    return place


def splice_rails(graph: Graph, side: Model, inputs: Mapping[int, int], begin: Mapping[int, int],
                  maybe: set[int]) -> dict[int, Rails]:  # fmt: skip
    """A copy of `side` on two rails where it may be X (`maybe`), on one elsewhere: node -> (is 1, is 0)."""
    source = side.graph
    rails: dict[int, Rails] = {0: (FALSE, TRUE)}
    rails |= {n: (literal, literal ^ 1) for n, literal in inputs.items()}
    rails |= {n: (FALSE, FALSE) for n in source.inputs if n not in rails}
    rails |= {n: _latch_rails(graph, begin[n], n in maybe) for n in source.latches}
    for node in _ands(source):
        (a1, a0), (b1, b0) = rails_of(rails, source.left[node]), rails_of(rails, source.right[node])
        rails[node] = (graph.conjunction(a1, b1), graph.disjunction(a0, b0))
    for node in source.latches:
        one, zero = rails_of(rails, source.left[node])
        graph.set_next(rails[node][0], one)
        if node in maybe:
            graph.set_next(rails[node][1], zero)
    return rails


def _latch_rails(graph: Graph, begin: int, maybe: bool) -> Rails:
    if not maybe:
        latch = graph.add_latch(begin)
        return latch, latch ^ 1
    return graph.add_latch(int(begin == 1)), graph.add_latch(int(begin == 0))


def rails_of(rails: Mapping[int, Rails], literal: int) -> Rails:
    """A literal's, of those of nodes."""
    one, zero = rails[literal >> 1]
    return (zero, one) if literal & 1 else (one, zero)


def _ands(graph: Graph) -> Iterator[int]:
    return (n for n in range(1, len(graph)) if graph.kind[n] == Node.AND)


def same_registers(gold: Model, gate: Model) -> dict[int, int]:
    """Latch of gold -> the literal of gate's register bit of the same name; of those that have none of their name, of the one that is used alike."""
    found: dict[int, int] = {}
    theirs = _words(gate.graph)
    for name, bits in _words(gold.graph).items():
        other = theirs.get(name, ())
        for bit, its in zip(bits, other) if len(bits) == len(other) else ():
            mine, yours = _register(gold.graph, bit), _register(gate.graph, its)
            if mine and yours:
                found.setdefault(mine >> 1, yours ^ (mine & 1))
    taken = {m >> 1 for m in found.values()}
    ours, others = ([n for n in m.graph.latches if n not in t] for m, t in ((gold, found), (gate, taken)))
    alike = used_alike(gold.graph, gate.graph, ours, others) if ours and others else {}
    return found | {a: 2 * b for a, b in alike.items()}


def _words(graph: Graph) -> dict[str, list[int]]:
    """Bits by name, "store[0]", "store[1]" ... being the word "store"."""
    parts: dict[str, list[tuple[list[int], tuple[int, ...]]]] = {}
    for name, signal in graph.signals.items():
        stem = name.partition("[")[0]
        index = [int(i) for i in re.findall(r"\[(\d+)\]", name)]
        parts.setdefault(stem, []).append((index, signal.bits))
    return {stem: [b for _, bits in sorted(words) for b in bits] for stem, words in parts.items()}


def _register(graph: Graph, literal: int) -> int:
    """The latch literal that a register's bit is, but for an asynchronous reset; 0 when it is none."""
    if graph.kind[literal >> 1] == Node.LATCH:
        return literal
    if graph.kind[literal >> 1] == Node.AND:
        for below in (graph.left[literal >> 1], graph.right[literal >> 1]):
            if graph.kind[below >> 1] == Node.LATCH:
                return below ^ (literal & 1)
    return 0


def _beginning(gold: Model, gate: Model, starts: Mapping[int, int]) -> dict[int, int]:
    begin = dict(gold.initial)
    for node, other in starts.items():
        value = gate.initial[other >> 1]
        begin[node] = FREE if value == FREE else value ^ (other & 1)
    return begin


def _unnamed(side: Model) -> list[int]:
    named = {b >> 1 for s in side.graph.signals.values() if s.kind == "input" for b in s.bits}
    return [n for n in side.graph.inputs if n not in named]


def _same_unknowns(gold: Model, gate: Model, nodes: Mapping[int, int]) -> dict[int, int]:
    mine, theirs = _unnamed(gold), _unnamed(gate)
    return {m: nodes[t] for m, t in used_alike(gold.graph, gate.graph, mine, theirs).items()}


def _maybe_unknown(gold: Model, begin: Mapping[int, int], starts: Mapping[int, int], chosen: set[int]) -> tuple[set[int], dict[int, int]]:  # fmt: skip
    """The nodes that may be X at some time, and those of `starts` that hold: a register that starts like gate's and may become X later is carried on
    two rails, which could not start together, so it starts as X."""
    unknown, kept = set(_unnamed(gold)) - chosen, dict(starts)
    while True:
        free = {n for n, v in begin.items() if v == FREE and n not in kept}
        maybe = _reached(gold.graph, unknown | free)
        lost = [n for n in kept if n in maybe and begin[n] == FREE]
        if not lost:
            return maybe, kept
        for node in lost:
            del kept[node]


def unknown_nodes(side: Model) -> set[int]:
    """The nodes of a design by itself that may be X at some time."""
    return _reached(side.graph, set(_unnamed(side)) | {n for n, v in side.initial.items() if v == FREE})


def _reached(graph: Graph, sources: set[int]) -> set[int]:
    """The nodes that depend on `sources`, through latches too."""
    users: dict[int, list[int]] = {}
    for node in range(1, len(graph)):
        if graph.kind[node] in (Node.AND, Node.LATCH):
            users.setdefault(graph.left[node] >> 1, []).append(node)
        if graph.kind[node] == Node.AND:
            users.setdefault(graph.right[node] >> 1, []).append(node)
    seen, todo = set(sources), list(sources)
    while todo:
        for user in users.get(todo.pop(), ()):
            if user not in seen:
                seen.add(user)
                todo.append(user)
    return seen


def _equal_at_first(graph: Graph, pairs: Sequence[tuple[int, int]]) -> int:
    first = graph.add_latch(1)
    graph.set_next(first, FALSE)
    return graph.disjunction(first ^ 1, graph.equal([a for a, _ in pairs], [b for _, b in pairs]))


def _compared(
    graph: Graph, gold: Model, gate: Model, rails: Mapping[int, Rails], nodes: Mapping[int, int]
) -> Iterator[Compared]:
    """Every output bit of gold; and the outputs of both become signals, "gold.NAME" and "gate.NAME"."""
    for name in gold.outputs:
        mine = [rails_of(rails, b) for b in gold.graph.signals[name].bits]
        theirs = [nodes[b >> 1] ^ (b & 1) for b in gate.graph.signals[name].bits]
        graph.signals[f"gold.{name}"] = Signal(f"gold.{name}", tuple(one for one, _ in mine))
        graph.signals[f"gate.{name}"] = Signal(f"gate.{name}", tuple(theirs))
        for index, ((one, zero), other) in enumerate(zip(mine, theirs, strict=True)):
            yield Compared(name, index, graph.disjunction(one, zero), one, other)
