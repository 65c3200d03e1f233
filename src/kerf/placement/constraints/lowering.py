"""Constraints made into rules that every stage obeys, and refused before any long work where they cannot be met.

`lower` turns what is known at the start into `rules.Rules`: regions and edges into boxes, halos, keep-outs, orientations, and groups into
extra nets. Where a group or an alignment lies is open until global placement has said where its cells want to be; then `gathering.narrow`
gives them boxes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.constraints.cells import named
from kerf.placement.constraints.kinds import (
    Constraint,
    Edge,
    Fixed,
    Group,
    Halo,
    Keepout,
    Orient,
    Region,
    rounding,
)
from kerf.placement.constraints.room import free_area, has_place, row_area
from kerf.placement.constraints.zones import area, without, zoned
from kerf.placement.design import Design, Floats, Ints, Kind, Placement
from kerf.placement.legality import check
from kerf.placement.rules import Rules


@dataclass(frozen=True)
class Bound:
    """`by` keeps each of `cells`, (K,), inside its row of `boxes`, (K, 4), in the design's unit."""

    by: str
    cells: Ints
    boxes: Floats


@dataclass(frozen=True)
class Lowered:
    """The rules; `start`, the given placement with each movable cell in an orientation that it may have; and who asked for which box."""

    rules: Rules
    start: Placement
    bounds: tuple[Bound, ...]


def lower(design: Design, constraints: Sequence[Constraint], start: Placement) -> Lowered:
    """Rules for a design under constraints, from a placement that may lack cells. Raises KerfError that names the constraints in
    conflict, with numbers."""
    asked = [(c, members(design, c)) for c in constraints]
    rules = _fixed(design, asked, start)
    rules = _orients(design, asked, rules, start)
    facing = _facing(rules, start)
    bounds = tuple(_bound(design, c, cells, facing) for c, cells in asked if isinstance(c, Region | Edge))
    rules = met_boxes(design, rules, bounds, facing)
    scale = design.per_um or 1.0
    keepouts = [c.box for c, _ in asked if isinstance(c, Keepout)]
    rules = replace(rules, keepouts=np.array(keepouts, dtype=np.float64).reshape(-1, 4) * scale)
    rules = replace(rules, halo=_halos(design, asked), pulls=_pulls(design, asked))
    rules = zoned(design, rules, [(c, cells) for c, cells in asked if isinstance(c, Region)])
    lowered = Lowered(rules, facing, bounds)
    _refuse_crowds(design, lowered, asked)
    _refuse_crowded_out(design, lowered, asked)
    _refuse_homeless(design, lowered, asked)
    return lowered


def members(design: Design, constraint: Constraint) -> Ints:
    """(K,) the cells that a constraint names, without ports."""
    if isinstance(constraint, Keepout):
        return np.empty(0, np.int64)
    cells = named(design, constraint.cells, f"constraint `{constraint}`")
    solid = cells[design.kind[cells] != Kind.PORT]
    if not len(solid):
        raise KerfError(f"constraint `{constraint}`: it names ports only, which the design fixes")
    return solid


Asked = Sequence[tuple[Constraint, Ints]]


# What is fixed, and how cells may turn


def _fixed(design: Design, asked: Asked, start: Placement) -> Rules:
    rules = Rules.of(design)
    mine = np.zeros(design.cells, np.bool_)
    for constraint, cells in asked:
        if isinstance(constraint, Fixed):
            lost = cells[~np.isfinite(start.x[cells] + start.y[cells])]
            if len(lost):
                raise KerfError(
                    f"constraint `{constraint}`: {design.cell_names[lost[0]]} has no position to stay at; give one with --from"
                )
            mine[cells] = True
    _refuse_illegal_fixed(design, mine & ~rules.fixed, start)
    return rules.freeze(mine)


