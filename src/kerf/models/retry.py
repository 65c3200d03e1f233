"""Asking again: a provider that is busy, a connection that broke.

Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); a server's retry-after is
honoured where it is longer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kerf.models.protocol import Model, ModelError, Reply, Request, Usage, Watch, unwatched


class Transient(ModelError):
    """A failure that may pass: 408, 409, 429, 5xx, a timeout, a broken connection. `usage`: what the attempt had cost by then."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0, usage: Usage = Usage()) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.usage = usage


@dataclass(frozen=True)
class Patience:
    """How often, and how long between: before attempt n + 1, up to `base_s` * 2**(n - 1) seconds and never more than `longest_s`."""

    attempts: int = 6
    base_s: float = 1.0
    longest_s: float = 60.0

    def pause_s(self, failures: int, asked_s: float, rng: random.Random) -> float:
        most = min(self.longest_s, self.base_s * 2 ** (failures - 1))
        return max(asked_s, rng.uniform(0, most))


@dataclass
class Retrying:
    """A model that asks `model` again after what may pass. `timeout_s` of a request bounds all attempts and pauses together. The usage of a
    reply is its own: what attempts before it cost, a ledger knows."""

    model: Model
    patience: Patience = Patience()
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.name = self.model.name

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        """As Model.reply. Where an attempt broke off, `watch` gets a line that says so, and the next attempt's text."""
        start, failures = time.monotonic(), 0
        heard = _Heard(watch)
        while True:
            left = request.timeout_s - (time.monotonic() - start)
            try:
                given = self.model.reply(replace(request, timeout_s=left), heard)
            except Transient as error:
                failures += 1
                self._wait(error, failures, start, request.timeout_s)
                heard.note(f"\n[{error}; asking again]\n")
                continue
            return replace(given, seconds=time.monotonic() - start)

    def _wait(self, error: Transient, failures: int, start: float, timeout_s: float) -> None:
        """Sleeps before the next attempt; ModelError where there will be none."""
        pause = self.patience.pause_s(failures, error.retry_after_s, self.rng)
        spent = time.monotonic() - start
        if failures >= self.patience.attempts:
            tried = f"{failures} attempts in {spent:.0f} s failed"
        elif spent + pause >= timeout_s:
            tried = f"{failures} attempts failed, and the next would be after the limit of {timeout_s:.0f} s"
        else:
            return self.sleep(pause)
        raise ModelError(
            f"{self.name} does not answer: {tried}. The last: {error}. Try again later, or use another model."
        ) from None


@dataclass
class _Heard:
    watch: Watch
    anything: bool = False

    def __call__(self, text: str) -> None:
        self.anything = self.anything or bool(text)
        self.watch(text)

    def note(self, text: str) -> None:
        if self.anything:
            self.watch(text)
