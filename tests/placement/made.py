"""Small designs made from a seed, for property tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerf.placement.design import Design, Grid, Kind, Placement, Rows


def design(seed: int, cells: int = 12, nets: int = 8, **changed: Any) -> Design:
    """Cells of every kind at quarter-unit positions, nets with 0 to 5 pins, four rows of ten by forty sites."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, nets)
    start = np.concatenate([[0], np.cumsum(sizes)])
    kind = rng.choice([Kind.CELL, Kind.MACRO, Kind.SOFT, Kind.PORT], cells).astype(np.int8)
    values: dict[str, Any] = {
        "name": f"made{seed}",
        "format": "bookshelf",
        "unit": "bookshelf",
        "per_um": None,
        "cell_names": [f"c{i}" for i in range(cells)],
        "width": rng.integers(1, 9, cells) / 2,
        "height": rng.integers(1, 9, cells) / 2,
        "kind": kind,
        "fixed": kind == Kind.PORT,
        "net_names": [f"n{i}" for i in range(nets)],
        "net_start": start,
        "net_weight": rng.integers(1, 4, nets).astype(float),
        "pin_cell": rng.integers(0, cells, start[-1]),
        "pin_x": rng.integers(-8, 9, start[-1]) / 4,
        "pin_y": rng.integers(-8, 9, start[-1]) / 4,
        "die": (0.0, 0.0, 40.0, 40.0),
        "rows": Rows.of([[0, 10 * i, 10, 1, 1, 40, 6 * (i % 2)] for i in range(4)]),
        "initial": placement(seed, cells),
        "grid": Grid(6, 5, 40.0, 40.0, 2.0, 3.0, 1.0, 0.5, 1),
    }
    return Design(**(values | changed))


def placement(seed: int, cells: int) -> Placement:
    rng = np.random.default_rng(seed + 1_000_003)
    x, y = rng.integers(-8, 168, (2, cells)) / 4
    return Placement(x, y, rng.integers(0, 8, cells))
