"""Hard macros and what stands in their way, as arrays that the kernels of macro legalization share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.legalize.cells import hard_rectangles
from kerf.placement.rules import Rules


class Blocks(NamedTuple):
    """m macros to place and K obstacles. x, y: wished left and bottom edges; w, h: sizes; halo, weight: (m,) each. low_x, high_x,
    low_y, high_y: (m,) bounds of the left and bottom edges. obstacle: (K, 4) left, bottom, right, top; obstacle_halo: (K,), -1 for a
    keepout, from which macros need no halo. heeds: (m, K) whether an obstacle is one to a macro. grid: origin and pitch in x, then in y, on which edges stand; a pitch of 0 is none."""

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    h: np.ndarray
    halo: np.ndarray
    weight: np.ndarray
    low_x: np.ndarray
    high_x: np.ndarray
    low_y: np.ndarray
    high_y: np.ndarray
    obstacle: np.ndarray
    obstacle_halo: np.ndarray
    heeds: np.ndarray
    grid: np.ndarray


@dataclass(frozen=True)
class Grid:
    """Where the left and bottom edges of macros may stand: origin + k * pitch; a pitch of 0 leaves them free."""

    x: float
    pitch_x: float
    y: float
    pitch_y: float

    @staticmethod
    def of(design: Design) -> Grid:
        """The sites and rows, where all rows share them: a macro across part of a row or site takes all of it from the cells."""
        rows = design.rows
        if not len(rows):
            return Grid(0.0, 0.0, 0.0, 0.0)
        same_x = _shared(rows.x, rows.spacing)
        same_y = _shared(rows.y, rows.height)
        return Grid(float(rows.x[0]), same_x, float(rows.y[0]), same_y)


def _shared(origins: Floats, pitches: Floats) -> float:
    """The common pitch, 0 where origins or pitches differ."""
    pitch = float(pitches[0])
    steps = (origins - origins[0]) / pitch
    same = np.allclose(pitches, pitch) and np.allclose(steps, np.round(steps), atol=1e-4)
    return pitch if same else 0.0


FREE = Grid(0.0, 0.0, 0.0, 0.0)


def blocks(design: Design, placement: Placement, rules: Rules, which: Ints, grid: Grid) -> Blocks:
    """Of the macros `which`, placed and oriented somewhere, and everything hard that is not among them and does not move."""
    left, bottom, right, top = (side[which] for side in design.boxes(placement))
    w, h = right - left, top - bottom
    box = rules.box[which]
    obstacle, halo, zone = _obstacles(design, placement, rules)
    pins = np.bincount(design.pin_cell, minlength=design.cells)[which]
    return Blocks(
        left,
        bottom,
        w,
        h,
        rules.halo[which],
        1.0 + pins,
        _up(box[:, 0], grid.x, grid.pitch_x),
        _down(box[:, 2] - w, grid.x, grid.pitch_x),
        _up(box[:, 1], grid.y, grid.pitch_y),
        _down(box[:, 3] - h, grid.y, grid.pitch_y),
        obstacle,
        halo,
        (zone < 0) | (zone == rules.zone[which][:, None]),
        np.array([grid.x, grid.pitch_x, grid.y, grid.pitch_y]),
    )


def _obstacles(design: Design, placement: Placement, rules: Rules) -> tuple[Floats, Floats, Ints]:
    """Rectangles, their halos, and the one zone to which each is an obstacle, -1 for all."""
    boxes, owner = hard_rectangles(design, placement, _standing(design, rules))
    barred = [zone.barred for zone in rules.zones]
    areas = np.concatenate([boxes, rules.keepouts, *barred])
    halo = np.concatenate([rules.halo[owner], np.full(len(areas) - len(boxes), -1.0)])
    zone = np.repeat(np.arange(-1, len(barred)), [len(boxes) + len(rules.keepouts), *map(len, barred)])
    return areas, halo, zone


def _standing(design: Design, rules: Rules) -> Bools:
    hard = (design.kind == Kind.CELL) | (design.kind == Kind.MACRO)
    return hard & rules.fixed


ROUNDING = 1e-6


def _up(at: Floats, origin: float, pitch: float) -> Floats:
    return at if pitch == 0 else origin + np.ceil((at - origin) / pitch - ROUNDING) * pitch


def _down(at: Floats, origin: float, pitch: float) -> Floats:
    return at if pitch == 0 else origin + np.floor((at - origin) / pitch + ROUNDING) * pitch
