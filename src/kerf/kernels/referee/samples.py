"""What the timed pairs of a trial say."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from kerf.kernels.referee.stats import Interval, across, median_interval, ratio

CONTENDED = 0.05  # of a sample spent waiting for a core


class Samples:
    """`seconds`: of each worker, one a pair; `process`: the number of the processes in which each pair was measured; `delays`: the
    share of the pair that a worker stood ready without a core."""

    def __init__(self, names: Sequence[str]) -> None:
        self.seconds: dict[str, list[float]] = {n: [] for n in names}
        self.delays: list[float] = []
        self.process: list[int] = []

    def add(self, seconds: Mapping[str, float], delay: float, process: int) -> None:
        for name, taken in self.seconds.items():
            taken.append(seconds[name])
        self.delays.append(delay)
        self.process.append(process)

    def remove(self, at: int) -> None:
        del self.process[at]
        for column in (self.delays, *self.seconds.values()):
            del column[at]

    def worst(self, process: int) -> int:
        """The pair of these processes that waited most."""
        mine = [i for i, p in enumerate(self.process) if p == process]
        return max(mine, key=self.delays.__getitem__)

    def speedup(self, over: str) -> Interval:
        """The candidate's, over a baseline. What varies between pairs shows in a bootstrap over pairs; which physical pages a process
        got stays with it for as long as it lives, and shows only between processes."""
        if len(set(self.process)) == 1:
            return ratio(self.seconds[over], self.seconds["candidate"])
        medians = zip(self._medians(over), self._medians("candidate"))
        return across([a / b for a, b in medians])

    def time(self) -> Interval:
        if len(set(self.process)) == 1:
            return median_interval(self.seconds["candidate"])
        return across(self._medians("candidate"))

    def _medians(self, name: str) -> list[float]:
        parts: dict[int, list[float]] = {}
        for process, taken in zip(self.process, self.seconds[name]):
            parts.setdefault(process, []).append(taken)
        return [statistics.median(p) for p in parts.values()]

    @property
    def contended(self) -> bool:
        return bool(self.delays) and statistics.median(self.delays) > CONTENDED
