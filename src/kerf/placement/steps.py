"""How a stage of placement reports and when it stops: the same for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kerf.placement.design import Placement


@dataclass(frozen=True)
class Step:
    """`phase`: "global", "macros", "legalize", "detailed", "proxy". `done` of `total` (0 where unknown) iterations. hpwl in the
    design's unit; overflow a share of the movable area; cost the proxy. `placement` where it costs nothing to give; `legal` says
    whether it is known to be legal."""

    phase: str
    done: int
    total: int = 0
    hpwl: float | None = None
    overflow: float | None = None
    cost: float | None = None
    placement: Placement | None = None
    legal: bool = False


Watch = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """The watcher of stages that nobody watches."""


@dataclass(frozen=True)
class Deadline:
    """A stage returns its best soon after `passed`. Wall-clock seconds from now; None is never."""

    seconds: float | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return float("inf") if self.seconds is None else self.seconds - (time.monotonic() - self.began)

    @property
    def passed(self) -> bool:
        return self.left <= 0
