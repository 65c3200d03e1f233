"""The verdict on two designs, and its second opinion.

**What is compared.** From power-up (registers with an initial value have it, others have none), for every input sequence, in every clock cycle, every
output bit that gold determines. An `x` in gold's source and a register without a value make what depends on them undetermined, as in simulation,
but never more than that: X is not taken for false. With `reset`, from the state after reset on, reset inactive.
A run that shows a difference is definite: gold gives another value whatever its unknowns are.
Output bits that gold never determines (a counter that nothing resets) are compared in another way: there must be a start of gold from which it does
what gate does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from kerf.verification.deadline import OutOfTime, left
from kerf.verification.design import Design
from kerf.verification.equivalence.correspondence import check, correspond
from kerf.verification.equivalence.product import Compared, Product, check_interface, product
from kerf.verification.equivalence.seeking import Seeker, seeker
from kerf.verification.equivalence.simulation import determined, hunt, samples
from kerf.verification.equivalence.witness import check_product, confirm, explainable, shortest, table
from kerf.verification.graph import FALSE, Node
from kerf.verification.model import Model, model
from kerf.verification.prove import Property, Result, Verdict, prove
from kerf.verification.synthesis import STEP
from kerf.verification.trace import Trace, replay

SEEKING = 4  # times as long as plain random runs took: before anything is proved


class Same(StrEnum):
    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Equivalence:
    """`table`: for a difference, one row a cycle: inputs by name, and each output as "gold/gate" where they differ; x where gold determines nothing.
    `outputs`: those that differ in the last cycle. `bound`: cycles compared, 0 for all. `trace` belongs to the product of both."""

    verdict: Same
    engine: str
    seconds: float
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    table: tuple[Mapping[str, int | str], ...] = ()
    trace: Trace | None = field(default=None, repr=False)
    bound: int = 0

    def as_json(self) -> dict[str, Any]:
        trace = [dict(row) for row in self.table] if self.verdict is Same.DIFFERENT else None
        return {"verdict": str(self.verdict), "trace": trace, "engine": self.engine, "outputs": list(self.outputs),
                "bound": self.bound, "notes": list(self.notes), "seconds": round(self.seconds, 3)}  # fmt: skip


def equivalent(gold: Design, gate: Design, *, bounded: int | None = None, timeout_s: float = 60.0,
               reset: str | None = None) -> Equivalence:  # fmt: skip
    """Whether `gate` does what `gold` does (see above). `bounded`: only in the first cycles. `reset`: the name of an input ("!name": active low)
    that both are reset with first. KerfError where they cannot be compared; undecided when `timeout_s` is over."""
    begun = time.monotonic()
    try:
        ours, theirs = models(gold, gate, reset, timeout_s)
    except OutOfTime as error:
        return Equivalence(Same.UNDECIDED, "", time.monotonic() - begun, (str(error),))
    notes = check_interface(ours, theirs)
    session = _Session(ours, theirs, begun, begun + timeout_s, list(notes))
    return session.bounded(bounded) if bounded else session.decide()


def models(gold: Design, gate: Design, reset: str | None, timeout_s: float) -> tuple[Model, Model]:
    """Both in the same model of time: cycle by cycle where both have the same one clock edge and use the clock for nothing else; else step by step.
    `timeout_s` is for both."""
    deadline = time.monotonic() + timeout_s

    def build(**how: Any) -> list[Model]:  # gold is compared with many
        return [model(d, reset=reset or "", keep=d is gold, timeout_s=left(deadline, STEP), **how) for d in (gold, gate)]  # fmt: skip

    made = build()
    edges = {m.edge for m in made if m.edge}
    if any(m.stepped or _reads_clock(m) for m in made) or len(edges) > 1:
        made = build(stepped=True)
    return made[0], made[1]


def _reads_clock(made: Model) -> bool:
    if not made.clock:
        return False
    graph = made.graph
    roots = [b for n in made.outputs for b in graph.signals[n].bits] + [graph.left[n] for n in graph.latches]
    return graph.signals[made.clock].bits[0] >> 1 in set(graph.cone(roots))


@dataclass
class _Session:
    gold: Model
    gate: Model
    begun: float
    deadline: float
    notes: list[str]

    @property
    def left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.05)

    @cached_property
    def plain(self) -> Product:
        return product(self.gold, self.gate)

    @cached_property
    def alike(self) -> list[Product]:
        """With unknowns of gold chosen as gate's, where that leaves fewer of them: what is proved so says more, and is proved sooner."""
        unknown = len(self.plain.doubled)
        made = (
            [product(self.gold, self.gate, matched=True, shared=shared) for shared in (True, False)]
            if unknown
            else []
        )
        return [
            m for k, m in enumerate(made) if len(m.doubled) < (unknown, len(made[0].doubled) + unknown)[k]
        ]

    def decide(self) -> Equivalence:
        """From the cheapest way to the dearest."""
        if self.plain.bad == FALSE and not self.vague:
            return self._equal(self.plain, "structure")
        begun = time.monotonic()
        trace = hunt(self.plain.model, self.plain.bad)
        trace = trace or self._sought(min(SEEKING * (time.monotonic() - begun), self.left / 5))
        if trace:
            return self._different(self.plain, trace, "simulation")
        latest = time.monotonic() + self.left / 2  # designs that differ are worth the rest to the search
        for made in (*self.alike, *([] if self.vague else [self.plain])):
            invariant = correspond(made, latest)
            if invariant and check(made, invariant, self.deadline):
                return self._equal(made, "register correspondence")
        return self._prove()

    def _prove(self) -> Equivalence:
        """With a model checker, shortly; then by a longer search for a difference; then with what time is left."""
        made, result = self._checked(self.left / 10)
        if result.verdict is Verdict.UNDECIDED:
            if trace := self._sought(self.left * 2 / 3):
                return self._different(self.plain, trace, "simulation")
            made, result = self._checked(self.left)
        if result.trace:
            return self._different(self.plain, result.trace, result.engine)
        if result.verdict is Verdict.PROVED:
            vague = self.vague and made is self.plain
            return self._explain(result.engine) if vague else self._equal(made, result.engine)
        self.notes += [
            f"tried {', '.join(result.tried)}",
            f"no difference in the first {result.depth + 1} cycles",
        ]
        return self._tell(Same.UNDECIDED, "")

    @cached_property
    def _seeker(self) -> Seeker:
        return seeker(self.gold, self.gate, self.plain)

    def _sought(self, seconds: float) -> Trace | None:
        return self._seeker.seek(time.monotonic() + seconds)

    def _checked(self, seconds: float) -> tuple[Product, Result]:
        """What a model checker says, first as if unknown registers started alike, which says more and is sooner said."""
        end = time.monotonic() + seconds
        for made in self.alike[:1]:
            (alike,) = self._check(made, made.bad, seconds / 3)
            if alike.verdict is Verdict.PROVED:
                return made, alike
        (result,) = self._check(self.plain, self.plain.bad, max(end - time.monotonic(), 0.05))
        return self.plain, result

    @staticmethod
    def _check(made: Product, bad: int, seconds: float) -> list[Result]:
        return prove(made.model, [Property("difference", bad)], assumed=made.assumed, timeout_s=seconds)

    @cached_property
    def vague(self) -> list[Compared]:
        """The output bits that gold never determines in random runs, and that are no plain x of its source."""
        bits = [c for c in self.plain.compared if not self._is_x(c)]
        seen = determined(self.plain.model, [c.known for c in bits]) if bits else []
        return [c for c, s in zip(bits, seen, strict=True) if not s]

    def _is_x(self, c: Compared) -> bool:
        graph = self.gold.graph
        node = graph.signals[c.output].bits[c.bit] >> 1
        return graph.kind[node] == Node.INPUT and c.known == FALSE

    def _explain(self, engine: str) -> Equivalence:
        """All that gold determines is equal. What it never determines must be possible from some start of it."""
        names = ", ".join(dict.fromkeys(c.output for c in self.vague))
        self.notes.append(
            f"never determined by {self.gold.design.top}: {names}; it needs a reset or initial value"
        )
        for made in self.alike[:1]:
            bits = self._vague_bits(made)
            (result,) = self._check(made, made.differs(bits), self.left / 2)
            if result.verdict is Verdict.PROVED:
                return self._equal(made, result.engine)
            if result.trace and not self._possible(made, result.trace):
                return self._impossible(made, result.trace)
        for trace in samples(self.plain.model, 12):
            if not self._possible(self.plain, trace):
                return self._impossible(self.plain, trace)
        return self._tell(Same.UNDECIDED, engine)

    def _vague_bits(self, made: Product) -> list[Compared]:
        wanted = {(c.output, c.bit) for c in self.vague}
        return [c for c in made.compared if (c.output, c.bit) in wanted]

    def _impossible(self, made: Product, trace: Trace) -> Equivalence:
        """Nothing that gold may start with and nothing that its x may be gives what gate does."""
        self.notes.append(f"whatever the unknowns of {self.gold.design.top} are, it does not do this")
        names = tuple(dict.fromkeys(c.output for c in self.vague))
        told = self._tell(Same.DIFFERENT, "satisfiability")
        return replace(told, outputs=names, table=table(made, trace), trace=trace)

    def _possible(self, made: Product, trace: Trace) -> bool:
        bits = self._vague_bits(made)
        rows = replay(made.model, trace, [], [c.gate for c in bits])
        wanted = [{(c.output, c.bit): row[c.gate] for c in bits} for row in rows]
        return explainable(self.gold, trace.inputs, wanted)

    def bounded(self, cycles: int) -> Equivalence:
        """Cycle by cycle, up to `cycles`."""
        found = shortest(self.plain.model, self.plain.bad, cycles, self.deadline)
        if found.trace:
            return self._different(self.plain, found.trace, "bounded model checking")
        if found.clean < cycles:
            self.notes.append(f"no difference in the first {found.clean} cycles; then the time was over")
            return self._tell(Same.UNDECIDED, "bounded model checking")
        return replace(self._equal(self.plain, "bounded model checking"), bound=cycles)

    def _equal(self, made: Product, engine: str) -> Equivalence:
        check_product(self.gold, self.gate, made)
        if self.plain.unknown_starts and made is self.plain:
            self.notes.append(f"{self.plain.unknown_starts} register bits of {self.gold.design.top} start unknown: compared from where its outputs are determined")  # fmt: skip
        return self._tell(Same.EQUAL, engine)

    def _different(self, made: Product, trace: Trace, engine: str) -> Equivalence:
        soon = min(self.deadline, time.monotonic() + 2)
        trace = shortest(made.model, made.bad, len(trace) - 1, soon).trace or trace
        outputs = confirm(self.gold, self.gate, made, trace)
        told = self._tell(Same.DIFFERENT, engine)
        return replace(told, outputs=outputs, table=table(made, trace), trace=trace)

    def _tell(self, verdict: Same, engine: str) -> Equivalence:
        return Equivalence(verdict, engine, time.monotonic() - self.begun, tuple(self.notes))
