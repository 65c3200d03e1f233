"""Exact changes of the proxy cost, compiled by numba: what one moved cell takes out of the sums and puts back.

Only nets whose set of grid cells changes are routed again; of a star (a net over more than three grid cells) only the arm to the cell that
moved. The definitions are those of `proxy_kernels`.
"""

from __future__ import annotations

import numpy as np

from kerf.placement.design import Kind
from kerf.placement.orient import MATRICES, TURNED
from kerf.placement.proxy_search.board import Board, lean
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
        turn = MATRICES[b.turn[cell]]
        for i in range(b.cell_start[cell], b.cell_start[cell + 1]):
            put(b, b.cell_pins[i], b.x[cell], b.y[cell], turn)
    b.sums[0] = 0.0
    for net in range(len(b.length)):
        route(b, net, 1.0)
        b.length[net] = span(b, net)
        b.sums[0] += b.net_weight[net] * b.length[net]


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
    matrix = MATRICES[turn]
    i, last = b.cell_start[cell], b.cell_start[cell + 1]
    while i < last:
        net = b.pin_net[b.cell_pins[i]]
        end = i + 1
        while end < last and b.pin_net[b.cell_pins[end]] == net:
            end += 1
        if end == i + 1:
            _carry(b, net, b.cell_pins[i], x, y, matrix)
        else:
            route(b, net, -1.0)
            for k in range(i, end):
                put(b, b.cell_pins[k], x, y, matrix)
            route(b, net, 1.0)
            _remeasure(b, net, span(b, net))
        i = end


@lean
def put(b: Board, pin: int, x: float, y: float, turn: np.ndarray) -> None:
    dx, dy = b.pin_x[pin], b.pin_y[pin]
    b.px[pin] = x + turn[0, 0] * dx + turn[0, 1] * dy
    b.py[pin] = y + turn[1, 0] * dx + turn[1, 1] * dy
    columns = b.shape[0]
    b.spot[pin] = slot(b.py[pin] / b.size[1], b.shape[1]) * columns + slot(b.px[pin] / b.size[0], columns)


@lean
def _remeasure(b: Board, net: int, length: float) -> None:
    b.sums[0] += b.net_weight[net] * (length - b.length[net])
    b.length[net] = length


@lean
def span(b: Board, net: int) -> float:
    """The net's half-perimeter."""
    first, last = b.net_start[net], b.net_start[net + 1]
    if last == first:
        return 0.0
    left = right = b.px[first]
    bottom = top = b.py[first]
    for pin in range(first + 1, last):
        left, right = min(left, b.px[pin]), max(right, b.px[pin])
        bottom, top = min(bottom, b.py[pin]), max(top, b.py[pin])
    return (right - left) + (top - bottom)


@lean
def _carry(b: Board, net: int, pin: int, x: float, y: float, turn: np.ndarray) -> None:
    """Move one pin of a net: its route where its grid cells change, and its length."""
    first, last = b.net_start[net], b.net_start[net + 1]
    before = b.spot[pin]
    put(b, pin, x, y, turn)
    after = b.spot[pin]
    left = right = b.px[pin]
    bottom = top = b.py[pin]
    if before == after:
        for other in range(first, last):
            left, right = min(left, b.px[other]), max(right, b.px[other])
            bottom, top = min(bottom, b.py[other]), max(top, b.py[other])
        _remeasure(b, net, (right - left) + (top - bottom))
        return
    b.stamp[0] += 1
    stamp = b.stamp[0]
    count = 0
    for other in range(first, last):
        left, right = min(left, b.px[other]), max(right, b.px[other])
        bottom, top = min(bottom, b.py[other]), max(top, b.py[other])
        spot = b.spot[other]
        if other != pin and b.seen[spot] != stamp:
            b.seen[spot] = stamp
            b.places[0, count] = spot
            count += 1
    _remeasure(b, net, (right - left) + (top - bottom))
    weight = max(b.net_weight[net], 1.0)
    _swap(b, net, pin == first, before, after, count, weight)


