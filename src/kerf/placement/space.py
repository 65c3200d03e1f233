"""What may vary in placing one design, for proposers that know no domain: the fields of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any

import numpy as np

from kerf.core.types import Candidate
from kerf.placement.design import Design, Kind
from kerf.placement.recipe import FILE, Recipe
from kerf.placement.rules import Rules

Point = Mapping[str, Any]
CELLS: dict[str, tuple[Any, ...]] = {
    "density": (-1.0, 0.15, 0.3, 0.5, 0.75, 1.0),
    "stop": (0.04, 0.07, 0.1, 0.15),
    "gamma": (0.4, 0.5, 0.6, 0.8),
    "growth": (1.02, 1.027, 1.035, 1.05),
    "seed": tuple(range(8)),
}
MACROS: dict[str, tuple[Any, ...]] = {"spread": (0.0, 0.02, 0.05, 0.1), "again": (True, False)}
SEEDS: dict[str, tuple[Any, ...]] = {"seed": tuple(range(64))}


class RecipeSpace:
    """`target` is one of `problem.TARGETS`. `first` overrides the defaults of single decisions, `held` leaves them no choice."""

    def __init__(
        self, design: Design, rules: Rules, target: str, first: Point, held: Sequence[str] = ()
    ) -> None:
        self.design, self.rules, self.target = design, rules, target
        self._default = {**vars(Recipe()), **first}
        self._held = set(held)

    @cached_property
    def decisions(self) -> dict[str, tuple[Any, ...]]:
        """Every open decision and its choices."""
        wanted = SEEDS if self.target == "proxy" else {**CELLS, **(MACROS if self._macros else {})}
        return {name: choices for name, choices in wanted.items() if name not in self._held}

    @cached_property
    def _macros(self) -> int:
        return int(((self.design.kind == Kind.MACRO) & ~self.rules.fixed).sum())

    def default(self) -> Point:
        return dict(self._default)

    def sample(self, rng: Random) -> Point:
        return {**self._default, **{name: rng.choice(choices) for name, choices in self.decisions.items()}}

    def mutate(self, point: Point, rng: Random) -> Point:
        """Change one to three decisions."""
        names = sorted(self.decisions)
        changed = dict(point)
        for name in rng.sample(names, min(len(names), rng.choice((1, 1, 2, 2, 3)))):
            changed[name] = rng.choice([c for c in self.decisions[name] if c != point.get(name)])
        return self.adapt(changed)

    def cross(self, a: Point, b: Point, rng: Random) -> Point:
        return self.adapt({name: (a if rng.random() < 0.5 else b).get(name) for name in self._default})

    def adapt(self, point: Point) -> Point:
        """The nearest legal point: each value moved to the nearest choice, what is unknown or held by default."""
        legal = dict(self._default)
        for name, choices in self.decisions.items():
            value = point.get(name)
            if value is not None and value != self._default[name]:
                legal[name] = min(choices, key=lambda c: (abs(float(c) - float(value)), c))
        return legal

    def features(self, point: Point) -> Sequence[float]:
        return [float(point.get(name, value)) for name, value in sorted(self._default.items())]

    @cached_property
    def signature(self) -> Mapping[str, Any]:
        """Designs are alike when their sizes, nets and fill are; those with movable macros only to one another."""
        d = self.design
        area = d.width * d.height
        solid = d.kind != Kind.PORT
        macro = d.kind == Kind.MACRO
        die = (d.die[2] - d.die[0]) * (d.die[3] - d.die[1])
        vector = [
            math.log2(1 + d.cells),
            math.log2(1 + d.nets),
            d.pins / max(1, d.nets),
            4.0 * float(area[solid].sum()) / die,
            4.0 * float(area[macro].sum()) / die,
            math.log2(1 + int(macro.sum())),
        ]
        return {
            "kind": f"placement:{self.target}:{'mixed' if self._macros else 'cells'}",
            "vector": np.round(vector, 6).tolist(),
        }

    def candidate(self, point: Point, *, parent: str | None, proposer: str) -> Candidate:
        legal = self.adapt(point)
        return Candidate({FILE: Recipe.of(legal).text()}, parent, proposer, {"point": dict(legal)})
