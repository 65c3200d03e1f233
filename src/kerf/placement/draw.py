"""A placement as a picture: the layout, and beside it a map of what fills it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import maps
from kerf.placement.constraints import Constraint, Keepout, Region
from kerf.placement.constraints.kinds import Box
from kerf.placement.design import Bools, Design, Floats, Kind, Placement
from kerf.placement.formats import text
from kerf.placement.hpwl import hpwl
from kerf.placement.packing import write_bytes
from kerf.placement.picture import Colour, Label, Layer, Picture, heat
from kerf.placement.proxy import ProxyCost

PANEL, MARGIN, FOOT = 900, 12, 30
SHADES = 24
FENCES, REGIONS, KEEPOUTS = (120, 60, 160), (150, 190, 110), (200, 120, 120)
CELLS, MACROS, SOFT, PORTS, WIRES = (
    (70, 130, 180),
    (88, 98, 112),
    (244, 164, 96),
    (178, 34, 34),
    (20, 140, 60),
)


def draw(
    design: Design,
    placement: Placement,
    map_name: str = "density",
    nets_of: str = "",
    *,
    panel: int = PANEL,
    caption: str = "",
    constraints: Sequence[Constraint] = (),
) -> Picture:
    """The layout, with the nets of one cell where `nets_of` names it, and a map of MAPS (or "none"). `panel`: pixels of its longer
    side; `caption` stands for the usual one. Regions and keep-outs among `constraints` are drawn under the cells."""
    if map_name != "none" and map_name not in MAPS:
        raise KerfError(f"there is no map {map_name!r}: choose one of {', '.join(MAPS)}, none")
    left, bottom, right, top = design.die
    scale = panel / max(right - left, top - bottom)
    wide, high = (right - left) * scale, (top - bottom) * scale
    panels = 1 if map_name == "none" else 2
    picture = Picture(round(panels * (wide + MARGIN) + MARGIN), round(high + 2 * MARGIN + FOOT))
    layout = _View(design.die, scale, MARGIN, MARGIN + high)
    die, *things = _layout(design, placement, layout)
    picture.layers += [die, *_areas(design, constraints, layout), *things]
    if nets_of:
        picture.layers += _flylines(design, placement, layout, nets_of)
    foot = MARGIN + high + FOOT - 8
    picture.labels.append(Label(MARGIN, foot, caption or _caption(design, placement)))
    if panels == 2:
        view = _View(design.die, scale, wide + 2 * MARGIN, MARGIN + high)
        map_name = drawn_map(design, map_name)
        values = MAPS[map_name](design, placement)
        picture.layers += _heat(values, design.die, view)
        picture.labels.append(Label(view.x0, foot, f"{map_name}: up to {values.max():.3g}"))
    return picture


def drawn_map(design: Design, asked: str) -> str:
    """Congestion needs a grid with a supply of tracks; without one it is RUDY, the demand of wires for room."""
    return "rudy" if asked == "congestion" and design.grid is None else asked


def save(picture: Picture, path: Path) -> None:
    """SVG or PNG, by the end of the name. Raises KerfError for any other."""
    if path.suffix == ".svg":
        text.write(path, picture.svg())
    elif path.suffix == ".png":
        write_bytes(path, picture.png())
    else:
        raise KerfError(f"{path}: pictures are written as .svg or .png")


class _View:
    """From the die's coordinates to pixels; y turns over."""

    def __init__(self, die: tuple[float, float, float, float], scale: float, x0: float, y0: float) -> None:
        self.die, self.scale, self.x0, self.y0 = die, scale, x0, y0

    def at(self, points: Floats) -> Floats:
        """(K, 4): x, y, x, y."""
        shift = np.array([self.die[0], self.die[1]] * 2)
        moved = (points - shift) * self.scale * np.array([1, -1, 1, -1])
        return moved + np.array([self.x0, self.y0] * 2)


