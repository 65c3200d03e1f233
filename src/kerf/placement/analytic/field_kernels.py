"""Charge onto bins and force off them, compiled by numba.

Everything here is in bins: bin (i, j) is the square [i, i + 1] x [j, j + 1], and maps have two rows and columns more than there are bins, so that a
small box may reach over the edge with weight zero. A box's charge is its density times its overlap with a bin.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PAD = 2
ONE = np.float32(1)
ZERO = np.float32(0)


@njit(cache=True, fastmath=True, nogil=True)
def spread_small(
    x: np.ndarray,
    y: np.ndarray,
    half_w: np.ndarray,
    half_h: np.ndarray,
    density: np.ndarray,
    first: int,
    last: int,
    charge: np.ndarray,
) -> None:
    """Add the boxes first .. last, each between one and two bins wide and high, and so on 3 x 3 bins at most."""
    for i in range(first, last):
        left, bottom = x[i] - half_w[i], y[i] - half_h[i]
        wide, high = half_w[i] + half_w[i], half_h[i] + half_h[i]
        u, v = np.uint32(left), np.uint32(bottom)
        a = np.float32(u) + ONE - left
        c = max(ZERO, wide - a - ONE)
        b = wide - a - c
        d = np.float32(v) + ONE - bottom
        f = max(ZERO, high - d - ONE)
        e = high - d - f
        q = density[i]
        d, e, f = d * q, e * q, f * q
        charge[u, v] += a * d
        charge[u, v + 1] += a * e
        charge[u, v + 2] += a * f
        charge[u + 1, v] += b * d
        charge[u + 1, v + 1] += b * e
        charge[u + 1, v + 2] += b * f
        charge[u + 2, v] += c * d
        charge[u + 2, v + 1] += c * e
        charge[u + 2, v + 2] += c * f


@njit(cache=True, fastmath=True, nogil=True)
def spread_large(
    left: np.ndarray,
    bottom: np.ndarray,
    right: np.ndarray,
    top: np.ndarray,
    density: np.ndarray,
    charge: np.ndarray,
) -> None:
    """Add boxes of any size, given by their sides; what lies outside the bins is left out."""
    columns, rows = charge.shape[0] - PAD, charge.shape[1] - PAD
    for i in range(len(left)):
        x0, x1 = max(left[i], 0.0), min(right[i], float(columns))
        y0, y1 = max(bottom[i], 0.0), min(top[i], float(rows))
        if x1 <= x0 or y1 <= y0:
            continue
        for u in range(int(x0), min(int(x1) + 1, columns)):
            wide = (min(x1, u + 1.0) - max(x0, float(u))) * density[i]
            for v in range(int(y0), min(int(y1) + 1, rows)):
                charge[u, v] += np.float32(wide * (min(y1, v + 1.0) - max(y0, float(v))))


@njit(cache=True, fastmath=True, nogil=True)
def force_small(
    x: np.ndarray,
    y: np.ndarray,
    half_w: np.ndarray,
    half_h: np.ndarray,
    density: np.ndarray,
    first: int,
    last: int,
    slope_x: np.ndarray,
    slope_y: np.ndarray,
    out_x: np.ndarray,
    out_y: np.ndarray,
) -> None:
    """The potential's slope summed over each small box's charge: the gradient of its energy."""
    for i in range(first, last):
        left, bottom = x[i] - half_w[i], y[i] - half_h[i]
        wide, high = half_w[i] + half_w[i], half_h[i] + half_h[i]
        u, v = np.uint32(left), np.uint32(bottom)
        a = np.float32(u) + ONE - left
        c = max(ZERO, wide - a - ONE)
        b = wide - a - c
        d = np.float32(v) + ONE - bottom
        f = max(ZERO, high - d - ONE)
        e = high - d - f
        q = density[i]
        out_x[i] = q * (
            a * (d * slope_x[u, v] + e * slope_x[u, v + 1] + f * slope_x[u, v + 2])
            + b * (d * slope_x[u + 1, v] + e * slope_x[u + 1, v + 1] + f * slope_x[u + 1, v + 2])
            + c * (d * slope_x[u + 2, v] + e * slope_x[u + 2, v + 1] + f * slope_x[u + 2, v + 2])
        )
        out_y[i] = q * (
            a * (d * slope_y[u, v] + e * slope_y[u, v + 1] + f * slope_y[u, v + 2])
            + b * (d * slope_y[u + 1, v] + e * slope_y[u + 1, v + 1] + f * slope_y[u + 1, v + 2])
            + c * (d * slope_y[u + 2, v] + e * slope_y[u + 2, v + 1] + f * slope_y[u + 2, v + 2])
        )


@njit(cache=True, fastmath=True, nogil=True)
def force_large(
    x: np.ndarray,
    y: np.ndarray,
    half_w: np.ndarray,
    half_h: np.ndarray,
    density: np.ndarray,
    first: int,
    last: int,
    slope_x: np.ndarray,
    slope_y: np.ndarray,
    out_x: np.ndarray,
    out_y: np.ndarray,
) -> None:
    """The same for boxes of any size."""
    columns, rows = slope_x.shape[0] - PAD, slope_x.shape[1] - PAD
    for i in range(first, last):
        x0, x1 = max(x[i] - half_w[i], ZERO), min(x[i] + half_w[i], np.float32(columns))
        y0, y1 = max(y[i] - half_h[i], ZERO), min(y[i] + half_h[i], np.float32(rows))
        total_x, total_y = 0.0, 0.0
        for u in range(int(x0), min(int(x1) + 1, columns)):
            wide = min(x1, u + ONE) - max(x0, np.float32(u))
            for v in range(int(y0), min(int(y1) + 1, rows)):
                share = wide * (min(y1, v + ONE) - max(y0, np.float32(v)))
                total_x += share * slope_x[u, v]
                total_y += share * slope_y[u, v]
        out_x[i] = density[i] * total_x
        out_y[i] = density[i] * total_y


@njit(cache=True, fastmath=True, nogil=True)
def excess(charge: np.ndarray, blocked: np.ndarray, target: float) -> float:
    """Charge above what each bin has room for: target density of the bin, less what is blocked. All three count in bin areas."""
    total = 0.0
    for u in range(blocked.shape[0]):
        for v in range(blocked.shape[1]):
            over = charge[u, v] - target * (1.0 - blocked[u, v])
            total += max(over, 0.0)
    return total