def _refuse_illegal_fixed(design: Design, mine: np.ndarray, start: Placement) -> None:
    """Nobody could make a placement legal whose fixed cells are not."""
    if not mine.any():
        return
    alone = mine | design.fixed
    there = Placement(np.where(alone, start.x, np.nan), np.where(alone, start.y, np.nan), start.orient)
    found = check(design, there)
    broken = {
        "lies outside the die": found.out_of_die,
        "does not stand on a row": found.off_row,
        "stands between sites": found.off_site,
    }
    for what, cells in broken.items():
        if len(cells):
            raise KerfError(
                f"`fixed {design.cell_names[cells[0]]}` cannot be met: the cell {what} where it is"
            )
    if len(found.overlaps):
        one, two = (design.cell_names[i] for i in found.overlaps.pairs[0])
        raise KerfError(f"`fixed` cannot be met: {one} and {two} overlap where they are and neither may move")


def _orients(design: Design, asked: Asked, rules: Rules, start: Placement) -> Rules:
    allowed = rules.orients.copy()
    by: dict[int, Constraint] = {}
    upright = np.zeros(design.cells, np.bool_)
    upright[:] = (design.kind == Kind.CELL) & bool(len(design.rows))
    for constraint, cells in asked:
        if not isinstance(constraint, Orient):
            continue
        these = np.isin(np.arange(8), [orient.CODES[name] for name in constraint.allowed])
        for cell in cells:
            mine = these & ~orient.TURNED if upright[cell] else these.copy()
            mine &= allowed[cell] if cell in by else True
            if not mine.any():
                other = f"`{by[cell]}`" if cell in by else "cells in rows, which are N, S, FN or FS"
                raise KerfError(f"{design.cell_names[cell]}: `{constraint}` conflicts with {other}")
            if rules.fixed[cell] and not mine[start.orient[cell]]:
                now = orient.NAMES[start.orient[cell]]
                raise KerfError(
                    f"{design.cell_names[cell]}: `{constraint}` conflicts with its being fixed as {now}"
                )
            allowed[cell], by[cell] = mine, constraint
    return replace(rules, orients=allowed)


def _facing(rules: Rules, start: Placement) -> Placement:
    """The start, with cells turned to the first orientation allowed where theirs is not."""
    wrong = ~rules.orients[np.arange(len(start.orient)), start.orient] & ~rules.fixed
    codes = np.where(wrong, rules.orients.argmax(axis=1), start.orient)
    return Placement(start.x, start.y, codes.astype(np.int64))


# Boxes


def _bound(design: Design, constraint: Region | Edge, cells: Ints, facing: Placement) -> Bound:
    if isinstance(constraint, Region):
        boxes = np.array(constraint.boxes) * (design.per_um or 1.0)
        box = np.append(boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0))
        return Bound(f"`{constraint}`", cells, np.tile(box, (len(cells), 1)))
    w, h = (size[cells] for size in design.extent(facing))
    boxes = np.tile(np.array(design.die), (len(cells), 1))
    hair = np.full(len(cells), rounding(design))
    standing = (design.kind[cells] == Kind.CELL) & bool(len(design.rows))
    if standing.any():
        boxes[standing] = rows_box(design)
        hair[standing] += float(design.rows.spacing.max())
    side = ("left", "bottom", "right", "top").index(constraint.side)
    size = (w if side % 2 == 0 else h) + hair
    boxes[:, (side + 2) % 4] = boxes[:, side] + (size if side < 2 else -size)
    return Bound(f"`{constraint}`", cells, boxes)


def rows_box(design: Design) -> Floats:
    """(4,) the box around the rows."""
    rows = design.rows
    return np.array([rows.x.min(), rows.y.min(), rows.right.max(), (rows.y + rows.height).max()])


def met_boxes(design: Design, rules: Rules, bounds: Sequence[Bound], facing: Placement) -> Rules:
    """Each cell's box met with what each constraint asks."""
    box = rules.box.copy()
    w, h = design.extent(facing)
    own = np.stack(design.boxes(facing), axis=1)
    slack = rounding(design)
    for i, bound in enumerate(bounds):
        cells = bound.cells
        met = meet(box[cells], bound.boxes)
        tight = (met[:, 2] - met[:, 0] < w[cells] - slack) | (met[:, 3] - met[:, 1] < h[cells] - slack)
        out = (own[cells][:, :2] < bound.boxes[:, :2] - slack) | (
            own[cells][:, 2:] > bound.boxes[:, 2:] + slack
        )
        bad = np.where(rules.fixed[cells], out.any(axis=1), tight)
        if bad.any():
            raise _conflict(design, bounds[: i + 1], cells[bad][0], rules, own)
        box[cells] = np.where(rules.fixed[cells][:, None], box[cells], met)
    return replace(rules, box=box)


