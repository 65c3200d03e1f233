"""What a model leaves open in its candidate for search to choose, as a Space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from kerf.core.types import Candidate, content_hash

MOST_PARAMETERS, MOST_CHOICES = 16, 32


@dataclass(frozen=True)
class Parameter:
    """`value`: the choice in force. Choices in the order in which their author gave them, in the domain's own writing."""

    name: str
    choices: tuple[str, ...]
    value: str


class Written(Protocol):
    def __call__(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """The candidate's files with these values, by parameter."""


class ChoiceSpace:
    """The choices of one candidate's parameters. `written` gives the files for a point."""

    def __init__(self, origin: Candidate, parameters: Sequence[Parameter], written: Written) -> None:
        self.origin, self.parameters, self._written = origin, parameters, written

    def default(self) -> dict[str, Any]:
        return {p.name: p.value for p in self.parameters}

    def sample(self, rng: Random) -> dict[str, Any]:
        return {p.name: rng.choice(p.choices) for p in self.parameters}

    def mutate(self, point: Mapping[str, Any], rng: Random) -> dict[str, Any]:
        """One or two answers changed; more often to a neighbour, since choices come in order."""
        changed = dict(point)
        open_ = [p for p in self.parameters if len(p.choices) > 1]
        for p in rng.sample(open_, min(len(open_), rng.choice((1, 1, 2)))):
            at = p.choices.index(changed[p.name])
            near = [p.choices[i] for i in (at - 1, at + 1) if 0 <= i < len(p.choices)]
            changed[p.name] = rng.choice(
                near if rng.random() < 0.7 else [c for c in p.choices if c != p.choices[at]]
            )
        return changed

    def cross(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: Random) -> dict[str, Any]:
        return {p.name: (a if rng.random() < 0.5 else b)[p.name] for p in self.parameters}

    def adapt(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return {p.name: point[p.name] if point.get(p.name) in p.choices else p.value for p in self.parameters}

    def features(self, point: Mapping[str, Any]) -> Sequence[float]:
        return [_feature(p, self.adapt(point)[p.name]) for p in self.parameters]

    @property
    def signature(self) -> Mapping[str, Any]:
        return {
            "kind": f"tune:{content_hash([[p.name, p.choices] for p in self.parameters])[:8]}",
            "vector": [],
        }

    def candidate(self, point: Mapping[str, Any], *, parent: str | None, proposer: str) -> Candidate:
        values = self.adapt(point)
        return Candidate(self._written(values), parent or self.origin.id, proposer, {"point": values})


def _feature(parameter: Parameter, value: str) -> float:
    try:
        return math.log2(abs(float(value.rstrip("f"))) + 1.0)
    except ValueError:
        return float(parameter.choices.index(value))
