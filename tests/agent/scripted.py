"""A model that says what a test wrote down, and a toy bench whose candidates are numbers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kerf.core.types import Candidate, Evaluation, Space, Status
from kerf.models.protocol import (
    Finish,
    Message,
    Reply,
    Request,
    Role,
    Tool,
    ToolCall,
    Usage,
    Watch,
    unwatched,
)
from kerf.proposers.agent.bench import Mistake, Words
from kerf.proposers.agent.board import Board, Told

Line = Message | Callable[[Sequence[Message]], Message] | Exception


def call(name: str, id: str = "", **arguments: Any) -> Message:
    """An answer that asks for one tool."""
    return Message(Role.ASSISTANT, "", (ToolCall(id or f"{name}-1", name, arguments),))


def says(text: str) -> Message:
    return Message(Role.ASSISTANT, text)


class Scripted:
    """Answers with the lines in order, then with the last one for ever. `sent` is what it was sent each time."""

    name = "scripted/test"

    def __init__(self, lines: Iterable[Line], finish: Finish | None = None) -> None:
        self.lines, self.finish = list(lines), finish
        self.sent: list[list[Message]] = []
        self.systems: list[str] = []
        self._lock = threading.Lock()

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        with self._lock:
            line = self.lines[min(len(self.sent), len(self.lines) - 1)]
            self.sent.append(list(request.messages))
            self.systems.append(request.system)
        if isinstance(line, Exception):
            raise line
        said = line if isinstance(line, Message) else line(request.messages)
        finish = self.finish or (Finish.TOOLS if said.calls else Finish.DONE)
        return Reply(said, Usage(100, 10), finish, 0.0)


class NumberSpace:
    """Around a number: what is added to it."""

    signature: Mapping[str, Any] = {"kind": "number", "vector": []}

    def __init__(self, origin: Candidate) -> None:
        self.origin = origin

    def default(self) -> dict[str, Any]:
        return {"add": 0}

    def sample(self, rng: Any) -> dict[str, Any]:
        return {"add": rng.choice(range(4))}

    def mutate(self, point: Mapping[str, Any], rng: Any) -> dict[str, Any]:
        return self.sample(rng)

    def cross(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: Any) -> Mapping[str, Any]:
        return a

    def adapt(self, point: Mapping[str, Any]) -> Mapping[str, Any]:
        return point

    def features(self, point: Mapping[str, Any]) -> list[float]:
        return [float(point["add"])]

    def candidate(self, point: Mapping[str, Any], *, parent: str | None, proposer: str) -> Candidate:
        value = float(self.origin.files["number"].partition("#")[0]) + 0.001 * point["add"]
        return Candidate({"number": f"{value:g}"}, parent, proposer, {"point": dict(point)})


class NumberBench:
    """A candidate is a number, its score the same. "tune" in its text leaves something open."""

    tools = (Tool("look", "Looks.", {"type": "object"}),)
    margin = 1.02
    words = Words("weighed", "comments, spacing and names", "a number in number.c")
    submission: Mapping[str, Any] = {"type": "object", "properties": {"number": {"type": "string"}}}

    def __init__(self) -> None:
        self.looked = 0

    def system(self, agent: int) -> str:
        return f"You are agent {agent}."

    def opening(self, board: Board) -> str:
        return f"Find a large number. Best: {board.best.score if board.best else 'none'}."

    def use(self, name: str, arguments: Mapping[str, Any], board: Board) -> str:
        self.looked += 1
        return f"look number {self.looked}"

    def candidate(self, arguments: Mapping[str, Any], board: Board) -> Candidate:
        if "number" not in arguments:
            raise Mistake("`number` is missing")
        return Candidate({"number": str(arguments["number"])}, proposer="agent")

    def written(self, text: str) -> Mapping[str, Any] | None:
        return json.loads(text) if text.startswith("{") else None

    def verdict(self, told: Told, board: Board) -> str:
        return f"verdict on {told.candidate.files['number']}: {told.evaluation.status}"

    def form(self, candidate: Candidate) -> str:
        return candidate.files["number"].partition("#")[0].strip()

    def variants(self, candidate: Candidate) -> Space | None:
        return NumberSpace(candidate) if "tune" in candidate.files["number"] else None


def judged(candidate: Candidate) -> Evaluation:
    value = float(candidate.files["number"].partition("#")[0])
    return Evaluation(Status.PASSED, score=value) if value >= 0 else Evaluation(Status.WRONG, "negative")
