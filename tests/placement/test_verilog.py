from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lefdef import DEF, LEF

from kerf.core.types import KerfError
from kerf.placement.design import Design
from kerf.placement.formats import load, load_placement, save_placement

CELL = "  PIN {0} DIRECTION INPUT ; PORT LAYER M1 ; RECT {1} 0 {1} 0 ; END END {0}\n"
LIBRARY = LEF.replace("END RAM", "".join(CELL.format(f"D[{i}]", i / 10) for i in range(3)) + "END RAM")
FLOORPLAN = DEF.replace("- in + NET n1", "- in[0] + NET in[0]").replace("( PIN in )", "( PIN in[0] )")
NETLIST = r"""// written by a synthesizer
module top (in);
  input [0:0] in;   /* one bit
  of a bus */
  wire [2:0] w; wire a, b;
  supply0 gnd;
  (* keep = 1 *) INV u1 (.A(in[0]), .Z(w[1]));
  INV \u2 (.A(w[1]), .Z(a));
  INV \new[1] (.A(b), .Z(w[2]));
  INV tied (.A(gnd), .Z(w[0]));
  RAM ram (.D({w[2:1], 1'b0}), .Q(b));
  assign b = a;
endmodule
"""


def written(folder: Path, netlist: str = NETLIST) -> Path:
    (folder / "top.lef").write_text(LIBRARY)
    (folder / "top.def").write_text(FLOORPLAN)
    (folder / "top.v").write_text(netlist)
    return folder / "top.v"


def named(d: Design) -> dict[str, list[str]]:
    return {
        net: [d.cell_names[c] for c in d.pin_cell[first:last]]
        for net, first, last in zip(d.net_names, d.net_start, d.net_start[1:])
    }


def test_what_is_read(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    assert d.cell_names == ["u1", "u2", "u3", "ram", "in[0]", "__blockage_0", "new[1]", "tied"]
    assert named(d) == {
        "in[0]": ["in[0]", "u1"],
        "w[1]": ["u1", "u2", "ram"],
        "a": ["u2", "ram", "new[1]"],
        "w[2]": ["new[1]", "ram"],
        "w[0]": ["tied"],
    }, "drivers first; an assign joins two nets; constants and supplies are no nets"
    ram = [p for p in range(d.pins) if d.cell_names[d.pin_cell[p]] == "ram"]
    assert sorted(d.pin_x[ram]) == [-1900, -900, -800], "Q, D[1] and D[2] from the left"
    assert np.isnan(d.initial.x[6]) and not np.isnan(d.initial.x[0])


def test_an_instance_that_the_floorplan_lacks_is_added_to_it(tmp_path: Path) -> None:
    d = load(written(tmp_path))
    placed = d.initial.copy()
    placed.x[[2, 6, 7]], placed.y[[2, 6, 7]] = [3300, 5300, 6300], 500
    save_placement(tmp_path / "placed.def", d, placed)
    assert "COMPONENTS 6 ;" in (tmp_path / "placed.def").read_text()
    for again in (
        load_placement(tmp_path / "placed.def", d),
        load(tmp_path / "top.v", [tmp_path / "placed.def"]).initial,
    ):
        np.testing.assert_array_equal(np.sort(again.x), np.sort(placed.x))
    start, end = FLOORPLAN.index("COMPONENTS"), FLOORPLAN.index("PINS")
    (tmp_path / "top.def").write_text(
        FLOORPLAN[:start] + FLOORPLAN[end : FLOORPLAN.index("NETS 3")] + "END DESIGN\n"
    )
    bare = load(tmp_path / "top.v")
    save_placement(tmp_path / "bare.def", bare, bare.initial)
    assert "COMPONENTS 5 ;" in (tmp_path / "bare.def").read_text()
    assert load(tmp_path / "bare.def", [tmp_path / "top.lef"]).cells == bare.cells


BROKEN = [
    (
        "INV u1",
        "INX u1",
        "top.v:7: expected a MACRO of the LEF or a module of this file, found 'INX'",
    ),
    (".Z(w[1])", ".Y(w[1])", "top.v:7: expected a pin Y of macro INV"),
    ("{w[2:1], 1'b0}", "{w[2:1]}", "a pin D of macro RAM with 2 bits"),
    ("w[2:1]", "w[3:2]", "a select within the declared range of w"),
    ("assign b = a", "assign b = w", "two sides of one width"),
    ("endmodule", "", "found 'the end of the file'"),
    (
        "endmodule",
        "endmodule module x; endmodule",
        "Those in no other are: top, x; the floorplan's DESIGN is tiny",
    ),
    ("endmodule", "endmodule wire x;", "expected `module`, found 'wire'"),
    ("endmodule", "endmodule module top; endmodule", "a name not used before for the module top"),
    ("INV tied", "INV u1", "a name not used before for the instance u1"),
    ("input [0:0] in", "input [1:0] in", "the floorplan has no pin for the port in[1]"),
    ("INV tied (.A(gnd), .Z(w[0]))", "INV tied (gnd, w[0])", "top.v:10: expected `.`, found 'gnd'"),
    ("assign b = a", "always @(posedge a) b = 1", "expected the name of an instance of always"),
]


@pytest.mark.parametrize("old,new,says", BROKEN, ids=[b[2][:40] for b in BROKEN])
def test_what_is_not_a_netlist_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in NETLIST
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, NETLIST.replace(old, new, 1)))
    assert says in str(refusal.value)


