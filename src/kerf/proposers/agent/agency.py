"""A language model, or a coding agent's program, in a search: from what a run was asked to its proposer; and what was spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kerf.archive import Archive
from kerf.core.records import Progress
from kerf.core.types import Candidate, KerfError, Proposer
from kerf.models import prices
from kerf.models.ledger import Ceiling, Ledger
from kerf.models.prices import Price
from kerf.models.protocol import Model
from kerf.models.registry import open_model
from kerf.proposers.agent.agents import HEAD, AfterSearch, Agents
from kerf.proposers.agent.bench import Bench
from kerf.proposers.agent.headless import CLIS, Headless, find
from kerf.proposers.agent.session import Session

ALONE = "agent"
JOINED = "+agent"


class Asked(Protocol):
    """What a run's request says of agents. `model`: a language model's name, "" for none; its ceilings hold over all sittings of a run.
    `price`: as options give it, "" for the known one."""

    @property
    def proposer(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def model(self) -> str: ...
    @property
    def agents(self) -> int: ...
    @property
    def max_dollars(self) -> float | None: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def price(self) -> str: ...


Benches = Callable[[str], Bench]
"""The domain's bench for the author of this name: a model's, or a program's."""
Left = Callable[[Progress], float | None]
"""Seconds that agents still have, None for no end."""


def open_agency(asked: Asked, bench: Benches, archive: Archive) -> Agency | Hired | None:
    """Whoever writes candidates besides search; None where nobody is asked for. KerfError where agents are asked for and no model is
    named, where there is no key, or where a program is not installed."""
    if asked.proposer in CLIS:
        find(asked.proposer)
        return Hired(Headless(asked.proposer, bench(asked.proposer), archive, archive.folder / "runs"))
    named = asked.proposer == ALONE or asked.proposer.endswith(JOINED)
    if named and not asked.model:
        raise KerfError(
            f"--proposer {asked.proposer} needs a language model: add --model anthropic/NAME, openai/NAME or local/PATH. "
            "Without one, --proposer portfolio searches without any model."
        )
    return Agency.open(asked, bench(asked.model), archive) if asked.model else None


def _opened(name: str, ledger: Ledger, price: Price | None) -> Model:
    """A replay gives its replies in order: measurements, which are part of what is sent, are never the same twice."""
    if name.startswith("replay/"):
        return open_model(name, ledger=ledger, price=price, match="order")
    return open_model(name, ledger=ledger, price=price)


def budgeted(progress: Progress) -> float | None:
    """What the loop's budget leaves."""
    limit = progress.budget.seconds
    return None if limit is None else limit - progress.seconds


@dataclass
class Agency:
    """The agents of one run. `proposer` is made once; `watching` tells the session where the run stands."""

    session: Session
    bench: Bench
    asked: Asked

    @classmethod
    def open(cls, asked: Asked, bench: Bench, archive: Archive) -> Agency:
        """KerfError without a key, or with a ceiling in dollars for a model whose price is neither known nor given."""
        ledger = Ledger(Ceiling(asked.max_dollars, asked.max_tokens))
        price = prices.given(asked.price) if asked.price else None
        model = _opened(asked.model, ledger, price)
        return cls(Session(model, ledger, price or prices.price_of(model.name), archive), bench, asked)

    @property
    def search(self) -> str | None:
        """The search beside the agents: `portfolio` and `portfolio+agent` are the same once there is a model; None for agents alone."""
        name = self.asked.proposer
        return None if name == ALONE else name.removesuffix(JOINED)

    def begin_again(self, run: str) -> None:
        """Take in what was said in `run`, before its rounds are asked again."""
        self.session.bind(run)

    def proposer(self, given: Sequence[Candidate], search: Proposer | None, head: int = HEAD) -> Proposer:
        agents = Agents(self.bench, self.session, agents=self.asked.agents, seed=self.asked.seed)
        return AfterSearch(given, search, agents, self.asked.proposer, head)

    def watching(self, watch: Callable[[Any], None], left: Left = budgeted) -> Callable[[Progress], None]:
        """The loop's progress, with what was spent; the first of it says that the replay of recorded turns is over."""

        def told(progress: Progress) -> None:
            self.session.bind(progress.run)
            self.session.live = True
            if (seconds := left(progress)) is not None:
                self.session.until = time.monotonic() + seconds
            watch(replace(progress, spending=self.session.spending))

        self.session.watch = watch
        return told

    def close(self) -> None:
        """Nothing of it outlives a call."""

    def facts(self) -> Mapping[str, Any]:
        """For the run's result."""
        spent = self.session.spending
        return {
            "name": self.asked.model,
            "agents": self.asked.agents,
            "turns": spent.turns,
            "tokens": spent.tokens,
            "dollars": spent.dollars,
            "stopped": self.session.stopped,
            "raise": self._reached(),
        }

    def _reached(self) -> list[str]:
        """The options whose new totals let the model go on; none where no ceiling stopped it."""
        limits = {"--max-dollars": self.asked.max_dollars, "--max-tokens": self.asked.max_tokens}
        return [flag for flag, limit in limits.items() if limit is not None and self.session.exhausted]


@dataclass
class Hired:
    """The user's own coding agent in the place of a model: see `headless`."""

    cli: Headless
    search: str | None = None

    def begin_again(self, run: str) -> None:
        self.cli.bind(run)

    def proposer(self, given: Sequence[Candidate], search: Proposer | None, head: int = HEAD) -> Proposer:
        return AfterSearch(given, search, self.cli, self.cli.name, head)

    def watching(self, watch: Callable[[Any], None], left: Left = budgeted) -> Callable[[Progress], None]:
        def told(progress: Progress) -> None:
            self.cli.bind(progress.run)
            self.cli.live = True
            if (seconds := left(progress)) is not None:
                self.cli.until = time.monotonic() + seconds
            if progress.confirming:
                self.cli.close()
            watch(progress)

        self.cli.watch = watch
        return told

    def close(self) -> None:
        self.cli.close()

    def facts(self) -> Mapping[str, Any]:
        return {"name": self.cli.name, "workspace": str(self.cli.folder)}
