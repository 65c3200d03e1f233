"""What a design should do, said in three ways, each brought to a table: a run with its outputs, assertions, a reference design.

Assertions and references give runs one by one (counterexamples), until a repair is proved or undecided. A repair for assertions alone satisfies
them and nothing else: give a table too, of what must stay as it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.equivalence import Equivalence, Same, equivalent
from kerf.verification.graph import Signal
from kerf.verification.model import Model
from kerf.verification.prove import Property, Result, Verdict, prove
from kerf.verification.repair.oracle import Build, Oracle, plain
from kerf.verification.repair.search import Outcome, Repair, Search, Status, Watch, with_status
from kerf.verification.tables import Table, load_table

ROUNDS = 12  # counterexamples
CHECK_SHARE = 0.3  # of the time, for proofs
VIOLATED = "kerf violated {}"

# a repair's verdict: proved, undecided, or the run that it fails
Judge = Callable[[Mapping[str, str], float], Status | Table]


def repair(design: Design, *, table: Table | str | Path | None = None, assertions: Sequence[str] = (), own_assertions: bool = False,
           reference: Design | None = None, seconds: float = 60.0, most: int = 5, zero: bool = False,
           watch: Watch = lambda text: None) -> Outcome:  # fmt: skip
    """Repairs of `design`, the fewest changes first, at most `most`. What is wanted: `table`, a Table or a CSV file (a column a port, a row a clock
    cycle, x for what does not matter); `assertions`, SVA texts, and with `own_assertions` those in its source; `reference`, a design with the same ports.
    `zero`: registers without an initial value start at 0, as tables from two-state simulators assume; else a repair must do for (nearly) any value.
    KerfError when nothing is wanted, for tables that do not fit, and for what cannot be synthesized or compared."""
    given = load_table(table, design) if isinstance(table, str | Path) else table
    wished = [given is not None, bool(assertions) or own_assertions, reference is not None]
    if not any(wished):
        raise KerfError(
            "repair of what? Give a table of inputs and outputs, assertions, or a reference design"
        )
    if wished[1] and wished[2]:
        raise KerfError("assertions and a reference at once are not supported: give one of them, and a table")
    if given and not any(given.expected):
        raise KerfError(f"the table has no column for an output of {design.top}: there is nothing to check")
    deadline = time.monotonic() + seconds
    if not (wished[1] or reference):
        assert given
        return Search(Oracle(design, given, deadline, zero), most, watch).run()
    judge = _by_reference(design, reference) if reference else _by_assertions(design, assertions)
    build = plain if reference else _asserted(assertions)
    return _guided(design, given or Table("runs", (), ()), judge, build, deadline, most, zero, watch)


def _guided(design: Design, table: Table, judge: Judge, build: Build, deadline: float, most: int, zero: bool, watch: Watch) -> Outcome:  # fmt: skip
    """Repair, judge the repairs, and repair again with the runs that they fail."""
    begun = time.monotonic()
    texts = {s.name: s.text for s in design.sources}
    verdict = judge(texts, CHECK_SHARE * (deadline - begun))
    if isinstance(verdict, Status) and not len(table):
        return Outcome((), verdict is Status.PROVED, False, () if verdict is Status.PROVED else ("nothing refuted: undecided in the time given",), time.monotonic() - begun)  # fmt: skip
    table = table.then(verdict) if isinstance(verdict, Table) else table
    refuted: set[str] = set()
    outcome = Outcome(())
    for number in range(ROUNDS):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        watch(f"round {number + 1}: {len(table)} cycles")
        oracle = Oracle(design, table, time.monotonic() + left * (1 - CHECK_SHARE), zero, build)
        outcome = Search(oracle, most * 2, watch).run()
        judged, table, grown = _judged(outcome.repairs, judge, table, deadline, refuted)
        if judged or not grown:
            order = {r.diff: oracle.kept_share(r.texts) for r in judged}
            kept = tuple(sorted(judged, key=lambda r: (r.status is not Status.PROVED, len(r.changes), -order[r.diff])))  # fmt: skip
            return replace(outcome, repairs=kept[:most], passes=False, seconds=time.monotonic() - begun)
    return replace(outcome, repairs=(), passes=False, exhausted=False, seconds=time.monotonic() - begun)


def _judged(repairs: Sequence[Repair], judge: Judge, table: Table, deadline: float, refuted: set[str]) -> tuple[list[Repair], Table, bool]:  # fmt: skip
    """The repairs that are not refuted, and the table with the runs that refuted others."""
    kept, grown = [], False
    for index, found in enumerate(repairs):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        verdict = judge(found.texts, left / (len(repairs) - index))
        if isinstance(verdict, Status):
            kept.append(with_status(found, verdict))
        elif found.diff not in refuted:
            refuted.add(found.diff)
            table, grown = table.then(verdict), True
    return kept, table, grown


def _by_reference(design: Design, reference: Design) -> Judge:
    def judge(texts: Mapping[str, str], seconds: float) -> Status | Table:
        found = equivalent(reference, design.with_texts(texts), timeout_s=max(seconds, 0.5))
        if found.verdict is Same.DIFFERENT:
            return _expected(found, design)
        return Status.PROVED if found.verdict is Same.EQUAL else Status.CHECKED

    return judge


def _expected(found: Equivalence, design: Design) -> Table:
    """The run of a difference, with the reference's outputs."""
    directions = {p.name: p.direction for p in design.ports}
    inputs, outputs, masks = [], [], {}
    for t, row in enumerate(found.table):
        values: dict[str, int] = {}
        for name, value in row.items():
            if isinstance(value, int):
                values[name] = value
            else:  # in binary, before a slash
                text = value.partition("/")[0]
                values[name] = int(text.replace("x", "0"), 2)
                masks[t, name] = int(re.sub("[01]", "1", text).replace("x", "0"), 2)
        inputs.append({n: v for n, v in values.items() if directions.get(n) == "input"})
        outputs.append({n: v for n, v in values.items() if directions.get(n, "input") != "input"})
    return Table("a difference", tuple(inputs), tuple(outputs), (), masks)


