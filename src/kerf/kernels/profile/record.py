"""The profile of a candidate as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kerf.kernels.profile.mca import Opinion
from kerf.kernels.profile.ports import Estimate
from kerf.kernels.profile.traffic import Access
from kerf.kernels.profile.vectorizer import Remark


@dataclass(frozen=True)
class Roof:
    """Seconds that a call needs at least: `arithmetic_s` at the peak rate, and its bytes by memory level (`levels_s`), of which `level` is the
    one that a working set of this size lies in. `share`: the larger of the two bounds over the measured time."""

    flops: float
    bytes: float
    peak_gflops: float
    arithmetic_s: float
    levels_s: Mapping[str, float]
    level: str
    bound_s: float
    bound: str
    share: float


@dataclass(frozen=True)
class Place:
    """`share` of the sampled time in one function of one library; `own`: whether it is the candidate's code."""

    where: str
    share: float
    own: bool


@dataclass(frozen=True)
class HotLoop:
    """An innermost loop of the candidate's machine code. `share` of all samples; `lines` of the C text; `kinds`: instructions by what they
    occupy; `scalar_math`: of them, arithmetic on one float at a time; `calls`: functions it calls; `spilled`: loads and stores of the stack, an iteration; `read_bytes`, `written_bytes`: an iteration, by the widths of its
    instructions; `flops` an iteration; `accesses`, `trips`: from
    stepped windows, empty where the loop was not seen in one. `cycles_seen`: that an iteration took, where the problem's own work tells how
    many there were (`profiler.with_cycles`)."""

    function: str
    share: float
    lines: tuple[int, int] | None
    source: tuple[str, ...]
    assembly: tuple[str, ...]
    kinds: Mapping[str, int]
    vector_bits: int
    scalar_math: int
    flops: float
    read_bytes: float
    written_bytes: float
    spilled: int
    calls: tuple[str, ...]
    remarks: tuple[Remark, ...]
    estimate: Estimate | None
    opinion: Opinion | None
    accesses: tuple[Access, ...] = ()
    trips: float | None = None
    cycles_seen: float | None = None

    @property
    def instructions(self) -> int:
        return len(self.assembly)


@dataclass(frozen=True)
class Profile:
    """Where one candidate's time goes on one problem. `time_source`: who measured `time_s`. `findings`: what limits it, the weightiest first;
    `missing`: what could not be looked at here, and what would add it."""

    candidate: str
    problem: str
    chip: str
    threads: int
    time_s: float
    time_source: str
    clock_hz: float
    samples: int
    roof: Roof | None
    places: tuple[Place, ...]
    loops: tuple[HotLoop, ...]
    findings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """At most about 60 lines, for a person or a model."""
        from kerf.kernels.profile.text import as_text

        return as_text(self)
