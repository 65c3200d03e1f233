"""How full bins may be, and what fills the rest: target density and fillers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Floats

ROOM, ROOM_KEPT = 0.75, 0.9
"""By default bins may be filled to the utilization and this share of what is left: at 1 legalization has to move too much. A start that is
kept is refined for the last time, mostly around macros that stand: there is less to come that needs room."""
WIDEST = 2.0
"""Bins along a side of a filler, at most; larger ones are no longer small boxes (`field_kernels`)."""
NARROWEST = 1.4
"""At least: smaller ones cost time and fill no better, since boxes are widened to this anyway."""


@dataclass(frozen=True)
class Fillers:
    """`count` boxes of width x height, in bins, that stand for free area."""

    width: float
    height: float
    count: int


def target_density(
    name: str, cells: float, macros: float, free: float, asked: float | None, room: float
) -> float:
    """The share of free area that cells may fill: `asked`, or the utilization and a share `room` of the rest. Macros take all of theirs.
    Areas in bins.

    Raises KerfError where cells and macros are more than the free area."""
    if cells + macros > free * (1 + 1e-6):
        share = f"{100 * (cells + macros) / free:.1f} % of it" if free > 0 else "there is none"
        raise KerfError(
            f"{name}: movable cells, and macros with their halos, do not fit the free area of rows and die ({share}); "
            "enlarge the die, or remove halos, keepouts or fixed blocks"
        )
    need = cells / max(free - macros, 1e-9)
    wanted = need + room * (1 - need) if asked is None else asked
    return float(np.clip(wanted, min(need, 1.0), 1.0))


def fillers(width: Floats, height: Floats, missing: float) -> Fillers:
    """As large as the mean of the cells (K,) given, of `missing` area together."""
    wide, high = (
        float(np.clip(sizes.mean() if len(sizes) else 1.0, NARROWEST, WIDEST)) for sizes in (width, height)
    )
    return Fillers(wide, high, max(int(missing / (wide * high)), 0))
