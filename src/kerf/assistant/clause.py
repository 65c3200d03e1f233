"""One verb in one clause: what each token was used for, what is missing, and what nobody used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.assistant.declared import parameters
from kerf.assistant.plan import base
from kerf.assistant.words import FILLERS, Token
from kerf.core.verb import Verb

LINKS = {"of", "=", ":", "is", "to", "at", "the", "a", "an"}


@dataclass
class Filling:
    """`used`: token -> what it was used for. `said`: what is certain. `missing`: parameters that must still be asked for, each with
    choices. `wrong`: what was understood and cannot be. `weight`: how much speaks for this verb."""

    verb: Verb
    tokens: Sequence[Token]
    arguments: dict[str, Any] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    wrong: str = ""
    goal: float | None = None
    called: int = 0
    calling: set[int] = field(default_factory=set)
    weight: float = 0.0

    @property
    def leftover(self) -> list[Token]:
        return [t for i, t in enumerate(self.tokens) if i not in self.used and t.norm not in FILLERS]

    @property
    def clean(self) -> bool:
        return not (self.leftover or self.missing or self.wrong)

    def free(self, span: range) -> bool:
        return not self.used & set(span)

    def open(self, span: range) -> bool:
        """Free, or used by what calls the verb: "find three repairs"."""
        return not (self.used - self.calling) & set(span)

    def take(self, span: Sequence[int], weight: float = 1.0) -> None:
        self.used |= set(span)
        self.weight += weight


def put(f: Filling, name: str, value: Any) -> None:
    p, said = next(pair for pair in parameters(f.verb) if pair[0].name == name)
    _, many = base(p.kind)
    if many:
        items = f.arguments.setdefault(name, [])
        if any(_against(value, other) for other in items):
            f.wrong = f.wrong or f"{value!r} and another one of the same things: say one"
        if value not in items:
            items.append(value)
    elif said.joined and name in f.arguments and value not in f.arguments[name].split(","):
        f.arguments[name] += f",{value}"
    elif not (said.joined and name in f.arguments):
        if name in f.arguments and f.arguments[name] != value:
            f.wrong = f.wrong or f"two values for {name}: {f.arguments[name]} and {value}; say one"
        f.arguments[name] = value


def _against(value: Any, other: Any) -> bool:
    """Two constraints that cannot both hold: of one kind, about the same things, and not the same."""
    one, two = str(value).split(), str(other).split()
    return len(one) > 2 and value != other and one[:2] == two[:2] and bool({"*", "THEM"} & {*one[1], one[1]})
