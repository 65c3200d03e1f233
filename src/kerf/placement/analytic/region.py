"""The area that cells are spread over, cut into bins, and what of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kerf.placement.analytic.field_kernels import PAD, spread_large
from kerf.placement.design import Design, Floats, Kind, Placement
from kerf.placement.rules import Rules

Singles = NDArray[np.float32]

FEWEST, MOST = 8, 1024
"""Bins along a side: fewer have no slopes to follow, more cost time and gain nothing that legalization keeps."""
DUST = 1e-4
"""Shares of a bin below this come from rounding."""


@dataclass(frozen=True)
class Region:
    """columns x rows bins of `wide` x `high` in the design's unit, from the lower left corner (left, bottom)."""

    left: float
    bottom: float
    wide: float
    high: float
    columns: int
    rows: int

    @property
    def aspect(self) -> float:
        return self.high / self.wide

    def across(self, x: Floats) -> Floats:
        """A coordinate of the design in bins."""
        return (x - self.left) / self.wide

    def along(self, y: Floats) -> Floats:
        return (y - self.bottom) / self.high

    @staticmethod
    def of(design: Design, bins: float, columns: int | None = None) -> Region:
        """The box around the rows, or the die, in about `bins` bins (or so many columns) as square as numbers that transform fast allow."""
        left, bottom, right, top = _outline(design)
        width, height = right - left, top - bottom
        side = width / columns if columns else np.sqrt(width * height / max(bins, 1.0))
        across, along = (
            int(fft.next_fast_len(int(np.clip(round(length / side), FEWEST, MOST))))
            for length in (width, height)
        )
        return Region(left, bottom, width / across, height / along, across, along)


def _outline(design: Design) -> tuple[float, float, float, float]:
    left, bottom, right, top = design.die
    if len(design.rows):
        rows = design.rows
        inside = (
            max(left, float(rows.x.min())),
            max(bottom, float(rows.y.min())),
            min(right, float(rows.right.max())),
            min(top, float((rows.y + rows.height).max())),
        )
        if inside[2] > inside[0] and inside[3] > inside[1]:
            return inside
    return left, bottom, right, top


def blocked(design: Design, placement: Placement, rules: Rules, region: Region, closed: Floats) -> Singles:
    """(columns, rows): the share of each bin that fixed objects, keepouts, the lack of rows, and what is `closed` to those who are to be
    spread, (K, 4), take, at most all of it."""
    hard = rules.fixed & (design.kind <= Kind.MACRO) & np.isfinite(placement.x + placement.y)
    parts = [rules.keepouts.reshape(-1, 4), closed]
    for cell, rects in design.rects.items():
        if hard[cell]:
            hard[cell] = False
            moved = [placement.x[cell] - design.initial.x[cell], placement.y[cell] - design.initial.y[cell]]
            parts.append(rects + np.array(moved * 2))
    parts.append(np.stack(design.boxes(placement), axis=1)[hard])
    share = _covered(region, np.concatenate(parts))
    if len(design.rows):
        rows = design.rows
        share += 1 - np.minimum(
            _covered(region, np.stack([rows.x, rows.y, rows.right, rows.y + rows.height], axis=1)), 1
        )
    share[share < DUST] = 0
    return np.minimum(share, 1)


def _covered(region: Region, rects: Floats) -> Singles:
    """(columns, rows): how often each bin is covered by (K, 4) rectangles."""
    charge = np.zeros((region.columns + PAD, region.rows + PAD), np.float32)
    spread_large(
        region.across(rects[:, 0]),
        region.along(rects[:, 1]),
        region.across(rects[:, 2]),
        region.along(rects[:, 3]),
        np.ones(len(rects)),
        charge,
    )
    return charge[: region.columns, : region.rows]