def meet(a: Floats, b: Floats) -> Floats:
    return np.concatenate([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])], axis=1)


def _conflict(design: Design, bounds: Sequence[Bound], cell: int, rules: Rules, own: Floats) -> KerfError:
    """Which two: the last bound, and an earlier one that leaves no room with it; all of the cell's where no single one does."""
    name, per = design.cell_names[cell], design.per_um or 1.0
    w, h = own[cell, 2] - own[cell, 0], own[cell, 3] - own[cell, 1]
    if not np.isfinite(w):
        w, h = design.width[cell], design.height[cell]
    mine = [(b.by, b.boxes[b.cells == cell][0]) for b in bounds if cell in b.cells]
    last = mine[-1]
    if rules.fixed[cell]:
        return KerfError(
            f"{last[0]} cannot be met: {name} is fixed at {_said(own[cell], per)}, outside {_said(last[1], per)}"
        )
    slack = rounding(design)
    others = [("the die", np.array(design.die)), *mine[:-1]]
    for by, box in others:
        met = meet(box[None], last[1][None])[0]
        if met[2] - met[0] < w - slack or met[3] - met[1] < h - slack:
            others = [(by, box)]
            break
    said = "; ".join(f"{_said(box, per)} ({by})" for by, box in others)
    return KerfError(
        f"{last[0]} conflicts with {' and '.join(by for by, _ in others)}: {name}, {w / per:g} x {h / per:g}, "
        f"would have to lie in {_said(last[1], per)} and in {said}"
    )


def _said(box: Floats, per: float) -> str:
    left, bottom, right, top = box / per
    return f"x {left:g} .. {right:g}, y {bottom:g} .. {top:g}"


# Halos and pulls


def _halos(design: Design, asked: Asked) -> Floats:
    halo = np.zeros(design.cells)
    for constraint, cells in asked:
        if isinstance(constraint, Halo):
            macros = cells[design.kind[cells] == Kind.MACRO]
            if not len(macros):
                raise KerfError(f"constraint `{constraint}`: halos are for hard macros, and it names none")
            halo[macros] = np.maximum(halo[macros], constraint.width * (design.per_um or 1.0))
    return halo


def _pulls(design: Design, asked: Asked) -> tuple[tuple[Ints, float], ...]:
    """A group's net outweighs what its cells' own nets pull on average, twice."""
    pins = np.bincount(design.pin_cell, minlength=design.cells)
    groups = [cells for c, cells in asked if isinstance(c, Group) and len(cells) > 1]
    return tuple((cells, 2.0 * max(float(pins[cells].mean()), 1.0)) for cells in groups)


# What there is no room for


def obstacles(design: Design, rules: Rules, placement: Placement) -> Floats:
    """(K, 4) what a movable hard cell must keep away from: keep-outs and fixed hard objects."""
    hard = rules.fixed & ((design.kind == Kind.MACRO) | (design.kind == Kind.CELL)) & np.isfinite(placement.x)
    return np.concatenate([rules.keepouts, np.stack(design.boxes(placement), axis=1)[hard]])


def _refuse_crowds(design: Design, lowered: Lowered, asked: Asked) -> None:
    """Regions and sides of the die whose cells are more than they hold."""
    rules, per = lowered.rules, design.per_um or 1.0
    walls = obstacles(design, rules, lowered.start)
    w, h = design.extent(lowered.start)
    hard = ~rules.fixed & ((design.kind == Kind.MACRO) | (design.kind == Kind.CELL))
    die = np.array(design.die)
    for constraint, cells in asked:
        mine = cells[hard[cells]]
        if isinstance(constraint, Region):
            boxes = meet(area(design, constraint), np.array([design.die]))
            need, have = float((w * h)[mine].sum()), _free_in(boxes, walls)
            if need > have * (1 + 1e-9):
                raise KerfError(
                    f"`{constraint}` cannot be met: its {len(mine)} cells take {need / per**2:g}, the region has {have / per**2:g} free"
                )
            _refuse_few_sites(design, f"`{constraint}`", mine, np.concatenate([walls, without(die, boxes)]))
        if isinstance(constraint, Edge):
            mine = mine[design.kind[mine] == Kind.MACRO]
            along = h if constraint.side in ("left", "right") else w
            gaps = np.sort(rules.halo[mine])[1:].sum()
            need = float(along[mine].sum() + gaps)
            have = (
                design.die[3] - design.die[1]
                if constraint.side in ("left", "right")
                else design.die[2] - design.die[0]
            )
            if need > have + rounding(design):
                raise KerfError(
                    f"`{constraint}` cannot be met: its {len(mine)} macros need {need / per:g} of {have / per:g} along that side"
                )


