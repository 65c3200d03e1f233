"""Groups and alignments: anywhere, but together. Where they lie is decided once global placement has said where their cells want to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.constraints.kinds import Align, Constraint, Group, rounding
from kerf.placement.constraints.lowering import Bound, Lowered, meet, members, met_boxes, obstacles
from kerf.placement.constraints.room import free_area
from kerf.placement.design import Design, Floats, Ints, Kind, Placement

LINE_AT = {
    "left": (0, 0.0), "x": (0, 0.5), "right": (0, 1.0), "bottom": (1, 0.0), "y": (1, 0.5), "top": (1, 1.0),
}  # fmt: skip
"""Axis, and where along a cell's extent the line lies."""


def refuse_apart(design: Design, constraints: Sequence[Constraint], lowered: Lowered) -> None:
    """Raises KerfError for a group or an alignment whose cells other constraints keep apart, or that has too little room."""
    for constraint in constraints:
        if isinstance(constraint, Group | Align):
            _span(design, lowered, constraint, members(design, constraint))


def narrow(
    design: Design, constraints: Sequence[Constraint], lowered: Lowered, placement: Placement
) -> Lowered:
    """Boxes for groups and alignments, where their cells are in `placement` as nearly as can be."""
    walls = obstacles(design, lowered.rules, placement)
    for constraint in constraints:
        if isinstance(constraint, Group | Align):
            cells = members(design, constraint)
            barred = [lowered.rules.zones[z].barred for z in np.unique(lowered.rules.zone[cells])]
            spans = _span(design, lowered, constraint, cells)
            if isinstance(constraint, Group):
                boxes = _group_box(
                    design, constraint, cells, spans, placement, np.concatenate([walls, *barred])
                )
            else:
                boxes = _line_boxes(design, constraint, cells, spans[0], placement)
            movable = ~lowered.rules.fixed[cells]
            bound = Bound(f"`{constraint}`", cells[movable], boxes[movable])
            rules = met_boxes(design, lowered.rules, (*lowered.bounds, bound), placement)
            lowered = replace(lowered, rules=rules, bounds=(*lowered.bounds, bound))
    return lowered


def _span(
    design: Design, lowered: Lowered, constraint: Group | Align, cells: Ints
) -> list[tuple[float, float]]:
    """From where to where the group's left (and bottom), or the shared line, may lie. Raises KerfError where it may nowhere."""
    w, h = design.extent(lowered.start)
    fixed = lowered.rules.fixed[cells][:, None]
    own = np.stack(design.boxes(lowered.start), axis=1)[cells]
    reach = np.where(fixed, own, lowered.rules.box[cells])
    within = constraint.within * (design.per_um or 1.0) if isinstance(constraint, Group) else 0.0
    axes = (0, 1) if isinstance(constraint, Group) else (LINE_AT[constraint.line][0],)
    spans = []
    for axis in axes:
        size = (w, h)[axis][cells]
        if isinstance(constraint, Group):
            low, high = reach[:, axis] + size - within, reach[:, axis + 2] - size
            _refuse_wide(design, constraint, cells, size, within)
        else:
            at = LINE_AT[constraint.line][1] * size
            low, high = reach[:, axis] + at, reach[:, axis + 2] - size + at
        if low.max() > high.min() + rounding(design):
            raise _apart(design, lowered, constraint, cells, low, high)
        if isinstance(constraint, Align):
            _refuse_long(design, constraint, cells, (h, w)[axis][cells], 1 - axis)
        spans.append((float(min(low.max(), high.min())), float(high.min())))
    if isinstance(constraint, Group):
        hard = cells[design.kind[cells] != Kind.SOFT]
        need, per = float((w * h)[hard].sum()), design.per_um or 1.0
        if need > within**2 * (1 + 1e-9):
            raise KerfError(
                f"`{constraint}` cannot be met: its {len(hard)} cells take {need / per**2:g}, a box of that size has {(within / per) ** 2:g}"
            )
    return spans


def _refuse_wide(design: Design, constraint: Group, cells: Ints, size: Floats, within: float) -> None:
    widest = int(size.argmax())
    if size[widest] > within + rounding(design):
        per = design.per_um or 1.0
        raise KerfError(
            f"`{constraint}` cannot be met: {design.cell_names[cells[widest]]} alone is {size[widest] / per:g} long"
        )


def _refuse_long(design: Design, constraint: Align, cells: Ints, size: Floats, axis: int) -> None:
    """Hard cells on one line lie side by side along it."""
    need = float(size[design.kind[cells] != Kind.SOFT].sum())
    have, per = design.die[axis + 2] - design.die[axis], design.per_um or 1.0
    if need > have + rounding(design):
        raise KerfError(
            f"`{constraint}` cannot be met: its {len(cells)} cells need {need / per:g} of {have / per:g} along that line"
        )


