"""Candidates by name, and as lines: those of this run, and what the archive knows of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerf.archive import Archive
from kerf.core.types import Candidate, Evaluation, KerfError
from kerf.models.protocol import Tool
from kerf.proposers.agent.arguments import schema
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.board import Board, Told
from kerf.proposers.agent.fence import shortened

Measured = Callable[[Evaluation], str]
"""What a line says of an evaluation after its headline, such as ", 12 us"."""
NAMED: Mapping[str, Any] = {
    "type": "string",
    "description": 'A candidate\'s id (its first digits do), or "best".',
}


@dataclass(frozen=True)
class Lookup:
    """`problem`: the name under which other runs of the same problem are found."""

    archive: Archive
    problem: str
    measured: Measured = lambda evaluation: ""

    def one(self, name: str, board: Board) -> Candidate:
        """Of this run, or of any by its id. Mistake where there is none."""
        if found := board.find(name):
            return found.candidate
        try:
            return self.archive.candidate(name)
        except KerfError as error:
            known = ", ".join(board.name(t.candidate) for t in board.ranked(5)) or "none has passed yet"
            raise Mistake(f"no candidate {name!r}. The best: {known}.") from error

    def search(self, arguments: Mapping[str, Any], board: Board) -> str:
        """The tool `SEARCH`."""
        query = str(arguments.get("query") or "")
        rows = self.archive.leading(query or self.problem, 12 if query else 8)
        found = [
            f"{name}, run {run}\n{self.row(Told(c, e), c.id[:10])}"
            for name, run, c, e in rows
            if c.id not in board.told
        ]
        return "\n".join(found) or f"nothing about {query or self.problem!r} besides this run"

    def listing(self, told: Sequence[Told], board: Board, empty: str) -> str:
        return "\n".join(self.row(t, board.name(t.candidate)) for t in told) or empty

    def row(self, told: Told, name: str) -> str:
        """A candidate in one line."""
        candidate, evaluation = told.candidate, told.evaluation
        notes = candidate.notes
        said = notes.get("thought") or notes.get("tuned") or notes.get("point") or ""
        reason = f": {shortened(evaluation.reason, 160)}" if evaluation.reason else ""
        about = " ".join(str(said).split())[:140]
        line = f"- {name} by {candidate.proposer}: {evaluation.status} {evaluation.headline}{self.measured(evaluation)}{reason}"
        return line + (f" | {about}" if about else "")


SEARCH = Tool(
    "search_archive",
    "What earlier runs found for this problem, or for problems whose name holds `query`.",
    schema({"query": {"type": "string"}}),
)
