"""Code coverage as bins: lines, branches and conditions of the source, whatever instance runs them.

A condition made of several is covered part by part, in the sense of masking MC/DC (DO-178B; Chilenski, 2001): each part has been true, and false, in a
cycle in which the outcome would have been another had it been the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kerf.verification.coverage.bins import Bin
from kerf.verification.coverage.covergroups import group_bins
from kerf.verification.coverage.fsm import machines, state_bins
from kerf.verification.coverage.instrument import Decision, Guard, Instrumented, Point, instrument
from kerf.verification.coverage.toggle import toggles
from kerf.verification.design import Design
from kerf.verification.graph import FALSE, TRUE, Graph, Node
from kerf.verification.model import Model, model

PREFIX = "kerf_"
UNKNOWN = 2


def instrumented(
    design: Design, *, build: Callable[..., Model] = model, **options: Any
) -> tuple[Model, list[Bin], tuple[str, ...]]:
    """A model of `design` with bins for its lines, branches and conditions, its state machines, toggles and covergroups, and notes on what has none. Options as for `model`, or for what
    `build`s one of the design and texts for some of its sources instead. What reset itself
    exercises is no bin while reset is held inactive."""
    made = instrument(design)
    found = build(design, made.texts, **options)
    wires = _wires(found)
    plain = [b for b in _bins(found, made, wires) if not _exercised_by_reset(found, b.target)]
    functional = group_bins(found.graph, made.groups, wires)
    for name in [n for n in found.graph.signals if n.rpartition(".")[2].startswith(PREFIX)]:
        del found.graph.signals[name]
    states = [b for m in machines(design, found.graph) for b in state_bins(found, m)]
    bins = _distinct([*functional, *plain, *states, *toggles(found)])
    notes = made.groups.notes
    if made.left_out:
        notes.append(
            f"{made.left_out} processes or statements are not instrumented (macros, latches, patterns)"
        )
    return found, bins, tuple(notes)


def _wires(found: Model) -> dict[str, list[tuple[int, ...]]]:
    """The literals of our own wires, an entry an instance."""
    wires: dict[str, list[tuple[int, ...]]] = {}
    for name, signal in found.graph.signals.items():
        last = name.rpartition(".")[2]
        if last.startswith(PREFIX):
            wires.setdefault(last, []).append(signal.bits)
    return wires


def _bins(found: Model, made: Instrumented, wires: Mapping[str, list[tuple[int, ...]]]) -> Iterator[Bin]:
    graph, read = found.graph, _reader(found, wires)
    for mark in made.marks:
        seen = [read(p) for p in mark.points]
        if any(s is not None for s in seen):  # elaborated somewhere
            yield Bin(mark.name, graph.any_of(x for s in seen if s for x in s), mark.kind, mark.source)
    for decision in made.decisions:
        yield from _conditions(graph, decision, read)


def _reader(found: Model, wires: Mapping[str, list[tuple[int, ...]]]) -> Callable[[Guard], list[int] | None]:
    """The literals of a point, one an instance; None when there is no instance."""
    back = Before(found)

    def read(point: Guard) -> list[int] | None:
        if point is None:
            return [TRUE]
        rows = wires.get(point.wire)
        if rows is None:
            return None
        bits = [row[point.bit] for row in rows]
        return [back(b) for b in bits] if point.clocked else bits

    return read


class Before:
    """What decides a literal's value in the next cycle: literals over this one."""

    def __init__(self, found: Model) -> None:
        self._graph, held = found.graph, dict(found.held)
        if found.reset:
            held[self._graph.signals[found.reset.name].bits[0] >> 1] = 1 - found.reset.active
        self._known = {0: FALSE} | {n: TRUE if v else FALSE for n, v in held.items()}

    def __call__(self, literal: int) -> int:
        graph, known = self._graph, self._known
        todo = [literal >> 1]
        while todo:
            node = todo[-1]
            if node in known:
                todo.pop()
            elif graph.kind[node] == Node.AND:
                left, right = graph.left[node], graph.right[node]
                missing = [x >> 1 for x in (left, right) if x >> 1 not in known]
                if missing:
                    todo += missing
                else:
                    known[node] = graph.conjunction(
                        known[left >> 1] ^ (left & 1), known[right >> 1] ^ (right & 1)
                    )
            else:  # an input here would be an asynchronous one other than the reset: as it is now
                known[node] = graph.left[node] if graph.kind[node] == Node.LATCH else 2 * node
        return known[literal >> 1] ^ (literal & 1)


