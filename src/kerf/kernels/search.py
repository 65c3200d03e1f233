"""One search for one kernel: problem, space, proposer, evaluator and archive, put together and run; then what the user keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerf import loop
from kerf.archive import Archive
from kerf.core.records import Outcome, Progress, RunState
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Proposer, Status
from kerf.kernels.build import Builder, builder, library_candidate
from kerf.kernels.judge import bundle, over_best_baseline, speedups
from kerf.kernels.problem import KernelProblem, from_module, load_problem
from kerf.kernels.referee.evaluator import KernelEvaluator
from kerf.proposers import make
from kerf.proposers.first import First

if TYPE_CHECKING:
    from kerf.proposers.agent.agency import Agency, Hired

Watch = Callable[[Progress], None]
BASELINES = ("eager", "compile", "onednn")
DEFAULT_EVALUATIONS, DEFAULT_MINUTES = 24, 2.0


@dataclass(frozen=True)
class Request:
    """What a run is asked to do; kept in the archive as the run's options, so that it can be resumed. `path` is None for a module
    given from Python, which only that program can resume. `model`: a language model's name, "" for none; its ceilings hold over all
    sittings of a run. `price`: as options give it, "" for the known one."""

    path: str | None
    overrides: Mapping[str, str | int | float]
    threads: int
    proposer: str
    seed: int
    baselines: tuple[str, ...] = BASELINES
    trust: bool = False
    model: str = ""
    agents: int = 1
    max_dollars: float | None = None
    max_tokens: int | None = None
    price: str = ""


@dataclass
class Search:
    """`run()` or `resume(id)`, then `answer(outcome)`. Close it (it is a context manager): workers end with it."""

    request: Request
    problem: KernelProblem
    build: Builder | None
    why_not: str
    evaluator: KernelEvaluator
    archive: Archive
    agency: Agency | Hired | None = None

    @classmethod
    def open(cls, request: Request, problem: KernelProblem, archive: Archive, stack: ExitStack) -> Search:
        agency = _agency(request, problem, archive)
        build, why_not = _builder(problem, request.threads)
        evaluator = KernelEvaluator(
            problem, threads=request.threads, baselines=request.baselines, trust=request.trust
        )
        stack.callback(evaluator.close)
        if agency:
            stack.callback(agency.close)
        return cls(request, problem, build, why_not, evaluator, archive, agency)

    def proposer(self, run: str | None = None) -> Proposer:
        first = [c for c in (self._default(), library_candidate(self.problem)) if c]
        if self.agency:
            return self.agency.proposer(first, self._search(self.agency.search, run))
        if not first:
            raise KerfError(f"nothing to try for {self.problem.name}: {self.why_not}")
        return First(first, self._search(self.request.proposer, run), self.request.proposer)

    def _search(self, name: str | None, run: str | None) -> Proposer | None:
        """None without a name, or where the generator cannot follow the module."""
        if name is None or self.build is None:
            return None
        return make(name, self.build.space, self.archive.memory(run), self.request.seed)

    def _default(self) -> Candidate | None:
        """The generators' own best guess: whatever the budget, it is tried."""
        return (
            self.build.space.candidate(self.build.space.default(), parent=None, proposer="heuristic")
            if self.build
            else None
        )

    def run(self, budget: Budget, watch: Watch) -> Outcome:
        options = asdict(self.request)
        return loop.run(
            self.problem, self.proposer(), self.evaluator, self.archive, budget,
            seed=self.request.seed, options=options, progress=self._watching(watch),
        )  # fmt: skip

    def resume(self, run: str, budget: Budget | None, watch: Watch) -> Outcome:
        if self.agency:
            self.agency.begin_again(run)
        return loop.resume(
            run,
            self.proposer(run),
            self.evaluator,
            self.archive,
            budget=budget,
            options=asdict(self.request),
            progress=self._watching(watch),
        )

    def _watching(self, watch: Watch) -> Watch:
        return self.agency.watching(watch) if self.agency else watch


def _agency(request: Request, problem: KernelProblem, archive: Archive) -> Agency | Hired | None:
    """Opened first: a missing key is said before anything is measured."""
    from kerf.kernels.workbench import KernelBench
    from kerf.proposers.agent.agency import open_agency

    def bench(author: str) -> KernelBench:
        return KernelBench(problem, request.threads, archive, author, request.trust)

    return open_agency(request, bench, archive)


def _builder(problem: KernelProblem, threads: int) -> tuple[Builder | None, str]:
    """None, and why, where the generator cannot follow the module: the library stays a candidate."""
    try:
        return builder(problem, threads), ""
    except KerfError as error:
        return None, str(error)


def open_problem(
    problem: str | Path | KernelProblem, overrides: Mapping[str, str | int | float], seed: int
) -> KernelProblem:
    return problem if isinstance(problem, KernelProblem) else load_problem(problem, overrides, seed=seed)


def search(
    problem: str | Path | KernelProblem,
    request: Request,
    budget: Budget,
    *,
    archive: Archive | None = None,
    resume: str | None = None,
    watch: Watch = lambda _: None,
) -> dict[str, Any]:
    """Search, confirm, write what the user keeps; the JSON that `kerf optimize` ends with."""
    with ExitStack() as stack:
        store = archive or stack.enter_context(Archive())
        found = Search.open(request, open_problem(problem, request.overrides, request.seed), store, stack)
        found.evaluator.open()  # starting workers and compiling baselines is not search time
        outcome = found.resume(resume, budget, watch) if resume else found.run(budget, watch)
        return answer(found, settled(found, outcome))


