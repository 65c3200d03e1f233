"""Ratios of interleaved timings, with their intervals."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
STUDENT = {
    1: 12.71,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
}  # 97.5 % points, by degrees of freedom


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    def times(self, other: Interval) -> Interval:
        """The product of two independent ratios (relative half-widths added in quadrature)."""
        value = self.value * other.value
        down = float(np.hypot(1 - self.low / self.value, 1 - other.low / other.value))
        up = float(np.hypot(self.high / self.value - 1, other.high / other.value - 1))
        return Interval(value, value * max(0.0, 1 - down), value * (1 + up))


def ratio(over: Sequence[float], under: Sequence[float]) -> Interval:
    """median(over) / median(under) of paired samples, and its 95 % bootstrap interval (Efron and Tibshirani: An Introduction to the
    Bootstrap, 1993), pairs resampled together. Deterministic: the resampling is seeded by the samples."""
    a, b = np.asarray(over, float), np.asarray(under, float)
    seed = int.from_bytes(hashlib.sha256(a.tobytes() + b.tobytes()).digest()[:8], "little")
    picks = np.random.default_rng(seed).integers(0, len(a), (RESAMPLES, len(a)))
    ratios = np.median(a[picks], axis=1) / np.median(b[picks], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    value = statistics.median(over) / statistics.median(under)
    return Interval(value, min(float(low), value), max(float(high), value))


def median_interval(samples: Sequence[float]) -> Interval:
    """The median and its distribution-free interval of at least 95 % from order statistics (David and Nagaraja: Order Statistics, 2003)."""
    ordered, n = sorted(samples), len(samples)
    down = max(0, int(n / 2 - 0.98 * n**0.5) - 1)
    return Interval(statistics.median(ordered), ordered[down], ordered[n - 1 - down])


def across(values: Sequence[float]) -> Interval:
    """The geometric mean of at least two positive values, each from processes of its own, and the 95 % interval of Student's t over
    their logarithms: the processes, not the samples within them, are what repeats independently (Kalibera and Jones: Rigorous
    Benchmarking in Reasonable Time, 2013)."""
    logs = np.log(np.asarray(values, float))
    reach = STUDENT.get(len(logs) - 1, 2.0) * float(logs.std(ddof=1)) / len(logs) ** 0.5
    middle = float(logs.mean())
    return Interval(float(np.exp(middle)), float(np.exp(middle - reach)), float(np.exp(middle + reach)))
