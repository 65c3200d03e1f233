"""slang's tree of a concurrent assertion as a property over guards (IEEE 1800-2017, 16.7 to 16.15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kerf.verification.sva.guards import NO, YES, Guards
from kerf.verification.sva.names import Locals, collect, known, last, syntax_of
from kerf.verification.sva.properties import (
    TRUE,
    AllOf,
    AnyOf,
    Every,
    Holds,
    Property,
    Release,
    Some,
    Stepper,
    Until,
    abort,
    all_of,
    any_of,
    later,
    some,
)
from kerf.verification.sva.sequences import (
    ANY,
    Fusion,
    Sequence,
    Tick,
    both,
    choice,
    concat,
    delayed,
    first,
    goto,
    intersect,
    nonconsecutive,
    repeat,
    ticks,
    within,
)
from kerf.verification.sva.wording import (
    Clock,
    Declarations,
    Frame,
    Unsupported,
    Wording,
    actual,
    kind,
    spot,
    unwrapped,
)

OPERATORS_ON_SEQUENCES = ("Intersect", "Throughout", "Within")


@dataclass
class Translator:
    """One assertion of one instance. `atoms[n]` is the wire of guard `atom(n)`; `weak`: what a bare sequence means (assert and assume: weak; cover:
    strong); `covering`: an implication is covered by a match of its antecedent alone."""

    declare: Declarations
    clock: Clock
    weak: bool
    covering: bool = False
    stepper: Stepper = field(default_factory=lambda: Stepper(Guards()))
    atoms: dict[str, int] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()
    locals: Locals = field(default_factory=lambda: Locals())

    @property
    def guards(self) -> Guards:
        return self.stepper.guards

    def guard(self, expression: Any, written: Any = None) -> int:
        """The atom of a Boolean expression; `written` where its text is not its own (an argument, a let)."""
        value = known(expression)
        if value is not None:
            return YES if value else NO
        return self.named(self.wording(expression).text(written or syntax_of(expression), self.frames))

    def named(self, text: str) -> int:
        name = self.declare.wire(text)
        return self.guards.atom(self.atoms.setdefault(name, len(self.atoms)))

    def wording(self, *expressions: Any) -> Wording:
        made = Wording(self.declare, self.clock)
        for expression in expressions:
            collect(expression, made, self.locals.wires)
        return made

    # properties

    def property(self, e: Any) -> Property:
        name = type(e).__name__
        if self._is_sequence(e) and not self._is_boolean(e):
            with self.locals.at(binding=self.locals.outermost and self.covering):
                return some(self.sequence(e), TRUE, self.weak)
        handler = PROPERTIES.get(name)
        if handler is None:
            raise Unsupported(f"{name.removesuffix('AssertionExpr')} in a property")
        with self.locals.at(outermost=self.locals.outermost and self._passes_on(e)):
            return handler(self, e)

    def _passes_on(self, e: Any) -> bool:
        """Whether what is inside is asked of every attempt too."""
        passing = ("SimpleAssertionExpr", "ClockingAssertionExpr", "DisableIffAssertionExpr")
        return type(e).__name__ in passing or "Implication" in last(getattr(e, "op", ""))

    def _simple(self, e: Any) -> Property:
        if last(e.expr.kind) == "AssertionInstance":
            with self.inside(e.expr):
                return self.property(e.expr.body)
        return Holds(self.guard(e.expr, unwrapped(e.syntax)))

    def _strength(self, e: Any) -> Property:
        return some(self.sequence(e.expr), TRUE, last(e.strength) == "Weak")

    def _clocking(self, e: Any) -> Property:
        self._check_clock(e.clocking)
        return self.property(e.expr)

    def _disable(self, e: Any) -> Property:
        return abort(self.guard(e.condition), not self.covering, self.property(e.expr))

    def _abort(self, e: Any) -> Property:
        """What no run of any length could satisfy, an abort does not save (annex F.5.3.1: it extends the run so far by what satisfies everything)."""
        body, accept = self.property(e.expr), last(e.action) == "Accept"
        if self._hopeless(body if accept else self.stepper.dual(body)):
            return body
        return abort(self.guard(e.condition), accept, body)

    def _hopeless(self, p: Property) -> bool:
        """Whether its sequences have no length in common."""
        match p:
            case Some(sequence, _, _):
                return not self.stepper.reader.alive(sequence)
            case AllOf(parts):
                return any(map(self._hopeless, parts))
            case AnyOf(parts):
                return all(map(self._hopeless, parts))
        return False

    def _unary(self, e: Any) -> Property:
        op, body = last(e.op), self.property(e.expr)
        if op == "Not":
            return self.stepper.dual(body)
        low, high = (e.range.min, e.range.max) if e.range is not None else (None, None)
        if op in ("NextTime", "SNextTime"):
            ticks_later = 1 if low is None else low
            return later(body, ticks_later, ticks_later, True)
        return later(body, low or 0, high, op in ("Always", "SAlways"))

    def _binary(self, e: Any) -> Property:
        op = last(e.op)
        if op in (
            "OverlappedImplication",
            "NonOverlappedImplication",
            "OverlappedFollowedBy",
            "NonOverlappedFollowedBy",
        ):
            with self.locals.at(binding=self.locals.outermost and ("Implication" in op or self.covering)):
                sequence = self.sequence(e.left)
            return self._after(op, sequence, self.property(e.right))
        left, right = self.property(e.left), self.property(e.right)
        no = self.stepper.dual
        match op:
            case "And":
                return all_of((left, right))
            case "Or":
                return any_of((left, right))
            case "Implies":
                return any_of((no(left), right))
            case "Iff":
                return all_of((any_of((no(left), right)), any_of((left, no(right)))))
            case "Until" | "SUntil":
                return Until(left, right, op == "Until")
            case "UntilWith" | "SUntilWith":
                return Release(right, left, op == "UntilWith")
        raise Unsupported(f"{op} of properties")

    def _after(self, op: str, sequence: Sequence, then: Property) -> Property:
        if op.startswith("Non"):
            sequence = concat(sequence, ANY)
        if "FollowedBy" in op or self.covering:
            return Some(sequence, then, False)
        return Every(sequence, then, True)

    def _conditional(self, e: Any) -> Property:
        test = Holds(self.guard(e.condition))
        then = any_of((self.stepper.dual(test), self.property(e.ifExpr)))
        return then if e.elseExpr is None else all_of((then, any_of((test, self.property(e.elseExpr)))))

    def _case(self, e: Any) -> Property:
        made = self.property(e.defaultCase) if e.defaultCase is not None else TRUE
        for group in reversed(list(e.items)):
            tests = [self._equal(e.expr, item) for item in group.expressions]
            test = Holds(self.guards.any_of(tests))
            made = all_of(
                (any_of((self.stepper.dual(test), self.property(group.body))), any_of((test, made)))
            )
        return made

    def _equal(self, selector: Any, item: Any) -> int:
        wording = self.wording(selector, item)
        left, right = (wording.text(syntax_of(x), self.frames) for x in (selector, item))
        return self.named(f"( {left} ) === ( {right} )")

    # sequences

    def sequence(self, e: Any) -> Sequence:
        name = type(e).__name__
        handler = SEQUENCES.get(name)
        if handler is None:
            raise Unsupported(f"{name.removesuffix('AssertionExpr')} in a sequence")
        return handler(self, e)

    def _simple_sequence(self, e: Any) -> Sequence:
        if last(e.expr.kind) == "AssertionInstance":
            with self.inside(e.expr):
                return self._repeated(lambda: self.sequence(e.expr.body), e.repetition)
        return self._repeated(lambda: Tick(self.guard(e.expr, unwrapped(e.syntax))), e.repetition)

    def _repeated(self, body: Callable[[], Sequence], repetition: Any) -> Sequence:
        if repetition is None:
            return body()
        with self.locals.at(binding=False):
            return self._times(body(), repetition)

    def _times(self, body: Sequence, repetition: Any) -> Sequence:
        low, high = repetition.range.min, repetition.range.max
        way = last(repetition.kind)
        if way == "Consecutive":
            return repeat(body, low, high)
        if not isinstance(body, Tick):
            raise Unsupported(f"{way} repetition of what is no Boolean")
        return (goto if way == "GoTo" else nonconsecutive)(self.guards, body.guard, low, high)

    def _concat(self, e: Any) -> Sequence:
        made: Sequence | None = None
        for element in e.elements:
            low, high = element.delay.min, element.delay.max
            part = self.sequence(element.sequence)
            made = concat(ticks(low, high), part) if made is None else delayed(made, low, high, part)
        assert made is not None
        return made

    def _first(self, e: Any) -> Sequence:
        with self.locals.at(binding=False):
            body = first(self.sequence(e.seq))
        return self._assigned(body, e.matchItems)

    def _with_match(self, e: Any) -> Sequence:
        return self._repeated(lambda: self._assigned(self.sequence(e.expr), e.matchItems), e.repetition)

    def _assigned(self, body: Sequence, items: Any) -> Sequence:
        """Where `body` ends, each variable is what is assigned to it. Every value it may have is followed, one to a run."""
        for item in items:
            if last(item.kind) == "Call" and item.isSystemCall:
                continue
            if last(item.kind) != "Assignment" or item.isCompound or last(item.left.kind) != "NamedValue":
                raise Unsupported("more than plain assignments to local variables")
            name = self.locals.assign(item.left.symbol)
            value = self.wording(item.right).text(syntax_of(item.right), self.frames)
            body = Fusion(body, Tick(self.named(f"{name} == {int(item.left.type.bitWidth)}'( {value} )")))
        return body

    def _clocked_sequence(self, e: Any) -> Sequence:
        self._check_clock(e.clocking)
        return self.sequence(e.expr)

    def _binary_sequence(self, e: Any) -> Sequence:
        left, right = self.sequence(e.left), self.sequence(e.right)
        match last(e.op):
            case "And":
                return both(left, right)
            case "Or":
                return choice((left, right))
            case "Intersect":
                return intersect(left, right)
            case "Throughout":
                return intersect(repeat(left, 0, None), right)
            case "Within":
                return within(left, right)
        raise Unsupported(f"{last(e.op)} in a sequence")

    # what stands around them

    def _is_boolean(self, e: Any) -> bool:
        return (
            type(e).__name__ == "SimpleAssertionExpr"
            and e.repetition is None
            and last(e.expr.kind) != "AssertionInstance"
        )

    def _is_sequence(self, e: Any) -> bool:
        name = type(e).__name__
        if name == "SimpleAssertionExpr":
            return last(e.expr.kind) != "AssertionInstance" or self._is_sequence(e.expr.body)
        if name == "BinaryAssertionExpr":
            return last(e.op) in OPERATORS_ON_SEQUENCES
        return name in ("SequenceConcatExpr", "SequenceWithMatchExpr", "FirstMatchAssertionExpr")

    @contextmanager
    def inside(self, instance: Any) -> Iterator[None]:
        for variable in instance.localVars:
            self.locals.declare(variable, self.declare)
        if instance.isRecursiveProperty:
            raise Unsupported("a recursive property")
        before = self.frames
        if last(instance.symbol.kind) in ("Property", "Sequence"):
            self.frames = (*before, self._frame(instance))
        try:
            yield
        finally:
            self.frames = before

    def _frame(self, instance: Any) -> Frame:
        declared = instance.symbol.syntax
        ports = (
            [p for p in declared.portList.ports if kind(p) == "AssertionItemPort"]
            if declared.portList
            else []
        )
        names = [str(p.name.rawText) for p in ports]
        inner = Frame(spot(declared.sourceRange.start), {})
        bound: dict[str, Any] = {}
        for port, name in zip(ports, names):
            if port.defaultValue is not None:
                bound[name] = (port.defaultValue.expr, (*self.frames, inner))
        call, around = self._call(instance.syntax)
        if kind(call) == "InvocationExpression" and call.arguments is not None:
            for index, item in enumerate(x for x in call.arguments.parameters if kind(x) != "Comma"):
                if kind(item) == "EmptyArgument":
                    continue
                name = str(item.name.rawText) if kind(item) == "NamedArgument" else names[index]
                if item.expr is not None:
                    bound[name] = (item.expr, around)
        return Frame(inner.declaration, bound)

    def _call(self, syntax: Any) -> tuple[Any, tuple[Frame, ...]]:
        """The instance itself where an argument's name stands for it, and the frames around it."""
        found: Any = (unwrapped(syntax), self.frames)
        while found is not None and kind(found[0]) == "IdentifierName":
            call, around = found
            found = actual(call, around)
            if found is None:
                return call, around
            found = (unwrapped(found[0]), found[1])
        return found[0], found[1]

    def _check_clock(self, clocking: Any) -> None:
        found = clock_of(clocking, lambda s: self.wording().text(s, self.frames))
        if found != self.clock:
            raise Unsupported(
                f"a second clock, {found.edge} {found.text}, beside {self.clock.edge} {self.clock.text}"
            )


