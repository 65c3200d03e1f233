"""Global placement: gradients against finite differences, the field against its equation, and that odd designs neither crash nor diverge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.placement import made

from kerf.core.types import KerfError
from kerf.placement.analytic import GlobalOptions, orient_macros, place_global
from kerf.placement.analytic.charges import Charges
from kerf.placement.analytic.guard import Guard, Verdict
from kerf.placement.analytic.model import build
from kerf.placement.analytic.poisson import Poisson
from kerf.placement.analytic.start import first_places
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.hpwl import hpwl
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step

FREE = np.full(300, np.nan)


def chip(seed: int = 0, cells: int = 300, macros: int = 0, fill: float = 0.6, die: float = 60.0) -> Design:
    """Standard cells of height 1 and a few macros, nets between near numbers, four ports in the corners; `fill` is the utilization."""
    rng = np.random.default_rng(seed)
    count = cells + 4
    width, height = rng.integers(1, 5, count).astype(float), np.ones(count)
    width[:macros] = height[:macros] = 6.0
    width[:cells] *= fill * die**2 / (width * height)[:cells].sum() if macros == 0 else 1.0
    kind = np.full(count, Kind.CELL, np.int8)
    kind[:macros], kind[cells:] = Kind.MACRO, Kind.PORT
    degrees = rng.integers(2, 7, 2 * cells)
    start = np.concatenate([[0], np.cumsum(degrees)])
    near = np.repeat(rng.integers(0, cells, 2 * cells), degrees) + rng.integers(-9, 10, start[-1])
    pin_cell = near % cells
    with_port = start[:-1][:8]
    pin_cell[with_port] = cells + np.arange(len(with_port)) % 4
    x, y = np.full(count, np.nan), np.full(count, np.nan)
    x[cells:], y[cells:] = [0, die, 0, die], [0, 0, die, die]
    return Design(
        name=f"chip{seed}",
        format="arrays",
        unit="um",
        per_um=1.0,
        cell_names=[f"c{i}" for i in range(count)],
        width=width,
        height=height,
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(2 * cells)],
        net_start=start,
        net_weight=rng.integers(1, 3, 2 * cells).astype(float),
        pin_cell=pin_cell,
        pin_x=rng.uniform(-0.4, 0.4, start[-1]),
        pin_y=rng.uniform(-0.4, 0.4, start[-1]),
        die=(0.0, 0.0, die, die),
        rows=Rows.of([[0, i, 1, 1, 1, int(die), 0] for i in range(int(die))]),
        initial=Placement(x, y, np.zeros(count, np.int64)),
    )


def exact_length(design: Design, at: np.ndarray, gamma: float) -> float:
    """The weighted-average wirelength as its definition says, in double precision, bins of 1 x aspect."""
    model = build(design, design.initial, Rules.of(design), GlobalOptions())
    total = 0.0
    for degree, nets, net, pin in model.nets.groups:
        for i in range(nets):
            pins = pin + i + nets * np.arange(degree)
            for axis, offset, scale in (
                (0, model.nets.offset_x, 1.0),
                (1, model.nets.offset_y, model.nets.aspect),
            ):
                v = (at[axis, model.nets.owner[pins]] + offset[pins]) * scale
                up, down = np.exp((v - v.max()) / gamma), np.exp((v.min() - v) / gamma)
                total += model.nets.weight[net + i] * (
                    (v * up).sum() / up.sum() - (v * down).sum() / down.sum()
                )
    return total


@pytest.mark.parametrize("gamma", [0.5, 8.0])
def test_wirelength_gradient_is_that_of_the_definition(gamma: float) -> None:
    design = chip(cells=60)
    model = build(design, design.initial, Rules.of(design), GlobalOptions())
    rng = np.random.default_rng(3)
    at = np.zeros((2, model.objects + 1), np.float32)
    at[:, :-1] = rng.uniform(0, 8, (2, model.objects))
    out = np.zeros((2, model.objects), np.float32)
    length = model.nets.gradient(at, gamma, out)
    placed = model.placement(at, design.initial)
    assert length * model.region.wide == pytest.approx(hpwl(design, placed), rel=1e-5)
    wide = at.astype(np.float64)
    for axis in (0, 1):
        for cell in range(0, model.movable, 7):
            ends = []
            for sign in (1, -1):
                moved = wide.copy()
                moved[axis, cell] += sign * 1e-4
                ends.append(exact_length(design, moved, gamma))
            assert out[axis, cell] == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=2e-4)


def test_field_solves_poissons_equation() -> None:
    columns, rows, aspect = 40, 24, 1.3
    u, v = np.arange(columns) + 0.5, np.arange(rows) + 0.5
    a, b = 3 * np.pi / columns, 5 * np.pi / rows
    potential = np.outer(np.cos(a * u), np.cos(b * v))
    solver = Poisson(columns, rows, aspect)
    solver.solve(((a**2 + (b / aspect) ** 2) * potential).astype(np.float32))
    expected = -a * np.outer(np.sin(a * u), np.cos(b * v)), -b * np.outer(np.cos(a * u), np.sin(b * v))
    np.testing.assert_allclose(solver.slope_x[:columns, :rows], expected[0], atol=1e-5)
    np.testing.assert_allclose(solver.slope_y[:columns, :rows], expected[1], atol=1e-5)


def test_charge_is_conserved_and_overflow_is_what_bins_cannot_take() -> None:
    design = chip(macros=4)
    model = build(design, design.initial, Rules.of(design), GlobalOptions(target_density=0.9))
    charges = Charges(model, 1)
    at = first_places(charges, design.initial, False, np.random.default_rng(0))
    charges.force(at, np.zeros((2, model.objects), np.float32))
    total = model.boxes.area[: model.movable].sum()
    (ground,) = model.grounds
    free = ground.target * (1 - ground.blocked).sum()
    assert charges._cells.sum() == pytest.approx(total, rel=1e-4)
    assert charges._all.sum() == pytest.approx(free, abs=4.0)
    assert 0.5 < charges.overflow < 1


def test_cells_are_spread_and_wires_are_short() -> None:
    design = chip()
    found = place_global(design, design.initial, Rules.of(design))
    assert found.overflow <= GlobalOptions().stop_overflow and found.note == ""
    assert found.hpwl == pytest.approx(hpwl(design, found.placement))
    at_random = design.initial.copy()
    rng = np.random.default_rng(1)
    at_random.x[:300], at_random.y[:300] = rng.uniform(2, 58, (2, 300))
    assert found.hpwl < 0.4 * hpwl(design, at_random)


def test_the_same_seed_gives_the_same_placement() -> None:
    design = chip(macros=3)
    once, again, other = (place_global(design, design.initial, Rules.of(design), seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(once.placement.x, again.placement.x)
    np.testing.assert_array_equal(once.placement.y, again.placement.y)
    assert (once.placement.x[:300] != other.placement.x[:300]).any()


def test_a_kept_start_is_refined_not_replaced() -> None:
    design = chip()
    rules = Rules.of(design)
    first = place_global(design, design.initial, rules)
    kept = place_global(design, first.placement, rules, GlobalOptions(keep_start=True))
    moved = np.hypot(kept.placement.x - first.placement.x, kept.placement.y - first.placement.y)[:300]
    assert np.median(moved) < 6.0 and kept.hpwl < 1.1 * first.hpwl


def test_boxes_keepouts_and_pulls_are_obeyed() -> None:
    design = chip(fill=0.3)
    rules = Rules.of(design)
    box = rules.box.copy()
    box[:40] = (0.0, 0.0, 20.0, 20.0)
    group = np.arange(100, 110)
    ruled = replace(rules, box=box, keepouts=np.array([[40.0, 40.0, 60.0, 60.0]]), pulls=((group, 50.0),))
    found = place_global(design, design.initial, ruled).placement
    left, bottom, right, top = design.boxes(found)
    assert (right[:40] <= 20.001).all() and (top[:40] <= 20.001).all()
    assert (left[:300] >= -0.001).all() and (bottom[:300] >= -0.001).all()
    inside = (found.x[:300] > 41) & (found.y[:300] > 41)
    assert inside.mean() < 0.02
    free = place_global(design, design.initial, rules).placement
    assert np.ptp(found.x[group]) + np.ptp(found.y[group]) < np.ptp(free.x[group]) + np.ptp(free.y[group])


def test_steps_are_reported_and_a_deadline_ends_it() -> None:
    design = chip()
    seen: list[Step] = []
    place_global(design, design.initial, Rules.of(design), watch=seen.append)
    assert seen[-1].placement is not None and seen[-1].overflow is not None and seen[-1].overflow < 0.1
    assert all(step.phase == "global" and not step.legal for step in seen)
    found = place_global(design, design.initial, Rules.of(design), deadline=Deadline(0.0))
    assert found.iterations == 1 and np.isfinite(found.placement.x).all()


def test_what_cannot_fit_is_refused_with_the_numbers() -> None:
    crowded = chip(fill=1.2)
    with pytest.raises(KerfError, match=r"120\.\d % of it"):
        place_global(crowded, crowded.initial, Rules.of(crowded))
    design = chip()
    wide = design.width.copy()
    wide[7] = 90.0
    large = Design(**{**vars(design), "width": wide})
    with pytest.raises(KerfError, match="c7 is 90 x 1 um, larger than the 60 x 60"):
        place_global(large, large.initial, Rules.of(large))


def test_an_overflow_out_of_reach_is_explained_and_the_best_kept() -> None:
    design = chip(fill=0.97)
    found = place_global(design, design.initial, Rules.of(design), GlobalOptions(stop_overflow=0.0))
    assert "kept the state of overflow" in found.note
    reached = place_global(design, design.initial, Rules.of(design), GlobalOptions(stop_overflow=0.1))
    assert found.hpwl < 1.3 * reached.hpwl


def test_a_lost_descent_is_tried_again_and_the_better_one_kept() -> None:
    """So few iterations leave the cells in a heap, in both tries; where the user's time is up there is only one."""
    design, options = chip(), GlobalOptions(max_iterations=60)
    found = place_global(design, design.initial, Rules.of(design), options)
    assert found.iterations == 120 and "tried again" in found.note
    hurried = place_global(design, design.initial, Rules.of(design), options, deadline=Deadline(0.0))
    assert hurried.iterations == 1 and "tried again" not in hurried.note


