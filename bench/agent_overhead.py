"""What an agent's turn costs besides the model: history, record, tools, novelty filter. `python bench/agent_overhead.py [--turns N] [--design D]`

A scripted model answers at once, so all the time is ours. Turns that submit are shown apart: of a kernel that time is the compiler's, and the
referee does not compile again; of a placement it is the check that the
proposal can be met. Nothing that is submitted is evaluated.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core.types import Budget, Candidate, Evaluation, Problem, Status
from kerf.kernels.build import builder
from kerf.kernels.problem import load_problem
from kerf.kernels.workbench import KernelBench
from kerf.models.ledger import Ledger, Metered
from kerf.models.prices import free
from kerf.models.protocol import Finish, Message, Reply, Request, Role, ToolCall, Usage, Watch, unwatched
from kerf.placement.examples import path as example
from kerf.placement.formats import load
from kerf.placement.packing import pack
from kerf.placement.place import place
from kerf.placement.problem import pose
from kerf.placement.space import RecipeSpace
from kerf.placement.workbench import PlacementBench
from kerf.proposers.agent.agents import Agents
from kerf.proposers.agent.bench import Bench
from kerf.proposers.agent.session import Session

LIMIT_MS = 100.0
CALLS = tuple[ToolCall, ...]
KERNEL: CALLS = (
    ToolCall("a", "read_candidate", {"id": "best"}),
    ToolCall("b", "read_reference", {}),
    ToolCall("c", "search_archive", {}),
    ToolCall("d", "notes", {"text": "the exponential is the bottleneck"}),
    ToolCall("e", "compare", {"a": "c1", "b": "best"}),
)
PLACEMENT: CALLS = (
    ToolCall("a", "macros", {"id": "best"}),
    ToolCall("b", "nets", {"id": "c1"}),
    ToolCall("c", "map", {"kind": "congestion"}),
    ToolCall("d", "search_archive", {}),
    ToolCall("e", "compare", {"a": "c1", "b": "best"}),
)


class Clocked:
    """Asks for `free` tools, and every tenth time submits what `proposal` says for that turn. `between` holds, for each turn, the
    seconds since its last answer, and whether that answer submitted."""

    name = "scripted/overhead"

    def __init__(self, free: CALLS, proposal: Callable[[int], dict[str, Any]]) -> None:
        self.free, self.proposal = free, proposal
        self.turns = 0
        self.between: list[tuple[float, bool]] = []
        self._since: float | None = None

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        now = time.perf_counter()
        if self._since is not None:
            self.between.append((now - self._since, self.turns % 10 == 0))
        self.turns += 1
        said = Message(Role.ASSISTANT, "thinking " * 50, (self._call(),))
        self._since = time.perf_counter()
        return Reply(said, Usage(1000, 100), Finish.TOOLS)

    def _call(self) -> ToolCall:
        if self.turns % 10:
            return self.free[self.turns % len(self.free)]
        return ToolCall("f", "evaluate", {"idea": "a constant", "base": "c1", **self.proposal(self.turns)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument(
        "--design", default="", help="of the turns of placement; default: the one that comes with kerf"
    )
    asked = parser.parse_args()
    for opened in (kernels, lambda archive: placement(archive, asked.design)):
        with tempfile.TemporaryDirectory() as home, Archive(home) as archive:
            opened(archive)(asked.turns)


def kernels(archive: Archive) -> Callable[[int], None]:
    path = Path(str(files("kerf.kernels") / "examples" / "gelu_chain.py"))
    problem = load_problem(path, {"rows": 64})
    space = builder(problem, 1).space
    start = space.candidate(space.default(), parent=None, proposer="heuristic")
    model = Clocked(KERNEL, _constant)
    bench = KernelBench(problem, 1, archive, model.name)
    passed = Evaluation(Status.PASSED, score=1.0)
    return lambda turns: run(archive, problem, bench, model, start, passed, turns, "kernels")


def _constant(turn: int) -> dict[str, Any]:
    added = f"\nstatic const int turn = {turn};\nvoid kerf_run_0("
    return {"edits": [{"file": "kernel.c", "old": "\nvoid kerf_run_0(", "new": added}]}


def placement(archive: Archive, design: str) -> Callable[[int], None]:
    """The placement that is told of every candidate is one that kerf made."""
    problem = pose(load(Path(design) if design else example()))
    space = RecipeSpace(problem.design, problem.lowered.rules, "hpwl", {"seed": 0})
    start = space.candidate(space.default(), parent=None, proposer="heuristic")
    proposal = {"way": "cells", "constraints": ["halo * 1"]}
    model = Clocked(PLACEMENT, lambda turn: {**proposal, "recipe": {"seed": turn}})
    told = {"headline": "HPWL 1", "placement": pack(place(problem.design, archive=archive).placement)}
    passed = Evaluation(Status.PASSED, score=1.0, detail=told)
    bench = PlacementBench(problem, space, archive)
    return lambda turns: run(
        archive, problem, bench, model, start, passed, turns, f"placement of {problem.design.cells:,} cells"
    )


def run(
    archive: Archive,
    problem: Problem,
    bench: Bench,
    model: Clocked,
    start: Candidate,
    passed: Evaluation,
    turns: int,
    what: str,
) -> None:
    """So many turns of one agent, every submission of which passes a little better than the last."""
    ledger = Ledger()
    session = Session(Metered(model, ledger, free()), ledger, free(), archive)
    session.bind(archive.begin(problem, "bench", "agent", 0, Budget(), {}))
    session.live = True
    agents = Agents(bench, session)
    agents.tell(start, passed)
    while model.turns < turns:
        for candidate in agents.ask(1):
            agents.tell(candidate, replace(passed, score=1.0 + model.turns / 1e4))
    show(f"{what}: a turn", [s for s, submits in model.between if not submits], limit=LIMIT_MS)
    show(f"{what}: a turn that submits", [s for s, submits in model.between if submits])


def show(what: str, seconds: Sequence[float], limit: float | None = None) -> None:
    median, worst = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    tail = statistics.quantiles(seconds, n=20)[-1] * 1e3
    aim = "" if limit is None else f" (aim: under {limit:.0f} ms)"
    print(
        f"{what}: median {median:.1f} ms, 95 % under {tail:.1f} ms, worst {worst:.1f} ms over {len(seconds)}{aim}"
    )


if __name__ == "__main__":
    main()
