"""Carries out the tasks of a verification run. Each verdict has been checked twice when it gets here (see `prove`, `why`); nothing rests on the
engine that found it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kerf.core.records import Moment
from kerf.core.types import Candidate, Evaluation, KerfError, Metric, Status, content_hash
from kerf.verification.coverage.bins import Bin
from kerf.verification.coverage.closing import Closure
from kerf.verification.deadline import OutOfTime, left
from kerf.verification.design import Design
from kerf.verification.model import Model, model
from kerf.verification.problem import VerificationProblem
from kerf.verification.prove import Property, Result, Verdict, prove
from kerf.verification.scratch import NoRoom
from kerf.verification.space import asked_of
from kerf.verification.sva import Assertion, compile
from kerf.verification.tables import Table
from kerf.verification.trace import Trace

if TYPE_CHECKING:
    from kerf.verification.mutation import Score

VERSION = 2
MUTANTS = 400
SHARES = {"prove": 0.4, "cover": 0.3, "mutate": 0.15, "mine": 0.15}
"""Of the user's time, for each goal; what one leaves goes to the next ones."""
TESTS_SHARE = 0.6  # of the time for mutants, where there are assertions to be scored too
STATUS = {Verdict.PROVED: Status.PASSED, Verdict.REFUTED: Status.WRONG, Verdict.UNDECIDED: Status.TIMED_OUT}


