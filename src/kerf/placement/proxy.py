"""The proxy cost of macro placement: wirelength + 0.5 density + 0.5 congestion, exactly, in full and after moves.

The terms are those of Circuit Training (Mirhoseini et al., Nature 2021) as TILOS' open evaluator defines them (MacroPlacement, "Proxy cost"),
with pins outside the canvas counted in its nearest grid cell. docs/placement.md gives every definition. Only the sums that a move changes
are done again: those of its cells' nets and of the grid cells under its macros; the two means of the fullest grid cells are always taken
afresh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import proxy_kernels as kernels
from kerf.placement.design import Design, Floats, Grid, Ints, Placement


@dataclass(frozen=True)
class Proxy:
    """The three terms, unweighted, and their sum with the weights 1, 0.5, 0.5."""

    wirelength: float
    density: float
    congestion: float

    @property
    def cost(self) -> float:
        return self.wirelength + 0.5 * self.density + 0.5 * self.congestion


class ProxyCost:
    """The proxy cost of one design at one placement, which `move` changes.

    Raises KerfError where the design has no grid (only Circuit Training's format has) or a cell that matters has no place."""

    def __init__(self, design: Design, placement: Placement | None = None) -> None:
        if design.grid is None:
            raise KerfError(
                f"{design.name}: the proxy cost needs a grid and routing supply, and this format has none"
            )
        self.design, self.grid = design, design.grid
        placement = design.initial if placement is None else placement
        lost = np.flatnonzero(~(np.isfinite(placement.x) & np.isfinite(placement.y)))
        if len(lost):
            raise KerfError(f"{design.name}: cell {design.cell_names[lost[0]]} has no position")
        self._state = _state(design, design.grid, placement)
        self._weight = float(design.net_weight.sum()) or 1.0
        kernels.fill(self._state)

    @property
    def placement(self) -> Placement:
        return Placement(self._state.x.copy(), self._state.y.copy(), self._state.orient.copy())

    def value(self) -> Proxy:
        """The cost where the cells are now."""
        s, g = self._state, self.grid
        density, congestion = kernels.fullest(s, g.smooth, g.routes_h, g.routes_v)
        return Proxy(float(s.total[0]) / ((g.width + g.height) * self._weight), density, congestion)

    def move(self, cells: Ints, x: Floats, y: Floats, orient: Ints | None = None) -> Proxy:
        """Put K different cells elsewhere: centres (K,), orientations (K,) where they change. Returns the new cost.

        Moving them back restores it; sums of whole weights come back bit for bit, the others within rounding."""
        if orient is None:
            orient = self._state.orient[cells]
        kernels.shift(self._state, cells, x, y, orient)
        return self.value()

    def maps(self) -> tuple[Floats, Floats, Floats]:
        """Density, and horizontal and vertical congestion, of each grid cell: (rows, columns) each, bottom row first."""
        s, g = self._state, self.grid
        horizontal, vertical = kernels.congestion(s, g.smooth, g.routes_h, g.routes_v)
        shape = (g.rows, g.columns)
        area = s.grid[2] * s.grid[3]
        return (s.occupied / area).reshape(shape), horizontal.reshape(shape), vertical.reshape(shape)


def proxy(design: Design, placement: Placement) -> Proxy:
    """The proxy cost of a placement."""
    return ProxyCost(design, placement).value()


def _state(design: Design, grid: Grid, placement: Placement) -> kernels.State:
    cells, pins, nets = design.cells, design.pins, design.nets
    net_of = np.repeat(np.arange(nets), np.diff(design.net_start))
    by_cell = np.argsort(design.pin_cell, kind="stable")
    size = grid.columns * grid.rows
    return kernels.State(
        grid=(
            grid.columns,
            grid.rows,
            grid.width / grid.columns,
            grid.height / grid.rows,
            grid.used_h,
            grid.used_v,
        ),
        net_start=design.net_start,
        net_weight=design.net_weight,
        pin_cell=design.pin_cell,
        pin_x=design.pin_x,
        pin_y=design.pin_y,
        cell_start=np.searchsorted(design.pin_cell[by_cell], np.arange(cells + 1)),
        cell_pins=by_cell,
        net_of=net_of,
        kind=design.kind,
        width=design.width,
        height=design.height,
        x=placement.x.astype(np.float64),
        y=placement.y.astype(np.float64),
        orient=placement.orient.astype(np.int64),
        at_x=np.empty(pins),
        at_y=np.empty(pins),
        spot=np.empty(pins, np.int64),
        length=np.zeros(nets),
        total=np.zeros(1),
        occupied=np.zeros(size),
        route_h=np.zeros(size),
        route_v=np.zeros(size),
        macro_h=np.zeros(size),
        macro_v=np.zeros(size),
        seen=np.full(size, -1),
        touched=np.zeros(nets, np.bool_),
    )
