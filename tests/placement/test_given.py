from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_lefdef
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from made import design

from kerf.core.types import KerfError
from kerf.placement.constraints import Halo, Keepout, Region
from kerf.placement.constraints.given import given
from kerf.placement.design import Design
from kerf.placement.formats import load, save_placement
from kerf.placement.formats.def_floorplan import floorplan

REGIONS = """REGIONS 3 ;
- core ( 0 0 ) ( 3000 2000 ) + TYPE FENCE ;
- ell ( 0 0 ) ( 1000 500 ) ( 2000 4000 ) ( 0 500 ) ;
- hint ( 0 0 ) ( 10 10 ) + TYPE GUIDE ;
END REGIONS
"""
GROUPS = """GROUPS 3 ;
- g1 u* + REGION core ;
- g2 u3 ram + REGION hint ;
- g3 ram u1 ;
END GROUPS
"""
DEF = (
    test_lefdef.DEF.replace("COMPONENTS 4", REGIONS + "COMPONENTS 4")
    .replace("- u1 INV", "- u1 INV + REGION ell")
    .replace("- ram RAM + FIXED", "- ram RAM + HALO SOFT 100 200 300 250 + PLACED")
    .replace("END DESIGN", GROUPS + "END DESIGN")
)


def written(folder: Path, content: str = DEF) -> Design:
    return load(test_lefdef.written(folder, content=content))


def test_regions_groups_and_halos_are_read(tmp_path: Path) -> None:
    plan = floorplan(written(tmp_path))
    assert [(r.name, r.kind, r.cells.tolist()) for r in plan.regions] == [
        ("core", "FENCE", [0, 1, 2]),
        ("ell", "", [0]),
        ("hint", "GUIDE", [2, 3]),
    ]
    np.testing.assert_array_equal(plan.regions[1].rects, [[0, 0, 1000, 500], [0, 500, 2000, 4000]])
    assert [(g.name, g.cells.tolist()) for g in plan.groups] == [("g3", [0, 3])]
    assert plan.halo[3].tolist() == [100, 200, 300, 250] and not plan.halo[:3].any()


def test_they_become_constraints_in_micrometres(tmp_path: Path) -> None:
    assert given(written(tmp_path)) == (
        Region(("u1", "u2", "u3"), (0.0, 0.0, 3.0, 2.0), exclusive=True),
        Region(("u1",), ((0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 2.0, 4.0))),
        Halo(("ram",), 0.3),
    )
    alone = DEF.replace("- g1 u* + REGION core ;\n", "").replace("GROUPS 3", "GROUPS 2")
    assert given(written(tmp_path, alone))[0] == Keepout((0.0, 0.0, 3.0, 2.0)), "a fence without cells"
    assert given(design(0)) == () and given(written(tmp_path, test_lefdef.DEF)) == ()


def test_they_survive_writing(tmp_path: Path) -> None:
    d = written(tmp_path)
    save_placement(tmp_path / "again.def", d, d.initial)
    assert (tmp_path / "again.def").read_text() == DEF


@pytest.mark.parametrize(
    "old,new,says",
    [
        ("+ REGION ell", "+ REGION all", "expected a region of the REGIONS section, found 'all'"),
        ("( 3000 2000 )", "", "not used before and pairs of corners"),
        ("- ell", "- core", "not used before and pairs of corners"),
        ("( 3000 2000 )", "( 3000 far )", "expected a corner, found '3000 far'"),
        ("SOFT 100", "SOFT wide", "expected four widths of a halo"),
    ],
)
def test_a_malformed_floorplan_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(KerfError) as refusal:
        floorplan(written(tmp_path, DEF.replace(old, new, 1)))
    assert says in str(refusal.value) and "tiny.def:" in str(refusal.value)


@settings(max_examples=80, deadline=None)
@drawn(st.data())
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at, length = data.draw(st.integers(0, len(DEF))), data.draw(st.integers(0, 30))
    junk = data.draw(st.sampled_from(["", ";", " ; ", "(", "*", "+ REGION", "\n", "1e999", "nan", "- "]))
    try:
        found = given(written(tmp_path_factory.mktemp("fuzz"), DEF[:at] + junk + DEF[at + length :]))
    except KerfError:
        return
    assert all(np.isfinite(c.boxes).all() for c in found if isinstance(c, Region))
