"""Hard macros after global placement: apart, in their boxes, as near as may be to where they were."""

from __future__ import annotations

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legalize import graph
from kerf.placement.legalize.blocks import FREE, Blocks, Grid, blocks
from kerf.placement.legalize.cells import prepared
from kerf.placement.legalize.compact import compact
from kerf.placement.legalize.graph import BELOW, LEFT, Axis
from kerf.placement.legalize.greedy import place_one_by_one
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched


def legalize_macros(
    design: Design,
    placement: Placement,
    rules: Rules,
    *,
    seed: int = 0,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> Placement:
    """The movable hard macros without overlap, inside their boxes, with their halos clear, off keepouts and fixed objects."""
    movable = ~rules.fixed & (design.kind == Kind.MACRO)
    placed = prepared(design, placement, rules, movable)
    which = np.flatnonzero(movable)
    if not len(which):
        return placed
    at = None
    for grid in (Grid.of(design), FREE):
        b = blocks(design, placed, rules, which, grid)
        at = _apart(b)
        if at is not None:
            break
    if at is None:
        raise KerfError("no place for macros")
    placed.x[which], placed.y[which] = at[0] + b.w / 2, at[1] + b.h / 2
    watch(Step("macros", 1, 1, hpwl=hpwl(design, placed), placement=placed))
    return placed


def _apart(b: Blocks) -> tuple[Floats, Floats] | None:
    ax, ay = graph.axes(b)
    r = graph.relate(ax, ay, ax.wish, ay.wish)
    if graph.repair(ax, ay, ax.wish, ay.wish, r, 20 * len(b.x)):
        print("repaired")
        return compact(ax, r, LEFT, b.weight), compact(ay, r, BELOW, b.weight)
    print("greedy")
    at = greedy(ax, ay, b)
    return at


def greedy(ax: Axis, ay: Axis, b: Blocks) -> tuple[Floats, Floats] | None:
    order = np.argsort(-b.w * b.h, kind="stable")
    x, y = place_one_by_one(ax, ay, order, ax.wish, ay.wish)
    return None if np.isnan(x).any() else (x, y)
