"""Global placement by electrostatics: cells are charges, bins fuller than the target push them away, nets pull them together.

After ePlace (Lu et al., TODAES 2015), ePlace-MS (TCAD 2015), RePlAce (Cheng et al., TCAD 2019) and DREAMPlace (Lin et al., TCAD 2021):
weighted-average wirelength, a spectral field, fillers, Nesterov's method, a penalty that grows while wirelength grows slowly, smoothing that
follows overflow.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from kerf.placement.analytic.charges import Charges
from kerf.placement.analytic.descent import Descent
from kerf.placement.analytic.guard import Guard, Verdict
from kerf.placement.analytic.inflation import Inflation
from kerf.placement.analytic.model import Model, build
from kerf.placement.analytic.options import GlobalOptions, GlobalResult
from kerf.placement.analytic.start import first_places
from kerf.placement.design import Design, Floats, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched

FROM_NOTHING, FROM_PLACES = 8e-5, 0.1
"""First shares of the penalty. Cells that have places are held there by the field from the first iteration."""
STEADY = 0.005
"""Relative rise of wirelength in an iteration at which the penalty stays what it is."""
LEAST = 0.99
"""Least factor on the penalty an iteration. Less loses more in a jump of the wirelength than the quiet after it wins back: a small tangled
design then never leaves its heap."""
RESTARTS = 3
LOST = 3.0
"""Times the overflow asked for at which a descent counts as lost, and is tried again."""
ROUNDS = 6
"""Descents with wider cells, at most."""
DEARER = 0.03
"""Of the wirelength, what relief of congestion may cost."""
QUIET_S = 0.1
"""Between reports."""
SHOWN = 50
"""Iterations between reports with a placement."""


def place_global(
    design: Design,
    start: Placement,
    rules: Rules,
    options: GlobalOptions = GlobalOptions(),
    *,
    seed: int = 0,
    threads: int = 1,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> GlobalResult:
    """Spread the movable cells over the free area, near the shortest wirelength; cells still overlap a little.

    start: places of fixed cells, orientations of all, and, with `options.keep_start`, where to begin; NaN where a cell has no place.
    The same seed, options and number of threads give the same result, unless the deadline ends it.
    Raises KerfError where a cell does not fit its box, or all of them the free area."""
    run = _Run(design, rules, options, np.random.default_rng(seed), threads, deadline, watch)
    result = run.round(start, options)
    if result.overflow > LOST * options.stop_overflow and result.note and not deadline.passed:
        result = run.patiently(start, options, result)
    if options.routability:
        result = run.relieved(start, options, result)
    return result


@dataclass(frozen=True)
class _Run:
    design: Design
    rules: Rules
    options: GlobalOptions
    rng: np.random.Generator
    threads: int
    deadline: Deadline
    watch: Watch

    def patiently(self, start: Placement, options: GlobalOptions, lost: GlobalResult) -> GlobalResult:
        """Once more after a descent that scattered the cells, with a penalty that grows half as fast and, unless the user said how full
        bins may be, as much room as there is: pockets between fixed blocks drain slowly. The better of both."""
        density = 1.0 if options.target_density is None else options.target_density
        slower = replace(options, growth=1 + (options.growth - 1) / 2, target_density=density)
        found = self.round(start, slower)
        best = found if found.overflow < lost.overflow else lost
        note = f"{lost.note}; tried again with a slower penalty, to overflow {found.overflow:.3f}"
        return replace(best, iterations=lost.iterations + found.iterations, note=note)

    def relieved(self, start: Placement, options: GlobalOptions, plain: GlobalResult) -> GlobalResult:
        """Placed again from the same start with cells that grow where wires are dense, until that costs DEARER of the wirelength. A round
        that costs more is dropped, and growth goes on at half the pace from the one before."""
        grown = Inflation.of(self.design, plain.placement, self.rules)
        if grown is None:
            return plain
        best, pace, iterations = plain, 1.0, plain.iterations
        for _ in range(ROUNDS):
            wider = grown.grown(best.placement, pace)
            found = self.round(start, options, wider.swell)
            iterations += found.iterations
            if self.deadline.passed:
                break
            spread = found.overflow <= max(LOST * options.stop_overflow, plain.overflow)
            if spread and found.hpwl <= (1 + DEARER) * plain.hpwl:
                grown, best = wider, replace(found, swell=wider.swell)
            else:
                pace /= 2
        return replace(best, iterations=iterations, note=best.note or plain.note)

    def round(self, start: Placement, options: GlobalOptions, swell: Floats | None = None) -> GlobalResult:
        """One descent from the start to the overflow asked for."""
        if self.rules.fixed.all():
            return GlobalResult(start.copy(), 0, 0.0, hpwl(self.design, start))
        model = build(self.design, start, self.rules, options, swell)
        charges = Charges(model, self.threads)
        at = first_places(charges, start, options.keep_start, self.rng)
        return _Search(self, options, model, start, charges, at).result()


class _Search:
    """A descent and what steers it: smoothing, penalty, guard, reports."""

    def __init__(
        self,
        run: _Run,
        options: GlobalOptions,
        model: Model,
        start: Placement,
        charges: Charges,
        at: np.ndarray,
    ) -> None:
        self.run, self.options, self.model, self.start = run, options, model, start
        share = options.first_penalty or (FROM_PLACES if options.keep_start else FROM_NOTHING)
        charges.force(at, np.empty((2, model.objects), np.float32))
        self.descent = Descent(charges, at, self._gamma(charges.overflow), share)
        self.guard = Guard(options.stop_overflow)
        self.growth, self.last = options.growth, 0.0
        self.notes: list[str] = []
        self._reported = -np.inf

    def result(self) -> GlobalResult:
        iterations = self._descend()
        best = self.guard
        places = self.descent.at if best.places is None else best.places
        placement = self.model.placement(places, self.start)
        length = hpwl(self.run.design, placement)
        overflow = min(best.overflow, 1.0)
        self.run.watch(
            Step("global", iterations, self.options.max_iterations, length, overflow, None, placement)
        )
        return GlobalResult(placement, iterations, overflow, length, "; ".join(self.notes))

    def _descend(self) -> int:
        """Iterate until the overflow is reached, time is up, or the guard has seen enough. Returns the number of iterations."""
        overflow, restarts = self.descent.charges.overflow, 0
        for iteration in range(1, self.options.max_iterations + 1):
            length, overflow = self.descent.measure(self._gamma(overflow))
            verdict = self.guard.judge(iteration, self.descent.at, length, overflow)
            self._report(iteration, length, overflow)
            if overflow <= self.options.stop_overflow or self.run.deadline.passed:
                return iteration
            if verdict is Verdict.STALLED or (verdict is Verdict.BLOWN and restarts == RESTARTS):
                self._explain(f"stopped at iteration {iteration}, when nothing had got better")
                return iteration
            if verdict is Verdict.BLOWN:
                restarts += 1
                self._go_back(iteration)
                overflow = min(self.guard.overflow, 1.0)
                continue
            self.descent.step()
            self._raise_penalty(length)
        if overflow > self.options.stop_overflow:
            self._explain(f"stopped after the {self.options.max_iterations} iterations allowed")
        return self.options.max_iterations

    def _gamma(self, overflow: float) -> float:
        """RePlAce's schedule: ten times the smoothing at overflow 0.55."""
        return float(self.options.gamma * 10 ** ((min(overflow, 1.0) - 0.1) * 20 / 9))

    def _raise_penalty(self, length: float) -> None:
        rise = (length - self.last) / (STEADY * length) if self.last > 0 and length > 0 else 0.0
        self.descent.penalty *= float(np.clip(self.growth ** (1 - rise), LEAST, self.growth))
        self.last = length

    def _go_back(self, iteration: int) -> None:
        """To the best state, with a penalty that is lower and grows more slowly."""
        self._explain(f"diverged at iteration {iteration}; went back to iteration {self.guard.iteration}")
        self.descent.restart(self.guard.places)
        self.descent.penalty *= 0.5
        self.growth, self.last = 1 + (self.growth - 1) / 2, 0.0
        self.guard.forgive(iteration)

    def _explain(self, what: str) -> None:
        best = self.guard
        self.notes.append(
            f"global placement {what}; kept the state of overflow {best.overflow:.3f} (asked for {self.options.stop_overflow:g})"
        )

    def _report(self, iteration: int, length: float, overflow: float) -> None:
        now = time.monotonic()
        shown = iteration % SHOWN == 0
        if not shown and now - self._reported < QUIET_S:
            return
        self._reported = now
        placement = self.model.placement(self.descent.at, self.start) if shown else None
        scaled = length * self.model.region.wide
        self.run.watch(
            Step("global", iteration, self.options.max_iterations, scaled, overflow, None, placement)
        )
