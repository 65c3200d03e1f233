"""Constraints that a design brings with it: regions and halos of its DEF, as the same objects that people write."""

from __future__ import annotations

from kerf.placement.constraints.kinds import Box, Constraint, Halo, Keepout, Region
from kerf.placement.design import Design, Kind
from kerf.placement.formats.def_floorplan import floorplan


def given(design: Design) -> tuple[Constraint, ...]:
    """A Region for each of the DEF's regions that is no mere guide and has cells, exclusive where it is a fence (a fence without cells
    keeps everybody out), and a Halo for hard macros that may move, as wide as the widest of its sides. Empty for designs without
    a DEF. Raises FormatError where the DEF is malformed there."""
    plan, per_um, names = floorplan(design), design.per_um or 1.0, design.cell_names
    found: list[Constraint] = []
    for region in plan.regions:
        boxes: list[Box] = [(a, b, c, d) for a, b, c, d in (region.rects / per_um).tolist()]
        fence = region.kind == "FENCE"
        if region.kind != "GUIDE" and len(region.cells):
            members = tuple(names[i] for i in region.cells)
            found.append(Region(members, boxes[0] if len(boxes) == 1 else tuple(boxes), fence))
        elif fence:
            found += map(Keepout, boxes)
    widest = plan.halo.max(axis=1) / per_um
    loose = (design.kind == Kind.MACRO) & ~design.fixed & (widest > 0)
    for width in sorted(set(widest[loose].tolist())):
        same = tuple(name for i, name in enumerate(names) if loose[i] and widest[i] == width)
        found.append(Halo(same, width))
    return tuple(found)
