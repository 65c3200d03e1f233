from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Kind
from kerf.placement.formats import bookshelf, load, load_placement, save_placement
from kerf.placement.formats.text import FormatError
from kerf.placement.hpwl import hpwl

FILES = {
    "a.aux": "RowBasedPlacement : a.nodes a.nets a.wts a.pl a.scl a.shapes\n",
    "a.nodes": """UCLA nodes 1.0
# a comment
NumNodes : 5
NumTerminals : 2
  a 2 10
  b 4 10   # another
  m 12 20
  p 1 1 terminal
  t 6 30 terminal
""",
    "a.nets": """UCLA nets 1.0
NumNets : 2
NumPins : 5
NetDegree : 3 n0
  a O : 0.5 -2
  m I : 1.5 3.25 : D
  p B
NetDegree : 2 n1
  b I
  t O : 1 1
""",
    "a.wts": "UCLA wts 1.0\n a 20\n n1 3\n",
    "a.pl": """UCLA pl 1.0
a 0 0 : N
b 10.5 10 : FS
m 20 20 : E
p 39 39 : N
t 30 0 : N /FIXED
""",
    "a.scl": """UCLA scl 1.0
Numrows : 2
CoreRow Horizontal
 Coordinate : 0
 Height : 10
 Sitewidth : 1
 Sitespacing : 1
 Siteorient : N
 Sitesymmetry : Y
 SubrowOrigin : 0 Numsites : 20
 SubrowOrigin : 22 NumSites : 18
End
CoreRow Horizontal
 Coordinate : 10
 Height : 10
 Sitewidth : 1
 Sitespacing : 1
 Siteorient : FS
 SubrowOrigin : 0 Numsites : 40
End
""",
    "a.shapes": "shapes 1.0\nNumNonRectangularNodes : 1\nt : 2\n S0 30 0 6 10\n S1 30 10 3 20\n",
}


def written(folder: Path, **changed: str) -> Path:
    for name, content in FILES.items():
        (folder / name).write_text(changed.get(name.replace(".", "_"), content))
    return folder / "a.aux"


