"""Does one assertion imply another? Every infinite run of the design that satisfies the first satisfies the second, or there is a run that shows otherwise."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.model import Model
from kerf.verification.prove import Property, Result, Unsound, Verdict, prove, read_trace
from kerf.verification.sat import Unrolling
from kerf.verification.sva.automaton import may_last
from kerf.verification.sva.compiler import Assertion, Builder, Statement, compiled
from kerf.verification.sva.liveness import lasso, once, pursue
from kerf.verification.trace import Trace, replay

LOOK_AHEAD = 24  # cycles in which a loop is looked for before it is proved that there is none


@dataclass(frozen=True)
class Implication:
    """`verdict`: proved, refuted or undecided. `trace`: a run that satisfies the premise for ever (its last state is one that it had before: from there
    on it repeats) and violates the conclusion."""

    verdict: Verdict
    trace: Trace | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """`forward`: the left implies the right; `backward`: the right implies the left."""

    forward: Implication
    backward: Implication

    @property
    def verdict(self) -> str:
        """equivalent, left implies right, right implies left, different, or undecided."""
        there, back = self.forward.verdict, self.backward.verdict
        if Verdict.UNDECIDED in (there, back):
            return "undecided"
        words = {
            (True, True): "equivalent",
            (True, False): "left implies right",
            (False, True): "right implies left",
        }
        return words.get((there is Verdict.PROVED, back is Verdict.PROVED), "different")


def equivalent(
    design: Design, left: str, right: str, *, timeout_s: float = 60.0, **model_options: Any
) -> Comparison:
    """Compare two assertions (or properties) in the scope of the top module, under the source's assumptions. Signals that nothing drives are free.
    KerfError when one of them is none, is a cover, or is not supported."""
    model, assertions, made = compiled(design, [left, right], **model_options)
    rows = list(zip(made.statements, assertions))
    sides = [[row for row, o in zip(rows, made.origin) if o == k] for k in (0, 1)]
    for side, text in zip(sides, (left, right)):
        if not side or any(s.kind == "cover" for s, _ in side):
            raise KerfError(f"no assertion to compare in: {text}")
        if any(s.translator.locals.wires for s, _ in side):
            raise KerfError(f"assertions with local variables cannot be compared: {text}")
    given = [row for row, o in zip(rows, made.origin) if o < 0 and row[0].kind == "assume"]
    deadline = time.monotonic() + timeout_s
    forward = _implication(model, [*given, *sides[0]], sides[1], deadline - timeout_s / 2)
    return Comparison(forward, _implication(model, [*given, *sides[1]], sides[0], deadline))


Row = tuple[Statement, Assertion]


def _implication(
    model: Model, premises: Sequence[Row], conclusions: Sequence[Row], deadline: float
) -> Implication:
    begun, verdict = time.monotonic(), Verdict.PROVED
    for number, row in enumerate(conclusions):
        share = (deadline - time.monotonic()) / (len(conclusions) - number)
        result = _Question(model, premises, row, max(share, 0.1)).answer()
        if result.verdict is Verdict.REFUTED:
            return Implication(result.verdict, result.trace, time.monotonic() - begun)
        if result.verdict is Verdict.UNDECIDED:
            verdict = result.verdict
    return Implication(verdict, None, time.monotonic() - begun)


@dataclass
class _Question:
    model: Model
    premises: Sequence[Row]
    conclusion: Row
    timeout_s: float

    def answer(self) -> Result:
        """Where no finite run violates the conclusion before a premise, and no infinite one may, it is implied. Else a loop must show that the
        premises can be satisfied to the end."""
        statement, depth = self.conclusion[0], 0
        wrong = statement.translator.stepper.dual(statement.wanted)
        if not may_last(statement.translator.stepper, wrong):
            asked = [Property("finite", self._violated())]
            finite = prove(self.model, asked, assumed=self._kept(), timeout_s=self.timeout_s / 3)[0]
            if finite.verdict is Verdict.PROVED:
                return finite
            depth = max(finite.depth, 0)
        closed = self._lasso()
        found = self._look_ahead(closed, depth)
        if found is not None:
            return Result("lasso", Verdict.REFUTED, "sat", len(found) - 1, found)
        asked = [Property("lasso", closed)]
        return prove(self.model, asked, assumed=self._kept(), timeout_s=self.timeout_s / 2)[0]

    def _violated(self) -> int:
        """The finite violation alone, without the loops that `bad` of a live assertion has too."""
        return self.conclusion[1].finite

    def _kept(self) -> list[int]:
        immediate = [c.holds for c in self.model.checks if c.kind == "assume"]
        return [*immediate, *(a.finite ^ 1 for _, a in self.premises if not a.symbolic)]

    def _lasso(self) -> int:
        builder, graph = Builder(self.model), self.model.graph
        statement = self.conclusion[0]
        stepper = statement.translator.stepper
        start = graph.conjunction(once(graph), builder.begin(statement))
        pursuits = [pursue(builder.gates(statement), stepper, stepper.dual(statement.wanted), start)]
        for premise, _ in self.premises:
            pursuits.append(
                pursue(
                    builder.gates(premise), premise.translator.stepper, premise.wanted, builder.begin(premise)
                )
            )
        return lasso(graph, pursuits, self._kept()).closed

    def _look_ahead(self, closed: int, depth: int) -> Trace | None:
        """A run whose loop closes soon after cycle `depth`, before which nothing is violated."""
        until = time.monotonic() + self.timeout_s / 3
        kept, unrolling = self._kept(), Unrolling(self.model.graph, self.model.initial, self.model.held)
        try:
            for frame in range(depth + LOOK_AHEAD):
                for literal in kept:
                    unrolling.require(literal, frame)
                if frame >= depth and unrolling.solve([unrolling.at(closed, frame)]):
                    return self._checked(read_trace(self.model, unrolling, frame), closed, kept)
                if time.monotonic() > until:
                    break
        finally:
            unrolling.close()
        return None

    def _checked(self, trace: Trace, closed: int, kept: Sequence[int]) -> Trace:
        seen = replay(self.model, trace, [], [closed, *kept])
        if not seen[-1][closed] or not all(row[k] for row in seen for k in kept):
            raise Unsound("a loop does not show in simulation")
        return trace