def test_a_netlist_without_a_floorplan_says_what_to_give(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "top.def").unlink()
    with pytest.raises(KerfError, match="give a DEF"):
        load(path)


HIERARCHY = r"""module pair (i, o, thru, tie);
  input [1:0] i; output [0:1] o; input tie; output thru;
  INV x (.A(i[0]), .Z(o[0]));
  INV \y (.A(i[1]), .Z(o[1]));
  INV z (.A(tie));
  assign thru = i[1];
endmodule
module tiny (in);
  input [0:0] in;
  wire [1:0] up; wire back;
  half left (.a({in[0], back}), .b(up));
  pair right (.i(up), .o({back, up[1]}), .thru(), .tie(1'b0));
endmodule
module half (input [1:0] a, output [1:0] b);
  wire between;
  pair inner (.i(a), .o({between, b[0]}), .thru(b[1]), .tie(between));
endmodule
"""
FLAT = r"""module tiny (in);
  input [0:0] in;
  wire [1:0] up; wire back, between;
  INV \left/inner/x (.A(back), .Z(\left/between ));
  INV \left/inner/y (.A(in[0]), .Z(up[0]));
  INV \left/inner/z (.A(\left/between ));
  assign up[1] = in[0];
  INV \right/x (.A(up[0]), .Z(back));
  INV \right/y (.A(up[1]), .Z(up[1]));
  INV \right/z (.A(1'b0));
endmodule
"""


def test_modules_within_modules_are_flattened(tmp_path: Path) -> None:
    deep, flat = load(written(tmp_path, HIERARCHY)), load(written(tmp_path, FLAT))
    assert deep.cell_names == flat.cell_names and "left/inner/y" in deep.cell_names
    both = [sorted(map(sorted, named(d).values())) for d in (deep, flat)]
    assert both[0] == both[1]
    assert sorted(named(deep)) == ["back", "left/between", "up[0]", "up[1]"], "nets have their highest names"


def test_a_placed_hierarchy_is_written_and_read_again(tmp_path: Path) -> None:
    d = load(written(tmp_path, HIERARCHY))
    placed = d.initial.copy()
    lost = np.isnan(placed.x)
    placed.x[lost], placed.y[lost] = 2300 + 800 * np.arange(lost.sum()), 500
    save_placement(tmp_path / "placed.def", d, placed)
    again = load(tmp_path / "top.v", [tmp_path / "placed.def", tmp_path / "top.lef"])
    where = dict(zip(again.cell_names, again.initial.x))
    assert all(where[name] == x for name, x in zip(d.cell_names, placed.x))


@pytest.mark.parametrize(
    "old,new,says",
    [
        ("INV x (.A(i[0]), .Z(o[0]))", "half again (.a(i))", "top.v:3: expected modules within modules"),
        (".tie(1'b0)", ".tye(1'b0)", "top.v:12: expected a port of module pair instead of tye"),
        (".i(up), .o({back", ".i(back), .o({back", "expected 2 bits at port i of module pair, not 1"),
    ],
)
def test_a_broken_hierarchy_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in HIERARCHY
    with pytest.raises(KerfError) as refusal:
        load(written(tmp_path, HIERARCHY.replace(old, new, 1)))
    assert says in str(refusal.value)


def test_modules_that_multiply_without_end_are_refused(tmp_path: Path) -> None:
    levels = [f"module m{i}; m{i + 1} a (); m{i + 1} b (); endmodule" for i in range(60)]
    with pytest.raises(KerfError, match="at most 16,777,216 instances in all, not 1,152,921,504,606,846,975"):
        load(written(tmp_path, "\n".join([*levels, "module m60; endmodule"])))


def test_fillers_of_a_netlist_are_left_out(tmp_path: Path) -> None:
    spacer = (
        "MACRO FILL\n CLASS CORE SPACER ;\n SIZE 0.4 BY 1.0 ;\n PIN V DIRECTION INOUT ; END V\nEND FILL\n"
    )
    netlist = NETLIST.replace("assign b = a;", "assign b = a; FILL f (.V(gnd)); FILL signal (.V(a));")
    path = written(tmp_path, netlist)
    (tmp_path / "top.lef").write_text(LIBRARY.replace("MACRO INV", spacer + "MACRO INV"))
    d = load(path)
    assert "f" not in d.cell_names and "signal" in d.cell_names and "1 fillers (FILL" in d.notes[0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at, length = data.draw(st.integers(0, len(NETLIST))), data.draw(st.integers(0, 30))
    junk = data.draw(
        st.sampled_from(["", ";", "(", "{", "[", "999999", "\\", "/*", "(*", "4'hx", ".", "é", "3{"])
    )
    whole = data.draw(st.sampled_from([NETLIST, HIERARCHY]))
    broken = whole[:at] + junk + whole[at + length :]
    with contextlib.suppress(KerfError):
        load(written(tmp_path_factory.mktemp("fuzz"), broken))
