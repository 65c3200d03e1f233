"""Legalization is legal wherever it returns, by the independent check and by the rules; and says what does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import design as made

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.legality import check
from kerf.placement.legalize import legalize_cells, legalize_macros
from kerf.placement.legalize.cells import OVER
from kerf.placement.rules import Rules

seeds = st.integers(0, 100_000)
quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def chip(seed: int, cells: int, full: float, macros: int = 0, **changed: Any) -> Design:
    """Rows of one height, cells one to nine sites wide of which some are two and three rows high, macros of any size;
    movable area about `full` of the die. Some cells are fixed on a row, and stand clear of each other."""
    rng = np.random.default_rng(seed)
    high = np.where(rng.random(cells) < 0.1, rng.integers(2, 4, cells), 1) * 10.0
    wide = rng.integers(1, 10, cells).astype(float)
    kind = np.zeros(cells + macros, np.int8)
    kind[cells:] = Kind.MACRO
    width = np.concatenate([wide, rng.integers(4, 40, macros) * 1.5])
    height = np.concatenate([high, rng.integers(4, 40, macros) * 1.5])
    side = 10.0 * max(np.ceil(np.sqrt(max((width * height).sum(), 1.0) / full) / 10), 6)
    n = cells + macros
    rows = [[0, 10.0 * i, 10, 1, 1, int(side), orient.FS * (i % 2)] for i in range(int(side / 10))]
    values: dict[str, Any] = {
        "width": width,
        "height": height,
        "kind": kind,
        "fixed": np.zeros(n, np.bool_),
        "die": (0.0, 0.0, side, side),
        "rows": Rows.of(rows),
        "initial": Placement(
            rng.uniform(-5, side + 5, n), rng.uniform(-5, side + 5, n), np.zeros(n, np.int64)
        ),
        "tolerance": 1e-6,
        "format": "lefdef",
    }
    return made(seed, cells=n, nets=8 if n else 0, **(values | changed))


def obeys(design: Design, before: Placement, after: Placement, rules: Rules, kinds: tuple[Kind, ...]) -> None:
    """The parts of the rules that the legality check does not know, for what legalization may move."""
    moved = np.isin(design.kind, kinds) & ~rules.fixed
    for name in ("x", "y", "orient"):
        np.testing.assert_array_equal(getattr(after, name)[~moved], getattr(before, name)[~moved])
    left, bottom, right, top = design.boxes(after)
    box, slack = rules.box[moved], 1e-6
    assert (left[moved] >= box[:, 0] - slack).all() and (bottom[moved] >= box[:, 1] - slack).all()
    assert (right[moved] <= box[:, 2] + slack).all() and (top[moved] <= box[:, 3] + slack).all()
    assert rules.orients[np.flatnonzero(moved), after.orient[moved]].all()
    for k in rules.keepouts:
        wide = np.minimum(right[moved], k[2]) - np.maximum(left[moved], k[0])
        high = np.minimum(top[moved], k[3]) - np.maximum(bottom[moved], k[1])
        assert not (np.minimum(wide, high) > slack).any()
    hard = (design.kind == Kind.CELL) | (design.kind == Kind.MACRO)
    for i in np.flatnonzero(rules.halo > 0):
        clear = np.maximum(
            np.maximum(left - right[i], left[i] - right), np.maximum(bottom - top[i], bottom[i] - top)
        )
        near = hard & (clear < rules.halo[i] - slack) & (np.arange(design.cells) != i)
        assert not (near & (moved | moved[i])).any()


@quick
@given(seeds, st.integers(0, 60), st.floats(0.3, 0.9))
def test_cells_are_legal(seed: int, cells: int, full: float) -> None:
    d = chip(seed, cells, full)
    rules = Rules.of(d)
    placed = legalize_cells(d, d.initial, rules)
    assert check(d, placed).legal
    obeys(d, d.initial, placed, rules, (Kind.CELL,))
    again = legalize_cells(d, d.initial, rules)
    np.testing.assert_array_equal(again.x, placed.x)
    np.testing.assert_array_equal(again.y, placed.y)


@quick
@given(seeds, st.integers(1, 40))
def test_cells_obey_boxes_and_keepouts(seed: int, cells: int) -> None:
    d = chip(seed, cells, 0.15)
    rng = np.random.default_rng(seed)
    side = d.die[2]
    box = np.tile(d.die, (d.cells, 1))
    box[: d.cells // 3] = (0.0, 0.0, side * 0.7, side * 0.75)
    keepouts = np.concatenate([rng.uniform(0, side * 0.9, (2, 2))] * 2, axis=1) + np.array([0, 0, 7.3, 12.1])
    rules = replace(Rules.of(d), box=box, keepouts=keepouts)
    placed = legalize_cells(d, d.initial, rules)
    assert check(d, placed).legal
    obeys(d, d.initial, placed, rules, (Kind.CELL,))


@quick
@given(seeds, st.integers(1, 14), st.floats(0.2, 0.6), st.floats(0.0, 3.0))
def test_macros_then_cells_are_legal(seed: int, macros: int, full: float, halo: float) -> None:
    d = chip(seed, 20, full, macros)
    fixed = np.zeros(d.cells, np.bool_)
    base = Rules.of(d)
    rules = replace(base, halo=np.where(d.kind == Kind.MACRO, halo, 0.0), fixed=fixed)
    try:
        apart = legalize_macros(d, d.initial, rules)
    except KerfError as refusal:
        assert "macros cover" in str(refusal) or "must stay within" in str(refusal)
        return
    obeys(d, d.initial, apart, replace(rules, halo=np.zeros(d.cells)), (Kind.MACRO,))
    hidden = replace(d, kind=np.where(d.kind == Kind.CELL, Kind.PORT, d.kind).astype(np.int8))
    assert check(hidden, apart).legal
    try:
        placed = legalize_cells(d, apart, rules)
    except KerfError as refusal:
        assert "no place" in str(refusal) or "no free place" in str(refusal)
        return
    assert check(d, placed).legal
    obeys(d, apart, placed, rules, (Kind.CELL,))


@quick
@given(seeds, st.integers(1, 20))
def test_macros_avoid_fixed_objects(seed: int, macros: int) -> None:
    d = chip(seed, 6, 0.12, macros)
    rules = Rules.of(d)
    rules = rules.freeze(np.arange(d.cells) < 6)
    middle = d.die[2] / 2
    rules = replace(rules, keepouts=np.array([[middle, middle, middle + 4, middle + 4]]))
    try:
        placed = legalize_macros(d, d.initial, rules)
    except KerfError:
        return
    obeys(d, d.initial, placed, rules, (Kind.MACRO,))
    assert check(replace(d, fixed=rules.fixed), placed).overlaps.count == 0


@pytest.mark.parametrize("width", [5.0, 7.0])
def test_rows_filled_to_the_last_site(width: int) -> None:
    """Utilization 100 %: no row can be filled but by 5 + 7 + 13 + 15, or by two of a kind and two of another."""
    wide = np.tile([5.0, 7.0, 13.0, 15.0], 6)
    d = chip(
        1,
        24,
        1.0,
        width=wide,
        height=np.full(24, 10.0),
        die=(0.0, 0.0, 40.0, 60.0),
        rows=Rows.of([[0, 10 * i, 10, 1, 1, 40, 0] for i in range(6)]),
        initial=Placement(np.full(24, width), np.full(24, 30.0), np.zeros(24, np.int64)),
    )
    placed = legalize_cells(d, d.initial, Rules.of(d))
    assert check(d, placed).legal


def test_scattered_free_sites_add_up() -> None:
    """Each row has two free sites of nine: the cell of three fits once another has moved."""
    wide = np.array([4.0, 3.0, 2.0, 5.0, 3.0])
    d = chip(
        2,
        5,
        1.0,
        width=wide,
        height=np.full(5, 10.0),
        die=(0.0, 0.0, 9.0, 20.0),
        rows=Rows.of([[0, 10 * i, 10, 1, 1, 9, 0] for i in range(2)]),
        initial=Placement(np.array([2, 4, 5, 2, 8.0]), np.array([5, 5, 15, 15, 15.0]), np.zeros(5, np.int64)),
    )
    assert check(d, legalize_cells(d, d.initial, Rules.of(d))).legal


def test_too_full_is_refused_with_numbers() -> None:
    d = chip(
        3,
        40,
        0.5,
        die=(0.0, 0.0, 20.0, 20.0),
        rows=Rows.of([[0, 0, 10, 1, 1, 20, 0]]),
        height=np.full(40, 10.0),
    )
    with pytest.raises(
        KerfError, match=r"of 40 standard cells find no place \(c\d+, .* of 20 free \(\d+\.\d %\)"
    ):
        legalize_cells(d, d.initial, Rules.of(d))


def test_a_cell_wider_than_the_die_is_named() -> None:
    d = chip(4, 3, 0.5, width=np.array([1.0, 500.0, 2.0]), height=np.full(3, 10.0))
    with pytest.raises(KerfError, match="c1"):
        legalize_cells(d, d.initial, Rules.of(d))


def test_a_macro_larger_than_the_die_is_named() -> None:
    d = chip(
        5, 0, 0.5, 3, die=(0.0, 0.0, 50.0, 50.0), width=np.array([10.0, 51.0, 5.0]), height=np.full(3, 10.0)
    )
    with pytest.raises(KerfError, match="macro c1 is 51 x 10"):
        legalize_macros(d, d.initial, Rules.of(d))


def test_macros_that_cover_more_than_the_die_are_refused() -> None:
    d = chip(6, 0, 0.5, 5, die=(0.0, 0.0, 50.0, 50.0), width=np.full(5, 30.0), height=np.full(5, 30.0))
    with pytest.raises(KerfError, match=r"4500 of 2500 .* \(180.0 %\)"):
        legalize_macros(d, d.initial, Rules.of(d))


def test_macros_too_tight_for_their_wishes_are_packed() -> None:
    """Four squares in a die of four, all wishing for the middle."""
    d = chip(7, 0, 0.5, 4, die=(0.0, 0.0, 60.0, 60.0), width=np.full(4, 30.0), height=np.full(4, 30.0))
    wishes = Placement(np.full(4, 30.0), np.full(4, 31.0), np.zeros(4, np.int64))
    assert check(d, legalize_macros(d, wishes, Rules.of(d))).legal


def test_cells_without_a_place_or_nothing_to_do() -> None:
    d = chip(8, 12, 0.4)
    nowhere = Placement(np.full(12, np.nan), np.full(12, np.nan), np.zeros(12, np.int64))
    assert check(d, legalize_cells(d, nowhere, Rules.of(d))).legal
    still = replace(Rules.of(d), fixed=np.ones(12, np.bool_))
    np.testing.assert_array_equal(legalize_cells(d, d.initial, still).x, d.initial.x)
    np.testing.assert_array_equal(legalize_macros(d, d.initial, still).x, d.initial.x)


def test_cells_without_rows_stand_apart() -> None:
    d = chip(9, 30, 0.5, rows=Rows.of([]))
    assert check(d, legalize_cells(d, d.initial, Rules.of(d))).legal


def test_legal_cells_stay() -> None:
    d = chip(10, 40, 0.6)
    once = legalize_cells(d, d.initial, Rules.of(d))
    single = d.height == 10
    twice = legalize_cells(d, once, Rules.of(d))
    np.testing.assert_array_equal(twice.x[single], once.x[single])
    np.testing.assert_array_equal(twice.y[single], once.y[single])


def test_cells_stand_as_their_rows_do() -> None:
    d = chip(11, 40, 0.5)
    placed = legalize_cells(d, d.initial, Rules.of(d))
    single = d.height == 10
    odd = np.round((placed.y - 5) / 10)[single] % 2 == 1
    np.testing.assert_array_equal(placed.orient[single] == orient.FS, odd)
    double = d.height == 20
    assert (placed.orient[double] == orient.N).all()
    np.testing.assert_array_equal(orient.MATRICES[OVER], np.diag([1.0, -1.0]) @ orient.MATRICES)
