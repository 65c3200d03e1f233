"""The and-inverter graph that everything stands on: simulation, proofs, mutation, coverage and repair read the same one.

A literal is `2 * node + inverted`; literal 0 is false and 1 is true (the AIGER convention, Biere, FMV report 07/1). Nodes are numbered in
topological order as far as ANDs are concerned: both inputs of an AND have smaller numbers. A latch holds its value from one clock cycle
to the next; its next value may be any literal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

FALSE, TRUE = 0, 1
FREE = 2  # an initial value that may be either


class Node(IntEnum):
    CONSTANT = 0
    INPUT = 1
    LATCH = 2
    AND = 3


@dataclass(frozen=True)
class Signal:
    """A named word: `bits` are literals, least significant first. `kind`: input, output, register or wire. `source`: "file:line" where it is
    declared, or ""."""

    name: str
    bits: tuple[int, ...]
    kind: str = "wire"
    source: str = ""
    signed: bool = False


@dataclass
class Graph:
    """Append-only: nodes are added, never changed, so that a monitor can be built on top of a design's graph while others hold literals of it.

    `kind[n]`; `left[n]`, `right[n]`: the inputs of an AND; for a latch its next value (literal) and its initial value (0, 1 or FREE).
    """

    kind: list[int] = field(default_factory=lambda: [Node.CONSTANT])
    left: list[int] = field(default_factory=lambda: [0])
    right: list[int] = field(default_factory=lambda: [0])
    inputs: list[int] = field(default_factory=list)
    latches: list[int] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)
    _known: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.kind)

    def _append(self, kind: Node, left: int, right: int) -> int:
        self.kind.append(kind)
        self.left.append(left)
        self.right.append(right)
        return 2 * (len(self.kind) - 1)

    def add_input(self) -> int:
        literal = self._append(Node.INPUT, 0, 0)
        self.inputs.append(literal >> 1)
        return literal

    def add_latch(self, initial: int = 0) -> int:
        """A latch that keeps its initial value (0, 1 or FREE) until `set_next` says what it takes on."""
        literal = self._append(Node.LATCH, 0, initial)
        self.left[-1] = literal
        self.latches.append(literal >> 1)
        return literal

    def set_next(self, latch: int, value: int) -> None:
        self.left[latch >> 1] = value

    def conjunction(self, a: int, b: int) -> int:
        """a and b, with constants folded and equal nodes shared."""
        if a > b:
            a, b = b, a
        if a == FALSE or a == b ^ 1:
            return FALSE
        if a in (TRUE, b):
            return b
        found = self._known.get((a, b))
        if found is None:
            found = self._known[a, b] = self._append(Node.AND, a, b)
        return found

    def disjunction(self, a: int, b: int) -> int:
        return self.conjunction(a ^ 1, b ^ 1) ^ 1

    def exclusive_or(self, a: int, b: int) -> int:
        return self.conjunction(self.conjunction(a, b ^ 1) ^ 1, self.conjunction(a ^ 1, b) ^ 1) ^ 1

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        return self.disjunction(self.conjunction(condition, then), self.conjunction(condition ^ 1, otherwise))

    def all_of(self, literals: Iterable[int]) -> int:
        return self._balanced(list(literals), TRUE, self.conjunction)

    def any_of(self, literals: Iterable[int]) -> int:
        return self._balanced(list(literals), FALSE, self.disjunction)

    def equal(self, a: Sequence[int], b: Sequence[int] | int) -> int:
        """Whether a word equals another of the same width, or a number."""
        other = [b >> i & 1 for i in range(len(a))] if isinstance(b, int) else b
        return self.all_of(self.exclusive_or(x, y) ^ 1 for x, y in zip(a, other, strict=True))

    @staticmethod
    def _balanced(row: list[int], empty: int, join: object) -> int:
        while len(row) > 1:
            pairs = [join(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]  # type: ignore[operator]
            row = pairs + row[len(row) & ~1 :]
        return row[0] if row else empty

    def cone(self, roots: Iterable[int]) -> list[int]:
        """The nodes that `roots` (literals) depend on, through latches too, in ascending order."""
        seen: set[int] = set()
        todo = [r >> 1 for r in roots]
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            if self.kind[node] == Node.AND:
                todo += [self.left[node] >> 1, self.right[node] >> 1]
            elif self.kind[node] == Node.LATCH:
                todo.append(self.left[node] >> 1)
        return sorted(seen)

    def copy(self) -> Graph:
        return Graph(
            list(self.kind), list(self.left), list(self.right), list(self.inputs), list(self.latches),
            dict(self.signals), dict(self._known),
        )  # fmt: skip
