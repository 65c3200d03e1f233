"""Constraints that a design brings with it: regions and halos of its DEF, as the same objects that people write."""

from __future__ import annotations

from kerf.placement.constraints.kinds import Constraint, Halo, Region
from kerf.placement.design import Design, Kind
from kerf.placement.formats.def_floorplan import floorplan


def given(design: Design) -> tuple[Constraint, ...]:
    """A Region for each of the DEF's regions that is no mere guide and has cells (of several rectangles, the box around them; that a fence
    keeps others out is not said), and a Halo for hard macros that may move, as wide as the widest of its sides. Empty for designs without
    a DEF. Raises FormatError where the DEF is malformed there."""
    plan, per_um, names = floorplan(design), design.per_um or 1.0, design.cell_names
    found: list[Constraint] = []
    for region in plan.regions:
        if region.kind != "GUIDE" and len(region.cells):
            left, bottom = region.rects[:, :2].min(axis=0) / per_um
            right, top = region.rects[:, 2:].max(axis=0) / per_um
            members = tuple(names[i] for i in region.cells)
            found.append(Region(members, (float(left), float(bottom), float(right), float(top))))
    widest = plan.halo.max(axis=1) / per_um
    loose = (design.kind == Kind.MACRO) & ~design.fixed & (widest > 0)
    for width in sorted(set(widest[loose].tolist())):
        same = tuple(name for i, name in enumerate(names) if loose[i] and widest[i] == width)
        found.append(Halo(same, width))
    return tuple(found)
