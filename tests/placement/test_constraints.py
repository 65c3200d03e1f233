from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.constraints import (
    Align,
    Constraint,
    Edge,
    Group,
    Halo,
    Keepout,
    Orient,
    Region,
    exact,
    read,
)
from kerf.placement.constraints.cells import named
from kerf.placement.constraints.gathering import narrow, refuse_apart
from kerf.placement.constraints.lowering import Lowered, lower
from kerf.placement.constraints.proof import broken
from kerf.placement.constraints.room import free_area, has_place
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.examples.mesh import mesh
from kerf.placement.legality import check

MESH = mesh()
seeds = st.integers(0, 10_000)
WORDS = (
    "fixed sram_0 port_*",
    "region pe_0_0/* sram_1 0 0 200 200.25",
    "keepout 10 10 20 20",
    "halo sram_* 10",
    "edge sram_0 sram_1 left",
    "group sram_2 sram_3 within 160",
    "align sram_4 sram_5 sram_6 x",
    "orient sram_7 S FN",
)


def macros(widths: list[float], **changed: object) -> Design:
    """Macros m0, m1, ... 10 high, in a die of 100 by 80, in a row from the lower left corner, without nets."""
    count = len(widths)
    wide = np.array(widths)
    values = {
        "name": "blocks",
        "format": "bookshelf",
        "unit": "bookshelf",
        "per_um": None,
        "cell_names": [f"m{i}" for i in range(count)],
        "width": wide,
        "height": np.full(count, 10.0),
        "kind": np.full(count, Kind.MACRO, np.int8),
        "fixed": np.zeros(count, np.bool_),
        "net_names": [],
        "net_start": np.zeros(1, np.int64),
        "net_weight": np.zeros(0),
        "pin_cell": np.zeros(0, np.int64),
        "pin_x": np.zeros(0),
        "pin_y": np.zeros(0),
        "die": (0.0, 0.0, 100.0, 80.0),
        "rows": Rows.of([]),
        "initial": Placement(np.cumsum(wide) - wide / 2, np.full(count, 5.0), np.zeros(count, np.int64)),
    }
    return Design(**(values | changed))  # type: ignore[arg-type]


def posed(design: Design, *items: str | Constraint) -> tuple[Lowered, tuple[Constraint, ...]]:
    constraints = read(items, design)
    lowered = lower(design, constraints, design.initial)
    refuse_apart(design, constraints, lowered)
    return lowered, constraints


def scattered(design: Design, lowered: Lowered, seed: int) -> Placement:
    """Every movable cell somewhere in its box."""
    rng = np.random.default_rng(seed)
    w, h = design.extent(lowered.start)
    box = lowered.rules.box
    x = rng.uniform(box[:, 0] + w / 2, np.maximum(box[:, 2] - w / 2, box[:, 0] + w / 2))
    y = rng.uniform(box[:, 1] + h / 2, np.maximum(box[:, 3] - h / 2, box[:, 1] + h / 2))
    fixed = lowered.rules.fixed
    return Placement(
        np.where(fixed, lowered.start.x, x), np.where(fixed, lowered.start.y, y), lowered.start.orient
    )


# Said in words, as TOML, as objects


@pytest.mark.parametrize("words", WORDS)
def test_a_constraint_says_itself_as_it_is_read(words: str) -> None:
    (constraint,) = read([words], MESH)
    assert str(constraint) == words == exact(constraint)
    assert read([str(constraint)], MESH) == (constraint,) == read([constraint], MESH)


def test_toml_and_words_are_the_same_constraints(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        """
        [[region]]
        cells = ["pe_0_0/*", "sram_1"]
        box = [0, 0, 200, 200.25]
        [[edge]]
        cells = "sram_0 sram_1"
        side = "left"
        [[group]]
        cells = ["sram_2", "sram_3"]
        within = 160
        [[orient]]
        cells = ["sram_7"]
        allowed = ["S", "FN"]
        """
    )
    assert set(read([path], MESH)) == set(read([WORDS[i] for i in (1, 4, 5, 7)], MESH))
    assert read([str(path)], MESH) == read([path], MESH)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "begin with one of"),
        ("regoin a 1 2 3 4", "begin with one of fixed, region"),
        ("region a 1 2 3", "no cells are named"),
        ("region a 1 2 3 x", "'x' is no length"),
        ("region a 1 2 3 nan", "no finite length"),
        ("region a 5 5 5 9", "the box is empty"),
        ("halo a -3", "cannot be negative"),
        ("halo a 3um", "has no micrometres"),
        ("edge a up", "'up' is no side"),
        ("edge left", "cells and a side"),
        ("align a b middle", "no line"),
        ("group a b 30", "`within LENGTH` is missing"),
        ("group a within 0", "positive length"),
        ("orient a", "no orientation"),
    ],
)
def test_nonsense_is_refused_with_what_was_expected(words: str, said: str) -> None:
    with pytest.raises(KerfError, match=said):
        read([words], MESH)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[[regions]]\ncells=['a']", "expected \\[\\[TABLES\\]\\]"),
        ("[[edge]]\ncells=['a']", "expected the keys cells, side"),
        ("[[edge]]\ncells=3\nside='left'", "list of words"),
        ("edge = ", "not TOML"),
    ],
)
def test_bad_toml_is_refused_with_its_place(tmp_path: Path, toml: str, said: str) -> None:
    (tmp_path / "c.toml").write_text(toml)
    with pytest.raises(KerfError, match=said):
        read([tmp_path / "c.toml"], MESH)
    with pytest.raises(KerfError, match="cannot be read"):
        read([tmp_path / "none.toml"], MESH)


