"""Half-perimeter wirelength: for each net, the width plus the height of the box around its pins."""

from __future__ import annotations

import numpy as np

from kerf.placement.design import Design, Floats, Placement


def net_boxes(design: Design, placement: Placement) -> tuple[Floats, Floats, Floats, Floats]:
    """Left, bottom, right, top of each net's pins; (M,) each. A net without pins has an empty box at 0."""
    x, y = design.pin_positions(placement)
    filled = np.flatnonzero(np.diff(design.net_start))
    starts = design.net_start[filled]
    boxes = np.zeros((4, design.nets))
    if len(filled):
        for side, (reduce, at) in enumerate(
            ((np.minimum, x), (np.minimum, y), (np.maximum, x), (np.maximum, y))
        ):
            boxes[side, filled] = reduce.reduceat(at, starts)
    return boxes[0], boxes[1], boxes[2], boxes[3]


def net_lengths(design: Design, placement: Placement) -> Floats:
    """The half-perimeter of each net, unweighted; (M,). NaN where a pin's cell has no place."""
    left, bottom, right, top = net_boxes(design, placement)
    return (right - left) + (top - bottom)


def hpwl(design: Design, placement: Placement) -> float:
    """The sum over nets of weight times half-perimeter, with pin offsets and orientations, in the design's unit."""
    return float(design.net_weight @ net_lengths(design, placement))
