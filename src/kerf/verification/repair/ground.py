"""What templates stand on: fresh wires, text of the source, words that may be picked where, assignments that are usual for a target."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kerf.verification.repair.change import PREFIX, Change, Insert, Pick, Values
from kerf.verification.repair.order import Order
from kerf.verification.repair.source import Assignment, Key, Module, Places, Process, Span, uncommented

MOST_WORDS = 24  # words that one expression may be replaced by
MOST_GUARDS = 64
MOST_LITERAL = 64  # bits


@dataclass(frozen=True)
class Literal:
    """A word of one bit, or its inverse."""

    pick: Pick
    words: Sequence[str]

    def __str__(self) -> str:
        return self.pick.wire

    def told(self, v: Values) -> str:
        word = picked(self.words, v(self.pick.index))
        plain = re.fullmatch(r"\w+", word) is not None
        if v(self.pick.inverted):
            return f"!{word}" if plain else f"!({word})"
        return word if plain else f"({word})"


@dataclass
class Ground:
    """`level`: how many templates, 0 to 2."""

    places: Places
    order: Order
    texts: dict[str, str]
    level: int = 1
    scope: set[Key] | None = None  # words whose assignments may change; None for all
    _count: int = 0
    _lists: dict[tuple[str, int, tuple[str, ...]], str] = field(default_factory=dict)
    _rank: int = 0

    def _new(self, kind: str = "h") -> str:
        self._count += 1
        return f"{PREFIX}{kind}{self._count}"

    def _wrap(self, span: Span, before: str, behind: str) -> Insert:
        self._rank += 1
        return Insert(span, before, behind, self._rank)

    def text(self, span: Span) -> str:
        data = self.texts[span.source].encode("utf-8", "surrogateescape")
        return uncommented(data[span.start : span.end].decode("utf-8", "surrogateescape"))

    def _pick(self, module: str, width: int, words: Sequence[str], inverted: bool = False) -> Pick:
        """One of `words`, texts that have a meaning anywhere in the module."""
        key = (module, width, tuple(words))
        name = self._lists.setdefault(key, f"{PREFIX}l{len(self._lists)}_")
        bits = max((len(words) - 1).bit_length(), 1)
        return Pick(self._new("w"), width, name, len(words), self._new(), bits, self._new() if inverted else "")  # fmt: skip

    def _reaches(self, process: Process, target: str = "") -> bool:
        """Whether a process, or what it assigns to one target, is in scope."""
        targets = (target,) if target else process.targets
        return self.scope is None or not targets or any((process.module, t) in self.scope for t in targets)

    def _words(self, process: Process, module: Module, width: int, near: str, constants: bool = True) -> list[str]:  # fmt: skip
        """Words of a width that a process may read, those whose names are like `near` first."""
        from difflib import SequenceMatcher

        fit = [w.name for w in module.words.values() if w.width == width and w.name != near]
        parameters = [n for n in fit if module.words[n].kind == "parameter"] if constants else []
        fit = [n for n in fit if module.words[n].kind == "variable"]
        readable = parameters + self.order.readable(process, fit)
        readable.sort(key=lambda n: -SequenceMatcher(None, n, near).ratio())
        return readable[:MOST_WORDS]

    def _guards(self, process: Process) -> list[str]:
        """One-bit words and conditions of the module."""
        module = self.places.modules[process.module]
        words = [w.name for w in module.words.values() if w.width == 1 and w.kind == "variable"]
        found = self.order.readable(process, words)
        for text, names in module.conditions.items():
            plain = [n for n in names if module.words.get(n) and module.words[n].kind == "variable"]
            others = [n for n in names if n not in plain]
            known = len(plain) == 1 and text not in found and all(n in module.words for n in others)
            if known and self.order.readable(process, plain) == plain and not text.startswith(("!", "~")):
                found.append(text)
        return found[:MOST_GUARDS]

    def _literals(self, process: Process) -> tuple[Literal, Literal] | None:
        """Two words of one bit or their inverses, as the solver chooses."""
        words = self._guards(process)
        if not words:
            return None
        picks = [self._pick(process.module, 1, words, True) for _ in range(2)]
        return Literal(picks[0], words), Literal(picks[1], words)

    def _wider(self, process: Process, span: Span, wider: str, enable: str, two: Literal) -> Change:
        return Change("widen guard", process.module, wider, (), (Insert(span),), lambda v: [], 2, enable, picks=(two.pick,))  # fmt: skip

    def _is_plain(self, a: Assignment) -> bool:
        """Whether what is assigned means the same anywhere in the module, and may be read there."""
        module = self.places.modules[a.process.module]
        text = self.text(a.right)
        names = re.findall(r"(?<![\w'$`])[A-Za-z_]\w*", text)
        known = [n for n in names if n in module.words and module.words[n].kind != "varying"]
        variables = [n for n in known if module.words[n].kind == "variable"]
        plain = len(known) == len(names) and "`" not in text and "$" not in text
        return plain and set(self.order.readable(a.process, variables)) == set(variables)

    def _all_usual(self, process: Process, target: str) -> list[Assignment]:
        known = self.places.assignments.values() if self._reaches(process, target) else ()
        return [a for a in known if a.process.number == process.number and a.target == target and a.whole and not self._is_list(a)]  # fmt: skip

    def _usual(self, process: Process, target: str) -> list[Assignment]:
        """At most one assignment of the whole target, to see its width and sign."""
        return [a for a in self._all_usual(process, target) if a.width <= MOST_LITERAL][:1]

    def _is_list(self, a: Assignment) -> bool:
        return self.text(a.left).startswith("{")


def picked(texts: Sequence[str], index: int) -> str:
    return texts[index if index < len(texts) else 0]


def ends(span: Span) -> tuple[Span, Span]:
    return Span(span.source, span.start, span.start), Span(span.source, span.end, span.end)


def fitted(hole: str, width: int, wanted: int, signed: bool) -> str:
    """A hole as an expression of `wanted` bits."""
    text = f"{{{wanted - width}'d0, {hole}}}" if width < wanted else hole
    return f"$signed({text})" if signed else text


def choice(hole: str, bits: int, texts: Sequence[str]) -> str:
    """The text that a hole's value picks; the last for all others."""
    row = f"({texts[-1]})"
    for index in reversed(range(len(texts) - 1)):
        row = f"({hole} == {bits}'d{index} ? ({texts[index]}) : {row})"
    return row
