"""Exact changes of the proxy cost, compiled by numba: what one moved cell takes out of the sums and puts back.

Only nets whose set of grid cells changes are routed again; of a star (a net over more than three grid cells) only the arm to the cell that
moved. The definitions are those of `proxy_kernels`.
"""

from __future__ import annotations

import numpy as np

from kerf.placement.design import Kind
from kerf.placement.orient import MATRICES, TURNED
from kerf.placement.proxy_search.board import Board, Wires, inlined, lean
from kerf.placement.slots import slot

MACRO, SOFT = int(Kind.MACRO), int(Kind.SOFT)
ALMOST = 1e-5
TALL = 1 << 24


@lean
def fill(b: Board) -> None:
    """Every sum from nothing."""
    _clear(b.full)
    _clear(b.raw)
    _clear(b.block)
    for cell in range(len(b.x)):
        cover(b, cell, 1.0)
        put_all(b, cell)
    b.sums[0], b.stamp[1] = 0.0, 1
    for net in range(len(b.length)):
        route(b, net, b.net_start[net], b.net_start[net + 1], 1.0)
        b.length[net] = span(b, b.net_start[net], b.net_start[net + 1])
        b.sums[0] += b.weight[net] * b.length[net]


@lean
def _clear(values: np.ndarray) -> None:
    for k in range(len(values)):
        values[k] = 0.0


@lean
def move(b: Board, cell: int, x: float, y: float, turn: int) -> None:
    """Take the cell elsewhere, with every sum."""
    cover(b, cell, -1.0)
    b.x[cell], b.y[cell], b.turn[cell] = x, y, turn
    cover(b, cell, 1.0)
    home = spot_of(b, x, y)
    i, last = b.cell_start[cell], b.cell_start[cell + 1]
    while i < last:
        net = b.links[i, 1]
        end = i + 1
        while end < last and b.links[end, 1] == net:
            end += 1
        if end == i + 1:
            _carry(b, i, x, y, turn, home)
        else:
            first, stop = b.links[i, 2], b.links[i, 3]
            route(b, net, first, stop, -1.0)
            for k in range(i, end):
                put(b, b.links[k, 0], x, y, turn, home)
            route(b, net, first, stop, 1.0)
            _remeasure(b, net, span(b, first, stop))
        i = end


@inlined
def put_all(b: Board, cell: int) -> None:
    """The cell's pins where the cell is."""
    home = spot_of(b, b.x[cell], b.y[cell])
    for i in range(b.cell_start[cell], b.cell_start[cell + 1]):
        put(b, b.links[i, 0], b.x[cell], b.y[cell], b.turn[cell], home)


@inlined
def spot_of(b: Board, x: float, y: float) -> int:
    """The grid cell of a point."""
    return slot(y / b.size[1], b.shape[1]) * b.shape[0] + slot(x / b.size[0], b.shape[0])


@inlined
def put(b: Board, pin: int, x: float, y: float, turn: int, home: int) -> None:
    """A pin of a cell centred at (x, y), which is in grid cell `home`."""
    dx, dy = b.offset[pin, 0], b.offset[pin, 1]
    if dx == 0.0 and dy == 0.0:
        b.at[pin, 0], b.at[pin, 1], b.spot[pin] = x, y, home
        return
    px = x + MATRICES[turn, 0, 0] * dx + MATRICES[turn, 0, 1] * dy
    py = y + MATRICES[turn, 1, 0] * dx + MATRICES[turn, 1, 1] * dy
    b.at[pin, 0], b.at[pin, 1], b.spot[pin] = px, py, spot_of(b, px, py)


@inlined
def _remeasure(b: Board, net: int, length: float) -> None:
    b.sums[0] += b.weight[net] * (length - b.length[net])
    b.length[net] = length


@inlined
def span(b: Board, first: int, last: int) -> float:
    """The half-perimeter of the box around pins first .. last - 1, at least one."""
    left = right = b.at[first, 0]
    bottom = top = b.at[first, 1]
    for pin in range(first + 1, last):
        left, right = min(left, b.at[pin, 0]), max(right, b.at[pin, 0])
        bottom, top = min(bottom, b.at[pin, 1]), max(top, b.at[pin, 1])
    return (right - left) + (top - bottom)


