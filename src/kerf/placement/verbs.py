"""The placement domain's verbs. Machinery is imported where it is used: `kerf --help` imports none of it."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.placement import render, says
from kerf.proposers.agent import options

DesignFile = Annotated[
    str,
    Option(
        "A design: Bookshelf (.aux), LEF and DEF (.def), Circuit Training (netlist.pb.txt) or a gate-level Verilog netlist (.v) with LEF and a floorplan in DEF; gzip is read transparently.",
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

Constraints = Annotated[
    list[str],
    Option(
        "A constraint in words (fixed, region, keepout, halo, edge, group, align, orient: see docs/placement.md) or a TOML file of them; may be repeated.",
        "--constraint",
        "TEXT|FILE.toml",
    ),
]
Lef = Annotated[
    list[str],
    Option(
        "LEF of a DEF, may be repeated; without it, the LEF files in the DEF's folder: of its name, or all.",
        metavar="FILE",
    ),
]


def _ignore(event: object) -> None:
    """The watcher of calls from Python that do not watch."""


def place(
    design: Annotated[
        str,
        Option(
            "A design: Bookshelf (.aux), LEF and DEF (.def), Circuit Training (netlist.pb.txt) or Verilog (.v) with LEF and a floorplan; `example` is one that comes with kerf.",
            metavar="DESIGN",
            positional=True,
        ),
    ] = "",
    *,
    target: Annotated[
        str,
        Option(
            "What to minimise: hpwl, routability (HPWL times congestion) or proxy. By default the proxy cost of clustered designs, else HPWL.",
            choices=("", "hpwl", "routability", "proxy"),
        ),
    ] = "",
    minutes: Annotated[
        float | None,
        Option(
            "Use this long. By default one recipe runs to its end: at most five minutes, two for the proxy cost.",
            metavar="M",
        ),
    ] = None,
    threads: Annotated[int, Option("0 means every core this process may use.", metavar="T")] = 0,
    seed: Annotated[int, Option("Seed of everything that draws.", metavar="S")] = 0,
    constraint: Constraints = [],  # noqa: B006
    fix: Annotated[
        list[str], Option("Cells that stay where they are; may be repeated.", metavar="GLOB")
    ] = [],  # noqa: B006
    start: Annotated[
        str, Option("Refine this placement instead of placing afresh.", "--from", "PLACEMENT")
    ] = "",
    output: Annotated[
        str,
        Option(
            "Where to write it, in the format that the name tells; by default NAME.placed in this folder. A picture is put beside it.",
            "--output -o",
            "FILE",
        ),
    ] = "",
    resume: Annotated[
        str, Option("Go on with this run, as it was asked; --minutes is the new total.", metavar="RUN")
    ] = "",
    lef: Lef = [],  # noqa: B006
    density: Annotated[
        float | None, Option("How full bins may be in global placement, 0 to 1.", metavar="D")
    ] = None,
    slack: Annotated[
        str, Option("A slack report: nets on late paths pull harder (see docs/placement.md).", metavar="FILE")
    ] = "",
    proposer: Annotated[
        str,
        Option(
            "Who proposes the recipes after the first one: portfolio, evolution, memory, random, ...; agent: the model alone; claude-code, codex: your own agent's program."
        ),
    ] = "portfolio",
    evaluations: Annotated[
        int | None,
        Option(
            "Try this many recipes or proposals. By default one, with --minutes as many as fit, with --model twelve.",
            metavar="N",
        ),
    ] = None,
    model: options.Model = "",
    agents: options.Agents = 1,
    max_dollars: options.MaxDollars = None,
    max_tokens: options.MaxTokens = None,
    price: options.Price = "",
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Place a chip: cells and macros, legal, with short wires or a low proxy cost, under constraints."""
    if resume:
        return go_on(
            resume, evaluations=evaluations, minutes=minutes, max_dollars=max_dollars, max_tokens=max_tokens,
            price=price or None, watch=watch,
        )  # fmt: skip
    if not design:
        raise KerfError("name a DESIGN to place, or a run to go on with: --resume RUN")
    _check_installed()
    from kerf.placement.search import Request

    request = Request(
        design=_absolute(design), lef=tuple(map(_absolute, lef)), start=_absolute(start), slack=_absolute(slack),
        target=target, minutes=minutes, threads=_not_negative(threads), seed=seed,
        constraints=(*(_absolute(c) if c.endswith(".toml") else c for c in constraint), *(f"fixed {g}" for g in fix)),
        density=density, proposer=proposer, output=_absolute(output), evaluations=_positive(evaluations),
        model=model, agents=agents, max_dollars=max_dollars, max_tokens=max_tokens, price=price,
    )  # fmt: skip
    return _placed(request, None, watch)


