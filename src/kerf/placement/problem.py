"""One design to place: what is asked of it, and the refusals that need no placing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.constraints import Constraint, exact
from kerf.placement.constraints.gathering import refuse_apart
from kerf.placement.constraints.lowering import Lowered, lower, obstacles
from kerf.placement.constraints.room import free_area
from kerf.placement.design import Design, Floats, Kind, Placement
from kerf.placement.orient import TURNED
from kerf.placement.rules import Rules

TARGETS = ("hpwl", "routability", "proxy")


GOALS = {"hpwl": "HPWL", "routability": "HPWL times congestion", "proxy": "the proxy cost"}


@dataclass(frozen=True)
class PlacementProblem:
    """`design` as it was read; `work`, the same with the net weights that stages pull with. `start`: where cells were given; `kept`
    says whether to refine that start or to place afresh. `density`: the share of a bin that cells may fill, where the user says."""

    design: Design
    work: Design
    constraints: tuple[Constraint, ...]
    lowered: Lowered
    start: Placement
    kept: bool
    target: str
    density: float | None

    @property
    def name(self) -> str:
        return self.design.name

    @cached_property
    def key(self) -> str:
        """Names everything that is asked: netlist, floorplan, start, weights, constraints, target."""
        d, told = self.design, hashlib.sha256()
        for array in (
            d.width, d.height, d.kind, d.fixed, d.net_start, self.work.net_weight, d.pin_cell, d.pin_x, d.pin_y,
            self.start.x, self.start.y, self.start.orient, *vars(d.rows).values(), np.array(d.die),
        ):  # fmt: skip
            told.update(np.ascontiguousarray(array).tobytes())
        asked = [d.grid, self.kept, self.target, self.density, [exact(c) for c in self.constraints]]
        told.update(repr(["\n".join(d.cell_names), *asked]).encode())
        return told.hexdigest()[:20]

    def describe(self) -> str:
        d = self.design
        macros = int(((d.kind == Kind.MACRO) & ~self.lowered.rules.fixed).sum())
        lines = [
            f"Place {d.name}: {d.cells:,} cells ({macros:,} macros that move), {d.nets:,} nets, {d.pins:,} pins.",
            f"Minimise {GOALS[self.target]}; utilization {self.utilization:.1%}.",
            *(f"Constraint: {c}" for c in self.constraints),
        ]
        return "\n".join(lines)

    @cached_property
    def utilization(self) -> float:
        """Area of what moves over the area free for it."""
        moving = ~self.lowered.rules.fixed
        area = float((self.design.width * self.design.height)[moving].sum())
        return area / max(_free(self.design, self.lowered.rules, self.start), 1e-300)


def pose(
    design: Design,
    constraints: Sequence[Constraint] = (),
    start: Placement | None = None,
    *,
    target: str | None = None,
    density: float | None = None,
    net_weight: Floats | None = None,
) -> PlacementProblem:
    """The problem of placing a design; `start` is refined where it is given. Raises KerfError for what cannot be placed, and why."""
    chosen = target or default_target(design)
    if chosen not in TARGETS:
        raise KerfError(f"there is no target {chosen!r}: choose one of {', '.join(TARGETS)}")
    if chosen == "proxy" and design.grid is None:
        raise KerfError(
            f"{design.name}: the proxy cost needs a grid and routing supply, which only Circuit Training's format has: use --target hpwl"
        )
    if density is not None and not 0 < density <= 1:
        raise KerfError(f"--density is a share between 0 and 1, got {density:g}")
    refuse(design)
    given = design.initial if start is None else start
    lowered = bound(design, constraints, given, chosen)
    work = design if net_weight is None else replace(design, net_weight=net_weight)
    return PlacementProblem(
        design, work, tuple(constraints), lowered, given, start is not None, chosen, density
    )


def bound(design: Design, constraints: Sequence[Constraint], start: Placement, target: str) -> Lowered:
    """The rules of a design under constraints. Raises KerfError where they cannot be met, and why."""
    lowered = lower(design, constraints, start)
    refuse_apart(design, constraints, lowered)
    _refuse_zones(design, lowered.rules, target)
    _refuse_unplaced_fixed(design, lowered.rules, start)
    _refuse_crowded(design, lowered.rules, start)
    return lowered


def default_target(design: Design) -> str:
    """The proxy cost for clustered designs, which have a grid and soft macros; else HPWL."""
    clustered = design.grid is not None and bool((design.kind == Kind.SOFT).any())
    return "proxy" if clustered else "hpwl"


def refuse(design: Design) -> None:
    """KerfError for a design that has no legal placement whatever the constraints: nothing in it, or a cell that does not fit."""
    if not design.cells:
        raise KerfError(f"{design.name} has no cells: there is nothing to place")
    wide, high = design.die[2] - design.die[0], design.die[3] - design.die[1]
    turned = TURNED[design.initial.orient]
    w, h = np.where(turned, design.height, design.width), np.where(turned, design.width, design.height)
    moving = ~design.fixed & (design.kind != Kind.PORT)
    slack = design.tolerance
    large = np.flatnonzero(moving & ((w > wide + slack) | (h > high + slack)))
    if len(large):
        cell, per = large[0], design.per_um or 1.0
        raise KerfError(
            f"{design.name}: cell {design.cell_names[cell]} ({w[cell] / per:g} x {h[cell] / per:g}) is larger than the die ({wide / per:g} x {high / per:g})"
        )


def _refuse_zones(design: Design, rules: Rules, target: str) -> None:
    """The search for a low proxy cost, and soft macros, know boxes and keep-outs only."""
    soft = (design.kind == Kind.SOFT) & ~rules.fixed
    if len(rules.zones) > 1 and (target == "proxy" or soft.any()):
        raise KerfError(
            f"{design.name}: regions that are exclusive or of several boxes need a design of cells and hard macros, and --target hpwl: "
            "say them as regions of one box, with keepouts"
        )


def _refuse_unplaced_fixed(design: Design, rules: Rules, start: Placement) -> None:
    used = np.zeros(design.cells, np.bool_)
    used[design.pin_cell] = True
    lost = np.flatnonzero(rules.fixed & used & ~np.isfinite(start.x + start.y))
    if len(lost):
        raise KerfError(
            f"{design.name}: {len(lost)} fixed cells have no position ({design.cell_names[lost[0]]} is one): a placement can only be measured with one; place them in the design or give --from"
        )


def _refuse_crowded(design: Design, rules: Rules, start: Placement) -> None:
    """More hard area than there is room."""
    moving = ~rules.fixed & ((design.kind == Kind.CELL) | (design.kind == Kind.MACRO))
    area, per = design.width * design.height, (design.per_um or 1.0) ** 2
    need, free = float(area[moving].sum()), _free(design, rules, start)
    if need > free * (1 + 1e-9):
        raise KerfError(
            f"{design.name}: utilization {need / max(free, 1e-300):.0%}: cells and macros of area {need / per:g} have to move in {free / per:g}, what fixed objects and keep-outs leave of the die"
        )
    standing = moving & (design.kind == Kind.CELL)
    rows = design.rows
    room = float(((rows.right - rows.x) * rows.height).sum()) if len(rows) else np.inf
    if float(area[standing].sum()) > room * (1 + 1e-9):
        raise KerfError(
            f"{design.name}: standard cells of area {area[standing].sum() / per:g} have to stand in rows of area {room / per:g}"
        )


def _free(design: Design, rules: Rules, start: Placement) -> float:
    return free_area(np.array(design.die), obstacles(design, rules, start))
