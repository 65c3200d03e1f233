"""A recipe: everything that a way from netlist to placement leaves open, as plain values. One point of `space`, one candidate of the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kerf.core.types import KerfError
from kerf.placement.analytic import GlobalOptions

FILE = "recipe.json"
LIMITS: Mapping[str, tuple[float, float]] = {
    "density": (-1.0, 1.0),
    "stop": (0.02, 0.3),
    "gamma": (0.2, 2.0),
    "growth": (1.005, 1.2),
    "spread": (0.0, 0.5),
    "seed": (0, 2**31 - 1),
}
"""Of the values that are numbers, where somebody chooses them freely."""


@dataclass(frozen=True)
class Recipe:
    """density: how full bins may be, as a share of the way from the utilization to 1; -1 leaves it to global placement. stop: the
    overflow at which global placement ends. gamma: smoothing of its wirelength, in bins. growth: how fast density gains weight.
    spread: clear space kept around macros in global placement, as a share of their shorter side. again: cells are placed anew once macros are legal. inflate:
    cells where wires are dense take more room. seed: of every stage that draws."""

    density: float = -1.0
    stop: float = GlobalOptions.stop_overflow
    gamma: float = GlobalOptions.gamma
    growth: float = GlobalOptions.growth
    spread: float = 0.02
    again: bool = True
    inflate: bool = False
    seed: int = 0

    @staticmethod
    def of(point: Mapping[str, Any]) -> Recipe:
        known = {f.name for f in fields(Recipe)}
        return Recipe(**{name: value for name, value in point.items() if name in known})

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def recipe_of(files: Mapping[str, str]) -> Recipe:
    """The recipe in a candidate's files. KerfError where there is none."""
    try:
        return Recipe.of(json.loads(files[FILE]))
    except (KeyError, ValueError, TypeError) as error:
        raise KerfError(f"a candidate of placement has a {FILE} with a recipe's values: {error}") from error
