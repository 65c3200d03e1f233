"""Expressions of assertions as text that stands in the assertion's own scope, for synthesis to read.

Arguments of properties and sequences are put in place of their names; `$past` and its kin become registers that hold the signals' earlier values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kerf.core.types import KerfError

Spot = tuple[int, int]  # where a token stands: slang's number of the buffer, and the offset in it
DECLARATIONS = ("PropertyDeclaration", "SequenceDeclaration")
WRAPPERS = (
    "SimplePropertyExpr",
    "SimpleSequenceExpr",
    "ParenthesizedPropertyExpr",
    "ParenthesizedSequenceExpr",
)
NAMES = ("IdentifierName", "IdentifierSelectName", "ScopedName")
WIDEST = 256  # bits of a signal that is kept whole for its past
SAMPLED = ("$past", "$rose", "$fell", "$stable", "$changed", "$sampled", "$isunknown")


@dataclass(frozen=True)
class Frame:
    """A property or sequence while its instance is read: `declaration` is where it is declared; `actual` has an argument's syntax and the frames
    around it, by name."""

    declaration: Spot
    actual: Mapping[str, tuple[Any, tuple[Frame, ...]]]


@dataclass(frozen=True)
class Clock:
    edge: str
    text: str


@dataclass(frozen=True)
class Signal:
    """A signal in an expression: where its text ends, its width in bits (0 where it is no word), and its type where that has to be told."""

    end: int
    width: int
    type: str = ""


def spot(location: Any) -> Spot:
    return int(location.buffer.id), int(location.offset)


def kind(syntax: Any) -> str:
    return str(syntax.kind).rpartition(".")[2]


def is_token(syntax: Any) -> bool:
    return type(syntax).__name__ == "Token"


def plain(syntax: Any) -> str:
    """The text of a piece of syntax, on one line and without comments."""
    if is_token(syntax):
        return str(syntax.rawText)
    return " ".join(t for t in (plain(child) for child in syntax) if t)


@dataclass
class Wording:
    """Writes expressions of one assertion. `declare` are the wires and registers that they need. Of the expression at hand: its `signals`, the values
    of `constants` among the arguments of calls, `types` of those arguments, `locals`, the wires of local variables, and `fixed`, names that stand for a
    constant."""

    declare: Declarations
    clock: Clock
    signals: dict[Spot, Signal] = field(default_factory=dict)
    constants: dict[Spot, int] = field(default_factory=dict)
    fixed: set[Spot] = field(default_factory=set)
    types: dict[Spot, str] = field(default_factory=dict)
    locals: dict[Spot, str] = field(default_factory=dict)

    def text(self, syntax: Any, frames: tuple[Frame, ...], age: int = 0) -> str:
        """The expression as it was `age` ticks ago."""
        if is_token(syntax):
            return str(syntax.rawText)
        name = kind(syntax)
        if name in NAMES[:2] and (local := self.locals.get(spot(syntax.sourceRange.start))):
            return local + "".join(self.text(s, frames, age) for s in getattr(syntax, "selectors", ()))
        if name in NAMES[:2] and (found := actual(syntax, frames)):
            return self._bound(syntax, found, frames, age)
        if name == "InvocationExpression" and plain(syntax.left) in SAMPLED:
            return self._sampled(syntax, frames, age)
        if plain(syntax).endswith((". triggered", ". matched")):
            raise Unsupported("the end point of a sequence (.triggered, .matched)")
        if age and name in NAMES:
            return self._aged(syntax, frames, age)
        if name == "InvocationExpression":
            return (
                f"{plain(syntax.left)} {self.text(syntax.arguments, frames, age) if syntax.arguments else ''}"
            )
        return self._children(syntax, frames, age)

    def _children(self, syntax: Any, frames: tuple[Frame, ...], age: int) -> str:
        return " ".join(t for t in (self.text(child, frames, age) for child in syntax) if t)

    def _bound(
        self, syntax: Any, found: tuple[Any, tuple[Frame, ...]], frames: tuple[Frame, ...], age: int
    ) -> str:
        """An argument. Where it is a signal's name, slang has that at the place of the argument's name."""
        named = self.signals.get(spot(syntax.sourceRange.start)) if age else None
        inner = self.text(found[0], found[1], 0 if named else age)
        if named:
            inner = self.declare.history(inner, age, self.clock, named.type)
        selects = "".join(self.text(s, frames, age) for s in getattr(syntax, "selectors", ()))
        return inner + selects if selects or inner.isidentifier() else f"( {inner} )"

    def _aged(self, syntax: Any, frames: tuple[Frame, ...], age: int) -> str:
        """A name and what is selected from it. _Unknown where it is none of the signals and constants that slang found."""
        place, scoped = spot(syntax.sourceRange.start), kind(syntax) == "ScopedName"
        final = syntax.right if scoped else syntax
        selects = "".join(self.text(s, frames, age) for s in getattr(final, "selectors", ()))
        own = str(final.identifier.rawText)
        whole = f"{plain(syntax.left)} {plain(syntax.separator)} {own}" if scoped else own
        if place in self.fixed:
            return whole + selects
        signal = self.signals.get(place)
        if signal is None:
            raise _Unknown
        if not scoped or signal.end >= int(final.identifier.location.offset) + len(own):
            return self.declare.history(whole, age, self.clock, signal.type) + selects
        if signal.type:
            raise _Unknown  # a member of a structure that has a hierarchical name
        return f"{self.text(syntax.left, frames, age)} {plain(syntax.separator)} {own}{selects}"

    def _sampled(self, syntax: Any, frames: tuple[Frame, ...], age: int) -> str:
        call, row = plain(syntax.left), arguments(syntax)
        if call == "$past":
            return self._past(row, frames, age)
        if not row:
            raise Unsupported(f"{call} without an argument")
        if len(row) > 1 and plain(row[1]) != self._clocking():
            raise Unsupported(f"{call} with a clock of its own")
        now = self.text(row[0], frames, age)
        if call == "$sampled":
            return f"( {now} )"
        if call == "$isunknown":
            return "1'b0"
        before = self.earlier(row[0], frames, age, 1)
        forms = {
            "$rose": "( 1'( {now} ) & ~ 1'( {before} ) )",
            "$fell": "( ~ 1'( {now} ) & 1'( {before} ) )",
            "$stable": "( ( {now} ) == ( {before} ) )",
            "$changed": "( ( {now} ) != ( {before} ) )",
        }
        return forms[call].format(now=now, before=before)

    def _clocking(self) -> str:
        return f"@ ( {self.clock.edge} {self.clock.text} )"

    def _past(self, row: Sequence[Any], frames: tuple[Frame, ...], age: int) -> str:
        ticks, gate = 1, ""
        if len(row) > 1 and row[1] is not None and plain(row[1]):
            ticks = self._ticks(row[1])
        if len(row) > 2 and row[2] is not None and plain(row[2]):
            gate = self.text(row[2], frames)
        if len(row) > 3 and plain(row[3]) != self._clocking():
            raise Unsupported("$past with a clock of its own")
        if gate and age:
            raise Unsupported("a gated $past inside another")
        if gate:
            return self.declare.history(self.text(row[0], frames), ticks, self.clock, gate=gate)
        found = self.earlier(row[0], frames, age, ticks)
        return found if found.isidentifier() else f"( {found} )"

    def _ticks(self, syntax: Any) -> int:
        found = self.constants.get(spot(syntax.sourceRange.start))
        if found is None or found < 0:
            raise Unsupported(f"a $past by {plain(syntax)} ticks, which is no constant")
        return found

    def earlier(self, syntax: Any, frames: tuple[Frame, ...], age: int, ticks: int) -> str:
        """The expression of the signals' earlier values, so that what precedes the first cycle is the same to all expressions; where signals are no
        words, or wide, or a name is not known to be one, the earlier value of the expression."""
        with suppress(_Unknown):
            if self.signals and all(0 < s.width <= WIDEST for s in self.signals.values()):
                return self.text(syntax, frames, age + ticks)
        told = (
            self.types.get(spot(syntax.sourceRange.start), "")
            if any(s.type for s in self.signals.values())
            else ""
        )
        return self.declare.history(self.text(syntax, frames), age + ticks, self.clock, told)


class _Unknown(Exception):
    """A name that may be anything."""


class Unsupported(KerfError):
    """A form of SVA that is not compiled; the compiler adds where it stands."""


def arguments(syntax: Any) -> list[Any]:
    """The arguments of a call in order: expressions, and None where one is left out."""
    if syntax.arguments is None:
        return []
    rows = []
    for item in syntax.arguments.parameters:
        if is_token(item):
            continue
        rows.append(unwrapped(item.expr) if kind(item) == "OrderedArgument" else None)
    return rows


def unwrapped(syntax: Any) -> Any:
    """The expression in what may be a sequence or a property."""
    while kind(syntax) in WRAPPERS:
        syntax = syntax.expr
    return syntax


def actual(syntax: Any, frames: tuple[Frame, ...]) -> tuple[Any, tuple[Frame, ...]] | None:
    """What an argument's name stands for, in the innermost instance of the declaration that the text lies in."""
    place = declaration(syntax)
    for frame in reversed(frames):
        if frame.declaration == place:
            return frame.actual.get(str(syntax.identifier.rawText))
    return None