def _conditions(graph: Graph, decision: Decision, read: Callable[[Point], list[int] | None]) -> Iterator[Bin]:
    """Two bins a part: true, and false, with the outcome hanging on it."""
    when = read(decision.when)
    values = [read(point) for _, point in decision.atoms]
    if when is None or any(v is None for v in values):
        return
    rows = [[v[i] for v in values if v] for i in range(len(when))]  # an instance's parts
    for at, (text, _) in enumerate(decision.atoms):
        for value, said in ((1, "true"), (0, "false")):
            seen = [
                _decides(graph, decision.tree, row, at, value, w) for row, w in zip(rows, when, strict=True)
            ]
            name = f"{decision.source} {text} {said} decides"
            yield Bin(name, graph.any_of(seen), "condition", decision.source)


def _decides(graph: Graph, tree: Any, parts: Sequence[int], at: int, value: int, when: int) -> int:
    outcomes = [
        _outcome(graph, tree, [*parts[:at], constant, *parts[at + 1 :]]) for constant in (FALSE, TRUE)
    ]
    return graph.all_of([when, parts[at] ^ 1 ^ value, graph.exclusive_or(*outcomes)])


def _outcome(graph: Graph, tree: Any, parts: Sequence[int]) -> int:
    if isinstance(tree, int):
        return parts[tree]
    left, right = (_outcome(graph, t, parts) for t in tree[1:])
    return graph.conjunction(left, right) if tree[0] == "&&" else graph.disjunction(left, right)


def _distinct(bins: Sequence[Bin]) -> list[Bin]:
    """Names made distinct: the second of a name on a line is called #2."""
    seen: dict[str, int] = {}
    made = []
    for b in bins:
        seen[b.name] = times = seen.get(b.name, 0) + 1
        made.append(b if times == 1 else Bin(f"{b.name} #{times}", b.target, b.kind, b.source))
    return made


def _exercised_by_reset(found: Model, target: int) -> bool:
    """Whether the reset alone, everything else unknown, makes `target` true, and it is held inactive afterwards."""
    if found.reset is None or found.reset_free or target == TRUE:
        return False
    node = found.graph.signals[found.reset.name].bits[0] >> 1
    return _ternary(found.graph, target, {node: found.reset.active}) == 1


def _ternary(graph: Graph, literal: int, inputs: Mapping[int, int]) -> int:
    known: dict[int, int] = {0: 0}
    for node in _cone(graph, literal):
        if graph.kind[node] == Node.AND:
            a, b = (known[x >> 1] if known[x >> 1] == UNKNOWN else known[x >> 1] ^ (x & 1) for x in (graph.left[node], graph.right[node]))  # fmt: skip
            known[node] = 0 if 0 in (a, b) else (1 if (a, b) == (1, 1) else UNKNOWN)
        elif node:
            known[node] = inputs.get(node, UNKNOWN)
    value = known[literal >> 1]
    return value if value == UNKNOWN else value ^ (literal & 1)


def _cone(graph: Graph, literal: int) -> list[int]:
    """The nodes that a literal depends on within a cycle, ascending."""
    seen, todo = set(), [literal >> 1]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            if graph.kind[node] == Node.AND:
                todo += [graph.left[node] >> 1, graph.right[node] >> 1]
    return sorted(seen)
