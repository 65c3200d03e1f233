"""Turn macros, where they stand, to where their pins want to be."""

from __future__ import annotations

import numpy as np
from numba import njit

from kerf.placement import orient
from kerf.placement.design import Bools, Design, Ints, Kind, Placement
from kerf.placement.rules import Rules

SWEEPS = 4
"""Macros on common nets wait for one another; later sweeps have found next to nothing."""


def orient_macros(design: Design, placement: Placement, rules: Rules) -> Placement:
    """Each movable hard macro takes the allowed orientation with the least HPWL of its nets, its centre and all else staying.

    Macros go in order of their pins, the most first, in up to SWEEPS sweeps. An orientation that would reach out of the macro's box
    is not taken. Overlaps are not looked at: run this before macros are legalized. HPWL never rises."""
    macros = np.flatnonzero(
        (design.kind == Kind.MACRO) & ~rules.fixed & np.isfinite(placement.x + placement.y)
    )
    pins_of = np.bincount(design.pin_cell, minlength=design.cells)
    macros = macros[np.argsort(-pins_of[macros], kind="stable")]
    allowed = rules.orients[macros] & _fits(design, placement, rules, macros)
    by_cell = np.argsort(design.pin_cell, kind="stable")
    net_of = np.repeat(np.arange(design.nets), np.diff(design.net_start))
    turned = placement.copy()
    _sweep(
        macros,
        allowed,
        by_cell,
        np.searchsorted(design.pin_cell[by_cell], np.arange(design.cells + 1)),
        net_of,
        design.net_start,
        design.net_weight,
        design.pin_x,
        design.pin_y,
        turned.x,
        turned.y,
        turned.orient,
        *design.pin_positions(placement),
        design.pin_cell,
    )
    return turned


def _fits(design: Design, placement: Placement, rules: Rules, macros: Ints) -> Bools:
    """(K, 8) whether each macro stays in its box in each orientation; where it is out of it already, whether its sides stay as they are."""
    now = orient.TURNED[placement.orient[macros]]
    fits = np.zeros((len(macros), 8), np.bool_)
    x, y, box = placement.x[macros], placement.y[macros], rules.box[macros]
    for code in range(8):
        swapped = bool(orient.TURNED[code])
        w = (design.height if swapped else design.width)[macros] / 2
        h = (design.width if swapped else design.height)[macros] / 2
        inside = (x - w >= box[:, 0]) & (y - h >= box[:, 1]) & (x + w <= box[:, 2]) & (y + h <= box[:, 3])
        fits[:, code] = inside | (now == swapped)
    return fits


@njit(cache=True)
def _sweep(
    macros: np.ndarray,
    allowed: np.ndarray,
    by_cell: np.ndarray,
    cell_start: np.ndarray,
    net_of: np.ndarray,
    net_start: np.ndarray,
    net_weight: np.ndarray,
    pin_x: np.ndarray,
    pin_y: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    turn: np.ndarray,
    at_x: np.ndarray,
    at_y: np.ndarray,
    pin_cell: np.ndarray,
) -> None:
    """Changes `turn` and the pins' places `at_x`, `at_y`."""
    for _ in range(SWEEPS):
        changed = False
        for k in range(len(macros)):
            cell = macros[k]
            pins = by_cell[cell_start[cell] : cell_start[cell + 1]]
            best, least = turn[cell], np.inf
            for attempt in range(9):
                code = turn[cell] if attempt == 0 else attempt - 1
                if attempt > 0 and not allowed[k, code]:
                    continue
                _turn(pins, orient.MATRICES[code], pin_x, pin_y, x[cell], y[cell], at_x, at_y)
                length = _length(pins, cell, net_of, net_start, net_weight, pin_cell, at_x, at_y)
                if length < least * (1 - 1e-12):
                    best, least = code, length
            changed |= best != turn[cell]
            turn[cell] = best
            _turn(pins, orient.MATRICES[best], pin_x, pin_y, x[cell], y[cell], at_x, at_y)
        if not changed:
            break


@njit(cache=True)
def _turn(
    pins: np.ndarray,
    matrix: np.ndarray,
    pin_x: np.ndarray,
    pin_y: np.ndarray,
    x: float,
    y: float,
    at_x: np.ndarray,
    at_y: np.ndarray,
) -> None:
    for pin in pins:
        at_x[pin] = x + matrix[0, 0] * pin_x[pin] + matrix[0, 1] * pin_y[pin]
        at_y[pin] = y + matrix[1, 0] * pin_x[pin] + matrix[1, 1] * pin_y[pin]


@njit(cache=True)
def _length(
    pins: np.ndarray,
    cell: int,
    net_of: np.ndarray,
    net_start: np.ndarray,
    net_weight: np.ndarray,
    pin_cell: np.ndarray,
    at_x: np.ndarray,
    at_y: np.ndarray,
) -> float:
    """The weighted length of the cell's nets, each counted at its first pin on the cell; pins without a place are passed over."""
    total = 0.0
    last = -1
    for pin in pins:
        net = net_of[pin]
        if net == last:
            continue
        last = net
        left, right, bottom, top = np.inf, -np.inf, np.inf, -np.inf
        for p in range(net_start[net], net_start[net + 1]):
            if not np.isnan(at_x[p] + at_y[p]):
                left, right = min(left, at_x[p]), max(right, at_x[p])
                bottom, top = min(bottom, at_y[p]), max(top, at_y[p])
        total += net_weight[net] * ((right - left) + (top - bottom))
    return total