def test_what_is_read(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    assert d.cell_names == ["a", "b", "m", "p", "t"]
    assert list(d.kind) == [Kind.CELL, Kind.CELL, Kind.MACRO, Kind.PORT, Kind.MACRO]
    assert list(d.fixed) == [False, False, False, True, True]
    assert d.die == (0, 0, 40, 20) and len(d.rows) == 3 and list(d.net_weight) == [1, 3]
    assert (d.initial.x[2], d.initial.y[2]) == (30, 26), "E turns a 12 by 20 macro on its side"
    px, py = d.pin_positions(d.initial)
    assert (px[1], py[1]) == (30 + 3.25, 26 - 1.5), "E sends an offset (x, y) to (y, -x)"
    assert hpwl(d, d.initial) == (39.5 - 1.5) + (39.5 - 3) + 3 * ((34 - 12.5) + (16 - 15))


def test_gzip_is_seen_through(tmp_path: Path) -> None:
    plain = load(written(tmp_path))
    for name in FILES:
        (tmp_path / "z").mkdir(exist_ok=True)
        (tmp_path / "z" / f"{name}.gz").write_bytes(gzip.compress(FILES[name].encode()))
    packed = load(tmp_path / "z" / "a.aux.gz")
    assert packed.name == "a" and hpwl(packed, packed.initial) == hpwl(plain, plain.initial)


def test_round_trip_loses_nothing(tmp_path: Path) -> None:
    first = load(written(tmp_path))
    bookshelf.write(tmp_path / "out" / "b.aux.gz", first, first.initial)
    again = load(tmp_path / "out" / "b.aux.gz")
    for field in ("cell_names", "net_names", "die", "source"):
        assert getattr(first, field) == getattr(again, field), field
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
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field), field)
    for part in ("rows", "initial"):
        for key, value in vars(getattr(first, part)).items():
            np.testing.assert_array_equal(value, getattr(getattr(again, part), key), key)
    np.testing.assert_array_equal(first.rects[4], again.rects[4])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 7)), min_size=5, max_size=5)
)
def test_a_placement_survives_its_file(tmp_path_factory: pytest.TempPathFactory, places: list) -> None:
    folder = tmp_path_factory.mktemp("pl")
    d = load(written(folder))
    moved = d.initial.copy()
    moved.x[:], moved.y[:], moved.orient[:] = map(np.array, zip(*places))
    save_placement(folder / "moved.pl", d, moved)
    again = load_placement(folder / "moved.pl", d)
    np.testing.assert_allclose(again.x, moved.x, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(again.y, moved.y, rtol=1e-11, atol=1e-9)
    np.testing.assert_array_equal(again.orient, moved.orient)


def test_cells_that_a_placement_leaves_out_keep_their_place(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    (tmp_path / "one.pl").write_text("UCLA pl 1.0\na 5 10 : FS\n")
    moved = load_placement(tmp_path / "one.pl", d)
    assert (moved.x[0], moved.y[0], moved.orient[0]) == (6, 15, orient.FS)
    np.testing.assert_array_equal(moved.x[1:], d.initial.x[1:])


BROKEN = [
    ("a_nodes", "  b 4 10 ", "  a 4 10 ", "a.nodes:6: expected a name not used before"),
    ("a_nodes", "b 4 10", "b four 10", "a.nodes:6: expected a width, found 'four'"),
    ("a_nodes", "b 4 10", "b nan 10", "a.nodes:6: expected a width, finite"),
    ("a_nodes", "b 4 10", "b -4 10", "a.nodes:6: expected a size that is not negative"),
    ("a_nodes", "  t 6 30 terminal\n", "", "expected 5 nodes before the end of the file, found '4 nodes'"),
    ("a_nets", "  p B\n", "", "a.nets:7: expected 1 more pins of net n0"),
    ("a_nets", "  t O : 1 1\n", "", "a.nets:9: expected 1 more pins of net n1"),
    ("a_nets", "p B", "q B", "a.nets:7: expected the name of a node, found 'q'"),
    ("a_nets", "p B", "p X", "a.nets:7: expected `NODE I|O|B : X Y`"),
    ("a_nets", "NumPins : 5", "NumPins : 6", "expected NumPins 6"),
    ("a_nets", "p B", "p B : 1", "a.nets:7: expected `NODE I|O|B : X Y`"),
    ("a_pl", "b 10.5 10 : FS", "b 10.5 10 : Z", "a.pl:3: expected an orientation"),
    ("a_pl", "b 10.5 10", "b 10.5", "a.pl:3"),
    ("a_pl", "/FIXED", "/MAYBE", "a.pl:6: expected /FIXED"),
    ("a_scl", "Numrows : 2", "Numrows : 3", "expected 3 rows"),
    ("a_scl", " Height : 10\n", "", "expected height before End"),
    ("a_wts", "n1 3", "n7 3", "a.wts:3: expected the name of a net or node, found 'n7'"),
    ("a_aux", "a.nets", "a.net", "a.net: no such file"),
    ("a_aux", "a.pl", "", "expected a .pl file"),
]


@pytest.mark.parametrize("key,old,new,says", BROKEN, ids=[b[3][:40] for b in BROKEN])
def test_a_malformed_file_is_refused(tmp_path: Path, key: str, old: str, new: str, says: str) -> None:
    content = FILES[key.replace("_", ".")]
    assert old in content
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, **{key: content.replace(old, new, 1)}))
    assert says in str(refusal.value)


def test_binary_and_truncated_files_are_refused(tmp_path: Path) -> None:
    aux = written(tmp_path)
    packed = gzip.compress(FILES["a.nodes"].encode())
    for content, says in ((b"UCLA\n\0\1\2", "a.nodes:2"), (packed[:-20], "cut short"), (b"", "no nodes")):
        (tmp_path / "a.nodes").write_bytes(content)
        with pytest.raises(KerfError, match=says if says != "no nodes" else "name of a node"):
            load(aux)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_damage_to_a_file_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Fuzz: cut, double or garble a stretch; the answer is a design or a KerfError, never another exception."""
    content = FILES[name]
    at = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(
        st.sampled_from(["", ":", " ", "\n", "-1", "1e999", "nan", "\x01", "é", content[at : at + 9]])
    )
    broken = content[:at] + junk + content[at + length :]
    try:
        load(written(tmp_path_factory.mktemp("fuzz"), **{name.replace(".", "_"): broken}))
    except FormatError as refusal:
        assert refusal.line >= 0 and refusal.path
    except KerfError:
        pass
