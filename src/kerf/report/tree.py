"""Which candidate came from which, as a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kerf.core.records import Trial
from kerf.report import svg
from kerf.report.markup import Markup

NARROW, BROAD, STEP_Y, RADIUS, WIDE = 5.5, 30.0, 44.0, 5.0, 1160.0


def lineage(best: str | None, parents: Mapping[str, str | None]) -> list[str]:
    """From the candidate up to its oldest known ancestor."""
    line: list[str] = []
    while best is not None and best in parents and best not in line:
        line.append(best)
        best = parents[best]
    return line


def parents_of(trials: Sequence[Trial]) -> dict[str, str | None]:
    """Each candidate's parent, where that was tried before it."""
    parents: dict[str, str | None] = {}
    for trial in trials:
        candidate = trial.candidate
        parents.setdefault(candidate.id, candidate.parent if candidate.parent in parents else None)
    return parents


def tree(trials: Sequence[Trial], best: str | None) -> Markup:
    """Parents above children, in the order they were tried; squares failed; the winner's ancestry is drawn strong. Families stand side
    by side, in several rows where one would be too wide."""
    by_id = {t.candidate.id: t for t in trials}
    parents = parents_of(trials)
    places, step = _places(parents)
    radius = min(RADIUS, 0.42 * step)
    strong = set(lineage(best, parents))
    edges = [
        _edge(places[p], places[c], c in strong)
        for c, p in sorted(parents.items(), key=lambda e: e[0] in strong)
        if p
    ]
    nodes = [_node(by_id[c], *places[c], radius, c == best) for c in by_id]
    width = max(x for x, _ in places.values()) + NARROW
    height = max(y for _, y in places.values()) + STEP_Y / 2
    return svg.drawing(max(width, WIDE), height, "candidates as a tree", *edges, *nodes, fixed=width > WIDE)


def _places(parents: Mapping[str, str | None]) -> tuple[dict[str, tuple[float, float]], float]:
    """Each family is laid out on its own, then the families are set in rows; with the width of a column."""
    children: dict[str | None, list[str]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    places: dict[str, tuple[float, float]] = {}
    families = {root: _family(root, children) for root in children.get(None, [])}
    broadest = max(columns for _, columns, _ in families.values())
    leaves = sum(columns for _, columns, _ in families.values())
    step = max(NARROW, min(BROAD, WIDE / (broadest + 1), max(15.0, WIDE / (leaves + 1))))
    left, top, lowest = step, STEP_Y / 2, 0.0
    for family, columns, depth in families.values():
        if left + columns * step > WIDE + 1 and left > step:
            left, top, lowest = step, lowest + STEP_Y, 0.0
        for name, (x, level) in family.items():
            places[name] = (left + x * step, top + level * STEP_Y)
        left, lowest = left + columns * step, max(lowest, top + depth * STEP_Y)
    return places, step


def _family(
    root: str, children: Mapping[str | None, list[str]]
) -> tuple[dict[str, tuple[float, int]], int, int]:
    """Leaves get columns from left to right, a parent stands over the middle of its children. Without recursion: a search may well
    descend a thousand generations."""
    order, stack = [], [(root, 0)]
    while stack:
        name, level = stack.pop()
        order.append((name, level))
        stack += [(c, level + 1) for c in reversed(children.get(name, []))]
    places: dict[str, tuple[float, int]] = {}
    leaves = [name for name, _ in order if not children.get(name)]
    column = {name: float(i) for i, name in enumerate(leaves)}
    for name, level in reversed(order):
        below = [places[c][0] for c in children.get(name, [])]
        places[name] = ((below[0] + below[-1]) / 2 if below else column[name], level)
    return places, len(leaves), max(level for _, level in order)


def _edge(parent: tuple[float, float], child: tuple[float, float], strong: bool) -> Markup:
    (x1, y1), (x2, y2) = parent, child
    middle = y2 - STEP_Y / 2
    return svg.path([(x1, y1), (x1, middle), (x2, middle), (x2, y2)], "edge strong" if strong else "edge")


def _node(trial: Trial, x: float, y: float, radius: float, best: bool) -> Markup:
    evaluation, candidate = trial.evaluation, trial.candidate
    verdict = f"{evaluation.score:.3g}" if evaluation.score is not None else evaluation.reason[:200]
    title = f"{candidate.id[:8]} by {candidate.proposer or 'unknown'}: {evaluation.status} {verdict}"
    class_ = f"s-{evaluation.status}" + (" chosen" if best else "")
    draw = svg.mark if evaluation.score is not None else svg.box
    return draw(
        x, y, (RADIUS + 2 if best else radius) * (0.85 if evaluation.score is None else 1.0), class_, title
    )
