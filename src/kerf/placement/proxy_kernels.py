"""The loops of the proxy cost, compiled by numba. `proxy` is the face; this file has the arithmetic.

G grid cells, numbered row by row from the bottom left; G = columns x rows. A route adds its net's weight to the right or upper edge of each
grid cell that it leaves: `route_h` and `route_v`, in tracks, before division by supply.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement.design import Kind
from kerf.placement.orient import MATRICES, TURNED
from kerf.placement.slots import slot

MACRO, SOFT = int(Kind.MACRO), int(Kind.SOFT)
ALMOST = 1e-5
"""A macro's overlap this much short of a grid cell's side is partial."""
TALL = 1 << 24
"""More than any grid's rows: column * TALL + row orders grid cells by column."""


class State(NamedTuple):
    """Shapes as in `design`: C cells, M nets, P pins, G grid cells.

    grid: (columns, rows, cell width, cell height, routes used by macros per unit, horizontal and vertical). cell_start (C + 1,) and
    cell_pins (P,) list each cell's pins, net_of (P,) their nets. Positions: x, y, orient (C,). Derived from them: at_x, at_y, spot (P,) the
    pins' places and grid cells; length (M,), total (1,) weighted; occupied, route_*, macro_* (G,). seen (G,), touched (M,): scratch."""

    grid: tuple[int, int, float, float, float, float]
    net_start: np.ndarray
    net_weight: np.ndarray
    pin_cell: np.ndarray
    pin_x: np.ndarray
    pin_y: np.ndarray
    cell_start: np.ndarray
    cell_pins: np.ndarray
    net_of: np.ndarray
    kind: np.ndarray
    width: np.ndarray
    height: np.ndarray
    x: np.ndarray
    y: np.ndarray
    orient: np.ndarray
    at_x: np.ndarray
    at_y: np.ndarray
    spot: np.ndarray
    length: np.ndarray
    total: np.ndarray
    occupied: np.ndarray
    route_h: np.ndarray
    route_v: np.ndarray
    macro_h: np.ndarray
    macro_v: np.ndarray
    seen: np.ndarray
    touched: np.ndarray


@njit(cache=True)
def fill(s: State) -> None:
    """Every sum from nothing."""
    for cell in range(len(s.x)):
        _place_pins(s, cell)
        _block(s, cell, 1.0)
    for net in range(len(s.length)):
        _measure(s, net)
        _route(s, net, 1.0)


@njit(cache=True)
def shift(s: State, cells: np.ndarray, x: np.ndarray, y: np.ndarray, orient: np.ndarray) -> None:
    """Take out what the cells and their nets add, move them, put it back."""
    nets = _nets_of(s, cells)
    for net in nets:
        _route(s, net, -1.0)
    for k in range(len(cells)):
        cell = cells[k]
        _block(s, cell, -1.0)
        s.x[cell], s.y[cell], s.orient[cell] = x[k], y[k], orient[k]
        _place_pins(s, cell)
        _block(s, cell, 1.0)
    for net in nets:
        _measure(s, net)
        _route(s, net, 1.0)


@njit(cache=True)
def _nets_of(s: State, cells: np.ndarray) -> np.ndarray:
    """The nets on any of the cells, each once."""
    most = 0
    for cell in cells:
        most += s.cell_start[cell + 1] - s.cell_start[cell]
    nets = np.empty(most, np.int64)
    count = 0
    for cell in cells:
        for i in range(s.cell_start[cell], s.cell_start[cell + 1]):
            net = s.net_of[s.cell_pins[i]]
            if not s.touched[net]:
                s.touched[net] = True
                nets[count] = net
                count += 1
    for net in nets[:count]:
        s.touched[net] = False
    return nets[:count]


@njit(cache=True)
def _place_pins(s: State, cell: int) -> None:
    columns, rows, wide, high, _, _ = s.grid
    turn = MATRICES[s.orient[cell]]
    for i in range(s.cell_start[cell], s.cell_start[cell + 1]):
        pin = s.cell_pins[i]
        s.at_x[pin] = s.x[cell] + turn[0, 0] * s.pin_x[pin] + turn[0, 1] * s.pin_y[pin]
        s.at_y[pin] = s.y[cell] + turn[1, 0] * s.pin_x[pin] + turn[1, 1] * s.pin_y[pin]
        column, row = slot(s.at_x[pin] / wide, columns), slot(s.at_y[pin] / high, rows)
        s.spot[pin] = row * columns + column


