"""Detailed placement: legal in, legal out, never longer, and every gain that it counts is real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design as made_design

from kerf.placement import orient
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.detailed import improve
from kerf.placement.detailed.board import set_up
from kerf.placement.detailed.improve import _Search
from kerf.placement.detailed.nets import measure
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, unwatched

SEEDS = st.integers(0, 10_000)


def legal_design(seed: int, cells: int = 60, nets: int = 80, fixed: float = 0.1, **changed: Any) -> Design:
    """Standard cells and a few macros packed at random into eight rows with gaps, legal by construction."""
    rng = np.random.default_rng(seed)
    spots, widths, level, left = 8, rng.integers(1, 5, cells).astype(float), 0, 0.0
    x, y, height = np.zeros(cells), np.zeros(cells), np.full(cells, 2.0)
    for c in rng.permutation(cells):
        left += float(rng.integers(0, 3))
        if left + widths[c] > 40:
            level, left = level + 1, 0.0
        assert level < spots, "choose fewer cells"
        x[c], y[c] = left + widths[c] / 2, 2 * level + 1
        left += widths[c]
    kind = np.where(rng.random(cells) < 0.05, Kind.MACRO, Kind.CELL).astype(np.int8)
    codes = np.where((y // 2) % 2 == 1, orient.FS, orient.N)
    made: dict[str, Any] = {
        "width": widths,
        "height": height,
        "kind": kind,
        "fixed": rng.random(cells) < fixed,
        "die": (0.0, 0.0, 40.0, 16.0),
        "rows": Rows.of([[0, 2 * i, 2, 1, 1, 40, 6 * (i % 2)] for i in range(spots)]),
        "initial": Placement(x, y, codes),
    }
    return made_design(seed, cells=cells, nets=nets, **(made | changed))


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_legal_and_no_longer(seed: int) -> None:
    d = legal_design(seed)
    assert check(d, d.initial).legal
    found = improve(d, d.initial, Rules.of(d), seed=seed)
    assert check(d, found).legal
    assert hpwl(d, found) < hpwl(d, d.initial)
    still = d.fixed
    assert (found.x[still] == d.initial.x[still]).all() and (
        found.orient[still] == d.initial.orient[still]
    ).all()


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_counted_gains_are_the_difference(seed: int) -> None:
    d = legal_design(seed, net_weight=np.random.default_rng(seed).random(80))
    search = _Search(d, d.initial, Rules.of(d), np.random.default_rng(seed), Deadline(), unwatched)
    before = search.total
    for _ in range(3):
        search.round()
        search.anneal()
    board, after = search.board, search.placement
    assert hpwl(d, d.initial) - hpwl(d, after) == pytest.approx(before - search.total, rel=1e-9)
    kept = board.edge.copy()
    assert measure(board) == pytest.approx(search.total)
    np.testing.assert_allclose(kept, board.edge)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_rules_hold(seed: int) -> None:
    """Cells stay in their boxes, off keepouts and halos, and turn only as they may."""
    d = legal_design(seed, cells=40)
    rng = np.random.default_rng(seed)
    box = np.tile(np.array(d.die), (d.cells, 1))
    boxed = rng.random(d.cells) < 0.5
    left, bottom, right, top = d.boxes(d.initial)
    around = np.stack([left - 2, bottom - 2, right + 3, top + 2], axis=1)
    box[boxed] = around[boxed]
    free = (d.kind == Kind.CELL) & (rng.random(d.cells) < 0.5)
    codes = np.zeros((d.cells, 8), np.bool_)
    codes[np.arange(d.cells), d.initial.orient] = True
    rules = replace(Rules.of(d), box=box, keepouts=np.array([[5.0, 3.0, 9.5, 7.0], [30.0, 0.0, 33.0, 16.0]]))
    rules = replace(rules, orients=np.where(free[:, None], rules.orients, codes))
    found = improve(d, d.initial, rules, seed=seed)
    assert check(d, found).legal
    assert rules.orients[np.arange(d.cells), found.orient].all()
    moved = (found.x != d.initial.x) | (found.y != d.initial.y)
    left, bottom, right, top = (side[moved] for side in d.boxes(found))
    inside = rules.box[moved]
    assert (left >= inside[:, 0] - 1e-9).all() and (right <= inside[:, 2] + 1e-9).all()
    assert (bottom >= inside[:, 1] - 1e-9).all() and (top <= inside[:, 3] + 1e-9).all()
    for x0, y0, x1, y1 in rules.keepouts:
        assert not ((left < x1) & (right > x0) & (bottom < y1) & (top > y0)).any()


def test_rows_decide_which_way_up() -> None:
    """In rows that alternate, a cell that changes rows is mirrored as the row asks."""
    d = legal_design(3)
    found = improve(d, d.initial, Rules.of(d))
    live = (d.kind == Kind.CELL) & ~d.fixed
    odd = (found.y[live] // 2) % 2 == 1
    assert ((found.orient[live] & 2 == 2) == odd).all()
    assert (found.y[live] != d.initial.y[live]).any()


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_placement(threads: int) -> None:
    d = legal_design(5)
    one, two = (improve(d, d.initial, Rules.of(d), seed=7, threads=threads) for _ in range(2))
    assert check(d, one).legal
    assert (one.x == two.x).all() and (one.y == two.y).all() and (one.orient == two.orient).all()


def test_bands_join_to_a_whole_board() -> None:
    """After annealing in three bands the board says where its cells are, who their neighbours are and how long its nets are."""
    d = legal_design(8)
    search = _Search(d, d.initial, Rules.of(d), np.random.default_rng(8), Deadline(), unwatched, threads=3)
    before = search.total
    search.anneal()
    b = search.board
    assert hpwl(d, d.initial) - hpwl(d, search.placement) == pytest.approx(before - search.total)
    assert check(d, search.placement).legal
    for segment in range(len(b.filled)):
        there = b.seq[b.seq_start[segment] : b.seq_start[segment] + b.filled[segment]]
        assert (b.home[there] == segment).all() and (b.rank[there] == np.arange(len(there))).all()
        assert (np.diff(b.site[there]) > 0).all()
    fresh = set_up(d, search.placement, Rules.of(d))
    measure(fresh)
    np.testing.assert_allclose(fresh.edge, b.edge)


def test_macros_flip_where_they_stand() -> None:
    d = legal_design(9, fixed=0.0)
    macros = d.kind == Kind.MACRO
    found = improve(d, d.initial, Rules.of(d))
    assert macros.any() and (found.orient[macros] != d.initial.orient[macros]).any()
    assert (found.x[macros] == d.initial.x[macros]).all() and (found.y[macros] == d.initial.y[macros]).all()


def test_illegal_cells_are_left_alone() -> None:
    """Off the rows, off the sites, in a heap, without a place, taller than a row, wider than the die: they stay; the rest improves."""
    d = legal_design(11, fixed=0.0)
    x, y, height, width = d.initial.x.copy(), d.initial.y.copy(), d.height.copy(), d.width.copy()
    live = np.flatnonzero(d.kind == Kind.CELL)
    x[live[0]] += 0.25
    y[live[1]] += 0.5
    x[live[2]], y[live[2]] = x[live[3]], y[live[3]]
    x[live[4]] = np.nan
    height[live[5]] = 4.0
    width[live[6]] = 100.0
    d = replace(d, height=height, width=width, initial=Placement(x, y, d.initial.orient))
    found = improve(d, d.initial, Rules.of(d))
    left = live[[0, 1, 2, 3, 4, 5, 6]]
    np.testing.assert_array_equal(found.x[left], x[left])
    np.testing.assert_array_equal(found.y[left], y[left])
    assert check(d, found).overlaps.count <= check(d, d.initial).overlaps.count
    assert (found.x != x).sum() > 10


@pytest.mark.parametrize(
    "changed",
    [
        {"cells": 0, "nets": 0},
        {"cells": 1, "nets": 0},
        {"cells": 1, "nets": 5},
        {"cells": 5, "nets": 0},
        {"fixed": 1.0},
        {"rows": Rows.of([])},
        {"net_weight": np.zeros(80)},
    ],
)
def test_little_to_do(changed: dict[str, Any]) -> None:
    d = legal_design(2, **changed)
    found = improve(d, d.initial, Rules.of(d))
    assert check(d, found).legal == check(d, d.initial).legal
    assert hpwl(d, found) <= hpwl(d, d.initial)


def test_progress_and_deadline() -> None:
    d = legal_design(4)
    steps: list[Step] = []
    found = improve(d, d.initial, Rules.of(d), watch=steps.append)
    lengths = [s.hpwl for s in steps if s.hpwl is not None]
    assert len(lengths) == len(steps) > 0 and min(lengths) == hpwl(d, found)
    assert all(s.phase == "detailed" and s.legal and s.placement is not None for s in steps)
    late = improve(d, d.initial, Rules.of(d), deadline=Deadline(0.0))
    assert check(d, late).legal and hpwl(d, late) <= hpwl(d, d.initial)
