"""The proxy cost against its definition, written out slowly here, and against itself after moves."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design

from kerf.core.types import KerfError
from kerf.placement.design import Design, Grid, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.proxy import ProxyCost, proxy

Cell = tuple[int, int]
seeds = st.integers(0, 10_000)


def slow(d: Design, p: Placement) -> tuple[float, float, float]:
    """Wirelength, density and congestion, one grid cell and one wire at a time."""
    g = d.grid
    assert g is not None
    wide, high = g.width / g.columns, g.height / g.rows
    every = list(itertools.product(range(g.rows), range(g.columns)))
    area, used_h, used_v, wires_h, wires_v = (dict.fromkeys(every, 0.0) for _ in range(5))
    boxes = list(zip(*d.boxes(p)))
    for i, (left, bottom, right, top) in enumerate(boxes):
        if d.kind[i] not in (Kind.MACRO, Kind.SOFT):
            continue
        under = {}
        columns = range(max(math.floor(left / wide), 0), min(math.floor(right / wide), g.columns - 1) + 1)
        rows = range(max(math.floor(bottom / high), 0), min(math.floor(top / high), g.rows - 1) + 1)
        for r, c in itertools.product(rows, columns):
            dx = min(right, (c + 1) * wide) - max(left, c * wide)
            dy = min(top, (r + 1) * high) - max(bottom, r * high)
            under[r, c] = (dx, dy) if dx > 0 and dy > 0 else (0.0, 0.0)
            area[r, c] += under[r, c][0] * under[r, c][1]
        if d.kind[i] == Kind.MACRO and under:
            ends_r, ends_c = (rows[0], rows[-1]), (columns[0], columns[-1])
            cut_v = len(rows) > 1 and any(
                r in ends_r and abs(dy - high) > 1e-5 for (r, c), (dx, dy) in under.items()
            )
            cut_h = len(columns) > 1 and any(
                c in ends_c and abs(dx - wide) > 1e-5 for (r, c), (dx, dy) in under.items()
            )
            for (r, c), (dx, dy) in under.items():
                used_v[r, c] += 0.0 if cut_v and r == rows[-1] else dx * g.used_v
                used_h[r, c] += 0.0 if cut_h and c == columns[-1] else dy * g.used_h
    x, y = d.pin_positions(p)
    spots = [
        (min(max(math.floor(b / high), 0), g.rows - 1), min(max(math.floor(a / wide), 0), g.columns - 1))
        for a, b in zip(x, y)
    ]
    for net in range(d.nets):
        pins = spots[d.net_start[net] : d.net_start[net + 1]]
        for kind, cell in wires(pins):
            (wires_h if kind == "h" else wires_v)[cell] += max(d.net_weight[net], 1)
    full_h, full_v = {}, {}
    for r, c in every:
        full_h[r, c] = used_h[r, c] / (high * g.routes_h)
        full_v[r, c] = used_v[r, c] / (wide * g.routes_v)
        for n in range(g.rows):
            if abs(n - r) <= g.smooth:
                window = sum(abs(m - n) <= g.smooth for m in range(g.rows))
                full_h[r, c] += wires_h[n, c] / window / (high * g.routes_h)
        for n in range(g.columns):
            if abs(n - c) <= g.smooth:
                window = sum(abs(m - n) <= g.smooth for m in range(g.columns))
                full_v[r, c] += wires_v[r, n] / window / (wide * g.routes_v)
    fullness = sorted((a / (wide * high) for a in area.values()), reverse=True)
    edges = sorted([*full_h.values(), *full_v.values()], reverse=True)
    tenth, twentieth = len(fullness) // 10, max(len(edges) // 20, 1)
    length = hpwl(d, p) / ((g.width + g.height) * d.net_weight.sum())
    return length, 0.5 * sum(fullness[:tenth]) / tenth, sum(edges[:twentieth]) / twentieth


def wires(pins: list[Cell]) -> list[tuple[str, Cell]]:
    """The grid edges of one net's route."""
    cells = sorted(set(pins), key=lambda c: (c[1], c[0]))
    if len(cells) != 3:
        return [edge for cell in cells if cell != pins[0] for edge in ell(pins[0], cell)]
    (y1, x1), (y2, x2), (y3, x3) = cells
    if x1 < x2 < x3 and min(y1, y3) < y2 < max(y1, y3):
        return ell((y1, x1), (y2, x2)) + ell((y2, x2), (y3, x3))
    if x1 < x2 == x3 and y1 < min(y2, y3):
        return ell((y1, x1), (max(y2, y3), x2))
    if y2 == y3:
        return ell((y1, x1), (y2, x2)) + ell((y2, x2), (y3, x3))
    (low, low_x), (middle, _), (top, top_x) = sorted(cells)
    trunk = ell((middle, x1), (middle, x3))
    return trunk + ell((middle, low_x), (low, low_x)) + ell((middle, top_x), (top, top_x))


