"""Rank many points with a learned model, measure the few that look best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from kerf.core.records import Remembered
from kerf.proposers.boosting import Boosting, Matrix
from kerf.proposers.searching import Point, PointProposer, remembered

PROBLEMS, PER_PROBLEM, MOST_ROWS = 32, 128, 1500
RECALLED_PROBLEMS, RECALLED_EACH = 8, 6
POOL, ENOUGH = 256, 8
EXPLORE = 0.15
FAILED = -2.5
"""What a failure counts as: the natural logarithm of a twelfth of the best known speed."""


class CostModel(PointProposer):
    """Boosted trees on the archive's evaluations of the same kind of problem predict how far a point lies below the best (log of the score
    over its problem's best); a second, small model learns what this problem's own results add to that, refit before every round. The pool that
    it ranks holds remembered points, their neighbours, neighbours of the best so far, and fresh samples; a share of the picks
    is drawn from the pool's upper quarter instead. The idea is AutoTVM's and Ansor's (Chen et al. 2018, Zheng et al. 2020)."""

    name = "cost_model"

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        if not self.told and self._prior is None:
            yield self.space.default(), None
        while pool := [(point, parent) for point, parent in self._pool() if self.fresh(point)]:
            yield from self._ranked(pool)

    def _ranked(self, pool: Sequence[tuple[Point, str | None]]) -> Sequence[tuple[Point, str | None]]:
        if self._prior is None and len(self.told) < ENOUGH:
            return pool
        predicted = self._predict(np.array([self._row(point) for point, _ in pool], dtype=float))
        order = sorted(range(len(pool)), key=lambda i: (-predicted[i], i))
        return [pool[i] for i in self._with_exploration(order)]

    def _with_exploration(self, order: list[int]) -> Iterator[int]:
        upper = order[: max(1, len(order) // 4)]
        for index in order:
            if self.rng.random() < EXPLORE:
                yield self.rng.choice(upper)
            yield index

    def _pool(self) -> Iterator[tuple[Point, str | None]]:
        """Without a model yet, the order counts: samples and neighbours of the best take turns."""
        leaders = self.leaders(6)
        for _ in range(POOL // 4):
            yield self.space.sample(self.rng), None
            for _ in range(2 if leaders else 0):
                parent = self.rng.choice(leaders)
                yield self.space.mutate(parent.point, self.rng), parent.id
            if self._recalled:
                yield self.space.mutate(self.rng.choice(self._recalled), self.rng), None
        yield from ((point, None) for point in self._recalled)

    @cached_property
    def _recalled(self) -> Sequence[Point]:
        return remembered(self.space, self.memory, RECALLED_PROBLEMS, RECALLED_EACH)

    def _predict(self, rows: Matrix) -> Matrix:
        prior = self._prior.predict(rows) if self._prior else np.zeros(len(rows))
        own = self._own()
        return prior + own.predict(rows) if own else prior

    @cached_property
    def _prior(self) -> Boosting | None:
        if self.memory is None:
            return None
        kind, vector = self.space.signature["kind"], self.space.signature["vector"]
        found = self.memory.nearest(kind, vector, PROBLEMS, per_problem=PER_PROBLEM, passed_only=False)
        width = len(self._row(self.space.default())) - len(vector)
        usable = [r for r in found if len(r.features) == width][:MOST_ROWS]
        if len(usable) < ENOUGH:
            return None
        x = np.array([[*r.features, *r.vector] for r in usable], dtype=float)
        weight = np.array([1 / (1 + r.distance) for r in usable])
        return Boosting().fit(x, _relative(usable), weight)

    def _own(self) -> Boosting | None:
        """What this problem's results say beyond the prior."""
        if len(self.told) < (4 if self._prior else ENOUGH):
            return None
        best = max((t.score for t in self.told if t.score), default=1.0)
        x = np.array([self._row(t.point) for t in self.told], dtype=float)
        y = np.array([_log_share(t.score, best) for t in self.told])
        known = self._prior.predict(x) if self._prior else np.zeros(len(y))
        return Boosting(trees=40, depth=3).fit(x, y - known, np.ones(len(y)))

    def _row(self, point: Point) -> list[float]:
        return [*self.space.features(point), *self.space.signature["vector"]]


def _relative(rows: Sequence[Remembered]) -> Matrix:
    best: dict[str, float] = {}
    for row in rows:
        best[row.problem] = max(best.get(row.problem, 0.0), row.score or 0.0)
    return np.array([_log_share(row.score, best[row.problem]) for row in rows])


def _log_share(score: float | None, best: float) -> float:
    """log(score / best), not below FAILED."""
    return max(FAILED, math.log(score / best)) if score and score > 0 and best > 0 else FAILED
