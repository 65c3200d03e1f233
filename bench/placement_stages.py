"""Rows of single stages: the proxy evaluator, global placement alone, legalization alone, and speed on synthetic netlists."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numba import njit

from kerf.placement.analytic import GlobalOptions, place_global
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.formats import load
from kerf.placement.legalize import legalize_cells
from kerf.placement.proxy import ProxyCost
from kerf.placement.rules import Rules
from placement_measure import Asked, Case, Clock, blank, judge
from placement_published import (
    AES,
    AES_DISPLACEMENT,
    EVALUATION_BY,
    EVALUATION_CPU_S,
    ITERATION_MS,
    LEGALIZE_S,
    MEDIUM01,
    MOVE_MS,
    OPENROAD,
)
from placement_synthetic import synthetic
from placement_table import Row

AIM = "the aim"
DENSITY, STOP, BINS = 0.7, 0.1, 256
MOVES, EVALUATIONS = 2000, 20


def cases(asked: Asked) -> list[Case]:
    clustered = sorted(p.parent for p in (asked.data / "nangate45_clustered").glob("*/netlist.pb.txt.gz"))
    speed = [Case("proxy_speed", f.name, lambda a, f=f: evaluator(a, f)) for f in clustered]
    openroad = [Case("medium01", "medium01", medium01), Case("aes", "aes", aes)]
    sizes = [Case("speed", f"{n // 1000}k", lambda a, n=n: iteration(a, n)) for n in ITERATION_MS]
    return [*speed, *openroad, *sizes, Case("speed", "legalize_100k", legalize)]


def evaluator(asked: Asked, folder: Path) -> list[Row]:
    """The full evaluation, everything made anew from the arrays, and moves of one random macro to a random place on the canvas and
    back: CPU time of one thread, medians, compiled code loaded beforehand."""
    design = load(folder / "netlist.pb.txt.gz")
    cost = ProxyCost(design)
    with Clock() as clock:
        full = statistics.median(_full(design) for _ in range(EVALUATIONS))
        hard, soft = (_moves(cost, kind, asked.seed) for kind in (Kind.MACRO, Kind.SOFT))
    published = 1000 * EVALUATION_CPU_S if folder.name == "ariane133" else math.nan
    by = EVALUATION_BY if folder.name == "ariane133" else ""
    spent = {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds}
    rows = [
        Row("proxy_speed", folder.name, "full evaluation", "CPU ms", full, published, by, **spent),
        Row("proxy_speed", folder.name, "hard macro move", "CPU ms", hard, MOVE_MS, AIM, **spent),
    ]
    if soft == soft:
        rows.append(Row("proxy_speed", folder.name, "soft macro move", "CPU ms", soft, MOVE_MS, AIM, **spent))
    return rows


def _full(design: Design) -> float:
    began = time.process_time()
    ProxyCost(design).value()
    return 1e3 * (time.process_time() - began)


def _moves(cost: ProxyCost, kind: Kind, seed: int) -> float:
    """Median milliseconds of a move and its exact new cost."""
    design, rng = cost.design, np.random.default_rng(seed)
    candidates = np.flatnonzero((design.kind == kind) & ~design.fixed)
    if not len(candidates):
        return math.nan
    taken = []
    for cell in rng.choice(candidates, MOVES // 2):
        one, was = np.array([cell]), cost.placement
        there = [rng.uniform(design.die[i], design.die[i + 2], 1) for i in (0, 1)]
        for x, y in (there, (was.x[one], was.y[one])):
            began = time.process_time()
            cost.move(one, x, y)
            taken.append(1e3 * (time.process_time() - began))
    return statistics.median(taken)


def medium01(asked: Asked) -> list[Row]:
    """Global placement alone, from nothing, until OpenROAD's own measure of overflow is at 0.1."""
    folder = asked.data / "openroad"
    design = blank(load(folder / "medium01.def.gz", [folder / "nangate45_gpl.lef.gz"]))
    options = GlobalOptions(target_density=DENSITY, stop_overflow=STOP, bins=BINS)
    with Clock() as clock:
        found = place_global(
            design, design.initial, Rules.of(design), options, seed=asked.seed, threads=asked.threads
        )
    reached = overflow(design, found.placement)
    details = {"iterations": found.iterations, "overflow": reached, "own_overflow": found.overflow}
    problem = (
        ""
        if reached <= STOP + 0.002
        else f"stopped at overflow {reached:.4f} where OpenROAD measures {STOP} at its stop"
    )
    length = judge(design, found.placement).hpwl
    return [
        Row(
            *("medium01", "medium01", "global placement HPWL", "um", length, MEDIUM01, OPENROAD),
            seconds=clock.seconds,
            cpu_seconds=clock.cpu_seconds,
            details=details,
            problem=problem,
        )
    ]


