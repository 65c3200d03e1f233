"""A chip that is placed in a moment: two memories, forty cells, eight ports on the left."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerf.placement.design import Design, Kind, Placement, Rows

CELLS, PORTS = 40, 8


def chip(rams: tuple[str, str] = ("ram_0", "ram_1"), **changed: Any) -> Design:
    """Memories of 12 by 9, cells of 3 by 3 in 20 rows of 60 sites; each memory is wired to half of the cells."""
    rng = np.random.default_rng(0)
    cells = 2 + CELLS + PORTS
    nets = [[i % 2, 2 + i] for i in range(CELLS)]
    nets += [[2 + int(i) for i in rng.choice(CELLS, 3, replace=False)] for _ in range(40)]
    nets += [[2 + CELLS + i, i % 2] for i in range(PORTS)]
    pins = np.concatenate(nets).astype(np.int64)
    kind = np.array([Kind.MACRO] * 2 + [Kind.CELL] * CELLS + [Kind.PORT] * PORTS, np.int8)
    at = np.full(cells, np.nan)
    x, y = at.copy(), at.copy()
    x[-PORTS:], y[-PORTS:] = 0.0, 3.0 + 7.0 * np.arange(PORTS)
    values: dict[str, Any] = {
        "name": "small",
        "format": "bookshelf",
        "unit": "bookshelf",
        "per_um": None,
        "cell_names": [*rams, *(f"core/c{i}" for i in range(CELLS)), *(f"port_{i}" for i in range(PORTS))],
        "width": np.concatenate([np.full(2, 12.0), np.full(CELLS, 3.0), np.zeros(PORTS)]),
        "height": np.concatenate([np.full(2, 9.0), np.full(CELLS, 3.0), np.zeros(PORTS)]),
        "kind": kind,
        "fixed": kind == Kind.PORT,
        "net_names": [f"n{i}" for i in range(len(nets))],
        "net_start": np.concatenate([[0], np.cumsum([len(net) for net in nets])]).astype(np.int64),
        "net_weight": np.ones(len(nets)),
        "pin_cell": pins,
        "pin_x": np.where(pins < 2, 6.0, 0.0),
        "pin_y": np.zeros(len(pins)),
        "die": (0.0, 0.0, 60.0, 60.0),
        "rows": Rows.of([[0, 3 * i, 3, 1, 1, 60, 0] for i in range(20)]),
        "initial": Placement(x, y, np.zeros(cells, np.int64)),
    }
    return Design(**(values | changed))


def by_hand(design: Design) -> Placement:
    """A legal placement that no placer made, the same on every machine: memories in the lower corners, cells in rows above."""
    found = design.initial.copy()
    found.x[:2], found.y[:2] = [6.0, 54.0], 4.5
    k = np.arange(CELLS)
    found.x[2 : 2 + CELLS], found.y[2 : 2 + CELLS] = 4.5 + 6.0 * (k % 8), 16.5 + 6.0 * (k // 8)
    return found
