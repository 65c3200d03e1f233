"""What global placement can be told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.placement.design import Floats, Placement


@dataclass(frozen=True)
class GlobalOptions:
    """How to place.

    target_density: share of a bin's free area that cells may fill, raised to the utilization where it is lower; None lies between the
    utilization and 1 (`budget.ROOM`). stop_overflow: done when the charge above that, over the movable area, is this or less.
    bins: along x; None is about one bin a cell. gamma: smoothing of wirelength at an overflow of 0.1, in bins.
    first_penalty: first weight of the field over that of the wires, as a share of the ratio of their gradients; None is 8e-5, or 0.1 with
    `keep_start`. growth: largest factor of that weight an iteration; less is slower and a little shorter.
    keep_start: begin where `start` says, not from the middle. routability: place again with cells wider where wires are dense.
    net_weight: (M,) in place of the design's, for the objective alone. largest_net: nets with more pins are measured, and do not pull."""

    target_density: float | None = None
    stop_overflow: float = 0.05
    max_iterations: int = 1500
    bins: int | None = None
    gamma: float = 0.6
    first_penalty: float | None = None
    growth: float = 1.035
    keep_start: bool = False
    routability: bool = False
    net_weight: Floats | None = None
    largest_net: int = 100


@dataclass(frozen=True)
class GlobalResult:
    """iterations: over all rounds. hpwl: exact, in the design's unit and with its weights. note: what went wrong and was guarded
    against, else empty. swell: (C,) factor by which cells were widened for routability; None where they were not."""

    placement: Placement
    iterations: int
    overflow: float
    hpwl: float
    note: str = ""
    swell: Floats | None = None