def _layout(design: Design, placement: Placement, view: _View) -> list[Layer]:
    boxes = np.stack(design.boxes(placement), axis=1)
    there = np.isfinite(placement.x) & np.isfinite(placement.y)

    def of(kind: Kind) -> Floats:
        return view.at(boxes[there & (design.kind == kind)])

    dots = of(Kind.PORT)
    middle = (dots[:, :2] + dots[:, 2:]) / 2
    return [
        Layer(view.at(np.array([design.die])), fill=(250, 250, 250), stroke=(60, 60, 60)),
        Layer(of(Kind.SOFT), fill=SOFT, stroke=SOFT, opacity=0.35),
        Layer(of(Kind.CELL), fill=CELLS, opacity=0.6),
        Layer(of(Kind.MACRO), fill=MACROS, stroke=(20, 20, 20), opacity=0.75),
        Layer(np.concatenate([middle - 1.5, middle + 1.5], axis=1), fill=PORTS),
    ]


def _areas(design: Design, constraints: Sequence[Constraint], view: _View) -> list[Layer]:
    """Fences, other regions, and keep-outs, each in its colour."""
    kinds: dict[Colour, list[Box]] = {}
    for c in constraints:
        if isinstance(c, Region):
            kinds.setdefault(FENCES if c.exclusive else REGIONS, []).extend(c.boxes)
        elif isinstance(c, Keepout):
            kinds.setdefault(KEEPOUTS, []).append(c.box)
    per = design.per_um or 1.0
    return [
        Layer(view.at(np.array(boxes) * per), fill=colour, stroke=colour, opacity=0.3)
        for colour, boxes in kinds.items()
    ]


def _flylines(design: Design, placement: Placement, view: _View, name: str) -> list[Layer]:
    """A line from the first pin of each of the cell's nets to every other."""
    if name not in design.cell_names:
        raise KerfError(f"{design.name}: no cell is called {name!r}")
    net_of = np.repeat(np.arange(design.nets), np.diff(design.net_start))
    wanted: Bools = np.isin(net_of, net_of[design.pin_cell == design.cell_names.index(name)])
    x, y = design.pin_positions(placement)
    pins = np.flatnonzero(wanted)
    first = design.net_start[net_of[pins]]
    lines = np.stack([x[first], y[first], x[pins], y[pins]], axis=1)
    return [Layer(view.at(lines[np.isfinite(lines).all(axis=1)]), stroke=WIRES, line=True)]


def _heat(values: Floats, die: tuple[float, float, float, float], view: _View) -> list[Layer]:
    """Bins of one shade in one layer."""
    rows, columns = values.shape
    x = np.linspace(die[0], die[2], columns + 1)
    y = np.linspace(die[1], die[3], rows + 1)
    row, column = np.indices(values.shape).reshape(2, -1)
    boxes = view.at(np.stack([x[column], y[row], x[column + 1], y[row + 1]], axis=1))
    most = float(values.max()) or 1.0
    shade = np.round(values.ravel() / most * (SHADES - 1)).astype(int)
    layers = [Layer(boxes[shade == s], fill=heat(s / (SHADES - 1))) for s in range(SHADES)]
    return [*layers, Layer(view.at(np.array([die])), stroke=(60, 60, 60))]


def _caption(design: Design, placement: Placement) -> str:
    length = hpwl(design, placement)
    unit = "um" if design.per_um else design.unit
    shown = f", HPWL {length / (design.per_um or 1):,.0f} {unit}" if length == length else ""
    return f"{design.name}: {design.cells:,} cells, {design.nets:,} nets{shown}"


def _congestion(design: Design, placement: Placement) -> Floats:
    _, horizontal, vertical = ProxyCost(design, placement).maps()
    return np.maximum(horizontal, vertical)


MAPS: dict[str, Callable[[Design, Placement], Floats]] = {
    "density": lambda d, p: maps.density(d, p, *maps.bins(d)),
    "rudy": lambda d, p: maps.rudy(d, p, *maps.bins(d)),
    "pins": lambda d, p: maps.pins(d, p, *maps.bins(d)),
    "congestion": _congestion,
}
