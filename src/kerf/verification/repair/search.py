"""Repair of a design: what a linter would mend, then the fewest changes of a growing set, then variants; every result is read again and checked."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.graph import Graph
from kerf.verification.model import Model, model
from kerf.verification.repair.apart import Apart
from kerf.verification.repair.change import apply, weave
from kerf.verification.repair.graft import grafted
from kerf.verification.repair.lint import Variant, lints, variants
from kerf.verification.repair.order import Order
from kerf.verification.repair.play import Run, Unknowns, frames_of, play
from kerf.verification.repair.reading import places
from kerf.verification.repair.solve import MOST_LANES, Choice, Solver
from kerf.verification.repair.source import Places
from kerf.verification.repair.table import Table, check_names
from kerf.verification.repair.templates import Offer

MOST_CHANGES = 12
ENOUGH = 2  # changes, up to which no larger set of templates is tried
LEVELS = (0, 1, 2)
MOST_WIDE = 4  # changes of the larger sets of templates


class Status(StrEnum):
    """How far a repair is known to be right."""

    CHECKED = "checked"  # it passes the table, in simulation of the source read again
    PROVED = "proved"  # equal to the reference, or its assertions proved


@dataclass(frozen=True)
class Repair:
    """`texts`: the sources after it; `diff`: unified, of all of them; `changes`: "template, line" of each. Sorted by number of changes, then by `weight`."""

    diff: str
    texts: Mapping[str, str]
    status: Status
    changes: tuple[str, ...]
    weight: float
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {"diff": self.diff, "status": str(self.status), "changes": list(self.changes), "notes": list(self.notes)}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """`passes`: the design needs no repair; `exhausted`: no change of any template would do (else time was short)."""

    repairs: tuple[Repair, ...]
    passes: bool = False
    exhausted: bool = False
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


Watch = Callable[[str], None]


def repair_table(design: Design, table: Table, *, seconds: float = 60.0, most: int = 5, zero: bool = False,
                 watch: Watch = lambda text: None) -> Outcome:  # fmt: skip
    """Repairs of `design` after which it does what `table` says, at most `most`. `zero`: registers start at 0 (as a table from a two-state simulator
    assumes); else they start with any value, and a repair must do for all. KerfError for tables that do not fit."""
    check_names(table, design)
    return _Search(design, table, time.monotonic() + seconds, most, zero, watch).run()


@dataclass(frozen=True)
class _Base:
    """The design with some lints mended."""

    design: Design
    places: Places
    mended: tuple[Variant, ...]

    @property
    def texts(self) -> dict[str, str]:
        return {s.name: s.text for s in self.design.sources}


@dataclass
class _Search:
    design: Design
    table: Table
    deadline: float
    most: int
    zero: bool
    watch: Watch
    found: dict[str, Repair] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    exhausted: bool = False

    def run(self) -> Outcome:
        begun = time.monotonic()
        texts = {s.name: s.text for s in self.design.sources}
        passes = self._passes(self.design)
        mended = lints(self.design, places(self.design), self.table)
        if passes and not mended:
            return self._outcome(begun, passes=True)
        mended = [v for v in mended if self._reads(texts, [v])]
        if not self._mend(texts, mended, passes):
            sure = [v for v in mended if v.sure]
            self._grow([self._base(texts, rows) for rows in ([sure, mended] if sure != mended else [mended])])
        return self._outcome(begun, passes=passes)

    def _base(self, texts: Mapping[str, str], mended: Sequence[Variant]) -> _Base:
        design = self.design.with_texts(self._mended(texts, mended))
        return _Base(design, places(design), tuple(mended))

    def _grow(self, bases: Sequence[_Base]) -> None:
        """Larger and larger sets of templates, on the source with some of what a linter says mended and with all of it."""
        rounds = [(level, base) for level in LEVELS for base in bases]
        final = True
        for index, (level, base) in enumerate(rounds):
            if self.late or self._best <= ENOUGH:
                return
            share = (self.deadline - time.monotonic()) / (len(rounds) - index)
            final = self._level(base, level, share) and final
            if level == 0 and not self.found:
                self._variants(base, time.monotonic() + 2 * share)
        self.exhausted = final and not self.found

    @property
    def _best(self) -> int:
        """The fewest changes that were found to do."""
        return min((len(r.changes) for r in self.found.values()), default=MOST_CHANGES)

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def _outcome(self, begun: float, passes: bool) -> Outcome:
        rows = sorted(self.found.values(), key=lambda r: (len(r.changes), r.weight + len(r.notes)))
        return Outcome(tuple(rows[: self.most]), passes, self.exhausted, tuple(self.notes), time.monotonic() - begun)  # fmt: skip

    # checks

    def _passes(self, design: Design) -> bool:
        return self._played(design) == 1

    def _share(self, texts: Mapping[str, str]) -> float:
        try:
            return self._played(self.design.with_texts(texts))
        except KerfError as error:
            self.notes.append(f"a repair that does not read: {str(error).splitlines()[-1]}")
            return 0.0

    def _played(self, design: Design) -> float:
        """The share of 64 lanes in which a design, as read, passes; none when it cannot be synthesized."""
        try:
            made = _model(design)
        except KerfError as error:
            self.notes.append(str(error).splitlines()[0])
            return 0.0
        return play(made.graph, self._run(made, made.graph), Unknowns(1, self.zero)).share

    def _run(self, made: Model, graph: Graph, fixed: Sequence[int] = ()) -> Run:
        clocks = [made.clock] if made.clock else self._clocks(graph)
        return frames_of(
            self.table, graph, clocks, stepped=made.stepped, late=self._late_edge(made), fixed=fixed
        )

    def _late_edge(self, made: Model) -> bool:
        """Registers clocked by the other edge than that which rows were recorded at."""
        level = self.table.constant(made.clock) if made.clock in self.table.names else None
        edge = _edge_of(made)
        return bool(made.clock) and level is not None and edge == ("negedge" if level else "posedge")

    def _clocks(self, graph: Graph) -> list[str]:
        inputs = [n for n, s in graph.signals.items() if s.kind == "input" and len(s.bits) == 1]
        return [n for n in inputs if self.table.constant(n) == 1 and "cl" in n.lower() and n.lower().rstrip("_i").endswith(("clk", "clock"))]  # fmt: skip

    # lint

    def _mended(self, texts: Mapping[str, str], rows: Sequence[Variant]) -> dict[str, str]:
        return apply(texts, [e for v in rows for e in v.edits])

    def _mend(self, texts: Mapping[str, str], mended: Sequence[Variant], passes: bool) -> bool:
        """Whether lints are all that is wrong; then the repair has as few of them as simulation can tell apart."""
        kept = list(mended)
        if not kept or not self._does(self._mended(texts, kept)):
            return False
        for variant in mended:
            rest = [v for v in kept if v is not variant]
            if variant.seen and not passes and self._does(self._mended(texts, rest)):
                kept = rest
        self._add(self._mended(texts, kept), kept, [])
        return True

    def _does(self, texts: Mapping[str, str]) -> bool:
        try:
            return self._played(self.design.with_texts(texts)) >= MOST_LANES
        except KerfError:
            return False

    def _reads(self, texts: Mapping[str, str], rows: Sequence[Variant]) -> bool:
        try:
            self.design.with_texts(apply(texts, [e for v in rows for e in v.edits]))
        except KerfError:
            return False
        return True

    # changes

    def _level(self, base: _Base, level: int, seconds: float) -> bool:
        """Whether the search was complete."""
        self.watch(f"templates of level {level}" + (", warnings mended" if base.mended else ""))
        most = self._best - len(base.mended) - (level > 0)
        solver = self._solver(base, level) if most > 0 else None
        if solver is None:
            return most <= 0
        apart = Apart(solver, most if level == 0 else min(most, MOST_WIDE), seconds)
        for choice in apart.choices():
            self._keep_checked(base, choice)
            if self.late:
                break
        return apart.exhausted

    def _solver(self, base: _Base, level: int) -> Solver | None:
        plan = Offer(base.places, Order(base.places, base.design.top), base.texts, level).plan()
        try:
            made = _model(base.design, weave(base.texts, base.places.modules, plan))
            graph = grafted(made.graph, plan.changes, base.places.modules)
        except KerfError as error:
            self.notes.append(f"level {level}: {str(error).splitlines()[0]}")
            return None
        solver = Solver(
            graph, lambda g, fixed: self._run(made, g, fixed), plan.changes, Unknowns(0, self.zero), self.deadline
        )  # fmt: skip
        self.watch(f"{len(solver.changes)} possible changes, {len(graph)} nodes, first failure in row {solver.none.row} of {solver.none.rows}")  # fmt: skip
        return solver

    def _variants(self, base: _Base, until: float) -> None:
        for variant in variants(base.design, base.places):
            if time.monotonic() > until:
                return
            new = apply(base.texts, variant.edits)
            if self._does(new):
                self._add(new, [*base.mended, variant], [])
                return

    def _keep_checked(self, base: _Base, choice: Choice) -> None:
        new = apply(
            base.texts, [e for c in choice.changes for e in c.edits(lambda h: choice.values.get(h, 0))]
        )
        share = self._share(new)
        if share >= max(choice.share - 0.1, MOST_LANES - 0.05):
            notes = () if share == 1 else (f"holds for {share:.0%} of the initial values tried",)
            self._add(new, base.mended, [choice], notes)
        else:
            self.notes.append("a repair that does not pass when read again: dropped")

    def _add(self, new: Mapping[str, str], mended: Sequence[Variant], choices: Sequence[Choice],
             notes: tuple[str, ...] = ()) -> None:  # fmt: skip
        text = diff({s.name: s.text for s in self.design.sources}, new)
        told = tuple(f"{v.template}, line {v.line}" for v in mended)
        told += tuple(f"{c.template}, line {c.line}" for choice in choices for c in choice.changes)
        weight = sum(v.weight for v in mended) + sum(c.weight + c.distance / 16 for c in choices)
        known = self.found.get(text)
        if known is None or weight < known.weight:
            self.found[text] = Repair(text, dict(new), Status.CHECKED, told, weight, notes)
            self.watch(f"a repair with {len(told)} change(s): {'; '.join(told)}")


def diff(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Unified, of the files that differ."""
    parts = []
    for name, text in old.items():
        if new[name] != text:
            parts += list(difflib.unified_diff(text.splitlines(), new[name].splitlines(), name, name, n=1, lineterm=""))  # fmt: skip
    return "\n".join(parts) + "\n" if parts else ""


def _model(design: Design, texts: Mapping[str, str] | None = None) -> Model:
    return model(design, texts, reset="")


def _edge_of(made: Model) -> str:
    """The edge of the one clock."""
    return made.edge or "posedge"


def with_status(repair: Repair, status: Status, *notes: str) -> Repair:
    return replace(repair, status=status, notes=(*repair.notes, *notes))
