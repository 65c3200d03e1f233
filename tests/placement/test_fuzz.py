"""Damaged files of every format: the answer is a design, or a refusal that names the file; never another exception, never a hang. What is
accepted can be measured, written and read again without loss."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import damage
import numpy as np
import pytest
import test_bookshelf
import test_circuit_training
import test_lefdef
import test_verilog
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement.design import Design
from kerf.placement.formats import load, load_placement, save
from kerf.placement.formats.text import FormatError
from kerf.placement.hpwl import hpwl
from kerf.placement.score import score

WRITERS: dict[str, Callable[[Path], Path]] = {
    "bookshelf": test_bookshelf.written,
    "circuit_training": test_circuit_training.written,
    "lefdef": test_lefdef.written,
    "verilog": test_verilog.written,
}
PLACEMENTS = {
    "bookshelf": "a.pl",
    "circuit_training": "initial.plc",
    "lefdef": "tiny.def",
    "verilog": "top.def",
}
HANG_S = 10.0


@contextlib.contextmanager
def answered(folder: Path, done: str) -> Iterator[None]:
    """Either no exception, or a refusal in time whose message has the file and is short enough to read."""
    began = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except KerfError as refusal:
        assert len(str(refusal)) < 600 and str(refusal), done
        if isinstance(refusal, FormatError):
            assert refusal.line >= 0 and Path(refusal.path).parent == folder, done
    assert time.monotonic() - began < HANG_S, f"{done}: hangs"


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_design_is_read_or_refused(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = WRITERS[name](folder)
        done = damage.harm(seed, sorted(folder.iterdir()))
        with answered(folder, done):
            d = load(path)
            survives(d, folder, path, done)


def survives(d: Design, folder: Path, path: Path, done: str) -> None:
    """A design that was accepted is measured, written, and read again as the same."""
    with contextlib.suppress(KerfError):  # cells without a place have no wirelength
        assert np.isfinite(score(d, d.initial)["hpwl"]), done
    (folder / "out").mkdir()
    beside = [Path(shutil.copy(p, folder / "out")) for p in folder.iterdir() if p.suffix in (".lef", ".v")]
    out = folder / "out" / path.with_suffix(".def" if path.suffix == ".v" else path.suffix).name
    save(out, d, d.initial)
    again = load(folder / "out" / path.name, [p for p in beside if p.suffix == ".lef"])
    np.testing.assert_allclose(hpwl(again, again.initial), hpwl(d, d.initial), rtol=1e-9, err_msg=done)
    assert sorted(again.cell_names) == sorted(d.cell_names) and again.die == d.die, done
    if d.format == "verilog":
        return  # what the floorplan lacked now stands among its components: the cells have another order
    assert again.cell_names == d.cell_names and again.net_names == d.net_names, done
    for field in (
        "width",
        "height",
        "kind",
        "fixed",
        "net_start",
        "net_weight",
        "pin_cell",
        "pin_x",
        "pin_y",
    ):
        np.testing.assert_allclose(getattr(again, field), getattr(d, field), rtol=1e-9, err_msg=done)
    assert again.rows.x.tolist() == d.rows.x.tolist() and again.grid == d.grid, done


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_placement_is_read_or_refused(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        d = load(WRITERS[name](folder))
        placed = folder / PLACEMENTS[name]
        done = damage.harm(seed, [placed])
        with answered(folder, done):
            found = load_placement(placed, d)
            assert found.x.shape == found.y.shape == found.orient.shape == (d.cells,), done
            assert ((found.orient >= 0) & (found.orient < 8)).all(), done
            assert not np.isinf(found.x).any() and not np.isinf(found.y).any(), done
