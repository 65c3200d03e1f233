"""One search for one placement: recipes tried while there is time, the best deepened, checked again, and said in JSON."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from kerf import loop
from kerf.archive import Archive
from kerf.core.records import Outcome, Progress, RunState, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Proposer
from kerf.placement.constraints.gathering import narrow
from kerf.placement.course import Clock
from kerf.placement.design import Placement
from kerf.placement.evaluator import PlacementEvaluator
from kerf.placement.journal import Journal
from kerf.placement.output import Output
from kerf.placement.problem import PlacementProblem
from kerf.placement.recipe import FILE
from kerf.placement.score import score
from kerf.placement.space import RecipeSpace
from kerf.placement.steps import Step
from kerf.proposers import make
from kerf.report import html

Watch = Callable[[Step | Progress], None]
DEFAULT_S = {"hpwl": 300.0, "routability": 300.0, "proxy": 120.0}
"""Most that one recipe gets where no time was given."""
WRITE_S = 2.0
DEEPER_S = 3.0
DEEPEN = 0.5
"""The share of the time that is left for the best recipe's placement."""
LITTLE = 1e-4
"""A share of what is minimised that is not worth another round."""
ANOTHER = 1.15
"""Another recipe is begun where so many times what one took is left."""


@dataclass(frozen=True)
class Request:
    """What a run is asked, kept in the archive so that it can be resumed. `design`, `lef`, `start`, `slack`: files, "" for a design
    given from Python."""

    design: str = ""
    lef: tuple[str, ...] = ()
    start: str = ""
    slack: str = ""
    target: str = ""
    minutes: float | None = None
    threads: int = 0
    seed: int = 0
    constraints: tuple[str, ...] = ()
    density: float | None = None
    proposer: str = "portfolio"
    output: str = ""
    occasion: str = field(default_factory=lambda: secrets.token_hex(6))
    verb: str = "place"


class _WhileTime:
    """A proposer that proposes as long as another recipe would have the time to end. `first` are asked for in any case."""

    def __init__(
        self, first: Sequence[Candidate], rest: Proposer | None, fits: Callable[[], bool], name: str
    ) -> None:
        self._first, self._rest, self._fits, self.name = list(first), rest, fits, name

    def ask(self, n: int) -> Sequence[Candidate]:
        if self._first:
            first, self._first = self._first[:n], self._first[n:]
            return first
        return self._rest.ask(n) if self._rest and n and self._fits() else ()

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        if self._rest and candidate.notes.get("point") is not None:
            self._rest.tell(candidate, evaluation)


