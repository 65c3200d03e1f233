"""Less congestion for a little wirelength: wider cells in global placement, and room beside them until the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement import maps
from kerf.placement.analytic import GlobalOptions, place_global
from kerf.placement.analytic.inflation import STEP, WIDEST, Inflation
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.detailed import improve
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from kerf.placement.legalize import legalize_cells, padded
from kerf.placement.place import place
from kerf.placement.problem import pose
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline


def congested(seed: int = 0, cells: int = 900, tangled: int = 120, die: float = 80.0) -> Design:
    """Cells with nets to those of near numbers, the first `tangled` of which share as many more among themselves; about 35 % full; ports in
    the corners, each on a few nets."""
    rng = np.random.default_rng(seed)
    count = cells + 4
    near = [((i + rng.integers(-9, 10, 4)) % cells).tolist() for i in rng.integers(0, cells, 2 * cells)]
    tangle = [rng.choice(tangled, 3, replace=False).tolist() for _ in range(tangled)]
    nets = [*near, *tangle, *([i, cells + i % 4] for i in range(tangled, cells, 20))]
    pins = np.concatenate([np.array(net) for net in nets])
    width = np.concatenate([rng.integers(1, 5, cells), [1] * 4]).astype(float)
    kind = np.array([Kind.CELL] * cells + [Kind.PORT] * 4, np.int8)
    x, y = np.full(count, np.nan), np.full(count, np.nan)
    x[cells:], y[cells:] = [0, die, 0, die], [0, 0, die, die]
    return Design(
        name="congested",
        format="arrays",
        unit="um",
        per_um=1.0,
        cell_names=[f"c{i}" for i in range(count)],
        width=width,
        height=np.ones(count),
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(len(nets))],
        net_start=np.concatenate([[0], np.cumsum([len(net) for net in nets])]),
        net_weight=np.ones(len(nets)),
        pin_cell=pins,
        pin_x=np.zeros(len(pins)),
        pin_y=np.zeros(len(pins)),
        die=(0.0, 0.0, die, die),
        rows=Rows.of([[0, i, 1, 0.5, 0.5, int(2 * die), 0] for i in range(int(die))]),
        initial=Placement(x, y, np.zeros(count, np.int64)),
        tolerance=1e-9,
    )


def on_rows(design: Design, options: GlobalOptions) -> Placement:
    rules = Rules.of(design)
    found = place_global(design, design.initial, rules, options)
    roomy = design if found.swell is None else padded(design, found.swell, rules, 0)
    return legalize_cells(roomy, found.placement, rules)


def test_a_congested_design_gets_less_congested_for_little_wirelength() -> None:
    design = congested(cells=2000, tangled=60, die=120.0)
    plain, routed = (on_rows(design, GlobalOptions(routability=r)) for r in (False, True))
    assert check(design, routed).legal
    assert maps.congestion(design, routed) < 0.95 * maps.congestion(design, plain)
    assert hpwl(design, routed) < 1.05 * hpwl(design, plain)


def test_a_tangle_leaves_its_heap() -> None:
    design = congested()
    found = place_global(design, design.initial, Rules.of(design))
    assert found.overflow <= GlobalOptions.stop_overflow and not found.note


def test_cells_grow_where_wires_are_dense_and_within_bounds() -> None:
    design = congested()
    rules = Rules.of(design)
    plain = place_global(design, design.initial, rules).placement
    first = Inflation.of(design, plain, rules)
    assert first is not None and (first.swell == 1.0).all()
    once = first.grown(plain, 1.0)
    assert once.swell.min() == 1.0 and 1.0 < once.swell.max() <= STEP
    tangled, others = once.swell[:120].mean(), once.swell[120:900].mean()
    assert tangled > others
    often = once
    for _ in range(12):
        often = often.grown(plain, 1.0)
    area = design.width * design.height
    free = 80.0 * 80.0 - area[:900].sum()
    assert often.swell.max() <= WIDEST and ((often.swell - 1) * area).sum() <= 0.5 * free * (1 + 1e-9)
    assert (first.grown(plain, 0.0).swell == 1.0).all()


def test_nothing_grows_where_no_bin_stands_out() -> None:
    design = congested()
    nowhere = replace(design, net_weight=np.zeros(design.nets))
    placed = place_global(design, design.initial, Rules.of(design)).placement
    assert Inflation.of(nowhere, placed, Rules.of(nowhere)) is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), most=st.floats(1.0, 2.5))
def test_a_legal_place_for_the_wide_cells_is_one_for_their_own(seed: int, most: float) -> None:
    design = congested(cells=150, tangled=30, die=40.0)
    rng = np.random.default_rng(seed)
    rules = Rules.of(design)
    rough = Placement(*rng.uniform(0, 40, (2, design.cells)), design.initial.orient.copy())
    rough.x[150:], rough.y[150:] = design.initial.x[150:], design.initial.y[150:]
    wide = padded(design, rng.uniform(1.0, most, design.cells), rules, seed)
    assert (wide.width >= design.width).all() and (wide.width[150:] == design.width[150:]).all()
    placed = legalize_cells(wide, rough, rules)
    assert check(design, placed).legal and check(wide, placed).legal
    better = improve(wide, placed, rules, deadline=Deadline(0.05))
    assert check(design, better).legal and check(wide, better).legal


def test_room_is_as_large_as_asked_and_none_where_sites_differ() -> None:
    design = congested()
    wide = padded(design, np.full(design.cells, 1.3), Rules.of(design), 0)
    assert wide.width[:900].sum() == pytest.approx(1.3 * design.width[:900].sum(), rel=0.03)
    table = [[0, i, 1, 0.5 + i % 2, 0.5 + i % 2, 60, 0] for i in range(80)]
    uneven = replace(design, rows=Rows.of(table))
    assert padded(uneven, np.full(design.cells, 1.3), Rules.of(uneven), 0) is uneven


def test_the_target_is_placed_legally_and_minimises_the_product() -> None:
    design = congested(cells=300, tangled=60, die=50.0)
    found = {target: place(design, target=target, threads=1) for target in ("hpwl", "routability")}
    assert all(placed.legal for placed in found.values())
    assert found["routability"].report["target"] == "routability"
    assert found["routability"].report["recipe"]["inflate"] is True
    cost = {t: p.report["hpwl"] * p.report["peaks"]["congestion"] for t, p in found.items()}
    assert cost["routability"] < cost["hpwl"]


def test_a_target_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(KerfError, match="hpwl, routability, proxy"):
        pose(congested(), target="timing")
