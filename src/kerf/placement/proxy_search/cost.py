"""The proxy cost of a board: exact means of the fullest entries, found again from where they were last time."""

from __future__ import annotations

import numpy as np

from kerf.placement.proxy_search.board import Board, lean, quick

EXACT = 1e-9
"""The mean of the fullest entries is within this of exact."""
PASSES = 40


@quick
def _excess(values: np.ndarray, threshold: float) -> tuple[float, float]:
    """By how much entries exceed the threshold in sum, and how many do."""
    total, count = 0.0, 0.0
    for value in values:
        total += max(value - threshold, 0.0)
        count += 1.0 if value > threshold else 0.0
    return total, count


@lean
def top_mean(values: np.ndarray, count: int, threshold: float) -> tuple[float, float]:
    """The mean of the `count` largest, and the threshold to begin with next time.

    It is the least, over all thresholds t, of t + excess(t) / count (Rockafellar and Uryasev's conditional value at risk), a convex
    function that is linear between entries: the tangents on both sides of the least meet below it, and there is where to look next."""
    low, high = -1.0, -1.0
    low_f = low_g = high_f = high_g = 0.0
    best, at = np.inf, threshold
    t, step = threshold, 1e-3
    for _ in range(PASSES):
        total, above = _excess(values, t)
        f, g = t + total / count, 1.0 - above / count
        if f < best:
            best, at = f, t
        if g == 0.0:
            break
        if g < 0.0:
            low, low_f, low_g = t, f, g
        else:
            high, high_f, high_g = t, f, g
        if low >= 0.0 and high >= 0.0:
            t = (high_f - low_f + low_g * low - high_g * high) / (low_g - high_g)
            floor = low_f + low_g * (t - low)
            if best - floor < EXACT or not low < t < high:
                break
        elif low >= 0.0:
            t, step = t + step, 4 * step
        else:
            if t == 0.0:
                break
            t, step = max(t - step, 0.0), 4 * step
    return best, at


@lean
def terms(b: Board, load: np.ndarray) -> tuple[float, float, float]:
    """Wirelength, density, congestion. `load` (2G,) is scratch; the thresholds in `sums` are where the next search begins, and the
    congestion is that of last time where no route and no hard macro has changed since."""
    counted = b.shape[3]
    if len(b.full) < 10:
        counted = 0
        for share in b.full:
            counted += 1 if share > 1e-12 else 0
        counted = max(counted, 1)
    density, b.sums[1] = top_mean(b.full, counted, b.sums[1])
    if b.stamp[1] != 0:
        edges = b.raw
        if b.shape[2] > 0:
            smooth(b, load)
            edges = load
        b.sums[3], b.sums[2] = top_mean(edges, b.shape[4], b.sums[2])
        b.stamp[1] = 0
    return b.sums[0] * b.scale, 0.5 * density, b.sums[3]


@lean
def duplicate(source: np.ndarray, target: np.ndarray) -> None:
    for k in range(len(source)):
        target[k] = source[k]


@lean
def smooth(b: Board, load: np.ndarray) -> None:
    """Wires spread over the cells within reach across their direction, equal shares, plus what hard macros take."""
    columns, rows, reach = b.shape[0], b.shape[1], b.shape[2]
    duplicate(b.block, load)
    _spread(b.raw, load, 0, rows, columns, reach)
    _spread(b.raw, load, len(b.full), columns, rows, reach)


@quick
def _spread(raw: np.ndarray, load: np.ndarray, start: int, lines: int, length: int, reach: int) -> None:
    """Each line of `length` entries goes to the lines within reach."""
    for line in range(lines):
        low, high = max(line - reach, 0), min(line + reach, lines - 1)
        share = 1.0 / (high - low + 1)
        source = raw[start + line * length : start + (line + 1) * length]
        for near in range(low, high + 1):
            target = load[start + near * length : start + (near + 1) * length]
            for k in range(length):
                target[k] += source[k] * share
