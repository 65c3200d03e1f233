"""A language model in a kernel search: `--proposer agent`, or any search with `--model`; and what it spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kerf.archive import Archive
from kerf.core.records import Progress
from kerf.core.types import Candidate, KerfError, Proposer
from kerf.kernels.problem import KernelProblem
from kerf.kernels.workbench import KernelBench
from kerf.models import prices
from kerf.models.ledger import Ceiling, Ledger
from kerf.models.prices import Price
from kerf.models.protocol import Model
from kerf.models.registry import open_model
from kerf.proposers.agent.agents import AfterSearch, Agents
from kerf.proposers.agent.headless import CLIS, Headless, find
from kerf.proposers.agent.session import Session

if TYPE_CHECKING:
    from kerf.kernels.search import Request

ALONE = "agent"
JOINED = "+agent"


def open_agency(request: Request, problem: KernelProblem, archive: Archive) -> Agency | Hired | None:
    """Whoever writes candidates besides search; None where nobody is asked for. KerfError where agents are asked for and no model is
    named, where there is no key, or where a program is not installed."""
    if request.proposer in CLIS:
        return Hired.open(request, problem, archive)
    named = request.proposer == ALONE or request.proposer.endswith(JOINED)
    if named and not request.model:
        raise KerfError(
            f"--proposer {request.proposer} needs a language model: add --model anthropic/NAME, openai/NAME or local/PATH. "
            "Without one, --proposer portfolio searches without any model."
        )
    return Agency.open(request, problem, archive) if request.model else None


def _opened(name: str, ledger: Ledger, price: Price | None) -> Model:
    """A replay gives its replies in order: measurements, which are part of what is sent, are never the same twice."""
    if name.startswith("replay/"):
        return open_model(name, ledger=ledger, price=price, match="order")
    return open_model(name, ledger=ledger, price=price)


@dataclass
class Agency:
    """The agents of one run. `proposer` is made once; `watching` tells the session where the run stands."""

    session: Session
    bench: KernelBench
    request: Request

    @classmethod
    def open(cls, request: Request, problem: KernelProblem, archive: Archive) -> Agency:
        """KerfError without a key, or with a ceiling in dollars for a model whose price is neither known nor given."""
        ledger = Ledger(Ceiling(request.max_dollars, request.max_tokens))
        price = prices.given(request.price) if request.price else None
        model = _opened(request.model, ledger, price)
        bench = KernelBench(problem, request.threads, archive, request.model, request.trust)
        return cls(Session(model, ledger, price or prices.price_of(model.name), archive), bench, request)

    @property
    def search(self) -> str | None:
        """The search beside the agents: `portfolio` and `portfolio+agent` are the same once there is a model; None for agents alone."""
        name = self.request.proposer
        return None if name == ALONE else name.removesuffix(JOINED)

    def begin_again(self, run: str) -> None:
        """Take in what was said in `run`, before its rounds are asked again."""
        self.session.bind(run)

    def proposer(self, given: Sequence[Candidate], search: Proposer | None) -> Proposer:
        agents = Agents(self.bench, self.session, agents=self.request.agents, seed=self.request.seed)
        return AfterSearch(given, search, agents, self.request.proposer)

    def watching(self, watch: Callable[[Any], None]) -> Callable[[Progress], None]:
        """The loop's progress, with what was spent; the first of it says that the replay of recorded turns is over."""

        def told(progress: Progress) -> None:
            self.session.bind(progress.run)
            self.session.live = True
            if progress.budget.seconds is not None:
                self.session.until = time.monotonic() + progress.budget.seconds - progress.seconds
            watch(replace(progress, spending=self.session.spending))

        self.session.watch = watch
        return told

    def close(self) -> None:
        """Nothing of it outlives a call."""

    def facts(self) -> Mapping[str, Any]:
        """For the run's result."""
        spent = self.session.spending
        return {
            "name": self.request.model,
            "agents": self.request.agents,
            "turns": spent.turns,
            "tokens": spent.tokens,
            "dollars": spent.dollars,
            "stopped": self.session.stopped,
            "raise": self._reached(),
        }

    def _reached(self) -> list[str]:
        """The options whose new totals let the model go on; none where no ceiling stopped it."""
        limits = {"--max-dollars": self.request.max_dollars, "--max-tokens": self.request.max_tokens}
        return [flag for flag, limit in limits.items() if limit is not None and self.session.exhausted]


@dataclass
class Hired:
    """The user's own coding agent in the place of a model: see kerf.proposers.agent.headless."""

    cli: Headless
    search: str | None = None

    @classmethod
    def open(cls, request: Request, problem: KernelProblem, archive: Archive) -> Hired:
        find(request.proposer)
        bench = KernelBench(problem, request.threads, archive, request.proposer, request.trust)
        return cls(Headless(request.proposer, bench, archive, archive.folder / "runs"))

    def begin_again(self, run: str) -> None:
        self.cli.bind(run)

    def proposer(self, given: Sequence[Candidate], search: Proposer | None) -> Proposer:
        return AfterSearch(given, search, self.cli, self.cli.name)

    def watching(self, watch: Callable[[Any], None]) -> Callable[[Progress], None]:
        def told(progress: Progress) -> None:
            self.cli.bind(progress.run)
            self.cli.live = True
            if progress.budget.seconds is not None:
                self.cli.until = time.monotonic() + progress.budget.seconds - progress.seconds
            if progress.confirming:
                self.cli.close()
            watch(progress)

        self.cli.watch = watch
        return told

    def close(self) -> None:
        self.cli.close()

    def facts(self) -> Mapping[str, Any]:
        return {"name": self.cli.name, "workspace": str(self.cli.folder)}