def settled(found: Search, outcome: Outcome) -> Outcome:
    """Never slower than leaving the code alone: a confirmed winner that some baseline beats is compared with the reference as it is,
    which is the answer where it comes nearer to the fastest baseline."""
    library = library_candidate(found.problem)
    if not (outcome.confirmed and outcome.best and outcome.evaluation and library):
        return outcome
    winner = _over_best(outcome.evaluation)
    if outcome.best.id == library.id or winner >= 1.0:
        return outcome
    confirmation = found.archive.confirmations(outcome.run).get(library.id) or found.evaluator.confirm(
        library
    )
    if confirmation.status is not Status.PASSED or _over_best(confirmation) <= winner:
        return outcome
    if any(t.candidate.id == library.id for t in found.archive.trials(outcome.run)):
        found.archive.record_confirmation(outcome.run, found.evaluator.key, library.id, confirmation)
        found.archive.finish(outcome.run, RunState.DONE, outcome.seconds, library.id)
    return replace(outcome, best=library, evaluation=confirmation)


def _over_best(evaluation: Evaluation) -> float:
    return over_best_baseline(speedups(evaluation, BASELINES)) or 0.0


# ---------------------------------------------------------------- what the user keeps


def answer(found: Search, outcome: Outcome) -> dict[str, Any]:
    folder = found.archive.folder / "runs" / outcome.run
    result: dict[str, Any] = {
        "run": outcome.run,
        "status": str(outcome.evaluation.status) if outcome.evaluation else "nothing_passed",
        "stopped": str(outcome.stop),
        "candidate": None,
        "provenance": [],
        "evaluations": outcome.evaluations,
        "reused": outcome.reused,
        "seconds": round(outcome.seconds, 3),
        "confirmed": outcome.confirmed,
        "speedup": dict.fromkeys(BASELINES),
        "roofline": None,
        "environment": {},
    }
    if outcome.best and outcome.evaluation:
        result |= _kept(found, outcome.best, outcome.evaluation, folder)
    if found.why_not:
        result["note"] = found.why_not
    if found.agency:
        result["model"] = found.agency.facts()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(result, indent=1, default=str))
    return result


def _kept(found: Search, best: Candidate, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """Write the winner's files and its evidence; everything the result says about it."""
    kept = folder / "kernel"
    for name, text in best.files.items():
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_text(text)
    evidence = folder / "evidence.json"
    evidence.write_text(json.dumps(_bundle(found, best, evaluation), indent=1, default=str))
    return {
        "candidate": {"id": best.id, "path": str(kept / "kernel.py"), "proposer": best.proposer},
        "provenance": provenance(best),
        "speedup": speedups(evaluation, BASELINES),
        "time_ms": evaluation.metrics["time_s"].value * 1e3 if "time_s" in evaluation.metrics else None,
        "roofline": roofline_of(evaluation),
        "environment": dict(evaluation.environment),
        "evidence": str(evidence),
        "report": str(write_report(found.archive, folder)),
    }


def write_report(archive: Archive, folder: Path) -> Path:
    from kerf.report import html

    path = folder / "report.html"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(html(folder.name, archive))
    return path


def provenance(candidate: Candidate) -> list[dict[str, str]]:
    manifest = json.loads(candidate.files.get("manifest.json", "{}"))
    return manifest.get("provenance") or [
        {"piece": "all", "by": "library", "what": "PyTorch, as the reference has it"}
    ]


def _bundle(found: Search, best: Candidate, evaluation: Evaluation) -> dict[str, Any]:
    return bundle(found.problem, best, evaluation, found.request.threads, found.request.baselines)


def roofline_of(evaluation: Evaluation) -> dict[str, Any] | None:
    found = evaluation.detail.get("roofline")
    return {"share": found.get("share"), "bound": found.get("bound")} if isinstance(found, Mapping) else None


def optimize(
    module: Any,
    inputs: Sequence[Any] | None = None,
    *,
    evaluations: int | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    proposer: str = "portfolio",
    seed: int = 0,
    sizes: Mapping[str, str | int | float] | None = None,
    archive: Archive | None = None,
    watch: Watch = lambda _: None,
) -> dict[str, Any]:
    """A faster drop-in for `module` on `inputs` (example arguments of its forward), or for a problem file's path.

    Returns what `kerf optimize --json` prints; `result["candidate"]["path"]` is the drop-in. KerfError for a user's mistake."""
    from kerf.kernels.targets.cpu import native

    problem = (
        load_problem(module, sizes or {}, seed=seed)
        if isinstance(module, str | Path)
        else from_module(module, inputs or [])
    )
    request = Request(
        str(problem.path) if problem.path else None,
        dict(sizes or {}),
        threads or native().cores,
        proposer,
        seed,
    )
    return search(problem, request, budget_of(evaluations, minutes), archive=archive, watch=watch)


def budget_of(evaluations: int | None, minutes: float | None) -> Budget:
    """Defaults where neither is given; where one is, only that one."""
    if evaluations is None and minutes is None:
        return Budget(DEFAULT_EVALUATIONS, DEFAULT_MINUTES * 60)
    return Budget(evaluations, minutes * 60 if minutes is not None else None)
