"""Toggle coverage: every bit of every named signal has risen, and fallen, from one cycle to the next."""

from __future__ import annotations

from collections.abc import Iterator

from kerf.verification.coverage.bins import Bin
from kerf.verification.graph import Graph, Signal
from kerf.verification.model import Model


def toggles(model: Model, kinds: tuple[str, ...] = ("input", "output", "register", "wire")) -> list[Bin]:
    """Two bins a bit; nets of several names once, under the least deep. The clock, a held reset and constants do not toggle. Adds latches, which
    remember the cycle before, to the model's graph."""
    graph, started = model.graph, _started(model.graph)
    held = set(model.held)
    bins = []
    for signal, index, bit in _bits(graph, kinds):
        if bit >> 1 in held or bit < 2:
            continue
        before = graph.add_latch(0)
        graph.set_next(before, bit)
        name = signal.name if len(signal.bits) == 1 else f"{signal.name}[{index}]"
        for said, old, new in (("rises", before ^ 1, bit), ("falls", before, bit ^ 1)):
            target = graph.all_of([started, old, new])
            bins.append(Bin(f"{name} {said}", target, "toggle", signal.source))
    return bins


def _bits(graph: Graph, kinds: tuple[str, ...]) -> Iterator[tuple[Signal, int, int]]:
    """Each net once, as a bit of a signal."""
    seen: set[int] = set()
    order = sorted(graph.signals.values(), key=lambda s: (s.name.count("."), s.kind == "wire"))
    for signal in order:
        for i, bit in enumerate(signal.bits):
            if signal.kind in kinds and bit >> 1 not in seen:
                seen.add(bit >> 1)
                yield signal, i, bit


def _started(graph: Graph) -> int:
    """False in the first cycle alone."""
    started = graph.add_latch(0)
    graph.set_next(started, 1)
    return started
