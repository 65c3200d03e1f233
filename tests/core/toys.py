"""Stand-ins for a domain: a problem, a space and an evaluator that need no hardware."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerf.core.types import Candidate, Evaluation, Metric, Status
from kerf.proposers.conformance import ToySpace


@dataclass(frozen=True)
class ToyProblem:
    name: str = "toy"

    @property
    def key(self) -> str:
        return f"key-{self.name}"

    def describe(self) -> str:
        return f"make {self.name} larger"


class Landscape:
    """A tuning problem like a kernel's: a few interacting decisions, an optimum that moves slowly with the problem's size, failures
    in a corner, and a score that is a speed-up."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.space = ToySpace(signature_vector=(size,))

    def score(self, point: Mapping[str, Any]) -> float | None:
        tile, unroll, order = point["tile"], point["unroll"], point["order"]
        if tile * unroll > 200:
            return None
        best_tile = 3 + 2 * self.size
        cost = 0.25 * abs(math.log2(tile) - best_tile) + 0.15 * abs(math.log2(unroll) - (1 + self.size / 2))
        cost += {"ijk": 0.5, "ikj": 0.0, "kij": 0.35}[order] + (
            0.0 if point["pack"] == (self.size > 1) else 0.3
        )
        cost += 0.06 * abs(point["prefetch"] - 4 * self.size) + 0.2 * (point["vector"] != 8) * math.log2(
            8 / point["vector"]
        )
        cost += 0.25 * (point["pack"] and order == "kij") + 0.08 * (point["align"] - 2) ** 2 * (
            order == "ikj"
        )
        return 4 * math.exp(-cost)

    def best(self) -> float:
        rng = random.Random(0)
        return max(self.score(self.space.sample(rng)) or 0.0 for _ in range(20_000))


class ToyEvaluator:
    """Scores a candidate's point without touching a machine; `calls` counts what was really measured."""

    def __init__(self, landscape: Landscape | None = None, key: str = "toy-machine") -> None:
        self.landscape = landscape or Landscape(1.0)
        self._key = key
        self.calls: list[str] = []
        self.confirmed: list[str] = []

    @property
    def key(self) -> str:
        return f"{self._key}/{self.landscape.size}"

    def evaluate(self, candidate: Candidate) -> Evaluation:
        self.calls.append(candidate.id)
        return self._judge(candidate, 1.0)

    def confirm(self, candidate: Candidate) -> Evaluation:
        self.confirmed.append(candidate.id)
        return self._judge(candidate, 0.97)

    def _judge(self, candidate: Candidate, factor: float) -> Evaluation:
        score = self.landscape.score(candidate.notes["point"])
        if score is None:
            return Evaluation(Status.BUILD_FAILED, "too many registers", environment={"cpu": "toy"})
        metric = Metric(score * factor * 1.05, "x", score * factor, score * factor * 1.1, better="higher")
        return Evaluation(
            Status.PASSED, "", score * factor, {"speedup_eager": metric}, {"seed": 1}, {"cpu": "toy"}, 0.01
        )

    def close(self) -> None:
        """Nothing to let go of."""