def declaration(syntax: Any) -> Spot | None:
    """Where the property or sequence is declared that a piece of syntax is part of."""
    node = syntax
    while node is not None:
        if kind(node) in DECLARATIONS:
            return spot(node.sourceRange.start)
        node = node.parent
    return None


@dataclass
class Declarations:
    """The wires and registers that the assertions of one place in the source need. `lines` go into that place."""

    prefix: str
    lines: list[str] = field(default_factory=list)
    known: dict[tuple[str, ...], str] = field(default_factory=dict)

    def _name(self) -> str:
        return f"{self.prefix}_{len(self.known)}"

    def wire(self, text: str) -> str:
        """A wire that is 1 where the expression is not 0."""
        key = ("wire", text)
        if key not in self.known:
            name = self.known[key] = self._name()
            self.lines.append(f"(* keep *) wire {name} = ( {text} ) ? 1'b1 : 1'b0;")
        return self.known[key]

    def free(self, type_: str, name: str) -> str:
        """A word that nothing drives, for a local variable."""
        key = ("free", type_, name)
        if key not in self.known:
            self.known[key] = self._name()
            self.lines.append(f"(* keep *) wire {type_} {self.known[key]} ;")
        return self.known[key]

    def net(self, text: str) -> str:
        """A wire that is the same net as the expression: a clock's."""
        key = ("net", text)
        if key not in self.known:
            name = self.known[key] = self._name()
            self.lines.append(f"(* keep *) wire {name} ; assign {name} = {text};")
        return self.known[key]

    def history(self, text: str, age: int, clock: Clock, type_: str = "", gate: str = "") -> str:
        """The value of an expression `age` ticks of the clock ago (with a gate: `age` ticks in which the gate held)."""
        if age == 0:
            return text
        key = ("past", text, str(age), clock.edge, clock.text, gate)
        if key not in self.known:
            before = self.history(text, age - 1, clock, type_, gate)
            name = self.known[key] = self._name()
            declared = f"{type_ or f'var type( {text} )'} {name};"
            when = f"if ( {gate} ) " if gate else ""
            self.lines.append(f"{declared} always @( {clock.edge} {clock.text} ) {when}{name} <= {before};")
        return self.known[key]
