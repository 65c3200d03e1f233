"""What may vary in a kernel, as plain typed values.

A `Decision` is one question with its legal answers; a `Schedule` is the list of answers, which the archive keeps (the
binary is not kept: the same schedule gives the same source).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Value = int | float | str | bool


@dataclass(frozen=True)
class Decision:
    """`name` is unique within its kernel, e.g. "tile_m"; `default` is the heuristic's answer and one of `choices`."""

    name: str
    choices: tuple[Value, ...]
    default: Value

    def __post_init__(self) -> None:
        if self.default not in self.choices:
            raise ValueError(f"decision {self.name}: default {self.default!r} is not among {self.choices}")


@dataclass(frozen=True)
class Action:
    """One answer: `kernel` is the group's name ("" for a decision about the whole program)."""

    kernel: str
    name: str
    value: Value

    def __str__(self) -> str:
        return f"{self.kernel}.{self.name}={self.value}" if self.kernel else f"{self.name}={self.value}"


Schedule = tuple[Action, ...]


def choices_of(schedule: Iterable[Action], kernel: str) -> dict[str, Value]:
    return {a.name: a.value for a in schedule if a.kernel == kernel}


def resolved(decisions: Iterable[Decision], chosen: Mapping[str, Value]) -> dict[str, Value]:
    """One answer for every decision: the chosen one where legal, else the default. Unknown names are dropped, so
    a schedule remembered from another shape still means something."""
    return {d.name: chosen[d.name] if chosen.get(d.name) in d.choices else d.default for d in decisions}
