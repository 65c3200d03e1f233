"""Names of a design as people say them: "the empty flag", "read pointer", "fifo full", with a slip of the pen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kerf.verification.design import Design
from kerf.verification.english.words import RESETS, Token

NOUNS = {
    "flag",
    "signal",
    "signals",
    "output",
    "input",
    "register",
    "line",
    "wire",
    "pin",
    "port",
    "bit",
    "counter",
    "value",
    "bus",
    "word",
}
ARTICLES = {"the", "a", "an", "its", "this"}
LOW = re.compile(r"(n|_ni|_n|_b|_l|_)$", re.I)
LONGEST = 5  # words in a name
EXACT, JOINED, PARTIAL, SPELLED = 0.0, 0.3, 1.5, 3.0


@dataclass(frozen=True)
class Name:
    """A signal, port or parameter of the top module; `width` in bits."""

    text: str
    width: int


@dataclass(frozen=True)
class Found:
    """`text`: what to write; `end`: the token after the name; `cost`: how far what was said is from the name."""

    text: str
    width: int
    end: int
    cost: float


def names_of(design: Design) -> list[Name]:
    """What assertions in the top module may speak of."""
    found = {p.name: Name(p.name, p.width) for p in design.ports}
    for member in getattr(design.root, "body", design.root):
        kind = str(getattr(member, "kind", "")).rpartition(".")[2]
        if kind in ("Variable", "Net", "Parameter", "EnumValue", "TransparentMember"):
            found.setdefault(str(member.name), Name(str(member.name), _width(member)))
    return list(found.values())


def _width(member: Any) -> int:
    kind = getattr(member, "type", None)
    return int(kind.bitWidth) if kind is not None and kind.isIntegral else 1


class Names:
    """Looks names up in a sentence. `closed`: words of the grammar, which no misspelling turns into a name; `preferred`: names that are meant where
    several are possible."""

    def __init__(self, names: Sequence[Name], closed: frozenset[str], preferred: Sequence[str] = ()) -> None:
        self.names, self.closed, self.preferred = list(names), closed, set(preferred)
        self.ambiguous: dict[int, tuple[str, list[str]]] = {}

    @cached_property
    def _exact(self) -> dict[str, Name]:
        return {n.text: n for n in self.names}

    @cached_property
    def _folded(self) -> dict[str, list[Name]]:
        found: dict[str, list[Name]] = {}
        for name in self.names:
            found.setdefault(_fold(name.text), []).append(name)
        return found

    def at(self, tokens: Sequence[Token], i: int) -> list[Found]:
        """The names that the words from `i` on may be."""
        if i >= len(tokens):
            return []
        text, _, select = tokens[i].text.partition("[")
        if text in self._exact:
            name = self._exact[text]
            return [Found(tokens[i].text, 1 if select and ":" not in select else name.width, i + 1, EXACT)]
        found = []
        start = i + 1 if tokens[i].word in ARTICLES else i
        for end in range(min(start + LONGEST, len(tokens)), start, -1):
            said = [t.word.partition("[")[0] for t in tokens[start:end]]
            if all(re.fullmatch(r"[a-z_]\w*", w) for w in said):
                found += [
                    Found(n.text + self._select(tokens[end - 1]), n.width, end, cost)
                    for n, cost in self._said(said, i)
                ]
        return found

    def joined(self, *groups: Sequence[Token]) -> str | None:
        """The name that some words make, in any of the usual spellings."""
        said = [t.word for group in groups for t in group]
        hits = self._folded.get(_fold("".join(said)), [])
        return hits[0].text if len(hits) == 1 and all(groups) else None

    def like(self, parts: Sequence[str], place: int) -> str | None:
        """The one signal of one bit with one of these words in its name; several are kept to be asked about."""
        hits = [n.text for n in self.names if n.width == 1 and set(parts) & set(_parts(n.text))]
        hits = [h for h in hits if h in self.preferred] or hits
        if len(hits) > 1:
            self.ambiguous[place] = parts[0], hits
        return hits[0] if len(hits) == 1 else None

    def resets(self) -> list[str]:
        """What "reset" means where nothing is called so: expressions that are true in reset."""
        found = [n.text for n in self.names if n.width == 1 and RESETS.search(n.text)]
        return [f"!{n}" if LOW.search(n) else n for n in found]

    @staticmethod
    def _select(token: Token) -> str:
        _, sign, rest = token.text.partition("[")
        return sign + rest

    def _said(self, said: list[str], place: int) -> list[tuple[Name, float]]:
        bare = [w for w in said if w not in NOUNS] or said
        for words, cost in ((said, JOINED), (bare, JOINED + 0.2)):
            if len(words) < len(said) and words[0] != said[0]:
                continue
            hits = self._folded.get(_fold("".join(words)), [])
            if len(hits) == 1 and not (len(words) == 1 and words[0] in self.closed):
                return [(hits[0], cost - 0.05 * len(said))]
        if all(w in self.closed for w in bare) or said[-1] in self.closed - NOUNS:
            return []
        return self._guessed(bare, " ".join(said), place)

    def _guessed(self, words: list[str], said: str, place: int) -> list[tuple[Name, float]]:
        hits = [n for n in self.names if set(words) <= set(_parts(n.text))]
        hits = [n for n in hits if n.text in self.preferred] or hits
        if len(hits) == 1:
            return [(hits[0], PARTIAL)]
        if hits:
            self.ambiguous[place] = said, [n.text for n in hits]
            return []
        if len(words) > 1 or len(words[0]) < 3:
            return []
        near = difflib.get_close_matches(words[0], list(self._folded), 2, 0.8)
        return [(n, SPELLED) for n in self._folded[near[0]]] if len(near) == 1 else []


def _fold(text: str) -> str:
    return text.replace("_", "").lower()


def _parts(text: str) -> list[str]:
    return [p.lower() for p in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text)]
