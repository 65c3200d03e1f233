"""`kerf verify`: a run in the archive whose candidates are tasks, and what it found as JSON and as a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kerf import loop
from kerf.archive import Archive
from kerf.core import temporary
from kerf.core.records import Moment, Outcome, RunRecord, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Status
from kerf.verification.claims import claims_of
from kerf.verification.cocotb_tests import record_cocotb
from kerf.verification.design import load
from kerf.verification.evaluator import VerificationEvaluator
from kerf.verification.model import Model
from kerf.verification.page import page
from kerf.verification.problem import VerificationProblem, goals_of
from kerf.verification.prove import Verdict
from kerf.verification.space import Plan, asked_of, task
from kerf.verification.sva import Assertion
from kerf.verification.tables import Table, read_table
from kerf.verification.testbenches import record
from kerf.verification.trace import Trace

Watch = Callable[[Any], None]


@dataclass(frozen=True)
class Request:
    """What a run was asked, kept in the archive so that it can be resumed. Files are absolute. `asked_only`: prove the properties of `spec` and leave
    those of the source."""

    files: tuple[str, ...]
    top: str = ""
    defines: Mapping[str, str] = field(default_factory=dict)
    includes: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    spec: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    goal: str = "all"
    minutes: float = 1.0
    reset: str | None = None
    reset_free: bool = False
    seed: int = 0
    asked_only: bool = False
    verb: str = "verify"


def problem_of(request: Request) -> VerificationProblem:
    """Reads every file; KerfError for what cannot be read or does not compile."""
    if not request.minutes > 0:
        raise KerfError(f"--minutes takes a positive number, got {request.minutes:g}")
    design = load(
        request.files, top=request.top, defines=request.defines,
        includes=[Path(p) for p in request.includes], parameters=request.parameters,
    )  # fmt: skip
    properties = tuple(p for s in request.spec for p in _properties(s, design))
    tests = tuple((t, _text(Path(t))) for t in request.tests)
    return VerificationProblem(
        design, goals_of(request.goal), properties, tests, request.reset, request.reset_free, request.minutes * 60, request.seed
    )  # fmt: skip


def request_of(record: RunRecord) -> Request:
    """What a run was asked. KerfError where the run is another verb's."""
    options = dict(record.options)
    if options.get("verb") != "verify":
        raise KerfError(
            f"run {record.id} verified nothing: it was begun by `kerf {options.get('verb', 'optimize')}`"
        )
    known = {f.name for f in fields(Request)}
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if k in known
    }
    return Request(**values)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error


def _properties(spec: str, design: Any) -> list[str]:
    """The properties of a file (one a line, # begins a comment), or the property that the text itself is; SVA, or English."""
    path = Path(spec)
    lines = _text(path).splitlines() if path.suffix in (".sva", ".txt", ".spec") else [spec]
    return [
        as_sva(line.strip(), design)
        for line in lines
        if line.strip() and not line.strip().startswith(("#", "//"))
    ]


def as_sva(text: str, design: Any) -> str:
    """SVA as it is; English translated."""
    if is_sva(text):
        return text
    from kerf.verification.english import to_sva

    return to_sva(text, design).sva


def is_sva(text: str) -> bool:
    """Whether it parses as a property, or as a whole assertion."""
    from pyslang.syntax import SyntaxTree

    tried = (f"assert property ({text});", text, f"{text};")
    return any(
        not any(d.isError() for d in SyntaxTree.fromText(f"module m; {t} endmodule").diagnostics)
        for t in tried
    )


class Answers(Archive):
    """The archive, in which what ran out of time counts as not answered: the machine may have less else to do this time."""

    def lookup(self, candidate: str, key: str) -> Evaluation | None:
        found = super().lookup(candidate, key)
        return None if found is None or found.status is Status.TIMED_OUT else found