@njit(cache=True)
def _measure(s: State, net: int) -> None:
    """The net's half-perimeter, and the total that contains it."""
    first, last = s.net_start[net], s.net_start[net + 1]
    length = 0.0
    if last > first:
        left = right = s.at_x[first]
        bottom = top = s.at_y[first]
        for pin in range(first + 1, last):
            left, right = min(left, s.at_x[pin]), max(right, s.at_x[pin])
            bottom, top = min(bottom, s.at_y[pin]), max(top, s.at_y[pin])
        length = (right - left) + (top - bottom)
    s.total[0] += s.net_weight[net] * (length - s.length[net])
    s.length[net] = length


@njit(cache=True)
def _route(s: State, net: int, sign: float) -> None:
    """Add (sign 1) or take out (-1) the net's route between the distinct grid cells of its pins; its first pin is the source."""
    first, last = s.net_start[net], s.net_start[net + 1]
    if last - first < 2:
        return
    columns = s.grid[0]
    weight = sign * max(s.net_weight[net], 1.0)
    source = s.spot[first]
    s.seen[source] = net
    count, a, b = 1, source, source
    for pin in range(first + 1, last):
        spot = s.spot[pin]
        if s.seen[spot] != net:
            s.seen[spot] = net
            count += 1
            a, b = b, spot
    if count == 2:
        _two(s.route_h, s.route_v, source, b, weight, columns)
    elif count == 3:
        _three(s.route_h, s.route_v, source, a, b, weight, columns)
    for pin in range(first, last):
        spot = s.spot[pin]
        if s.seen[spot] == net:
            s.seen[spot] = -1
            if count > 3 and spot != source:
                _two(s.route_h, s.route_v, source, spot, weight, columns)


