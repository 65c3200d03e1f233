"""Wider cells where wires are dense, so that they are placed, and wired, further apart.

After the cell inflation of RePlAce (Cheng et al., TCAD 2019), driven by RUDY. A router's supply is not known here, so a bin is crowded against
the placement that inflation begins with. Of the cells in a crowded bin those that bring more wire for their area grow more: to move them
apart thins the wires by more than it costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerf.placement import maps
from kerf.placement.design import Design, Floats, Ints, Kind, Placement
from kerf.placement.hpwl import net_lengths
from kerf.placement.rules import Rules

CROWDED = 90.0
"""Percentile of the wire density in the cells' bins, in the first placement, above which a bin is crowded."""
STEEP = 2.0
"""Power of the wire density over that by which cells grow in a round."""
STEP, WIDEST = 1.5, 3.0
"""Factor on a cell's width at most, in one round and in all."""
GREEDIEST = 3.0
"""Times the median that a cell's wire per area counts at most."""
SHARE = 0.5
"""Of the free area, what inflation may take at most."""


@dataclass(frozen=True)
class Inflation:
    """cells: (n,) those that may grow. limit: wire density from which a bin is crowded. swell: (C,) factor on each cell's width."""

    design: Design
    rules: Rules
    cells: Ints
    limit: float
    swell: Floats

    @staticmethod
    def of(design: Design, placement: Placement, rules: Rules) -> Inflation | None:
        """None where no bin is more crowded than others."""
        placed = np.isfinite(placement.x + placement.y)
        cells = np.flatnonzero(~rules.fixed & (design.kind == Kind.CELL) & placed & (design.width > 0))
        here = _wires_at(design, placement, cells)
        limit = float(np.percentile(here, CROWDED)) if len(cells) else 0.0
        if limit <= 0 or here.max() <= limit:
            return None
        return Inflation(design, rules, cells, limit, np.ones(design.cells))

    def grown(self, placement: Placement, pace: float) -> Inflation:
        """After one more look at where wires are dense; `pace`, 0 to 1, slows growth down."""
        here = _wires_at(self.design, placement, self.cells)
        crowd = np.clip((here / self.limit) ** STEEP, 1.0, STEP) - 1.0
        growth = np.minimum(crowd * self._greed(placement), STEP - 1.0)
        swell = self.swell.copy()
        swell[self.cells] = np.minimum(swell[self.cells] * (1.0 + pace * growth), WIDEST)
        return Inflation(self.design, self.rules, self.cells, self.limit, self._affordable(swell))

    def _greed(self, placement: Placement) -> Floats:
        """(n,) the wire that each cell brings for its area, over the median: of a net each pin has an equal share."""
        d = self.design
        degree = np.diff(d.net_start)
        length = np.nan_to_num(d.net_weight * net_lengths(d, placement)) / np.maximum(degree, 1)
        wire = np.bincount(d.pin_cell, np.repeat(length, degree), d.cells)[self.cells]
        dense = wire / (d.width * d.height)[self.cells]
        return np.clip(dense / max(float(np.median(dense)), 1e-300), 0.0, GREEDIEST)

    def _affordable(self, swell: Floats) -> Floats:
        """Scaled down so that the added area is at most a SHARE of the die's free area."""
        d = self.design
        area = d.width * d.height
        left, bottom, right, top = d.die
        free = max((right - left) * (top - bottom) - float(area[d.kind != Kind.PORT].sum()), 0.0)
        added = float((area * (swell - 1.0)).sum())
        scale = min(1.0, SHARE * free / added) if added > 0 else 0.0
        return 1.0 + (swell - 1.0) * scale


def _wires_at(design: Design, placement: Placement, cells: Ints) -> Floats:
    """(n,) RUDY in the bin of each of these cells."""
    columns, rows = maps.bins(design)
    left, bottom, right, top = design.die
    column = np.clip((placement.x[cells] - left) / (right - left) * columns, 0, columns - 1)
    row = np.clip((placement.y[cells] - bottom) / (top - bottom) * rows, 0, rows - 1)
    found: Floats = maps.rudy(design, placement, columns, rows)[row.astype(np.int64), column.astype(np.int64)]
    return found
