"""What every proposer over a Space shares: its generator, what was told, and never proposing the same candidate twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerf.core.records import Memory
from kerf.core.types import Candidate, Evaluation, Space, content_hash

Point = Mapping[str, Any]
TRIES = 64


@dataclass(frozen=True)
class Told:
    """A point and how it did; `score` None unless it passed."""

    id: str
    point: Point
    score: float | None
    proposer: str


class PointProposer:
    """A subclass yields points in `points`, in order of preference; here they become candidates that are new. The same seed and
    the same tells give the same proposals."""

    name = ""

    def __init__(self, space: Space, memory: Memory | None, seed: int) -> None:
        self.space, self.memory = space, memory
        self.rng = random.Random(f"{self.name}/{seed}")
        self.told: list[Told] = []
        self._points: set[str] = set()
        self._ids: set[str] = set()

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        """(point, parent's candidate id); endless, or ending where there is nothing left. `n` are wanted, duplicates apart."""
        raise TypeError(f"{type(self).__name__} does not say which points it proposes")

    def ask(self, n: int) -> list[Candidate]:
        """Up to n new candidates; fewer when TRIES points in a row were known."""
        found: list[Candidate] = []
        misses = 0
        for point, parent in self.points(n) if n > 0 else ():
            candidate = self._new(point, parent)
            misses = 0 if candidate else misses + 1
            if candidate:
                found.append(candidate)
            if len(found) == n or misses == TRIES:
                break
        return found

    def _new(self, point: Point, parent: str | None) -> Candidate | None:
        if (mark := content_hash(point)) in self._points:
            return None
        self._points.add(mark)
        candidate = self.space.candidate(point, parent=parent, proposer=self.name)
        if candidate.id in self._ids:
            return None
        self._ids.add(candidate.id)
        return replace(candidate, notes={**candidate.notes, **self._lesson(candidate.notes["point"])})

    def fresh(self, point: Point) -> bool:
        """Not proposed and not told before."""
        return content_hash(point) not in self._points

    def _lesson(self, point: Point) -> dict[str, Any]:
        """What the archive keeps so that searches of other problems can learn from this one."""
        signature = {"kind": self.space.signature["kind"], "vector": list(self.space.signature["vector"])}
        return {"signature": signature, "features": list(self.space.features(point))}

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self._ids.add(candidate.id)
        if (point := candidate.notes.get("point")) is not None:
            self._points.add(content_hash(point))
            self.told.append(Told(candidate.id, point, evaluation.score, candidate.proposer))

    def leaders(self, n: int) -> list[Told]:
        """The n best told so far, best first, earlier first among equals."""
        passed = [t for t in self.told if t.score is not None]
        return sorted(passed, key=lambda t: -(t.score or 0.0))[:n]


def remembered(space: Space, memory: Memory | None, problems: int, per_problem: int) -> Sequence[Point]:
    """The best points of the nearest problems, made legal here: the best of each problem first (nearest problem first), then the
    second best of each, and so on."""
    if memory is None:
        return []
    kind, vector = space.signature["kind"], space.signature["vector"]
    ranks: dict[str, int] = {}
    ranked: list[tuple[int, int, Point]] = []
    for item in memory.nearest(kind, vector, problems, per_problem=per_problem):
        ranks[item.problem] = rank = ranks.get(item.problem, -1) + 1
        ranked.append((rank, len(ranked), item.point))
    return [space.adapt(point) for _, _, point in sorted(ranked, key=lambda r: r[:2])]
