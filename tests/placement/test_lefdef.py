from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Kind
from kerf.placement.formats import load, load_placement, save_placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check

LEF = """VERSION 5.8 ;
UNITS
  DATABASE MICRONS 2000 ;
END UNITS
LAYER M1
  TYPE ROUTING ;
END M1
SITE core
  CLASS CORE ;
  SIZE 0.2 BY 1.0 ;
END core
MACRO INV
  CLASS CORE ;
  ORIGIN 0 0 ;
  SIZE 0.6 BY 1.0 ;
  SITE core ;
  PIN A
    DIRECTION INPUT ;
    PORT
      LAYER M1 ;
        RECT 0.0 0.2 0.2 0.4 ;
        RECT 0.0 0.6 0.2 0.8 ;
    END
  END A
  PIN Z
    DIRECTION OUTPUT ;
    PORT
      LAYER M1 ;
      POLYGON 0.4 0.0 0.6 0.0 0.6 0.8 0.4 0.8 ;
    END
  END Z
  OBS
    LAYER M1 ;
      RECT 0 0 0.6 0.1 ;
  END
END INV
MACRO RAM # a block
  CLASS BLOCK ;
  ORIGIN 1 0 ;
  SIZE 4 BY 2 ;
  PIN Q DIRECTION OUTPUT ; PORT LAYER M1 ; RECT -1 0 -0.8 0.2 ; END END Q
END RAM
END LIBRARY
"""
DEF = """VERSION 5.8 ;
DIVIDERCHAR "/" ;
DESIGN tiny ;
UNITS DISTANCE MICRONS 1000 ;
DIEAREA ( 0 0 ) ( 20000 4000 ) ;
# a comment ; with a semicolon
ROW r0 core 0 0 N DO 100 BY 1 STEP 200 0 ;
ROW r1 core 0 1000 FS DO 100 BY 1 STEP 200 0 ;
TRACKS X 100 DO 10 STEP 200 LAYER M1 ;
COMPONENTS 4 ;
- u1 INV + PLACED ( 200 0 ) N ;
- u2 INV + SOURCE DIST + PLACED ( 1000 1000 ) FS + WEIGHT 2 ;
- u3 INV ;
- ram RAM + FIXED ( 8000 2000 ) E ;
END COMPONENTS
PINS 1 ;
- in + NET n1 + DIRECTION INPUT + USE SIGNAL
  + LAYER M1 ( -100 0 ) ( 100 400 ) + FIXED ( 0 2000 ) E ;
END PINS
BLOCKAGES 2 ;
- PLACEMENT RECT ( 15000 0 ) ( 20000 1000 ) ;
- PLACEMENT + SOFT RECT ( 0 0 ) ( 1000 1000 ) ;
END BLOCKAGES
SPECIALNETS 1 ;
- VDD ( * VDD ) + USE POWER ;
END SPECIALNETS
NETS 3 ;
- n1 ( u1 A ) ( PIN in ) + USE SIGNAL ;
- n2 ( u2 A ) ( u1 Z ) ( ram Q + SYNTHESIZED ) + WEIGHT 3
  + ROUTED M1 ( 100 100 ) ( 300 * ) ;
- gnd ( u1 A ) + USE GROUND ;
END NETS
END DESIGN
"""


def written(folder: Path, lef: str = LEF, content: str = DEF) -> Path:
    (folder / "tiny.lef").write_text(lef)
    (folder / "tiny.def").write_text(content)
    return folder / "tiny.def"


