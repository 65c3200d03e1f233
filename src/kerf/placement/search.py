"""One search for one placement: recipes tried while there is time, the best deepened, checked again, and said in JSON."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerf import loop
from kerf.archive import Archive
from kerf.core.records import Moment, Outcome, Progress, RunState, Trial
from kerf.core.types import Budget, Candidate, KerfError, Proposer
from kerf.placement import proposal
from kerf.placement.constraints.gathering import narrow
from kerf.placement.course import Clock
from kerf.placement.design import Placement
from kerf.placement.evaluator import PlacementEvaluator
from kerf.placement.journal import Journal
from kerf.placement.output import Output
from kerf.placement.problem import PlacementProblem
from kerf.placement.recipe import FILE
from kerf.placement.score import score
from kerf.placement.shares import DEEPER_S, Shares, WhileTime
from kerf.placement.space import RecipeSpace
from kerf.placement.steps import Step
from kerf.proposers import make
from kerf.proposers.first import First
from kerf.report import html

if TYPE_CHECKING:
    from kerf.proposers.agent.agency import Agency, Hired

Watch = Callable[[Step | Progress | Moment], None]
LITTLE = 1e-4
"""A share of what is minimised that is not worth another round."""
AGENT_EVALUATIONS = 12
"""Recipes that are measured where a language model takes part and neither a time nor a number is given."""
HEAD = 2
"""Recipes of the search alone, after the default, before a model is asked; none where time is limited: an evaluation is dear here."""


@dataclass(frozen=True)
class Request:
    """What a run is asked, kept in the archive so that it can be resumed. `design`, `lef`, `start`, `slack`: files, "" for a design
    given from Python. `evaluations`: most recipes that are measured. `model` and what follows: see `kerf.proposers.agent.agency.Asked`."""

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
    evaluations: int | None = None
    model: str = ""
    agents: int = 1
    max_dollars: float | None = None
    max_tokens: int | None = None
    price: str = ""


class Search:
    """`go` once."""

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
        self.run = ""
        self.shares = Shares(problem.target, request.minutes, stop)
        self.journal = Journal()
        self.evaluator = PlacementEvaluator(
            problem,
            threads=request.threads or usable_cores(),
            clock=self.shares.clock,
            journal=self.journal,
            watch=watch,
            occasion=request.occasion,
        )
        first = {"seed": request.seed, "inflate": problem.target == "routability"}
        held = ("density",) if request.density is not None else ()
        self.space = RecipeSpace(problem.design, problem.lowered.rules, problem.target, first, held)
        self.agency = self._agency()
        self.most = request.evaluations or (
            AGENT_EVALUATIONS if self.agency and not request.minutes else None
        )
        timed = request.minutes is not None and problem.target == "hpwl"
        self.many = timed or self.agency is not None or (self.most or 1) > 1
        self.shares.many, self.shares.agents = self.many, self.agency is not None
        self.shares.took = self.evaluator.took
        self.gate: WhileTime | None = None

    def _agency(self) -> Agency | Hired | None:
        """Opened first: a missing key is said before anything is placed."""
        from kerf.placement.workbench import PlacementBench
        from kerf.proposers.agent.agency import open_agency

        def bench(author: str) -> PlacementBench:
            return PlacementBench(self.problem, self.space, self.archive)

        return open_agency(self.request, bench, self.archive)

    def close(self) -> None:
        if self.agency:
            self.agency.close()

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
        budget = Budget(self.most if self.many else 1, None)
        given: dict[str, Any] = {
            "batch": self._batch,
            "options": vars(self.request),
            "progress": self._watched(),
        }
        if resume is None:
            return loop.run(
                self.problem, proposer, self.evaluator, self.archive, budget, seed=self.request.seed, **given
            )
        record = self.archive.run(resume)
        self.journal.open(self.archive.folder / "runs" / record.id)
        trials = self.archive.trials(record.id)
        for trial in trials:
            self.evaluator.recall(trial.candidate.id, trial.evaluation)
        self.evaluator.took[:] = [t.evaluation.seconds for t in trials if t.asked]
        self.shares.spent_s = max([record.seconds, *(t.at_s for t in trials)])
        if (kept := self.journal.best(self.problem.design)) is not None:
            self.evaluator.measure(kept[0])
        if self.agency:
            self.agency.begin_again(record.id)
        return loop.resume(record.id, proposer, self.evaluator, self.archive, budget=budget, **given)

    @property
    def _batch(self) -> int:
        """With agents, one candidate of each in a round, and as many of the search beside them or over what they left open."""
        return 2 * self.request.agents if self.agency else 1

    def _proposer(self, run: str | None) -> Proposer:
        default = self.space.candidate(self.space.default(), parent=None, proposer="heuristic")
        name = self.agency.search if self.agency else self.request.proposer
        search = self._search_by(name, run) if self.many and name else None
        inner: Proposer
        if self.agency:
            inner = self.agency.proposer([default], search, 0 if self.request.minutes else HEAD)
        else:
            inner = First([default], search, self.request.proposer if search else "heuristic")
        self.gate = WhileTime(inner, self.shares)
        return self.gate

    def _search_by(self, name: str, run: str | None) -> Proposer:
        memory = self.archive.memory(run and self.archive.run(run).id)
        return make(name, self.space, memory, self.request.seed)

    def _watched(self) -> Callable[[Progress], None]:
        if not self.agency:
            return self._told
        shares = self.shares
        limited = shares.total_s is not None
        return self.agency.watching(self._told, lambda progress: shares.trying if limited else None)

    def _told(self, moment: Progress | Moment) -> None:
        """The first progress comes before the first evaluation, and names the run."""
        if isinstance(moment, Moment):
            self.watch(moment)
            return
        assert self.gate is not None, "who is asked was made before"
        self.run, self.gate.live = moment.run, True
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
        if self.shares.total_s is None or self.evaluator.best is None or outcome.best is None:
            return outcome
        if self.problem.target == "routability":
            return outcome  # the room beside cells is known to their recipe alone, which had all of the time
        began, before = time.monotonic(), self.evaluator.value(self.evaluator.best)
        seed, value, last = self.request.seed, before, float("inf")
        while self.shares.left > DEEPER_S and not self.stop.is_set() and value < last * (1 - LITTLE):
            seed, last = seed + 1, value
            self.evaluator.measure(self._once_more(self.evaluator.best, seed))
            value = self.evaluator.value(self.evaluator.best)
        return outcome if value >= before else self._record_deeper(outcome, time.monotonic() - began)

    def _once_more(self, best: Placement, seed: int) -> Placement:
        p, clock = self.problem, Clock(self.shares.left, self.stop, fill=True)
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
        candidate = Candidate({**outcome.best.files, FILE: text}, outcome.best.id, "detailed", {})
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
            *filter(None, [self.journal.complaint, trouble, unpainted, self._unasked(trouble)]),
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
            "recipe": self._said(outcome, FILE),
            "proposal": self._said(outcome, proposal.FILE),
            "recipes": len(self.evaluator.took),
            "seconds": round(time.monotonic() - self.began, 3),
            "cpu_seconds": round(time.process_time() - self.cpu, 3),
            "seed": self.request.seed,
            "threads": self.evaluator.threads,
            "report": str(self.journal.folder / "report.html") if outcome and self.journal.folder else None,
            "notes": notes,
        }
        if self.agency:
            report["model"] = self.agency.facts()
        self.journal.report(report, html(self.run, self.archive) if outcome else "")
        return report

    def _unasked(self, trouble: str) -> str:
        if self.agency is None or trouble or self.stop.is_set() or self.agency.facts().get("turns", 1):
            return ""
        return f"the model was not asked: time or evaluations ended before. Go on with more: kerf resume {self.run} --minutes M (or --evaluations N)"

    def _written(self, best: Placement) -> str:
        """What was wrong with the picture, else "". KerfError where the placement could not be written: the run has it still."""
        try:
            return self.output.write(best) if self.output else ""
        except OSError as error:
            raise KerfError(
                f"{self.output.path if self.output else ''} could not be written: {error.strerror}. Nothing is lost: make room, then `kerf resume {self.run}` writes it"
            ) from error

    @staticmethod
    def _said(outcome: Outcome | None, file: str) -> dict[str, Any] | None:
        """One of the winner's files."""
        text = outcome.best.files.get(file) if outcome and outcome.best else None
        return json.loads(text) if text else None


def status(measured: Mapping[str, Any]) -> str:
    if not measured["legal"]:
        return "illegal"
    return "constraints_broken" if measured["violations"] else "legal"


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
