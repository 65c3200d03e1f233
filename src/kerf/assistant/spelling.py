"""Spelling mistakes: the nearest word that somebody declared, by edits with transpositions (Damerau 1964, optimal string alignment)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from kerf.assistant.words import FILLERS, NUMBERS, UNITS, WHOLE, Token, stem

GRAMMAR = frozenset(
    [
        "least",
        "most",
        "over",
        "under",
        "above",
        "below",
        "minimum",
        "than",
        "except",
        "every",
        "half",
        "halve",
        "double",
        "twice",
        "triple",
        "third",
        "quarter",
        "more",
        "less",
        "bigger",
        "smaller",
        "longer",
        "shorter",
        "fewer",
        "larger",
        "higher",
        "lower",
        "faster",
        "quicker",
        "again",
        "another",
        "different",
        "same",
        "instead",
        "without",
        "drop",
        "remove",
        "then",
        "when",
        "while",
        "until",
        "unless",
        "because",
        "after",
        "undo",
        "compare",
        "previous",
        "last",
        "newest",
        "before",
        "two",
        "second",
        "minutes",
        "threads",
        "seconds",
    ]
)


class Speller:
    def __init__(self, words: Collection[str]) -> None:
        known = {*words, *FILLERS, *WHOLE, *GRAMMAR, *NUMBERS, *UNITS}
        self._declared = frozenset(words)
        self.words = sorted(w for w in known if w.isalpha())
        self._known = frozenset(self.words)
        self._stems = {stem(w) for w in self.words}

    def corrected(self, tokens: Sequence[Token]) -> list[Token]:
        return [self._one(t) for t in tokens]

    def _one(self, token: Token) -> Token:
        word = token.norm
        if (
            token.quoted
            or token.stem in self._stems
            or word in self._known
            or not re.fullmatch(r"[a-z]{4,}", word)
        ):
            return token
        most = 1 if len(word) < 7 else 2
        found = process.extract(word, self.words, scorer=OSA.distance, score_cutoff=most, limit=5)
        near = [w for w, distance, _ in found if distance == found[0][1]]
        near = [w for w in near if w in self._declared and w not in FILLERS] or near
        return token.read_as(near[0]) if len({stem(w) for w in near}) == 1 else token
