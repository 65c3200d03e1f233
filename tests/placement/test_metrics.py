from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design, placement

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Kind, Placement
from kerf.placement.hpwl import hpwl, net_lengths
from kerf.placement.legality import check, overlaps
from kerf.placement.score import score

seeds = st.integers(0, 10_000)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_hpwl_is_the_sum_of_the_boxes(seed: int) -> None:
    """Against the definition, one pin at a time, turned as complex numbers, then flipped."""
    d = design(seed)
    total = 0.0
    turn = {"N": 1, "W": 1j, "S": -1, "E": -1j}
    for net in range(d.nets):
        spots = []
        for pin in range(d.net_start[net], d.net_start[net + 1]):
            cell = d.pin_cell[pin]
            name = orient.NAMES[d.initial.orient[cell]]
            at = complex(d.pin_x[pin], d.pin_y[pin]) * turn[name[-1]]
            at = complex(-at.real, at.imag) if name[0] == "F" else at
            spots.append(complex(d.initial.x[cell], d.initial.y[cell]) + at)
        if spots:
            xs, ys = [s.real for s in spots], [s.imag for s in spots]
            total += d.net_weight[net] * (max(xs) - min(xs) + max(ys) - min(ys))
    assert hpwl(d, d.initial) == pytest.approx(total, rel=1e-12)


def test_turning_a_whole_chip_changes_no_length() -> None:
    d = design(7)
    quarter = np.array([1, 2, 3, 0, 7, 4, 5, 6])
    turned = Placement(-d.initial.y, d.initial.x, quarter[d.initial.orient])
    np.testing.assert_allclose(net_lengths(d, turned), net_lengths(d, d.initial), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_overlaps_are_those_that_every_pair_shows(seed: int) -> None:
    d = design(seed, cells=16)
    left, bottom, right, top = d.boxes(d.initial)
    hard = [i for i in range(16) if d.kind[i] in (Kind.CELL, Kind.MACRO)]
    wanted, area = set(), 0.0
    for n, i in enumerate(hard):
        for j in hard[n + 1 :]:
            wide = min(right[i], right[j]) - max(left[i], left[j])
            high = min(top[i], top[j]) - max(bottom[i], bottom[j])
            if wide > 0 and high > 0:
                wanted.add((i, j))
                area += wide * high
    found = overlaps(d, d.initial)
    assert {tuple(sorted(p)) for p in found.pairs.tolist()} == wanted
    assert found.count == len(wanted) and found.area == pytest.approx(area) and found.complete


def four(x: list[float], y: list[float], **changed: object) -> tuple:
    """Four 2 x 10 cells at lower left corners, in rows of height 10 with 40 sites of 1."""
    size = {"width": np.full(4, 2.0), "height": np.full(4, 10.0), "kind": np.zeros(4, np.int8), "grid": None}
    d = design(1, cells=4, nets=0, fixed=np.zeros(4, bool), **(size | changed))
    return d, Placement(np.array(x) + d.width / 2, np.array(y) + d.height / 2, np.zeros(4, np.int64))


def test_a_legal_placement_is_legal() -> None:
    d, p = four([0, 2, 38, 7], [0, 0, 30, 20])
    assert check(d, p).legal and score(d, p)["legal"] is True


@pytest.mark.parametrize(
    "x,y,rule",
    [
        ([0, 1, 9, 20], [0, 0, 0, 0], "overlap"),
        ([0, 39, 9, 20], [0, 0, 0, 0], "die"),
        ([0, 5, 9, 20], [0, 3, 0, 0], "rows"),
        ([0, 5.5, 9, 20], [0, 0, 0, 0], "sites"),
        ([0, np.nan, 9, 20], [0, 0, 0, 0], "position"),
    ],
)
def test_what_breaks_a_rule_is_named(x: list[float], y: list[float], rule: str) -> None:
    d, p = four(x, y)
    result = score(d, p)
    assert not result["legal"]
    assert any(
        rule in v["rule"] and v["count"] == 1 and "c1" in str(v["examples"]) for v in result["violations"]
    )


def test_a_tall_cell_needs_rows_under_all_of_it() -> None:
    tall = np.array([2.0, 2, 2, 2])
    d, p = four([0, 4, 8, 12], [0, 0, 20, 30], width=tall, height=np.array([10.0, 20, 20, 20]))
    assert check(d, p).off_row.tolist() == [3], "the last one sticks out above the top row"


def test_a_heap_of_cells_is_counted_in_bounded_time() -> None:
    n = 30_000
    kind = np.zeros(n, np.int8)
    d = design(1, cells=n, nets=0, kind=kind, fixed=np.zeros(n, bool))
    heap = Placement(np.full(n, 20.0), np.full(n, 20.0), np.zeros(n, np.int64))
    found = overlaps(d, heap)
    assert not found.complete and len(found.pairs) == 1000


def test_an_unplaced_pin_is_refused_by_name() -> None:
    d = design(3)
    p = placement(3, 12)
    p.x[d.pin_cell[0]] = np.nan
    with pytest.raises(KerfError, match="no position"):
        score(d, p)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(KerfError, match="pin_cell must lie in 0"):
        d = design(2)
        design(2, pin_cell=np.full(d.pins, 12))
    with pytest.raises(KerfError, match="width must be finite"):
        design(2, width=np.full(12, np.nan))
    with pytest.raises(KerfError, match="die"):
        design(2, die=(0.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize("cells,nets", [(0, 0), (1, 0), (1, 3), (5, 0)])
def test_designs_with_next_to_nothing_are_scored(cells: int, nets: int) -> None:
    empty = (
        {"pin_cell": np.empty(0, np.int64), "pin_x": np.empty(0), "pin_y": np.empty(0)} if cells == 0 else {}
    )
    d = design(8, cells=cells, nets=nets, **empty)
    result = score(d, d.initial)
    assert result["hpwl"] >= 0 and np.isfinite(result["proxy"]["cost"])


def test_cells_larger_than_the_die_and_a_die_too_full_are_said_so() -> None:
    d, p = four([0, 2, 4, 6], [0, 0, 0, 0], width=np.full(4, 50.0), height=np.full(4, 10.0))
    result = score(d, p)
    assert result["out_of_die"] == 4 and result["overlaps"] == 6 and not result["legal"]