def test_um_is_a_length_where_the_format_has_it() -> None:
    design = replace(MESH, per_um=1000.0)
    (halo,) = read(["halo sram_0 2 um"], design)
    assert halo == Halo(("sram_0",), 2.0)
    assert lower(design, [halo], design.initial).rules.halo.max() == 2000.0


def test_names_are_globs_whose_brackets_are_plain() -> None:
    design = macros([1, 1, 1], cell_names=["a[0]/ram", "a[1]/ram", "b"])
    assert named(design, ["a[0]*"], "it").tolist() == [0]
    assert named(design, ["a*/r?m", "b"], "it").tolist() == [0, 1, 2]
    with pytest.raises(KerfError, match=r"no cell 'a\[2\]/ram'; the nearest are a\[\d\]/ram"):
        named(design, ["a[2]/ram"], "it")


# Enforced by rules that the proof knows nothing of


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["left", "right", "bottom", "top"]))
def test_whatever_obeys_the_rules_passes_the_proof(seed: int, side: str) -> None:
    lowered, constraints = posed(
        MESH, Region(("pe_0_0/*", "sram_2"), (10, 20, 210.5, 190)), Edge(("sram_0", "pe_1_1/u3"), side)
    )
    assert broken(MESH, scattered(MESH, lowered, seed), constraints, MESH.initial) == []


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["left", "x", "right", "bottom", "y", "top"]), st.floats(215, 400))
def test_groups_and_alignments_find_a_place_and_hold(seed: int, line: str, within: float) -> None:
    lowered, constraints = posed(
        MESH, Align(("sram_0", "sram_1", "sram_2"), line), Group(("sram_3", "sram_4", "pe_2_*/*"), within)
    )
    anywhere = scattered(MESH, lowered, seed)
    narrowed = narrow(MESH, constraints, lowered, anywhere)
    found = scattered(MESH, narrowed, seed + 1)
    assert broken(MESH, found, constraints, MESH.initial) == []
    again = narrow(MESH, constraints, lowered, found).rules.box
    own = np.stack(MESH.boxes(found), axis=1)
    inside = (own[:, :2] >= again[:, :2] - 1e-3).all(axis=1) & (own[:, 2:] <= again[:, 2:] + 1e-3).all(axis=1)
    assert inside[~lowered.rules.fixed].all(), "what holds already is left where it is"


@pytest.mark.parametrize(
    "constraint",
    [
        Region(("m0",), (50, 0, 90, 40)),
        Keepout((5, 5, 8, 8)),
        Halo(("m0",), 1.0),
        Edge(("m1",), "right"),
        Group(("m0", "m2"), 25.0),
        Align(("m0", "m1"), "left"),
        Orient(("m0",), ("S", "W")),
    ],
    ids=lambda c: type(c).__name__,
)
def test_the_proof_finds_what_is_broken(constraint: Constraint) -> None:
    design = macros([10, 10, 10])
    found = broken(design, design.initial, [constraint], design.initial)
    assert [f["rule"] for f in found] == [str(constraint)]
    assert found[0]["count"] >= 1
    assert set(found[0]["examples"]) <= {"m0", "m1", "m2"}


def test_fixed_cells_are_held_and_their_moves_found() -> None:
    design = macros([10, 10])
    lowered, constraints = posed(design, "fixed m0")
    assert lowered.rules.fixed.tolist() == [True, False]
    moved = Placement(design.initial.x + [0, 3], design.initial.y, design.initial.orient)
    assert broken(design, moved, constraints, design.initial) == []
    moved.x[0] += 1
    turned = Placement(design.initial.x, design.initial.y, np.array([orient.S, orient.N]))
    for wrong in (moved, turned):
        assert broken(design, wrong, constraints, design.initial)[0]["examples"] == ["m0"]


