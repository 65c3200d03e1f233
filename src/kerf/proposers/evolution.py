"""Mutation and crossover over a diverse population."""

from __future__ import annotations

from collections.abc import Iterator

from kerf.core.types import content_hash
from kerf.proposers.searching import Point, PointProposer, Told

FOUNDERS = 6
TOURNAMENT = 3
PER_NICHE = 4
CROSSOVER, IMMIGRANT = 0.3, 0.08


class Evolution(PointProposer):
    """The default and a few samples found the population; then children of tournament winners. Each niche (a combination of the
    decisions that are not numbers: layouts, algorithms) keeps its own few best, as the cells of MAP-Elites do (Mouret and Clune 2015),
    so that one early success does not take over."""

    name = "evolution"

    def points(self, n: int) -> Iterator[tuple[Point, str | None]]:
        yield self.space.default(), None
        while True:
            population = self._population()
            stranger = 0.5 if len(population) < FOUNDERS else IMMIGRANT
            if not population or self.rng.random() < stranger:
                yield self.space.sample(self.rng), None
            else:
                yield self._child(population)

    def _population(self) -> list[Told]:
        niches: dict[str, list[Told]] = {}
        for told in self.leaders(len(self.told)):
            niches.setdefault(_niche(told.point), []).append(told)
        return [told for niche in niches.values() for told in niche[:PER_NICHE]]

    def _child(self, population: list[Told]) -> tuple[Point, str]:
        parent = self._select(population)
        if self.rng.random() >= CROSSOVER:
            return self.space.mutate(parent.point, self.rng), parent.id
        crossed = self.space.cross(parent.point, self._select(population).point, self.rng)
        return (crossed if self.rng.random() < 0.5 else self.space.mutate(crossed, self.rng)), parent.id

    def _select(self, population: list[Told]) -> Told:
        entrants = [self.rng.choice(population) for _ in range(TOURNAMENT)]
        return max(entrants, key=lambda t: t.score or 0.0)


def _niche(point: Point) -> str:
    return content_hash({k: v for k, v in point.items() if isinstance(v, str | bool)})