def verify(
    request: Request, *, resume: str | None = None, watch: Watch = lambda event: None
) -> dict[str, Any]:
    """Verify a design, or go on with a run that was stopped. KerfError for what cannot be verified, naming why."""
    begun, cpu = time.monotonic(), time.process_time()
    problem = problem_of(request)
    watch(Moment(f"reading {problem.name}"))
    model, assertions = claims_of(problem, problem.seconds - (time.monotonic() - begun))
    if request.asked_only:
        assertions = [a for a in assertions if not a.source or a.kind == "assume"]
    tests = [run_of(Path(t), model, watch) for t in request.tests]
    evaluator = VerificationEvaluator(problem, model, assertions, tests, watch, begun)
    plan = Plan(_tasks(problem, assertions))
    with Answers() as archive:
        evaluator.recall = lambda candidate: archive.lookup(candidate, evaluator.key)
        if resume is None:
            budget = Budget(None, max(evaluator.left, 0.0))  # the loop's clock begins now
            options = vars(request)
            outcome = loop.run(
                problem, plan, evaluator, archive, budget, seed=request.seed, batch=1, options=options
            )
        else:
            budget = Budget(None, problem.seconds)
            evaluator.began -= archive.run(resume).seconds
            outcome = loop.resume(resume, plan, evaluator, archive, budget=budget, batch=1)
        report = _report(problem, evaluator, outcome, archive.trials(outcome.run))
        report |= {
            "seconds": round(time.monotonic() - begun, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
        }
        folder = archive.folder / "runs" / outcome.run
        report["report"] = str(folder / "report.html")
        with archive.db.translated():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.html").write_text(page(report, evaluator, archive.trials(outcome.run)))
    return report


def run_of(path: Path, model: Model, watch: Watch) -> Table | Trace:
    """A run that the user brings: a table with what it expects, or the stimulus of a dump or of a testbench, which is run for it. What a dump holds
    before a reset is its simulator's choice, so its outputs are not expected of anybody."""
    if path.suffix == ".csv":
        return read_table(path, model)
    if path.suffix == ".vcd":
        return read_table(path, model).trace()
    watch(Moment(f"running {path.name} under Verilator", passing=False))
    with temporary.folder("testbench") as folder:
        run = record_cocotb if path.suffix == ".py" else record
        recording = run(model.design, path, Path(folder).resolve())
        return read_table(recording.dump, model, recording.scope).trace()


def _tasks(problem: VerificationProblem, assertions: Sequence[Assertion]) -> list[Candidate]:
    goals = problem.goals
    proofs = [task("prove", a.name, a.text) for a in assertions if a.kind == "assert"]
    return [*(proofs if "prove" in goals else []), *(task(g) for g in goals if g != "prove")]


def _report(
    problem: VerificationProblem, evaluator: VerificationEvaluator, outcome: Outcome, trials: Sequence[Trial]
) -> dict[str, Any]:
    """The JSON of a run: what `kerf verify --json` prints."""
    found = {t.candidate.id: t.evaluation for t in trials}
    details = [(asked_of(t.candidate), t.evaluation) for t in trials]
    by_goal = {asked["goal"]: dict(e.detail) for asked, e in details if asked["goal"] != "prove"}
    kills = (by_goal.get("mutate") or {}).get("assertions", {})
    assertions = []
    for a in evaluator.assertions:
        if a.kind == "assert" and "prove" in problem.goals:
            evaluation = found.get(task("prove", a.name, a.text).id)
            row = _row(a, dict(evaluation.detail) if evaluation else None)
            assertions.append(row | {"kills": kills.get(a.name)})
    failed = [f"{asked['goal']}: {e.reason}" for asked, e in details if not e.detail]
    return {
        "run": outcome.run,
        "design": problem.design.top,
        "clock": evaluator.model.clock,
        "reset": evaluator.model.reset.name if evaluator.model.reset else None,
        "assertions": assertions,
        "assumptions": [a.text for a in evaluator.assertions if a.kind == "assume"],
        "coverage": by_goal.get("cover"),
        "mutants": by_goal.get("mutate"),
        "mined": by_goal.get("mine", {}).get("mined", []),
        "status": "interrupted" if outcome.stop == "interrupted" else "done",
        "notes": [*evaluator.model.notes, *failed],
        "warnings": list(problem.design.warnings),
    }


def _row(assertion: Assertion, detail: Mapping[str, Any] | None) -> dict[str, Any]:
    named = {"name": assertion.name, "text": assertion.text, "source": assertion.source}
    if detail is None:
        tried = ["nothing: the time was up"]
        return named | {
            "verdict": str(Verdict.UNDECIDED),
            "engine": "",
            "depth": -1,
            "trace": None,
            "tried": tried,
        }
    keys = ("verdict", "engine", "depth", "trace", "tried", "vacuous", "seconds")
    return named | {k: detail[k] for k in keys if k in detail}
