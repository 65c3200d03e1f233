"""Where the objects of a model begin."""

from __future__ import annotations

import numpy as np

from kerf.placement.analytic.charges import Charges
from kerf.placement.analytic.model import Singles
from kerf.placement.design import Placement

NOISE = 0.001
"""Standard deviation of the places around the middle, as a share of the region: enough to tell cells apart."""


def first_places(charges: Charges, placement: Placement, keep: bool, rng: np.random.Generator) -> Singles:
    """(2, objects + 1) in bins: cells where the placement has them (`keep`), else, or where it does not say, around the middle of where they
    may be; fillers at random where there is room."""
    m = charges.model
    n, count = m.movable, m.objects
    bins = np.array([[m.region.columns], [m.region.rows]], np.float32)
    at = np.zeros((2, count + 1), np.float32)
    middle = (m.low[:, :n] + m.high[:, :n]) / 2
    at[:, :n] = middle + NOISE * bins * rng.standard_normal((2, n), np.float32)
    if keep:
        given = m.places(placement)
        at[:, :n] = np.where(np.isfinite(given).all(axis=0), given, at[:, :n])
    at[:, :n] = np.clip(at[:, :n], m.low[:, :n], m.high[:, :n])
    for ground in m.grounds:
        first, last = ground.fillers
        room = charges.room(ground, at).astype(np.float64).ravel()
        if last > first and room.sum() > 0:
            chosen = rng.choice(len(room), last - first, p=room / room.sum())
            corner = np.stack(np.divmod(chosen, m.region.rows)).astype(np.float32)
            corner += rng.random((2, last - first), np.float32)
            at[:, first:last] = np.clip(corner, m.low[:, first:last], m.high[:, first:last])
    return at
