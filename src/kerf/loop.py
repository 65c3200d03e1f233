"""The loop: ask a proposer, evaluate, tell, archive; confirm the winner. It knows no domain and receives everything it uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerf.core.records import Outcome, Progress, RunState, Stop, Store, Trial
from kerf.core.types import Budget, Candidate, Evaluation, Evaluator, KerfError, Problem, Proposer, Status

Watcher = Callable[[Progress], None]
Clock = Callable[[], float]
IDLE = 8
"""So many rounds in a row with nothing but what this run has already told, and the proposer counts as exhausted."""


def run(
    problem: Problem,
    proposer: Proposer,
    evaluator: Evaluator,
    store: Store,
    budget: Budget,
    *,
    seed: int = 0,
    batch: int = 4,
    options: Mapping[str, Any] | None = None,
    progress: Watcher = lambda _: None,
    clock: Clock = time.monotonic,
) -> Outcome:
    """A new search. `batch` candidates are asked for at a time; `seed` and `options` (JSON: what the caller needs to build the same
    proposer again) are only recorded. Ctrl-C ends it with Stop.INTERRUPTED; evaluations the archive already holds cost no budget."""
    name = store.begin(problem, evaluator.key, proposer.name, seed, budget, options or {})
    return _Search(name, proposer, evaluator, store, budget, batch, progress, clock).finish()


def resume(
    run_id: str,
    proposer: Proposer,
    evaluator: Evaluator,
    store: Store,
    *,
    budget: Budget | None = None,
    options: Mapping[str, Any] | None = None,
    batch: int = 4,
    progress: Watcher = lambda _: None,
    clock: Clock = time.monotonic,
) -> Outcome:
    """Continue a stopped search, with a `proposer` made afresh from the run's seed: the recorded rounds are asked and told again, so
    that it stands where it stood. `budget` (default: the run's own) includes what was already spent;
    `options` take the place of the recorded ones. KerfError if the evaluator
    measures something else than the run did."""
    record = store.run(run_id)
    if record.evaluator_key != evaluator.key:
        raise KerfError(
            f"run {run_id} was measured under other conditions (evaluator key {record.evaluator_key}, now {evaluator.key}): "
            "the problem, its sizes, the machine, threads or kerf itself changed. Start a new run; it reuses what it can."
        )
    record = store.reopen(run_id, budget or record.budget, options)
    search = _Search(run_id, proposer, evaluator, store, record.budget, batch, progress, clock)
    trials = store.trials(run_id)
    search.pending = replay(proposer, trials, search.note)
    search.base_s = max((t.at_s for t in trials), default=0.0)
    return search.finish()


def replay(proposer: Proposer, trials: Sequence[Trial], note: Callable[[Trial], None]) -> list[Candidate]:
    """Bring a fresh proposer to where it stood after `trials`; the rest of the last round, asked for but never evaluated."""
    asked: list[Candidate] = []
    most = 0
    for number in range(trials[-1].round + 1 if trials else 0):
        told = [t for t in trials if t.round == number]
        most = told[0].asked if told else most
        asked = list(proposer.ask(most))
        for trial in told:
            proposer.tell(trial.candidate, trial.evaluation)
            note(trial)
    known = {t.candidate.id for t in trials}
    return [c for c in asked if c.id not in known]


@dataclass
class _Search:
    run: str
    proposer: Proposer
    evaluator: Evaluator
    store: Store
    budget: Budget
    batch: int
    progress: Watcher
    clock: Clock
    trials: list[Trial] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    pending: list[Candidate] = field(default_factory=list)
    best: Trial | None = None
    reused: int = 0
    base_s: float = 0.0
    since: float = 0.0

    def finish(self) -> Outcome:
        self.since = self.clock()
        stop, state = Stop.INTERRUPTED, RunState.INTERRUPTED
        winner: tuple[Candidate, Evaluation] | None = None
        confirmed = False
        try:
            stop = self.search()
            winner, confirmed = self.confirm(), True
            state = RunState.DONE
        except KeyboardInterrupt:
            stop = Stop.INTERRUPTED
            winner = (self.best.candidate, self.best.evaluation) if self.best else None
        finally:
            self.store.finish(self.run, state, self.seconds, winner[0].id if winner else None)
        self.progress(replace(self._progress(None), stop=stop))
        candidate, evaluation = winner or (None, None)
        known = confirmed and candidate is not None
        return Outcome(self.run, candidate, evaluation, known, self.measured, self.reused, self.seconds, stop)

    def search(self) -> Stop:
        self.report()
        for number, asked, candidate in self.candidates():
            self.evaluate(candidate, number, asked)
            if self.spent:
                return Stop.BUDGET
        return Stop.BUDGET if self.spent else Stop.EXHAUSTED

    def candidates(self) -> Iterator[tuple[int, int, Candidate]]:
        last = self.trials[-1] if self.trials else None
        number, asked, idle = (last.round, last.asked, 0) if last else (-1, 0, 0)
        yield from ((number, asked, c) for c in self.pending if not self.spent)
        while not self.spent and idle < IDLE:
            number, asked, told = number + 1, self.batch, len(self.told)
            if not (proposed := self.proposer.ask(asked)):
                return
            yield from ((number, asked, c) for c in proposed if c.id not in self.told)
            idle = 0 if len(self.told) > told else idle + 1

    def evaluate(self, candidate: Candidate, number: int, asked: int) -> None:
        known = self.store.lookup(candidate.id, self.evaluator.key)
        evaluation = known or self.evaluator.evaluate(candidate)
        trial = Trial(candidate, evaluation, number, asked, self.seconds, known is not None)
        self.store.record(self.run, self.evaluator.key, trial)
        self.proposer.tell(candidate, evaluation)
        self.note(trial)
        self.report(trial)

    def confirm(self, most: int = 3) -> tuple[Candidate, Evaluation] | None:
        """The best by claimed score is measured again until the best of all is a confirmed one, or `most` have held."""
        self.progress(replace(self._progress(None), confirming=True))
        claims = {t.candidate.id: t.candidate for t in self.trials if t.evaluation.status is Status.PASSED}
        score = {t.candidate.id: t.evaluation.score or 0.0 for t in self.trials if t.candidate.id in claims}
        held: dict[str, Evaluation] = {}
        done = dict(self.store.confirmations(self.run))
        while claims and len(held) < most:
            leader = max(claims, key=lambda c: score[c])
            if leader in held:
                break
            evaluation = done.get(leader) or self._confirm(claims[leader])
            if evaluation.score is None:
                del claims[leader]
            else:
                held[leader], score[leader] = evaluation, evaluation.score
        if not held:
            return None
        best = max(held, key=lambda c: score[c])
        return claims[best], held[best]

    def _confirm(self, candidate: Candidate) -> Evaluation:
        evaluation = self.evaluator.confirm(candidate)
        self.store.record_confirmation(self.run, self.evaluator.key, candidate.id, evaluation)
        return evaluation

    def note(self, trial: Trial) -> None:
        self.trials.append(trial)
        self.told.add(trial.candidate.id)
        self.reused += trial.reused
        if _score(trial) > _score(self.best):
            self.best = trial

    def report(self, trial: Trial | None = None) -> None:
        self.progress(self._progress(trial))

    def _progress(self, trial: Trial | None) -> Progress:
        return Progress(self.run, self.budget, self.measured, self.reused, self.seconds, trial, self.best)

    @property
    def seconds(self) -> float:
        return self.base_s + self.clock() - self.since

    @property
    def measured(self) -> int:
        return len(self.trials) - self.reused

    @property
    def spent(self) -> bool:
        limit = self.budget
        return (limit.evaluations is not None and self.measured >= limit.evaluations) or (
            limit.seconds is not None and self.seconds >= limit.seconds
        )


def _score(trial: Trial | None) -> float:
    score = trial.evaluation.score if trial else None
    return float("-inf") if score is None else score
