"""The physical floor: no call can take less time than its bytes and its operations need on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.core.types import KerfError
from kerf.kernels.problem import KernelProblem
from kerf.kernels.roofline import Roofline, roofline

BANDWIDTH_MARGIN = 0.5  # inputs may still lie in a nearer cache than the working set suggests: twice the measured bandwidth is impossible


@dataclass(frozen=True)
class Floor:
    """`floor_s`: below it a time is not believed. `bound_s`: the roofline's bound, which a good kernel comes near. `peak_gflops`: what
    this mixture of products and other operations can reach."""

    floor_s: float
    bound_s: float
    bound: str
    flops: float = 0.0
    bytes: float = 0.0
    peak_gflops: float = 0.0
    bandwidth_gbs: float = 0.0

    def share(self, seconds: float) -> float:
        return self.bound_s / seconds if seconds > 0 else 0.0


def floor_of(problem: KernelProblem, written_bytes: int, threads: int) -> Floor | None:
    """From the bytes of inputs and outputs, the FLOPs, and the measured roofline; None where no roofline can be had (no compiler).
    The floor counts only outputs as bytes that must move: parts of the inputs may be multiplied by zero or not selected."""
    try:
        roof: Roofline = roofline(threads)
    except KerfError:
        return None
    (flops, moved), products = problem.flops_bytes(), problem.products
    floor = BANDWIDTH_MARGIN * written_bytes / (_fastest(roof, written_bytes) * 1e9)
    return Floor(
        floor,
        roof.bound(flops, moved, products=products),
        roof.limit(flops, moved, products=products),
        flops,
        moved,
        flops / (roof.arithmetic(flops, products) * 1e9) if flops else roof.peak_gflops,
        roof.bandwidth_at(moved),
    )


def _fastest(roof: Roofline, size: int) -> float:
    return max(roof.bandwidth_at(size), 1e-3)
