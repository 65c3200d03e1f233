"""Properties proved or refuted. No verdict rests on one engine: an invariant is proved again by induction, a counterexample is simulated."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from kerf.verification import abc, aiger
from kerf.verification.graph import FREE, Graph, Node
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling
from kerf.verification.scratch import room
from kerf.verification.trace import Trace, replay


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
    return _Session(model, tuple(assumed), time.monotonic() + timeout_s, heard).run(list(properties))


@dataclass
class _Session:
    model: Model
    assumed: tuple[int, ...]
    deadline: float
    heard: Heard
    found: dict[str, Result] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def run(self, properties: list[Property]) -> list[Result]:
        with room(), tempfile.TemporaryDirectory(prefix="kerf-prove-") as folder:
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
        bad = self.model.graph.any_of(p.bad for p in properties)
        result = self._proof(Property("all", bad), folder, max(self.left / 4, 0.05))
        if result.verdict is Verdict.PROVED:
            spent = (time.monotonic() - begun) / len(properties)
            for p in properties:
                self._tell(
                    Result(p.name, Verdict.PROVED, result.engine, clauses=result.clauses, seconds=spent)
                )

    def _one(self, p: Property, folder: Path, seconds: float) -> Result:
        tried: list[str] = []
        begun, depth = time.monotonic(), -1
        for engine, share in (("pdr", 0.5), ("bmc3 -c", 0.5), ("pdr -f -q", 1.0)):
            left = (seconds - (time.monotonic() - begun)) * share
            if left < 0.05 and tried:
                break
            result = self._proof(p, folder, max(left, 0.05), engine)
            if result.verdict is not Verdict.UNDECIDED:
                return result
            depth = max(depth, result.depth)
            tried.append(f"{engine}: {result.seconds:.1f} s")
        return Result(
            p.name,
            Verdict.UNDECIDED,
            "",
            depth,
            seconds=time.monotonic() - begun,
            tried=tuple(tried),
        )

    def _proof(self, p: Property, folder: Path, seconds: float, engine: str = "pdr") -> Result:
        begun = time.monotonic()
        exported = aiger.prepare(self.model.graph, [p.bad], self.assumed, self.model.initial, self.model.held)
        if exported.trivial:
            return Result(p.name, Verdict.PROVED, "constant", seconds=time.monotonic() - begun)
        file, dump = folder / "property.aig", folder / "invariant.pla"
        dump.unlink(missing_ok=True)
        aiger.write(file, exported)
        command = f"{engine} -d -I {dump.name}" if engine.startswith("pdr") else engine
        answer = abc.check(file, command, seconds)
        if answer.holds is False:
            trace = counterexample(self.model, p.bad, answer.frame, self.assumed)
            return Result(p.name, Verdict.REFUTED, engine.split()[0], answer.frame, trace, seconds=time.monotonic() - begun)  # fmt: skip
        if answer.holds:
            clauses = check_invariant(exported.graph, exported.bad[0], abc.invariant(dump))
            return Result(p.name, Verdict.PROVED, "pdr", clauses=clauses, seconds=time.monotonic() - begun)
        return Result(p.name, Verdict.UNDECIDED, engine, answer.frame, seconds=time.monotonic() - begun)


def counterexample(model: Model, bad: int, frame: int, assumed: Sequence[int] = ()) -> Trace:
    """A trace whose last cycle, `frame`, violates; found by a SAT solver of its own and checked by simulation. Unsound when there is none."""
    found = reach(model, bad, frame, assumed)
    if found is None:
        raise Unsound(f"no run of {frame + 1} cycles violates the property, though an engine said so")
    return found


def reach(model: Model, target: int, frame: int, assumed: Sequence[int] = ()) -> Trace | None:
    """A run whose last cycle, `frame`, has the literal `target` true; None when there is none."""
    unrolling = Unrolling(model.graph, model.initial, model.held)
    try:
        for t in range(frame + 1):
            for literal in assumed:
                unrolling.require(literal, t)
        if not unrolling.solve([unrolling.at(target, frame)]):
            return None
        trace = read_trace(model, unrolling, frame)
    finally:
        unrolling.close()
    seen = replay(model, trace, [], [target, *assumed])
    if not seen[-1][target] or not all(row[a] for row in seen for a in assumed):
        raise Unsound("a counterexample does not show in simulation")
    return trace


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


def check_invariant(graph: Graph, bad: int, cubes: Sequence[Sequence[int]]) -> int:
    """Prove with a SAT solver that no state of `cubes` (lists of latch literals, 2 * index + inverted) is reached and that `bad` needs one:
    initially, inductively, and safely. The number of clauses; Unsound when one of the three fails."""
    clauses = [[graph.latches[c >> 1] * 2 + (c & 1) for c in cube] for cube in cubes]
    if any(all(c & 1 for c in cube) for cube in clauses):  # all latches start at 0
        raise Unsound("an invariant excludes the initial state")
    step = Unrolling(graph, None)
    try:
        for cube in clauses:
            step.solver.add_clause([-step.at(c, 0) for c in cube])
        if step.solve([step.at(bad, 0)]):
            raise Unsound("an invariant does not imply its property")
        step.require(bad ^ 1, 0)
        for cube in clauses:
            if step.solve([step.at(c, 1) for c in cube]):
                raise Unsound("an invariant is not inductive")
    finally:
        step.close()
    assert all(graph.kind[c >> 1] == Node.LATCH for cube in clauses for c in cube)
    return len(clauses)
