"""How much room there is: areas and sites left free by obstacles, and whether a box has a place in another beside them."""

from __future__ import annotations

import numpy as np

from kerf.placement.design import Bools, Design, Floats
from kerf.placement.legalize.segments import inside
from kerf.placement.legalize.sites import free_sites

MOST = 400
"""Obstacles counted, the largest first: leaving small ones out can only make room look larger than it is."""


def covered(box: Floats, obstacles: Floats) -> tuple[Floats, Floats, Bools]:
    """x and y of a grid's lines over a (4,) box, and which of its tiles the (K, 4) obstacles cover: (rows, columns)."""
    clipped = np.concatenate(
        [np.maximum(obstacles[:, :2], box[:2]), np.minimum(obstacles[:, 2:], box[2:])], 1
    )
    size = clipped[:, 2:] - clipped[:, :2]
    within = clipped[(size > 0).all(axis=1)]
    if len(within) > MOST:
        area = (within[:, 2] - within[:, 0]) * (within[:, 3] - within[:, 1])
        within = within[np.argsort(-area, kind="stable")[:MOST]]
    x = np.unique(np.concatenate([box[[0, 2]], within[:, 0], within[:, 2]]))
    y = np.unique(np.concatenate([box[[1, 3]], within[:, 1], within[:, 3]]))
    full = np.zeros((len(y) - 1, len(x) - 1), np.bool_)
    for left, bottom, right, top in within:
        rows = slice(*np.searchsorted(y, [bottom, top]))
        full[rows, slice(*np.searchsorted(x, [left, right]))] = True
    return x, y, full


def free_area(box: Floats, obstacles: Floats) -> float:
    """The area of a (4,) box that none of the (K, 4) obstacles covers."""
    x, y, full = covered(box, obstacles)
    return float((np.outer(np.diff(y), np.diff(x)) * ~full).sum())


def row_area(design: Design, walls: Floats) -> float:
    """The area of the sites that none of the (K, 4) walls touches."""
    sites = free_sites(design, walls, np.empty(0))
    free = inside(sites, np.array([-np.inf, -np.inf, np.inf, np.inf]))
    return float((free.pitch * free.sites * free.room).sum())


def has_place(box: Floats, width: float, height: float, obstacles: Floats, slack: float) -> bool:
    """Whether a width x height rectangle fits into the (4,) box beside the (K, 4) obstacles, overlapping none by more than `slack`.

    If it does, it does where its left and bottom touch the box or an obstacle."""
    near = obstacles[
        (obstacles[:, 0] < box[2])
        & (obstacles[:, 2] > box[0])
        & (obstacles[:, 1] < box[3])
        & (obstacles[:, 3] > box[1])
    ]
    for x in np.concatenate([[box[0]], near[:, 2]]):
        for y in np.concatenate([[box[1]], near[:, 3]]):
            if x + width > box[2] + slack or y + height > box[3] + slack:
                continue
            apart = (near[:, 2] <= x + slack) | (near[:, 0] >= x + width - slack)
            apart |= (near[:, 3] <= y + slack) | (near[:, 1] >= y + height - slack)
            if apart.all():
                return True
    return False
