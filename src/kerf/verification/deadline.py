"""What is left of the time that a user gives, for steps that cannot be stopped halfway."""

from __future__ import annotations

import time

from kerf.core.types import KerfError


class OutOfTime(KerfError):
    """The time was up before there was anything to show. More time may help, unlike with other errors."""


def left(deadline: float, what: str) -> float:
    """Seconds until `deadline` (of `time.monotonic`); OutOfTime when `what` could not end before it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise OutOfTime(
            f"the time was up before {what} ended: give it longer (--minutes), or a smaller design"
        )
    return seconds