class Search:
    """`go` once. `left`: seconds of the user's time."""

    def __init__(
        self,
        problem: PlacementProblem,
        request: Request,
        archive: Archive,
        stop: threading.Event,
        watch: Watch,
        output: Output | None,
    ) -> None:
        self.problem, self.request, self.archive, self.stop = problem, request, archive, stop
        self.watch, self.output = watch, output
        self.began, self.cpu = time.monotonic(), time.process_time()
        self.total_s = request.minutes * 60 - WRITE_S if request.minutes else None
        self.spent_s = 0.0
        self.run = ""
        self.many = request.minutes is not None and problem.target == "hpwl"
        threads = request.threads or usable_cores()
        self.journal = Journal()
        self.evaluator = PlacementEvaluator(
            problem,
            threads=threads,
            clock=self._clock,
            journal=self.journal,
            watch=watch,
            occasion=request.occasion,
        )
        first = {"seed": request.seed, "inflate": problem.target == "routability"}
        held = ("density",) if request.density is not None else ()
        self.space = RecipeSpace(problem.design, problem.lowered.rules, problem.target, first, held)

    # Time

    @property
    def left(self) -> float:
        if self.total_s is None:
            return float("inf")
        return max(0.0, self.total_s - self.spent_s - (time.monotonic() - self.began))

    def _clock(self) -> Clock:
        most = self.left if self.total_s is not None else DEFAULT_S[self.problem.target]
        fill = self.total_s is not None and self.problem.target == "routability"
        return Clock(max(most, DEEPER_S), self.stop, fill)

    def _fits(self) -> bool:
        took = self.evaluator.took
        if not self.many or self.stop.is_set() or self.total_s is None:
            return False
        return not took or self.left - DEEPEN * self.total_s > ANOTHER * median(took)

    # The run

    def go(self, resume: str | None) -> tuple[Placement, dict[str, Any]]:
        outcome, trouble = None, ""
        try:
            outcome = self._search(resume)
            outcome = self._deeper(outcome)
        except KeyboardInterrupt:
            self.stop.set()
        except KerfError as error:
            if self.evaluator.best is None:
                raise
            trouble = str(error)  # the archive failed: what was found is not lost for that
        self.evaluator.measure_passing()
        best = self.evaluator.best
        if best is None:
            best = self._nothing_legal(outcome)
        return best, self._report(best, outcome, trouble)

    def _search(self, resume: str | None) -> Outcome:
        proposer = self._proposer(resume)
        budget = Budget(None if self.many else 1, None)
        if resume is None:
            options = vars(self.request)
            return loop.run(
                self.problem, proposer, self.evaluator, self.archive, budget,
                seed=self.request.seed, batch=1, options=options, progress=self._told,
            )  # fmt: skip
        record = self.archive.run(resume)
        self.journal.open(self.archive.folder / "runs" / record.id)
        trials = self.archive.trials(record.id)
        for trial in trials:
            self.evaluator.recall(trial.candidate.id, trial.evaluation)
        self.evaluator.took = [t.evaluation.seconds for t in trials if t.asked]
        self.spent_s = max([record.seconds, *(t.at_s for t in trials)])
        if (kept := self.journal.best(self.problem.design)) is not None:
            self.evaluator.measure(kept[0])
        return loop.resume(
            record.id, proposer, self.evaluator, self.archive, budget=budget, batch=1, progress=self._told
        )

    def _proposer(self, run: str | None) -> Proposer:
        default = self.space.candidate(self.space.default(), parent=None, proposer="heuristic")
        rest = None
        if self.many:
            rest = make(
                self.request.proposer,
                self.space,
                self.archive.memory(run and self.archive.run(run).id),
                self.request.seed,
            )
        return _WhileTime([default], rest, self._fits, self.request.proposer if rest else "heuristic")

    def _told(self, moment: Progress) -> None:
        """The first moment comes before the first evaluation, and names the run."""
        self.run = moment.run
        self.journal.open(self.archive.folder / "runs" / moment.run)
        if self.many and (moment.trial is not None or moment.stop is not None):
            self.watch(moment)

    def _nothing_legal(self, outcome: Outcome | None) -> Placement:
        """Say why, or hand over what broke a rule: the report says that it did."""
        if self.stop.is_set():
            raise KeyboardInterrupt(
                f"stopped before anything legal was found. Go on with: kerf resume {self.run}"
            )
        if self.evaluator.illegal is not None:
            return self.evaluator.illegal
        if self.evaluator.crash is not None:
            raise self.evaluator.crash
        trials = self.archive.trials(outcome.run) if outcome else []
        reason = trials[0].evaluation.reason if trials else "nothing was tried"
        raise KerfError(f"{self.problem.name} could not be placed: {reason}")

    # The rest of the time goes into the best

    def _deeper(self, outcome: Outcome) -> Outcome:
        """The last stage again from the best, with other seeds, until it finds nothing more or the time is up."""
        if self.total_s is None or self.evaluator.best is None or outcome.best is None:
            return outcome
        if self.problem.target == "routability":
            return outcome  # the room beside cells is known to their recipe alone, which had all of the time
        began, before = time.monotonic(), self.evaluator.value(self.evaluator.best)
        seed, value, last = self.request.seed, before, float("inf")
        while self.left > DEEPER_S and not self.stop.is_set() and value < last * (1 - LITTLE):
            seed, last = seed + 1, value
            self.evaluator.measure(self._once_more(self.evaluator.best, seed))
            value = self.evaluator.value(self.evaluator.best)
        return outcome if value >= before else self._record_deeper(outcome, time.monotonic() - began)

    def _once_more(self, best: Placement, seed: int) -> Placement:
        p, clock = self.problem, Clock(self.left, self.stop, fill=True)
        rules = narrow(p.work, p.constraints, p.lowered, best).rules
        given: dict[str, Any] = {
            "seed": seed,
            "threads": self.evaluator.threads,
            "deadline": clock.end,
            "watch": self.watch,
        }
        if p.target == "proxy":
            from kerf.placement.proxy_search import optimize

            return optimize(p.work, best, rules, **given)
        from kerf.placement.detailed import improve

        return improve(p.work, best, rules, **given)

    def _record_deeper(self, outcome: Outcome, seconds: float) -> Outcome:
        assert outcome.best is not None and self.evaluator.best is not None
        recipe = json.loads(outcome.best.files[FILE])
        text = json.dumps({**recipe, "deepened_s": round(seconds, 1)}, indent=1, sort_keys=True) + "\n"
        candidate = Candidate({FILE: text}, outcome.best.id, "detailed", {})
        evaluation = self.evaluator.measure(self.evaluator.best)
        at_s, number = outcome.seconds + seconds, self.archive.trials(outcome.run)[-1].round + 1
        self.archive.record(outcome.run, self.evaluator.key, Trial(candidate, evaluation, number, 0, at_s))
        self.archive.record_confirmation(outcome.run, self.evaluator.key, candidate.id, evaluation)
        self.archive.finish(outcome.run, RunState.DONE, at_s, candidate.id)
        return Outcome(
            outcome.run, candidate, evaluation, True, outcome.evaluations, outcome.reused, at_s, outcome.stop
        )

    # What the user is told

    def _report(self, best: Placement, outcome: Outcome | None, trouble: str) -> dict[str, Any]:
        """Score what was written as anybody would: read again from its file where that is possible."""
        unpainted = self._written(best)
        read = self.output.read() if self.output is not None else None
        measured = score(
            self.problem.design, best if read is None else read, self.problem.constraints, self.problem.start
        )
        notes = [
            *self.problem.design.notes,
            *dict.fromkeys(self.evaluator.notes),
            *filter(None, [self.journal.complaint, trouble, unpainted]),
        ]
        report = {
            "run": self.run,
            "design": self.problem.name,
            "target": self.problem.target,
            "status": status(measured),
            "stopped": "interrupted" if self.stop.is_set() else str(outcome.stop) if outcome else "error",
            **measured,
            "output": str(self.output.path) if self.output else None,
            "picture": str(self.output.picture) if self.output else None,
            "recipe": self._recipe(outcome),
            "recipes": len(self.evaluator.took),
            "seconds": round(time.monotonic() - self.began, 3),
            "cpu_seconds": round(time.process_time() - self.cpu, 3),
            "seed": self.request.seed,
            "threads": self.evaluator.threads,
            "report": str(self.journal.folder / "report.html") if outcome and self.journal.folder else None,
            "notes": notes,
        }
        self.journal.report(report, html(self.run, self.archive) if outcome else "")
        return report

    def _written(self, best: Placement) -> str:
        """What was wrong with the picture, else "". KerfError where the placement could not be written: the run has it still."""
        try:
            return self.output.write(best) if self.output else ""
        except OSError as error:
            raise KerfError(
                f"{self.output.path if self.output else ''} could not be written: {error.strerror}. Nothing is lost: make room, then `kerf resume {self.run}` writes it"
            ) from error

    @staticmethod
    def _recipe(outcome: Outcome | None) -> dict[str, Any] | None:
        return json.loads(outcome.best.files[FILE]) if outcome and outcome.best else None


def status(measured: Mapping[str, Any]) -> str:
    if not measured["legal"]:
        return "illegal"
    return "constraints_broken" if measured["violations"] else "legal"


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
