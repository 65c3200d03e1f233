"""A die that is no rectangle: what of the box around it lies outside."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

Rect = tuple[float, float, float, float]


def outside(corners: Sequence[tuple[float, float]]) -> list[Rect] | None:
    """Rectangles (left, bottom, right, top) that make up the box around a polygon without the polygon; None where a side is neither
    horizontal nor vertical.

    In a slab between two neighbouring heights of corners, every vertical side that crosses it changes from outside to inside or back."""
    ends = list(zip(corners, [*corners[1:], corners[0]]))
    if any(x0 != x1 and y0 != y1 for (x0, y0), (x1, y1) in ends):
        return None
    upright = [(x0, min(y0, y1), max(y0, y1)) for (x0, y0), (x1, y1) in ends if x0 == x1 and y0 != y1]
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    heights = np.unique([y for _, y in corners]).tolist()
    found: list[Rect] = []
    for bottom, top in itertools.pairwise(heights):
        crossed = sorted(x for x, low, high in upright if low <= bottom and high >= top)
        marks = [left, *crossed, right]
        found += [(a, bottom, b, top) for a, b in zip(marks[::2], marks[1::2]) if b > a]
    return found
