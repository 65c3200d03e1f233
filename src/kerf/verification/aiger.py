"""A property of a graph as a file that model checkers read (binary AIGER 1.9, Biere, Heljanko and Wieringa, FMV report 11/2).

Model checkers want latches that start at 0. A latch that starts at 1 is written inverted; one that may start with either value becomes a
multiplexer of an input and the latch, steered by a latch that is 0 in the first cycle alone. Assumptions are part of the property: a cycle counts
only while every cycle so far has met them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerf.verification.graph import FALSE, FREE, TRUE, Graph, Node


@dataclass(frozen=True)
class Exported:
    """`graph` is what was written: latches start at 0; `bad` are its literals, true when a property is violated."""

    graph: Graph
    bad: tuple[int, ...]

    @property
    def trivial(self) -> bool | None:
        """True when no property can be violated, False when one always is; None when there is something to prove."""
        if all(b == FALSE for b in self.bad):
            return True
        return False if any(b == TRUE for b in self.bad) else None


def prepare(graph: Graph, bad: Sequence[int], assumed: Sequence[int], initial: Mapping[int, int],
            held: Mapping[int, int]) -> Exported:  # fmt: skip
    """The cone of `bad` with all latches starting at 0, under `assumed` (literals that hold in every cycle)."""
    made, place = Graph(), {0: FALSE}
    cone = graph.cone([*bad, *assumed])
    free = [n for n in cone if graph.kind[n] == Node.LATCH and initial.get(n, graph.right[n]) == FREE]
    later = made.add_latch(0) if free else FALSE
    if free:
        made.set_next(later, TRUE)
    slots: list[tuple[int, int, bool]] = []
    for node in cone:
        if graph.kind[node] == Node.INPUT:
            if node in held:
                place[node] = TRUE if held[node] else FALSE
            else:
                place[node] = made.add_input()
        elif graph.kind[node] == Node.LATCH:
            value = initial.get(node, graph.right[node])
            slot = made.add_latch(0)
            slots.append((node, slot, value == 1))
            place[node] = slot ^ (value == 1)
            if value == FREE:
                start = made.add_input()
                place[node] = made.choose(later, slot, start)
    for node in cone:
        if graph.kind[node] == Node.AND:
            a, b = graph.left[node], graph.right[node]
            place[node] = made.conjunction(place[a >> 1] ^ (a & 1), place[b >> 1] ^ (b & 1))
    move = lambda literal: place[literal >> 1] ^ (literal & 1)  # noqa: E731
    for node, slot, inverted in slots:
        made.set_next(slot, move(graph.left[node]) ^ inverted)
    met = made.all_of(map(move, assumed))
    if met != TRUE:
        broken = made.add_latch(0)
        made.set_next(broken, made.disjunction(broken, met ^ 1))
        met = made.conjunction(met, broken ^ 1)
    return Exported(made, tuple(made.conjunction(move(b), met) for b in bad))


def write(path: Path, exported: Exported) -> None:
    """Binary AIGER with `bad` as bad-state properties."""
    graph = exported.graph
    order = [*graph.inputs, *graph.latches]
    ands = [n for n in range(1, len(graph)) if graph.kind[n] == Node.AND]
    number = {0: 0} | {n: i + 1 for i, n in enumerate([*order, *ands])}
    code = lambda literal: 2 * number[literal >> 1] + (literal & 1)  # noqa: E731
    total, out = len(order) + len(ands), bytearray()
    counts = [total, len(graph.inputs), len(graph.latches), 0, len(ands), len(exported.bad)]
    out += ("aig " + " ".join(map(str, counts)) + "\n").encode()
    for node in graph.latches:
        out += f"{code(graph.left[node])}\n".encode()
    for literal in exported.bad:
        out += f"{code(literal)}\n".encode()
    for node in ands:
        me = 2 * number[node]
        a, b = sorted((code(graph.left[node]), code(graph.right[node])), reverse=True)
        out += _delta(me - a) + _delta(a - b)
    path.write_bytes(bytes(out))


def _delta(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
