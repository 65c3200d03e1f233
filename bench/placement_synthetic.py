"""Netlists of any size for measuring speed: local nets of 3.4 pins on average, standard cells in rows, a few ports.

python bench/placement_synthetic.py 100000 out/made.aux    writes one as Bookshelf
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from kerf.placement.design import Design, Kind, Placement, Rows

ROW = 10.0
UTILIZATION = 0.7


def synthetic(cells: int, seed: int = 0) -> Design:
    """`cells` standard cells of 2 to 12 sites and sqrt(cells) ports, 1.045 nets a cell.

    A net's pins lie around a random cell, in the order of the cells, within a window whose size is heavy-tailed: many local nets, few
    global ones, as Rent's rule has it. The same seed gives the same design."""
    rng = np.random.default_rng(seed)
    ports = math.isqrt(cells)
    width = np.concatenate([np.clip(rng.geometric(0.25, cells) + 1, 2, 12), np.ones(ports)]).astype(
        np.float64
    )
    die = _die(float(width[:cells].sum()) * ROW)
    start, pin_cell = _nets(rng, cells, ports)
    kind = np.repeat(np.array([Kind.CELL, Kind.PORT], np.int8), [cells, ports])
    reach = np.where(kind == Kind.PORT, 0.0, 1.0)[pin_cell]
    return Design(
        name=f"synthetic{cells}",
        format="bookshelf",
        unit="bookshelf",
        per_um=None,
        cell_names=[f"c{i}" for i in range(cells)] + [f"p{i}" for i in range(ports)],
        width=width,
        height=np.where(kind == Kind.PORT, 1.0, ROW),
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(len(start) - 1)],
        net_start=start,
        net_weight=np.ones(len(start) - 1),
        pin_cell=pin_cell,
        pin_x=reach * np.round(rng.uniform(-0.5, 0.5, len(pin_cell)) * width[pin_cell]),
        pin_y=reach * rng.integers(-4, 5, len(pin_cell)),
        die=(0.0, 0.0, *die),
        rows=Rows.of([[0, r * ROW, ROW, 1, 1, die[0], 6 * (r % 2)] for r in range(int(die[1] / ROW))]),
        initial=_ports_around(cells, ports, die),
        tolerance=1e-6,
    )


def _die(area: float) -> tuple[float, float]:
    rows = math.ceil(math.sqrt(area / UTILIZATION) / ROW)
    return float(math.ceil(area / UTILIZATION / (rows * ROW))), rows * ROW


def _nets(rng: np.random.Generator, cells: int, ports: int) -> tuple[np.ndarray, np.ndarray]:
    nets = int(1.045 * cells)
    degree = np.clip(rng.geometric(0.42, nets) + 1, 2, 60)
    start = np.concatenate([[0], np.cumsum(degree)]).astype(np.int64)
    window = np.repeat(np.maximum(1, cells * rng.random(nets) ** 6), degree)
    offset = (rng.standard_normal(start[-1]) * window).astype(np.int64)
    pin_cell = (np.repeat(rng.integers(0, cells, nets), degree) + offset) % cells
    pin_cell[start[rng.choice(nets, min(ports, nets), replace=False)]] = cells + np.arange(min(ports, nets))
    return start, pin_cell


def _ports_around(cells: int, ports: int, die: tuple[float, float]) -> Placement:
    """Ports evenly along the die's edge, the cells nowhere yet."""
    at = np.linspace(0, 4, ports, endpoint=False)
    x = np.interp(at, [0, 1, 2, 3, 4], [0, 1, 1, 0, 0]) * die[0]
    y = np.interp(at, [0, 1, 2, 3, 4], [0, 0, 1, 1, 0]) * die[1]
    nowhere = np.full(cells, np.nan)
    return Placement(
        np.concatenate([nowhere, x]), np.concatenate([nowhere, y]), np.zeros(cells + ports, np.int64)
    )


if __name__ == "__main__":
    from kerf.placement.formats import save

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    made = synthetic(asked.cells, asked.seed)
    save(asked.out, made, made.initial)
