"""A design in memory: plain numpy arrays in CSR form.

Shapes: C cells, M nets, P pins, R rows. Cells are everything that has a place: standard cells, hard and soft macros, ports. A *pin* here
is one incidence of a net on a cell; the pins of net m are `net_start[m]:net_start[m + 1]`, its driver first where the format names one.
Lengths are in the design's own unit (`unit`): micrometres, the database unit of a DEF, or Bookshelf's abstract unit. A position is a
cell's *centre*, so that orienting it moves no pin of a square one and no format's corner convention leaks in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerf.core.types import KerfError
from kerf.placement import orient

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Kind(IntEnum):
    """CELL stands in rows; MACRO is a hard block; SOFT is a cluster of cells that may overlap; PORT has a place and blocks nothing."""

    CELL = 0
    MACRO = 1
    SOFT = 2
    PORT = 3


@dataclass(frozen=True)
class Rows:
    """(R,) each. A row covers x .. x + spacing * (sites - 1) + site_width and y .. y + height; `orient` is a code of `orient.NAMES`."""

    x: Floats
    y: Floats
    height: Floats
    site_width: Floats
    spacing: Floats
    sites: Ints
    orient: Ints

    def __len__(self) -> int:
        return len(self.x)

    @property
    def right(self) -> Floats:
        return self.x + self.spacing * (self.sites - 1) + self.site_width

    @staticmethod
    def of(table: Sequence[Sequence[float]]) -> Rows:
        """From rows of (x, y, height, site_width, spacing, sites, orient)."""
        columns = np.array(table, dtype=np.float64).reshape(-1, 7).T
        whole = columns[5:].astype(np.int64)
        return Rows(*(np.ascontiguousarray(c) for c in columns[:5]), *whole)


@dataclass(frozen=True)
class Grid:
    """What the proxy cost divides the canvas into, and its routing supply (see `proxy`): the header of a Circuit Training placement.

    Routes are per unit of length, `used` those that a hard macro takes from the cells under it; `smooth` is a number of grid cells."""

    columns: int
    rows: int
    width: float
    height: float
    routes_h: float
    routes_v: float
    used_h: float
    used_v: float
    smooth: int


@dataclass(frozen=True)
class Placement:
    """(C,) each: the centre (NaN where a cell has no place yet) and the code of the orientation."""

    x: Floats
    y: Floats
    orient: Ints

    def copy(self) -> Placement:
        return Placement(self.x.copy(), self.y.copy(), self.orient.copy())


@dataclass(frozen=True)
class Design:
    """Netlist, floorplan, and the placement that came with them.

    width, height: (C,) in orientation N. kind: (C,) of `Kind`. fixed: (C,) may not move. net_start: (M + 1,), net_weight: (M,).
    pin_cell: (P,) index of the cell; pin_x, pin_y: (P,) offset from its centre in N. die: (left, bottom, right, top).
    `per_um` is the number of units in a micrometre where the format says, else None. `tolerance` is the length by which rounding in
    the format may shift an edge. `rects` gives the (K, 4) rectangles (left, bottom, right, top), as they lie in the initial
    placement, of a cell that is no rectangle. `source` is what the format needs to write the design again, unread by anything else.
    `notes`: what reading left out, for whoever asked."""

    name: str
    format: str
    unit: str
    per_um: float | None
    cell_names: list[str]
    width: Floats
    height: Floats
    kind: NDArray[np.int8]
    fixed: Bools
    net_names: list[str]
    net_start: Ints
    net_weight: Floats
    pin_cell: Ints
    pin_x: Floats
    pin_y: Floats
    die: tuple[float, float, float, float]
    rows: Rows
    initial: Placement
    grid: Grid | None = None
    tolerance: float = 0.0
    rects: dict[int, Floats] = field(default_factory=dict)
    source: Any = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def cells(self) -> int:
        return len(self.cell_names)

    @property
    def nets(self) -> int:
        return len(self.net_names)

    @property
    def pins(self) -> int:
        return len(self.pin_cell)

    def extent(self, placement: Placement) -> tuple[Floats, Floats]:
        """Width and height of each cell as oriented; (C,) each."""
        turned = orient.TURNED[placement.orient]
        return np.where(turned, self.height, self.width), np.where(turned, self.width, self.height)

    def boxes(self, placement: Placement) -> tuple[Floats, Floats, Floats, Floats]:
        """Left, bottom, right, top of each cell; (C,) each."""
        w, h = self.extent(placement)
        return placement.x - w / 2, placement.y - h / 2, placement.x + w / 2, placement.y + h / 2

    def pin_positions(self, placement: Placement) -> tuple[Floats, Floats]:
        """Where each pin is; (P,) each."""
        matrix = orient.MATRICES[placement.orient[self.pin_cell]]
        x = placement.x[self.pin_cell] + matrix[:, 0, 0] * self.pin_x + matrix[:, 0, 1] * self.pin_y
        y = placement.y[self.pin_cell] + matrix[:, 1, 0] * self.pin_x + matrix[:, 1, 1] * self.pin_y
        return x, y


def _check(d: Design) -> None:
    """Our readers refuse bad files with a line number; this guards designs made of arrays by hand."""
    for name in ("width", "height", "kind", "fixed"):
        _require(getattr(d, name).shape == (d.cells,), f"{name} must have shape ({d.cells},)")
    for name in ("x", "y", "orient"):
        _require(getattr(d.initial, name).shape == (d.cells,), f"initial.{name} must have shape ({d.cells},)")
    for name in ("pin_x", "pin_y"):
        _require(getattr(d, name).shape == (d.pins,), f"{name} must have shape ({d.pins},)")
    _require(d.net_weight.shape == (d.nets,), f"net_weight must have shape ({d.nets},)")
    _require(
        d.net_start.shape == (d.nets + 1,) and d.net_start[0] == 0 and d.net_start[-1] == d.pins,
        f"net_start must be ({d.nets + 1},), from 0 to the number of pins",
    )
    _require(bool((np.diff(d.net_start) >= 0).all()), "net_start must not fall")
    inside = d.pins == 0 or (d.pin_cell.min() >= 0 and d.pin_cell.max() < d.cells)
    _require(bool(inside), f"pin_cell must lie in 0 .. {d.cells - 1}")
    for name in ("width", "height"):
        sizes = getattr(d, name)
        _require(bool((np.isfinite(sizes) & (sizes >= 0)).all()), f"{name} must be finite and not negative")
    for name in ("pin_x", "pin_y", "net_weight"):
        _require(bool(np.isfinite(getattr(d, name)).all()), f"{name} must be finite")
    _require(
        bool((d.initial.orient >= 0).all() and (d.initial.orient < 8).all()), "orient must lie in 0 .. 7"
    )
    spans = np.stack([d.rows.height, d.rows.site_width, d.rows.spacing]) if len(d.rows) else np.ones(1)
    _require(bool((np.isfinite(spans) & (spans > 0)).all()), "rows must have a positive height and sites")
    left, bottom, right, top = d.die
    _require(bool(np.isfinite(d.die).all()) and right > left and top > bottom, f"the die {d.die} is empty")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise KerfError(f"design: {what}")