def overflow(design: Design, placement: Placement) -> float:
    """OpenROAD's stop rule, measured apart from the placer: the area above DENSITY of each bin's free area, over the movable area; BINS x
    BINS bins over the rows, cells smaller than sqrt(2) bins stretched to that with their area kept (ePlace's local smoothing)."""
    rows, movable = design.rows, ~design.fixed & (design.kind != Kind.PORT)
    left, bottom = float(rows.x.min()), float(rows.y.min())
    step_x = (float(rows.right.max()) - left) / BINS
    step_y = (float((rows.y + rows.height).max()) - bottom) / BINS
    w, h = design.extent(placement)
    wide, high = np.maximum(w, math.sqrt(2) * step_x), np.maximum(h, math.sqrt(2) * step_y)
    share = np.where((w > 0) & (h > 0), w * h / (wide * high), 0.0)
    used = np.zeros((2, BINS, BINS))
    fixed = design.fixed & (design.kind != Kind.PORT)
    for k, (cells, cw, ch, part) in enumerate(
        ((movable, wide, high, share), (fixed, w, h, np.ones(design.cells)))
    ):
        x, y = (placement.x - cw / 2 - left) / step_x, (placement.y - ch / 2 - bottom) / step_y
        _spread(x[cells], y[cells], (cw / step_x)[cells], (ch / step_y)[cells], part[cells], used[k])
    over = np.maximum(0.0, used[0] - DENSITY * (1.0 - np.minimum(used[1], 1.0))).sum() * step_x * step_y
    return float(over / (w * h)[movable].sum())


@njit(cache=True)
def _spread(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, h: np.ndarray, share: np.ndarray, bins: np.ndarray
) -> None:
    """Add each box's overlap with each bin; everything measured in bins."""
    count = bins.shape[0]
    for i in range(len(x)):
        for c in range(max(0, int(x[i])), min(count, int(x[i] + w[i]) + 1)):
            for r in range(max(0, int(y[i])), min(count, int(y[i] + h[i]) + 1)):
                wide = min(x[i] + w[i], c + 1.0) - max(x[i], float(c))
                high = min(y[i] + h[i], r + 1.0) - max(y[i], float(r))
                if wide > 0 and high > 0:
                    bins[r, c] += share[i] * wide * high


def aes(asked: Asked) -> list[Row]:
    """Legalization alone, from OpenROAD's own global placement."""
    folder = asked.data / "openroad"
    design = load(folder / "aes_cipher_top_replace.def.gz", [folder / "Nangate45.lef.gz"])
    rules = Rules.of(design)
    legalize_cells(design, design.initial, rules)  # compiled code is loaded
    with Clock() as clock:
        placed = legalize_cells(design, design.initial, rules)
    judged = judge(design, placed)
    far = np.abs(placed.x - design.initial.x) + np.abs(placed.y - design.initial.y)
    far = far[~rules.fixed] / (design.per_um or 1.0)
    spent = {"legal": judged.legal, "seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds}
    spent["details"] = judged.details | {"largest displacement": float(far.max())}
    return [
        Row("aes", "aes", "HPWL after legalization", "um", judged.hpwl, AES, OPENROAD, **spent),
        Row("aes", "aes", "mean displacement", "um", float(far.mean()), AES_DISPLACEMENT, OPENROAD, **spent),
    ]


def iteration(asked: Asked, cells: int) -> list[Row]:
    """CPU time of an iteration of global placement on one thread, over a whole run but its setup and first iterations: that of the run
    less that of one of 15 iterations."""
    design = synthetic(cells, asked.seed)
    rules = Rules.of(design)
    whole = GlobalOptions()
    short = replace(whole, max_iterations=15)
    spent, done, found = [], [], None
    for options in (replace(whole, max_iterations=5), short, whole):  # the first loads what is compiled
        with Clock() as clock:
            found = place_global(design, design.initial, rules, options, seed=asked.seed, threads=1)
        spent.append(clock)
        done.append(found.iterations)
    each = 1e3 * (spent[2].cpu_seconds - spent[1].cpu_seconds) / (done[2] - done[1])
    sizes = {"cells": cells, "nets": design.nets, "pins": design.pins}
    return [
        Row(
            *("speed", f"{cells // 1000}k", "global placement iteration", "CPU ms", each),
            *(ITERATION_MS[cells], AIM),
            seconds=sum(c.seconds for c in spent),
            cpu_seconds=sum(c.cpu_seconds for c in spent),
            details=sizes | {"iterations": done[2], "overflow": found.overflow},
        )
    ]


def legalize(asked: Asked) -> list[Row]:
    """CPU time of legalizing 100,000 cells on one thread, from a finished global placement."""
    design = synthetic(100_000, asked.seed)
    rules = Rules.of(design)
    small = synthetic(1000, asked.seed)
    legalize_cells(
        small,
        place_global(small, small.initial, Rules.of(small), seed=asked.seed).placement,
        Rules.of(small),
    )
    rough = place_global(design, design.initial, rules, seed=asked.seed, threads=asked.threads).placement
    with Clock() as clock:
        placed = legalize_cells(design, rough, rules)
    before, after = judge(design, rough), judge(design, placed)
    return [
        Row(
            *("speed", "legalize_100k", "legalization of 100,000 cells", "CPU s", clock.cpu_seconds),
            *(LEGALIZE_S, AIM, after.legal, clock.seconds, clock.cpu_seconds),
            details=after.details | {"hpwl_before": before.hpwl, "hpwl": after.hpwl},
        )
    ]
