"""Fillers are no cells, and a polygonal die has an outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_lefdef
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf import place
from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.placement.formats import load, load_placement, save_placement
from kerf.placement.formats.polygon import outside
from kerf.placement.score import score

SPACER = """MACRO FILL
  CLASS CORE SPACER ;
  SIZE 0.4 BY 1.0 ;
  SITE core ;
  PIN VDD DIRECTION INOUT ; USE POWER ; PORT LAYER M1 ; RECT 0 0.9 0.4 1 ; END END VDD
END FILL
MACRO TAP
  CLASS CORE WELLTAP ;
  SIZE 0.4 BY 1.0 ;
  SITE core ;
END TAP
"""
LEF = test_lefdef.LEF.replace("MACRO INV", SPACER + "MACRO INV")
DEF = (
    test_lefdef.DEF.replace("COMPONENTS 4 ;", "COMPONENTS 8 ;\n- f0 FILL + PLACED ( 800 0 ) N ;")
    .replace(
        "- u3 INV ;", "- u3 INV + PLACED ( 3000 0 ) N ;\n- f1 FILL + SOURCE DIST\n + PLACED ( 1600 0 ) N ;"
    )
    .replace("- ram", "- tap TAP + FIXED ( 0 1000 ) FS ;\n- kept FILL + FIXED ( 6000 0 ) N ;\n- ram")
    .replace("( * VDD )", "( f0 VDD ) ( u1 VDD ) ( f1 VDD )")
)
GONE = ("- f0 FILL + PLACED ( 800 0 ) N ;\n", "- f1 FILL + SOURCE DIST\n + PLACED ( 1600 0 ) N ;\n")


def without_fillers() -> str:
    content = DEF.replace("COMPONENTS 8", "COMPONENTS 6").replace(
        "( f0 VDD ) ( u1 VDD ) ( f1 VDD )", "( u1 VDD )"
    )
    for statement in GONE:
        content = content.replace(statement, "")
    return content


def test_movable_spacers_are_no_cells_and_the_user_is_told(tmp_path: Path) -> None:
    d = load(test_lefdef.written(tmp_path, LEF, DEF))
    assert d.cell_names == ["u1", "u2", "u3", "tap", "kept", "ram", "in", "__blockage_0"]
    assert [d.cell_names[c] for c in d.pin_cell] == ["in", "u1", "u1", "u2", "ram"]
    assert "2 fillers (FILL: CLASS CORE SPACER) are left out" in d.notes[0]
    told = score(d, d.initial)
    assert told["legal"] and told["cells"] == 8 and told["notes"] == list(d.notes)


def test_a_filler_that_a_signal_joins_is_a_cell(tmp_path: Path) -> None:
    joined = DEF.replace("( u1 A ) ( PIN in )", "( u1 A ) ( f1 VDD ) ( PIN in )")
    assert "f1" in load(test_lefdef.written(tmp_path, LEF, joined)).cell_names


def test_a_placed_def_is_written_without_them(tmp_path: Path) -> None:
    d = load(test_lefdef.written(tmp_path, LEF, DEF))
    save_placement(tmp_path / "placed.def", d, d.initial)
    assert (tmp_path / "placed.def").read_text() == without_fillers()
    again = load(tmp_path / "placed.def", [tmp_path / "tiny.lef"])
    assert again.cell_names == d.cell_names and not again.notes


def test_a_placement_with_fillers_is_read_for_a_design_without(tmp_path: Path) -> None:
    bare = load(test_lefdef.written(tmp_path, LEF, without_fillers()))
    (tmp_path / "filled.def").write_text(DEF.replace("( 200 0 ) N", "( 0 0 ) N"))
    assert load_placement(tmp_path / "filled.def", bare).x[0] == 300


def test_a_floorplan_full_of_fillers_is_placed(tmp_path: Path) -> None:
    fills = "".join(f"- g{i} FILL + PLACED ( {i * 400} 0 ) N ;\n" for i in range(30))
    full = DEF.replace("COMPONENTS 8 ;\n", f"COMPONENTS 38 ;\n{fills}")
    d = load(test_lefdef.written(tmp_path, LEF, full))
    placed = place(d, threads=1, archive=Archive(tmp_path / "archive"))
    assert placed.legal and "32 fillers" in placed.report["notes"][0]


L_SHAPED = "( 0 0 ) ( 0 4000 ) ( 10000 4000 ) ( 10000 1000 ) ( 20000 1000 ) ( 20000 0 )"


def test_nothing_is_placed_outside_a_polygonal_die(tmp_path: Path) -> None:
    content = DEF.replace("( 0 0 ) ( 20000 4000 ) ;", L_SHAPED + " ;").replace(
        "( 8000 2000 ) E", "( 8000 0 ) E"
    )
    d = load(test_lefdef.written(tmp_path, LEF, content))
    assert d.die == (0, 0, 20000, 4000) and d.cell_names[-1] == "__blockage_1"
    out = d.initial.copy()
    out.x[1], out.y[1] = 12300, 1500
    assert not score(d, out)["legal"], "the row goes on there, the die does not"
    placed = place(d, threads=1, archive=Archive(tmp_path / "archive"))
    _, _, right, top = d.boxes(placed.placement)
    assert placed.legal and not ((right[:3] > 10000) & (top[:3] > 1000)).any()


def test_a_die_with_slanted_sides_is_refused(tmp_path: Path) -> None:
    content = DEF.replace("( 20000 4000 ) ;", "( 0 4000 ) ( 20000 4000 ) ;")
    with pytest.raises(KerfError, match="horizontal and vertical sides"):
        load(test_lefdef.written(tmp_path, LEF, content))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6), st.booleans())
def test_the_outside_is_the_box_without_the_polygon(steps: list[tuple[int, int]], turned: bool) -> None:
    """Histograms: columns of some width and height on a base, in either sense of turning."""
    corners, x = [(0, 0)], 0
    for wide, high in steps:
        corners += [(x, high), (x + wide, high)]
        x += wide
    corners.append((x, 0))
    found = outside([(float(a), float(b)) for a, b in (corners[::-1] if turned else corners)])
    assert found is not None
    tallest = max(high for _, high in steps)
    inside = np.repeat([high for _, high in steps], [wide for wide, _ in steps])
    covered = np.zeros((x, tallest), np.int64)
    for left, bottom, right, top in found:
        covered[int(left) : int(right), int(bottom) : int(top)] += 1
    np.testing.assert_array_equal(covered, np.arange(tallest) >= inside[:, None])
