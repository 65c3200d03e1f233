"""Figures over several sets of processes: what differs between processes must show in the interval."""

from __future__ import annotations

import numpy as np
import pytest

from kerf.kernels.referee.samples import Samples
from kerf.kernels.referee.stats import across


def test_an_interval_over_processes_covers_the_luck_of_each() -> None:
    """Pages move a process by 8 %, pairs within it by 0.5 %: 95 % of the intervals over five processes hold the truth, where those over
    pairs alone would hold it in few."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        samples = Samples(("candidate", "eager"))
        for process in range(5):
            luck = float(np.exp(rng.normal(0, 0.08)))
            for _ in range(6):
                noise = np.exp(rng.normal(0, 0.005, 2))
                samples.add(
                    {"candidate": 1e-3 * luck * float(noise[0]), "eager": 2e-3 * float(noise[1])},
                    0.0,
                    process,
                )
        found = samples.speedup("eager")
        held += found.low <= 2.0 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_pairs_of_one_process_alone_are_bootstrapped() -> None:
    samples = Samples(("candidate", "eager"))
    for k in range(15):
        samples.add({"candidate": 1.0 + k / 1e3, "eager": 3.0}, 0.1, 0)
    assert samples.speedup("eager").low <= 3 / 1.007 <= samples.speedup("eager").high
    assert samples.contended and samples.worst(0) == 0
    samples.remove(0)
    assert len(samples.process) == len(samples.delays) == len(samples.seconds["eager"]) == 14


def test_equal_processes_have_no_width() -> None:
    found = across([1.5, 1.5, 1.5])
    assert found.low == pytest.approx(1.5) == found.high