def test_what_is_read(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    assert d.cell_names == ["u1", "u2", "u3", "ram", "in", "__blockage_0"]
    assert list(d.kind) == [Kind.CELL, Kind.CELL, Kind.CELL, Kind.MACRO, Kind.PORT, Kind.MACRO]
    assert list(d.fixed) == [False, False, False, True, True, True]
    assert (d.unit, d.per_um, d.die, len(d.rows)) == ("dbu", 1000, (0, 0, 20000, 4000), 2)
    assert np.isnan(d.initial.x[2]), "u3 has no place yet"
    assert d.net_names == ["n1", "n2"] and list(d.net_weight) == [1, 3]
    assert [d.cell_names[c] for c in d.pin_cell] == ["in", "u1", "u1", "u2", "ram"], "drivers come first"
    x, y = d.pin_positions(d.initial)
    assert (x[0], y[0]) == (200, 2000), "E turns the shape (0, 200) of a pin to (200, 0)"
    assert (x[1], y[1]) == (300, 500), "the mean of two rectangles"
    assert (x[2], y[2]) == (200 + 500, 400)
    assert (x[3], y[3]) == (1000 + 100, 1000 + 500), "FS mirrors upside down"
    assert (x[4], y[4]) == (8000 + 100, 2000 + 4000 - 100), "E sends the lower left corner to the upper left"
    lengths = (300 - 200) + (2000 - 500), (8100 - 700) + (5900 - 400)
    assert hpwl(d, d.initial) == lengths[0] + 3 * lengths[1]


def test_the_rest_of_the_text_survives(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    save_placement(tmp_path / "same.def", d, d.initial)
    assert (tmp_path / "same.def").read_text() == DEF
    moved = d.initial.copy()
    moved.x[2], moved.y[2], moved.orient[2] = 2300, 500, orient.FN
    save_placement(tmp_path / "moved.def", d, moved)
    assert (tmp_path / "moved.def").read_text() == DEF.replace(
        "- u3 INV ;", "- u3 INV + PLACED ( 2000 0 ) FN ;"
    )
    again = load_placement(tmp_path / "moved.def", d)
    np.testing.assert_array_equal(again.x, moved.x)
    np.testing.assert_array_equal(again.orient, moved.orient)
    assert check(d, again).legal


def test_a_placement_in_other_units_is_converted(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    finer = DEF.replace("MICRONS 1000", "MICRONS 2000").replace("( 200 0 ) N", "( 401 0 ) N")
    (tmp_path / "finer.def").write_text(finer)
    assert load_placement(tmp_path / "finer.def", d).x[0] == 200.5 + 300


def test_rows_and_blockages_are_checked(tmp_path: Path) -> None:
    moved = DEF.replace("- u3 INV ;", "- u3 INV + PLACED ( 15000 0 ) N ;").replace(
        "( 200 0 ) N", "( 250 0 ) N"
    )
    d = load(written(tmp_path, content=moved))
    found = check(d, d.initial)
    assert found.overlaps.pairs.tolist() == [[2, 5]] and found.off_site.tolist() == [0]


def test_a_def_without_lef_says_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "tiny.lef").unlink()
    with pytest.raises(KerfError, match="name it with --lef"):
        load(path)


BROKEN = [
    ("- u2 INV", "- u2 INX", "tiny.def:12: expected a MACRO of the LEF for component u2, found 'INX'"),
    ("- u2 INV", "- u1 INV", "tiny.def:12: expected a name not used before"),
    ("( 200 0 ) N", "( 200 zero ) N", "tiny.def:11: expected a coordinate, found 'zero'"),
    ("( 200 0 ) N", "( 200 0 ) R0", "tiny.def:11: expected an orientation"),
    ("COMPONENTS 4", "COMPONENTS 5", "expected 5 COMPONENTS before their END, found '4'"),
    ("( u1 Z )", "( u9 Z )", "expected a component of the COMPONENTS section, found 'u9'"),
    ("( u1 Z )", "( u1 Y )", "expected a pin of macro INV at component u1, found 'Y'"),
    ("( u1 Z )", "( u1 )", "`( COMPONENT PIN )` in net n2"),
    ("( PIN in )", "( PIN out )", "expected a pin of the PINS section"),
    ("ROW r0 core", "ROW r0 cora", "tiny.def:7: expected a SITE that the LEF defines"),
    ("END NETS\nEND DESIGN\n", "", "expected `END NETS`, found 'the end of the file'"),
    ("END PINS\n", "", "expected `-` or `END PINS`, found 'BLOCKAGES 2'"),
    ("DIEAREA ( 0 0 ) ( 20000 4000 ) ;\n", "", "expected UNITS and DIEAREA"),
    ("MICRONS 1000", "MICRONS 0", "a positive number of units"),
]


@pytest.mark.parametrize("old,new,says", BROKEN, ids=[b[2][:40] for b in BROKEN])
def test_a_malformed_def_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in DEF
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, content=DEF.replace(old, new, 1)))
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "old,new,says",
    [
        ("SIZE 0.6 BY 1.0", "SIZE 0.6 1.0", "tiny.lef:15: expected `SIZE WIDTH BY HEIGHT`"),
        ("  SIZE 0.6 BY 1.0 ;\n", "", "a SIZE in macro INV"),
        ("END INV", "END INW", "expected `END INV`, found 'INW'"),
        ("0.6 0.8 0.4", "0.6 0.4", "pairs of coordinates"),
        ("END LIBRARY\n", "MACRO X\n", "`END X`, found 'the end of the file'"),
    ],
)
def test_a_malformed_lef_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in LEF
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, lef=LEF.replace(old, new, 1)))
    assert says in str(refusal.value)


@settings(max_examples=80, deadline=None)
@given(st.booleans(), st.data())
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, lef: bool, data: st.DataObject
) -> None:
    content = LEF if lef else DEF
    at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 30))
    junk = data.draw(
        st.sampled_from(["", ";", " ; ", "(", "END", "\n", "-1", "1e999", "nan", "é", "- ", "#"])
    )
    broken = content[:at] + junk + content[at + length :]
    with contextlib.suppress(KerfError):
        load(written(tmp_path_factory.mktemp("fuzz"), **{"lef" if lef else "content": broken}))
