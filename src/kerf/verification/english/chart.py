"""A chart parser: for each kind of phrase and place the cheapest reading that ends at each later place (Viterbi over a memoized grammar)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerf.verification.english.words import Token

Reading = tuple[int, float, Any]  # end, cost, meaning
Table = Mapping[tuple[str, ...], str]


class Chart:
    """Subclasses have a method for each kind of phrase: from a place to its readings. No rule may begin with itself."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.words = [t.word for t in tokens]
        self.furthest = 0
        self._memo: dict[tuple[str, int], dict[int, tuple[float, Any]]] = {}

    def read(self, kind: str, i: int) -> Iterator[Reading]:
        """The cheapest reading of a kind for each end."""
        found = self._memo.get((kind, i))
        if found is None:
            found = self._memo[kind, i] = {}
            if i < len(self.tokens):
                for end, cost, meaning in getattr(self, kind)(i):
                    if end not in found or cost < found[end][0]:
                        found[end] = cost, meaning
                        self.furthest = max(self.furthest, end)
        for end, (cost, meaning) in found.items():
            yield end, cost, meaning

    def match(self, i: int, table: Table) -> Iterator[tuple[int, str]]:
        """The phrases of a table that begin at `i`."""
        for length in range(1, 9):
            key = tuple(self.words[i : i + length])
            if len(key) == length and key in table:
                yield i + length, table[key]

    def maybe(self, i: int, table: Table) -> Iterator[int]:
        """`i`, and where phrases of a table that begin there end."""
        yield i
        for end, _ in self.match(i, table):
            yield end

    def at(self, i: int, *words: str) -> bool:
        return i < len(self.words) and self.words[i] in words
