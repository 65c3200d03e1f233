"""What a model is told of a design, placements and verdicts, as text. Numbers come from measurements only; names of the netlist stand
inside fences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerf.core.types import Evaluation, Status
from kerf.placement import maps, orient
from kerf.placement.design import Design, Floats, Ints, Kind, Placement
from kerf.placement.diff import diff
from kerf.placement.hpwl import net_boxes, net_lengths
from kerf.placement.problem import PlacementProblem
from kerf.placement.recipe import LIMITS, Recipe
from kerf.placement.space import RecipeSpace
from kerf.proposers.agent.fence import fenced, shortened

LONGEST_NAME, LONGEST_LINE = 160, 2000
MACROS, NETS, MEMBERS, MOVED = 40, 12, 6, 12
WIDE = 64
"""Nets of more pins say nothing of where a macro should be."""
ADVICE = {
    Status.WRONG: "It does not count: the rules above are the user's or the chip's. What led to them has to change.",
    Status.BUILD_FAILED: "A stage could not go on. Ask for less: fewer things held, more room.",
    Status.CRASHED: "That is a fault of the placer, not yours; try another way.",
}


def printable(text: str) -> str:
    """On one line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def name(text: str) -> str:
    """A name of the netlist."""
    plain = printable(text)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[:LONGEST_NAME]}..."


def chip(problem: PlacementProblem) -> str:
    """Sizes, die, rows, what is asked and what the user demands."""
    d, per = problem.design, problem.design.per_um or 1.0
    unit = "um" if d.per_um else "units"
    counts = {kind: int((d.kind == kind).sum()) for kind in Kind}
    fixed = int((problem.lowered.rules.fixed & (d.kind != Kind.PORT)).sum())
    die = " ".join(f"{v / per:g}" for v in d.die)
    heights = np.unique(d.rows.height / per) if len(d.rows) else np.empty(0)
    rows = (
        f"{len(d.rows)} rows of height {', '.join(f'{h:g}' for h in heights[:4])}"
        if len(heights)
        else "no rows"
    )
    lines = [
        *problem.describe().splitlines(),
        f"{counts[Kind.CELL]:,} standard cells, {counts[Kind.MACRO]:,} hard macros, {counts[Kind.SOFT]:,} soft macros, {counts[Kind.PORT]:,} ports; {fixed:,} cells and macros are fixed.",
        f"Die (left bottom right top): {die} {unit}; {rows}.",
    ]
    return "\n".join(printable(shortened(line, LONGEST_LINE).replace("\n", " ")) for line in lines)


def macros(problem: PlacementProblem, placement: Placement, which: Sequence[int] | None = None) -> str:
    """Where macros are, how much wire hangs on them, and where the other ends of their nets are: a column each."""
    d, per = problem.design, problem.design.per_um or 1.0
    solid = (d.kind == Kind.MACRO) | (d.kind == Kind.SOFT)
    cells = np.flatnonzero(solid) if which is None else np.array(which, dtype=np.int64)
    if not len(cells):
        return "There are no macros."
    area = (d.width * d.height)[cells]
    shown = cells[np.argsort(-area, kind="stable")[:MACROS]]
    boxes, wants = np.stack(d.boxes(placement), axis=1) / per, pulls(d, placement, shown)
    wire = wires(d, placement, shown)
    lines = [
        "macro: left bottom right top, orientation, state | wire on its nets | mean place of the other ends of its nets"
    ]
    for k, cell in enumerate(shown):
        state = "soft" if d.kind[cell] == Kind.SOFT else "hard"
        state += ", fixed" if problem.lowered.rules.fixed[cell] else ""
        box = " ".join(f"{v:g}" for v in np.round(boxes[cell], 3))
        want = "-" if np.isnan(wants[k]).any() else f"{wants[k, 0] / per:.4g} {wants[k, 1] / per:.4g}"
        lines.append(
            f"{name(d.cell_names[cell])}: {box}, {orient.NAMES[placement.orient[cell]]}, {state} | {wire[k] / per:.5g} | {want}"
        )
    if len(cells) > len(shown):
        lines.append(f"and {len(cells) - len(shown)} smaller ones (`macros` with a pattern shows them)")
    return "\n".join(lines)


def pulls(design: Design, placement: Placement, cells: Ints) -> Floats:
    """(K, 2) for each of `cells` the mean position of the other pins of its nets, each net counting its weight; NaN without any."""
    x, y = design.pin_positions(placement)
    sizes = np.diff(design.net_start)
    net_of = np.repeat(np.arange(design.nets), sizes)
    small = (sizes <= WIDE) & (sizes > 1)
    sums = [np.bincount(net_of, values, design.nets) for values in (x, y)]
    found = np.full((len(cells), 2), np.nan)
    for k, cell in enumerate(cells):
        pins = np.flatnonzero(design.pin_cell == cell)
        pins = pins[small[net_of[pins]]]
        if len(pins):
            nets, weight = net_of[pins], design.net_weight[net_of[pins]]
            others = [(sums[a][nets] - p[pins]) / (sizes[nets] - 1) for a, p in enumerate((x, y))]
            found[k] = [float(np.average(o, weights=np.maximum(weight, 1e-12))) for o in others]
    return found