def clock_of(clocking: Any, text: Callable[[Any], str]) -> Clock:
    """The edge and signal of a clocking event."""
    if last(clocking.kind) != "SignalEvent":
        raise Unsupported("a clock of several events")
    if clocking.iffCondition is not None:
        raise Unsupported("a clock with iff")
    symbol = clocking.expr.getSymbolReference()
    if symbol is not None and last(symbol.kind) == "ClockingBlock":
        return clock_of(symbol.event, text)
    edge = {"PosEdge": "posedge", "NegEdge": "negedge"}.get(last(clocking.edge))
    if edge is None:
        raise Unsupported("a clock without posedge or negedge")
    return Clock(edge, text(clocking.expr.syntax).strip("( )"))


PROPERTIES: Mapping[str, Callable[[Translator, Any], Property]] = {
    "SimpleAssertionExpr": Translator._simple,
    "StrongWeakAssertionExpr": Translator._strength,
    "ClockingAssertionExpr": Translator._clocking,
    "DisableIffAssertionExpr": Translator._disable,
    "AbortAssertionExpr": Translator._abort,
    "UnaryAssertionExpr": Translator._unary,
    "BinaryAssertionExpr": Translator._binary,
    "ConditionalAssertionExpr": Translator._conditional,
    "CaseAssertionExpr": Translator._case,
}
SEQUENCES: Mapping[str, Callable[[Translator, Any], Sequence]] = {
    "SimpleAssertionExpr": Translator._simple_sequence,
    "SequenceConcatExpr": Translator._concat,
    "FirstMatchAssertionExpr": Translator._first,
    "SequenceWithMatchExpr": Translator._with_match,
    "ClockingAssertionExpr": Translator._clocked_sequence,
    "BinaryAssertionExpr": Translator._binary_sequence,
}
