from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.placement.design import Kind
from kerf.placement.formats import circuit_training, load, load_placement, save_placement
from kerf.placement.hpwl import hpwl
from kerf.placement.score import score


def node(name: str, inputs: str = "", **attrs: object) -> str:
    text = f'node {{\n  name: "{name}"\n' + "".join(f'  input: "{i}"\n' for i in inputs.split())
    for key, value in attrs.items():
        shown = f'placeholder: "{value}"' if isinstance(value, str) else f"f: {value}"
        text += f'  attr {{\n    key: "{key}"\n    value {{\n      {shown}\n    }}\n  }}\n'
    return text + "}\n"


NETLIST = "".join(
    [
        node("__metadata__", soft_macro_area_bloating_ratio=2.0),
        node("in[0]", "g/in", side="LEFT", type="PORT", x=0.0, y=50.0),
        node("m/ram", height=20.0, orientation="S", type="MACRO", width=30.0, x=50.0, y=40.0),
        node(
            "m/ram/q",
            "g/in",
            macro_name="m/ram",
            type="MACRO_PIN",
            weight=3.0,
            x=45.0,
            x_offset=5.0,
            y=38.0,
            y_offset=2.0,
        ),
        node("g", height=10.0, type="macro", width=10.0, x=20.0, y=80.0),
        node("g/in", macro_name="g", type="macro_pin", x=20.0, x_offset=0.0, y=80.0, y_offset=0.0),
        node(
            "g/out",
            "m/ram/q in[0]",
            macro_name="g",
            type="macro_pin",
            x=20.0,
            x_offset=9.0,
            y=80.0,
            y_offset=0.0,
        ),
    ]
)
PLC = """# Placement file for Circuit Training
# Columns : 5  Rows : 4
# Congestion Columns : 7  Congestion Rows : 9
# Width : 100.0  Height : 120.0
# Routes per micron, hor : 57.031  ver : 56.818
# Routes used by macros, hor : 39.583  ver : 30.303
# Smoothing factor : 2
# Block : tiny
#
0 0 50 - 1
1 50 40 S 0
3 20 80 N 0
"""


def written(folder: Path, netlist: str = NETLIST, plc: str = PLC) -> Path:
    (folder / "netlist.pb.txt").write_text(netlist)
    (folder / "initial.plc").write_text(plc)
    return folder / "netlist.pb.txt"


def test_what_is_read(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    assert d.cell_names == ["in[0]", "m/ram", "g"] and list(d.kind) == [Kind.PORT, Kind.MACRO, Kind.SOFT]
    assert d.net_names == ["in[0]", "m/ram/q", "g/out"] and list(d.net_weight) == [1, 3, 1]
    assert d.grid is not None and (d.grid.columns, d.grid.rows, d.grid.smooth) == (5, 4, 2)
    assert d.die == (0, 0, 100, 120)
    first = (20 - 0) + (80 - 50)
    second = (45 - 20) + (80 - 38)
    third = (45 - 0) + (80 - 38)
    assert hpwl(d, d.initial) == first + 3 * second + third, (
        "S turns the pin; a soft macro's pins sit at its centre"
    )
    result = score(d, d.initial)
    assert result["proxy"]["wirelength"] == pytest.approx(result["hpwl"] / (220 * 5))
    assert result["unit"] == "um" and result["legal"]


def test_round_trip_loses_nothing(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    out = tmp_path / "again" / "netlist.pb.txt.gz"
    circuit_training.write(out, d, d.initial)
    assert gzip.decompress(out.read_bytes()).decode() == NETLIST
    again = load(out)
    assert again.grid == d.grid and again.source.facts == d.source.facts
    np.testing.assert_array_equal(again.initial.x, d.initial.x)
    np.testing.assert_array_equal(again.fixed, d.fixed)


def test_a_moved_macro_takes_its_pins_along(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    moved = d.initial.copy()
    moved.x[1], moved.orient[1] = 33.125, 0
    out = tmp_path / "moved" / "netlist.pb.txt"
    circuit_training.write(out, d, moved)
    pin = next(n for n in load(out).source.nodes if n.name == "m/ram/q")
    assert (pin.value("x"), pin.value("y")) == ("38.125", "42")


def test_a_placement_survives_its_file(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    moved = d.initial.copy()
    moved.x[:], moved.y[:], moved.orient[1:] = [1 / 3, 7.125, 99.0001], [2 / 3, 1e-3, 50], [5, 0]
    save_placement(tmp_path / "moved.plc", d, moved)
    again = load_placement(tmp_path / "moved.plc", d)
    np.testing.assert_allclose(again.x, moved.x, rtol=1e-11)
    np.testing.assert_allclose(again.y, moved.y, rtol=1e-11)
    np.testing.assert_array_equal(again.orient, moved.orient)


def test_without_a_canvas_the_netlist_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "initial.plc").rename(tmp_path / "other.plc")
    with pytest.raises(KerfError, match=r"give a \.plc placement"):
        load(path)
    assert load(path, [tmp_path / "other.plc"]).die == (0, 0, 100, 120)


BROKEN = [
    ('input: "g/in"', 'input: "g/on"', "inputs of node in[0] to be nodes, found 'g/on'"),
    ('placeholder: "macro"', 'placeholder: "mcro"', "node g to have a type among"),
    ("f: 30.0", "f: thirty", "width of node m/ram to be a number"),
    ('name: "g/in"', 'name: "m/ram"', "a name not used before"),
    ('"in[0]"\n  input', '"in[0]"\n  inputs', "netlist.pb.txt:12: expected `name:`"),
    ('key: "height"', 'keys: "height"', 'expected `name:`, `input:`, `attr { key: "..."'),
    ('placeholder: "g"\n', 'placeholder: "h"\n', "the macro of pin g/in, found 'h'"),
]


@pytest.mark.parametrize("old,new,says", BROKEN)
def test_a_malformed_netlist_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in NETLIST
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, NETLIST.replace(old, new, 1)))
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "old,new,says",
    [
        ("# Width", "# Wdth", "`# Width : ...`"),
        ("100.0", "0.0", "positive"),
        ("Columns : 5", "Columns : 0", "a grid of 1 to"),
        ("factor : 2", "factor : -2", "from 0 to"),
        ("3 20 80", "2 20 80", "number of a port or macro"),
        ("3 20 80 N 0\n", "", "a place for each of 3"),
        ("50 40 S 0", "50 forty S 0", "initial.plc:11: expected a y"),
        ("50 40 S 0", "50 40 Q 0", "an orientation"),
    ],
)
def test_a_malformed_placement_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in PLC
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, plc=PLC.replace(old, new, 1)))
    assert says in str(refusal.value)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.data())
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, netlist: bool, data: st.DataObject
) -> None:
    content = NETLIST if netlist else PLC
    at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 30))
    junk = data.draw(st.sampled_from(["", "}", "{", '"', "\n", "-1", "1e999", "nan", "é", ":"]))
    broken = content[:at] + junk + content[at + length :]
    with contextlib.suppress(KerfError):
        load(written(tmp_path_factory.mktemp("fuzz"), **{"netlist" if netlist else "plc": broken}))
