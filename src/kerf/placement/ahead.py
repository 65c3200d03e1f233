"""Compile what a run will call before its time begins: numba compiles at the first call, and keeps the result on disk.

On a new machine that takes about a minute of one core, which would come out of the minutes that a user gave. The stages run once on a chip
of two dozen cells, some of them in a second process meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from kerf.placement.design import Design, Grid, Kind, Placement, Rows
from kerf.placement.rules import Rules
from kerf.placement.score import score
from kerf.placement.steps import Step, Watch

SIDE = 4
ROW = 4.0


def compile_ahead(target: str, watch: Watch) -> None:
    """Compile the stages that lead to `target`, unless that was done before."""
    if _known(target):
        return
    watch(Step("compiling", 0, 1))
    here, _ = _PARTS[target]
    with subprocess.Popen([sys.executable, "-m", "kerf.placement.ahead", target], stdout=subprocess.DEVNULL):
        here()
    watch(Step("compiling", 1, 1))


def _known(target: str) -> bool:
    """Whether the last kernel of the way has been compiled on this machine."""
    if target == "proxy":
        from kerf.placement.proxy_search.anneal import anneal as last
    else:
        from kerf.placement.detailed.anneal import anneal as last
    return any(Path(last.stats.cache_path).glob(f"*.{last.py_func.__name__}-*.nbi"))


def _global_to_legal() -> None:
    from kerf.placement.analytic import GlobalOptions, orient_macros, place_global
    from kerf.placement.legalize import legalize_cells, legalize_macros

    chip = _chip()
    rules = Rules.of(chip)
    placed = place_global(chip, chip.initial, rules, GlobalOptions(max_iterations=20)).placement
    placed = legalize_macros(chip, orient_macros(chip, placed, rules), rules)
    legalize_cells(chip, placed, rules.freeze(chip.kind == Kind.MACRO))


def _detailed() -> None:
    from kerf.placement.detailed import improve

    chip = _chip()
    improve(chip, chip.initial, Rules.of(chip))
    score(chip, chip.initial)


def _clustered() -> None:
    from kerf.placement.proxy_search import SearchOptions, optimize

    chip = _chip(soft=True)
    heap = Placement(np.full(chip.cells, chip.die[2] / 2), chip.initial.y, chip.initial.orient)
    optimize(chip, heap, Rules.of(chip), options=SearchOptions(tries=200))


def _measured() -> None:
    chip = _chip(soft=True)
    score(chip, chip.initial)


_PARTS = {
    "hpwl": (_global_to_legal, _detailed),
    "routability": (_global_to_legal, _detailed),
    "proxy": (_clustered, _measured),
}
"""What this process and the other one run."""


def _chip(soft: bool = False) -> Design:
    """SIDE x SIDE cells or soft macros that stand legally in rows, two hard macros above them, a port; nets of two, three and many pins."""
    cells = SIDE * SIDE
    count, die = cells + 3, 2.0 * SIDE * ROW
    column, row = np.arange(cells) % SIDE, np.arange(cells) // SIDE
    kind = np.array([Kind.SOFT if soft else Kind.CELL] * cells + [Kind.MACRO] * 2 + [Kind.PORT], np.int8)
    width = np.array([3.0] * cells + [6.0] * 2 + [1.0])
    nets = [[i, (i + 1) % count] for i in range(count)] + [[i, i + 1, i + 5] for i in range(0, cells - 5, 2)]
    nets += [list(range(0, count, 2)), [0, 3, 6, 9, cells + 1]]
    pins = np.concatenate([np.array(net, np.int64) for net in nets])
    middle = die - ROW
    return Design(
        name="a chip to compile by",
        format="arrays",
        unit="unit",
        per_um=None,
        cell_names=[f"c{i}" for i in range(count)],
        width=width,
        height=np.array([ROW] * cells + [2 * ROW] * 2 + [1.0]),
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(len(nets))],
        net_start=np.concatenate([[0], np.cumsum([len(net) for net in nets])]).astype(np.int64),
        net_weight=np.ones(len(nets)),
        pin_cell=pins,
        pin_x=np.linspace(-0.5, 0.5, len(pins)),
        pin_y=np.linspace(-1.0, 1.0, len(pins)),
        die=(0.0, 0.0, die, die),
        rows=Rows.of([[0, ROW * i, ROW, 1, 1, die, 6 * (i % 2)] for i in range(2 * SIDE)]),
        initial=Placement(
            np.concatenate([1.5 + 5.0 * column, [8.0, 20.0, die / 2]]),
            np.concatenate([ROW * (row + 0.5), [middle, middle, 0.5]]),
            np.concatenate([6 * (row % 2), [0, 0, 0]]).astype(np.int64),
        ),
        grid=Grid(8, 8, die, die, 2.0, 2.0, 1.0, 1.0, 1) if soft else None,
    )


if __name__ == "__main__":
    _PARTS[sys.argv[1]][1]()