def test_the_guard_tells_stalls_from_blow_ups() -> None:
    guard, at = Guard(0.07), np.zeros((2, 3), np.float32)
    assert guard.judge(1, at, 100.0, 0.15) is Verdict.FINE
    assert guard.judge(2, at + 1, 110.0, 0.1) is Verdict.FINE
    assert guard.judge(3, at + 2, 500.0, 0.3) is Verdict.BLOWN
    assert guard.judge(4, at + 2, float("nan"), 0.1) is Verdict.BLOWN
    assert guard.judge(99, at + 2, 120.0, 0.1) is Verdict.STALLED
    assert guard.iteration == 2 and guard.places is not None and guard.places[0, 0] == 1


@pytest.mark.parametrize("cells", [1, 2, 10])
def test_tiny_designs_do_not_diverge(cells: int) -> None:
    design = chip(cells=cells, fill=0.1, die=8.0)
    found = place_global(design, design.initial, Rules.of(design))
    left, bottom, right, top = (side[:cells] for side in design.boxes(found.placement))
    assert min(left.min(), bottom.min()) >= -0.001 and max(right.max(), top.max()) <= 8.001
    assert np.isfinite(found.hpwl)


def test_nothing_to_move_and_nothing_to_pull() -> None:
    design = chip(cells=20, die=20.0)
    still = Rules.of(design).freeze(np.ones(24, np.bool_))
    assert place_global(design, design.initial, still).iterations == 0
    loose = Design(
        **{
            **vars(design),
            "net_names": [],
            "net_start": np.zeros(1, np.int64),
            "net_weight": np.empty(0),
            "pin_cell": np.empty(0, np.int64),
            "pin_x": np.empty(0),
            "pin_y": np.empty(0),
        }
    )
    found = place_global(loose, loose.initial, Rules.of(loose))
    assert found.hpwl == 0 and np.isfinite(found.placement.x).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 14), st.integers(0, 10), st.booleans())
def test_made_designs_give_finite_places_inside_or_a_refusal(
    seed: int, cells: int, nets: int, keep: bool
) -> None:
    design = made.design(seed, max(cells, 1) if nets else cells, nets if cells else 0)
    rules = Rules.of(design)
    try:
        found = place_global(
            design, design.initial, rules, GlobalOptions(keep_start=keep, max_iterations=150)
        )
    except KerfError as error:
        assert "%" in str(error) or "larger" in str(error) or "none" in str(error)
        return
    free = ~rules.fixed
    left, bottom, right, top = (side[free] for side in design.boxes(found.placement))
    assert np.isfinite(left + bottom).all()
    assert (left >= -0.01).all() and (bottom >= -0.01).all()
    assert (right <= 40.01).all() and (top <= 40.01).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_turning_macros_never_lengthens_wires(seed: int) -> None:
    design = made.design(seed, 12, 10)
    rules = Rules.of(design)
    turned = orient_macros(design, design.initial, rules)
    assert hpwl(design, turned) <= hpwl(design, design.initial) * (1 + 1e-9)
    assert rules.orients[np.arange(12), turned.orient].all()
    still = rules.fixed | (design.kind != Kind.MACRO)
    assert (turned.orient == design.initial.orient)[still].all()