@inlined
def _carry(b: Board, link: int, x: float, y: float, turn: int, home: int) -> None:
    """Move the one pin that a net has on a cell: its route where its grid cells change, and its length."""
    pin, net, first, last = b.links[link, 0], b.links[link, 1], b.links[link, 2], b.links[link, 3]
    before = b.spot[pin]
    put(b, pin, x, y, turn, home)
    after = b.spot[pin]
    _remeasure(b, net, span(b, first, last))
    if before == after:
        return
    b.stamp[1] = 1
    tracks = b.tracks[net]
    if last == first + 2:
        fixed = b.spot[2 * first + 1 - pin]
        if pin == first:
            two(b.wires, before, fixed, -tracks)
            two(b.wires, after, fixed, tracks)
        else:
            two(b.wires, fixed, before, -tracks)
            two(b.wires, fixed, after, tracks)
        return
    b.stamp[0] += 1
    stamp = b.stamp[0]
    count = 0
    for other in range(first, last):
        spot = b.spot[other]
        if other != pin and b.seen[spot] != stamp:
            b.seen[spot] = stamp
            b.wires.places[count] = spot
            count += 1
    _swap(b, b.spot[first], pin == first, before, after, count, tracks)


@inlined
def _swap(b: Board, home: int, source: bool, before: int, after: int, count: int, weight: float) -> None:
    """Replace the route of a net from `home` of which one pin, its source or another, went from one grid cell to another; `places` has the `count` cells of its other pins."""
    stamp = b.stamp[0]
    keeps, joins = b.seen[before] == stamp, b.seen[after] == stamp
    if source:
        _star(b.wires, before, count, 0 if keeps else 1, -weight)
        _star(b.wires, after, count, 0 if joins else 1, weight)
        return
    if count + (not keeps) > 3 and count + (not joins) > 3:
        if not keeps:
            two(b.wires, home, before, -weight)
        if not joins:
            two(b.wires, home, after, weight)
        return
    if not keeps:
        b.wires.places[count] = before
    _star(b.wires, home, count + (not keeps), 0, -weight)
    if not joins:
        b.wires.places[count] = after
    _star(b.wires, home, count + (not joins), 0, weight)


@lean
def _star(b: Wires, home: int, count: int, extra: int, weight: float) -> None:
    """Route between `home` and the `count` distinct grid cells in `places`; `extra` is 1 where `home` is not among them."""
    distinct = count + extra
    if distinct == 2:
        two(b, home, b.places[0] if b.places[0] != home else b.places[1], weight)
    elif distinct == 3:
        if extra:
            three(b, home, b.places[0], b.places[1], weight)
        else:
            three(b, b.places[0], b.places[1], b.places[2], weight)
    elif distinct > 3:
        for k in range(count):
            if b.places[k] != home:
                two(b, home, b.places[k], weight)


@lean
def route(b: Board, net: int, first: int, last: int, sign: float) -> None:
    """Add (sign 1) or take out (-1) the route of a net that has pins first .. last - 1."""
    b.stamp[0] += 1
    b.stamp[1] = 1
    stamp, count = b.stamp[0], 0
    for pin in range(first, last):
        spot = b.spot[pin]
        if b.seen[spot] != stamp:
            b.seen[spot] = stamp
            b.wires.places[count] = spot
            count += 1
    if count > 1:
        _star(b.wires, b.spot[first], count, 0, sign * b.tracks[net])


@inlined
def two(b: Wires, source: int, sink: int, weight: float) -> None:
    """Along the source's row, then along the sink's column."""
    row, column = b.row[source], b.column[sink]
    across(b, row, b.column[source], column, weight)
    along(b, column, row, b.row[sink], weight)


