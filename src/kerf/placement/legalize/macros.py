"""Hard macros after global placement: apart, in their boxes, as near as may be to where they were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Floats, Ints, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legalize import graph
from kerf.placement.legalize.blocks import FREE, Blocks, Grid, blocks
from kerf.placement.legalize.cells import prepared
from kerf.placement.legalize.compact import compact
from kerf.placement.legalize.graph import BELOW, LEFT, Axis, Relations
from kerf.placement.legalize.greedy import place_one_by_one
from kerf.placement.legalize.relax import pushed_apart
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched

TURNS = 3000
"""Pairs turned before constraint graphs are given up."""
SWEEPS = 300
"""In which macros are pushed off each other."""
ROUNDS = 8
"""Times that relations are chosen anew after compaction; it settles in three or four."""

Places = tuple[Floats, Floats]
"""(m,) left and (m,) bottom edges."""


def legalize_macros(
    design: Design,
    placement: Placement,
    rules: Rules,
    *,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> Placement:
    """The movable hard macros without overlap, inside their boxes, with their halos clear, off keepouts and fixed objects, on rows and
    sites where these leave room; soft ones inside their boxes; as oriented. Little displacement, weighted by pins.

    Deterministic, and done in seconds: a deadline only ends the improvement. Raises KerfError naming what cannot fit."""
    movable = ~rules.fixed & ((design.kind == Kind.MACRO) | (design.kind == Kind.SOFT))
    placed = prepared(design, placement, rules, movable)
    _require_boxes(design, placed, rules, np.flatnonzero(movable))
    _clip_soft(design, placed, rules)
    which = np.flatnonzero(movable & (design.kind == Kind.MACRO))
    if len(which):
        b, at = _legal(design, placed, rules, which, deadline)
        placed = _with(placed, which, b, at)
    watch(Step("macros", len(which), len(which), hpwl=hpwl(design, placed), placement=placed))
    return placed


def _with(placement: Placement, which: Ints, b: Blocks, at: Places) -> Placement:
    moved = placement.copy()
    moved.x[which], moved.y[which] = at[0] + b.w / 2, at[1] + b.h / 2
    return moved


def _require_boxes(design: Design, placed: Placement, rules: Rules, which: Ints) -> None:
    w, h = (side[which] for side in design.extent(placed))
    box = rules.box[which]
    slack = max(design.tolerance, 1e-9)
    for i in np.flatnonzero((w > box[:, 2] - box[:, 0] + slack) | (h > box[:, 3] - box[:, 1] + slack)):
        raise KerfError(
            f"macro {design.cell_names[which[i]]} is {w[i]:g} x {h[i]:g} {design.unit} and must stay within "
            f"({box[i, 0]:g}, {box[i, 1]:g}) .. ({box[i, 2]:g}, {box[i, 3]:g}): widen its region or the die"
        )


def _clip_soft(design: Design, placed: Placement, rules: Rules) -> None:
    soft = np.flatnonzero(~rules.fixed & (design.kind == Kind.SOFT))
    w, h = (side[soft] for side in design.extent(placed))
    box = rules.box[soft]
    placed.x[soft] = np.minimum(np.maximum(placed.x[soft], box[:, 0] + w / 2), box[:, 2] - w / 2)
    placed.y[soft] = np.minimum(np.maximum(placed.y[soft], box[:, 1] + h / 2), box[:, 3] - h / 2)


def _legal(
    design: Design, placed: Placement, rules: Rules, which: Ints, deadline: Deadline
) -> tuple[Blocks, Places]:
    """On the grid of rows and sites if the macros fit there, else off it; of several ways the one with the shortest wires."""
    for grid in (Grid.of(design), FREE):
        b = blocks(design, placed, rules, which, grid)
        if (b.low_x > b.high_x).any() or (b.low_y > b.high_y).any():
            continue
        ax, ay = graph.axes(b)
        near = pushed_apart(ax, ay, SWEEPS)
        for ways in (_near(ax, ay, b, near), _anywhere(ax, ay, b)):
            found = [_settled(ax, ay, b, at, deadline) for at in ways if not np.isnan(at).any()]
            if found:
                return b, min(found, key=lambda at: hpwl(design, _with(placed, which, b, at)))
    raise _no_room(design, rules, which, b)


def _near(ax: Axis, ay: Axis, b: Blocks, near: Places) -> Iterator[Places]:
    """Legal places, NaN where a way found none: by the constraint graphs of the wishes, by those of places that hardly overlap, and one
    by one near these. Graphs win where macros are few or alike; where large ones make long chains, the last."""
    for x, y in ((ax.wish, ay.wish), near):
        r = graph.relate(ax, ay, x, y)
        if graph.repair(ax, ay, x, y, r, TURNS):
            yield _compacted(ax, ay, b, r)
    yield place_one_by_one(ax, ay, np.argsort(-b.w * b.h, kind="stable"), *near)


def _anywhere(ax: Axis, ay: Axis, b: Blocks) -> Iterator[Places]:
    """The same for macros that are too tight: near the wishes with room to the sides, or packed into a corner."""
    largest = np.argsort(-b.w * b.h, kind="stable")
    yield place_one_by_one(ax, ay, largest, ax.wish, ay.wish)
    for order in (largest, np.argsort(-b.h, kind="stable"), np.argsort(-b.w, kind="stable")):
        yield place_one_by_one(ax, ay, order, ax.low, ay.low)


def _compacted(ax: Axis, ay: Axis, b: Blocks, r: Relations) -> Places:
    return compact(ax, r, LEFT, b.weight), compact(ay, r, BELOW, b.weight)


def _settled(ax: Axis, ay: Axis, b: Blocks, at: Places, deadline: Deadline) -> Places:
    """Relations chosen anew among those that hold, and compacted, while that brings macros nearer to their wishes."""
    far = _displacement(ax, ay, b, at)
    for _ in range(ROUNDS):
        if deadline.passed:
            break
        better = _compacted(ax, ay, b, graph.relate_as_placed(ax, ay, *at))
        near = _displacement(ax, ay, b, better)
        if not near < far * (1 - 1e-6):
            break
        at, far = better, near
    return at


def _displacement(ax: Axis, ay: Axis, b: Blocks, at: Places) -> float:
    return float(b.weight @ (np.abs(at[0] - ax.wish) + np.abs(at[1] - ay.wish)))


def _no_room(design: Design, rules: Rules, which: Ints, b: Blocks) -> KerfError:
    box = rules.box[which]
    left, bottom, right, top = box[:, 0].min(), box[:, 1].min(), box[:, 2].max(), box[:, 3].max()
    o = b.obstacle
    wide = np.clip(np.minimum(o[:, 2], right) - np.maximum(o[:, 0], left), 0, None)
    high = np.clip(np.minimum(o[:, 3], top) - np.maximum(o[:, 1], bottom), 0, None)
    free, need = (right - left) * (top - bottom) - float(wide @ high), float(b.w @ b.h)
    largest = which[np.argmax(b.w * b.h)]
    return KerfError(
        f"macros: found no places for {len(which)} macros, the largest being {design.cell_names[largest]}: they cover {need:g} of {free:g} "
        f"{design.unit}² free within ({left:g}, {bottom:g}) .. ({right:g}, {top:g}) ({100 * need / max(free, 1e-9):.1f} %), without their "
        "halos: enlarge the die or regions, or shrink halos"
    )