@dataclass
class VerificationEvaluator:
    """`model` and `assertions` are compiled from the problem; `tests`: the runs that exist. `watch` hears lines of progress; `recall`: what another run,
    or this one before it was stopped, recorded for a candidate (by its id)."""

    problem: VerificationProblem
    model: Model
    assertions: Sequence[Assertion]
    tests: Sequence[Table | Trace]
    watch: Callable[[Any], None]
    began: float = field(default_factory=time.monotonic)
    recall: Callable[[str], Evaluation | None] = lambda candidate: None
    _together: dict[str, Result] | None = None
    _done: set[str] = field(default_factory=set)
    _stimuli: tuple[Trace, ...] = ()
    _known: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def key(self) -> str:
        tools = [version(p) for p in ("pyosys", "pyslang", "python-sat")]
        return content_hash(["verification", VERSION, self.problem.key, self.problem.seconds, tools])

    @property
    def deadline(self) -> float:
        """Of `time.monotonic`: what the user's time counts from is `began`."""
        return self.began + self.problem.seconds

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def evaluate(self, candidate: Candidate) -> Evaluation:
        """Carry out one task."""
        asked, begun = asked_of(candidate), time.monotonic()
        if asked["goal"] != "prove":
            self._done.add("prove")  # the plan begins with properties
        try:
            found = getattr(self, f"_{asked['goal']}")(asked)
        except NoRoom:
            raise
        except OutOfTime as error:
            found = Evaluation(Status.TIMED_OUT, str(error))
        except KerfError as error:
            found = Evaluation(Status.BUILD_FAILED, str(error))
        if asked["goal"] != "prove":
            self._done.add(asked["goal"])
        seconds = time.monotonic() - begun
        known = replace(found, environment=_environment(), seconds=seconds)
        self._known[candidate.id] = known
        return known

    def confirm(self, candidate: Candidate) -> Evaluation:
        """Proved properties are proved again, from nothing; the other goals' results are counts of verdicts that were each checked."""
        asked = asked_of(candidate)
        known = self._known.get(candidate.id) or self.recall(candidate.id)
        if asked["goal"] != "prove" and known:
            return known
        if self.left <= 0:
            return Evaluation(Status.TIMED_OUT, "the time was up before it could be proved again")
        self._together, watch, self.watch = {}, self.watch, lambda moment: None
        try:
            return self.evaluate(candidate)
        finally:
            self.watch = watch

    def close(self) -> None:
        """Nothing is held open."""

    def share(self, goal: str) -> float:
        """Seconds for a goal: its part of what is left for those not done."""
        waiting = [g for g in self.problem.goals if g not in self._done]
        return max(self.left, 0.0) * SHARES[goal] / sum(SHARES[g] for g in waiting or [goal])

    # Properties

    @property
    def assumed(self) -> list[int]:
        return [a.bad ^ 1 for a in self.assertions if a.kind == "assume"]

    def _prove(self, asked: dict[str, str]) -> Evaluation:
        claims = [a for a in self.assertions if a.kind == "assert"]
        assertion = next(a for a in claims if a.name == asked["name"])
        if self._together is None:
            self._together = self._all(claims)
        known = self._together.get(assertion.name)
        waiting = max(1, len(claims) - len(self._together))
        result = known or self._alone(assertion, self.share("prove") / waiting)
        self._together.setdefault(assertion.name, result)
        self.watch(Moment(_said(result), passing=False))
        return self._verdict(assertion, result)

    def _all(self, claims: Sequence[Assertion]) -> dict[str, Result]:
        """Those that are proved with all the others, in a quarter of the time."""
        if len(claims) < 2:
            return {}
        self.watch(Moment(f"proving {len(claims)} properties at once"))
        bad = self.model.graph.any_of(a.bad for a in claims)
        seconds = self.share("prove") / 4
        (found,) = prove(self.model, [Property("all", bad)], assumed=self.assumed, timeout_s=seconds)
        if found.verdict is not Verdict.PROVED:
            return {}
        each = found.seconds / len(claims)
        return {
            a.name: Result(a.name, Verdict.PROVED, found.engine, clauses=found.clauses, seconds=each)
            for a in claims
        }

    def _alone(self, assertion: Assertion, seconds: float) -> Result:
        self.watch(Moment(f"proving {assertion.name}"))
        (found,) = prove(
            self.model,
            [Property(assertion.name, assertion.bad)],
            assumed=self.assumed,
            timeout_s=seconds,
        )
        return found

    def _verdict(self, assertion: Assertion, result: Result) -> Evaluation:
        detail = result.as_json() | {
            "goal": "prove",
            "text": assertion.text,
            "source": assertion.source,
            "clauses": result.clauses,
            "seconds": round(result.seconds, 4),
            "vacuous": self._vacuous(assertion, result),
            "start": {str(k): v for k, v in result.trace.start.items()} if result.trace else {},
            "headline": str(result.verdict),
        }
        status = STATUS[result.verdict]
        metrics = {"seconds": Metric(result.seconds, "s")}
        return Evaluation(status, _said(result), 1.0 if status is Status.PASSED else None, metrics, detail)

    def _vacuous(self, assertion: Assertion, result: Result) -> bool | None:
        """Whether a proved property's antecedent is never met; None where there is none or it is not known."""
        if result.verdict is not Verdict.PROVED or assertion.triggered is None:
            return None
        seconds = max(self.share("prove") / 4, min(0.5, self.left))
        (found,) = prove(self.model, [Property("met", assertion.triggered)], assumed=self.assumed, timeout_s=seconds)  # fmt: skip
        return None if found.verdict is Verdict.UNDECIDED else found.verdict is Verdict.PROVED

    # Coverage

    def _cover(self, asked: dict[str, str]) -> Evaluation:
        """Code, toggles and the source's cover properties, under its assumptions, from the tests that exist on."""
        from kerf.verification.coverage import close
        from kerf.verification.coverage.constants import mined

        made, bins, assumed, notes = covered_model(self.problem, left(self.deadline, "coverage"))
        tests = [t if isinstance(t, Trace) else t.trace() for t in self.tests]
        found = close(
            made,
            bins,
            seconds=self.share("cover"),
            seed=self.problem.seed,
            assumed=assumed,
            constants=mined(self.problem.design),
            tests=tests,
            heard=self._hear,
        )
        self._stimuli = found.stimuli
        headline = (
            f"{len(found.covered)} of {len(bins)} bins covered, {len(found.unreachable)} proved unreachable"
        )
        self.watch(Moment(headline, passing=False))
        detail = {
            **found.as_json(),
            "kinds": _kinds(found),
            "bins": [
                {"name": b.name, "kind": b.kind, "source": b.source, "status": _status(b.name, found)}
                for b in bins
            ],
            "stimuli": [t.as_json() for t in found.stimuli],
            "lucky": len(found.lucky),
            "notes": [*notes, *found.notes],
            "goal": "cover",
            "headline": headline,
        }
        decided = (len(bins) - len(found.undecided)) / max(len(bins), 1)
        return Evaluation(Status.PASSED, "", decided, {}, detail)

    # Tests

    def _mutate(self, asked: dict[str, str]) -> Evaluation:
        """The tests that exist, else those that coverage found, else random ones, scored by the mutants that they notice; and each assertion by those
        that break it."""
        from kerf.verification.mutation import random_tests, score

        plain, claims = self.plain(), any(a.kind == "assert" for a in self.assertions)
        tests: Sequence[Table | Trace] = (
            self.tests or self._stimuli or random_tests(plain, 256, 4, self.problem.seed)
        )
        whose = "given" if self.tests else "found by coverage" if self._stimuli else "random"
        share = self.share("mutate")
        end = time.monotonic() + share
        found = score(
            plain,
            tests,
            mutants=MUTANTS,
            seed=self.problem.seed,
            seconds=share * (TESTS_SHARE if claims else 1.0),
            watch=self._hear,
        )
        headline = f"{found.rate:.0%} of mutants killed by tests {whose}"
        self.watch(Moment(headline, passing=False))
        detail = {**found.as_json(), "tests": whose, "goal": "mutate", "headline": headline}
        if claims:
            detail |= self._noticed(plain, found, [*self.tests, *self._stimuli], detail["survivors"], end)
        return Evaluation(Status.PASSED, "", found.rate, {}, detail)

    def _noticed(
        self, plain: Model, found: Score, tests: Sequence[Table | Trace], survivors: list[Any], end: float
    ) -> dict[str, Any]:
        """How many mutants each assertion notices, and of those that no test does, which."""
        from kerf.verification.mutation.noticed import by_mutant, noticed

        try:
            rows = noticed(self.problem, plain, found.mutants, tests, end)
        except KerfError as error:
            self.watch(Moment(f"mutants that assertions notice: {error}", passing=False))
            return {"assertions": {}}
        names = by_mutant(found.mutants, rows)
        told = [s | {"assertions": names[m.mutant]} for s, m in zip(survivors, found.survived)]
        return {"assertions": {n: int(row.sum()) for n, row in rows.items()}, "survivors": told}

    # Assertions that hold

    def _mine(self, asked: dict[str, str]) -> Evaluation:
        from kerf.verification.mining import mine

        free = model(
            self.problem.design,
            reset=self.problem.reset,
            reset_free=self.problem.reset_free,
            keep=True,
            timeout_s=left(self.deadline, "mining"),
        )
        found = mine(free, seconds=self.share("mine"), seed=self.problem.seed, watch=self._hear)
        headline = f"{len(found.assertions)} assertions mined and proved"
        self.watch(Moment(headline, passing=False))
        detail = {
            "mined": [a.as_json() for a in found.assertions],
            "candidates": found.candidates,
            "proved": found.proved,
            "mutants": found.mutants,
            "killed": found.killed,
            "confirmed": list(found.confirmed),
            "goal": "mine",
            "headline": headline,
        }
        return Evaluation(Status.PASSED, "", found.killed / max(found.mutants, 1), {}, detail)

    def plain(self) -> Model:
        """The design without monitors; what depends on an unknown value shows no mutant."""
        return model(
            self.problem.design, reset=self.problem.reset, timeout_s=left(self.deadline, "scoring the tests")
        )

    def _hear(self, line: str) -> None:
        self.watch(Moment(line))