@lean
def three(b: Wires, p: int, q: int, r: int, weight: float) -> None:
    """Three cells from left to right (lower first in a column): a staircase, a corner, a shelf, or a T along the middle row."""
    p, q, r = _ordered(_turned(b, p), _turned(b, q), _turned(b, r))
    x1, y1, x2, y2, x3, y3 = p // TALL, p % TALL, q // TALL, q % TALL, r // TALL, r % TALL
    if x1 < x2 < x3 and min(y1, y3) < y2 < max(y1, y3):
        across(b, y1, x1, x2, weight)
        across(b, y2, x2, x3, weight)
        along(b, x2, y1, y2, weight)
        along(b, x3, y2, y3, weight)
    elif x2 == x3 and x1 < x2 and y1 < min(y2, y3):
        across(b, y1, x1, x2, weight)
        along(b, x2, y1, max(y2, y3), weight)
    elif y2 == y3:
        across(b, y1, x1, x2, weight)
        across(b, y2, x2, x3, weight)
        along(b, x2, y1, y2, weight)
    else:
        low, mid, top = _ordered(y1 * TALL + x1, y2 * TALL + x2, y3 * TALL + x3)
        row = mid // TALL
        across(b, row, x1, x3, weight)
        along(b, low % TALL, low // TALL, row, weight)
        along(b, top % TALL, row, top // TALL, weight)


@inlined
def _turned(b: Wires, spot: int) -> int:
    return b.column[spot] * TALL + b.row[spot]


@inlined
def _ordered(a: int, b: int, c: int) -> tuple[int, int, int]:
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    return a, b, c


@inlined
def across(b: Wires, row: int, one: int, other: int, weight: float) -> None:
    start, share = row * b.shape[1], weight * b.size[0]
    for k in range(start + min(one, other), start + max(one, other)):
        b.raw[k] += share


@inlined
def along(b: Wires, column: int, one: int, other: int, weight: float) -> None:
    start, share = b.shape[0] + column * b.shape[2], weight * b.size[1]
    for k in range(start + min(one, other), start + max(one, other)):
        b.raw[k] += share


@lean
def cover(b: Board, cell: int, sign: float) -> None:
    """What a macro adds to the grid cells under it: area, and if hard the tracks it takes (see `proxy_kernels`)."""
    if b.kind[cell] != MACRO and b.kind[cell] != SOFT:
        return
    columns, rows = b.shape[0], b.shape[1]
    wide, high, take_h, take_v = b.size[0], b.size[1], b.size[2], b.size[3]
    turned = TURNED[b.turn[cell]]
    w, h = (b.height[cell], b.width[cell]) if turned else (b.width[cell], b.height[cell])
    left, bottom, right, top = b.x[cell] - w / 2, b.y[cell] - h / 2, b.x[cell] + w / 2, b.y[cell] + h / 2
    c0, c1 = slot(left / wide, columns), slot(right / wide, columns)
    r0, r1 = slot(bottom / high, rows), slot(top / high, rows)
    for row in range(r0, r1 + 1):
        dy = _shared(bottom, top, row, high)
        for column in range(c0, c1 + 1):
            b.full[row * columns + column] += sign * dy * _shared(left, right, column, wide) / (wide * high)
    if b.kind[cell] != MACRO:
        return
    b.stamp[1] = 1
    # as in the definition, a first or last row not covered over its whole height costs the last row its vertical tracks; an edge that only
    # touches a grid cell counts as such in both directions
    bare = min(_shared(left, right, c0, wide), _shared(left, right, c1, wide)) <= 0
    bare |= min(_shared(bottom, top, r0, high), _shared(bottom, top, r1, high)) <= 0
    part_v = r0 != r1 and (bare or _ends(bottom, top, r0, r1, high))
    part_h = c0 != c1 and (bare or _ends(left, right, c0, c1, wide))
    size = len(b.full)
    for row in range(r0, r1 + 1):
        dy = _shared(bottom, top, row, high)
        for column in range(c0, c1 + 1):
            dx = _shared(left, right, column, wide)
            if dx > 0 and dy > 0:
                if not (part_v and row == r1):
                    b.block[size + column * rows + row] += sign * dx * take_v
                if not (part_h and column == c1):
                    b.block[row * columns + column] += sign * dy * take_h


@inlined
def _shared(low: float, high: float, at: int, pitch: float) -> float:
    return max(min(high, (at + 1) * pitch) - max(low, at * pitch), 0.0)


@inlined
def _ends(low: float, high: float, first: int, last: int, pitch: float) -> bool:
    return (
        abs(_shared(low, high, first, pitch) - pitch) > ALMOST
        or abs(_shared(low, high, last, pitch) - pitch) > ALMOST
    )