def test_a_cell_is_turned_to_what_it_may_be() -> None:
    lowered, _ = posed(macros([10, 20]), "orient m1 W E")
    assert lowered.start.orient.tolist() == [orient.N, orient.W]
    assert lowered.rules.orients[1].sum() == 2


# Refused before any work, by name


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["edge m0 left", "edge m0 right"], "`edge m0 right` conflicts with `edge m0 left`: m0, 10 x 10"),
        (["region m0 0 0 30 30", "region m0 40 0 90 30"], "conflicts with `region m0 0 0 30 30`"),
        (["region m0 95 0 200 50"], "conflicts with the die"),
        (["region m* 0 0 14 14"], "its 3 cells take 300, the region has 196 free"),
        (["keepout 0 0 100 80"], "the die and `keepout 0 0 100 80` conflict: they leave no place for m0"),
        (
            ["region m0 0 0 30 30", "keepout 5 5 25 25"],
            "`region m0 0 0 30 30` and `keepout 5 5 25 25` conflict",
        ),
        (["halo m* 50", "edge m* left"], "its 3 macros need 130 of 80 along that side"),
        (["fixed m0", "region m0 50 0 90 30"], "m0 is fixed at x 0 .. 10, y 0 .. 10, outside"),
        (["fixed m0", "orient m0 S"], "conflicts with its being fixed as N"),
        (["orient m0 N", "orient m0 W E"], "`orient m0 W E` conflicts with `orient m0 N`"),
        (["group m0 m1 within 9"], "m0 alone is 10 long"),
        (["group m* within 17"], "its 3 cells take 300, a box of that size has 289"),
        (
            ["group m0 m1 within 30", "edge m0 left", "edge m1 right"],
            r"m1 \(`edge m1 right`\) and m0 .* kept apart",
        ),
        (["align m0 m1 x", "edge m0 left", "edge m1 right"], "`align m0 m1 x` cannot be met"),
        (["edge m9 left"], "no cell 'm9'; the nearest are m"),
        (["halo m* 5", "fixed *9"], "no cell '\\*9'"),
    ],
)
def test_what_cannot_be_met_is_named(items: list[str], said: str) -> None:
    with pytest.raises(KerfError, match=said):
        posed(macros([10, 10, 10]), *items)


def test_many_on_one_line_need_its_length() -> None:
    with pytest.raises(KerfError, match="its 9 cells need 90 of 80 along that line"):
        posed(macros([10] * 9), "align m* left")


def test_fixed_cells_that_are_not_legal_are_refused() -> None:
    design = macros([10, 10])
    design.initial.x[:] = 5
    with pytest.raises(KerfError, match="overlap where they are and neither may move"):
        posed(design, "fixed m*")
    design.initial.x[:] = [5, 97]
    with pytest.raises(KerfError, match="lies outside the die"):
        posed(design, "fixed m*")
    design.initial.x[1] = np.nan
    with pytest.raises(KerfError, match="m1 has no position to stay at"):
        posed(design, "fixed m*")


def test_halos_are_for_macros_and_ports_stay() -> None:
    with pytest.raises(KerfError, match="halos are for hard macros"):
        posed(MESH, "halo pe_0_0/* 3")
    with pytest.raises(KerfError, match="names ports only"):
        posed(MESH, "region port_* 0 0 50 50")


def test_standard_cells_in_rows_do_not_lie_on_their_sides() -> None:
    with pytest.raises(KerfError, match="cells in rows"):
        posed(MESH, "orient pe_0_0/u1 W")


# Room


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_free_area_and_places_agree_with_a_grid(seed: int) -> None:
    """Whole coordinates: every unit square is free or not, and a rectangle's corner may stand at whole numbers alone."""
    rng = np.random.default_rng(seed)
    low = rng.integers(-3, 10, (4, 2))
    walls = np.concatenate([low, low + rng.integers(1, 6, (4, 2))], axis=1).astype(float)
    box = np.array([0.0, 0.0, 9.0, 8.0])
    full = np.zeros((8, 9), np.bool_)
    for left, bottom, right, top in walls.astype(int):
        full[max(bottom, 0) : max(top, 0), max(left, 0) : max(right, 0)] = True
    assert free_area(box, walls) == (~full).sum()
    w, h = rng.integers(1, 6, 2)
    fits = any(not full[y : y + h, x : x + w].any() for x in range(9 - w + 1) for y in range(8 - h + 1))
    assert has_place(box, float(w), float(h), walls, 1e-9) == fits


def test_a_made_placement_stays_legal_under_the_rules() -> None:
    """`check` and `proof` are separate: one knows the floorplan, the other what was asked."""
    design = macros([10, 10])
    assert check(design, design.initial).legal
    assert broken(design, design.initial, read(["edge m1 right"], design), design.initial)
