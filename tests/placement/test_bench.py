"""The placement benchmark's own arithmetic: what it prints must mean what it says."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import test_lefdef
from made import design

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import placement_measure
import placement_peers
import placement_stages
import placement_whole
from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Kind, Placement
from kerf.placement.formats import load
from placement_synthetic import synthetic
from placement_table import Results, Row, markdown

ROWS = [
    Row("g", "a", "HPWL", "um", 90.0, 100.0, "them", True, 1.0, 2.0, command="run a"),
    Row("g", "b", "HPWL", "um", 110.0, 100.0, "them", False, command="run b"),
    Row("g", "c", "HPWL", "um", math.nan, problem="KerfError: no file"),
]


def test_rows_are_kept_as_they_come_and_replaced_when_measured_again(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "rows.json"
    first = Results(out)
    for row in ROWS:
        first.add(row)
        assert len(json.loads(out.read_text())["rows"]) == len(first.rows)
    again = Results(out)
    assert again.has("g", "a") and not again.has("g", "c") and not again.has("g", "d")
    again.add(Row("g", "c", "HPWL", "um", 50.0, 100.0))
    again.add(replace(ROWS[0], ours=80.0))
    kept = {k: r.ours for k, r in Results(out).rows.items()}
    assert kept == {("g", "a", "HPWL"): 80.0, ("g", "b", "HPWL"): 110.0, ("g", "c", "HPWL"): 50.0}


def test_the_table_has_ratios_their_mean_and_every_command() -> None:
    table = markdown(ROWS)
    assert "| g | a | HPWL, um | 90 | 100 | them | 0.9000 | yes | 1.0 | 2.0 | 0 |" in table
    assert "1.1000 | NO" in table and "KerfError: no file" in table
    mean = math.sqrt(0.9 * 1.1)
    assert f"geometric mean of 2 ratios {mean:.4f}, worst 1.1000" in table
    assert "g/a: `run a`" in table


def test_synthetic_netlists_have_the_pins_and_the_room_that_they_promise() -> None:
    made, again = synthetic(5000, 3), synthetic(5000, 3)
    np.testing.assert_array_equal(made.pin_cell, again.pin_cell)
    assert not np.array_equal(made.pin_cell, synthetic(5000, 4).pin_cell)
    assert 3.2 < made.pins / made.nets < 3.6
    cells = made.kind == Kind.CELL
    room = sum(made.rows.sites * made.rows.height)
    assert cells.sum() == 5000 and 0.69 < (made.width * made.height)[cells].sum() / room < 0.71
    assert np.isfinite(made.initial.x[~cells]).all() and np.isnan(made.initial.x[cells]).all()


def test_moving_what_is_fixed_is_not_legal() -> None:
    kinds = np.array([Kind.CELL, Kind.PORT], np.int8)
    made = design(1, cells=2, kind=kinds, fixed=kinds == Kind.PORT, width=np.ones(2), height=np.full(2, 10.0))
    placed = Placement(np.array([5.5, 0.0]), np.array([5.0, 0.0]), np.zeros(2, np.int64))
    made = replace(made, initial=placed, tolerance=1e-6)
    assert placement_measure.judge(made, placed).legal
    moved = replace(placed, x=np.array([5.5, 1.0]))
    assert placement_measure.judge(made, moved).details == {"fixed_moved": 1}
    assert not placement_measure.judge(made, moved).legal
    blank = placement_measure.blank(made)
    assert np.isnan(blank.initial.x[0]) and blank.initial.x[1] == 0.0
    assert placement_measure.judge(blank, placed).legal


def test_overflow_is_the_area_above_the_target_over_all() -> None:
    """Two cells, each a quarter of the die: beside each other, on each other, on something fixed."""
    kinds = np.array([Kind.CELL, Kind.CELL], np.int8)
    size = np.full(2, 20.0)
    made = design(1, cells=2, kind=kinds, fixed=kinds == Kind.PORT, width=size, height=size)
    both = Placement(np.full(2, 10.0), np.full(2, 10.0), np.zeros(2, np.int64))
    apart = replace(both, x=np.array([10.0, 30.0]))
    free = placement_stages.overflow(made, apart)
    assert free == pytest.approx(0.3), "each bin under a cell is full, and may be 0.7 full"
    assert placement_stages.overflow(made, both) == pytest.approx((2 - 0.7) / 2)
    held = replace(made, fixed=np.array([True, False]), initial=both)
    assert placement_stages.overflow(held, both) == pytest.approx(1.0), "no room under what is fixed"


def test_published_macros_are_put_where_they_were(tmp_path: Path) -> None:
    loose = test_lefdef.DEF.replace("RAM + FIXED", "RAM + PLACED")
    d = placement_measure.blank(load(test_lefdef.written(tmp_path, content=loose)))
    listed = tmp_path / "places.json"
    listed.write_text(json.dumps({"SA": {"ram": [6.0004, 2.0, "FN"]}, "AC": {"rom": [1, 1, "N"]}}))
    placed = placement_whole.with_macros(d, listed, "SA")
    ram = d.cell_names.index("ram")
    assert placed.fixed[ram] and not d.fixed[ram] and not placed.fixed[0]
    assert (placed.initial.x[ram], placed.initial.y[ram]) == (6000.0, 2000.0)
    assert placed.initial.orient[ram] == orient.FN
    with pytest.raises(KerfError, match="AC does not place the design's macros"):
        placement_whole.with_macros(d, listed, "AC")


def test_cases_of_any_layout_have_names_of_their_own() -> None:
    deep = [Path(f"/b/{case}/netlist/ct/netlist.pb.txt") for case in ("ibm01", "ibm02")]
    assert placement_whole.named(deep) == {"ibm01": deep[0], "ibm02": deep[1]}
    odd = [Path("/b/a/netlist.pb.txt"), Path("/b/c/x/netlist.pb.txt"), Path("/b/c/y/netlist.pb.txt")]
    assert list(placement_whole.named(odd)) == ["a", "c/x", "c/y"]
    assert placement_whole.named(odd[:1]) == {"a": odd[0]} and placement_whole.named([]) == {}


def test_a_legalized_placement_starts_no_case(tmp_path: Path) -> None:
    netlist = tmp_path / "netlist.pb.txt"
    for name in ("legalized.plc", "b.plc", "a.plc.gz"):
        (tmp_path / name).touch()
    assert placement_whole.start_of(netlist) == [tmp_path / "a.plc.gz"]
    (tmp_path / "initial.plc").touch()
    assert placement_whole.start_of(netlist) == []


def test_a_peer_is_told_what_we_are_told() -> None:
    made = synthetic(30, 1)
    kind = made.kind.copy()
    kind[0] = Kind.MACRO
    first = made.initial.copy()
    first.x[0], first.y[0], first.orient[0] = 20.25, 30.5, orient.E
    made = replace(made, kind=kind, initial=first, fixed=made.fixed | (kind == Kind.MACRO))
    told = placement_peers._circuit(made)
    w, h = made.height[0], made.width[0]  # on its side
    left, bottom = math.floor(20.25 - w / 2), math.floor(30.5 - h / 2)
    assert (told["x"][0], told["y"][0]) == (left, bottom)
    assert told["width"][0] == math.ceil(20.25 + w / 2) - left
    x, y = made.pin_positions(first)
    for net, (cells, px, py) in enumerate(told["nets"]):
        for k, cell in enumerate(cells):
            pin = made.net_start[net] + k
            if made.fixed[cell]:
                assert abs(told["x"][cell] + px[k] - x[pin]) <= 0.5
                assert abs(told["y"][cell] + py[k] - y[pin]) <= 0.5
    lower = [told["x"], told["y"], ["N"] * made.cells]
    back = placement_peers._placement(made, lower)
    np.testing.assert_array_equal(back.x[made.fixed], first.x[made.fixed])
    assert back.x[1] == made.width[1] / 2
