"""State machines: registers of an enumerated type, and registers that a case statement compares with constants. Each state, each transition.

Which transitions a machine has is asked of its logic, not of its text: (s, t) is one if some state of the whole design, reachable or not, and some
input takes the register from s to t. What is left to show is whether it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerf.verification.coverage.bins import Bin
from kerf.verification.coverage.constants import constant_of, syntax_of
from kerf.verification.design import Design
from kerf.verification.graph import Graph, Node
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling

MOST_STATES = 64


@dataclass(frozen=True)
class Machine:
    """`register`: a signal's name; `states`: name -> value."""

    register: str
    states: Mapping[str, int]


def machines(design: Design, graph: Graph) -> list[Machine]:
    """The state machines of a design, registers by their names in the graph."""
    found: dict[str, dict[str, int]] = {}
    for register, states in _declared(design):
        signal = graph.signals.get(register)
        if signal and {graph.kind[b >> 1] for b in signal.bits} <= {Node.LATCH, Node.CONSTANT}:
            fits = {k: v for k, v in states.items() if 0 <= v < 1 << len(signal.bits)}
            if 2 <= len(fits) <= MOST_STATES and len(set(fits.values())) == len(fits):
                found.setdefault(register, fits)
    return [Machine(r, s) for r, s in found.items()]


def state_bins(model: Model, machine: Machine) -> list[Bin]:
    """A bin for each state, and one for each transition between two of them that the logic has."""
    graph = model.graph
    signal = graph.signals[machine.register]
    now = {name: graph.equal(signal.bits, value) for name, value in machine.states.items()}
    later = [graph.left[b >> 1] ^ (b & 1) for b in signal.bits]  # a constant's is itself
    after = {name: graph.equal(later, value) for name, value in machine.states.items()}
    bins = [Bin(f"{machine.register} = {n}", x, "state", signal.source) for n, x in now.items()]
    for s, t in _transitions(model, now, after):
        pair = graph.conjunction(now[s], after[t])
        bins.append(Bin(f"{machine.register}: {s} -> {t}", pair, "transition", signal.source))
    return bins


def _transitions(model: Model, now: Mapping[str, int], after: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    free = Unrolling(model.graph, None, model.held)
    try:
        for s in now:
            for t in now:
                if s != t and free.solve([free.at(now[s], 0), free.at(after[t], 0)]):
                    yield s, t
    finally:
        free.close()


def _declared(design: Design) -> Iterator[tuple[str, dict[str, int]]]:
    """Names in the graph, and states: of enumerated variables, then of selectors of case statements."""
    prefix, enums, cases = design.top + ".", [], []

    def visit(node: Any) -> None:
        kind = type(node).__name__
        if kind == "VariableSymbol" and node.type.isEnum:
            enums.append((_path(node, prefix), _members(node.type)))
        elif kind == "CaseStatement" and hasattr(node.expr, "symbol"):
            cases.append((_path(node.expr.symbol, prefix), _constants(node.items)))

    design.root.visit(visit)
    yield from enums
    merged: dict[str, dict[str, int]] = {}
    for name, states in cases:
        merged.setdefault(name, {}).update(states)
    yield from ((n, s) for n, s in merged.items() if len(s) > 2)


def _path(symbol: Any, prefix: str) -> str:
    return str(symbol.hierarchicalPath).removeprefix(prefix)


def _members(of: Any) -> dict[str, int]:
    return {m.name: int(m.value.convertToInt().value) for m in of.canonicalType}


def _constants(items: Sequence[Any]) -> dict[str, int]:
    """The items of a case statement that are constants, called as they are called there."""
    found = {}
    for item in items:
        for expression in item.expressions:
            value = constant_of(expression)
            if value is not None:
                found[str(syntax_of(expression)).strip()] = value
    return found
