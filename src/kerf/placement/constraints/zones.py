"""Regions that are exclusive, or of several boxes, as zones: what the cells that are in the same of them may not overlap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kerf.placement.constraints.kinds import Region
from kerf.placement.design import Design, Floats, Ints
from kerf.placement.rules import Rules, Zone

Spans = list[tuple[float, float]]


def zoned(design: Design, rules: Rules, asked: Sequence[tuple[Region, Ints]]) -> Rules:
    """The rules with zones for these regions and the cells that each names. A region of one box that others may enter needs none."""
    special = [(c, cells) for c, cells in asked if c.exclusive or len(c.boxes) > 1]
    if not special:
        return rules
    inside = np.zeros((design.cells, len(special)), np.bool_)
    for column, (_, cells) in enumerate(special):
        inside[cells, column] = True
    fence = np.array([c.exclusive for c, _ in special])
    kinds, zone = np.unique(inside, axis=0, return_inverse=True)
    _, ground = np.unique(kinds & fence, axis=0, return_inverse=True)
    rects = [area(design, c) for c, _ in special]
    frame = np.array(design.die)
    zones = tuple(
        Zone(
            _barred(frame, rects, kind, fence, fence | kind),
            int(g),
            _barred(frame, rects, kind, fence, fence),
        )
        for kind, g in zip(kinds, ground.ravel())
    )
    return replace(rules, zone=zone.ravel().astype(np.int64), zones=zones)


def area(design: Design, region: Region) -> Floats:
    """(K, 4) the region as disjoint rectangles in the design's unit."""
    return union(np.array(region.boxes, dtype=np.float64) * (design.per_um or 1.0))


def _barred(
    frame: Floats, rects: list[Floats], inside: np.ndarray, fence: np.ndarray, which: np.ndarray
) -> Floats:
    """(K, 4) of the regions `which`: what lies outside those that the cells are inside of, and the fences that they are not."""
    parts = [
        without(frame, r) if own else r
        for r, own, f, w in zip(rects, inside, fence, which)
        if w and (own or f)
    ]
    return np.concatenate([np.empty((0, 4)), *parts])


def union(rects: Floats) -> Floats:
    """(L, 4) disjoint rectangles that cover what the (K, 4) given do, each as long along x as can be."""
    found = [
        (left, bottom, right, top)
        for bottom, top, spans in _slabs(rects, rects[:, 1::2])
        for left, right in spans
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def without(frame: Floats, rects: Floats) -> Floats:
    """(L, 4) disjoint rectangles that cover the (4,) frame but for the (K, 4) given."""
    inside = np.concatenate(
        [np.maximum(rects[:, :2], frame[:2]), np.minimum(rects[:, 2:], frame[2:])], axis=1
    )
    inside = inside[(inside[:, 2:] > inside[:, :2]).all(axis=1)]
    found = []
    for bottom, top, spans in _slabs(inside, np.append(inside[:, 1::2], frame[1::2])):
        edges = [frame[0], *itertools.chain(*spans), frame[2]]
        found += [(left, bottom, right, top) for left, right in zip(edges[::2], edges[1::2]) if right > left]
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def _slabs(rects: Floats, heights: Floats) -> list[tuple[float, float, Spans]]:
    """Between neighbouring heights: bottom, top, and the spans of x that rectangles cover, merged, from left to right."""
    found: list[tuple[float, float, Spans]] = []
    for bottom, top in itertools.pairwise(np.unique(heights).tolist()):
        spans: Spans = []
        for left, _, right, _ in sorted(rects[(rects[:, 1] <= bottom) & (rects[:, 3] >= top)].tolist()):
            if spans and left <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], right)
            else:
                spans.append((left, right))
        found.append((bottom, top, spans))
    return found
