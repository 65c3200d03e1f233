"""What an agent's turn costs besides the model: history, record, tools, novelty filter. `python bench/agent_overhead.py [--turns N]`

A scripted model answers at once, so all the time is ours. Turns that compile a new source are shown apart: that time is the
compiler's, and the referee does not compile again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from kerf.archive import Archive
from kerf.core.types import Budget, Evaluation, Status
from kerf.kernels.build import builder
from kerf.kernels.problem import load_problem
from kerf.kernels.workbench import KernelBench
from kerf.models.ledger import Ledger, Metered
from kerf.models.prices import free
from kerf.models.protocol import Finish, Message, Reply, Request, Role, ToolCall, Usage, Watch, unwatched
from kerf.proposers.agent.agents import Agents
from kerf.proposers.agent.session import Session

LIMIT_MS = 100.0
FREE = (
    ToolCall("a", "read_candidate", {"id": "best"}),
    ToolCall("b", "read_reference", {}),
    ToolCall("c", "search_archive", {}),
    ToolCall("d", "notes", {"text": "the exponential is the bottleneck"}),
    ToolCall("e", "compare", {"a": "c1", "b": "best"}),
)


class Clocked:
    """Asks for free tools, and every tenth time submits a source that differs in a constant. `between` holds, for each turn, the
    seconds since its last answer, and whether that answer made something compile."""

    name = "scripted/overhead"

    def __init__(self) -> None:
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
            return FREE[self.turns % len(FREE)]
        added = f"\nstatic const int turn = {self.turns};\nvoid kerf_run_0("
        edit = {"file": "kernel.c", "old": "\nvoid kerf_run_0(", "new": added}
        return ToolCall("f", "evaluate", {"idea": "a constant", "base": "c1", "edits": [edit]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    wanted = parser.parse_args().turns
    path = Path(str(files("kerf.kernels") / "examples" / "gelu_chain.py"))
    problem = load_problem(path, {"rows": 64})
    space = builder(problem, 1).space
    start = space.candidate(space.default(), parent=None, proposer="heuristic")
    with tempfile.TemporaryDirectory() as home, Archive(home) as archive:
        model, ledger = Clocked(), Ledger()
        bench = KernelBench(problem, 1, archive, model.name)
        session = Session(Metered(model, ledger, free()), ledger, free(), archive)
        session.bind(archive.begin(problem, "bench", "agent", 0, Budget(), {}))
        session.live = True
        agents = Agents(bench, session)
        agents.tell(start, Evaluation(Status.PASSED, score=1.0))
        while model.turns < wanted:
            for candidate in agents.ask(1):
                agents.tell(candidate, Evaluation(Status.PASSED, score=1.0 + model.turns / 1e4))
    show("a turn", [s for s, compiled in model.between if not compiled], limit=LIMIT_MS)
    show("a turn that compiles", [s for s, compiled in model.between if compiled])


def show(what: str, seconds: Sequence[float], limit: float | None = None) -> None:
    median, worst = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    tail = statistics.quantiles(seconds, n=20)[-1] * 1e3
    aim = "" if limit is None else f" (aim: under {limit:.0f} ms)"
    print(
        f"{what}: median {median:.1f} ms, 95 % under {tail:.1f} ms, worst {worst:.1f} ms over {len(seconds)}{aim}"
    )


if __name__ == "__main__":
    main()
