"""The arithmetic of one step of Nesterov's method, one pass over memory each, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit

ONE = np.float32(1)


@njit(cache=True, fastmath=True, nogil=True)
def norm(values: np.ndarray) -> float:
    """The sum of absolute values of (2, K)."""
    total = 0.0
    for axis in range(2):
        for i in range(values.shape[1]):
            total += abs(values[axis, i])
    return total


@njit(cache=True, fastmath=True, nogil=True)
def distance(a: np.ndarray, b: np.ndarray, count: int) -> float:
    """The sum of squared differences of the first `count` columns."""
    total = 0.0
    for axis in range(2):
        for i in range(count):
            d = a[axis, i] - b[axis, i]
            total += d * d
    return total


@njit(cache=True, fastmath=True, nogil=True)
def combine(
    wires: np.ndarray, field: np.ndarray, penalty: float, pins: np.ndarray, area: np.ndarray, out: np.ndarray
) -> None:
    """The preconditioned gradient: (wires + penalty * field) / max(1, pins + penalty * area)."""
    weight = np.float32(penalty)
    for i in range(len(out)):
        out[i] = (wires[i] + weight * field[i]) / max(ONE, pins[i] + weight * area[i])


@njit(cache=True, fastmath=True, nogil=True)
def accelerate(
    main: np.ndarray,
    at: np.ndarray,
    gradient: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    step: float,
    ahead: float,
    after: np.ndarray,
) -> None:
    """`main` becomes at - step * gradient, `after` overshoots it by `ahead` times its change; both stay between low and high."""
    length, share = np.float32(step), np.float32(ahead)
    for i in range(len(gradient)):
        new = min(max(at[i] - length * gradient[i], low[i]), high[i])
        after[i] = min(max(new + share * (new - main[i]), low[i]), high[i])
        main[i] = new
