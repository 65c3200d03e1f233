"""Bins: what coverage counts. Each is a literal of the design's graph that is true in the cycles that cover it.

The functional ones are made here, as a testbench would say them: values and ranges of a word, words crossed, steps from one value to the next.
The model is IEEE 1800's (chapter 19): a coverpoint has bins, a cross has one bin for each combination, and a condition (`iff`) guards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from kerf.core.types import KerfError
from kerf.verification.graph import FALSE, TRUE, Graph

Values = int | range | Sequence[int]


@dataclass(frozen=True)
class Bin:
    """`target`: a literal of the model's graph, true in a cycle that covers the bin. `kind`: functional, line, branch, expression, toggle, state or
    transition. `source`: "file:line", or ""."""

    name: str
    target: int
    kind: str = "functional"
    source: str = ""


def word(graph: Graph, name: str) -> tuple[int, ...]:
    """The literals of a signal. KerfError for a name that the graph does not know."""
    if name not in graph.signals:
        import difflib

        near = difflib.get_close_matches(name, graph.signals, 3)
        raise KerfError(f"no signal {name!r}{': did you mean ' + ' or '.join(near) + '?' if near else ''}")
    return graph.signals[name].bits


def within(graph: Graph, bits: Sequence[int], values: Values) -> int:
    """Whether a word (unsigned) is a number, in a range (step 1), or one of several numbers."""
    if isinstance(values, range) and values.step == 1:
        return graph.conjunction(
            _at_least(graph, bits, values.start), _at_least(graph, bits, values.stop) ^ 1
        )
    wanted = [values] if isinstance(values, int) else list(values)
    return graph.any_of(graph.equal(bits, v) for v in wanted if 0 <= v < 1 << len(bits))


def _at_least(graph: Graph, bits: Sequence[int], number: int) -> int:
    """Compared from the least significant bit upwards."""
    if number <= 0:
        return TRUE
    if number >= 1 << len(bits):
        return FALSE
    result = TRUE
    for i, bit in enumerate(bits):
        result = graph.conjunction(bit, result) if number >> i & 1 else graph.disjunction(bit, result)
    return result


def value_bins(graph: Graph, name: str, bits: Sequence[int], values: Mapping[str, Values] | Iterable[int], *, when: int = TRUE,
               source: str = "") -> list[Bin]:  # fmt: skip
    """A bin for each entry of `values`, called `name[entry]`; numbers name themselves. `when`: a literal that guards all."""
    named = values if isinstance(values, Mapping) else {str(v): v for v in values}
    return [
        Bin(f"{name}[{k}]", graph.conjunction(when, within(graph, bits, v)), "functional", source)
        for k, v in named.items()
    ]


def cross(graph: Graph, name: str, *axes: Sequence[Bin], when: int = TRUE, source: str = "") -> list[Bin]:
    """A bin for each combination of bins, one of each axis, in the same cycle."""
    return [
        Bin(f"{name}[{', '.join(_entry(b) for b in row)}]", graph.all_of([when, *(b.target for b in row)]), "functional", source)
        for row in product(*axes)
    ]  # fmt: skip


def _entry(of: Bin) -> str:
    """What a bin is called within its coverpoint."""
    return of.name[of.name.index("[") + 1 : -1] if of.name.endswith("]") else of.name