def go_on(
    run: str,
    *,
    evaluations: int | None = None,
    minutes: float | None = None,
    max_dollars: float | None = None,
    max_tokens: int | None = None,
    price: str | None = None,
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Go on with a run of `place`; a limit that is given is the new total."""
    _check_installed()
    from kerf.archive import Archive
    from kerf.placement.place import request_of

    with Archive() as archive:
        record = archive.run(run)
        request = request_of(archive, record.id)
    if not request.design:
        raise KerfError(
            f"run {record.id} placed a design given from Python: call kerf.place(design, resume={record.id!r}) there"
        )
    limits: dict[str, Any] = {
        "evaluations": _positive(evaluations), "minutes": minutes or None, "max_dollars": max_dollars, "max_tokens": max_tokens,
        "price": price,
    }  # fmt: skip
    given = {name: value for name, value in limits.items() if value is not None}
    return _placed(replace(request, **given), record.id, watch)


def _placed(request: Any, run: str | None, watch: Any) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    from kerf.placement.place import place_files
    from kerf.placement.telling import Telling

    telling = Telling(watch, request.minutes * 60 if request.minutes else None)
    report = place_files(request, telling, resume=run).report
    telling.end()
    spent = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    return {**report, **{name: round(value, 3) for name, value in spent.items()}}


def score(
    design: DesignFile,
    placement: PlacementFile = "",
    *,
    constraint: Constraints = [],  # noqa: B006
    lef: Lef = [],  # noqa: B006
) -> dict[str, Any]:
    """Score a placement: wirelength, proxy cost, overlaps, cells out of the die or off their rows, constraints that do not hold."""
    began, cpu = time.perf_counter(), time.process_time()
    loaded, placed = _load(design, placement, lef)
    from kerf.placement.constraints import read
    from kerf.placement.constraints.given import given
    from kerf.placement.score import score as measure

    return {
        "design": loaded.name,
        **measure(loaded, placed, (*given(loaded), *read(constraint, loaded))),
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
        str,
        Option(
            "Where to write it: FILE.svg or FILE.png; FILE.gif or FILE.svg of a run.", "--output -o", "FILE"
        ),
    ] = "",
    map_name: Annotated[
        str,
        Option(
            "The map beside the layout: density, rudy, pins, congestion (RUDY for designs without a routing grid) or none.",
            "--map",
            "NAME",
            choices=("density", "rudy", "pins", "congestion", "none"),
        ),
    ] = "density",
    nets: Annotated[str, Option("Draw the nets of this macro or cell.", metavar="CELL")] = "",
    animate: Annotated[
        str,
        Option(
            "The way of this run of `kerf place` as a moving picture; `last` is the newest.", metavar="RUN"
        ),
    ] = "",
    constraint: Constraints = [],  # noqa: B006
    lef: Lef = [],  # noqa: B006
) -> dict[str, Any]:
    """Draw a placement: macros, cells, ports, regions, and a map of what fills the die; or how a run came to it."""
    loaded, placed = _load(design, placement, lef)
    if animate:
        return _animate(loaded, animate, output or "placement.gif")
    from kerf.placement import draw as pictures
    from kerf.placement.constraints import read
    from kerf.placement.constraints.given import given

    asked = (*given(loaded), *read(constraint, loaded))
    picture = pictures.draw(loaded, placed, map_name, nets, constraints=asked)
    output = output or "placement.svg"
    pictures.save(picture, Path(output))
    return {
        "design": loaded.name,
        "output": output,
        "map": pictures.drawn_map(loaded, map_name),
        "width": picture.width,
        "height": picture.height,
    }


def _animate(loaded: Any, run: str, output: str) -> dict[str, Any]:
    from kerf.archive import Archive
    from kerf.placement.animate import animate as move
    from kerf.placement.journal import frames

    with Archive() as archive:
        folder = archive.folder / "runs" / archive.run(run).id
    seen = frames(folder, loaded)
    width, height = move(loaded, seen, Path(output))
    return {"design": loaded.name, "output": output, "width": width, "height": height, "frames": len(seen)}


def diff(
    design: DesignFile,
    a: Annotated[str, Option("A placement; `-` is the one that came with the design.", metavar="A")],
    b: Annotated[str, Option("Another; `-` is the one that came with the design.", metavar="B")],
    *,
    output: Annotated[
        str,
        Option(
            "A picture of B with lines from where things were in A: FILE.svg or FILE.png.",
            "--output -o",
            "FILE",
        ),
    ] = "",
    lef: Lef = [],  # noqa: B006
) -> dict[str, Any]:
    """Compare two placements of a design: what moved, what got better and worse."""
    loaded, one = _load(design, "" if a == "-" else a, lef)
    from kerf.placement import diff as compare
    from kerf.placement import draw as pictures
    from kerf.placement.formats import load_placement

    two = loaded.initial if b == "-" else load_placement(Path(b), loaded)
    found = {**compare.diff(loaded, one, two), "a": a, "b": b, "output": output or None}
    if output:
        pictures.save(compare.picture(loaded, one, two), Path(output))
    return found


def _load(design: str, placement: str, lef: list[str]) -> tuple[Any, Any]:
    _check_installed()
    from kerf.placement.formats import load, load_placement

    path = Path(_absolute(design))
    loaded = load(path, [Path(p) for p in (placement, *lef) if p])
    return loaded, load_placement(Path(placement), loaded) if placement else loaded.initial


def _export(archive: Any, run: str, folder: Path) -> Path:
    _check_installed()
    from kerf.placement.export import export

    return export(archive, run, folder)


def _check_installed() -> None:
    for needed in ("numba", "PIL", "scipy"):
        if importlib.util.find_spec(needed) is None:
            raise KerfError(
                f"placement needs {needed}, which is not installed: pip install 'kerf-ai[placement]'"
            )


def _absolute(path: str) -> str:
    """So that a run can be resumed from another folder. `example` is the design that comes with kerf, where there is no such file."""
    if path == "example" and not Path(path).exists():
        from kerf.placement.examples import path as example

        return str(example())
    return str(Path(path).absolute()) if path else ""


def _not_negative(threads: int) -> int:
    if threads < 0:
        raise KerfError(f"--threads takes a positive number, or 0 for every core; got {threads}")
    return threads


def _positive(evaluations: int | None) -> int | None:
    if evaluations is not None and evaluations < 1:
        raise KerfError(f"--evaluations takes a positive number, got {evaluations}")
    return evaluations


VERBS = (
    Verb(
        "place",
        place,
        render.place,
        go_on,
        _export,
        failed=lambda result: result["status"] != "legal",
        says=says.PLACE,
    ),
    Verb("score", score, render.score, reads_only=True, says=says.SCORE),
    Verb("draw", draw, render.draw, says=says.DRAW),
    Verb("diff", diff, render.diff, says=says.DIFF),
)
