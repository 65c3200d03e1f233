"""Golden values on the public benchmarks, where a folder of them is given: KERF_PLACEMENT_DATA=FOLDER, laid out as docs/placement.md says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kerf.placement.design import Kind
from kerf.placement.formats import load
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from kerf.placement.proxy import proxy

DATA = Path(os.environ.get("KERF_PLACEMENT_DATA", "/nonexistent"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="KERF_PLACEMENT_DATA names no folder of benchmarks")

TILOS = {
    ("ariane133", "initial"): (0.04972213503402197, 0.6067348455137481, 0.71567344853202),
    ("ariane133", "legalized"): (0.07356822360533051, 0.49881790624435346, 0.725914889902168),
    ("ariane136", "initial"): (0.04782997539576839, 0.6082658985095926, 0.7155686312746059),
    ("ariane136", "legalized"): (0.06969983617727962, 0.4988006320598133, 0.7276172449281335),
    ("mempool_tile", "initial"): (0.052787101570858724, 1.0866963797918479, 0.7297557092274631),
    ("nvdla", "initial"): (0.049182073479495964, 0.6706240497036332, 0.7447325136168937),
    ("nvdla", "legalized"): (0.09190091671541088, 0.5000135290859931, 0.7701330305211391),
}
"""What TILOS' plc_client_os.py gives, read with its comments, pins outside the canvas clamped into it."""


@pytest.mark.parametrize("case", sorted({case for case, _ in TILOS}))
def test_the_proxy_cost_is_that_of_the_open_evaluator(case: str) -> None:
    folder = DATA / "nangate45_clustered" / case
    for (name, plc), terms in TILOS.items():
        if name == case:
            d = load(folder / "netlist.pb.txt.gz", [folder / f"{plc}.plc"])
            found = proxy(d, d.initial)
            assert (found.wirelength, found.density, found.congestion) == pytest.approx(terms, rel=1e-10)
            assert check(d, d.initial).legal == (plc == "legalized")


def test_iccad04_is_read_whole() -> None:
    d = load(DATA / "iccad04" / "ibm01" / "ibm01.aux.gz")
    assert (d.cells, d.nets, d.pins, len(d.rows)) == (12752, 14111, 50566, 144)
    assert d.die == (0, 0, 2295, 2304)


def test_openroads_legalizer_prints_the_same_wirelength() -> None:
    """Its log of the aes test says 363775.2 u before legalization."""
    folder = DATA / "openroad"
    d = load(folder / "aes_cipher_top_replace.def.gz", [folder / "Nangate45.lef.gz"])
    assert round(hpwl(d, d.initial) / 2000, 1) == 363775.2


def test_a_finished_chip_is_legal() -> None:
    folder = DATA / "openroad"
    d = load(folder / "gcd_nangate45.def.gz", [folder / "Nangate45.lef.gz"])
    assert check(d, d.initial).legal


def test_ct_ariane_is_read_whole() -> None:
    d = load(DATA / "ct_ariane" / "ariane.def.gz")
    assert (d.cells - 1231, d.nets, int((d.kind == Kind.MACRO).sum())) == (82954, 85193, 133)
