"""Verbs about what is already in the archive: every domain's runs alike."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from kerf import spoken as says
from kerf.core import temporary
from kerf.core.types import Candidate, Evaluation, KerfError, Status
from kerf.core.verb import Option, Result, Verb

Run = Annotated[str, Option("A run's id, or the beginning of one (see `kerf runs`).", metavar="RUN")]


def runs(
    *,
    limit: Annotated[int, Option("How many, newest first.", metavar="N")] = 20,
) -> dict[str, Any]:
    """List the runs in the archive."""
    from kerf.archive import Archive

    with Archive() as archive:
        rows = [
            {
                "run": r.id,
                "problem": r.problem_name,
                "state": "killed" if r.state == "running" and not archive.is_held(r.id) else str(r.state),
                "proposer": r.proposer,
                "seconds": round(r.seconds, 1),
                "created": time.strftime("%Y-%m-%d %H:%M", time.gmtime(r.created)),
                **_best_of(archive, r),
            }
            for r in archive.runs(limit)
        ]
    return {"runs": rows, "archive": str(archive.folder)}


def show(
    run: Run,
    *,
    source: Annotated[bool, Option("Print the winner's sources too.")] = False,
) -> dict[str, Any]:
    """Show a run: its candidates, what became of each, and the winner."""
    from kerf.archive import Archive

    with Archive() as archive:
        record = archive.run(run)
        trials = archive.trials(record.id)
        return {
            "run": record.id,
            "problem": record.problem_name,
            "state": str(record.state),
            "description": record.description,
            "best": record.best,
            "files": dict(archive.candidate(record.best).files) if source and record.best else {},
            "folder": str(archive.folder / "runs" / record.id),
            "candidates": [_row(t.candidate, t.evaluation, t.at_s) for t in trials],
        }


def compare(
    a: Annotated[str, Option("A run, or a candidate's id.", metavar="A")],
    b: Annotated[str, Option("Another.", metavar="B")],
) -> dict[str, Any]:
    """Compare two runs' winners or two candidates: scores and source, line by line."""
    from kerf.archive import Archive

    with Archive() as archive:
        left, right = _one(archive, a), _one(archive, b)
    names = sorted({*left[0].files, *right[0].files})
    diff = [
        line
        for name in names
        for line in difflib.unified_diff(
            left[0].files.get(name, "").splitlines(),
            right[0].files.get(name, "").splitlines(),
            f"A/{name}",
            f"B/{name}",
            lineterm="",
        )
    ]
    return {"a": _summary(*left), "b": _summary(*right), "diff": diff}


def resume(
    run: Annotated[str, Option("The run to go on with (see `kerf runs`).", metavar="RUN")],
    *,
    evaluations: Annotated[int | None, Option("New total of measured candidates.", metavar="N")] = None,
    minutes: Annotated[float | None, Option("New total of minutes.", metavar="M")] = None,
    max_dollars: Annotated[
        float | None, Option("New total that the language model may cost.", metavar="USD")
    ] = None,
    max_tokens: Annotated[
        int | None, Option("New total of the language model's tokens, in and out together.", metavar="N")
    ] = None,
    price: Annotated[
        str | None,
        Option("What the model costs, in dollars per million tokens.", metavar="IN,OUT"),
    ] = None,
    watch: Any = lambda event: None,
) -> dict[str, Any]:
    """Go on with a run that was stopped or killed."""
    from kerf.archive import Archive

    with Archive() as archive:
        record = archive.run(run)
    verb = _began(record)
    if verb.resume is None:
        raise KerfError(f"run {record.id} was begun by `kerf {verb.name}`, whose runs cannot be gone on with")
    ceilings = _asked(record, verb, {"max_dollars": max_dollars, "max_tokens": max_tokens, "price": price})
    found = verb.resume(record.id, evaluations=evaluations, minutes=minutes, **ceilings, watch=watch)
    return {**found, "verb": verb.name}


def export(
    run: Run,
    *,
    out: Annotated[str, Option("The folder to write.", "--out", "DIR")] = "",
    custom_op: Annotated[
        str, Option("Also register the call as this torch.library operator.", metavar="NAMESPACE::NAME")
    ] = "",
) -> dict[str, Any]:
    """Write a run's winner (a kernel, a placement, ...), every candidate and its measurements to a folder."""
    from kerf.archive import Archive
    from kerf.archive.transfer import export_run

    with Archive() as archive:
        record = archive.run(run)
        folder = Path(out or f"kerf-{record.id}")
        path = (_began(record).export or _export_files)(archive, record.id, folder)
        export_run(archive, record.id, folder / "run")
    if custom_op:
        from kerf.kernels.dropin import add_custom_op

        if not (path / "kernel.py").exists():
            raise KerfError(f"--custom-op is for kernels, and run {record.id} made none: leave it out")
        add_custom_op(path / "kernel.py", custom_op)
    return {"run": record.id, "path": str(path), "archive": str(folder / "run")}


def _export_files(archive: Any, run: str, folder: Path) -> Path:
    """The winner as it is in the archive."""
    from kerf.archive.transfer import write_files

    write_files(archive.winner(run), folder / "winner")
    return folder / "winner"