def _asserted(assertions: Sequence[str]) -> Build:
    """Models in which each assertion has an output that is true when it is violated."""
    from kerf.verification.sva import compile as compiled

    def build(design: Design, seconds: float) -> Model:
        made, found = compiled(design, assertions, reset="", timeout_s=seconds)
        for index, one in enumerate(a for a in found if a.kind == "assert"):
            name = VIOLATED.format(index)
            made.graph.signals[name] = Signal(name, (one.bad,), "output", one.source)
        return made

    return build


def _by_assertions(design: Design, assertions: Sequence[str]) -> Judge:
    from kerf.verification.sva import compile as compiled

    def judge(texts: Mapping[str, str], seconds: float) -> Status | Table:
        made, found = compiled(design.with_texts(texts), assertions)
        wanted = [Property(str(i), a.bad) for i, a in enumerate(a for a in found if a.kind == "assert")]
        if not wanted:
            raise KerfError("no assertion to satisfy: give one, or write it in the source")
        assumed = [a.bad ^ 1 for a in found if a.kind == "assume"]
        results = prove(made, wanted, assumed=assumed, timeout_s=max(seconds, 0.5))
        refuted = [r for r in results if r.verdict is Verdict.REFUTED]
        if refuted:
            return _violated(made, refuted[0], len(wanted))
        return Status.PROVED if all(r.verdict is Verdict.PROVED for r in results) else Status.CHECKED

    return judge


def _violated(made: Model, result: Result, count: int) -> Table:
    """The run of a counterexample, its reset first, in which no assertion may be violated."""
    assert result.trace
    good = {VIOLATED.format(i): 0 for i in range(count)}
    rows: list[dict[str, int]] = []
    if made.reset:
        rows += [{made.reset.name: made.reset.active, **dict(result.trace.inputs[0])}] * made.reset.cycles
    for cycle in result.trace.inputs:
        held = {made.reset.name: 1 - made.reset.active} if made.reset and not made.reset_free else {}
        rows.append({**held, **dict(cycle)})
    begin = len(rows) - len(result.trace)
    return Table("a violation", tuple(rows), tuple(good if t >= begin else {} for t in range(len(rows))))
