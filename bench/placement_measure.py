"""What every case of the placement benchmark is asked, how it is timed, and how its result is judged: by the metrics and the legality
check alone, never by what a placer says of itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerf.placement.design import Design, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from placement_table import Row


@dataclass(frozen=True)
class Asked:
    """`minutes`: None for each group's own budget. `keep`: where placements go, for other groups and for looking at them."""

    data: Path
    cases: Path | None = None
    minutes: float | None = None
    threads: int = 2
    seed: int = 0
    keep: Path = Path("/tmp")
    effort: int = 3


Run = Callable[[Asked], list[Row]]


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    run: Run


class Clock(AbstractContextManager["Clock"]):
    """Wall and CPU seconds of a block; the CPU time of threads and of finished child processes counts."""

    seconds = cpu_seconds = 0.0

    def __enter__(self) -> Clock:
        self._wall, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._wall, _cpu() - self._cpu


def _cpu() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


@dataclass(frozen=True)
class Judged:
    """`hpwl` in micrometres where the design's format has them. `legal`: by the independent check, and nothing fixed has moved."""

    hpwl: float
    legal: bool
    details: dict[str, Any] = field(default_factory=dict)


def judge(design: Design, placement: Placement) -> Judged:
    found = check(design, placement)
    moved = int((_moved(design, placement) & design.fixed).sum())
    faults = {
        "unplaced": len(found.unplaced),
        "overlaps": len(found.overlaps),
        "out_of_die": len(found.out_of_die),
        "off_row": len(found.off_row),
        "off_site": len(found.off_site),
        "fixed_moved": moved,
    }
    length = hpwl(design, placement) / (design.per_um or 1.0)
    return Judged(length, found.legal and not moved, {k: v for k, v in faults.items() if v})


def _moved(design: Design, placement: Placement) -> np.ndarray:
    """(C,) cells with a place in the design that the placement puts elsewhere."""
    first = design.initial
    far = np.hypot(placement.x - first.x, placement.y - first.y) > design.tolerance
    return far | ((placement.orient != first.orient) & np.isfinite(first.x))


def blank(design: Design) -> Design:
    """The same with no place for anything that may move: nobody's placement is a head start."""
    loose = ~design.fixed & (design.kind != Kind.PORT)
    first = design.initial.copy()
    first.x[loose] = first.y[loose] = np.nan
    first.orient[loose] = 0
    return replace(design, initial=first)


def held(design: Design, placement: Placement, cells: np.ndarray) -> Design:
    """The same with these cells (a mask, (C,)) fixed where the placement has them."""
    first = design.initial.copy()
    first.x[cells], first.y[cells] = placement.x[cells], placement.y[cells]
    first.orient[cells] = placement.orient[cells]
    return replace(design, initial=first, fixed=design.fixed | cells)


def macros(design: Design) -> np.ndarray:
    """(C,) hard macros that may move."""
    return (design.kind == Kind.MACRO) & ~design.fixed
