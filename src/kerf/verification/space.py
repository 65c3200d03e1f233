"""What a verification run tries, one candidate a task: each property, then coverage, mutants, mining. The order is the plan; nothing is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kerf.core.types import Candidate, Evaluation

FILE = "task.json"


def task(goal: str, name: str = "", text: str = "") -> Candidate:
    """A goal, and for a property its name and text."""
    asked = {"goal": goal} | ({"name": name, "text": text} if name else {})
    return Candidate({FILE: json.dumps(asked, indent=1) + "\n"}, proposer="plan")


def asked_of(candidate: Candidate) -> dict[str, str]:
    return dict(json.loads(candidate.files[FILE]))


class Plan:
    """A proposer that proposes the tasks in order, one at a time, so that each has the time that the ones before it left."""

    name = "plan"

    def __init__(self, tasks: Sequence[Candidate]) -> None:
        self._tasks = list(tasks)

    def ask(self, n: int) -> Sequence[Candidate]:
        now, self._tasks = self._tasks[:n], self._tasks[n:]
        return now

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """What one task showed changes none of the others."""
