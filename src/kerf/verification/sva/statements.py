"""The concurrent assertions of a design, instance by instance: what each asks, when, and where its expressions stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.sva.extra import clock as clock_of_module
from kerf.verification.sva.names import last
from kerf.verification.sva.places import Places, defaults, instances
from kerf.verification.sva.properties import TRUE, Every, Property, Some, abort
from kerf.verification.sva.sequences import Tick
from kerf.verification.sva.translate import Translator, clock_of
from kerf.verification.sva.wording import Clock, Unsupported, kind, plain

KINDS = {
    "Assert": "assert",
    "Assume": "assume",
    "Restrict": "assume",
    "CoverProperty": "cover",
    "CoverSequence": "cover",
}


@dataclass
class Statement:
    """An assertion of one instance before it is built: the property over guards, and where its atoms are."""

    name: str
    kind: str
    text: str
    source: str
    scope: str
    translator: Translator
    wanted: Property
    antecedent: Property | None
    clock_net: str
    place: tuple[int, int]
    once: bool = False


def statements(places: Places) -> list[Statement]:
    """All of them. KerfError with the places of those that are not supported."""
    found, refused = [], []
    for block, statement in instances(places.design):
        try:
            found.append(_Reading(places, block, statement).statement())
        except Unsupported as error:
            refused.append(f"{places.location(statement.syntax)}: not supported: {error}")
    if refused:
        raise KerfError("assertions that cannot be compiled:\n" + "\n".join(dict.fromkeys(refused)))
    return _distinct(found)


def _distinct(found: list[Statement]) -> list[Statement]:
    count: dict[str, int] = {}
    for s in found:
        count[s.name] = count.get(s.name, 0) + 1
        if count[s.name] > 1:
            s.name = f"{s.name}_{count[s.name]}"
    return found


@dataclass
class _Reading:
    places: Places
    block: Any
    node: Any

    def statement(self) -> Statement:
        member, syntax = self.node.syntax.parent, self.node.syntax
        what = KINDS.get(last(self.node.assertionKind))
        if what is None:
            raise Unsupported(f"{last(self.node.assertionKind).lower()} property")
        procedure = None if kind(member) == "ConcurrentAssertionMember" else Procedure(self.block, self.node)
        anchor = member if procedure is None else self.block.syntax
        declare = self.places.at(anchor) if procedure is None else self.places.beside(anchor, syntax)
        outside = defaults(anchor.parent)
        clock = self._clock(self.node.propertySpec, outside, procedure)
        translator = Translator(declare, clock, weak=what != "cover", covering=what == "cover")
        wanted, antecedent = self._asked(translator, procedure, outside.get("disable"), what)
        scope = self.block.hierarchicalPath.partition(".")[2]
        place, line = self.places.range(syntax), self.places.location(syntax)
        return Statement(
            self._name(scope, what, line), what, plain(syntax.propertySpec), line, scope, translator, wanted, antecedent,
            declare.net(clock.text), (place.source, place.start), procedure is not None and procedure.initial,
        )  # fmt: skip

    def _asked(
        self, translator: Translator, procedure: Procedure | None, disable: Any, what: str
    ) -> tuple[Property, Property | None]:
        """The property and its antecedent, with what the place around them adds."""
        spec = self.node.propertySpec
        wanted = translator.property(spec)
        if translator.locals.assigned and what == "assume":
            raise Unsupported("local variables in an assumption")
        translator.locals.assigned.clear()
        antecedent = Antecedents(translator).of(spec)
        if procedure is not None:
            wanted, antecedent = procedure.enabled(translator, wanted, antecedent)
        if disable is not None and not _disables(spec):
            condition = translator.named(translator.wording().text(disable, ()))
            wanted = abort(condition, what != "cover", wanted)
            antecedent = antecedent and abort(condition, False, antecedent)
        return wanted, antecedent

    def _name(self, scope: str, what: str, line: str) -> str:
        label = self.node.syntax.label
        name = str(label.name.rawText) if label is not None else f"{what}_{line.rpartition(':')[2]}"
        return f"{scope}.{name}" if scope else name

    def _clock(self, spec: Any, outside: Mapping[str, Any], procedure: Procedure | None) -> Clock:
        """An assertion's own clock, that of the procedure around it, the default one, or the only one of the top module."""
        own = _own_clock(spec)
        if own is not None:
            return clock_of(own, plain)
        if procedure is not None and procedure.clocks:
            return procedure.clock()
        if outside.get("clocking") is not None:
            return _default(outside["clocking"])
        edge, _, name = clock_of_module(self.places.design).partition(" ")
        return Clock(edge, name)


