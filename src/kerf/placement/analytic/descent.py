"""Nesterov's method on wirelength plus a penalty times the field's energy (Lu et al., ePlace, TODAES 2015).

The step is the inverse of a Lipschitz estimate from the last two gradients. Gradients are divided by the number of an object's pins plus
penalty times charge, so that macros, cells and fillers move at one pace.
"""

from __future__ import annotations

import numpy as np

from kerf.placement.analytic import step_kernels as kernels
from kerf.placement.analytic.charges import Charges
from kerf.placement.analytic.model import Singles

FIRST_MOVE = 0.1
"""Bins that the object with the largest gradient moves before there are two gradients to compare."""
LONGEST = 1.1
"""Factor by which the step may grow an iteration: two gradients that chance to be alike would throw everything across the die."""


class Descent:
    """`at`: (2, objects + 1), where gradients are taken, and what is handed out; `penalty` may be changed between steps."""

    def __init__(self, charges: Charges, at: Singles, gamma: float, share: float) -> None:
        self.charges, self.model = charges, charges.model
        count = self.model.objects
        self._wires, self._field, self._gradient, self._before = (
            np.zeros((2, count), np.float32) for _ in range(4)
        )
        self.at = at
        self._measure(gamma)
        pull, push = kernels.norm(self._wires), kernels.norm(self._field[:, : self.model.movable])
        self.penalty = share * (pull / push if pull > 0 and push > 0 else 1.0)
        self.restart()

    def restart(self, at: Singles | None = None) -> None:
        """Forget momentum and step; begin from `at`, if given."""
        if at is not None:
            self.at = at.copy()
        self._main, self._last = self.at.copy(), self.at.copy()
        self._step, self._momentum = 0.0, 1.0

    def measure(self, gamma: float) -> tuple[float, float]:
        """Wirelength, in bins along x, and overflow where the objects are; takes the gradients for `step`."""
        length = self._measure(gamma)
        m = self.model
        self._gradient, self._before = self._before, self._gradient
        for axis in (0, 1):
            kernels.combine(
                self._wires[axis],
                self._field[axis],
                self.penalty,
                m.pins,
                m.boxes.area,
                self._gradient[axis],
            )
        return length, self.charges.overflow

    def step(self) -> None:
        """Go down the last gradient, and on with momentum."""
        self._step = self._next_step()
        grown = (1 + np.sqrt(4 * self._momentum**2 + 1)) / 2
        ahead, self._momentum = (self._momentum - 1) / grown, grown
        m, after = self.model, self._last
        self._last = self.at
        for axis in (0, 1):
            kernels.accelerate(
                self._main[axis],
                self.at[axis],
                self._gradient[axis],
                m.low[axis],
                m.high[axis],
                self._step,
                ahead,
                after[axis],
            )
        self.at = after

    def _measure(self, gamma: float) -> float:
        length = self.model.nets.gradient(self.at, gamma, self._wires)
        self.charges.force(self.at, self._field)
        return length

    def _next_step(self) -> float:
        moved = kernels.distance(self.at, self._last, self.model.objects)
        turned = kernels.distance(self._gradient, self._before, self.model.objects)
        if self._step == 0 or moved == 0 or turned == 0:
            return FIRST_MOVE / max(float(np.abs(self._gradient).max(initial=0.0)), 1e-9)
        return min(np.sqrt(moved / turned), LONGEST * self._step if self._momentum > 2 else np.inf)
