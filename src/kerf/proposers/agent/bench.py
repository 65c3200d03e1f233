"""What an agent needs of a domain. The agent knows none: it holds conversations, a bench holds the tools of one problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kerf.core.types import Candidate, Space
from kerf.models.protocol import Tool
from kerf.proposers.agent.board import Board, Told


class Mistake(Exception):
    """What the model did wrong, in words that help it: the failed answer of a tool. Never ends a run."""


@dataclass(frozen=True)
class Words:
    """How the domain says what every agent is told. `evaluate`: what the tool of that name does with a candidate; `same`: in what candidates of one
    form may still differ; `handed_in`: what a folder of a candidate holds, for agents that write files."""

    evaluate: str
    same: str
    handed_in: str


class Bench(Protocol):
    """One problem on its workbench. Nothing here pays for an evaluation: those go through the loop."""

    @property
    def words(self) -> Words: ...

    @property
    def margin(self) -> float:
        """So many times an agent's own best must another's score be for it to hear of that: more than what two measurements differ by."""

    @property
    def tools(self) -> Sequence[Tool]:
        """The domain's own tools, all of them free."""

    @property
    def submission(self) -> Mapping[str, Any]:
        """JSON Schema of what the agent's own tool `evaluate` takes."""

    def system(self, agent: int) -> str:
        """The system prompt of the agent with this number: agents differ in their briefs."""

    def opening(self, board: Board) -> str:
        """The first message: the problem, the machine, its bounds, the best so far and what failed."""

    def use(self, name: str, arguments: Mapping[str, Any], board: Board) -> str:
        """Answer one of `tools`. Raises Mistake."""

    def candidate(self, arguments: Mapping[str, Any], board: Board) -> Candidate:
        """What `evaluate` was called with. Raises Mistake where that is no candidate."""

    def written(self, text: str) -> Mapping[str, Any] | None:
        """The arguments of `evaluate` that an answer without a call amounts to (source in a fenced block); None for prose."""

    def verdict(self, told: Told, board: Board) -> str:
        """What the model is told of an evaluation: measured numbers only."""

    def form(self, candidate: Candidate) -> str:
        """The same for candidates that differ only in what cannot matter (`words.same`)."""

    def variants(self, candidate: Candidate) -> Space | None:
        """What the candidate leaves open for search to choose; None where that is nothing."""
