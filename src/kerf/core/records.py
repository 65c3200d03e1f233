"""What a run leaves behind, as plain values, and the face of whatever keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from kerf.core.types import Budget, Candidate, Evaluation, Problem


class RunState(StrEnum):
    """RUNNING also covers a run whose process was killed: the archive's `is_held` tells the two apart."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class RunRecord:
    """One search. Times are seconds since 1970; `seconds` is search time, without the time it lay stopped. `options` is what the
    caller needs to start it again; `best` a candidate's id."""

    id: str
    problem: str
    problem_name: str
    description: str
    evaluator_key: str
    proposer: str
    seed: int
    budget: Budget
    options: Mapping[str, Any] = field(default_factory=dict)
    state: RunState = RunState.RUNNING
    created: float = 0.0
    updated: float = 0.0
    seconds: float = 0.0
    best: str | None = None


@dataclass(frozen=True)
class Trial:
    """One candidate of one run and what was told of it. `asked`: how many its round asked for; `at_s`: search time when it was
    told; `reused`: the evaluation came from the archive and cost nothing."""

    candidate: Candidate
    evaluation: Evaluation
    round: int
    asked: int
    at_s: float
    reused: bool = False


class Stop(StrEnum):
    """Why a search ended."""

    BUDGET = "budget"
    EXHAUSTED = "exhausted"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Outcome:
    """What a run found. `evaluation` is the confirmation when `confirmed`; `best` is None when nothing passed. `evaluations` counts
    what was measured, `reused` what the archive already knew, `seconds` the search time over all its sittings."""

    run: str
    best: Candidate | None
    evaluation: Evaluation | None
    confirmed: bool
    evaluations: int
    reused: int
    seconds: float
    stop: Stop


@dataclass(frozen=True)
class Spending:
    """What a language model cost a run so far; `dollars` None where its price is unknown."""

    turns: int = 0
    tokens: int = 0
    dollars: float | None = 0.0


@dataclass(frozen=True)
class Progress:
    """Sent before the first and after every evaluation (`trial` None before the first), once with `confirming` set, and at last with `stop`.
    `spending`: where a language model takes part."""

    run: str
    budget: Budget
    evaluations: int
    reused: int
    seconds: float
    trial: Trial | None = None
    best: Trial | None = None
    confirming: bool = False
    stop: Stop | None = None
    spending: Spending | None = None


@dataclass(frozen=True)
class Moment:
    """A line about what goes on inside one evaluation. A passing one makes way for the next; the others stay."""

    text: str
    passing: bool = True


@dataclass(frozen=True)
class Remembered:
    """An evaluated point of some problem, for proposers that learn from other problems. `vector` is that problem's signature;
    `distance` how far it lies from the one asked about; `score` None unless it passed."""

    problem: str
    distance: float
    vector: tuple[float, ...]
    point: Mapping[str, Any]
    features: tuple[float, ...]
    score: float | None


class Memory(Protocol):
    """Where proposers find what other problems taught."""

    def nearest(
        self, kind: str, vector: Sequence[float], k: int, *, per_problem: int = 8, passed_only: bool = True
    ) -> Sequence[Remembered]:
        """The best `per_problem` points of each of the `k` problems of that signature kind nearest to `vector`, nearest problem
        first, best first within it."""


class Store(Protocol):
    """What the loop needs of an archive."""

    def begin(
        self,
        problem: Problem,
        evaluator_key: str,
        proposer: str,
        seed: int,
        budget: Budget,
        options: Mapping[str, Any],
    ) -> str:
        """A new run's id; it is held by this process until `finish`."""

    def reopen(self, run: str, budget: Budget, options: Mapping[str, Any] | None = None) -> RunRecord:
        """Continue a stopped run under this budget. KerfError if it is unknown or another process holds it."""

    def run(self, run: str) -> RunRecord: ...
    def trials(self, run: str) -> Sequence[Trial]: ...
    def lookup(self, candidate: str, key: str) -> Evaluation | None: ...
    def record(self, run: str, key: str, trial: Trial) -> None: ...
    def confirmations(self, run: str) -> Mapping[str, Evaluation]: ...
    def record_confirmation(self, run: str, key: str, candidate: str, evaluation: Evaluation) -> None: ...
    def finish(self, run: str, state: RunState, seconds: float, best: str | None) -> None: ...