def prune(
    *,
    keep: Annotated[int | None, Option("Keep this many newest runs.", metavar="N")] = None,
    days: Annotated[float | None, Option("Drop runs older than this.", metavar="D")] = None,
    megabytes: Annotated[
        float | None, Option("Drop the oldest until the archive is this small.", metavar="MB")
    ] = None,
) -> dict[str, Any]:
    """Make the archive smaller: drop old runs, their candidates and files, and what killed processes left among temporary files."""
    from kerf.archive import Archive
    from kerf.archive.prune import prune as drop

    if keep is None and days is None and megabytes is None:
        raise KerfError("say what to keep: --keep N, --days D or --megabytes MB")
    temporary.sweep()
    with Archive() as archive:
        pruned = drop(
            archive,
            keep_runs=keep,
            older_than_s=days * 86400 if days is not None else None,
            max_bytes=int(megabytes * 1e6) if megabytes is not None else None,
        )
    return {"dropped": list(pruned.runs), "freed_bytes": pruned.freed_bytes}


# ---------------------------------------------------------------- pieces


def _began(record: Any) -> Verb:
    """The verb that a run was begun by; runs from before there were two have none in their options."""
    return _verb(str(record.options.get("verb", "optimize")))


def _asked(record: Any, verb: Verb, limits: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of a language model that were given. KerfError where the run asks none."""
    given = {name: value for name, value in limits.items() if value is not None}
    if given and not record.options.get("model"):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise KerfError(f"run {record.id} of `kerf {verb.name}` asks no language model: leave out {flags}")
    return given


def _verb(name: str) -> Verb:
    """Of any domain: they are declared in the entry points that `kerf.verbs` gathers, which lies above this module."""
    for point in entry_points(group="kerf.verbs"):
        for verb in point.load():
            if verb.name == name:
                return verb
    raise KerfError(f"no verb {name!r} is installed: install the domain that declares it")


def _best_of(archive: Any, record: Any) -> dict[str, Any]:
    """The winner's score, and the same as a person reads it."""
    found = None
    if record.best is not None:
        found = archive.confirmations(record.id).get(record.best) or archive.lookup(
            record.best, record.evaluator_key
        )
    return {"best": found.score if found else None, "headline": found.headline if found else "-"}


def _row(candidate: Candidate, evaluation: Evaluation, at_s: float) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "proposer": candidate.proposer,
        "parent": candidate.parent,
        "status": str(evaluation.status),
        "score": evaluation.score,
        "headline": evaluation.headline,
        "reason": evaluation.reason,
        "at_s": round(at_s, 2),
    }


def _one(archive: Any, name: str) -> tuple[Candidate, Evaluation | None]:
    """The winner of the run `name`, or the candidate `name`."""
    try:
        record = archive.run(name)
    except KerfError:
        return archive.candidate(name), None
    if record.best is None:
        raise KerfError(f"run {record.id} has no winner yet")
    found = archive.confirmations(record.id).get(record.best) or archive.lookup(
        record.best, record.evaluator_key
    )
    return archive.candidate(record.best), found


def _summary(candidate: Candidate, evaluation: Evaluation | None) -> dict[str, Any]:
    passed = evaluation is not None and evaluation.status is Status.PASSED
    metrics = {k: m.value for k, m in evaluation.metrics.items()} if evaluation and passed else {}
    return {
        "id": candidate.id,
        "proposer": candidate.proposer,
        "score": evaluation.score if evaluation else None,
        "metrics": metrics,
    }


# ---------------------------------------------------------------- text


def _runs_text(result: Result) -> str:
    if not result["runs"]:
        return f"no runs yet in {result['archive']}"
    wide = max(7, *(len(r["headline"]) for r in result["runs"]))
    lines = [f"{'run':<20} {'problem':<28} {'state':<12} {'best':>{wide}} {'s':>7}  created"]
    for r in result["runs"]:
        lines.append(
            f"{r['run']:<20} {r['problem'][:28]:<28} {r['state']:<12} {r['headline']:>{wide}} {r['seconds']:>7}  {r['created']}"
        )
    return "\n".join(lines)


def _show_text(result: Result) -> str:
    lines = [f"{result['run']}  {result['problem']}  {result['state']}", result["folder"], ""]
    wide = max([7, *(len(c["headline"]) for c in result["candidates"])])
    for c in result["candidates"]:
        mark = "*" if c["id"] == result["best"] else " "
        lines.append(
            f"{mark} {c['id'][:12]} {c['proposer']:<12} {c['status']:<13} {c['headline']:>{wide}}  {c['reason'][:90]}"
        )
    for name, text in result["files"].items():
        lines += ["", f"==> {name} <==", text]
    return "\n".join(lines)


def _compare_text(result: Result) -> str:
    head = [f"{k.upper()} {result[k]['id'][:12]} score {result[k]['score']}" for k in ("a", "b")]
    return "\n".join([*head, "", *result["diff"]])


def _resume_text(result: Result) -> str:
    return _verb(result["verb"]).render(result)


def _resume_failed(result: Result) -> bool:
    return _verb(result["verb"]).failed(result)


def _export_text(result: Result) -> str:
    return f"wrote {result['path']} and {result['archive']}"


def _prune_text(result: Result) -> str:
    return f"dropped {len(result['dropped'])} runs, freed {result['freed_bytes'] / 1e6:.1f} MB"


VERBS = (
    Verb("runs", runs, _runs_text, reads_only=True, says=says.RUNS),
    Verb("show", show, _show_text, reads_only=True, says=says.SHOW),
    Verb("resume", resume, _resume_text, failed=_resume_failed, says=says.RESUME),
    Verb("compare", compare, _compare_text, reads_only=True, says=says.COMPARE),
    Verb("export", export, _export_text, says=says.EXPORT),
    Verb("prune", prune, _prune_text, destroys=True, says=says.PRUNE),
)