def _refuse_few_sites(design: Design, by: str, cells: Ints, walls: Floats) -> None:
    """Standard cells need rows: `walls` is what they must keep away from."""
    standing, per = cells[design.kind[cells] == Kind.CELL], design.per_um or 1.0
    if not len(standing) or not len(design.rows):
        return
    need, have = float((design.width * design.height)[standing].sum()), row_area(design, walls)
    if need > have * (1 + 1e-9):
        raise KerfError(
            f"{by} cannot be met: {len(standing)} standard cells take {need / per**2:g}, the rows there have {have / per**2:g} free"
        )


def _free_in(boxes: Floats, walls: Floats) -> float:
    """The area of disjoint boxes that nothing covers; those that the die leaves nothing of are empty."""
    return sum(free_area(box, walls) for box in boxes if box[2] > box[0] and box[3] > box[1])


def _refuse_crowded_out(design: Design, lowered: Lowered, asked: Asked) -> None:
    """Fences that leave too little to those that are not in them."""
    rules, per = lowered.rules, design.per_um or 1.0
    fences = [c for c, _ in asked if isinstance(c, Region) and c.exclusive]
    if not fences:
        return
    by = " and ".join(f"`{c}`" for c in fences)
    walls = obstacles(design, rules, lowered.start)
    w, h = design.extent(lowered.start)
    hard = ~rules.fixed & ((design.kind == Kind.MACRO) | (design.kind == Kind.CELL))
    ground = np.array([zone.ground for zone in rules.zones])[rules.zone]
    for zone in rules.zones:
        mine = hard & (ground == zone.ground)
        need = float((w * h)[mine].sum())
        have = free_area(np.array(design.die), np.concatenate([walls, zone.closed]))
        if need > have * (1 + 1e-9):
            raise KerfError(
                f"{by} cannot be met: {int(mine.sum())} cells take {need / per**2:g}, what fences leave to them has {have / per**2:g} free"
            )
        _refuse_few_sites(design, by, np.flatnonzero(mine), np.concatenate([walls, zone.closed]))


def _refuse_homeless(design: Design, lowered: Lowered, asked: Asked) -> None:
    """Cells that a constraint binds, and macros, need one place at least beside the keep-outs."""
    rules, slack = lowered.rules, rounding(design)
    if not len(rules.keepouts) and not any(len(zone.barred) for zone in rules.zones):
        return
    w, h = design.extent(lowered.start)
    bound = {int(c) for b in lowered.bounds for c in b.cells} | {
        int(c) for c in np.flatnonzero(design.kind == Kind.MACRO)
    }
    seen: set[tuple[float, ...]] = set()
    for cell in sorted(c for c in bound if not rules.fixed[c]):
        case = (*rules.box[cell], w[cell], h[cell], rules.zone[cell])
        walls = np.concatenate([rules.keepouts, rules.barred(cell)])
        if case not in seen and not has_place(rules.box[cell], w[cell], h[cell], walls, slack):
            by = [b.by for b in lowered.bounds if cell in b.cells] or ["the die"]
            by += [f"`{c}`" for c, cells in asked if _bars(c) and cell not in cells]
            per = design.per_um or 1.0
            raise KerfError(
                f"{' and '.join(by)} conflict: they leave no place for {design.cell_names[cell]} ({w[cell] / per:g} x {h[cell] / per:g}) in {_said(rules.box[cell], per)}"
            )
        seen.add(case)


def _bars(constraint: Constraint) -> bool:
    """Whether cells that it does not name have to keep out."""
    return isinstance(constraint, Keepout) or (isinstance(constraint, Region) and constraint.exclusive)
