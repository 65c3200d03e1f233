"""What may vary in one kernel problem, for proposers that know no domain.

A point maps "fusion" and "<kernel>.<decision>" to values. Which kernels there are depends on the fusion level, so legality is
decided level by level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any

from kerf.core.types import Candidate, content_hash
from kerf.kernels.assemble import Plan
from kerf.kernels.ir import Contract, Conv, Group, Library, Map, Op, Reduce, Scan, outputs_of
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

FUSION_LEVELS: tuple[Value, ...] = ("full", "none")
Point = Mapping[str, Value]


class KernelSpace:
    """`build(point)` gives the candidate's files; the space itself only knows names and legal values."""

    def __init__(
        self, plan: Plan, chip: Chip, threads: int, build: Callable[[Point], Mapping[str, str]]
    ) -> None:
        self.plan, self.chip, self.threads, self._build = plan, chip, threads, build
        self._levels: dict[str, dict[str, Decision]] = {}

    def decisions(self, fusion: str = "full") -> dict[str, Decision]:
        """Every decision of the program at a fusion level, by full name."""
        if fusion not in self._levels:
            found = {
                "fusion": Decision("fusion", FUSION_LEVELS if self._fusible else FUSION_LEVELS[:1], "full")
            }
            for step, template in self.plan.steps(fusion):
                if isinstance(step, Group) and template:
                    found |= {
                        f"{step.name}.{d.name}": d for d in template.decisions(step, self.chip, self.threads)
                    }
            self._levels[fusion] = found
        return self._levels[fusion]

    @cached_property
    def _fusible(self) -> bool:
        full, none = (len(self.plan.steps(str(level))) for level in FUSION_LEVELS)
        return full != none

    def default(self) -> Point:
        return {name: d.default for name, d in self.decisions().items()}

    def sample(self, rng: Random) -> Point:
        fusion = "none" if self._fusible and rng.random() < 0.1 else "full"
        return {name: rng.choice(d.choices) for name, d in self.decisions(fusion).items()} | {
            "fusion": fusion
        }

    def mutate(self, point: Point, rng: Random) -> Point:
        """Change one to three open decisions; the fusion level rarely."""
        legal = self.decisions(str(point.get("fusion", "full")))
        open_names = [n for n, d in legal.items() if len(d.choices) > 1 and n != "fusion"]
        if self._fusible and (not open_names or rng.random() < 0.05):
            return self.adapt({**point, "fusion": "none" if point.get("fusion") == "full" else "full"})
        changed = dict(point)
        for name in rng.sample(open_names, min(len(open_names), rng.choice((1, 1, 1, 2, 2, 3)))):
            changed[name] = rng.choice([c for c in legal[name].choices if c != point.get(name)])
        return self.adapt(changed)

    def cross(self, a: Point, b: Point, rng: Random) -> Point:
        """Each kernel's decisions from one parent or the other; decision by decision where there is one kernel."""
        if a.get("fusion") != b.get("fusion"):
            return self.mutate(a, rng)
        kernels = sorted({n.partition(".")[0] for n in a})
        take = {k: rng.random() < 0.5 for k in (kernels if len(kernels) > 2 else a)}
        return self.adapt(
            {n: a[n] if take.get(n, take.get(n.partition(".")[0], True)) else b.get(n, a[n]) for n in a}
        )

    def adapt(self, point: Point) -> Point:
        """The nearest legal point: unknown names dropped, numbers moved to the nearest legal one, the rest by default."""
        legal = self.decisions(str(point.get("fusion", "full")) if self._fusible else "full")
        return {name: _nearest(d, point.get(name)) for name, d in legal.items()}

    def features(self, point: Point) -> Sequence[float]:
        legal = self.decisions("full")
        chosen = self.adapt({**point, "fusion": "full"}) if point.get("fusion") != "full" else point
        numbers = [_number(d, chosen.get(name, d.default)) for name, d in legal.items()]
        return [float(point.get("fusion") == "full"), *self.signature["vector"], *numbers]

    @cached_property
    def signature(self) -> Mapping[str, Any]:
        """Problems are comparable when the same generators run with the same questions; near when their sizes are."""
        steps = self.plan.steps("full")
        kinds = [t.name if t else "library" for _, t in steps]
        asked = content_hash(list(self.decisions("full")))[:8]
        vector = [x for step, _ in steps for x in _sizes(step)] + [float(self.threads)]
        return {"kind": f"{'+'.join(kinds)[:80]}:{asked}", "vector": vector}

    def candidate(self, point: Point, *, parent: str | None, proposer: str) -> Candidate:
        legal = self.adapt(point)
        return Candidate(self._build(legal), parent=parent, proposer=proposer, notes={"point": dict(legal)})


def _nearest(decision: Decision, value: Value | None) -> Value:
    if value in decision.choices and value is not None:
        return value
    numbers = [c for c in decision.choices if _is_number(c)]
    if _is_number(value) and numbers:
        return min(numbers, key=lambda c: abs(float(c) - float(value)))  # type: ignore[arg-type]
    return decision.default


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(decision: Decision, value: Value) -> float:
    if _is_number(value):
        return math.log2(abs(float(value)) + 1.0)
    return float(decision.choices.index(value)) if value in decision.choices else -1.0


def _sizes(step: Group | Library) -> list[float]:
    """Logarithms of the loops of a step's first op, padded to a fixed length."""
    op: Op = step.ops[0] if isinstance(step, Group) else step
    extents = (
        [a.extent for a in op.axes]
        if isinstance(op, Map | Reduce | Scan | Contract)
        else list(outputs_of(op)[0].shape)
    )
    extents += [a.extent for a in op.raxes] if isinstance(op, Reduce | Contract) else []
    extents += [*op.stride, op.groups] if isinstance(op, Conv) else []
    return ([math.log2(max(1, e)) for e in extents] + [0.0] * 8)[:8]
