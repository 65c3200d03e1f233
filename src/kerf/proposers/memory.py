"""What won on the nearest problems in the archive."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from kerf.proposers.searching import Point, PointProposer, remembered

PROBLEMS, PER_PROBLEM = 8, 6


class MemorySearch(PointProposer):
    """The best points of the nearest problems, adapted; then neighbours of those that did best here. The default leads where there is
    nothing to remember."""

    name = "memory"

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        for point in self._recalled:
            yield point, None
        while leaders := self.leaders(4):
            parent = self.rng.choice(leaders)
            yield self.space.mutate(parent.point, self.rng), parent.id

    @cached_property
    def _recalled(self) -> Iterator[Point]:
        """Each is handed out once."""
        return iter(remembered(self.space, self.memory, PROBLEMS, PER_PROBLEM) or [self.space.default()])
