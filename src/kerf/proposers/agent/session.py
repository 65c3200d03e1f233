"""What the agents of one run share besides candidates: the model, with the ledger that pays it, and the record of every turn."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from kerf.core.records import Moment, Spending
from kerf.core.types import KerfError
from kerf.models.keys import scrub
from kerf.models.ledger import Exhausted, Ledger
from kerf.models.prices import Price
from kerf.models.protocol import Message, Model, ModelError, Reply, Request, Tool, Usage
from kerf.models.transcript import message_json, message_of, reply_json, reply_of

LONGEST_TURN_S, LONGEST_REPLY = 300.0, 16_384
STRIKES = 2
"""So many calls of the model in a row may fail, retries and all, before nobody asks it again."""


LOST = "lost"
"""Kind of the events that tell what an attempt cost that brought no reply."""


class Turns(Protocol):
    """Where turns are kept, and what else a model cost: `kerf.archive.Archive`."""

    def turns(self, run: str) -> Sequence[tuple[int, int, Mapping[str, Any]]]: ...
    def record_turn(self, run: str, agent: int, turn: int, body: Mapping[str, Any]) -> None: ...
    def events(self, run: str) -> Sequence[tuple[float, str, Mapping[str, Any]]]: ...
    def event(self, run: str, kind: str, body: Mapping[str, Any]) -> None: ...


class Over(Exception):
    """No more turns for now: the money, the tokens or the time are spent, or the model does not answer."""


@dataclass
class Session:
    """`model` passes `ledger`; `price` is what it charges there. Until `live`, only recorded turns are played: that is how a resumed run comes to where it stood without paying again. A
    recorded turn is played in the round (the number of the `ask`) it was made in, so that all comes in the same order."""

    model: Model
    ledger: Ledger
    price: Price | None
    kept: Turns
    run: str = ""
    live: bool = False
    round: int = 0
    watch: Callable[[Moment], None] = lambda moment: None
    until: float = float("inf")
    stopped: str = ""
    exhausted: bool = False
    """A ceiling is reached."""
    spending: Spending = field(default_factory=Spending)
    _known: dict[tuple[int, int], Mapping[str, Any]] = field(default_factory=dict)
    _strikes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.ledger.lost = self._lost

    def bind(self, run: str) -> None:
        """Say which run this is, and take in its recorded turns, and what attempts cost that brought none."""
        if run != self.run:
            self.run = run
            self._known = {(agent, turn): body for agent, turn, body in self.kept.turns(run)}
            for _, kind, body in self.kept.events(run):
                if kind == LOST:
                    usage = Usage(**body["usage"])
                    self.ledger.charge(self.price, usage)
                    self._add(usage, body["dollars"], turns=0)

    def _lost(self, usage: Usage, dollars: float | None) -> None:
        self.kept.event(self.run, LOST, {"usage": asdict(usage), "dollars": dollars})
        self._add(usage, dollars, turns=0)

    def turn(
        self,
        agent: int,
        number: int,
        system: str,
        messages: Sequence[Message],
        new: int,
        tools: Sequence[Tool],
    ) -> Reply:
        """The model's answer to `messages`, of which the last `new` have not been sent before; recorded as soon as it is here.
        Raises Over."""
        if known := self._known.get((agent, number)):
            return self._played(known)
        if not self.live:
            raise Over
        reply = self._asked(system, messages, tools)
        dollars = self.price.cost(reply.usage) if self.price else None
        heard = [message_json(m) for m in messages[len(messages) - new :]]
        body = {"round": self.round, "dollars": dollars, "heard": heard, **reply_json(reply)}
        if number == 0:
            body["system"] = system
        self.kept.record_turn(self.run, agent, number, json.loads(scrub(json.dumps(body))))
        self._add(reply.usage, dollars)
        return reply

    def answers(self, agent: int, number: int) -> dict[str, Message]:
        """What was said after turn `number` to its calls, where that is on record: tools are not run twice."""
        heard = self._known.get((agent, number + 1), {}).get("heard", ())
        said = [message_of(m) for m in heard]
        return {m.call: m for m in said if m.call}

    def _played(self, known: Mapping[str, Any]) -> Reply:
        if known["round"] > self.round:
            raise Over
        reply = reply_of(known)
        self.ledger.charge(self.price, reply.usage)
        self._add(reply.usage, known["dollars"])
        return reply

    def _asked(self, system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        left_s = self.until - time.monotonic()
        if left_s <= 0 or self._strikes >= STRIKES:
            raise Over
        try:
            reply = self.model.reply(
                Request(messages, system, tools, LONGEST_REPLY, min(LONGEST_TURN_S, left_s))
            )
        except Exhausted as end:
            self.stopped, self.exhausted = str(end), True
            raise Over from end
        except ModelError as error:
            if time.monotonic() < self.until:  # else it was cut short by us: the time is over, in budget
                self._failed(error)
            raise Over from error
        self._strikes = 0
        return reply

    def _failed(self, error: KerfError) -> None:
        """A model that never answered is the user's to know of at once; one that did may fail while search goes on."""
        if not self.spending.turns:
            raise error
        self._strikes += 1
        self.stopped = str(error)
        self.watch(Moment(f"the model does not answer: {error}", passing=False))

    def _add(self, used: Usage, dollars: float | None, turns: int = 1) -> None:
        with self._lock:
            spent = self.spending
            total = None if dollars is None or spent.dollars is None else spent.dollars + dollars
            tokens = spent.tokens + used.input_tokens + used.output_tokens
            self.spending = Spending(spent.turns + turns, tokens, total)
