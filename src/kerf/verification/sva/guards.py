"""Boolean functions of a property's atoms, canonical: ordered binary decision diagrams (Bryant, IEEE Trans. Computers 1986).

Two guards are the same number exactly when they are the same function, so that an automaton never follows a move that no letter can take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

NO, YES = 0, 1
LAST = 1 << 30  # the variable of the constants: after every other


class Guards:
    """`atom(n)` is the n-th atom. Guards of one manager may be combined with each other only."""

    def __init__(self) -> None:
        self._nodes: list[tuple[int, int, int]] = [(LAST, NO, NO), (LAST, YES, YES)]
        self._number: dict[tuple[int, int, int], int] = {}
        self._chosen: dict[tuple[int, int, int], int] = {}

    def _node(self, variable: int, low: int, high: int) -> int:
        if low == high:
            return low
        key = (variable, low, high)
        found = self._number.get(key)
        if found is None:
            found = self._number[key] = len(self._nodes)
            self._nodes.append(key)
        return found

    def atom(self, number: int) -> int:
        return self._node(number, NO, YES)

    def choose(self, test: int, then: int, otherwise: int) -> int:
        """`then` where `test` holds, else `otherwise`."""
        if test in (YES, NO):
            return then if test else otherwise
        if then == otherwise:
            return then
        if (then, otherwise) == (YES, NO):
            return test
        key = (test, then, otherwise)
        found = self._chosen.get(key)
        if found is None:
            top = min(self._nodes[g][0] for g in key)
            low, high = (self.choose(*(self._branch(g, top, side) for g in key)) for side in (1, 2))
            found = self._chosen[key] = self._node(top, low, high)
        return found

    def _branch(self, guard: int, variable: int, side: int) -> int:
        node = self._nodes[guard]
        return node[side] if node[0] == variable else guard

    def negation(self, a: int) -> int:
        return self.choose(a, NO, YES)

    def conjunction(self, a: int, b: int) -> int:
        return self.choose(a, b, NO)

    def disjunction(self, a: int, b: int) -> int:
        return self.choose(a, YES, b)

    def any_of(self, guards: Iterable[int]) -> int:
        return reduce(self.disjunction, guards, NO)

    def fold(self, guard: int, atom: Callable[[int], int], choose: Callable[[int, int, int], int],
             made: dict[int, int]) -> int:  # fmt: skip
        """The guard in another algebra, in which 0 is false and 1 is true: `atom(n)` is the n-th atom, `choose(test, then, otherwise)`; `made`
        remembers what is folded already."""
        if guard in (NO, YES):
            return guard
        if guard not in made:
            variable, low, high = self._nodes[guard]
            below = [self.fold(g, atom, choose, made) for g in (high, low)]
            made[guard] = choose(atom(variable), *below)
        return made[guard]
