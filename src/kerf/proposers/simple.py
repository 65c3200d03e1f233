"""The two proposers that learn nothing: the heuristic's answer, and chance."""

from __future__ import annotations

from collections.abc import Iterator

from kerf.proposers.searching import Point, PointProposer


class Heuristic(PointProposer):
    """The space's default, once."""

    name = "heuristic"

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        yield self.space.default(), None


class RandomSearch(PointProposer):
    """Independent samples: what every other proposer has to beat."""

    name = "random"

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        while True:
            yield self.space.sample(self.rng), None
