"""Maps over the die as small text grids."""

from __future__ import annotations

from kerf.core.types import KerfError
from kerf.placement import maps
from kerf.placement.design import Design, Floats, Placement

COLUMNS, MOST_COLUMNS = 16, 48
KINDS = ("density", "congestion", "pins")


def grid(design: Design, placement: Placement, kind: str, columns: int = COLUMNS) -> str:
    """A digit a bin, the top row of the die first: tenths of the fullest bin; "#" is that bin's tenth. KerfError for no such map."""
    if kind not in KINDS:
        raise KerfError(f"there is no map {kind!r}: one of {', '.join(KINDS)}")
    measure = {"density": maps.density, "congestion": maps.rudy, "pins": maps.pins}[kind]
    left, bottom, right, top = design.die
    columns = max(1, min(columns, MOST_COLUMNS))
    rows = max(1, min(round(columns * (top - bottom) / (right - left)), MOST_COLUMNS))
    values = measure(design, placement, columns, rows)
    per = design.per_um or 1.0
    scale = {"density": 1.0, "congestion": per, "pins": per**2}[kind]
    unit = {
        "density": "of a bin is covered",
        "congestion": "wire per unit of area (RUDY)",
        "pins": "pins per unit of area",
    }[kind]
    wide, high = (right - left) / columns / per, (top - bottom) / rows / per
    head = f"{kind}: # or 9 is up to {float(values.max()) * scale:.3g} {unit}; bins of {wide:.4g} x {high:.4g}, the upper left one first"
    return "\n".join([head, *_lines(values)])


def _lines(values: Floats) -> list[str]:
    most = float(values.max()) or 1.0
    tenths = (values / most * 10).astype(int)
    return ["".join("#" if t >= 10 else str(t) for t in row) for row in tenths[::-1]]
