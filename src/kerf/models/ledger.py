"""Ceilings that hold: what a call may cost at most is known before it is made, and a call that could cost more than is left is made
smaller or not at all."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from kerf.models import prices, wire
from kerf.models.prices import MILLION, Price
from kerf.models.protocol import Model, ModelError, Reply, Request, Usage, Watch, unwatched
from kerf.models.retry import Transient

LEAST_REPLY = 256  # tokens; a reply that may be no longer is not worth its input
ADDED = 1024  # tokens that a provider may add of its own: templates, instructions on how to call tools
MARGIN = 1.5  # how much denser in tokens than any text before it the next may be
WORTH_LEARNING = 2000  # bytes; shorter calls are mostly what the provider adds


class Exhausted(ModelError):
    """A ceiling is reached: nothing more will be asked. Not a failure: a run ends so, in budget."""


@dataclass(frozen=True)
class Ceiling:
    """None: no limit of that kind. `seconds` of the clock since the ledger was opened."""

    dollars: float | None = None
    tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Spent:
    dollars: float = 0.0
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    unpriced: int = 0  # calls of models whose price is not known

    @property
    def tokens(self) -> int:
        return self.usage.input_tokens + self.usage.output_tokens


@dataclass
class Hold:
    """What is set aside for one call. `max_tokens`, `timeout_s`: what the call may use."""

    max_tokens: int
    timeout_s: float
    tokens: int
    dollars: float


def _untold(usage: Usage, dollars: float | None) -> None:
    """For a ledger whose losses nobody keeps."""


@dataclass
class Ledger:
    """Accounts of one run, shared by its agents (safe for threads). `spent` may start with what a resumed run spent before. `lost` is told
    what an attempt cost that brought no reply, in tokens and, where the price is known, dollars: no reply will tell."""

    ceiling: Ceiling = Ceiling()
    spent: Spent = Spent()
    clock: Callable[[], float] = time.monotonic
    lost: Callable[[Usage, float | None], None] = _untold
    _held: list[Hold] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._opened, self._lock = self.clock(), threading.Lock()

    @property
    def seconds(self) -> float:
        return self.clock() - self._opened

    def __str__(self) -> str:
        used = self.spent.usage
        dollars = f"${self.spent.dollars:.4f}" + " and what has no known price" * bool(self.spent.unpriced)
        return f"{self.spent.calls} calls, {used.input_tokens:,} tokens in, {used.output_tokens:,} out, {dollars}"

    @contextmanager
    def hold(
        self, price: Price | None, input_tokens: int, max_tokens: int, timeout_s: float
    ) -> Iterator[Hold]:
        """Sets aside what a call of at most so many tokens may cost; while it lasts nobody else can spend that. Exhausted where not even a
        short reply fits under a ceiling."""
        with self._lock:
            held = self._reserve(price, input_tokens, max_tokens, timeout_s)
            self._held.append(held)
        try:
            yield held
        finally:
            with self._lock:
                self._held.remove(held)

    def charge(self, price: Price | None, usage: Usage) -> None:
        """Books what a call used."""
        with self._lock:
            before = self.spent
            self.spent = Spent(
                before.dollars + (price.cost(usage) if price else 0.0),
                before.usage + usage,
                before.calls + 1,
                before.unpriced + (price is None),
            )

    def lose(self, price: Price | None, usage: Usage) -> None:
        """Books an attempt that brought no reply, and tells of it where it cost anything."""
        self.charge(price, usage)
        if usage != Usage():
            self.lost(usage, price.cost(usage) if price else None)

    def _reserve(self, price: Price | None, sent: int, max_tokens: int, timeout_s: float) -> Hold:
        left_s = self._left(self.ceiling.seconds, self.seconds)
        left_tokens = self._left(self.ceiling.tokens, self.spent.tokens + sum(h.tokens for h in self._held))
        left_dollars = self._left(
            self.ceiling.dollars, self.spent.dollars + sum(h.dollars for h in self._held)
        )
        fits = min(max_tokens, left_tokens - sent, _affordable(price, sent, left_dollars))
        if left_s <= 0 or fits < min(LEAST_REPLY, max_tokens):
            raise Exhausted(self._reached(left_s, sent, price))
        most = math.floor(fits)
        dollars = price.cost(Usage(sent, most)) if price else 0.0
        return Hold(most, min(timeout_s, left_s), sent + most, dollars)

    @staticmethod
    def _left(limit: float | None, used: float) -> float:
        return math.inf if limit is None else limit - used

    def _reached(self, left_s: float, sent: int, price: Price | None) -> str:
        limits = {
            "$": self.ceiling.dollars,
            "tokens ": self.ceiling.tokens,
            "seconds ": self.ceiling.seconds,
        }
        said = ", ".join(f"{unit}{limit:g}" for unit, limit in limits.items() if limit is not None)
        dollars = f" and ${price.cost(Usage(sent, LEAST_REPLY)):.4f}" if price else ""
        why = f"another call may take up to {sent + LEAST_REPLY:,} tokens{dollars}"
        return (
            f"the ceiling ({said}) is reached after {self}: {'the time is used up' if left_s <= 0 else why}."
        )


def _affordable(price: Price | None, sent: int, dollars: float) -> float:
    """Output tokens that the dollars buy after the input is paid."""
    if price is None or dollars == math.inf:
        return math.inf
    rate = price.at(sent)
    left = dollars - rate.cost(Usage(sent))
    return math.inf if rate.output == 0 and left >= 0 else left / max(rate.output, 1e-12) * MILLION


@dataclass
class Metered:
    """A model whose every call passes a ledger, failed ones too. How many tokens a text makes is not known before: at first one a byte, which
    is the most that tokenizers make; later what was seen, with a margin of half, for as much text as was seen in one call, and one a byte
    for what goes beyond that."""

    model: Model
    ledger: Ledger
    price: Price | None
    densest: float = 1.0  # tokens a byte, of what was sent so far
    largest: int = 0  # bytes of it in one call

    def __post_init__(self) -> None:
        self.name = self.model.name
        if self.ledger.ceiling.dollars is not None and self.price is None:
            raise prices.unknown(self.name)

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        """As Model.reply, with `max_tokens` and `timeout_s` lowered to what is left. Raises Exhausted before a call that might pass a
        ceiling."""
        size = wire.size(request)
        heard: list[str] = []

        def hear(text: str) -> None:
            heard.append(text)
            watch(text)

        held = self.ledger.hold(self.price, self.most(size), request.max_tokens, request.timeout_s)
        with held as most, self._paid(size, heard):
            given = self.model.reply(
                replace(request, max_tokens=most.max_tokens, timeout_s=most.timeout_s), hear
            )
            self.ledger.charge(self.price, given.usage)
        if size >= WORTH_LEARNING:
            self._learn(size, given.usage.input_tokens / size)
        return given

    @contextmanager
    def _paid(self, size: int, heard: Sequence[str]) -> Iterator[None]:
        """Charges a call that ends with no reply."""
        try:
            yield
        except Transient as error:
            self.ledger.lose(self.price, error.usage)
            raise
        except ModelError:  # refused before anything was written: costs nothing
            raise
        except BaseException:  # whoever watches stops it: what was sent and heard is paid all the same
            self.ledger.lose(self.price, wire.estimated(size, "".join(heard)))
            raise

    def most(self, size: int) -> int:
        """Tokens that so many bytes may make."""
        seen = min(size, self.largest)
        return math.ceil(seen * min(1.0, MARGIN * self.densest)) + size - seen + ADDED

    def _learn(self, size: int, density: float) -> None:
        self.densest = max(self.densest, density) if self.largest else density
        self.largest = max(self.largest, size)
