"""One agent: a conversation with a model about one problem, which every now and then comes to a candidate.

The loop is the plain one of mini-SWE-agent (think, call a tool, read what it says), with one tool that is not free: `evaluate` ends
the turn with a candidate, and the referee's verdict, told by the loop, is its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kerf.core.records import Moment
from kerf.core.types import Candidate, Evaluation, content_hash
from kerf.models.protocol import Finish, Message, Reply, Role, Tool, ToolCall
from kerf.proposers.agent import wording
from kerf.proposers.agent.bench import Bench, Mistake
from kerf.proposers.agent.board import Board, Told
from kerf.proposers.agent.fence import fenced, shortened
from kerf.proposers.agent.history import History
from kerf.proposers.agent.session import Over, Session

TURNS_A_CANDIDATE = 12
"""After so many turns without one, the model is told to submit; after twice as many it is not asked again."""
STRIKES = 3
"""Turns in a row that ask for nothing, and the agent is done."""
FAILURES = 3
"""Candidates in a row without a new best, and it is asked to reflect."""
LONGEST_ANSWER = 24_000
SAME_CALLS = 2

NOTES = Tool(
    "notes",
    "Write down a finding that must not be forgotten (it outlives this conversation and the other agents read it). Without text: read all notes.",
    {"type": "object", "properties": {"text": {"type": "string"}}},
)


def prompt(name: str, **values: object) -> str:
    """Ours, from prompts/NAME.md."""
    return wording.prompt("kerf.proposers.agent", name, **values)


@dataclass
class Agent:
    """`propose` runs turns until there is a candidate; `told` answers it with a verdict. In between it waits."""

    number: int
    bench: Bench
    board: Board
    session: Session
    history: History = field(default_factory=History)
    turns: int = 0
    waiting: str = ""
    done: str = ""
    notes: list[str] = field(default_factory=list)
    _answers: list[Message] = field(default_factory=list)
    _open_call: ToolCall | None = None
    _tried: list[Told] = field(default_factory=list)
    _forms: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)
    _strikes: int = 0
    _fruitless: int = 0
    _failures: int = 0
    _best: float = float("-inf")
    _heard_of: str = ""

    @property
    def ready(self) -> bool:
        return not self.waiting and not self.done

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        return (
            Tool("evaluate", f"Submit a candidate: {self.bench.words.evaluate}. Costs one evaluation of the budget.", self.bench.submission),
            *self.bench.tools,
            NOTES,
        )  # fmt: skip

    @cached_property
    def system(self) -> str:
        return self.bench.system(self.number)

    # ------------------------------------------------------------ asking

    def propose(self) -> Candidate | None:
        """The next candidate, or None when there is none for now (or ever: `done` says why)."""
        if not self.history.messages:
            self._begin()
        while self.ready:
            try:
                candidate = self._turn()
            except Over:
                return None
            if candidate is not None:
                self.waiting, self._fruitless = candidate.id, 0
                return candidate
            self._count_fruitless()
        return None

    def _begin(self) -> None:
        self._heard_of = self.board.best.candidate.id if self.board.best else ""
        self._best = max(self._best, self.board.best.score if self.board.best else self._best)
        self.history.say(self.bench.opening(self.board))

    def _turn(self) -> Candidate | None:
        if not self.history.compact():
            self._start_over()
        session, sent = self.session, self.history
        reply = session.turn(self.number, self.turns, self.system, sent.messages, sent.new, self.tools)
        self.turns += 1
        self.history.said(reply.message)
        return self._calls(reply) if reply.message.calls else self._words(reply)

    def _start_over(self) -> None:
        """A fresh conversation that knows what the old one came to."""
        tried = "\n".join(
            f"- {self.board.name(t.candidate)}: {_outcome(t.evaluation)}" for t in self._tried[-30:]
        )
        notes = "\n".join(f"- {n}" for n in self.notes[-20:])
        pending = self.history.messages[-1].text if self.history.new else ""
        self.history = History(self.history.most_chars)
        self._begin()
        self.history.say(prompt("handover", tried=fenced(tried or "nothing"), notes=notes or "none"))
        if pending:
            self.history.say(shortened(pending, 8_000))

    def _count_fruitless(self) -> None:
        self._fruitless += 1
        if self._fruitless == TURNS_A_CANDIDATE:
            self.history.say(prompt("submit", turns=self._fruitless))
        if self._strikes >= STRIKES or self._fruitless >= 2 * TURNS_A_CANDIDATE:
            self.done = "it stopped proposing candidates"
            self._say(f"is done: {self.done}")

    # ------------------------------------------------------------ what it said

    def _words(self, reply: Reply) -> Candidate | None:
        """An answer without calls: source in a fenced block counts as a submission."""
        written = self.bench.written(reply.message.text) if reply.finish is Finish.DONE else None
        if written is None:
            self._strikes += 1
            kind = {Finish.REFUSED: "refused", Finish.LENGTH: "cut"}.get(reply.finish, "nudge")
            self.history.say(prompt(kind))
            return None
        self._strikes = 0
        try:
            return self._submitted(written, reply.message.text)
        except Mistake as mistake:
            self.history.say(str(mistake))
            return None

    def _calls(self, reply: Reply) -> Candidate | None:
        """Every call is answered, in order; all but the `evaluate` that becomes the candidate, which `told` answers."""
        self._strikes = 0
        known = self.session.answers(self.number, self.turns - 1)
        found: Candidate | None = None
        answers: list[Message] = []
        for call in reply.message.calls:
            try:
                if call.name == "evaluate" and found is None:
                    found = self._submitted(_arguments(call), reply.message.text)
                    self._open_call = call
                    continue
                text, failed = self._use(call, known), False
            except Mistake as mistake:
                text, failed = str(mistake), True
            answers.append(Message(Role.TOOL, shortened(text, LONGEST_ANSWER), call=call.id, failed=failed))
        self._answers = answers
        if found is None:
            self.history.answer(answers)
        return found

    def _use(self, call: ToolCall, known: Mapping[str, Message]) -> str:
        arguments = _arguments(call)
        if call.name == "evaluate":
            raise Mistake(
                "one candidate at a time: this one was not evaluated. Submit it again after the verdict."
            )
        if call.name not in {t.name for t in self.tools}:
            raise Mistake(f"there is no tool {call.name!r}. Tools: {', '.join(t.name for t in self.tools)}.")
        if call.name == "notes":
            return self._note(str(arguments.get("text") or ""))
        self._refuse_repeats(call)
        self._say(f"uses {call.name}")
        if call.id in known and not known[call.id].failed:
            return known[call.id].text
        return self.bench.use(call.name, arguments, self.board)

    def _refuse_repeats(self, call: ToolCall) -> None:
        mark = content_hash([call.name, call.arguments, len(self._tried)])
        self._asked[mark] = self._asked.get(mark, 0) + 1
        if self._asked[mark] > SAME_CALLS:
            raise Mistake(
                f"you have asked for this {self._asked[mark]} times and the answer is the same: it stands above. Do something else."
            )

    def _note(self, text: str) -> str:
        if text:
            self.notes.append(shortened(text, 1_000))
            return "noted"
        return "\n".join(f"- {n}" for n in [*self.board.notes, *self.notes]) or "no notes yet"

    def _submitted(self, arguments: Mapping[str, Any], thought: str) -> Candidate:
        candidate = self.bench.candidate(arguments, self.board)
        form = self.bench.form(candidate)
        if (known := self.board.told.get(candidate.id)) or (
            known := self.board.told.get(self._forms.get(form, ""))
        ):
            raise Mistake(
                f"not evaluated: but for {self.bench.words.same} this is candidate {self.board.name(known.candidate)}, whose verdict was:\n"
                f"{fenced(_outcome(known.evaluation))}\nChange something that matters."
            )
        self._forms[form] = candidate.id
        said = str(arguments.get("idea") or "") or thought
        notes = {
            **candidate.notes,
            "thought": shortened(said, 2_000),
            "agent": self.number,
            "turn": self.turns - 1,
        }
        self._say(
            f"submits a candidate: {said.strip().splitlines()[0][:80] if said.strip() else 'no reason given'}"
        )
        return replace(candidate, notes=notes)

    # ------------------------------------------------------------ being told

    def told(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """The verdict on the candidate that this agent waits for; with news and a call to reflect where they are due."""
        self.waiting = ""
        told = Told(candidate, evaluation)
        self._tried.append(told)
        self._failures = 0 if told.score > self._best else self._failures + 1
        self._best = max(self._best, told.score)
        text = self.bench.verdict(told, self.board)
        if self._failures >= FAILURES:
            text += "\n" + prompt("reflect", failures=self._failures)
            self._failures = 0
        self._answer(text + self._news())

    def _answer(self, text: str) -> None:
        call, self._open_call = self._open_call, None
        if call is None:
            self.history.say(text)
            return
        order = [c.id for c in self.history.messages[-1].calls]
        answers = [*self._answers, Message(Role.TOOL, text, call=call.id)]
        self.history.answer(sorted(answers, key=lambda m: order.index(m.call)))

    def _news(self) -> str:
        """Migration: the best of all, told once, where another found it."""
        best = self.board.best
        if best is None or best.candidate.id == self._heard_of or best.score < self.bench.margin * self._best:
            return ""
        self._heard_of = best.candidate.id
        passed = [t for t in self._tried if t.evaluation.score is not None]
        own = max(passed, key=lambda t: t.score).evaluation.headline if passed else "nothing passed yet"
        return "\n" + prompt(
            "news", id=self.board.name(best.candidate), score=best.evaluation.headline, own=own
        )

    def _say(self, text: str) -> None:
        """To a person's terminal, where a model's words must not steer the cursor."""
        text = "".join(c for c in text if c.isprintable())
        spent = self.session.spending
        money = "" if spent.dollars is None else f", ${spent.dollars:.2f}"
        self.session.watch(
            Moment(
                f"agent {self.number + 1}, turn {self.turns}: {text} ({spent.tokens / 1000:.0f}k tokens{money})"
            )
        )


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    if call.arguments is None:
        raise Mistake(f"the arguments of {call.name} are no JSON object; they began: {call.raw[:200]!r}")
    return call.arguments


def _outcome(evaluation: Evaluation) -> str:
    """In one line."""
    reason = f": {shortened(evaluation.reason, 200)}" if evaluation.reason else ""
    return (
        f"{evaluation.status} {evaluation.headline if evaluation.score is not None else ''}{reason}".strip()
    )
