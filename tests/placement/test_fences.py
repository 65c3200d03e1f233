"""Fences: regions that keep their cells in and all others out, and regions of several boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_lefdef
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerf import place
from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.placement.analytic import place_global
from kerf.placement.constraints import Constraint, Region, exact, read
from kerf.placement.constraints.given import given as brought
from kerf.placement.constraints.lowering import lower
from kerf.placement.constraints.proof import broken
from kerf.placement.constraints.zones import union, without
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.detailed import improve
from kerf.placement.draw import draw
from kerf.placement.formats import load
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from kerf.placement.legalize import legalize_cells, legalize_macros
from kerf.placement.problem import pose

SIDE = 40


def chip(seed: int, cells: int = 220, macros: int = 0) -> Design:
    """Cells of 1 to 4 sites, called e, f, g and c with a number, nets of neighbours, and ports around a die of 40 x 40 with rows 2 high;
    about 70 % full."""
    rng = np.random.default_rng(seed)
    count = cells + macros + 8
    width = np.concatenate([rng.integers(1, 5, cells), rng.integers(4, 7, macros), np.zeros(8)])
    height = np.concatenate([np.full(cells, 2), 2 * rng.integers(2, 4, macros), np.zeros(8)])
    kind = np.repeat([Kind.CELL, Kind.MACRO, Kind.PORT], [cells, macros, 8]).astype(np.int8)
    nets = [(i + rng.choice(9, 3, replace=False)) % count for i in range(count)]
    around = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    x, y = (np.append(np.full(cells + macros, np.nan), SIDE / 2 * (1 + f(around))) for f in (np.cos, np.sin))
    letters = ["e" if i < 40 else "f" if i < 70 else "g" if i < 100 else "c" for i in range(cells)]
    return Design(
        name="chip", format="arrays", unit="um", per_um=1.0, tolerance=1e-6,
        cell_names=[f"{a}{i}" for i, a in enumerate(letters)] + [f"m{i}" for i in range(macros)] + [f"p{i}" for i in range(8)],
        width=width.astype(float), height=height.astype(float), kind=kind, fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(len(nets))], net_start=np.arange(0, 3 * len(nets) + 1, 3),
        net_weight=np.ones(len(nets)), pin_cell=np.concatenate(nets).astype(np.int64),
        pin_x=np.zeros(3 * len(nets)), pin_y=np.zeros(3 * len(nets)), die=(0.0, 0.0, SIDE, SIDE),
        rows=Rows.of([[0, y, 2, 1, 1, SIDE, 0] for y in range(0, SIDE, 2)]),
        initial=Placement(x, y, np.zeros(count, np.int64)),
    )  # fmt: skip


ELL = "region e* 4 4 20 14 + 4 14 12 25 exclusive"
ELL_ROWS = 5 * 2 * 16 + 5 * 2 * 8  # area of the whole rows in it
BOTH = (ELL, "region f* 22 6 36 19.5 + 30 20 36 30 exclusive", "region g* 0 26 40 40 + 12 20 30 26")


def at_fault(design: Design, placement: Placement, asked: tuple[Constraint, ...]) -> list[object]:
    return broken(design, placement, asked, design.initial)


def scattered(design: Design, seed: int) -> Placement:
    rng, p = np.random.default_rng(seed), design.initial
    x, y = (np.where(np.isnan(at), rng.uniform(0, SIDE, design.cells), at) for at in (p.x, p.y))
    return Placement(x, y, p.orient)


# Geometry

boxes = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 4), st.integers(1, 4)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(boxes)
def test_a_union_and_its_complement_are_disjoint_and_cover_the_frame(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    rects = np.array([(x, y, x + w, y + h) for x, y, w, h in drawn], dtype=float)
    filled = np.zeros((12, 12), np.int64)
    for left, bottom, right, top in rects.astype(int):
        filled[left:right, bottom:top] = 1
    counted = np.zeros((2, 12, 12), np.int64)
    for which, found in enumerate((union(rects), without(np.array([0.0, 0, 12, 12]), rects))):
        for left, bottom, right, top in found.astype(int):
            counted[which, left:right, bottom:top] += 1
    np.testing.assert_array_equal(counted[0], filled)
    np.testing.assert_array_equal(counted[1], 1 - filled)


# Said in words, as TOML, as objects


def test_words_toml_and_objects_are_one(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[[region]]\ncells = ["e*"]\nbox = [[4, 4, 20, 14], [4, 14, 12, 25]]\nexclusive = true\n'
        '[[region]]\ncells = ["c2"]\nbox = [1, 2, 3, 4]\n'
    )
    objects = Region(("e*",), ((4, 4, 20, 14), (4, 14, 12, 25)), True), Region(("c2",), (1, 2, 3, 4))
    assert read([path], chip(0)) == read([ELL, "region c2 1 2 3 4"], chip(0)) == objects
    assert exact(objects[0]) == ELL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("region c1 1 2 3 4 + 5 6 7 exclusive", "no length"),
        ("region 1 2 3 4 + 5 6 7 8 exclusive", "no cells are named"),
        ("region c1 1 2 3 4 + 5 6 5 8", "the box is empty"),
    ],
)
def test_nonsense_is_refused(words: str, said: str) -> None:
    with pytest.raises(KerfError, match=said):
        read([words], chip(0))


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["region e* f* 0 0 20 8 + 0 8 4 10 exclusive"], "cells take [0-9]+, the region has 168 free"),
        (["region e0 0 0 40 30 exclusive"], "219 cells take [0-9]+, what fences leave to them has 400 free"),
        (["region e* 1 1 39 6.9 exclusive"], "40 standard cells take [0-9]+, the rows there have 152 free"),
        (["region e7 0 0 9 9 exclusive", "region e8 2 2 7 7"], "they leave no place for e8"),
        (["region e7 0 0 9 9 exclusive", "region e7 20 0 29 9 exclusive"], "conflicts with"),
    ],
)
def test_what_cannot_be_met_is_refused_with_numbers(items: list[str], said: str) -> None:
    with pytest.raises(KerfError, match=said):
        pose(chip(1), read(items, chip(1)))


# Obeyed by every stage


def test_the_proof_knows_the_inside_of_an_ell() -> None:
    d, asked = chip(0, cells=4), read(["region e0 e1 4 4 20 14 + 4 14 12 25 exclusive"], chip(0, cells=4))
    d.width[:4] = [8, 2, 2, 2]

    def names(x: list[float], y: list[float]) -> list[str]:
        found = at_fault(
            d, Placement(np.array(x + [0.0] * 8), np.array(y + [0.0] * 8), d.initial.orient), asked
        )
        return found[0]["examples"] if found else []  # type: ignore[index]

    assert names([8, 18, 30, 21], [14, 6, 30, 5]) == [], (
        "e0 lies across the border of the two boxes, e3 touches"
    )
    assert names([9, 18, 30, 21], [14, 6, 30, 5]) == ["e0"]
    assert names([8, 18, 5, 20.5], [10, 6, 30, 5]) == ["e3"]


@pytest.mark.parametrize("items", [BOTH[:1], BOTH[:2], BOTH], ids=["ell", "two", "three"])
@pytest.mark.parametrize("seed", [0, 1])
def test_global_placement_brings_everybody_to_their_ground(seed: int, items: tuple[str, ...]) -> None:
    d = chip(seed)
    lowered = lower(d, read(items, d), d.initial)
    found = place_global(d, d.initial, lowered.rules, seed=seed)
    assert found.overflow < 0.12
    w, h = d.width, d.height
    left, bottom, right, top = d.boxes(found.placement)
    for region in (c for c in read(items, d) if c.exclusive):  # type: ignore[union-attr]
        rects = union(np.array(region.boxes))  # type: ignore[union-attr]
        wide = np.minimum(right, rects[:, None, 2]) - np.maximum(left, rects[:, None, 0])
        high = np.minimum(top, rects[:, None, 3]) - np.maximum(bottom, rects[:, None, 1])
        share = (np.clip(wide, 0, None) * np.clip(high, 0, None)).sum(axis=0) / np.maximum(w * h, 1)
        mine = np.char.startswith(np.array(d.cell_names), region.cells[0][:-1])  # type: ignore[union-attr]
        assert share[mine].mean() > 0.93 and share[~mine].mean() < 0.03


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([BOTH[:1], BOTH[:2], BOTH]))
@example(438, BOTH[:1])
def test_cells_are_legal_in_their_zones_and_stay_there(seed: int, items: tuple[str, ...]) -> None:
    """One chip in some four hundred has more in its `e` cells than the ell's rows hold, and must be refused."""
    d = chip(seed)
    asked = read(items, d)
    if float((d.width * d.height)[:40].sum()) > ELL_ROWS:
        with pytest.raises(KerfError, match="cannot be met"):
            lower(d, asked, d.initial)
        return
    lowered = lower(d, asked, d.initial)
    rough = scattered(d, seed)
    placed = legalize_cells(d, rough, lowered.rules)
    assert check(d, placed).legal and at_fault(d, placed, asked) == []
    better = improve(d, placed, lowered.rules, seed=1)
    assert check(d, better).legal and at_fault(d, better, asked) == []
    assert hpwl(d, better) < 0.95 * hpwl(d, placed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_macros_keep_in_and_out(seed: int) -> None:
    d = chip(seed, cells=1, macros=8)
    asked = read(
        ["region m0 m1 m2 2 2 20 14 + 2 14 10 26 exclusive", "region m3 20 20 40 30 + 30 30 40 40"], d
    )
    lowered = lower(d, asked, d.initial)
    rough = scattered(d, seed)
    placed = legalize_macros(d, rough, lowered.rules)
    placed = legalize_cells(d, placed, lowered.rules.freeze(d.kind == Kind.MACRO))
    assert check(d, placed).legal and at_fault(d, placed, asked) == []


def test_a_run_obeys_fences_and_a_picture_shows_them(tmp_path: Path) -> None:
    d = chip(3, cells=160, macros=4)
    asked = read(["region e1* m0 4 4 20 14 + 4 14 12 25 exclusive"], d)
    placed = place(d, constraints=asked, threads=1, archive=Archive(tmp_path / "archive"))
    assert placed.legal and placed.report["status"] == "legal" and not placed.report["violations"]
    plain, fenced = (draw(d, placed.placement, constraints=c) for c in ((), asked))
    assert len(fenced.layers) == len(plain.layers) + 1 and len(fenced.layers[1].shapes) == 2


def test_the_proxy_search_says_that_it_knows_no_fences() -> None:
    d = chip(0, cells=5)
    d.kind[4] = Kind.SOFT
    with pytest.raises(KerfError, match="need a design of cells and hard macros"):
        pose(d, read(["region e0 0 0 9 9 exclusive"], d))


def test_a_fence_of_a_def_is_obeyed_and_scored(tmp_path: Path) -> None:
    fence = "REGIONS 1 ;\n- f ( 0 0 ) ( 1000 1000 ) ( 600 1000 ) ( 2000 2000 ) + TYPE FENCE ;\nEND REGIONS\n"
    group = "GROUPS 1 ;\n- g u2 u3 + REGION f ;\nEND GROUPS\n"
    content = test_lefdef.DEF.replace("COMPONENTS 4", fence + "COMPONENTS 4")
    path = test_lefdef.written(tmp_path, content=content.replace("END DESIGN", group + "END DESIGN"))
    d = load(path)
    placed = place(d, threads=1, archive=Archive(tmp_path / "archive"))
    left, bottom, right, _ = (side[:3] for side in d.boxes(placed.placement))
    assert placed.report["status"] == "legal"
    for cell in (1, 2):
        low, high = (0, 1000) if bottom[cell] == 0 else (600, 2000)
        assert low <= left[cell] and right[cell] <= high and bottom[cell] <= 1000
    beside = placed.placement.copy()
    beside.x[0], beside.y[0] = 300, 500
    (fault,) = at_fault(d, beside, brought(d))
    assert fault["rule"] == "region u2 u3 0 0 1 1 + 0.6 1 2 2 exclusive" and fault["examples"] == ["u1"]  # type: ignore[index]
