"""The arithmetic of one step of Nesterov's method, one pass over memory each, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit

ONE = np.float32(1)


@njit(cache=True, fastmath=True, nogil=True)
def norm(values: np.ndarray) -> float:
    """The sum of absolute values."""
    total = 0.0
    for i in range(len(values)):
        total += abs(values[i])
    return total


@njit(cache=True, fastmath=True, nogil=True)
def combine(
    wire: np.ndarray,
    field: np.ndarray,
    penalty: float,
    pins: np.ndarray,
    area: np.ndarray,
    out: np.ndarray,
) -> None:
    """The preconditioned gradient: (wire + penalty * field) / max(1, pins + penalty * area)."""
    weight = np.float32(penalty)
    for i in range(len(out)):
        out[i] = (wire[i] + weight * field[i]) / max(ONE, pins[i] + weight * area[i])


@njit(cache=True, fastmath=True, nogil=True)
def products(
    v: np.ndarray, v_old: np.ndarray, g: np.ndarray, g_old: np.ndarray
) -> tuple[float, float, float]:
    """s.s, s.y and y.y of the changes s of place and y of gradient."""
    ss, sy, yy = 0.0, 0.0, 0.0
    for i in range(len(g)):
        s, y = v[i] - v_old[i], g[i] - g_old[i]
        ss += s * s
        sy += s * y
        yy += y * y
    return ss, sy, yy


@njit(cache=True, fastmath=True, nogil=True)
def accelerate(
    u: np.ndarray,
    v: np.ndarray,
    g: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    step: float,
    momentum: float,
    v_next: np.ndarray,
) -> None:
    """u becomes v - step * g, v_next overshoots it by momentum times its change; both stay between low and high."""
    length, share = np.float32(step), np.float32(momentum)
    for i in range(len(g)):
        new = min(max(v[i] - length * g[i], low[i]), high[i])
        v_next[i] = min(max(new + share * (new - u[i]), low[i]), high[i])
        u[i] = new
