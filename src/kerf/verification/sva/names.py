"""What slang knows of the names in an assertion's expressions: signals, constants, arguments, local variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kerf.verification.sva.wording import Declarations, Signal, Spot, Unsupported, Wording, spot

CONSTANTS = ("Parameter", "EnumValue", "Genvar", "Specparam")
SIGNALS = ("Variable", "Net", "Field", "FormalArgument", "ModportPort")


def last(name: Any) -> str:
    return str(name).rpartition(".")[2]


@dataclass
class Locals:
    """The local variables of an assertion, each a free word that does not change: an antecedent that assigns to one is met with the word that equals
    what it assigns. This is what the standard says where a variable is assigned once on the way to what every attempt must satisfy (`binding`)."""

    wires: dict[Spot, str] = field(default_factory=dict)
    assigned: set[Spot] = field(default_factory=set)
    outermost: bool = True
    binding: bool = False

    @contextmanager
    def at(self, **place: bool) -> Iterator[None]:
        before = self.outermost, self.binding
        for name, value in place.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            self.outermost, self.binding = before

    def declare(self, symbol: Any, declare: Declarations) -> None:
        if symbol.initializer is not None or not symbol.type.isIntegral:
            raise Unsupported(f"the local variable {symbol.name}, which has an initial value or is no word")
        self.wires[spot(symbol.location)] = declare.free(vector(symbol.type), str(symbol.name))

    def assign(self, symbol: Any) -> str:
        """The wire of a variable that is assigned to here."""
        place = spot(symbol.location)
        if not self.binding:
            raise Unsupported(
                f"an assignment to {symbol.name} in a place that is not met once on the way to the consequent"
            )
        if place in self.assigned:
            raise Unsupported(f"a second assignment to {symbol.name}")
        self.assigned.add(place)
        return self.wires[place]


def syntax_of(expression: Any) -> Any:
    """The syntax of an expression, below the conversions that slang puts around it."""
    while expression.syntax is None:
        expression = expression.operand
    return expression.syntax


def known(expression: Any) -> int | None:
    """The value of a constant expression."""
    value = None if expression.constant is None else expression.constant.value
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def collect(expression: Any, into: Wording, wires: Mapping[Spot, str]) -> None:
    """What slang knows of the names and calls in an expression."""
    from pyslang.ast import VisitAction

    def visit(node: Any) -> Any:
        what = last(getattr(node, "kind", ""))
        if what in ("NamedValue", "HierarchicalValue"):
            _name(node, into, wires)
        elif what == "Call":
            for argument in node.arguments:
                _argument(argument, into)
            if not node.isSystemCall:  # it may read signals that it is not given
                into.signals[spot(node.sourceRange.start)] = Signal(0, 0)
        return VisitAction.Advance

    expression.visit(visit)


def _name(node: Any, into: Wording, wires: Mapping[Spot, str]) -> None:
    where, symbol = node.sourceRange, last(node.symbol.kind)
    if symbol == "LocalAssertionVar":
        into.locals[spot(where.start)] = wires[spot(node.symbol.location)]
    elif symbol in SIGNALS:
        hierarchical = last(node.kind) == "HierarchicalValue"  # of which the type operator knows nothing
        width = int(node.type.bitWidth) if node.type.isIntegral else 0
        into.signals[spot(where.start)] = Signal(
            int(where.end.offset), width, vector(node.type) if hierarchical else ""
        )
    elif symbol in CONSTANTS:
        into.fixed.add(spot(where.start))


def vector(type_: Any) -> str:
    """A vector of the type's width and sign; "" where it is no word."""
    if not type_.isIntegral:
        return ""
    return f"logic {'signed ' if type_.isSigned else ''}[{int(type_.bitWidth) - 1}:0]"


def _argument(argument: Any, into: Wording) -> None:
    if argument.syntax is None:
        return
    number, type_ = known(argument), vector(argument.type) if hasattr(argument.type, "isIntegral") else ""
    for place in (spot(argument.syntax.sourceRange.start), spot(argument.sourceRange.start)):
        into.types[place] = type_
        if number is not None:
            into.constants[place] = number
