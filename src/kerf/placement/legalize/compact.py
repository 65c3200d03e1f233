"""Places for macros whose relations are settled: least weighted displacement in each direction, as a linear program.

The constraints are differences, so with whole numbers for data (sites and rows) a vertex of the program is whole as well.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, hstack, identity, vstack

from kerf.placement.design import Bools, Floats, Ints
from kerf.placement.legalize.graph import Axis, Relations, bounds, exact, step_between


def compact(a: Axis, r: Relations, code: int, weight: Floats) -> Floats:
    """(m,) edges along one axis, `code` LEFT or BELOW; NaN where no places satisfy the relations."""
    low, high, _, _ = bounds(a, r, code)
    if (low > high + ROUNDING).any():
        return np.full(len(low), np.nan)
    first, second = _needed(r.pair == code)
    steps = np.array([step_between(a, i, j) for i, j in zip(first, second)])
    unit = a.pitch or max(float(a.size.max()), 1.0) / 100
    low, high, wish = (_in_units(a, side, unit) for side in (low, np.maximum(low, high), a.wish))
    found = _least_displacement(low, high, wish, first, second, steps / unit, weight)
    if a.pitch or np.isnan(found).any():
        return a.origin + np.round(found) * unit
    return exact(a, r, code, found * unit + a.origin)


def _in_units(a: Axis, at: Floats, unit: float) -> Floats:
    return np.round((at - a.origin) / unit) if a.pitch else (at - a.origin) / unit


ROUNDING = 1e-7


def _needed(follows: Bools) -> tuple[Ints, Ints]:
    """Pairs that no macro between them implies."""
    dense = follows.astype(np.float32)
    implied = dense @ dense > 0.5
    first, second = np.nonzero(follows & ~implied)
    return first, second


def _least_displacement(
    low: Floats, high: Floats, wish: Floats, first: Ints, second: Ints, steps: Floats, weight: Floats
) -> Floats:
    m, e = len(low), len(first)
    rows = np.arange(e)
    ones = np.ones(e)
    apart = coo_array(
        (np.concatenate([ones, -ones]), (np.concatenate([rows, rows]), np.concatenate([first, second]))),
        shape=(e, m),
    )
    one = identity(m)
    matrix = vstack([hstack([apart, coo_array((e, m))]), hstack([one, -one]), hstack([-one, -one])])
    limit = np.concatenate([-steps, wish, -wish])
    cost = np.concatenate([np.zeros(m), weight])
    where = np.concatenate([np.stack([low, high], axis=1), np.tile([0.0, np.inf], (m, 1))])
    solved = linprog(cost, matrix.tocsr(), limit, bounds=where, method="highs-ds")
    return np.asarray(solved.x[:m]) if solved.status == 0 else np.full(m, np.nan)
