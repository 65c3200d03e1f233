"""The charge of a model's objects wherever they are, and the force of its field on them."""

from __future__ import annotations

import numpy as np

from kerf.placement.analytic import field_kernels as field
from kerf.placement.analytic.model import Ground, Model, Singles
from kerf.placement.analytic.poisson import Poisson


class Charges:
    """`overflow`: charge of the movable cells above what their bins have room for, over all of it, where `force` was last asked."""

    def __init__(self, model: Model, threads: int) -> None:
        self.model, region = model, model.region
        self.poisson = Poisson(region.columns, region.rows, region.aspect, threads)
        shape = (region.columns + field.PAD, region.rows + field.PAD)
        self._cells, self._all = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._blocked = [np.float32(ground.target) * ground.blocked for ground in model.grounds]
        self._total = max(float(model.boxes.area[: model.movable].sum()), 1e-9)
        self.overflow = 1.0

    def force(self, at: Singles, out: Singles) -> None:
        """Fill `out` (2, objects) with the gradient of the field's energy for the objects at (2, objects or more), in bins."""
        m, over = self.model, 0.0
        boxes = (at[0], at[1], m.boxes.half_w, m.boxes.half_h, m.boxes.density)
        for ground, blocked in zip(m.grounds, self._blocked):
            self._spread(ground, at)
            over += field.excess(self._cells, ground.blocked, ground.target)
            self.poisson.solve(self._all[: m.region.columns, : m.region.rows] + blocked)
            slopes = (self.poisson.slope_x, self.poisson.slope_y, out[0], out[1])
            field.force_small(*boxes, *ground.small, *slopes)
            field.force_large(*boxes, *ground.large, *slopes)
            field.force_small(*boxes, *ground.fillers, *slopes)
        self.overflow = over / self._total

    def room(self, ground: Ground, at: Singles) -> Singles:
        """(columns, rows): what a ground's cells at (2, N or more) leave free of each bin, for its fillers."""
        self._spread(ground, at, fillers=False)
        region = self.model.region
        inner = self._cells[: region.columns, : region.rows]
        return np.maximum(ground.target * (1 - ground.blocked) - inner, 0)

    def _spread(self, ground: Ground, at: Singles, fillers: bool = True) -> None:
        b = self.model.boxes
        boxes = (at[0], at[1], b.half_w, b.half_h, b.density)
        self._cells.fill(0)
        field.spread_small(*boxes, *ground.small, self._cells)
        x, y, w, h, density = (array[slice(*ground.large)] for array in boxes)
        field.spread_large(x - w, y - h, x + w, y + h, density, self._cells)
        if fillers:
            self._all[:] = self._cells
            field.spread_small(*boxes, *ground.fillers, self._all)
