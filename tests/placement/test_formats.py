from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_bookshelf
import test_circuit_training
import test_lefdef

from kerf.core.types import KerfError
from kerf.placement.design import Kind
from kerf.placement.formats import load, save
from kerf.placement.hpwl import hpwl


@pytest.mark.parametrize(
    "origin", [test_bookshelf, test_circuit_training, test_lefdef], ids=lambda m: m.__name__
)
def test_any_design_can_be_written_as_bookshelf(tmp_path: Path, origin: object) -> None:
    d = load(origin.written(tmp_path))
    save(tmp_path / "out" / "b.aux", d, d.initial)
    again = load(tmp_path / "out" / "b.aux")
    assert again.cell_names == d.cell_names and again.net_names == d.net_names
    np.testing.assert_array_equal(again.initial.x, d.initial.x)
    np.testing.assert_array_equal(again.fixed, d.fixed)
    np.testing.assert_array_equal(again.kind == Kind.PORT, d.kind == Kind.PORT)
    assert hpwl(again, again.initial) == pytest.approx(hpwl(d, d.initial))


def test_a_design_is_written_in_its_own_format(tmp_path: Path) -> None:
    d = load(test_lefdef.written(tmp_path))
    save(tmp_path / "again.def", d, d.initial)
    assert (tmp_path / "again.def").read_text() == test_lefdef.DEF
    d = load(test_circuit_training.written(tmp_path))
    save(tmp_path / "out" / "netlist.pb.txt", d, d.initial)
    assert (tmp_path / "out" / "netlist.pb.txt").read_text() == test_circuit_training.NETLIST


@pytest.mark.parametrize(
    "name,says",
    [
        ("a.v", "write the placement as .def"),
        ("a.def", "with a DEF"),
        ("a.pb.txt", "Circuit Training's format"),
        ("a.gds", "not a design"),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, name: str, says: str) -> None:
    d = load(test_bookshelf.written(tmp_path))
    with pytest.raises(KerfError, match=says):
        save(tmp_path / name, d, d.initial)
