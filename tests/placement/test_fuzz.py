"""Damaged files of every format: the answer is a design, or a refusal that names the file; never another exception, never a hang. What is
accepted can be measured, written and read again without loss."""

from __future__ import annotations

import contextlib
import gzip
import re
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


NOTHING_JOINED = {
    "bookshelf": ("a.nets", None, "UCLA nets 1.0\nNumNets : 0\nNumPins : 0\n"),
    "circuit_training": ("netlist.pb.txt", r"  input: .*\n", ""),
    "lefdef": ("tiny.def", r"(?s)(?<=\n)NETS.*END NETS\n", ""),
    "verilog": ("top.v", r"(?s)\(\.A.*?\);|\(\.D.*?\);", "();"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_zero_nets_are_no_wirelength(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    changed, pattern, new = NOTHING_JOINED[name]
    content = (tmp_path / changed).read_text()
    (tmp_path / changed).write_text(re.sub(pattern, new, content) if pattern else new)
    if name == "bookshelf":
        (tmp_path / "a.wts").write_text("UCLA wts 1.0\n")
    d = load(path)
    joined = int((np.diff(d.net_start) > 1).sum())
    assert joined == 0 and hpwl(d, d.initial) == 0.0
    if name in ("bookshelf", "circuit_training"):
        assert score(d, d.initial)["hpwl"] == 0.0


@pytest.mark.parametrize("name", WRITERS)
def test_every_file_is_refused_where_its_gzip_is_cut_short(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        packed = gzip.compress(whole)
        file.write_bytes(packed[: len(packed) * 2 // 3])
        with pytest.raises(KerfError, match=f"{file.name}: the gzip data is damaged or cut short"):
            load(path)
        file.write_bytes(packed)
        load(path)


TWICE = [
    ("bookshelf", "a.nodes", "  b 4 10 ", "  a 4 10 "),
    ("circuit_training", "netlist.pb.txt", 'name: "g"', 'name: "m/ram"'),
    ("circuit_training", "netlist.pb.txt", 'name: "g/in"', 'name: "g/out"'),
    ("lefdef", "tiny.def", "- u2 INV", "- u1 INV"),
    ("verilog", "top.v", "INV u1", "INV tied"),
]


@pytest.mark.parametrize("name,file,old,new", TWICE, ids=[f"{t[0]} {t[3].strip()}" for t in TWICE])
def test_a_name_used_twice_is_refused_with_its_line(
    name: str, file: str, old: str, new: str, tmp_path: Path
) -> None:
    path = WRITERS[name](tmp_path)
    content = (tmp_path / file).read_text()
    assert old in content
    (tmp_path / file).write_text(content.replace(old, new, 1))
    with pytest.raises(FormatError, match=r"a name not used before") as refusal:
        load(path)
    assert refusal.value.line > 1 and refusal.value.path.endswith(file)


@pytest.mark.parametrize("word", ["nan", "inf", "1e999", "-1e300", "ten"])
@pytest.mark.parametrize(
    "name,file,old",
    [
        ("bookshelf", "a.nodes", "b 4 10"),
        ("bookshelf", "a.scl", "Height : 10"),
        ("circuit_training", "initial.plc", "Width : 100.0  Height : 10"),
        ("lefdef", "tiny.lef", "SIZE 0.6 BY 10"),
        ("lefdef", "tiny.def", "UNITS DISTANCE MICRONS 10"),
    ],
)
def test_a_size_that_is_no_number_is_refused_with_its_line(
    name: str, file: str, old: str, word: str, tmp_path: Path
) -> None:
    path = WRITERS[name](tmp_path)
    content = (tmp_path / file).read_text()
    stem = old.removesuffix("10")
    at = content.index(stem) + len(stem)
    broken = content[:at] + re.sub(r"^[\d.]+", word, content[at:], count=1)
    (tmp_path / file).write_text(broken)
    with pytest.raises(FormatError) as refusal:
        load(path)
    assert refusal.value.path.endswith(file) and refusal.value.line > 1
