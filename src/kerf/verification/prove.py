"""Properties proved or refuted. No verdict rests on one engine: an invariant is proved again by induction, a counterexample is simulated."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from kerf.core import temporary
from kerf.verification import abc, aiger
from kerf.verification.deadline import OutOfTime, left
from kerf.verification.graph import FREE, Graph, Node
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling
from kerf.verification.scratch import room
from kerf.verification.trace import Trace, replay

CHECKING = 0.05  # of the time, beyond it: for the check of an answer that an engine gives at the last moment
FILE, STEP = "property.aig", "the check of an engine's answer"


class Verdict(StrEnum):
    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Property:
    """`bad`: a literal of the model's graph that is true in a cycle that violates it. `text`: what the user wrote; `source`: "file:line"."""

    name: str
    bad: int
    text: str = ""
    source: str = ""


@dataclass(frozen=True)
class Result:
    """`depth`: of a refuted property the cycle of the violation; of an undecided one the cycles known to be free of it; of a proved one -1.
    `trace` is the counterexample, in which the last cycle violates. `tried`: engines with the seconds each had, for an undecided one."""

    name: str
    verdict: Verdict
    engine: str = ""
    depth: int = -1
    trace: Trace | None = None
    clauses: int = 0
    seconds: float = 0.0
    tried: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        row = {
            "name": self.name,
            "verdict": str(self.verdict),
            "engine": self.engine,
            "depth": self.depth,
            "trace": self.trace.as_json() if self.trace else None,
        }
        return row | ({"tried": list(self.tried)} if self.tried else {})


class Unsound(AssertionError):
    """An engine's verdict that its independent check contradicts: a bug of ours or of an engine, never a user's."""


Heard = Callable[[Result], None]


def prove(model: Model, properties: Sequence[Property], *, assumed: Sequence[int] = (), timeout_s: float = 60.0,
          heard: Heard = lambda result: None) -> list[Result]:  # fmt: skip
    """A verdict for each property, under `assumed` (literals that hold in every cycle). First all at once, because what is proved together is
    proved sooner; then one at a time. The time is for all of them."""
    now = time.monotonic()
    session = _Session(model, tuple(assumed), now + timeout_s, now + timeout_s * (1 + CHECKING), heard)
    return session.run(list(properties))


@dataclass
class _Session:
    model: Model
    assumed: tuple[int, ...]
    deadline: float
    latest: float
    heard: Heard
    found: dict[str, Result] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def run(self, properties: list[Property]) -> list[Result]:
        with room(), temporary.folder("prove") as folder:
            if len(properties) > 1:
                self._together(properties, Path(folder))
            open_ones = [p for p in properties if p.name not in self.found]
            for index, p in enumerate(open_ones):
                share = max(self.left / (len(open_ones) - index), 0.05)
                self._tell(self._one(p, Path(folder), share))
        return [self.found[p.name] for p in properties]

    def _tell(self, result: Result) -> None:
        self.found[result.name] = result
        self.heard(result)

    def _together(self, properties: Sequence[Property], folder: Path) -> None:
        """All proved in one go, or nothing said."""
        begun = time.monotonic()
        end = begun + max(self.left / 4, 0.05)
        whole = Property("all", self.model.graph.any_of(p.bad for p in properties))
        exported = self._exported(whole, folder)
        result = self._asked(whole, exported, folder, max(end - time.monotonic(), 0.05))
        if result.verdict is Verdict.PROVED:
            spent = (time.monotonic() - begun) / len(properties)
            for p in properties:
                self._tell(
                    Result(p.name, Verdict.PROVED, result.engine, clauses=result.clauses, seconds=spent)
                )

    def _one(self, p: Property, folder: Path, seconds: float) -> Result:
        tried: list[str] = []
        begun, depth = time.monotonic(), -1
        exported = self._exported(p, folder)
        for engine, share in (("pdr", 0.5), ("bmc3 -c", 0.5), ("pdr -f -q", 1.0)):
            part = (seconds - (time.monotonic() - begun)) * share
            if part < 0.05 and tried:
                break
            result = self._asked(p, exported, folder, max(part, 0.05), engine)
            if result.verdict is not Verdict.UNDECIDED:
                return replace(result, seconds=time.monotonic() - begun)
            depth = max(depth, result.depth)
            tried.append(f"{result.engine}: {result.seconds:.1f} s")
        return Result(
            p.name,
            Verdict.UNDECIDED,
            "",
            depth,
            seconds=time.monotonic() - begun,
            tried=tuple(tried),
        )

    def _exported(self, p: Property, folder: Path) -> aiger.Exported:
        """What the engines are asked, in a file of `folder`."""
        exported = aiger.prepare(self.model.graph, [p.bad], self.assumed, self.model.initial, self.model.held)
        if not exported.trivial:
            aiger.write(folder / FILE, exported)
        return exported

    def _asked(
        self, p: Property, exported: aiger.Exported, folder: Path, seconds: float, engine: str = "pdr"
    ) -> Result:
        """What an engine says, once it is checked."""
        begun = time.monotonic()
        if exported.trivial:
            return Result(p.name, Verdict.PROVED, "constant")
        dump = folder / "invariant.pla"
        dump.unlink(missing_ok=True)
        command = f"{engine} -d -I {dump.name}" if engine.startswith("pdr") else engine
        answer = abc.check(folder / FILE, command, seconds)
        try:
            found = self._checked(p, exported, dump, engine, answer)
        except OutOfTime:
            found = Result(p.name, Verdict.UNDECIDED, f"{engine}, whose answer there was no time to check")
        return replace(found, seconds=time.monotonic() - begun)

    def _checked(
        self, p: Property, exported: aiger.Exported, dump: Path, engine: str, answer: abc.Answer
    ) -> Result:
        if answer.holds is None:
            return Result(p.name, Verdict.UNDECIDED, engine, answer.frame)
        if answer.holds:
            cubes = abc.invariant(dump)
            clauses = check_invariant(exported.graph, exported.bad[0], cubes, self.latest)
            return Result(p.name, Verdict.PROVED, "pdr", clauses=clauses)
        trace = counterexample(self.model, p.bad, answer.frame, self.assumed, self.latest)
        return Result(p.name, Verdict.REFUTED, engine.split()[0], answer.frame, trace)


