"""What global placement can be told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.placement.design import Floats, Placement


@dataclass(frozen=True)
class GlobalOptions:
    """target_density: share of the free area of a bin that cells may fill; None is chosen from the utilization, and a lower one than the
    utilization is raised to it. stop_overflow: done when the charge above the target, over the movable area, is at most this.
    bins: number of bins along x (None: one average cell a bin). gamma: smoothing at overflow 0.1, in bins.
    first_penalty: first weight of density over wirelength, as a share of the ratio of their gradients. growth: largest factor on that weight per iteration.
    keep_start: begin where `start` says, not from the centre. net_weight: (M,) in place of the design's. largest_net: nets with more pins are measured and not pulled."""

    target_density: float | None = None
    stop_overflow: float = 0.07
    max_iterations: int = 1500
    bins: int | None = None
    gamma: float = 0.8
    first_penalty: float = 8e-5
    growth: float = 1.05
    keep_start: bool = False
    routability: bool = False
    net_weight: Floats | None = None
    largest_net: int = 100


@dataclass(frozen=True)
class GlobalResult:
    """hpwl: exact, in the design's unit and with its weights. note: what went wrong and was guarded against, else empty."""

    placement: Placement
    iterations: int
    overflow: float
    hpwl: float
    note: str = ""
