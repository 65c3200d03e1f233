"""One placement, every metric. The definitions are in docs/placement.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerf.core.types import KerfError
from kerf.placement import maps
from kerf.placement.constraints import Constraint
from kerf.placement.constraints.proof import broken
from kerf.placement.design import Design, Ints, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import Legality, Overlaps, check
from kerf.placement.proxy import proxy

SHOWN = 5


def score(
    design: Design,
    placement: Placement,
    constraints: Sequence[Constraint] = (),
    reference: Placement | None = None,
) -> dict[str, Any]:
    """HPWL, the proxy cost where the design has a grid, legality and what breaks it, constraints that do not hold, peaks of the maps,
    as plain JSON. `reference`: where fixed cells stood (default: in the design). Lengths are in micrometres where the design's format
    has them, else in its own unit; `unit` says which. Raises KerfError where a pin's cell has no place."""
    legality = check(design, placement)
    length = hpwl(design, placement)
    if length != length:
        lacking = design.cell_names[legality.unplaced[0]] if len(legality.unplaced) else "a port"
        raise KerfError(
            f"{design.name}: {len(legality.unplaced)} cells have no position ({lacking} is one): give a placement that places every cell"
        )
    per_um = design.per_um or 1.0
    return {
        "hpwl": length / per_um,
        "proxy": _proxy(design, placement),
        "legal": legality.legal,
        "overlaps": len(legality.overlaps),
        "overlaps_complete": legality.overlaps.complete,
        "overlap_area": legality.overlaps.area / per_um**2,
        "out_of_die": len(legality.out_of_die),
        "violations": violations(design, legality)
        + broken(design, placement, constraints, design.initial if reference is None else reference),
        "peaks": _peaks(design, placement, per_um),
        "unit": "um" if design.per_um else design.unit,
        "cells": design.cells,
        "nets": design.nets,
        "pins": design.pins,
        "notes": list(design.notes),
    }


def _proxy(design: Design, placement: Placement) -> dict[str, float] | None:
    if design.grid is None:
        return None
    found = proxy(design, placement)
    return {**vars(found), "cost": found.cost}


def _peaks(design: Design, placement: Placement, per_um: float) -> dict[str, float]:
    """The fullest bin of each map: a share, length per area, pins per area; and the mean of the fullest bins of RUDY."""
    columns, rows = maps.bins(design)
    return {
        "density": float(maps.density(design, placement, columns, rows).max()),
        "rudy": float(maps.rudy(design, placement, columns, rows).max()) * per_um,
        "congestion": maps.congestion(design, placement) * per_um,
        "pins": float(maps.pins(design, placement, columns, rows).max()) * per_um**2,
    }


def violations(design: Design, legality: Legality) -> list[dict[str, Any]]:
    """What is broken, how often, and the first few by name."""
    rules: list[tuple[str, Ints | Overlaps]] = [
        ("every movable cell has a position", legality.unplaced),
        ("no two hard objects overlap", legality.overlaps),
        ("movable cells lie inside the die", legality.out_of_die),
        ("movable standard cells stand on rows", legality.off_row),
        ("movable standard cells stand on sites", legality.off_site),
    ]
    return [
        {"rule": rule, "count": len(cells), "examples": [_named(design, cell) for cell in _first(cells)]}
        for rule, cells in rules
        if len(cells)
    ]


def _first(cells: Ints | Overlaps) -> Ints:
    return (cells.pairs if isinstance(cells, Overlaps) else cells)[:SHOWN]


def _named(design: Design, cell: Any) -> str | list[str]:
    if getattr(cell, "shape", ()):
        return [design.cell_names[i] for i in cell]
    return design.cell_names[cell]