def counterexample(
    model: Model, bad: int, frame: int, assumed: Sequence[int] = (), deadline: float = math.inf
) -> Trace:
    """A trace whose last cycle, `frame`, violates; found by a SAT solver of its own and checked by simulation. Unsound when there is none, OutOfTime when
    `deadline` (of `time.monotonic`) passes first."""
    found = reach(model, bad, frame, assumed, deadline)
    if found is None:
        raise Unsound(f"no run of {frame + 1} cycles violates the property, though an engine said so")
    return found


def reach(
    model: Model, target: int, frame: int, assumed: Sequence[int] = (), deadline: float = math.inf
) -> Trace | None:
    """A run whose last cycle, `frame`, has the literal `target` true; None when there is none. OutOfTime at `deadline`."""
    unrolling = Unrolling(model.graph, model.initial, model.held)
    try:
        for t in range(frame + 1):
            left(deadline, STEP)
            for literal in assumed:
                unrolling.require(literal, t)
        if not _decided(unrolling, [unrolling.at(target, frame)], deadline):
            return None
        trace = read_trace(model, unrolling, frame)
    finally:
        unrolling.close()
    seen = replay(model, trace, [], [target, *assumed])
    if not seen[-1][target] or not all(row[a] for row in seen for a in assumed):
        raise Unsound("a counterexample does not show in simulation")
    return trace


def _decided(unrolling: Unrolling, assumptions: Sequence[int], deadline: float) -> bool:
    found = unrolling.solve_until(assumptions, deadline)
    if found is None:
        raise OutOfTime(f"the time was up before {STEP} ended: give it longer (--minutes)")
    return found


def read_trace(model: Model, unrolling: Unrolling, frame: int) -> Trace:
    """The run that a solver's model describes, up to `frame`."""
    true, graph = unrolling.values(), model.graph
    named = {b >> 1 for n in model.inputs for b in graph.signals[n].bits}
    others = [n for n in graph.inputs if n not in named and n not in model.held]
    rows = tuple(
        {
            n: sum(unrolling.read(b >> 1, t, true) << i for i, b in enumerate(graph.signals[n].bits))
            for n in model.inputs
        }
        for t in range(frame + 1)
    )
    free = tuple({n: unrolling.read(n, t, true) for n in others} for t in range(frame + 1)) if others else ()
    start = {
        n: unrolling.read(n, 0, true) for n in graph.latches if model.initial.get(n, graph.right[n]) == FREE
    }
    return Trace(rows, start, free)


def check_invariant(
    graph: Graph, bad: int, cubes: Sequence[Sequence[int]], deadline: float = math.inf
) -> int:
    """Prove with a SAT solver that no state of `cubes` (lists of latch literals, 2 * index + inverted) is reached and that `bad` needs one:
    initially, inductively, and safely. The number of clauses; Unsound when one of the three fails, OutOfTime at `deadline` (of `time.monotonic`)."""
    clauses = [[graph.latches[c >> 1] * 2 + (c & 1) for c in cube] for cube in cubes]
    if any(all(c & 1 for c in cube) for cube in clauses):  # all latches start at 0
        raise Unsound("an invariant excludes the initial state")
    step = Unrolling(graph, None)
    try:
        for cube in clauses:
            step.solver.add_clause([-step.at(c, 0) for c in cube])
        if _decided(step, [step.at(bad, 0)], deadline):
            raise Unsound("an invariant does not imply its property")
        step.require(bad ^ 1, 0)
        for cube in clauses:
            if _decided(step, [step.at(c, 1) for c in cube], deadline):
                raise Unsound("an invariant is not inductive")
    finally:
        step.close()
    assert all(graph.kind[c >> 1] == Node.LATCH for cube in clauses for c in cube)
    return len(clauses)
