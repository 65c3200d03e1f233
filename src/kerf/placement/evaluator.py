"""Runs recipes and measures what they lead to. What is legal, and which constraints hold, is decided by checks that know nothing of the
stages (`legality`, `proof`)."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

from kerf.core.types import Candidate, Evaluation, KerfError, Metric, Status, content_hash
from kerf.placement.constraints.proof import broken
from kerf.placement.course import Clock, Course
from kerf.placement.design import Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.journal import SAVE_S, Journal
from kerf.placement.legality import check
from kerf.placement.maps import congestion
from kerf.placement.packing import pack, unpack
from kerf.placement.problem import PlacementProblem
from kerf.placement.proposal import proposal_of
from kerf.placement.proxy import proxy
from kerf.placement.recipe import recipe_of
from kerf.placement.score import violations
from kerf.placement.steps import Step, Watch

VERSION = 1


class PlacementEvaluator:
    """`best` is the best legal placement that any recipe led to, or had on its way when it was stopped; `illegal` the last that broke a rule,
    should nothing legal be found. `kept`: candidate's id -> its placement, packed. `clock()` gives each recipe its time. `occasion` tells runs apart: what a recipe leads to depends
    on the time that it was given, so one run's measurements are not another's."""

    def __init__(
        self,
        problem: PlacementProblem,
        *,
        threads: int,
        clock: Callable[[], Clock],
        journal: Journal,
        watch: Watch,
        occasion: str,
    ) -> None:
        self.problem, self.threads, self.clock = problem, threads, clock
        self.journal, self.watch, self.occasion = journal, watch, occasion
        self.best: Placement | None = None
        self.illegal: Placement | None = None
        self.crash: Exception | None = None
        self.notes: list[str] = []
        self.took: list[float] = []
        self.kept: dict[str, str] = {}
        self._passing: Placement | None = None
        self._measured_s = time.monotonic()

    @property
    def key(self) -> str:
        return content_hash(["placement", VERSION, self.problem.key, self.threads, self.occasion])

    def evaluate(self, candidate: Candidate) -> Evaluation:
        """Run the recipe. Raises KeyboardInterrupt where the user stopped it: a stopped recipe is not measured, but its best is kept."""
        began, clock = time.monotonic(), self.clock()
        try:
            recipe, proposal = recipe_of(candidate.files), proposal_of(candidate.files)
            problem = (
                proposal.posed(self.problem, self._base(proposal.base)) if proposal.asks else self.problem
            )
            course = Course(
                problem, recipe, candidate.id, clock, self.threads, self._seen, self.journal, self.notes,
                around=proposal.way == "cells",
            )  # fmt: skip
            found = self.measure(course.run())
        except KerfError as error:
            found = Evaluation(Status.BUILD_FAILED, str(error))
        except Exception as error:
            self.crash = error
            found = Evaluation(Status.CRASHED, f"{type(error).__name__}: {error}")
        if found.status in (Status.BUILD_FAILED, Status.CRASHED):
            self.notes.append(f"a recipe failed: {found.reason}")
            self.measure_passing()
        if clock.stop.is_set():
            raise KeyboardInterrupt
        seconds = time.monotonic() - began
        self.took.append(seconds)
        self.recall(candidate.id, found)
        return Evaluation(
            found.status,
            found.reason,
            found.score,
            found.metrics,
            found.detail,
            environment(self.threads),
            seconds,
        )

    def _base(self, candidate: str) -> Placement | None:
        known = self.kept.get(candidate)
        return None if known is None else unpack(known, self.problem.design)

    def confirm(self, candidate: Candidate) -> Evaluation:
        """A winner's placement, checked and measured again from what was kept of it."""
        known = self.kept.get(candidate.id)
        if known is None:
            return Evaluation(Status.REJECTED, "its placement was not kept")
        return self.measure(unpack(known, self.problem.design))

    def recall(self, candidate: str, evaluation: Evaluation) -> None:
        """Know the placement of a candidate measured now or earlier."""
        if "placement" in evaluation.detail:
            self.kept[candidate] = str(evaluation.detail["placement"])

    def close(self) -> None:
        """Nothing is held open."""

    def measure(self, placement: Placement) -> Evaluation:
        """Check and measure a placement, and keep it where it is the best so far."""
        problem = self.problem
        faults = violations(problem.design, check(problem.design, placement))
        faults += broken(problem.design, placement, problem.constraints, problem.start)
        metrics = self._metrics(placement)
        value = self.value(placement)
        if faults or value != value:
            self.illegal = placement
            why = "; ".join(f"{f['rule']}: {f['count']}" for f in faults) or "cells without a position"
            return Evaluation(Status.WRONG, why, None, metrics, {"violations": faults})
        if self.best is None or value < self.value(self.best):
            self.best = placement
        self.journal.keep_best(placement, value)
        headline = f"cost {value:.4f}" if problem.target == "proxy" else f"HPWL {metrics['hpwl'].value:,.0f}"
        detail = {"headline": headline, "placement": pack(placement)}
        return Evaluation(Status.PASSED, "", 1.0 / max(self._normal(value), 1e-9), metrics, detail)

    def value(self, placement: Placement) -> float:
        """What is minimised: the proxy cost, or HPWL in the design's unit with the weights that pull, for routability times congestion."""
        if self.problem.target == "proxy":
            return proxy(self.problem.design, placement).cost
        length = hpwl(self.problem.work, placement)
        crowded = self.problem.target == "routability"
        return length * congestion(self.problem.work, placement) if crowded else length

    def _normal(self, value: float) -> float:
        """HPWL as the proxy cost counts it, over the die's half perimeter and the sum of the weights, and congestion times the first over the
        second; scores are the inverse, and positive, so that one design's tell something about another's."""
        if self.problem.target == "proxy":
            return value
        left, bottom, right, top = self.problem.design.die
        side, weight = right - left + top - bottom, float(self.problem.work.net_weight.sum()) or 1.0
        return value / weight**2 if self.problem.target == "routability" else value / (side * weight)

    def _metrics(self, placement: Placement) -> Mapping[str, Metric]:
        design = self.problem.design
        length = hpwl(design, placement) / (design.per_um or 1.0)
        found = {"hpwl": Metric(length, "um" if design.per_um else design.unit)}
        if design.grid is not None and length == length:
            cost = proxy(design, placement)
            found |= {name: Metric(value, "") for name, value in vars(cost).items()}
            found["cost"] = Metric(cost.cost, "")
        return found

    def _seen(self, step: Step) -> None:
        """Legal placements on the way count: a kill or an impatient user must not lose them."""
        if step.legal and step.placement is not None:
            self._passing = step.placement
            if time.monotonic() - self._measured_s >= SAVE_S:
                self.measure_passing()
        self.watch(step)

    def measure_passing(self) -> None:
        """Measure the last legal placement that a stage reported."""
        if self._passing is not None:
            self.measure(self._passing)
        self._passing, self._measured_s = None, time.monotonic()


def environment(threads: int) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "threads": threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }
