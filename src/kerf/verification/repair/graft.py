"""Choices among words, put into the graph after synthesis: a wire that nothing drives becomes one of a list of words, as an index says.

In the source such a choice would be a multiplexer at every place, and synthesis would take ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kerf.core.types import KerfError
from kerf.verification.graph import FALSE, Graph, Node, Signal
from kerf.verification.repair.change import Change, Pick
from kerf.verification.repair.source import Module


def grafted(graph: Graph, changes: Sequence[Change], modules: Mapping[str, Module]) -> Graph:
    """`graph` with the picks of `changes` in place of their wires, in every instance of their modules; indices are inputs, one for all instances, and
    signals of their own names. Only what outputs and registers need is kept."""
    work = _Graft(graph)
    for change in changes:
        work.enables |= {
            b >> 1 for path in modules[change.module].paths for b in work.bits(path + change.enable)
        }
        for pick in change.picks:
            work.declare(pick)
            for path in modules[change.module].paths:
                work.place(pick, path)
    return work.build()


@dataclass
class _Graft:
    old: Graph
    new: Graph = field(default_factory=Graph)
    index: dict[str, tuple[int, ...]] = field(default_factory=dict)
    picked: dict[int, tuple[Pick, list[int]]] = field(default_factory=dict)  # input node -> its words' bits
    literal: dict[int, int] = field(default_factory=lambda: {0: FALSE})
    enables: set[int] = field(default_factory=set)  # input nodes
    unchanged: dict[int, int] = field(default_factory=lambda: {0: FALSE})  # as `literal`, without any change

    def declare(self, pick: Pick) -> None:
        for name, width in ((pick.index, pick.bits), (pick.inverted, 1)):
            if name and name not in self.index:
                bits = tuple(self.new.add_input() for _ in range(width))
                self.index[name] = bits
                self.new.signals[name] = Signal(name, bits, "input")

    def bits(self, name: str) -> tuple[int, ...]:
        signal = self.old.signals.get(name)
        return signal.bits if signal else ()

    def place(self, pick: Pick, path: str) -> None:
        wire, words = self.old.signals.get(path + pick.wire), self.old.signals.get(path + pick.words)
        if wire is None or words is None:
            return
        for position, bit in enumerate(wire.bits):
            if self.old.kind[bit >> 1] == Node.INPUT and bit & 1 == 0:
                options = [words.bits[k * pick.width + position] for k in range(pick.count)]
                self.picked[bit >> 1] = (pick, options)

    def build(self) -> Graph:
        old, new = self.old, self.new
        for node in old.inputs:
            if node not in self.picked:
                self.literal[node] = new.add_input()
        for node in old.latches:
            self.literal[node] = new.add_latch(old.right[node])
        for node in old.latches:
            new.set_next(self.literal[node], self._value(old.left[node]))
        for name, signal in old.signals.items():
            if signal.kind == "output":
                bits = tuple(self._value(b) for b in signal.bits)
                new.signals[name] = Signal(name, bits, signal.kind, signal.source, signal.signed)
            elif all(b >> 1 in self.literal and old.kind[b >> 1] == Node.INPUT for b in signal.bits):
                bits = tuple(self.literal[b >> 1] ^ (b & 1) for b in signal.bits)
                new.signals[name] = Signal(name, bits, signal.kind, signal.source, signal.signed)
        return new

    def _value(self, literal: int) -> int:
        """The new literal of an old one, its cone built first."""
        old, todo = self.old, [literal >> 1]
        entered: dict[int, int] = {}  # nodes whose inputs are being built, and where they lie in `todo`
        while todo:
            node = todo[-1]
            if node in self.literal:
                todo.pop()
                entered.pop(node, None)
                continue
            sources = self._sources(node)
            missing = [s >> 1 for s in sources if s >= 0 and s >> 1 not in self.literal]
            loop = next((m for m in missing if m in entered or m == node), None)
            if loop is not None:
                self._cut(loop, node, todo, entered)
            elif missing:
                entered[node] = len(todo) - 1
                todo += missing
            else:
                values = [self.literal[s >> 1] ^ (s & 1) if s >= 0 else self._unchanged(~s) for s in sources]
                self.literal[node] = self.new.conjunction(*values) if old.kind[node] == Node.AND else self._choose(node, values)  # fmt: skip
        return self.literal[literal >> 1] ^ (literal & 1)

    def _cut(self, first: int, last: int, todo: list[int], entered: dict[int, int]) -> None:
        """A loop through gates from `first` to `last` and back: the last choice in it takes the word that closes it as it is without any change, which
        is right as long as no other change of the loop is made."""
        entered.setdefault(last, len(todo) - 1)
        loop = sorted((n for n in entered if entered[n] >= entered[first]), key=entered.__getitem__)
        at = max((i for i, n in enumerate(loop) if n in self.picked), default=-1)
        if at < 0:
            raise KerfError("a loop through gates")
        chooser, follower = loop[at], loop[(at + 1) % len(loop)]
        pick, options = self.picked[chooser]
        self.picked[chooser] = (pick, [~o if o >> 1 == follower else o for o in options])
        del todo[entered[chooser] + 1 :]
        for node in loop[at:]:
            del entered[node]

    def _unchanged(self, literal: int) -> int:
        """The new literal of an old one in the design without any change."""
        old, known, todo = self.old, self.unchanged, [literal >> 1]
        while todo:
            node = todo[-1]
            sides = (old.left[node], old.right[node]) if old.kind[node] == Node.AND else ()
            missing = [s >> 1 for s in sides if s >> 1 not in known]
            if missing:
                todo += missing
                continue
            todo.pop()
            if sides:
                known[node] = self.new.conjunction(*(known[s >> 1] ^ (s & 1) for s in sides))
            elif node:
                known[node] = FALSE if node in self.enables or node in self.picked else self.literal[node]
        return known[literal >> 1] ^ (literal & 1)

    def _sources(self, node: int) -> list[int]:
        """What a node reads; ~literal stands for one without any change."""
        if node in self.picked:
            return self.picked[node][1]
        return [self.old.left[node], self.old.right[node]]

    def _choose(self, node: int, values: list[int]) -> int:
        """The value at the index; the first for an index past the end."""
        pick, new = self.picked[node][0], self.new
        row = values + values[:1] * ((1 << pick.bits) - len(values))
        for bit in self.index[pick.index]:
            row = [new.choose(bit, row[i + 1], row[i]) for i in range(0, len(row), 2)]
        return new.exclusive_or(row[0], self.index[pick.inverted][0]) if pick.inverted else row[0]