@lean
def _swap(b: Board, net: int, source: bool, before: int, after: int, count: int, weight: float) -> None:
    """Replace the route of a net whose pin went from one grid cell to another; `places` has the `count` cells of its other pins."""
    stamp = b.stamp[0]
    keeps, joins = b.seen[before] == stamp, b.seen[after] == stamp
    if source:
        _star(b, before, count, 0 if keeps else 1, -weight)
        _star(b, after, count, 0 if joins else 1, weight)
        return
    home = b.spot[b.net_start[net]]
    if count + (not keeps) > 3 and count + (not joins) > 3:
        if not keeps:
            two(b, home, before, -weight)
        if not joins:
            two(b, home, after, weight)
        return
    if not keeps:
        b.places[0, count] = before
    _star(b, home, count + (not keeps), 0, -weight)
    if not joins:
        b.places[0, count] = after
    _star(b, home, count + (not joins), 0, weight)


@lean
def _star(b: Board, home: int, count: int, extra: int, weight: float) -> None:
    """Route between `home` and the `count` distinct grid cells in `places`; `extra` is 1 where `home` is not among them."""
    distinct = count + extra
    if distinct == 2:
        two(b, home, b.places[0, 0] if b.places[0, 0] != home else b.places[0, 1], weight)
    elif distinct == 3:
        if extra:
            three(b, home, b.places[0, 0], b.places[0, 1], weight)
        else:
            three(b, b.places[0, 0], b.places[0, 1], b.places[0, 2], weight)
    elif distinct > 3:
        for k in range(count):
            if b.places[0, k] != home:
                two(b, home, b.places[0, k], weight)


@lean
def route(b: Board, net: int, sign: float) -> None:
    """Add (sign 1) or take out (-1) a net's route."""
    first, last = b.net_start[net], b.net_start[net + 1]
    b.stamp[0] += 1
    stamp, count = b.stamp[0], 0
    for pin in range(first, last):
        spot = b.spot[pin]
        if b.seen[spot] != stamp:
            b.seen[spot] = stamp
            b.places[0, count] = spot
            count += 1
    if count > 1:
        _star(b, b.spot[first], count, 0, sign * max(b.net_weight[net], 1.0))


@lean
def two(b: Board, source: int, sink: int, weight: float) -> None:
    """Along the source's row, then along the sink's column."""
    columns = b.shape[0]
    row, column = source // columns, sink % columns
    across(b, row, source % columns, column, weight)
    along(b, column, row, sink // columns, weight)


@lean
def three(b: Board, p: int, q: int, r: int, weight: float) -> None:
    """Three cells from left to right (lower first in a column): a staircase, a corner, a shelf, or a T along the middle row."""
    columns = b.shape[0]
    p, q, r = _ordered(_turned(p, columns), _turned(q, columns), _turned(r, columns))
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
        low, mid, top = _ordered(y1 * columns + x1, y2 * columns + x2, y3 * columns + x3)
        row = mid // columns
        across(b, row, x1, x3, weight)
        along(b, low % columns, low // columns, row, weight)
        along(b, top % columns, row, top // columns, weight)


@lean
def _turned(spot: int, columns: int) -> int:
    return (spot % columns) * TALL + spot // columns


@lean
def _ordered(a: int, b: int, c: int) -> tuple[int, int, int]:
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    return a, b, c


@lean
def across(b: Board, row: int, one: int, other: int, weight: float) -> None:
    start, share = row * b.shape[0], weight / b.size[4]
    for k in range(start + min(one, other), start + max(one, other)):
        b.raw[k] += share


@lean
def along(b: Board, column: int, one: int, other: int, weight: float) -> None:
    start, share = len(b.full) + column * b.shape[1], weight / b.size[5]
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


@lean
def _shared(low: float, high: float, at: int, pitch: float) -> float:
    return max(min(high, (at + 1) * pitch) - max(low, at * pitch), 0.0)


@lean
def _ends(low: float, high: float, first: int, last: int, pitch: float) -> bool:
    return (
        abs(_shared(low, high, first, pitch) - pitch) > ALMOST
        or abs(_shared(low, high, last, pitch) - pitch) > ALMOST
    )
