"""What every stage of placement obeys, as plain arrays: constraints and the floorplan, lowered.

A stage knows nothing of constraints as people write them (`constraints`): it keeps each cell's box inside `box`, away from `keepouts` and,
for hard macros, `halo` away from other hard objects; it moves nothing that is `fixed`, and turns a cell only as `orients` allows. `pulls`
are extra nets that hold groups together during global placement; `zones` say who may not be where. `Rules.of(design)` are those of a design without constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Kind


@dataclass(frozen=True)
class Zone:
    """What some cells may not overlap beside keepouts: `barred`, (K, 4). Zones of one `ground` have area in common, those of different
    grounds none; `closed`, (K, 4), is what all zones of the ground are barred from."""

    barred: Floats
    ground: int
    closed: Floats


EVERYWHERE = (Zone(np.empty((0, 4)), 0, np.empty((0, 4))),)


@dataclass(frozen=True)
class Rules:
    """fixed: (C,), also true of every port. box: (C, 4) left, bottom, right, top that the cell's own box stays in. halo: (C,) clear
    space around a hard macro, zero for other cells. keepouts: (K, 4) rectangles that no movable cell may overlap. orients: (C, 8),
    the allowed codes of `orient`. pulls: groups of cells, each with a net weight. zone: (C,), which of `zones` a cell is in. Lengths in the design's unit."""

    fixed: Bools
    box: Floats
    halo: Floats
    keepouts: Floats
    orients: Bools
    zone: Ints
    pulls: tuple[tuple[Ints, float], ...] = ()
    zones: tuple[Zone, ...] = EVERYWHERE

    @staticmethod
    def of(design: Design) -> Rules:
        """The die, and what the design fixes. Standard cells may flip about the y axis (their rows decide the rest), hard macros take
        the four orientations that keep width and height in place, soft macros and ports stay as they are."""
        allowed = np.zeros((design.cells, 8), np.bool_)
        allowed[np.arange(design.cells), design.initial.orient] = True
        hard = (design.kind == Kind.CELL) | (design.kind == Kind.MACRO)
        upright = ~orient.TURNED[design.initial.orient]
        flat = np.array([orient.N, orient.S, orient.FN, orient.FS])
        turned = np.array([orient.W, orient.E, orient.FW, orient.FE])
        allowed[np.ix_(np.flatnonzero(hard & upright), flat)] = True
        allowed[np.ix_(np.flatnonzero(hard & ~upright), turned)] = True
        return Rules(
            fixed=design.fixed | (design.kind == Kind.PORT),
            box=np.tile(np.array(design.die), (design.cells, 1)),
            halo=np.zeros(design.cells),
            keepouts=np.empty((0, 4)),
            orients=allowed,
            zone=np.zeros(design.cells, np.int64),
        )

    def barred(self, cell: int) -> Floats:
        """(K, 4) what this cell may not overlap beside keepouts and what is hard."""
        return self.zones[self.zone[cell]].barred

    def freeze(self, cells: Bools) -> Rules:
        """The same, with these cells fixed as well."""
        return replace(self, fixed=self.fixed | cells)
