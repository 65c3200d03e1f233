from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_lefdef
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design

from kerf.core.types import KerfError
from kerf.placement.design import Design
from kerf.placement.formats import load
from kerf.placement.timing import slacks, weights

LEF = test_lefdef.LEF
DEF = """VERSION 5.8 ;
DESIGN chain ;
UNITS DISTANCE MICRONS 1000 ;
DIEAREA ( 0 0 ) ( 20000 4000 ) ;
COMPONENTS 3 ;
- u1 INV ;
- u\\[2\\] INV ;
- top/u3 INV ;
END COMPONENTS
PINS 2 ;
- in + NET n0 + DIRECTION INPUT + LAYER M1 ( 0 0 ) ( 1 1 ) + FIXED ( 0 2000 ) E ;
- out + NET n3 + DIRECTION OUTPUT + LAYER M1 ( 0 0 ) ( 1 1 ) + FIXED ( 0 3000 ) E ;
END PINS
NETS 5 ;
- n0 ( PIN in ) ( u1 A ) ;
- VDD ( * VDD ) + USE POWER ;
- n1 ( u1 Z ) ( u\\[2\\] A ) ;
- n2 ( u\\[2\\] Z ) ( top/u3 A ) + WEIGHT 2 ;
- n3 ( top/u3 Z ) ( PIN out ) ;
END NETS
END DESIGN
"""
CHECKS = """Startpoint: in (input port clocked by clk)
Endpoint: out (output port clocked by clk)
Path Group: clk
Path Type: max

  Delay    Time   Description
---------------------------------------------------------
   0.00    0.00   clock clk (rise edge)
   0.00    0.00   clock network delay (ideal)
   0.00    0.00 ^ in (in)
   0.10    0.10 v u1/Z (INV)
   0.10    0.20 ^ u[2]/Z (INV)
           0.20   data arrival time

   0.10    0.10 ^ top/u3/Z (INV)
   0.00    0.10   clock clk (rise edge)
           0.10   data required time
---------------------------------------------------------
          -0.10   slack (VIOLATED)


Startpoint: u[2] (rising edge-triggered flip-flop clocked by clk)
Endpoint: out (output port clocked by clk)

Fanout     Cap    Delay    Time   Description
-------------------------------------------------------------
                   0.00    0.00 ^ u[2]/Z (INV)
     1    0.97                    n2 (net)
                   0.00    0.05 ^ top/u3/A (INV)
                   0.10    0.15 v top/u3/Z (INV)
     1    0.50                    n3 (net)
                   0.00    0.15 v out (out)
                           0.15   data arrival time
                           0.45   slack (MET)
"""


def chain(folder: Path) -> Design:
    (folder / "chain.lef").write_text(LEF)
    (folder / "chain.def").write_text(DEF)
    return load(folder / "chain.def")


def report(folder: Path, content: str) -> Path:
    (folder / "slack.txt").write_text(content)
    return folder / "slack.txt"


def test_opensta_paths_give_each_net_its_worst_slack(tmp_path: Path) -> None:
    d = chain(tmp_path)
    assert d.net_names == ["n0", "n1", "n2", "n3"]
    found = slacks(d, report(tmp_path, CHECKS))
    np.testing.assert_array_equal(found, [-0.10, -0.10, 0.45, 0.45])


def test_weights_grow_linearly_to_the_worst_slack(tmp_path: Path) -> None:
    d = chain(tmp_path)
    path = report(tmp_path, "slack,net\n-2,n0\n-1,n1\n-1.5,n1\n-1,n2\n3,n3\n")
    np.testing.assert_allclose(weights(d, path), [3.0, 2.5, 2 * 2.0, 1.0])
    np.testing.assert_allclose(weights(d, path, boost=1.0, exponent=2.0), [2.0, 1.5625, 2 * 1.25, 1.0])
    np.testing.assert_allclose(weights(d, path, limit=3.0, boost=5.0), [6.0, 5.5, 2 * 5.0, 1.0])


@pytest.mark.parametrize("name,net", [("u1/A", 0), ("in", 0), ("u[2]/A", 1), ("top/u3/Z", 3), ("out", 3)])
def test_pins_name_their_nets(tmp_path: Path, name: str, net: int) -> None:
    d = chain(tmp_path)
    found = slacks(d, report(tmp_path, f"pin,edge,slack\n{name},rise,-7\n"))
    assert np.flatnonzero(found == -7).tolist() == [net]


def test_a_report_without_late_nets_changes_nothing(tmp_path: Path) -> None:
    d = chain(tmp_path)
    np.testing.assert_array_equal(weights(d, report(tmp_path, "net,slack\nn1,4\n")), d.net_weight)
    np.testing.assert_array_equal(weights(d, report(tmp_path, "net,slack\n")), d.net_weight)


BROKEN = [
    ("net,delay\nn1,3\n", "slack.txt:1: expected OpenSTA's report_checks, or CSV"),
    ("", "slack.txt:1: expected OpenSTA's report_checks, or CSV"),
    ("net,slack\nn1,3\nn9,1\n", "slack.txt:3: expected a net of the design, found 'n9'"),
    ("net,slack\nn1,late\n", "slack.txt:2: expected a slack, found 'late'"),
    ("net,slack\nn1,nan\n", "slack.txt:2: expected a slack, finite"),
    ("net,slack\nn1\n", "slack.txt:2: expected 2 values"),
    ('net,slack\n"' + "n1," * 70000, "not CSV: field larger than field limit"),
    ("pin,slack\nu1/Y,3\n", "slack.txt:2: expected `INSTANCE/PIN` or a port"),
    (CHECKS.replace("u1/Z", "u7/Z"), "slack.txt:11: expected a port, or a pin of a cell of the design"),
    (CHECKS.replace("n3 (net)", "n7 (net)"), "expected a net of the design, found 'n7'"),
    (CHECKS.replace("0.45   slack", "soon   slack"), "expected a slack, found 'soon'"),
    (CHECKS.partition("          -0.10")[0], "expected `slack (MET)` or `slack (VIOLATED)`"),
]


@pytest.mark.parametrize("content,says", BROKEN, ids=[b[1][:50] for b in BROKEN])
def test_a_malformed_report_is_refused(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(KerfError) as refusal:
        slacks(chain(tmp_path), report(tmp_path, content))
    assert says in str(refusal.value)


def test_pins_are_known_only_of_a_def(tmp_path: Path) -> None:
    with pytest.raises(KerfError, match="name the nets instead"):
        slacks(design(0), report(tmp_path, "pin,slack\nc1/A,-1\n"))
    assert slacks(design(0), report(tmp_path, "net,slack\nn3,-1\n"))[3] == -1


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("slack")
    content = data.draw(st.sampled_from([CHECKS, "pin,slack\nu1/A,-3\nout,-1e3\n", "net,slack\nn1,-3\n"]))
    at = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 40))
    junk = data.draw(
        st.sampled_from(["", ",", '"', "\n", "\0", "nan", "1e999", "é", content[at : at + 40] * 2])
    )
    path = report(folder, content[:at] + junk + content[at + length :])
    try:
        found = weights(chain(folder), path)
    except KerfError:
        return
    assert np.isfinite(found).all() and (found > 0).all()
