"""What users name to be profiled: a file, a folder, a candidate of the archive, a run. And the time that the referee measured, where it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core.types import Candidate, KerfError
from kerf.kernels.judge import read_candidate
from kerf.kernels.problem import KernelProblem, load_problem
from kerf.kernels.profile.compare import compare
from kerf.kernels.profile.profiler import profile_candidate
from kerf.kernels.profile.record import Profile
from kerf.kernels.referee.evaluator import KernelEvaluator

_BASELINES = (("eager", "compile", "onednn"), ("eager",), ("eager", "compile"), ("eager", "onednn"))


def profile_named(
    candidate: str, problem: str, overrides: Mapping[str, Any], threads: int, against: str, trust: bool
) -> dict[str, Any]:
    """The JSON of `kerf profile`: the profile, its text, and with `against` that one's profile and the comparison."""
    loaded = load_problem(problem, overrides)
    found = _profile(candidate, loaded, threads, trust)
    result = found.json() | {"text": found.text()}
    if against:
        other = _profile(against, loaded, threads, trust)
        result |= {"against": other.json() | {"text": other.text()}, "comparison": compare(other, found)}
    return result


def _profile(name: str, problem: KernelProblem, threads: int, trust: bool) -> Profile:
    candidate, seconds = named(name, problem, threads)
    return profile_candidate(problem, candidate, threads, measured_s=seconds, trust=trust)


def named(name: str, problem: KernelProblem, threads: int) -> tuple[Candidate, float | None]:
    """The candidate, and its seconds a call by the referee on this chip (None where it was not measured). KerfError where there is none."""
    path = Path(name)
    if path.exists():
        candidate = read_candidate(path)
        return candidate, _seconds(candidate, problem, threads)
    if path.suffix or "/" in name:
        raise KerfError(f"no candidate at {path}")
    with Archive() as archive:
        candidate = _archived(name, archive)
    return candidate, _seconds(candidate, problem, threads)


def _archived(name: str, archive: Archive) -> Candidate:
    """The winner of a run ("last": the newest), else a candidate by its id."""
    try:
        return archive.winner(name)
    except KerfError as no_run:
        if name == "last":
            raise
        try:
            return archive.candidate(name)
        except KerfError:
            raise KerfError(
                f"{name!r} is no file, and neither a run with a winner nor a candidate in {archive.folder}. `kerf runs` lists runs, `kerf show RUN` candidates."
            ) from no_run


def _seconds(candidate: Candidate, problem: KernelProblem, threads: int) -> float | None:
    """A confirmed time before an unconfirmed one."""
    keys = [KernelEvaluator(problem, threads=threads, baselines=b, trust=True).key for b in _BASELINES]
    with Archive() as archive:
        for key in (*(f"{k}/confirm" for k in keys), *keys):
            found = archive.lookup(candidate.id, key)
            if found is not None and "time_s" in found.metrics:
                return found.metrics["time_s"].value
    return None