@njit(cache=True)
def _two(h: np.ndarray, v: np.ndarray, source: int, sink: int, weight: float, columns: int) -> None:
    """Along the source's row, then along the sink's column."""
    row, column = source // columns, sink % columns
    _across(h, row, source % columns, column, weight, columns)
    _along(v, column, row, sink // columns, weight, columns)


@njit(cache=True)
def _three(h: np.ndarray, v: np.ndarray, p: int, q: int, r: int, weight: float, columns: int) -> None:
    """Three cells from left to right (lower first in a column): a staircase, a corner, a shelf, or a T along the middle row."""
    p, q, r = _ordered(_turned(p, columns), _turned(q, columns), _turned(r, columns))
    x1, y1, x2, y2, x3, y3 = p // TALL, p % TALL, q // TALL, q % TALL, r // TALL, r % TALL
    if x1 < x2 < x3 and min(y1, y3) < y2 < max(y1, y3):
        _across(h, y1, x1, x2, weight, columns)
        _across(h, y2, x2, x3, weight, columns)
        _along(v, x2, y1, y2, weight, columns)
        _along(v, x3, y2, y3, weight, columns)
    elif x2 == x3 and x1 < x2 and y1 < min(y2, y3):
        _across(h, y1, x1, x2, weight, columns)
        _along(v, x2, y1, max(y2, y3), weight, columns)
    elif y2 == y3:
        _across(h, y1, x1, x2, weight, columns)
        _across(h, y2, x2, x3, weight, columns)
        _along(v, x2, y1, y2, weight, columns)
    else:
        low, mid, top = _ordered(y1 * columns + x1, y2 * columns + x2, y3 * columns + x3)
        row = mid // columns
        _across(h, row, x1, x3, weight, columns)
        _along(v, low % columns, low // columns, row, weight, columns)
        _along(v, top % columns, row, top // columns, weight, columns)


@njit(cache=True)
def _turned(spot: int, columns: int) -> int:
    return (spot % columns) * TALL + spot // columns


@njit(cache=True)
def _ordered(a: int, b: int, c: int) -> tuple[int, int, int]:
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    return a, b, c


@njit(cache=True)
def _across(h: np.ndarray, row: int, one: int, other: int, weight: float, columns: int) -> None:
    for column in range(min(one, other), max(one, other)):
        h[row * columns + column] += weight


@njit(cache=True)
def _along(v: np.ndarray, column: int, one: int, other: int, weight: float, columns: int) -> None:
    for row in range(min(one, other), max(one, other)):
        v[row * columns + column] += weight


@njit(cache=True)
def _block(s: State, cell: int, sign: float) -> None:
    """What a macro adds to the grid cells under it: area, and if hard the tracks it takes."""
    if s.kind[cell] != MACRO and s.kind[cell] != SOFT:
        return
    columns, rows, wide, high, used_h, used_v = s.grid
    turned = TURNED[s.orient[cell]]
    w, h = (s.height[cell], s.width[cell]) if turned else (s.width[cell], s.height[cell])
    left, bottom, right, top = s.x[cell] - w / 2, s.y[cell] - h / 2, s.x[cell] + w / 2, s.y[cell] + h / 2
    first_c, last_c = slot(left / wide, columns), slot(right / wide, columns)
    first_r, last_r = slot(bottom / high, rows), slot(top / high, rows)
    hard = s.kind[cell] == MACRO
    box = (left, bottom, right, top)
    part_h, part_v = False, False
    if hard:
        part_h, part_v = _partial(box, first_c, last_c, first_r, last_r, wide, high)
    for row in range(first_r, last_r + 1):
        for column in range(first_c, last_c + 1):
            dx, dy = _overlap(box, column, row, wide, high)
            spot = row * columns + column
            s.occupied[spot] += sign * dx * dy
            if hard and not (part_v and row == last_r):
                s.macro_v[spot] += sign * dx * used_v
            if hard and not (part_h and column == last_c):
                s.macro_h[spot] += sign * dy * used_h


@njit(cache=True)
def _partial(
    box: tuple[float, float, float, float], c0: int, c1: int, r0: int, r1: int, wide: float, high: float
) -> tuple[bool, bool]:
    """Does a macro over several columns (rows) cover a cell of its first or last one only in part? Its last column then takes no
    horizontal tracks, its last row no vertical ones."""
    part_h, part_v = False, False
    for row in range(r0, r1 + 1):
        for column in range(c0, c1 + 1):
            dx, dy = _overlap(box, column, row, wide, high)
            if r0 != r1 and row in (r0, r1) and abs(dy - high) > ALMOST:
                part_v = True
            if c0 != c1 and column in (c0, c1) and abs(dx - wide) > ALMOST:
                part_h = True
    return part_h, part_v


@njit(cache=True)
def _overlap(
    box: tuple[float, float, float, float], column: int, row: int, wide: float, high: float
) -> tuple[float, float]:
    """Width and height of the box inside a grid cell; nothing where either is nothing."""
    dx = min(box[2], (column + 1) * wide) - max(box[0], column * wide)
    dy = min(box[3], (row + 1) * high) - max(box[1], row * high)
    if dx > 0 and dy > 0:
        return dx, dy
    return 0.0, 0.0


@njit(cache=True)
def congestion(s: State, smooth: int, routes_h: float, routes_v: float) -> np.ndarray:
    """Demand over supply, smoothed across the wires' direction, plus what macros take: (2, G), horizontal and vertical."""
    columns, rows, wide, high, _, _ = s.grid
    supply_h, supply_v = high * routes_h, wide * routes_v
    full = np.empty((2, columns * rows))
    for spot in range(columns * rows):
        full[0, spot] = s.macro_h[spot] / supply_h
        full[1, spot] = s.macro_v[spot] / supply_v
    for row in range(rows):
        low, up = max(row - smooth, 0), min(row + smooth, rows - 1)
        for column in range(columns):
            left, right = max(column - smooth, 0), min(column + smooth, columns - 1)
            share_v = s.route_v[row * columns + column] / supply_v / (right - left + 1)
            for near in range(left, right + 1):
                full[1, row * columns + near] += share_v
            share_h = s.route_h[row * columns + column] / supply_h / (up - low + 1)
            for near in range(low, up + 1):
                full[0, near * columns + column] += share_h
    return full


@njit(cache=True)
def fullest(s: State, smooth: int, routes_h: float, routes_v: float) -> tuple[float, float]:
    """(density, congestion): half the mean of the fullest tenth of the grid cells; the mean of the fullest twentieth of all edges."""
    size = len(s.occupied)
    full, edges = np.empty(size), np.empty(2 * size)
    both = congestion(s, smooth, routes_h, routes_v)
    filled = 0
    for spot in range(size):
        full[spot] = s.occupied[spot] / (s.grid[2] * s.grid[3])
        filled += full[spot] > 1e-12
        edges[spot], edges[size + spot] = both[0, spot], both[1, spot]
    counted = size // 10 if size >= 10 else max(filled, 1)
    return 0.5 * _mean_of_top(full, counted), _mean_of_top(edges, max(2 * size // 20, 1))


@njit(cache=True)
def _mean_of_top(values: np.ndarray, count: int) -> float:
    """The mean of the `count` largest, found by Hoare's selection in `values` itself (numpy's takes numba six seconds to compile)."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if count - 1 <= j:
            high = j
        elif count - 1 >= i:
            low = i
        else:
            break
    total = 0.0
    for i in range(count):
        total += values[i]
    return total / count
