"""SystemVerilog assertions compiled to monitors in a design's own graph, so that one literal serves simulation, bounded and unbounded proof.

The Boolean expressions stay in the source, as wires in the assertion's scope that synthesis reads; what they mean over time becomes flip-flops. An
assertion is violated in the first cycle after which nothing could satisfy it any more. One clock; values are those just before its edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.graph import TRUE, Graph
from kerf.verification.model import Model, model
from kerf.verification.sva.automaton import good_prefixes, may_last
from kerf.verification.sva.extra import clock as clock_of_module
from kerf.verification.sva.extra import with_extra
from kerf.verification.sva.liveness import Pursuit, lasso, once, pursue
from kerf.verification.sva.monitor import Gates, first_cycle, watch
from kerf.verification.sva.places import Places, defaults, instances
from kerf.verification.sva.properties import TRUE as SURE
from kerf.verification.sva.properties import Property, Some, abort
from kerf.verification.sva.translate import Translator, clock_of, last
from kerf.verification.sva.wording import Clock, Unsupported, kind, plain

KINDS = {
    "Assert": "assert",
    "Assume": "assume",
    "Restrict": "assume",
    "CoverProperty": "cover",
    "CoverSequence": "cover",
}


@dataclass(frozen=True)
class Assertion:
    """`bad`: a literal of the model's graph, true in a cycle in which the assertion is violated (a cover: reached). `triggered`: true in a cycle in
    which an antecedent is met; None where there is none: an assertion whose antecedent is never met is vacuous. `live`: what holds can be refuted by
    an infinite run alone; `bad` is then true where a loop of such a run closes, and `looping` where it has begun."""

    name: str
    kind: str
    text: str
    source: str
    bad: int
    triggered: int | None = None
    live: bool = False
    looping: int | None = None


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


def compile(design: Design, extra: Sequence[str] = (), **model_options: Any) -> tuple[Model, list[Assertion]]:
    """All assertions of the source and of `extra` (properties, or whole statements, in the scope of the top module), in every instance; immediate
    ones too. Options as for `model`. KerfError with the places of all forms that are not supported."""
    made, assertions, _ = compiled(design, extra, **model_options)
    return made, assertions


@dataclass(frozen=True)
class Compiled:
    """`statements[i]` belongs to the i-th assertion; `origin[i]`: which of `extra` it came from, or -1."""

    statements: tuple[Statement, ...]
    origin: tuple[int, ...]


def compiled(
    design: Design, extra: Sequence[str] = (), **model_options: Any
) -> tuple[Model, list[Assertion], Compiled]:
    """As `compile`, with what the assertions were made from."""
    whole, spans = with_extra(design, extra)
    places = Places(whole)
    statements = _statements(places)
    made = _clocked(model(whole, places.texts(), checks=True, **model_options), statements)
    builder = Builder(made)
    assertions = builder.build(statements)
    origin = tuple(next((i for i, (a, b) in enumerate(spans) if a <= s.place[1] < b), -1) for s in statements)
    return made, [*assertions, *_immediate(made)], Compiled(tuple(statements), origin)


def _statements(places: Places) -> list[Statement]:
    found, refused = [], []
    for block, statement in instances(places.design):
        try:
            made = _statement(places, block, statement)
        except Unsupported as error:
            refused.append(f"{places.location(statement.syntax)}: {error} is not supported")
            continue
        if made is not None:
            found.append(made)
    if refused:
        raise KerfError("assertions that cannot be compiled:\n" + "\n".join(dict.fromkeys(refused)))
    return _distinct(found)


def _statement(places: Places, block: Any, statement: Any) -> Statement | None:
    syntax = statement.syntax
    member = syntax.parent
    if kind(member) != "ConcurrentAssertionMember":
        raise Unsupported("a concurrent assertion inside a procedure")
    what = last(statement.assertionKind)
    if what not in KINDS:
        raise Unsupported(f"{what.lower()} property")
    outside = defaults(member.parent)
    declare = places.at(member)
    clock = _clock(places.design, statement.propertySpec, outside)
    covering = KINDS[what] == "cover"
    translator = Translator(declare, clock, weak=not covering, covering=covering)
    spec = statement.propertySpec
    wanted = translator.property(spec)
    antecedent = Antecedents(translator).of(spec)
    if "disable" in outside and not _disables(spec):
        condition = translator.named(translator.wording().text(outside["disable"], ()))
        wanted = abort(condition, not covering, wanted)
        antecedent = antecedent and abort(condition, False, antecedent)
    label = str(syntax.label.name.rawText) if syntax.label is not None else ""
    scope = _inside(
        block.parentScope.hierarchicalPath
        if hasattr(block.parentScope, "hierarchicalPath")
        else block.hierarchicalPath
    )
    place = places.range(member)
    line = places.location(member)
    name = label or f"{KINDS[what]}_{line.rpartition(':')[2]}"
    return Statement(
        f"{scope}.{name}" if scope else name, KINDS[what], plain(syntax.propertySpec), line, scope, translator, wanted, antecedent,
        declare.net(clock.text), (place.source, place.start),
    )  # fmt: skip


def _inside(path: str) -> str:
    """A hierarchical path without the top module."""
    return path.partition(".")[2]


def _distinct(found: list[Statement]) -> list[Statement]:
    count: dict[str, int] = {}
    for s in found:
        count[s.name] = count.get(s.name, 0) + 1
        if count[s.name] > 1:
            s.name = f"{s.name}_{count[s.name]}"
    return found


def _clock(design: Design, spec: Any, outside: Any) -> Clock:
    """The clock of an assertion: its own, the default one, or the only one of the top module."""
    own = _own_clock(spec)
    if own is not None:
        return clock_of(own, plain)
    if outside.get("clocking") is not None:
        return _default(outside["clocking"])
    edge, _, name = clock_of_module(design).partition(" ")
    return Clock(edge, name)


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
            with t._inside(e.expr):
                return self.of(e.expr.body)
        if name == "BinaryAssertionExpr" and "Implication" in last(e.op):
            sequence = t.sequence(e.left)
            return Some(sequence, self.of(e.right) or SURE, False)
        return None


@dataclass
class Builder:
    """Monitors of all statements in one graph; assumptions first, because the loops of an infinite run must obey them."""

    model: Model
    assumed: list[int] = field(default_factory=list)
    fair: list[Pursuit] = field(default_factory=list)

    @property
    def graph(self) -> Graph:
        return self.model.graph

    def build(self, statements: Sequence[Statement]) -> list[Assertion]:
        made: dict[int, Assertion] = {}
        order = sorted(range(len(statements)), key=lambda i: statements[i].kind != "assume")
        for i in order:
            s = statements[i]
            try:
                made[i] = self._cover(s) if s.kind == "cover" else self._assert(s)
            except OverflowError as error:
                raise KerfError(
                    f"{s.source}: assertion {s.name} needs too many states: narrow its ranges of ticks"
                ) from error
        return [made[i] for i in range(len(statements))]

    def gates(self, s: Statement) -> Gates:
        signals = self.graph.signals
        prefix = f"{s.scope}." if s.scope else ""
        return Gates(
            self.graph, s.translator.guards, [signals[prefix + n].bits[0] for n in s.translator.atoms]
        )

    def _cover(self, s: Statement) -> Assertion:
        gates, stepper = self.gates(s), s.translator.stepper
        if may_last(stepper, s.wanted):
            raise KerfError(
                f"{s.source}: cover {s.name} is reached by no finite run: cover a sequence instead"
            )
        return Assertion(s.name, s.kind, s.text, s.source, watch(gates, good_prefixes(stepper, s.wanted)))

    def _assert(self, s: Statement) -> Assertion:
        gates, stepper = self.gates(s), s.translator.stepper
        wrong = stepper.dual(s.wanted)
        begin = first_cycle(self.graph) if s.once else TRUE
        bad = watch(gates, good_prefixes(stepper, wrong), begin)
        triggered = (
            None if s.antecedent is None else watch(gates, good_prefixes(stepper, s.antecedent), begin)
        )
        done = Assertion(s.name, s.kind, s.text, s.source, bad, triggered)
        live = may_last(stepper, wrong)
        if s.kind == "assume":
            self.assumed.append(bad ^ 1)
            if live:
                self.fair.append(pursue(gates, stepper, s.wanted, begin))
            return replace(done, live=live)
        if not live:
            return done
        found = lasso(self.graph, [pursue(gates, stepper, wrong, once(self.graph)), *self.fair], self.assumed)
        return replace(done, bad=self.graph.disjunction(bad, found.closed), live=True, looping=found.saved)


def _clocked(made: Model, statements: Sequence[Statement]) -> Model:
    """The model with the assertions' clock as its own. KerfError where they have another than the registers."""
    graph = made.graph
    for s in statements:
        name = f"{s.scope}.{s.clock_net}" if s.scope else s.clock_net
        bit, edge = graph.signals[name].bits[0], s.translator.clock.edge
        if made.clock == "":
            if any("step by step" in n for n in made.notes):
                raise KerfError(
                    f"{s.source}: assertion {s.name} is in a design of several clocks, which assertions do not support yet"
                )
            owner = next(
                (n for n, w in graph.signals.items() if w.kind == "input" and w.bits == (bit & ~1,)), None
            )
            if owner is None:
                raise KerfError(
                    f"{s.source}: the clock of assertion {s.name} is no input of {made.design.top}"
                )
            made = replace(made, clock=owner)
        elif bit != graph.signals[made.clock].bits[0]:
            raise KerfError(
                f"{s.source}: assertion {s.name} is clocked by {edge} {s.translator.clock.text}, the design by {made.clock}"
            )
    return made


def _immediate(made: Model) -> list[Assertion]:
    return [
        Assertion(c.name, c.kind, "", c.source, c.holds if c.kind == "cover" else c.holds ^ 1)
        for c in made.checks
    ]
