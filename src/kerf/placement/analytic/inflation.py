"""Wider cells where wires are dense, so that routing finds room: RePlAce's cell inflation, driven by RUDY."""

from __future__ import annotations

import numpy as np

from kerf.placement import maps
from kerf.placement.design import Design, Floats, Kind, Placement
from kerf.placement.rules import Rules

ROUNDS = 2
CROWDED = 90.0
"""Percentile of the wire density of bins that hold cells, above which a bin counts as crowded."""
WIDEST = 1.6
"""Factor on a cell's width at most."""
SHARE = 0.5
"""Of the free area, what inflation may take at most."""


def widths(design: Design, placement: Placement, rules: Rules) -> Floats | None:
    """(C,) factor on each cell's width: how much denser than the CROWDED percentile the wires of its bin are; None where nothing is."""
    columns, rows = maps.bins(design)
    wires = maps.rudy(design, placement, columns, rows)
    cells = np.flatnonzero(
        ~rules.fixed & (design.kind != Kind.MACRO) & np.isfinite(placement.x + placement.y)
    )
    if not len(cells):
        return None
    left, bottom, right, top = design.die
    column = np.clip((placement.x[cells] - left) / (right - left) * columns, 0, columns - 1).astype(np.int64)
    row = np.clip((placement.y[cells] - bottom) / (top - bottom) * rows, 0, rows - 1).astype(np.int64)
    here = wires[row, column]
    limit = np.percentile(here, CROWDED)
    if limit <= 0 or here.max() <= limit:
        return None
    swell = np.ones(design.cells)
    swell[cells] = np.clip(here / limit, 1.0, WIDEST)
    return _affordable(design, rules, swell)


def _affordable(design: Design, rules: Rules, swell: Floats) -> Floats:
    """Scaled down so that the added area is at most a SHARE of the die's free area."""
    area = design.width * design.height
    hard = design.kind != Kind.PORT
    left, bottom, right, top = design.die
    free = max((right - left) * (top - bottom) - float(area[hard].sum()), 0.0)
    added = float((area * (swell - 1.0))[~rules.fixed].sum())
    scale = min(1.0, SHARE * free / added) if added > 0 else 0.0
    return 1.0 + (swell - 1.0) * scale