def _apart(
    design: Design, lowered: Lowered, constraint: Group | Align, cells: Ints, low: Floats, high: Floats
) -> KerfError:
    one, two = int(cells[low.argmax()]), int(cells[high.argmin()])
    causes = []
    for cell in dict.fromkeys((one, two)):
        by = [b.by for b in lowered.bounds if cell in b.cells]
        held = "fixed" if lowered.rules.fixed[cell] else " and ".join(by) or "the die"
        causes.append(f"{design.cell_names[cell]} ({held})")
    per = design.per_um or 1.0
    return KerfError(
        f"`{constraint}` cannot be met: {' and '.join(causes)} are kept apart: it would have to lie at {low.max() / per:g} or beyond, and at {high.min() / per:g} or before"
    )


def _group_box(
    design: Design,
    constraint: Group,
    cells: Ints,
    spans: list[tuple[float, float]],
    placement: Placement,
    walls: Floats,
) -> Floats:
    """The place nearest to the middle of the group that has the room."""
    within = constraint.within * (design.per_um or 1.0)
    there = cells[np.isfinite(placement.x[cells])]
    middle = [float(np.median(at[there])) if len(there) else 0.0 for at in (placement.x, placement.y)]
    wish = [min(max(m - within / 2, low), high) for m, (low, high) in zip(middle, spans)]
    for axis, side in enumerate(_held(design, there, placement)):
        if side[1] - within <= side[0]:  # where the group holds together already, its box holds it
            wish[axis] = min(max(wish[axis], side[1] - within), side[0])
    tries = [np.unique([v, *np.linspace(low, high, 15)]) for v, (low, high) in zip(wish, spans)]
    corners = np.array([(x, y) for x in tries[0] for y in tries[1]])
    order = np.argsort(np.abs(corners - wish).sum(axis=1), kind="stable")
    hard = cells[design.kind[cells] != Kind.SOFT]
    need = float((design.width * design.height)[hard].sum())
    for corner in corners[order]:
        box = np.array([*corner, *(corner + within)])
        if free_area(meet(box[None], np.array([design.die]))[0], walls) >= need:
            return np.tile(box, (len(cells), 1))
    raise KerfError(
        f"`{constraint}` cannot be met: no box of that size has {need:g} free beside fixed objects and keep-outs"
    )


def _held(design: Design, cells: Ints, placement: Placement) -> Floats:
    """(2, 2) from where to where the cells reach along each axis."""
    boxes = np.stack(design.boxes(placement), axis=1)[cells]
    if not len(cells):
        return np.array([[0.0, np.inf], [0.0, np.inf]])
    return np.stack([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)], axis=1)


def _line_boxes(
    design: Design, constraint: Align, cells: Ints, span: tuple[float, float], placement: Placement
) -> Floats:
    """Thin boxes along the line, at the median of where the cells' own lines are."""
    axis, share = LINE_AT[constraint.line]
    size = design.extent(placement)[axis][cells]
    own = (placement.x, placement.y)[axis][cells] + (share - 0.5) * size
    wish = float(np.nanmedian(own)) if np.isfinite(own).any() else span[0]
    line = _on_rows(design, constraint, cells, min(max(wish, span[0]), span[1]), span, placement)
    hair = rounding(design) / 4
    boxes = np.tile(np.array(design.die), (len(cells), 1))
    boxes[:, axis] = line - share * size - hair
    boxes[:, axis + 2] = line + (1 - share) * size + hair
    return boxes


def _on_rows(
    design: Design,
    constraint: Align,
    cells: Ints,
    line: float,
    span: tuple[float, float],
    placement: Placement,
) -> float:
    """Standard cells can only share a line that rows or sites have, and macros waste least on one: the nearest of those in the span."""
    rows = design.rows
    if not len(rows):
        return line
    standing = [*cells[design.kind[cells] == Kind.CELL], *cells]
    axis, share = LINE_AT[constraint.line]
    wide, high = design.extent(placement)
    if axis == 1:
        marks = rows.y + share * high[standing[0]]
    else:
        step, first = float(rows.spacing[0]), float(rows.x.min()) + share * wide[standing[0]]
        marks = first + step * np.unique(np.round((np.array([line, *span]) - first) / step))
    slack = rounding(design)
    marks = marks[(marks >= span[0] - slack) & (marks <= span[1] + slack)]
    return float(marks[np.abs(marks - line).argmin()]) if len(marks) else line
