"""What is asked of a design: the properties to prove, the runs that exist, the goals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from kerf.core.types import KerfError
from kerf.verification.design import Design

GOALS = ("prove", "cover", "mutate", "mine")


@dataclass(frozen=True)
class VerificationProblem:
    """`properties`: SVA texts that are not in the source; `tests`: (name, text) of the runs that exist (tables, dumps). `reset` as for
    `model`; `reset_free`: it may come at any time."""

    design: Design
    goals: tuple[str, ...] = GOALS
    properties: tuple[str, ...] = ()
    tests: tuple[tuple[str, str], ...] = ()
    reset: str | None = None
    reset_free: bool = False
    seconds: float = 60.0
    seed: int = 0

    @property
    def name(self) -> str:
        return self.design.top

    @cached_property
    def key(self) -> str:
        """Names everything that is asked."""
        d, told = self.design, hashlib.sha256()
        for source in d.sources:
            told.update(
                source.name.encode("utf-8", "replace")
                + b"\0"
                + source.text.encode("utf-8", "surrogateescape")
            )
        asked = [d.top, sorted(d.defines.items()), sorted(d.parameters.items()), self.goals, self.properties]
        told.update(repr([*asked, self.tests, self.reset, self.reset_free, self.seed]).encode())
        return told.hexdigest()[:20]

    def describe(self) -> str:
        d = self.design
        files = ", ".join(s.name for s in d.sources)
        bits = sum(p.width for p in d.ports if p.direction == "input")
        lines = [f"Verify {d.top} ({files}): {len(d.ports)} ports, {bits} input bits."]
        lines += [f"Goals: {', '.join(self.goals)}."]
        lines += [f"Property: {p}" for p in self.properties]
        return "\n".join(lines)


def goals_of(text: str) -> tuple[str, ...]:
    """The goals that a user's word stands for: one of GOALS, several with commas between, or all."""
    words = [w.strip() for w in text.split(",") if w.strip()]
    if words in ([], ["all"]):
        return GOALS
    unknown = [w for w in words if w not in GOALS]
    if unknown:
        raise KerfError(f"--goal {unknown[0]}: the goals are {', '.join(GOALS)} and all")
    return tuple(g for g in GOALS if g in words)
