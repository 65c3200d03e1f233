"""How a run's time is shared among recipes, agents' proposals, and the best one's placement."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

from kerf.core.types import Candidate, Evaluation, Proposer
from kerf.placement.course import Clock

DEFAULT_S = {"hpwl": 300.0, "routability": 300.0, "proxy": 120.0}
"""Most that one recipe gets where no time was given."""
WRITE_S = 2.0
DEEPER_S = 3.0
DEEPEN = 0.5
"""The share of the time that is left for the best recipe's placement."""
ANOTHER = 1.15
"""Another recipe is begun where so many times what one took is left."""
SLICES = 8
"""Recipes among which the time is shared where each would use all of it."""


LOOK_S = 0.2
"""Between two looks at whether the user has asked to stop, while a model thinks."""


@dataclass
class Shares:
    """`minutes`: of the user's time, None for no end. `many`: more than one recipe is tried; `agents`: some of them are a model's
    proposals. `spent_s`: what earlier sittings took. `took`: seconds of each recipe that was measured."""

    target: str
    minutes: float | None
    stop: threading.Event
    many: bool = False
    agents: bool = False
    spent_s: float = 0.0
    took: Sequence[float] = ()
    began: float = field(default_factory=time.monotonic)

    @property
    def total_s(self) -> float | None:
        return self.minutes * 60 - WRITE_S if self.minutes else None

    @property
    def left(self) -> float:
        """Seconds of the user's time."""
        if self.total_s is None:
            return float("inf")
        return max(0.0, self.total_s - self.spent_s - (time.monotonic() - self.began))

    @property
    def trying(self) -> float:
        """Seconds that are left for further recipes: the others are for the best one's placement."""
        kept = 0.0 if self.target == "routability" else DEEPEN
        return self.left - kept * self.total_s if self.total_s is not None else float("inf")

    def clock(self) -> Clock:
        """For the next recipe."""
        fill = self.total_s is not None and self.target == "routability"
        return Clock(max(self._most_s(), DEEPER_S), self.stop, fill)

    def _most_s(self) -> float:
        """Recipes that end by themselves leave the rest to others; a search for the proxy cost, or for routability, does not. A proposal of
        an agent's leaves room for another."""
        if self.total_s is None:
            return DEFAULT_S[self.target]
        if self.many and self.target != "hpwl":
            return min(self.left, self.total_s / SLICES)
        return min(self.left, self.trying / 2) if self.agents and self.took else self.left

    def fits(self) -> bool:
        """Whether another recipe is worth beginning."""
        if not self.many or self.stop.is_set():
            return False
        if self.agents or self.total_s is None:
            return self.trying > DEEPER_S
        return not self.took or self.trying > ANOTHER * median(self.took)


class WhileTime:
    """A proposer that is asked as long as another recipe fits in the time, once at least. Recorded rounds of a run that is resumed are
    asked again whatever the time: `live` ends that. With agents a stop does not wait for the end of a thought: KeyboardInterrupt."""

    def __init__(self, inner: Proposer, shares: Shares) -> None:
        self._inner, self._shares, self.name = inner, shares, inner.name
        self._begun, self.live = False, False

    def ask(self, n: int) -> Sequence[Candidate]:
        if not n or (self.live and self._begun and not self._shares.fits()):
            return ()
        self._begun = True
        return self._thought(n) if self._shares.agents and self.live else self._inner.ask(n)

    def _thought(self, n: int) -> Sequence[Candidate]:
        found: queue.Queue[Sequence[Candidate] | BaseException] = queue.Queue()

        def think() -> None:
            try:
                found.put(self._inner.ask(n))
            except BaseException as error:  # raised again by the caller's thread
                found.put(error)

        threading.Thread(target=think, daemon=True).start()
        while True:
            with suppress(queue.Empty):
                answer = found.get(timeout=LOOK_S)
                if isinstance(answer, BaseException):
                    raise answer
                return answer
            if self._shares.stop.is_set():
                raise KeyboardInterrupt

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self._inner.tell(candidate, evaluation)
