"""SystemVerilog assertions compiled to monitors in a design's own graph, so that one literal serves simulation, bounded and unbounded proof.

The Boolean expressions stay in the source, as wires in the assertion's scope that synthesis reads; what they mean over time becomes flip-flops. An
assertion is violated in the first cycle after which nothing could satisfy it any more. An assertion has one clock; values are those just before its edge. Where the
design or another assertion has a second one, the model goes step by step, and each monitor with its own clock (`ticks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.graph import FALSE, TRUE, Graph
from kerf.verification.model import Model, model
from kerf.verification.sva.automaton import good_prefixes, may_last
from kerf.verification.sva.extra import with_extra
from kerf.verification.sva.liveness import Pursuit, lasso, once, pursue
from kerf.verification.sva.monitor import Gates, first_cycle, watch
from kerf.verification.sva.places import Places
from kerf.verification.sva.properties import Property, Stepper
from kerf.verification.sva.statements import Statement
from kerf.verification.sva.statements import statements as read_statements
from kerf.verification.sva.ticks import Ticks


@dataclass(frozen=True)
class Assertion:
    """`bad`: a literal of the model's graph, true in a cycle in which the assertion is violated (a cover: reached). `triggered`: true in a cycle in
    which an antecedent is met; None where there is none: an assertion whose antecedent is never met is vacuous. `live`: what holds can be refuted by
    an infinite run alone; `bad` is then true where a loop of such a run closes, and `looping` where it has begun; `finite`
    is true where a finite run alone violates. `symbolic`: simulation sees a violation only where it drives the free inputs (a local variable's value; the
    attempt that is followed, where there are too many states to follow all) as a solver would."""

    name: str
    kind: str
    text: str
    source: str
    bad: int
    triggered: int | None = None
    live: bool = False
    looping: int | None = None
    finite: int = FALSE
    symbolic: bool = False


def compile(design: Design, extra: Sequence[str] = (), **model_options: Any) -> tuple[Model, list[Assertion]]:
    """All assertions of the source and of `extra` (properties, or whole statements, in the scope of the top module), in every instance; immediate
    ones too. Options as for `model`. A property with local variables follows one free word for each: a proof covers all values, a simulation the one it
    drives. KerfError with the places of all forms that are not supported."""
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
    statements = read_statements(places)
    texts = places.texts()
    made = _clocked(model(whole, texts, checks=True, **model_options), statements)
    if made is None:
        made = model(whole, texts, checks=True, stepped=True, **model_options)
    builder = Builder(made)
    assertions = builder.build(statements)
    origin = tuple(next((i for i, (a, b) in enumerate(spans) if a <= s.place[1] < b), -1) for s in statements)
    return made, [*assertions, *_immediate(made)], Compiled(tuple(statements), origin)


@dataclass
class Builder:
    """Monitors of all statements in one graph; assumptions first, because the loops of an infinite run must obey them."""

    model: Model
    assumed: list[int] = field(default_factory=list)
    fair: list[Pursuit] = field(default_factory=list)
    symbolic: bool = False
    tick: int = TRUE

    @property
    def graph(self) -> Graph:
        return self.model.graph

    @cached_property
    def ticks(self) -> Ticks:
        return Ticks(self.graph)

    def build(self, statements: Sequence[Statement]) -> list[Assertion]:
        self.assumed += [c.holds for c in self.model.checks if c.kind == "assume"]
        made: dict[int, Assertion] = {}
        order = sorted(range(len(statements)), key=lambda i: statements[i].kind != "assume")
        for i in order:
            s = statements[i]
            self.symbolic = bool(s.translator.locals.wires)
            self.tick, before = self._tick(s), len(self.graph.latches)
            try:
                found = self._cover(s) if s.kind == "cover" else self._assert(s)
            except OverflowError as error:
                raise KerfError(
                    f"{s.source}: assertion {s.name} needs too many states: narrow its ranges of ticks"
                ) from error
            made[i] = replace(found, symbolic=self.symbolic)
            if self.model.stepped:
                self.ticks.hold(self.graph.latches[before:], self.tick)
        return [made[i] for i in range(len(statements))]

    def gates(self, s: Statement) -> Gates:
        signals = self.graph.signals
        prefix = f"{s.scope}." if s.scope else ""
        atoms = [self._seen(signals[prefix + n].bits[0]) for n in s.translator.atoms]
        return Gates(self.graph, s.translator.guards, atoms)

    def _seen(self, literal: int) -> int:
        """What a monitor reads."""
        return self.ticks.sampled(literal) if self.model.stepped else literal

    def _tick(self, s: Statement) -> int:
        """Where a monitor goes on: in every cycle, or in the steps with an edge of its clock."""
        if not self.model.stepped:
            return TRUE
        return self.ticks.tick(_clock_bit(self.model, s), s.translator.clock.edge)

    def begin(self, s: Statement) -> int:
        """Where attempts begin: everywhere, or in the first cycle alone."""
        return first_cycle(self.graph) if s.once else TRUE

    def _cover(self, s: Statement) -> Assertion:
        gates, stepper = self.gates(s), s.translator.stepper
        if may_last(stepper, s.wanted):
            raise KerfError(
                f"{s.source}: cover {s.name} is reached by no finite run: cover a sequence instead"
            )
        reached = self._kept(s, self._finite(gates, stepper, s.wanted, self.begin(s)))
        return Assertion(s.name, s.kind, s.text, s.source, reached, finite=reached)

    def _assert(self, s: Statement) -> Assertion:
        gates, stepper = self.gates(s), s.translator.stepper
        wrong = stepper.dual(s.wanted)
        begin = self.begin(s)
        bad = self._kept(s, self._finite(gates, stepper, wrong, begin, s.kind == "assume"))
        triggered = None
        if s.antecedent is not None:
            triggered = self._kept(s, self._finite(gates, stepper, s.antecedent, begin))
        done = Assertion(s.name, s.kind, s.text, s.source, bad, triggered, finite=bad)
        live = may_last(stepper, wrong)
        if live and self.model.stepped:
            raise KerfError(
                f"{s.source}: assertion {s.name} is refuted by an infinite run alone, in a design of several clocks: bound it, as in ##[0:16]"
            )
        if s.kind == "assume":
            self.assumed.append(bad ^ 1)
            if live:
                self.fair.append(pursue(gates, stepper, s.wanted, begin))
            return replace(done, live=live)
        if not live:
            return done
        start = self.graph.conjunction(once(self.graph), begin)
        found = lasso(self.graph, [pursue(gates, stepper, wrong, start), *self.fair], self.assumed)
        closed = self._kept(s, found.closed)
        return replace(done, bad=self.graph.disjunction(bad, closed), live=True, looping=found.saved)

    def _finite(
        self, gates: Gates, stepper: Stepper, wanted: Property, begin: int, assumed: bool = False
    ) -> int:
        """Where a finite run comes to satisfy `wanted`: all attempts followed at once, or one that a free input chooses, where that takes too many
        flip-flops (which will not do for an assumption: the choice would be to look away)."""
        try:
            return watch(gates, good_prefixes(stepper, wanted), begin)
        except OverflowError:
            if assumed:
                raise
            self.symbolic = True
            start = self.graph.conjunction(once(self.graph), begin)
            return pursue(gates, stepper, wanted, start).done

    def _kept(self, s: Statement, literal: int) -> int:
        """The literal, in ticks of runs in which local variables have not changed."""
        prefix, graph = (f"{s.scope}." if s.scope else ""), self.graph
        literal = graph.conjunction(literal, self.tick)
        words = [graph.signals[prefix + name].bits for name in s.translator.locals.wires.values()]
        bits = [self._seen(bit) for word in words for bit in word]
        if not bits:
            return literal
        changed, first = graph.add_latch(0), first_cycle(graph)
        differs = graph.conjunction(first ^ 1, graph.any_of(self._changes(bit) for bit in bits))
        now = graph.disjunction(changed, differs)
        graph.set_next(changed, now)
        return graph.conjunction(literal, now ^ 1)

    def _changes(self, bit: int) -> int:
        before = self.graph.add_latch(0)
        self.graph.set_next(before, bit)
        return self.graph.exclusive_or(before, bit)


def _clocked(made: Model, statements: Sequence[Statement]) -> Model | None:
    """The model with the assertions' clock as its own; None where they have another than the registers, or it is no input."""
    inputs = {w.bits[0]: n for n, w in made.graph.signals.items() if w.kind == "input" and len(w.bits) == 1}
    for s in statements if not made.stepped else ():
        bit, edge = _clock_bit(made, s), s.translator.clock.edge
        edge = edge if not bit & 1 else {"posedge": "negedge", "negedge": "posedge"}[edge]
        owner = inputs.get(bit & ~1, "")
        if made.clock == "" and owner:
            made = replace(made, clock=owner, edge=edge)
        if (owner, edge) != (made.clock, made.edge):
            return None
    return made


def _clock_bit(made: Model, s: Statement) -> int:
    name = f"{s.scope}.{s.clock_net}" if s.scope else s.clock_net
    return made.graph.signals[name].bits[0]


def _immediate(made: Model) -> list[Assertion]:
    """Those without a label are called after their line, as concurrent ones are."""
    found, count = [], Counter[str]()
    for check in made.checks:
        bad = check.holds if check.kind == "cover" else check.holds ^ 1
        file, _, line = check.source.rpartition(":")
        source = f"{file}:{line.partition('.')[0]}" if file else check.source
        scope, dot, own = check.name.rpartition(".")
        name = f"{scope}{dot}{check.kind}_{line.partition('.')[0]}" if own.startswith("$") else check.name
        count[name] += 1
        name = f"{name}_{count[name]}" if count[name] > 1 else name
        found.append(Assertion(name, check.kind, "", source, bad, finite=bad))
    return found