class Procedure:
    """The conditions and the clock under which an assertion stands in a procedure."""

    def __init__(self, block: Any, node: Any) -> None:
        self.initial = last(block.procedureKind) == "Initial"
        self.conditions: list[tuple[Any, bool]] = []
        self.clocks: list[Any] = []
        if last(block.procedureKind) in ("Final", "AlwaysComb", "AlwaysLatch") or not self._find(
            block.body, node
        ):
            raise Unsupported("a concurrent assertion in this kind of procedure: move it out")

    def _find(self, statement: Any, node: Any) -> bool:
        """Down to the assertion, through blocks and conditions."""
        where = node.sourceRange.start
        if type(statement).__name__ == "ConcurrentAssertionStatement":
            return bool(statement.sourceRange.start == where)
        for child, condition in self._below(statement):
            if self._find(child, node):
                if condition is not None:
                    self.conditions.append(condition)
                return True
        return False

    def _below(self, statement: Any) -> Iterator[tuple[Any, tuple[Any, bool] | None]]:
        match type(statement).__name__:
            case "TimedStatement":
                if not self.clocks:
                    self.clocks = list(getattr(statement.timing, "events", [statement.timing]))
                yield statement.stmt, None
            case "BlockStatement":
                yield statement.body, None
            case "StatementList":
                yield from ((s, None) for s in statement.list)
            case "ConditionalStatement" if len(statement.conditions) == 1:
                test = statement.conditions[0].expr
                yield statement.ifTrue, (test, True)
                if statement.ifFalse is not None:
                    yield statement.ifFalse, (test, False)

    def clock(self) -> Clock:
        """The event that no condition reads: the others are asynchronous resets."""
        read = " ".join(plain(test.syntax) for test, _ in self.conditions)
        found = [clock_of(e, plain) for e in self.clocks]
        left = [c for c in found if c.text not in read.split()] if len(found) > 1 else found
        if len(left) != 1:
            raise Unsupported("a clock of several events")
        return left[0]

    def enabled(
        self, translator: Translator, wanted: Property, antecedent: Property | None
    ) -> tuple[Property, Property | None]:
        guards = translator.guards
        path = 1
        for test, true in self.conditions:
            guard = translator.guard(test)
            path = guards.conjunction(path, guard if true else guards.negation(guard))
        if path == 1:
            return wanted, antecedent
        if translator.covering:
            return Some(Tick(path), wanted, False), None
        return Every(Tick(path), wanted, True), Some(Tick(path), antecedent or TRUE, False)


def _own_clock(e: Any) -> Any:
    while True:
        if type(e).__name__ == "ClockingAssertionExpr":
            return e.clocking
        if type(e).__name__ == "SimpleAssertionExpr" and last(e.expr.kind) == "AssertionInstance":
            e = e.expr.body
        elif type(e).__name__ == "SequenceConcatExpr":
            e = e.elements[0].sequence
        elif hasattr(e, "left"):
            e = e.left
        elif hasattr(e, "expr"):
            e = e.expr
        else:
            return None


def _default(event: Any) -> Clock:
    words = plain(event).replace("@", " ").strip("() ").split()
    if len(words) != 2 or words[0] not in ("posedge", "negedge"):
        raise Unsupported(f"the default clock {plain(event)}")
    return Clock(words[0], words[1])


def _disables(e: Any) -> bool:
    name = type(e).__name__
    if name == "DisableIffAssertionExpr":
        return True
    if name == "ClockingAssertionExpr":
        return _disables(e.expr)
    return (
        name == "SimpleAssertionExpr" and last(e.expr.kind) == "AssertionInstance" and _disables(e.expr.body)
    )


@dataclass
class Antecedents:
    """That an attempt comes to the end of its antecedents."""

    translator: Translator

    def of(self, e: Any) -> Property | None:
        t, name = self.translator, type(e).__name__
        if name == "ClockingAssertionExpr":
            return self.of(e.expr)
        if name == "DisableIffAssertionExpr":
            inner = self.of(e.expr)
            return inner and abort(t.guard(e.condition), False, inner)
        if name == "SimpleAssertionExpr" and last(e.expr.kind) == "AssertionInstance":
            with t.inside(e.expr):
                return self.of(e.expr.body)
        if name == "BinaryAssertionExpr" and "Implication" in last(e.op):
            with t.locals.at(binding=True):
                sequence = t.sequence(e.left)
            return Some(sequence, self.of(e.right) or TRUE, False)
        return None