def ell(source: Cell, sink: Cell) -> list[tuple[str, Cell]]:
    (r0, c0), (r1, c1) = source, sink
    across = [("h", (r0, c)) for c in range(min(c0, c1), max(c0, c1))]
    return across + [("v", (r, c1)) for r in range(min(r0, r1), max(r0, r1))]


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 3))
def test_the_terms_are_their_definitions(seed: int, smooth: int) -> None:
    d = design(seed, cells=14, nets=20)
    d = replace(d, grid=replace(d.grid, smooth=smooth))
    found = proxy(d, d.initial)
    assert (found.wirelength, found.density, found.congestion) == pytest.approx(slow(d, d.initial), rel=1e-9)
    assert found.cost == found.wirelength + 0.5 * found.density + 0.5 * found.congestion


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_after_many_moves_the_cost_is_that_of_starting_there(seed: int) -> None:
    d = design(seed, cells=14, nets=20)
    rng = np.random.default_rng(seed)
    cost = ProxyCost(d)
    before = cost.value()
    for _ in range(200):
        cells = rng.choice(d.cells, rng.integers(1, 4), replace=False)
        x, y = rng.integers(-20, 180, (2, len(cells))) / 4
        now = cost.move(cells, x, y, rng.integers(0, 8, len(cells)))
    fresh = proxy(d, cost.placement)
    assert tuple(vars(now).values()) == pytest.approx(tuple(vars(fresh).values()), rel=1e-9, abs=1e-9)
    home = cost.move(np.arange(d.cells), d.initial.x, d.initial.y, d.initial.orient)
    assert tuple(vars(home).values()) == pytest.approx(tuple(vars(before).values()), rel=1e-9, abs=1e-9)


def test_the_maps_hold_what_the_terms_are_made_of() -> None:
    d = design(11, cells=14, nets=20)
    density, horizontal, vertical = ProxyCost(d).maps()
    assert density.shape == horizontal.shape == vertical.shape == (5, 6)
    top = np.sort(np.concatenate([horizontal.ravel(), vertical.ravel()]))[-3:]
    assert proxy(d, d.initial).congestion == pytest.approx(top.mean())
    assert proxy(d, d.initial).density == pytest.approx(0.5 * np.sort(density.ravel())[-3:].mean())


def test_a_grid_of_few_cells_averages_those_that_hold_something() -> None:
    d = design(5)
    small = replace(d, grid=Grid(2, 2, 40.0, 40.0, 2.0, 3.0, 1.0, 0.5, 0))
    density, _, _ = ProxyCost(small).maps()
    assert proxy(small, d.initial).density == pytest.approx(0.5 * density[density > 0].mean())


def test_without_a_grid_there_is_no_proxy_cost() -> None:
    with pytest.raises(KerfError, match="needs a grid"):
        ProxyCost(design(1, grid=None))


def test_a_design_without_nets_costs_no_wire() -> None:
    found = proxy(design(1, nets=0), design(1, nets=0).initial)
    assert found.wirelength == 0 and np.isfinite(found.cost)
