"""Side by side with coloquinte (pip install coloquinte, MIT), a placer of standard cells: the same Bookshelf cases, the macros fixed where our own run put them (else where our macro stages do), the cells
placed from nothing by each. Both results are measured and checked by the same code, with exact pin offsets; coloquinte computes in whole
units, so its pins are rounded and its obstacles grow outward to them.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.analytic import place_global
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.detailed import improve
from kerf.placement.formats import load
from kerf.placement.legalize import legalize_cells, legalize_macros
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline
from placement_measure import Asked, Case, Clock, blank, held, judge, macros
from placement_synthetic import synthetic
from placement_table import Row
from placement_whole import macros_kept

DETAILED_S = 2e-4
"""Wall seconds of detailed placement for each cell: it could go on annealing for as long as it is let."""


def cases(asked: Asked) -> list[Case]:
    books = sorted((asked.data / "iccad04").glob("*/*.aux.gz"))
    return [Case("coloquinte", p.parent.name, lambda a, p=p: beside(a, p)) for p in books]


def beside(asked: Asked, aux: Path) -> list[Row]:
    """Wirelength and CPU time of the cells around fixed macros, ours and coloquinte's."""
    design, name = blank(load(aux)), aux.parent.name
    which = macros(design)
    kept = macros_kept(asked, design, name)
    design = held(design, kept or _our_macros(design, asked), which)
    _cells(synthetic(1000, asked.seed), asked)  # loads what is compiled
    with Clock() as clock:
        ours = judge(design, _cells(design, asked))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        found = apart.submit(_coloquinte, _circuit(design), asked.effort, asked.seed).result()
    theirs = judge(design, _placement(design, found.places))
    by = f"coloquinte, effort {asked.effort}"
    details = {"theirs legal": theirs.legal, "theirs": theirs.details} | ours.details
    spent = {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "details": details}
    return [
        Row("coloquinte", name, "HPWL", design.unit, ours.hpwl, theirs.hpwl, by, ours.legal, **spent),
        Row(
            *("coloquinte", name, "CPU time", "s", clock.cpu_seconds, found.cpu_seconds, by, None),
            seconds=clock.seconds,
            cpu_seconds=clock.cpu_seconds,
            details={"theirs wall": found.seconds},
        ),
    ]


def _our_macros(design: Design, asked: Asked) -> Placement:
    """Where our own first two stages put the macros."""
    rules = Rules.of(design)
    rough = place_global(design, design.initial, rules, seed=asked.seed, threads=asked.threads).placement
    return legalize_macros(design, rough, rules)


def _cells(design: Design, asked: Asked) -> Placement:
    """Our three stages for standard cells; detailed placement stops after DETAILED_S a cell, or by itself."""
    rules, threads = Rules.of(design), asked.threads
    rough = place_global(design, design.initial, rules, seed=asked.seed, threads=threads).placement
    placed = legalize_cells(design, rough, rules)
    enough = Deadline(DETAILED_S * design.cells)
    return improve(design, placed, rules, seed=asked.seed, threads=threads, deadline=enough)


@dataclass(frozen=True)
class Found:
    """`places`: lower left corners and the names of the orientations."""

    places: tuple[list[int], list[int], list[str]]
    seconds: float
    cpu_seconds: float


def _circuit(design: Design) -> dict[str, Any]:
    """What coloquinte is told, in whole numbers. Fixed cells are given as they lie, in N; ports, which block nothing, without a size
    (of one that has a size its detailed placement finds no row)."""
    fixed, place = design.fixed, design.initial
    left, bottom, right, top = (np.where(fixed, side, 0.0) for side in design.boxes(place))
    low_x, low_y = np.floor(left), np.floor(bottom)
    width = np.where(fixed, np.ceil(right) - low_x, design.width)
    height = np.where(fixed, np.ceil(top) - low_y, design.height)
    if (width != np.round(width)).any() or (height != np.round(height)).any():
        raise KerfError(f"{design.name}: coloquinte needs cells of whole sizes")
    there = Placement(np.where(fixed, place.x, width / 2), np.where(fixed, place.y, height / 2), place.orient)
    x, y = design.pin_positions(there)
    pins = [
        design.pin_cell,
        np.round(x - low_x[design.pin_cell]),
        np.round(y - low_y[design.pin_cell]),
    ]
    nets = zip(design.net_start[:-1], design.net_start[1:])
    blocks = ~fixed | (design.kind == Kind.MACRO)
    width, height = np.where(blocks, width, 0), np.where(blocks, height, 0)
    return {
        "width": width.astype(int).tolist(),
        "height": height.astype(int).tolist(),
        "x": low_x.astype(int).tolist(),
        "y": low_y.astype(int).tolist(),
        "fixed": fixed.tolist(),
        "blocks": blocks.tolist(),
        "nets": [[p[a:b].astype(int).tolist() for p in pins] for a, b in nets if b > a],
        "rows": [
            (int(x), int(right), int(y), int(y + h), orient.NAMES[o])
            for x, right, y, h, o in zip(
                *(design.rows.x, design.rows.right, design.rows.y, design.rows.height, design.rows.orient)
            )
        ],
    }


def _coloquinte(told: dict[str, Any], effort: int, seed: int) -> Found:
    """Run in a process of its own: it may crash, and prints."""
    import coloquinte as peer

    circuit = peer.Circuit(len(told["width"]))
    circuit.cell_width, circuit.cell_height = told["width"], told["height"]
    circuit.cell_is_fixed, circuit.cell_is_obstruction = told["fixed"], told["blocks"]
    for cells, x, y in told["nets"]:
        circuit.add_net(cells, x, y)
    circuit.cell_x, circuit.cell_y = told["x"], told["y"]
    circuit.cell_orientation = [peer.CellOrientation.N] * len(told["width"])
    circuit.rows = [
        peer.Row(peer.Rectangle(*box), peer.CellOrientation.__members__[facing])
        for *box, facing in told["rows"]
    ]
    circuit.cell_row_polarity = [peer.CellRowPolarity.SAME] * len(told["width"])
    circuit.check()
    params = peer.ColoquinteParameters(effort, seed)
    with Clock() as clock:
        circuit.place_global(params)
        circuit.place_detailed(params)
    facing = [o.name for o in circuit.cell_orientation]
    return Found((circuit.cell_x, circuit.cell_y, facing), clock.seconds, clock.cpu_seconds)


def _placement(design: Design, places: tuple[list[int], list[int], list[str]]) -> Placement:
    """Its result in our terms; what is fixed stays exactly where it was."""
    codes = np.array([orient.CODES.get(name, 0) for name in places[2]], np.int64)
    codes = np.where(design.fixed, design.initial.orient, codes)
    w, h = design.extent(Placement(design.width, design.height, codes))
    x, y = np.array(places[0]) + w / 2, np.array(places[1]) + h / 2
    return Placement(
        np.where(design.fixed, design.initial.x, x), np.where(design.fixed, design.initial.y, y), codes
    )
