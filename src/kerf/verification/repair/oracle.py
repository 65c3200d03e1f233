"""Does a source do what a table says? Read, synthesized and simulated, and remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.graph import Graph
from kerf.verification.model import Model, model, with_reset
from kerf.verification.repair.keeping import kept_share
from kerf.verification.repair.play import Played, Run, Unknowns, frames_of, play
from kerf.verification.tables import Table

Build = Callable[[Design, float], Model]
MOST_SECONDS = 120.0


def plain(design: Design, seconds: float) -> Model:
    """A design as it is at power-up, its reset an input like others."""
    return model(design, reset="", timeout_s=seconds)


@dataclass
class Oracle:
    """`deadline` (of `time.monotonic`) bounds every synthesis; `build` makes the model of a design, whose outputs are looked at; `zero` as for `Unknowns`. `refused`: what could not be built, and why."""

    design: Design
    table: Table
    deadline: float
    zero: bool = False
    build: Build = plain
    refused: list[str] = field(default_factory=list)
    _known: dict[tuple[str, ...], Played | None] = field(default_factory=dict)
    _models: dict[tuple[str, ...], Model] = field(default_factory=dict)  # of the design, and of what passes

    @property
    def _own(self) -> tuple[str, ...]:
        return tuple(s.text for s in self.design.sources)

    def played(self, texts: Mapping[str, str]) -> Played | None:
        """How the design does with `texts` for its sources; None when it does not compile."""
        key = tuple(texts.values())
        if key not in self._known:
            self._known[key] = self._play(texts)
        return self._known[key]

    def share(self, texts: Mapping[str, str]) -> float:
        """Of 64 lanes, those that pass."""
        found = self.played(texts)
        return found.share if found else 0.0

    def kept_share(self, texts: Mapping[str, str]) -> float:
        """How much of what the design does `texts` keep, sources that were played and passed in some lane; 0 for others."""
        old, new = (self._models.get(key) for key in (self._own, tuple(texts.values())))
        return kept_share(with_reset(old), with_reset(new)) if old and new else 0.0

    def _play(self, texts: Mapping[str, str]) -> Played | None:
        try:
            made = self.made(self.design.with_texts(texts))
        except KerfError as error:
            self.refused.append(str(error).splitlines()[-1])
            return None
        found = play(made.graph, self.run(made, made.graph), Unknowns(1, self.zero))
        key = tuple(texts.values())
        if found.share > 0 or key == self._own:
            self._models[key] = made
        wrong = found.wrong.get(found.row, set())
        outputs = (s for s in made.graph.signals.values() if s.kind == "output")
        return replace(found, names=tuple(s.name for s in outputs if wrong & set(s.bits)))

    def made(self, design: Design) -> Model:
        """The model of another design, in the time that is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise KerfError("no time is left: give it longer")
        return self.build(design, min(left / 2, MOST_SECONDS))  # synthesis takes two steps

    def run(self, made: Model, graph: Graph, fixed: Sequence[int] = ()) -> Run:
        """The table as frames of `graph`, a version of the model's."""
        clocks = [made.clock] if made.clock else self._clocks(graph)
        late = self._late_edge(made)
        return frames_of(self.table, graph, clocks, stepped=made.stepped, late=late, fixed=fixed)

    def _late_edge(self, made: Model) -> bool:
        """Registers clocked by the other edge than that which rows were recorded at."""
        level = self.table.constant(made.clock)
        return bool(made.clock) and level is not None and made.edge == ("negedge" if level else "posedge")

    def _clocks(self, graph: Graph) -> list[str]:
        """Inputs that the table has one value of, called like clocks."""
        bits = [n for n, s in graph.signals.items() if s.kind == "input" and len(s.bits) == 1]
        return [n for n in bits if self.table.constant(n) == 1 and "cl" in n.lower() and "k" in n.lower()]
