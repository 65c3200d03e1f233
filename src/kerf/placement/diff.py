"""Two placements of one design: what moved, and what that made better and worse."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerf.placement import orient
from kerf.placement.design import Design, Floats, Kind, Placement
from kerf.placement.draw import PANEL, draw
from kerf.placement.hpwl import net_lengths
from kerf.placement.picture import Layer, Picture
from kerf.placement.score import score

SHOWN = 8
ARROWS = 400
BEFORE = (200, 40, 40)
METRICS = ("hpwl", "overlaps", "overlap_area", "out_of_die")


def diff(design: Design, a: Placement, b: Placement) -> dict[str, Any]:
    """From `a` to `b`, as plain JSON; lengths in the unit of `score`. Raises KerfError where either lacks cells that nets need."""
    before, after = score(design, a), score(design, b)
    per = design.per_um or 1.0
    far = np.nan_to_num(np.hypot(b.x - a.x, b.y - a.y)) / per
    moved = far > max(design.tolerance, 1e-9) / per
    turned = (a.orient != b.orient) & (design.kind != Kind.PORT)
    return {
        "design": design.name,
        "unit": before["unit"],
        "metrics": _metrics(before, after),
        "legal": [before["legal"], after["legal"]],
        "moved": int(moved.sum()),
        "cells": design.cells,
        "mean_displacement": float(far[moved].mean()) if moved.any() else 0.0,
        "max_displacement": float(far.max(initial=0.0)),
        "turned": int(turned.sum()),
        "movers": [_mover(design, a, b, far, cell) for cell in _largest(far, moved)],
        **_nets(design, a, b, per),
    }


def _metrics(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[float]]:
    found = {name: [before[name], after[name]] for name in METRICS}
    if before["proxy"] and after["proxy"]:
        found |= {name: [before["proxy"][name], after["proxy"][name]] for name in before["proxy"]}
    return found | {f"peak {name}": [before["peaks"][name], after["peaks"][name]] for name in before["peaks"]}


def _largest(values: Floats, of: np.ndarray) -> np.ndarray:
    order = np.argsort(-values, kind="stable")[:SHOWN]
    return order[of[order]]


def _mover(design: Design, a: Placement, b: Placement, far: Floats, cell: int) -> dict[str, Any]:
    per = design.per_um or 1.0
    return {
        "cell": design.cell_names[cell],
        "kind": Kind(design.kind[cell]).name.lower(),
        "from": [float(a.x[cell] / per), float(a.y[cell] / per), orient.NAMES[a.orient[cell]]],
        "to": [float(b.x[cell] / per), float(b.y[cell] / per), orient.NAMES[b.orient[cell]]],
        "distance": float(far[cell]),
    }


def _nets(design: Design, a: Placement, b: Placement, per: float) -> dict[str, Any]:
    """Nets by how much their half-perimeter grew."""
    one, two = net_lengths(design, a) / per, net_lengths(design, b) / per
    grown = np.nan_to_num(two - one)
    hair = 1e-9 * max(float(np.abs(one).max(initial=0.0)), 1.0)

    def listed(order: np.ndarray) -> list[dict[str, Any]]:
        return [{"net": design.net_names[i], "before": float(one[i]), "after": float(two[i])} for i in order]

    return {
        "nets_longer": int((grown > hair).sum()),
        "nets_shorter": int((grown < -hair).sum()),
        "longer": listed(_largest(grown, grown > hair)),
        "shorter": listed(_largest(-grown, grown < -hair)),
    }


def picture(design: Design, a: Placement, b: Placement) -> Picture:
    """`b`, with a line from where each cell was in `a`: the macros that moved, and the cells that moved farthest."""
    drawn = draw(design, b, "none")
    left, bottom, right, top = design.die
    scale = PANEL / max(right - left, top - bottom)
    far = np.nan_to_num(np.hypot(b.x - a.x, b.y - a.y)) + np.where(
        design.kind == Kind.MACRO, right - left, 0.0
    )
    still = np.nan_to_num(np.hypot(b.x - a.x, b.y - a.y)) <= design.tolerance
    order = np.argsort(np.where(still, 0.0, -far), kind="stable")[:ARROWS]
    order = order[~still[order]]
    margin, foot = 12, drawn.height - 30 - 12
    lines = np.stack(
        [
            margin + (a.x - left) * scale,
            foot - (a.y - bottom) * scale,
            margin + (b.x - left) * scale,
            foot - (b.y - bottom) * scale,
        ],
        axis=1,
    )[order]
    drawn.layers.append(Layer(lines, stroke=BEFORE, line=True))
    return drawn
