"""Room beside cells that legalization and detailed placement leave alone: the cells are simply wider while these run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerf.placement.design import Design, Floats, Kind
from kerf.placement.orient import TURNED
from kerf.placement.rules import Rules


def padded(design: Design, swell: Floats, rules: Rules, seed: int) -> Design:
    """The design with movable standard cells widened by (C,) factors `swell`, by whole sites on either side, so that a place for the wide
    cell's centre is one for the cell's own. Rounded up or down by chance, to the same area in all. As it is where rows' sites differ."""
    spacing = np.unique(design.rows.spacing)
    if len(spacing) != 1:
        return design
    pair = 2.0 * float(spacing[0])
    chance = np.random.default_rng(seed).uniform(0.0, 1.0, design.cells)
    pad = pair * np.floor(design.width * (swell - 1.0) / pair + np.where(swell > 1.0, chance, 0.0))
    room = rules.box[:, 2] - rules.box[:, 0] - design.width
    able = (design.kind == Kind.CELL) & ~rules.fixed & ~TURNED[design.initial.orient] & (pad <= room)
    return replace(design, width=design.width + np.where(able, pad, 0.0))
