"""The proxy search: its sums are the proxy's, its placements are legal and obey the rules, and it gets somewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design

from kerf.core.types import KerfError
from kerf.placement import legality, orient
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.proxy import proxy
from kerf.placement.proxy_search import SearchOptions, optimize
from kerf.placement.proxy_search.anneal import anneal
from kerf.placement.proxy_search.board import board
from kerf.placement.proxy_search.cost import terms, top_mean
from kerf.placement.proxy_search.moves import fill, move
from kerf.placement.proxy_search.proposals import chain
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step

seeds = st.integers(0, 10_000)
QUICK = SearchOptions(tries=2000)


def clustered(seed: int, cells: int = 14, nets: int = 20, **changed: Any) -> Design:
    """A made design as Circuit Training has them: no standard cells, no rows, everything upright."""
    d = design(seed, cells, nets, **changed)
    kind = np.where(d.kind == Kind.CELL, Kind.SOFT, d.kind).astype(np.int8)
    upright = replace(d.initial, orient=np.zeros(d.cells, np.int64))
    return replace(d, kind=kind, initial=upright, tolerance=1e-4)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 3))
def test_after_many_moves_the_sums_are_the_proxys(seed: int, smooth: int) -> None:
    d = design(seed, cells=14, nets=20)
    d = replace(d, grid=replace(d.grid, smooth=smooth))
    b = board(d, d.grid, d.initial, Rules.of(d))
    fill(b)
    rng = np.random.default_rng(seed)
    for _ in range(100):
        x, y = rng.integers(-20, 180, 2) / 4
        move(b, rng.integers(d.cells), x, y, rng.integers(0, 8))
    found = terms(b, np.zeros(len(b.raw)))
    assert found == pytest.approx(tuple(vars(proxy(d, Placement(b.x, b.y, b.turn))).values()), rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 40), st.floats(0, 2))
def test_the_mean_of_the_fullest_needs_no_good_guess(seed: int, count: int, guess: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, 40) / rng.integers(1, 9)
    found, _ = top_mean(values, count, guess)
    assert found == pytest.approx(np.sort(values)[::-1][:count].mean(), abs=1e-8)


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(0, 1))
def test_refused_proposals_leave_no_trace(seed: int, smooth: int) -> None:
    d = clustered(seed)
    d = replace(d, grid=replace(d.grid, smooth=smooth))
    b = board(d, d.grid, optimize(d, d.initial, Rules.of(d), options=QUICK), Rules.of(d))
    fill(b)
    cost = anneal(b, chain(b, seed), 1e-2, 1e-2, 10.0, 3000)
    assert cost == pytest.approx(proxy(d, Placement(b.x, b.y, b.turn)).cost, rel=1e-7)


@settings(max_examples=15, deadline=None)
@given(seeds, st.booleans())
def test_the_result_is_legal_and_costs_no_more_than_a_legal_start(seed: int, lost: bool) -> None:
    d = clustered(seed)
    nowhere = np.where(d.fixed, 0.0, np.nan)
    start = replace(d.initial, x=d.initial.x + nowhere, y=d.initial.y + nowhere) if lost else d.initial
    first = optimize(d, start, Rules.of(d), options=QUICK, seed=seed)
    assert legality.check(d, first).legal
    assert (first.x[d.fixed] == d.initial.x[d.fixed]).all()
    again = optimize(d, first, Rules.of(d), options=QUICK, seed=seed + 1)
    assert legality.check(d, again).legal and proxy(d, again).cost <= proxy(d, first).cost


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_rules_hold(seed: int) -> None:
    d = clustered(seed)
    rules = Rules.of(d)
    hard = np.flatnonzero((d.kind == Kind.MACRO) & ~d.fixed)
    box = rules.box.copy()
    box[d.kind == Kind.SOFT, 2] = 20
    keepouts = np.array([[12.0, 12.0, 16.0, 20.0]])
    rules = replace(rules, box=box, keepouts=keepouts, halo=np.where(d.kind == Kind.MACRO, 1.0, 0.0))
    p = optimize(d, d.initial, rules, options=QUICK, seed=seed)
    left, bottom, right, top = d.boxes(p)
    moved = ~rules.fixed
    slack = 1e-6
    assert (left >= rules.box[:, 0] - slack)[moved].all() and (right <= rules.box[:, 2] + slack)[moved].all()
    over = (left < 16 - slack) & (right > 12 + slack) & (bottom < 20 - slack) & (top > 12 + slack)
    assert not over[moved].any()
    for i in hard:
        for j in hard[hard > i]:
            gap_x = max(left[i], left[j]) - min(right[i], right[j])
            gap_y = max(bottom[i], bottom[j]) - min(top[i], top[j])
            assert max(gap_x, gap_y) >= 1.0 - slack
    assert rules.orients[np.arange(d.cells), p.orient][moved].all()


def test_it_improves_by_far_and_says_so() -> None:
    d = clustered(3, cells=40, nets=80)
    told: list[Step] = []
    p = optimize(d, d.initial, Rules.of(d), options=SearchOptions(tries=60_000), watch=told.append)
    start = optimize(d, d.initial, Rules.of(d), options=SearchOptions(tries=1))
    assert proxy(d, p).cost < 0.8 * proxy(d, start).cost
    assert told[-1].legal and told[-1].cost == pytest.approx(proxy(d, p).cost)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_budget_of_tries_gives_the_same_placement_again(threads: int) -> None:
    d = clustered(4, cells=30, nets=50)
    runs = [optimize(d, d.initial, Rules.of(d), seed=5, threads=threads, options=QUICK) for _ in range(2)]
    assert (runs[0].x == runs[1].x).all() and (runs[0].orient == runs[1].orient).all()


def test_it_stops_at_the_deadline() -> None:
    d = clustered(4, cells=30, nets=50)
    deadline = Deadline(0.5)
    optimize(d, d.initial, Rules.of(d), deadline=deadline)
    assert deadline.left > -2


@pytest.mark.parametrize("changed", [{"nets": 0}, {"cells": 1, "nets": 0}])
def test_there_may_be_next_to_nothing(changed: dict[str, int]) -> None:
    d = clustered(6, **changed)
    assert legality.check(d, optimize(d, d.initial, Rules.of(d), options=QUICK)).legal


def test_everything_fixed_stays() -> None:
    d = clustered(7)
    p = optimize(d, d.initial, replace(Rules.of(d), fixed=np.ones(d.cells, np.bool_)), options=QUICK)
    assert (p.x == d.initial.x).all() and (p.y == d.initial.y).all()


def test_what_cannot_fit_is_named() -> None:
    d = clustered(8)
    wide = np.where(np.arange(d.cells) == 2, 50.0, d.width)
    d2 = replace(d, width=wide, kind=np.full(d.cells, Kind.MACRO, np.int8), fixed=np.zeros(d.cells, np.bool_))
    with pytest.raises(KerfError, match="c2 is 50"):
        optimize(d2, d2.initial, Rules.of(d2), options=QUICK)
    full = replace(d2, width=np.full(d.cells, 21.0), height=np.full(d.cells, 21.0))
    with pytest.raises(KerfError, match="no room for macro c"):
        optimize(full, full.initial, Rules.of(full), options=QUICK)


def test_forbidden_orientations_are_left() -> None:
    d = clustered(9)
    rules = Rules.of(d)
    flipped = replace(d.initial, orient=np.full(d.cells, orient.W))
    p = optimize(d, flipped, rules, options=QUICK)
    assert rules.orients[np.arange(d.cells), p.orient][~rules.fixed].all()


def test_without_a_grid_there_is_nothing_to_search() -> None:
    d = clustered(1, grid=None)
    with pytest.raises(KerfError, match="needs a grid"):
        optimize(d, d.initial, Rules.of(d))


def test_a_start_that_breaks_a_rule_is_no_answer() -> None:
    d = clustered(3, cells=40, nets=80)
    p = optimize(d, d.initial, Rules.of(d), options=QUICK)
    soft = np.flatnonzero(d.kind == Kind.SOFT)[0]
    rules = Rules.of(d)
    box = rules.box.copy()
    box[soft] = [0.0, 0.0, d.width[soft], d.height[soft]]
    moved = optimize(d, p, replace(rules, box=box), options=SearchOptions(tries=1))
    assert (moved.x[soft], moved.y[soft]) == (d.width[soft] / 2, d.height[soft] / 2)
    assert optimize(d, p, rules, options=SearchOptions(tries=1)).x[soft] == p.x[soft]


def test_a_fixed_cell_needs_a_place() -> None:
    d = clustered(9)
    port = int(np.flatnonzero(d.fixed)[0])
    lost = replace(d.initial, x=np.where(np.arange(d.cells) == port, np.nan, d.initial.x))
    with pytest.raises(KerfError, match=f"c{port} is fixed and has no position"):
        optimize(d, lost, Rules.of(d), options=QUICK)
