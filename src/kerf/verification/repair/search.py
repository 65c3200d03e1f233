"""Repair of a design: what a linter would mend, then the fewest changes of a growing set, then variants; every result is read again and checked."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.repair.apart import Apart
from kerf.verification.repair.change import PREFIX, Plan, apply, weave
from kerf.verification.repair.graft import grafted
from kerf.verification.repair.lint import Variant, lints, variants
from kerf.verification.repair.oracle import Oracle
from kerf.verification.repair.order import Order
from kerf.verification.repair.play import Unknowns
from kerf.verification.repair.reading import places
from kerf.verification.repair.solve import MOST_LANES, Choice, Solver
from kerf.verification.repair.source import Key, Places, behind
from kerf.verification.repair.templates import Offer

MOST_CHANGES = 12
ENOUGH = 2  # changes, few: up to which no larger set of templates is tried
LEVELS = (0, 1, 2)
# levels, and whether more than ENOUGH changes are looked for: with many the search is long, and one change of another kind may do
ROUNDS = ((0, False), (1, False), (0, True), (2, False), (1, True), (2, True))
MOST_WIDE = 4  # changes of the larger sets of templates
MANY = 150  # changes, from which on only those that can touch a wrong output are offered
MOST_RANKED = 12
RANKING = 0.08  # of the time, if it is over when repairs are found
SLOWER = 6  # times as long as a design alone its synthesis takes with the changes of a level in it
MOST_DROPPED = 20  # changes that synthesis refuses, before a set of templates is given up


class Status(StrEnum):
    """How far a repair is known to be right."""

    CHECKED = "checked"  # it passes the table, in simulation of the source read again
    PROVED = "proved"  # equal to the reference, or its assertions proved


@dataclass(frozen=True)
class Repair:
    """`texts`: the sources after it; `diff`: unified, of all of them; `changes`: "template, line" of each. The fewest changes first, then by `weight`."""

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
class Search:
    """Repairs after which a design does what an oracle's table says."""

    oracle: Oracle
    most: int = 5
    watch: Watch = lambda text: None
    found: dict[str, Repair] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    exhausted: bool = False
    _solvers: dict[tuple[tuple[Variant, ...], int], Solver | None] = field(default_factory=dict)
    plain_s: float = 0.0  # what it took to synthesize and play the design as it is

    def run(self) -> Outcome:
        begun, design = time.monotonic(), self.oracle.design
        texts = {s.name: s.text for s in design.sources}
        passes = self.oracle.share(texts) == 1
        self.plain_s = time.monotonic() - begun
        mended = lints(design, places(design), self.oracle.table)
        mended = [v for v in mended if self._reads(texts, [v])]
        if not (passes and not mended) and not self._mend(texts, mended, passes):
            self._grow([self._base(texts, rows) for rows in self._bases(texts, mended)])
        rows = self._ranked(max(self.deadline, time.monotonic() + RANKING * (self.deadline - begun)))
        notes = tuple(dict.fromkeys((*self.notes, *self.oracle.refused)))
        return Outcome(tuple(rows[: self.most]), passes, self.exhausted, notes, time.monotonic() - begun)

    def _ranked(self, until: float) -> list[Repair]:
        """The fewest changes first; of those that are the fewest, the ones that keep most of what the design does, as far as time tells."""
        rows = sorted(self.found.values(), key=lambda r: (len(r.changes), r.weight + len(r.notes)))
        least = [r for r in rows if len(r.changes) == self._best][:MOST_RANKED]
        if len(least) < 2:
            return rows
        kept: dict[str, float] = {}
        for found in least:
            if time.monotonic() > until:
                self.notes.append(
                    "repairs of as many changes are not ranked by the behaviour they keep: time was over"
                )
                return rows
            kept[found.diff] = round(self.oracle.kept_share(found.texts), 2)
        return sorted(least, key=lambda r: (-kept[r.diff], r.weight + len(r.notes))) + rows[len(least) :]

    @property
    def deadline(self) -> float:
        return self.oracle.deadline

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline

    @property
    def _best(self) -> int:
        """The fewest changes that were found to do."""
        return min((len(r.changes) for r in self.found.values()), default=MOST_CHANGES)

    # what a linter would mend

    def _mended(self, texts: Mapping[str, str], rows: Sequence[Variant]) -> dict[str, str]:
        return apply(texts, [e for v in rows for e in v.edits])

    def _mend(self, texts: Mapping[str, str], mended: Sequence[Variant], passes: bool) -> bool:
        """Whether lints are all that is wrong; then the repair has as few of them as simulation can tell apart."""
        kept = list(mended)
        if not kept or self.oracle.share(self._mended(texts, kept)) < MOST_LANES:
            return False
        for variant in mended:
            rest = [v for v in kept if v is not variant]
            if variant.seen and not passes and self.oracle.share(self._mended(texts, rest)) >= MOST_LANES:
                kept = rest
        if kept:
            self._add(self._mended(texts, kept), kept, [])
        return bool(kept)

    def _reads(self, texts: Mapping[str, str], rows: Sequence[Variant]) -> bool:
        try:
            self.oracle.design.with_texts(self._mended(texts, rows))
        except KerfError:
            return False
        return True

    def _bases(self, texts: Mapping[str, str], mended: list[Variant]) -> list[list[Variant]]:
        """With what is surely wrong mended; and with all, if that makes a difference."""
        sure = [v for v in mended if v.sure]
        if sure == mended:
            return [sure]
        some, every = (self.oracle.played(self._mended(texts, rows)) for rows in (sure, mended))
        if some is None:
            return [mended] if every else [sure]
        better = every is not None and (every.row, every.share) > (some.row, some.share)
        return [sure, mended] if better else [sure]

    def _base(self, texts: Mapping[str, str], mended: Sequence[Variant]) -> _Base:
        design = self.oracle.design.with_texts(self._mended(texts, mended))
        return _Base(design, places(design), tuple(mended))

    # changes

    def _grow(self, bases: Sequence[_Base]) -> None:
        """Larger and larger sets of templates, and more changes at once; the variants come before them where synthesis with templates is not likely to end in time."""
        rounds = [(level, many, base) for level, many in ROUNDS for base in bases]
        slow = SLOWER * self.plain_s * len(LEVELS) * len(bases) > self.deadline - time.monotonic()
        final = True
        for index, (level, many, base) in enumerate(rounds):
            share = (self.deadline - time.monotonic()) / (len(rounds) - index)
            first = not (level or many)
            if first and slow and not self.found:
                self._variants(base, 2)
            if self.late or self._best <= ENOUGH:
                return
            complete = self._level(base, level, many, share)
            final = final and (complete or not many)
            if first and not slow and not self.found:
                self._variants(base, 4)
        self.exhausted = final and not self.found

    def _level(self, base: _Base, level: int, many: bool, seconds: float) -> bool:
        """Whether the search was complete; of more than a few changes, when `many`."""
        more = ", more changes at once" if many else ""
        self.watch(f"templates of level {level}{more}" + (", warnings mended" if base.mended else ""))
        most = self._best - len(base.mended) - (level > 0)
        most = min(most, ENOUGH if not many else MOST_WIDE if level else MOST_CHANGES)
        if most < (least := ENOUGH + 1 if many else 1):
            return True
        solver = self._posed_once(base, level)
        if solver is None:
            return False
        apart = Apart(solver, least, most, seconds)
        for choice in apart.choices():
            self._keep(base, choice)
            if self.late:
                break
        return apart.exhausted

    def _posed_once(self, base: _Base, level: int) -> Solver | None:
        key = (base.mended, level)
        if key not in self._solvers:
            self._solvers[key] = made = self._solver(base, level)
            if made:
                self.watch(f"{len(made.changes)} possible changes, first failure in row {made.none.row} of {made.none.rows}")  # fmt: skip
        return self._solvers[key]

    def _solver(self, base: _Base, level: int) -> Solver | None:
        offer = Offer(base.places, Order(base.places), base.texts, level)
        plan = offer.plan()
        if len(plan.changes) > MANY:
            plan = replace(offer, scope=self._scope(base)).plan()
        for _ in range(MOST_DROPPED):
            try:
                return self._posed(base, plan)
            except KerfError as error:
                culprits = set(re.findall(rf"{PREFIX}[ehw]\d+", str(error)))
                kept = tuple(c for c in plan.changes if not culprits & {*c.names, *(p.wire for p in c.picks)})
                if len(kept) == len(plan.changes):
                    self.notes.append(f"templates of level {level}: {str(error).splitlines()[0]}")
                    return None
                plan = Plan(kept, plan.lists)
        return None

    def _scope(self, base: _Base) -> set[Key] | None:
        """The words that outputs depend on which are wrong in the first row that fails."""
        played = self.oracle.played(base.texts)
        names = played.names if played else ()
        return behind(base.places, {(base.design.top, n) for n in names}) if names else None

    def _posed(self, base: _Base, plan: Plan) -> Solver:
        modules = base.places.modules
        made = self.oracle.made(base.design.with_texts(weave(base.texts, modules, plan)))
        graph = grafted(made.graph, plan.changes, modules)
        unknowns = Unknowns(0, self.oracle.zero)
        return Solver(graph, lambda g, fixed: self.oracle.run(made, g, fixed), plan.changes, unknowns, self.deadline)  # fmt: skip

    def _variants(self, base: _Base, part: int) -> None:
        """In one `part`th of the time that is left."""
        until = time.monotonic() + (self.deadline - time.monotonic()) / part
        for variant in variants(base.design, base.places, self._scope(base)):
            if time.monotonic() > until:
                return
            new = apply(base.texts, variant.edits)
            if self.oracle.share(new) >= MOST_LANES:
                self._add(new, [*base.mended, variant], [])
                return

    def _keep(self, base: _Base, choice: Choice) -> None:
        new = apply(
            base.texts, [e for c in choice.changes for e in c.edits(lambda h: choice.values.get(h, 0))]
        )
        share = self.oracle.share(new)
        if share >= max(choice.share - 0.1, MOST_LANES - 0.05):
            notes = () if share == 1 else (f"holds for {share:.0%} of the initial values tried",)
            self._add(new, base.mended, [choice], notes)
        else:
            self.notes.append("a repair that does not pass when read again: dropped")

    def _add(self, new: Mapping[str, str], mended: Sequence[Variant], choices: Sequence[Choice],
             notes: tuple[str, ...] = ()) -> None:  # fmt: skip
        text = diff({s.name: s.text for s in self.oracle.design.sources}, new)
        told = tuple(f"{v.template}, line {v.line}" for v in mended)
        told += tuple(f"{c.template}, line {c.line}" for choice in choices for c in choice.changes)
        weight = sum(v.weight for v in mended) + sum(c.weight + c.distance / 16 for c in choices)
        known = self.found.get(text)
        if known is None or weight < known.weight:
            self.found[text] = Repair(text, dict(new), Status.CHECKED, told, weight, notes)
            self.watch(f"a repair with {len(told)} change(s): {'; '.join(told)}")


def diff(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Unified, of the files that differ."""
    parts: list[str] = []
    for name, text in old.items():
        if new[name] != text:
            parts += difflib.unified_diff(text.splitlines(), new[name].splitlines(), name, name, n=1, lineterm="")  # fmt: skip
    return "\n".join(parts) + "\n" if parts else ""


def with_status(repair: Repair, status: Status, *notes: str) -> Repair:
    return replace(repair, status=status, notes=(*repair.notes, *notes))
