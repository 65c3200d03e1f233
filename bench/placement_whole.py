"""Rows of whole runs through the public API: from nothing, or from the placement the case starts from, to a legal result."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design, Placement
from kerf.placement.formats import load, load_placement, save_placement
from kerf.placement.place import place
from kerf.placement.proxy import proxy
from placement_measure import Asked, Case, Clock, blank, held, judge, macros
from placement_published import (
    CHALLENGE_BY,
    CHALLENGE_REPLACE,
    CT_ARIANE,
    CT_ARIANE_BY,
    CT_FREE,
    CT_FREE_BY,
    ICCAD04,
    ICCAD04_BY,
    PROXY,
    PROXY_BY,
)
from placement_table import Row

PROXY_MINUTES, HPWL_MINUTES, AROUND_MINUTES = 10.0, 20.0, 20.0
NETLISTS = ("netlist.pb.txt", "netlist.pb.txt.gz")


def cases(asked: Asked) -> list[Case]:
    clustered = {p.parent.name: p for p in _netlists(asked.data / "nangate45_clustered")}
    books = sorted((asked.data / "iccad04").glob("*/*.aux.gz"))
    theirs = named(_netlists(asked.cases)) if asked.cases else {}
    return [
        *(
            Case("proxy", n, lambda a, n=n, p=p: clustered_case(a, "proxy", n, p))
            for n, p in clustered.items()
        ),
        *(Case("iccad04", p.parent.name, lambda a, p=p: iccad04(a, p)) for p in books),
        *(Case("ct_fixed", by, lambda a, by=by: ct_fixed(a, by)) for by in CT_ARIANE),
        Case("ct_free", "ariane", ct_free),
        *(
            Case("clustered", n, lambda a, n=n, p=p: clustered_case(a, "clustered", n, p))
            for n, p in theirs.items()
        ),
    ]


def _netlists(folder: Path) -> list[Path]:
    return sorted(p for name in NETLISTS for p in folder.rglob(name))


def named(netlists: list[Path]) -> dict[str, Path]:
    """A name for each: the folders on its path that not all of them share, the last where there is one only."""
    folders = [p.parent.parts for p in netlists]
    apart = [i for i in range(min(map(len, folders), default=0)) if len({f[i] for f in folders}) > 1]
    names = ["/".join([*(f[i] for i in apart), *f[min(map(len, folders)) :]]) or f[-1] for f in folders]
    return dict(zip(names, netlists))


def start_of(netlist: Path) -> list[Path]:
    """What the reader does not find itself: without an initial.plc, the first .plc beside the netlist that is not called legalized."""
    near = sorted(p for p in netlist.parent.iterdir() if p.name.removesuffix(".gz").endswith(".plc"))
    if any(p.name.startswith("initial.plc") for p in near):
        return []
    return [p for p in near if "legalized" not in p.name][:1]


def run(
    design: Design, asked: Asked, target: str, minutes: float, name: str
) -> tuple[Placement, dict[str, Any]]:
    """One run of the public API, timed, with an archive of its own so that no earlier run helps; the placement is kept in the design's own
    format. A run that was interrupted counts for nothing."""
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder)) as archive, Clock() as clock:
        result = place(
            design,
            target=target,
            minutes=asked.minutes or minutes,
            threads=asked.threads,
            seed=asked.seed,
            archive=archive,
        )
    if result.report.get("stopped") == "interrupted":
        raise KeyboardInterrupt
    asked.keep.mkdir(parents=True, exist_ok=True)
    ending = {"bookshelf": ".pl.gz", "circuit_training": ".plc"}.get(design.format, ".def.gz")
    save_placement(asked.keep / f"{name}{ending}", design, result.placement)
    return result.placement, {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds}


def clustered_case(asked: Asked, group: str, name: str, netlist: Path) -> list[Row]:
    """A clustered netlist from the .plc beside it that starts it (never a legalized one), against the exact proxy cost."""
    design = load(netlist, start_of(netlist))
    placed, spent = run(design, asked, "proxy", PROXY_MINUTES, f"{group}_{name.replace('/', '_')}")
    judged, cost, first = judge(design, placed), proxy(design, placed), proxy(design, design.initial)
    published, by = (
        (PROXY.get(name, math.nan), PROXY_BY.get(name, ""))
        if group == "proxy"
        else (CHALLENGE_REPLACE.get(name.split("/")[0], math.nan), CHALLENGE_BY)
    )
    terms = {k: round(v, 6) for k, v in vars(cost).items()}
    spent["details"] = judged.details | terms | {"initial": first.cost}
    return [Row(group, name, "proxy cost", "", cost.cost, published, by, judged.legal, **spent)]


def iccad04(asked: Asked, aux: Path) -> list[Row]:
    """Rows and die as given, macros movable, from nothing."""
    name = aux.parent.name
    design = blank(load(aux))
    placed, spent = run(design, asked, "hpwl", HPWL_MINUTES, name)
    judged = judge(design, placed)
    spent["details"] = judged.details
    published = ICCAD04.get(name, math.nan)
    return [
        Row("iccad04", name, "HPWL", design.unit, judged.hpwl, published, ICCAD04_BY, judged.legal, **spent)
    ]


def ct_fixed(asked: Asked, by: str) -> list[Row]:
    """Google's Ariane with the 133 macros where `by` put them, the standard cells placed around them from nothing."""
    design = with_macros(ariane(asked), asked.data / "ct_ariane" / "ref_macro_placements.json", by)
    placed, spent = run(design, asked, "hpwl", AROUND_MINUTES, f"ct_fixed_{by}")
    judged = judge(design, placed)
    spent["details"] = judged.details
    published = CT_ARIANE[by]
    return [Row("ct_fixed", by, "HPWL", "um", judged.hpwl, published, CT_ARIANE_BY, judged.legal, **spent)]


