"""What is known of a run: every candidate told so far with its verdict, and the notes that agents leave each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from kerf.core.types import Candidate, Evaluation


@dataclass(frozen=True)
class Told:
    candidate: Candidate
    evaluation: Evaluation

    @property
    def score(self) -> float:
        """Minus infinity unless it passed."""
        score = self.evaluation.score
        return float("-inf") if score is None else score


@dataclass
class Board:
    """Shared by the agents of one run. It changes between their turns only, so that what an agent sees does not depend on how
    fast the others are; notes are kept aside until then."""

    told: dict[str, Told] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.told[candidate.id] = Told(candidate, evaluation)

    @property
    def best(self) -> Told | None:
        passed = self.ranked(1)
        return passed[0] if passed else None

    def ranked(self, most: int) -> list[Told]:
        """The best that passed, best first, earlier first among equals."""
        passed = [t for t in self.told.values() if t.evaluation.score is not None]
        return sorted(passed, key=lambda t: -t.score)[:most]

    def failed(self, most: int) -> list[Told]:
        """The latest that did not pass."""
        return [t for t in self.told.values() if t.evaluation.score is None][-most:]

    def name(self, candidate: Candidate) -> str:
        """What agents call it: "c1" is the first that was told. Short, and the same when a run is played again elsewhere."""
        number = next((i for i, key in enumerate(self.told, 1) if key == candidate.id), None)
        return f"c{number}" if number else candidate.id[:10]

    def find(self, name: str) -> Told | None:
        """By its name here, or by the id or its beginning (6 digits at least); "best" is the best."""
        if name == "best":
            return self.best
        if name[:1] == "c" and name[1:].isdecimal() and 1 <= int(name[1:]) <= len(self.told):
            return list(self.told.values())[int(name[1:]) - 1]
        matching = [t for key, t in self.told.items() if len(name) >= 6 and key.startswith(name)]
        return matching[0] if len(matching) == 1 else None