def covered_model(
    problem: VerificationProblem, timeout_s: float
) -> tuple[Model, list[Bin], list[int], tuple[str, ...]]:
    """A model with bins for its code and its cover properties, the literals that its assumptions make true, and notes."""
    from kerf.verification.coverage.code import instrumented

    claims: list[Assertion] = []

    def build(design: Design, texts: Mapping[str, str], **options: Any) -> Model:
        made, found = compile(design.with_texts(texts), problem.properties, **options)
        claims.extend(found)
        return made

    made, bins, notes = instrumented(
        problem.design,
        build=build,
        reset=problem.reset,
        reset_free=problem.reset_free,
        keep=True,
        timeout_s=timeout_s,
    )
    covers = [Bin(a.name, a.bad, "property", a.source) for a in claims if a.kind == "cover"]
    return made, [*bins, *covers], [a.bad ^ 1 for a in claims if a.kind == "assume"], notes


def _status(name: str, found: Closure) -> str:
    return "covered" if name in found.covered else "unreachable" if name in found.unreachable else "undecided"


def _kinds(found: Closure) -> list[dict[str, Any]]:
    """A row for each kind of bin."""
    rows: dict[str, dict[str, Any]] = {}
    for b in found.bins:
        row = rows.setdefault(
            b.kind, {"kind": b.kind, "total": 0, "covered": 0, "unreachable": 0, "undecided": 0}
        )
        row["total"] += 1
        row[_status(b.name, found)] += 1
    return list(rows.values())


def _said(result: Result) -> str:
    """One line for people."""
    where = {
        Verdict.PROVED: f"by {result.engine}, {result.clauses} clauses" if result.clauses else f"by {result.engine}",
        Verdict.REFUTED: f"in cycle {result.depth}",
        Verdict.UNDECIDED: f"no violation in {max(result.depth, 0)} cycles; tried {', '.join(result.tried)}",
    }  # fmt: skip
    return f"{result.name}: {result.verdict} {where[result.verdict]} ({result.seconds:.2f} s)"


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{p: version(p) for p in ("pyosys", "pyslang", "python-sat")},
    }
