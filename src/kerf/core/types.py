"""The nouns and protocols of the loop. Every domain speaks these; none of them knows a domain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How an evaluation ended. Only PASSED carries measurements that count."""

    PASSED = "passed"
    BUILD_FAILED = "build_failed"
    WRONG = "wrong"
    REJECTED = "rejected"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True)
class Metric:
    """A measured number. `low`/`high`: its 95 % interval; `source`: measured | rtl | sta | pnr | model."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    better: str = "lower"
    source: str = "measured"


@dataclass(frozen=True)
class Candidate:
    """A set of files proposed as an answer (relative path -> text). `notes` (the schedule, the thought behind it) travel with it but are
    not part of its identity."""

    files: Mapping[str, str]
    parent: str | None = None
    proposer: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return content_hash(sorted(self.files.items()))


@dataclass(frozen=True)
class Evaluation:
    """A verdict with its evidence. `score` is what a search maximises (for kernels: the lower end of the speed-up's interval);
    None unless PASSED. `detail` is plain JSON: raw samples, tolerances, seeds revealed after."""

    status: Status
    reason: str = ""
    score: float | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.status is Status.PASSED) != (self.score is not None):
            raise ValueError("an evaluation has a score if and only if it passed")

    @property
    def headline(self) -> str:
        """The score as a person reads it: what the domain says in `detail["headline"]`, else a ratio; "-" without a score."""
        if self.score is None:
            return "-"
        return str(self.detail.get("headline") or f"{self.score:.2f}x")


class Problem(Protocol):
    """What to make. `key` identifies its content; `describe` gives the text a person or a model reads."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    def describe(self) -> str: ...


class Space(Protocol):
    """What may vary in one problem, for proposers that know no domain. A `point` is a plain JSON-able mapping of decision
    name to value; an `rng` is a `random.Random`."""

    def default(self) -> Mapping[str, Any]: ...
    def sample(self, rng: Any) -> Mapping[str, Any]: ...
    def mutate(self, point: Mapping[str, Any], rng: Any) -> Mapping[str, Any]: ...
    def cross(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: Any) -> Mapping[str, Any]: ...
    def adapt(self, point: Mapping[str, Any]) -> Mapping[str, Any]:
        """The nearest legal point to one remembered from another problem."""

    def features(self, point: Mapping[str, Any]) -> Sequence[float]:
        """A fixed-length vector (for the space's `signature`) that a cost model can learn from."""

    @property
    def signature(self) -> Mapping[str, Any]:
        """What problems are compared by: {"kind": str, "vector": [floats]}; nearest in `vector` within a `kind`."""

    def candidate(self, point: Mapping[str, Any], *, parent: str | None, proposer: str) -> Candidate:
        """The candidate that this point stands for; its `notes["point"]` is the point."""


class Proposer(Protocol):
    name: str

    def ask(self, n: int) -> Sequence[Candidate]:
        """Up to n new candidates; an empty answer means it has nothing left to propose."""

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None: ...


class Evaluator(Protocol):
    """Build, check, measure. Never raises for what a candidate did."""

    @property
    def key(self) -> str:
        """Names everything besides the candidate that could change a measurement: problem, workloads, target
        fingerprint, threads, evaluator version."""

    def evaluate(self, candidate: Candidate) -> Evaluation: ...
    def confirm(self, candidate: Candidate) -> Evaluation:
        """Measure a winner again, in a fresh process, at higher precision."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Budget:
    """A search stops at whichever comes first."""

    evaluations: int | None = None
    seconds: float | None = None


class KerfError(Exception):
    """A user's mistake or a missing piece: the message says what, where and what to do next. Exit status 2."""


def content_hash(value: Any) -> str:
    """20 hex digits of the SHA-256 of the JSON form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
