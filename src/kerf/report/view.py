"""A run as its report sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kerf.core.records import RunRecord, Trial
from kerf.core.types import Evaluation
from kerf.report.tree import lineage, parents_of
from kerf.report.turns import Turn


class Records(Protocol):
    """What the page needs of an archive."""

    def run(self, run: str) -> RunRecord: ...
    def trials(self, run: str) -> Sequence[Trial]: ...
    def confirmations(self, run: str) -> Mapping[str, Evaluation]: ...
    def notes(self, subject: str) -> Sequence[str]: ...
    def turns(self, run: str) -> Sequence[Turn]: ...


@dataclass(frozen=True)
class View:
    """A run with its winner picked out. `verdict` is the confirmation where there is one."""

    run: RunRecord
    trials: Sequence[Trial]
    notes: Sequence[str]
    best: Trial | None
    verdict: Evaluation | None
    confirmed: bool
    turns: Sequence[Turn] = ()


def view_of(archive: Records, run_id: str) -> View:
    run = archive.run(run_id)
    trials, confirmations = archive.trials(run.id), archive.confirmations(run.id)
    passed = [t for t in trials if t.evaluation.score is not None]
    chosen = [t for t in passed if t.candidate.id == run.best]
    best = chosen[0] if chosen else max(passed, key=lambda t: t.evaluation.score or 0.0, default=None)
    confirmed = confirmations.get(best.candidate.id) if best else None
    verdict = confirmed or (best.evaluation if best else None)
    return View(
        run, trials, archive.notes(run.id), best, verdict, confirmed is not None, archive.turns(run.id)
    )


def parent_of(view: View) -> Trial | None:
    line = lineage(view.best.candidate.id, parents_of(view.trials)) if view.best else []
    return next((t for t in view.trials if len(line) > 1 and t.candidate.id == line[1]), None)
