"""A verdict on one candidate, from a file, a folder or an evidence bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerf.archive import default_folder
from kerf.core.types import Candidate, Evaluation, KerfError
from kerf.kernels.problem import KernelProblem, load_problem, load_text
from kerf.kernels.referee.evaluator import KernelEvaluator

Overrides = Mapping[str, str | int | float]
Speedups = Mapping[str, Mapping[str, Any] | None]
"""Of an evaluation over each baseline: its median and the ends of its interval."""
MAX_FILE_BYTES = 4 << 20


def read_candidate(path: Path) -> Candidate:
    """A Python file (with the C files beside it) or a folder with a manifest."""
    if not path.exists():
        raise KerfError(f"no candidate at {path}")
    if path.is_dir():
        files = {
            str(p.relative_to(path)): p
            for p in sorted(path.rglob("*"))
            if p.is_file() and p.suffix in (".py", ".c", ".h", ".json")
        }
        if not files:
            raise KerfError(
                f"{path} holds no candidate: expected a Python file with ModelNew, and optionally manifest.json and C files"
            )
    else:
        manifest = path.with_name("manifest.json")
        beside = [
            p for p in sorted(path.parent.glob("*.[ch]")) if p.stem == path.stem or not manifest.exists()
        ]
        files = {path.name: path} | {p.name: p for p in beside}
        if manifest.exists() and json.loads(manifest.read_text()).get("entry") == path.name:
            files["manifest.json"] = manifest
    return Candidate({name: _text(p) for name, p in files.items()}, proposer="given")


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise KerfError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB: a candidate is source text")
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise KerfError(f"{path} is not text: {error}") from error


def judge(
    path: Path, problem: str, overrides: Overrides, threads: int, baselines: tuple[str, ...], trust: bool
) -> dict[str, Any]:
    """The JSON of `kerf evaluate`."""
    return _judge(read_candidate(path), load_problem(problem, overrides), threads, baselines, trust)


def _judge(
    candidate: Candidate, problem: KernelProblem, threads: int, baselines: tuple[str, ...], trust: bool
) -> dict[str, Any]:
    evaluator = KernelEvaluator(problem, threads=threads, baselines=baselines, trust=trust)
    try:
        evaluation = evaluator.confirm(candidate)
    finally:
        evaluator.close()
    evidence = default_folder() / "evidence" / f"{candidate.id}-{problem.key[:8]}.json"
    evidence.parent.mkdir(parents=True, exist_ok=True)
    evidence.write_text(
        json.dumps(bundle(problem, candidate, evaluation, threads, baselines), indent=1, default=str)
    )
    return as_json(evaluation, baselines) | {"candidate": candidate.id, "evidence": str(evidence)}


def bundle(
    problem: KernelProblem,
    candidate: Candidate,
    evaluation: Evaluation,
    threads: int,
    baselines: tuple[str, ...],
) -> dict[str, Any]:
    """All that `kerf replay` needs to repeat the verdict, and what was measured."""
    from dataclasses import asdict

    return {
        "format": 1,
        "problem": {
            "name": problem.name,
            "key": problem.key,
            "source": problem.source,
            "overrides": dict(problem.overrides),
            "seed": problem.seed,
        },
        "threads": threads,
        "baselines": list(baselines),
        "candidate": {"id": candidate.id, "files": dict(candidate.files)},
        "evaluation": asdict(evaluation),
    }


def as_json(evaluation: Evaluation, baselines: tuple[str, ...]) -> dict[str, Any]:
    error = evaluation.detail.get("error")
    return {
        "status": str(evaluation.status),
        "reason": evaluation.reason,
        "speedup": speedups(evaluation, baselines) if evaluation.score is not None else None,
        "error": {"max": error["max"], "tolerance": error["tolerance"]}
        if isinstance(error, Mapping)
        else None,
        "environment": dict(evaluation.environment),
    }


def speedups(evaluation: Evaluation, baselines: Sequence[str]) -> Speedups:
    """By baseline; None for one that was left out."""
    metrics = {b: evaluation.metrics.get(f"speedup.{b}") for b in baselines}
    return {b: {"median": m.value, "low": m.low, "high": m.high} if m else None for b, m in metrics.items()}


def over_best_baseline(speedups: Speedups | None) -> float | None:
    """Median speed-up over the fastest baseline: the smallest of the ratios; None where there is none."""
    return min((v["median"] for v in (speedups or {}).values() if v), default=None)


def replay_evidence(path: Path, trust: bool) -> dict[str, Any]:
    """Judge the bundled candidate on the bundled problem again; the old status beside the new."""
    try:
        found = json.loads(path.read_text())
        problem, files = found["problem"], found["candidate"]["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KerfError(f"{path} is not an evidence bundle: {error!r}") from error
    if not problem["source"]:
        raise KerfError(
            f"{path} was made from a module given in Python: its source is not in the bundle, so it cannot be replayed"
        )
    loaded = load_text(problem["source"], problem["overrides"], seed=problem["seed"], name=problem["name"])
    result = _judge(Candidate(files), loaded, found["threads"], tuple(found["baselines"]), trust)
    return result | {
        "then": found["evaluation"]["status"],
        "same": found["evaluation"]["status"] == result["status"],
    }
