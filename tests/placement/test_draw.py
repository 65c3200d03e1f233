from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design
from PIL import Image
from test_bookshelf import written
from typer.testing import CliRunner

from kerf.cli import build
from kerf.core.types import KerfError
from kerf.placement import maps
from kerf.placement.design import Kind, Placement
from kerf.placement.draw import MAPS, draw
from kerf.placement.hpwl import hpwl

seeds = st.integers(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_density_is_the_area_in_each_bin(seed: int) -> None:
    d = design(seed)
    found = maps.density(d, d.initial, 8, 5)
    left, bottom, right, top = d.boxes(d.initial)
    for row in range(5):
        for column in range(8):
            dx = np.minimum(right, 5 * column + 5) - np.maximum(left, 5 * column)
            dy = np.minimum(top, 8 * row + 8) - np.maximum(bottom, 8 * row)
            solid = (dx > 0) & (dy > 0) & (d.kind != Kind.PORT)
            assert found[row, column] == pytest.approx((dx * dy)[solid].sum() / 40, abs=1e-12)


def test_rudy_spreads_all_the_wire_and_pins_are_all_counted() -> None:
    d = design(4)
    inside = Placement(np.clip(d.initial.x, 12, 28), np.clip(d.initial.y, 12, 28), d.initial.orient)
    assert maps.rudy(d, inside, 10, 20).sum() * 4 * 2 == pytest.approx(hpwl(d, inside))
    assert maps.pins(d, inside, 10, 20).sum() * 4 * 2 == pytest.approx(d.pins)


@pytest.mark.parametrize("name", [*MAPS, "none"])
def test_a_picture_is_valid_svg_and_png(name: str) -> None:
    d = design(6, cells=30)
    d.initial.x[0] = np.nan
    picture = (
        draw(d, d.initial, name, nets_of="c3")
        if name != "congestion"
        else draw(d, design(6, 30).initial, name)
    )
    tree = ET.fromstring(picture.svg())
    drawn = sum(
        len(re.findall("M", path.get("d", ""))) for path in tree.iter("{http://www.w3.org/2000/svg}path")
    )
    assert drawn >= 30 and "nan" not in picture.svg()
    image = Image.open(io.BytesIO(picture.png()))
    assert image.size == (picture.width, picture.height)


def test_macros_are_where_they_should_be() -> None:
    """One macro fills the upper left quarter; the picture's y axis points down."""
    one = {"kind": np.full(1, Kind.MACRO, np.int8), "width": np.full(1, 20.0), "height": np.full(1, 20.0)}
    d = design(1, cells=1, nets=0, fixed=np.zeros(1, bool), **one)
    picture = draw(d, Placement(np.array([10.0]), np.array([30.0]), np.zeros(1, np.int64)), "none")
    image = Image.open(io.BytesIO(picture.png())).convert("L")
    dark = [
        image.getpixel((int(x), int(y))) < 160 for x, y in ((300, 300), (700, 300), (300, 700), (700, 700))
    ]
    assert dark == [True, False, False, False]


def test_what_cannot_be_drawn_is_refused() -> None:
    d = design(6)
    for kwargs, says in (
        ({"map_name": "heat"}, "choose one of density"),
        ({"nets_of": "zz"}, "no cell is called"),
    ):
        with pytest.raises(KerfError, match=says):
            draw(d, d.initial, **kwargs)


def run(*words: str) -> tuple[int, str, str]:
    said = CliRunner().invoke(build(), list(words))
    return said.exit_code, said.stdout, said.stderr


def test_kerf_score_and_draw(tmp_path: Path) -> None:
    aux = str(written(tmp_path))
    status, out, _ = run("score", aux, "--json")
    result = json.loads(out)
    assert (
        status == 0 and result["hpwl"] == 142.0 and result["proxy"] is None and result["unit"] == "bookshelf"
    )
    assert {
        "legal",
        "overlaps",
        "out_of_die",
        "violations",
        "output",
        "seconds",
        "cpu_seconds",
        "seed",
    } <= set(result)
    assert "142" in run("score", aux)[1]
    moved = tmp_path / "moved.pl"
    moved.write_text("UCLA pl 1.0\na 4 10 : N\n")
    assert json.loads(run("score", aux, str(moved), "--json")[1])["hpwl"] != 142.0
    for name in ("a.png", "a.svg"):
        status, out, _ = run("draw", aux, "-o", str(tmp_path / name))
        assert status == 0 and (tmp_path / name).stat().st_size > 500
    status, out, _ = run("draw", aux, "--map", "congestion", "-o", str(tmp_path / "a.svg"), "--json")
    assert status == 0 and json.loads(out)["map"] == "rudy"  # it has no routing grid


@pytest.mark.parametrize(
    "words,says",
    [
        (["score", "nothing.aux"], "no such file"),
        (["score", "design.gds"], "not a design that kerf reads"),
        (["draw", "AUX", "-o", "a.gif"], "written as .svg or .png"),
    ],
)
def test_a_users_mistake_is_status_2_and_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    words = [str(written(tmp_path)) if w == "AUX" else w for w in words]
    status, _, err = run(*words)
    assert status == 2 and says in err and len(err.strip().splitlines()) == 1