def wires(design: Design, placement: Placement, cells: Ints) -> Floats:
    """(K,) the weighted half-perimeters of the nets on each of `cells`."""
    lengths = design.net_weight * net_lengths(design, placement)
    net_of = np.repeat(np.arange(design.nets), np.diff(design.net_start))
    return np.array([float(lengths[np.unique(net_of[design.pin_cell == cell])].sum()) for cell in cells])


def longest(design: Design, placement: Placement, of: int | None = None, most: int = NETS) -> str:
    """The longest nets, of one cell where it is given: length, box, pins, and what is on them, macros first."""
    per = design.per_um or 1.0
    length = design.net_weight * net_lengths(design, placement)
    if of is not None:
        net_of = np.repeat(np.arange(design.nets), np.diff(design.net_start))
        mine = np.zeros(design.nets, np.bool_)
        mine[net_of[design.pin_cell == of]] = True
        length = np.where(mine, length, -1.0)
    order = np.argsort(-length, kind="stable")[:most]
    boxes = np.stack(net_boxes(design, placement), axis=1) / per
    lines = ["net: length, box (left bottom right top), pins | on it"]
    for net in order[length[order] >= 0]:
        box = " ".join(f"{v:.5g}" for v in boxes[net])
        on = np.unique(design.pin_cell[design.net_start[net] : design.net_start[net + 1]])
        on = on[np.argsort(design.kind[on] == Kind.CELL, kind="stable")]
        said = ", ".join(name(design.cell_names[c]) for c in on[:MEMBERS]) + (
            " ..." if len(on) > MEMBERS else ""
        )
        lines.append(f"{name(design.net_names[net])}: {length[net] / per:.5g}, {box}, {len(on)} | {said}")
    return "\n".join(lines)


def measures(problem: PlacementProblem, placement: Placement) -> str:
    """Peaks of the maps, in a line."""
    d, per = problem.design, problem.design.per_um or 1.0
    full = float(maps.density(d, placement, *maps.bins(d)).max())
    return f"fullest bin {full:.2f}; congestion (mean RUDY of the fullest bins) {maps.congestion(d, placement) * per:.4g}"


def recipe(space: RecipeSpace, now: Recipe) -> str:
    """The open values, what they may be, and what they are."""
    lines = []
    for key in sorted(space.decisions):
        may = "true or false" if key not in LIMITS else "{:g} to {:g}".format(*LIMITS[key])
        lines.append(
            f"- {key}: {getattr(now, key)!s} (may be {may}; search tries {', '.join(map(str, space.decisions[key][:6]))})"
        )
    return "\n".join(lines)


def verdict(name: str, evaluation: Evaluation) -> list[str]:
    """What was measured of a candidate, and for a failure what it says and what to look at."""
    if evaluation.score is None:
        reason = fenced(shortened("\n".join(_broken(evaluation) or [evaluation.reason]), 3_000))
        return [f"candidate {name}: {evaluation.status}", reason, ADVICE.get(evaluation.status, "")]
    terms = ", ".join(
        f"{key} {evaluation.metrics[key].value:.5g}"
        for key in ("wirelength", "density", "congestion")
        if key in evaluation.metrics
    )
    return [
        f"candidate {name}: passed, {evaluation.headline}{f' ({terms})' if terms else ''}, score {evaluation.score:.5f} (higher is better); took {evaluation.seconds:.1f} s"
    ]


def _broken(evaluation: Evaluation) -> list[str]:
    found: Sequence[Mapping[str, Any]] = evaluation.detail.get("violations") or ()
    return [f"{f['rule']}: {f['count']}, such as {', '.join(map(str, f['examples']))}" for f in found]


def moved(problem: PlacementProblem, a: Placement, b: Placement) -> str:
    """Which macros are elsewhere in `b` than in `a`, the farthest first."""
    d, per = problem.design, problem.design.per_um or 1.0
    solid = np.flatnonzero((d.kind == Kind.MACRO) | (d.kind == Kind.SOFT))
    far = np.hypot(b.x - a.x, b.y - a.y)[solid]
    order = [i for i in np.argsort(-far, kind="stable") if far[i] > max(d.tolerance, 1e-6)]
    if not order:
        return "No macro is elsewhere."
    one, two = (np.stack(d.boxes(p), axis=1) / per for p in (a, b))
    lines = [
        f"{name(d.cell_names[c])}: {one[c, 0]:g} {one[c, 1]:g} -> {two[c, 0]:g} {two[c, 1]:g} {orient.NAMES[b.orient[c]]}"
        for c in solid[order[:MOVED]]
    ]
    more = f"\nand {len(order) - MOVED} more" if len(order) > MOVED else ""
    return "macros that are elsewhere (left bottom -> left bottom):\n" + "\n".join(lines) + more


def compared(problem: PlacementProblem, a: Placement, b: Placement) -> str:
    """Metrics before and after, the macros that moved, the nets that grew and shrank most."""
    found = diff(problem.design, a, b)
    lines = [
        f"{key}: {before:.6g} -> {after:.6g}"
        for key, (before, after) in found["metrics"].items()
        if _numbers(before, after)
    ]
    lines.append(moved(problem, a, b))
    for key in ("longer", "shorter"):
        nets = "; ".join(
            f"{name(n['net'])} {n['before']:.4g} -> {n['after']:.4g}" for n in found[key][:MEMBERS]
        )
        lines.append(f"{found[f'nets_{key}']} nets are {key}; most: {nets or 'none'}")
    return "\n".join(lines)


def _numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) for v in values)
