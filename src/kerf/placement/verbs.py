"""The placement domain's verbs. Machinery is imported where it is used: `kerf --help` imports none of it."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.placement import render

DesignFile = Annotated[
    str,
    Option(
        "A design: Bookshelf (.aux), LEF and DEF (.def), Circuit Training (netlist.pb.txt) or a flat Verilog netlist (.v) with LEF and a floorplan in DEF; gzip is read transparently.",
        metavar="DESIGN",
    ),
]
PlacementFile = Annotated[
    str,
    Option(
        "A placement of it, in its own format; without one, the placement that came with the design.",
        metavar="PLACEMENT",
        positional=True,
    ),
]

Lef = Annotated[
    list[str],
    Option(
        "LEF of a DEF, may be repeated; without it, the LEF files in the DEF's folder: of its name, or all.",
        metavar="FILE",
    ),
]


def score(design: DesignFile, placement: PlacementFile = "", *, lef: Lef = []) -> dict[str, Any]:  # noqa: B006
    """Score a placement: wirelength, proxy cost, overlaps, cells out of the die or off their rows."""
    began, cpu = time.perf_counter(), time.process_time()
    loaded, placed = _load(design, placement, lef)
    from kerf.placement.score import score as measure

    return {
        "design": loaded.name,
        **measure(loaded, placed),
        "output": None,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "seed": None,
    }


def draw(
    design: DesignFile,
    placement: PlacementFile = "",
    *,
    output: Annotated[
        str, Option("Where to write it: FILE.svg or FILE.png.", "--output -o", "FILE")
    ] = "placement.svg",
    map_name: Annotated[
        str, Option("The map beside the layout: density, rudy, pins, congestion or none.", "--map", "NAME")
    ] = "density",
    nets: Annotated[str, Option("Draw the nets of this macro or cell.", metavar="CELL")] = "",
    lef: Lef = [],  # noqa: B006
) -> dict[str, Any]:
    """Draw a placement: macros, cells, ports, and a map of what fills the die."""
    loaded, placed = _load(design, placement, lef)
    from kerf.placement import draw as pictures

    picture = pictures.draw(loaded, placed, map_name, nets)
    pictures.save(picture, Path(output))
    return {"design": loaded.name, "output": output, "width": picture.width, "height": picture.height}


def _load(design: str, placement: str, lef: list[str]) -> tuple[Any, Any]:
    from kerf.placement.formats import load, load_placement

    for needed in ("numba", "PIL"):
        if importlib.util.find_spec(needed) is None:
            raise KerfError(
                f"placement needs {needed}, which is not installed: pip install 'kerf-ai[placement]'"
            )
    loaded = load(Path(design), [Path(p) for p in (placement, *lef) if p])
    return loaded, load_placement(Path(placement), loaded) if placement else loaded.initial


VERBS = (Verb("score", score, render.score), Verb("draw", draw, render.draw))
