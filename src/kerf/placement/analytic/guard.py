"""Keeps the best places seen, and tells when a descent has stopped to make sense.

Users' most common complaint of analytic placers is that they diverge: small, dense or narrow designs cannot be spread to the overflow asked
for, the penalty grows without end, and what comes out is scattered.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from kerf.placement.analytic.model import Singles

PRICE = 3.0
"""Wirelength that less overflow may cost, relative to relative: far above what it costs while a descent goes well (0.3 to 1)."""
NEAR = 0.2
"""Overflow from which wirelength is weighed against it; before, cells have yet to leave the heap that they begin in."""
PATIENCE = 80
"""Iterations on end that the best state beats in both respects are a stall; above NEAR, PATIENCE_FAR of them."""
PATIENCE_FAR = 400
BLOWN = 2.0
"""Times the best state's cost: the descent has lost its way."""


class Verdict(Enum):
    FINE = "fine"
    STALLED = "stalled"
    BLOWN = "blown"


class Guard:
    """The best state: `places`, its iteration, length and overflow."""

    def __init__(self, stop: float) -> None:
        self._stop, self._cost = stop, np.inf
        self.places: Singles | None = None
        self.iteration, self.length, self.overflow = 0, np.inf, np.inf
        self._since = 0

    def judge(self, iteration: int, at: Singles, length: float, overflow: float) -> Verdict:
        """Look at one more state; keeps a copy of it if it is the best so far."""
        if not np.isfinite(length + overflow):
            return Verdict.BLOWN
        cost = length * (1 + PRICE * max(overflow - self._stop, 0.0))
        near = min(overflow, self.overflow) <= NEAR
        better = cost < self._cost if self.overflow <= NEAR else overflow < self.overflow
        if better or overflow <= self._stop:
            self._keep(iteration, at, length, overflow, cost)
            return Verdict.FINE
        if near and cost > BLOWN * self._cost:
            return Verdict.BLOWN
        if length < self.length or overflow < self.overflow:
            self._since = iteration
        patience = PATIENCE if near else PATIENCE_FAR
        return Verdict.STALLED if iteration - self._since > patience else Verdict.FINE

    def forgive(self, iteration: int) -> None:
        """Count patience from here, after a restart."""
        self._since = iteration

    def _keep(self, iteration: int, at: Singles, length: float, overflow: float, cost: float) -> None:
        if self.places is None:
            self.places = at.copy()
        else:
            self.places[:] = at
        self.iteration = self._since = iteration
        self.length, self.overflow, self._cost = length, overflow, cost
