"""What a terminal is told while a placement is made: the phase, HPWL, overflow, the proxy cost, the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kerf.core.records import Moment, Progress
from kerf.placement.design import Design
from kerf.placement.steps import Step

Tell = Callable[[Any], None]


class Telling:
    """Turns steps into lines: one that is rewritten while a phase lasts, and one that stays when it ends. `limit_s`: seconds until
    the work ends at the latest, where that is known."""

    def __init__(self, tell: Tell, limit_s: float | None) -> None:
        self.tell, self.limit_s = tell, limit_s
        self.per, self.began = 1.0, time.monotonic()
        self._phase, self._last, self._phase_s = "", "", self.began

    def of(self, design: Design, limit_s: float | None) -> None:
        """Lengths in the unit that people see, and the time where none was given."""
        self.per = design.per_um or 1.0
        self.limit_s = self.limit_s or limit_s

    def __call__(self, moment: Step | Progress | Moment) -> None:
        if isinstance(moment, Progress | Moment):
            self.end()
            self.tell(moment)
            return
        if moment.phase != self._phase:
            self.end()
            self._phase, self._phase_s = moment.phase, time.monotonic()
        self._last = _said(moment, self.per)
        self.tell(Moment(f"{self._last} | {self._time()}"))

    def end(self) -> None:
        """The last line of a phase stays."""
        if self._phase:
            self.tell(
                Moment(f"{self._last} | took {_clock(time.monotonic() - self._phase_s)}", passing=False)
            )
        self._phase = ""

    def _time(self) -> str:
        spent = time.monotonic() - self.began
        if self.limit_s is None:
            return _clock(spent)
        return f"{_clock(spent)}, {_clock(max(0.0, self.limit_s - spent))} left"


def _said(step: Step, per: float) -> str:
    done = f"{step.done:,}" + (f"/{step.total:,}" if step.total else "")
    said = [f"{step.phase:<9} {done:>11}"]
    said += [f"HPWL {step.hpwl / per:,.0f}"] if step.hpwl is not None else []
    said += [f"overflow {step.overflow:.3f}"] if step.overflow is not None else []
    said += [f"proxy cost {step.cost:.4f}"] if step.cost is not None else []
    return " | ".join(said)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
