"""A run as a folder that people can read and another archive can take in.

`run.json` holds the run, its trials, evaluations, confirmations and events; `candidates/ID/` the files of each candidate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from kerf.archive.database import plain
from kerf.archive.store import Archive
from kerf.core.records import RunState, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Metric, Status

FORMAT = 1


def export_run(archive: Archive, run: str, folder: Path | str) -> Path:
    """Write the run to `folder` (made if missing; it must not hold another run). Returns the folder."""
    record, target = archive.run(run), Path(folder)
    if (target / "run.json").exists():
        raise KerfError(f"{target} already holds an exported run. Name a new folder.")
    trials = archive.trials(record.id)
    for candidate in {t.candidate.id: t.candidate for t in trials}.values():
        write_files(candidate, target / "candidates" / candidate.id)
    confirmed = archive.confirmations(record.id)
    body = {
        "format": FORMAT,
        "run": asdict(record),
        "trials": [_trial_json(t) for t in trials],
        "confirmations": {c: _evaluation_json(e) for c, e in confirmed.items()},
        "events": archive.events(record.id),
        "notes": archive.notes(record.id),
        "turns": archive.turns(record.id),
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / "run.json").write_text(json.dumps(body, indent=1, default=plain), encoding="utf-8")
    return target


def write_files(candidate: Candidate, folder: Path) -> None:
    """The candidate's files under `folder`. KerfError for a path that would lead outside it."""
    for name, text in candidate.files.items():
        path = folder / _inside(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))


def import_run(archive: Archive, folder: Path | str) -> str:
    """Take in an exported run as a new, finished run, and return its id. KerfError when the folder is not an export, or when a
    candidate's files are no longer those that were evaluated."""
    source = Path(folder)
    body = _read(source / "run.json")
    record, candidates = body["run"], source / "candidates"
    trials = [_trial(t, candidates) for t in body["trials"]]
    run = archive.begin(
        _Imported(record["problem_name"], record["problem"], record["description"]),
        record["evaluator_key"],
        record["proposer"],
        record["seed"],
        Budget(**record["budget"]),
        {**record["options"], "imported": record["id"]},
    )
    for trial in trials:
        archive.record(run, record["evaluator_key"], trial)
    for candidate, evaluation in body["confirmations"].items():
        archive.record_confirmation(run, record["evaluator_key"], candidate, _evaluation(evaluation))
    for at_s, kind, event in body["events"]:
        archive.event(run, kind, event, at_s)
    for note in body["notes"]:
        archive.add_note(run, note)
    for agent, turn, said in body.get("turns", ()):
        archive.record_turn(run, agent, turn, said)
    archive.finish(run, RunState(record["state"]), record["seconds"], record["best"])
    return run


class _Imported:
    def __init__(self, name: str, key: str, description: str) -> None:
        self.name, self.key, self.description = name, key, description

    def describe(self) -> str:
        return self.description


def _read(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KerfError(
            f"{path} is not an exported run: {error}. `kerf export RUN FOLDER` makes one."
        ) from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise KerfError(
            f"{path} has another format than this kerf reads ({FORMAT}). Export it again with this version."
        )
    return body


def _trial_json(trial: Trial) -> dict[str, Any]:
    candidate = trial.candidate
    return {
        "candidate": candidate.id,
        "files": sorted(candidate.files),
        "parent": candidate.parent,
        "proposer": candidate.proposer,
        "notes": dict(candidate.notes),
        "evaluation": _evaluation_json(trial.evaluation),
        "round": trial.round,
        "asked": trial.asked,
        "at_s": trial.at_s,
        "reused": trial.reused,
    }


def _trial(body: Mapping[str, Any], folder: Path) -> Trial:
    home = folder / _inside(body["candidate"])
    try:
        files = {n: (home / _inside(n)).read_bytes().decode("utf-8", "surrogatepass") for n in body["files"]}
    except OSError as error:
        raise KerfError(f"the export lacks a candidate's file: {error}. Export the run again.") from error
    candidate = Candidate(files, body["parent"], body["proposer"], body["notes"])
    if candidate.id != body["candidate"]:
        raise KerfError(
            f"the files in {home} are not those that were evaluated (their hash is {candidate.id}). Export the run again."
        )
    return Trial(
        candidate, _evaluation(body["evaluation"]), body["round"], body["asked"], body["at_s"], body["reused"]
    )


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    metrics = {name: asdict(metric) for name, metric in evaluation.metrics.items()}
    return {**vars(evaluation), "metrics": metrics}


def _evaluation(body: Mapping[str, Any]) -> Evaluation:
    metrics = {name: Metric(**metric) for name, metric in body["metrics"].items()}
    return Evaluation(**{**body, "status": Status(body["status"]), "metrics": metrics})


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise KerfError(f"a candidate names a file outside its folder: {name!r}. Refusing to touch it.")
    return path