def ct_free(asked: Asked) -> list[Row]:
    """Google's Ariane, macros and cells ours, from nothing."""
    design = ariane(asked)
    placed, spent = run(design, asked, "hpwl", HPWL_MINUTES, "ct_free")
    judged = judge(design, placed)
    spent["details"] = judged.details
    return [Row("ct_free", "ariane", "HPWL", "um", judged.hpwl, CT_FREE, CT_FREE_BY, judged.legal, **spent)]


def ariane(asked: Asked) -> Design:
    folder = asked.data / "ct_ariane"
    return blank(load(folder / "ariane.def.gz", [folder / "ariane.lef.gz"]))


def with_macros(design: Design, listed: Path, by: str) -> Design:
    """The design with its macros fixed where `by` put them. `listed`: JSON, placer -> instance -> [x, y, orientation].

    Positions are centres in micrometres: the same as in the published .plc files, whose clustered netlist names its macros otherwise, and
    the smallest are half a macro from the die's edge. Places are rounded to the database unit. Raises KerfError unless
    the macros of the file are those of the design."""
    places = json.loads(listed.read_text())[by]
    which, per_um = macros(design), design.per_um or 1.0
    names = {design.cell_names[i]: i for i in np.flatnonzero(which)}
    if set(places) != set(names):
        odd = sorted(set(places) ^ set(names))
        raise KerfError(f"{listed}: {by} does not place the design's macros: {odd[0]} is in one only")
    placed = design.initial.copy()
    for name, (x, y, facing) in places.items():
        i = names[name]
        half = design.width[i] / 2, design.height[i] / 2
        placed.x[i], placed.y[i] = (round(v * per_um - h) + h for v, h in zip((x, y), half))
        placed.orient[i] = orient.CODES[facing]
    return held(design, placed, which)


def macros_kept(asked: Asked, design: Design, name: str) -> Placement | None:
    """Where a run of this benchmark put the case, if one was kept."""
    kept = asked.keep / f"{name}.pl.gz"
    return load_placement(kept, design) if kept.is_file() else None
