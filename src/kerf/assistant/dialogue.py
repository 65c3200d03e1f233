"""A conversation: a sentence is understood, its plan shown, agreed to and run, and what came of it said and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kerf.archive import Archive
from kerf.archive.conversations import Conversations
from kerf.assistant import grammar
from kerf.assistant.context import Context, Turn
from kerf.assistant.grammar import Ask, Understood, help_text
from kerf.assistant.plan import Done, Later, Plan, Step, filled, given, plain
from kerf.assistant.questions import Question, answer
from kerf.core.types import KerfError
from kerf.core.verb import Verb

Understand = Callable[[str, Context], Understood]


@dataclass(frozen=True)
class Heard:
    """What became of a sentence. `status`: done, failed (a step did not end well), planned (nobody said yes), refused (the user said no),
    asked (back), answered. `results`: the verbs' own, of the steps that ran."""

    status: str
    text: str
    plan: Plan | None = None
    results: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Dialogue:
    """`agree(plan)`: True, False, or None where nobody can be asked. `show` gets text for people as it comes, `watch` progress."""

    context: Context
    archive: Archive
    agree: Callable[[Plan], bool | None]
    show: Callable[[str], None]
    watch: Callable[[Any], None]
    understand: Understand = grammar.understand
    conversation: str = ""
    results: list[Mapping[str, Any]] = field(default_factory=list)

    def hear(self, sentence: str) -> Heard:
        """Raises KerfError only where the archive or a model fails; what the verbs could not do is said."""
        found = self.understand(sentence, self.context)
        self.context.pending = found.pending if isinstance(found, Ask) else None
        if isinstance(found, Plan):
            heard = self._plan(found)
        elif isinstance(found, Question):
            heard = Heard("answered", self._answer(found))
        else:
            heard = Heard("asked", found.text)
        self._keep(sentence, found, heard)
        return heard

    def _plan(self, plan: Plan) -> Heard:
        self.show(plan.text())
        agreed = True if plan.reads_only else self.agree(plan)
        if not agreed:
            why = "not run: nobody said yes" if agreed is None else "not run"
            return Heard("planned" if agreed is None else "refused", why, plan)
        turn = Turn(plan)
        self.context.turns.append(turn)
        return self._run(turn)

    def _run(self, turn: Turn) -> Heard:
        self.results = []
        for number, step in enumerate(turn.plan.steps, 1):
            try:
                result = self._step(step, turn)
            except KerfError as error:
                return Heard("failed", f"step {number}, kerf {step.verb.name}: {error}", turn.plan, tuple(self.results))  # fmt: skip
            self.results.append(result)
            turn.done.append(Done(step, given(step.verb, result)))
            self.show(said(step, result))
            if step.verb.failed(result) and number < len(turn.plan.steps):
                return Heard("failed", f"step {number} did not end well: the rest was not run", turn.plan, tuple(self.results))  # fmt: skip
        bad = bool(self.results) and turn.plan.steps[-1].verb.failed(self.results[-1])
        return Heard("failed" if bad else "done", "", turn.plan, tuple(self.results))

    def _step(self, step: Step, turn: Turn) -> Mapping[str, Any]:
        arguments = filled(step, [d.things for d in turn.done])
        if step.verb.watched:
            arguments["watch"] = self.watch
        return step.verb.call(**arguments)

    def _answer(self, asked: Question) -> str:
        if asked.name == "undo":
            return self._undo()
        if asked.name == "help":
            return help_text(self.context.verbs)
        goals = [s.goal for t in self.context.turns for s in t.plan.steps if s.goal]
        return answer(asked, self.archive, self.context.ran(), goals[-1] if goals else None)

    def _undo(self) -> str:
        """The last plan is forgotten, so that what is said next changes the one before. What was measured stays."""
        gone = self.context.undo()
        if gone is None:
            return "there is nothing to undo in this conversation"
        now = (
            f"the plan is again: {_commands(self.context.turns[-1])}"
            if self.context.turns
            else "there is no plan now"
        )
        return f"undone: {_commands(gone)}\n{now}\nwhat was measured stays in the archive, and files that were written stay as they are: 'again' writes them anew"

    # What is kept

    def _keep(self, sentence: str, found: Understood, heard: Heard) -> None:
        store = Conversations(self.archive.db)
        self.conversation = self.conversation or store.begin(sentence)
        body: dict[str, Any] = {"said": sentence, "status": heard.status, "text": heard.text}
        if heard.plan and heard.status in ("done", "failed"):
            body["steps"] = [_kept(s) for s in heard.plan.steps]
            body["things"] = [dict(d.things) for d in self.context.turns[-1].done]
        if isinstance(found, Question) and found.name == "undo":
            body["undo"] = True
        store.add(self.conversation, body)

    def recall(self, conversation: str) -> list[Mapping[str, Any]]:
        """Take up a conversation again; what was said in it. Raises KerfError where there is none."""
        store = Conversations(self.archive.db)
        self.conversation = store.find(conversation).id
        bodies = store.read(self.conversation)
        for body in bodies:
            if body.get("undo"):
                self.context.undo()
            steps = [_recalled(s, self.context.verbs) for s in body.get("steps", ())]
            if steps and all(steps):
                turn = Turn(Plan(tuple(s for s in steps if s), body["said"]))
                turn.done = [Done(s, things) for s, things in zip(turn.plan.steps, body["things"])]
                self.context.turns.append(turn)
        return list(bodies)


def _commands(turn: Turn) -> str:
    return "; ".join(f"kerf {plain(s.command())}" for s in turn.plan.steps)


def said(step: Step, result: Mapping[str, Any]) -> str:
    """A result as its verb tells it, where its numbers were measured, and whether the goal was reached."""
    lines = [step.verb.render(result)]
    if step.goal and step.verb.says.gain:
        gain = step.verb.says.gain(result)
        reached = "not reached: no candidate passed" if gain is None else f"{'reached' if gain[0] >= step.goal else 'not reached'}: {gain[1]}"  # fmt: skip
        lines.append(f"goal         {step.goal:g}x {reached}")
    if result.get("run"):
        lines.append(f"source       run {result['run']}, measured here")
    return "\n".join(lines)


def _kept(step: Step) -> dict[str, Any]:
    arguments = {n: {"later": [v.thing, v.step]} if isinstance(v, Later) else v for n, v in step.arguments.items()}  # fmt: skip
    return {"verb": step.verb.name, "arguments": arguments, "goal": step.goal}


def _recalled(kept: Mapping[str, Any], verbs: Mapping[str, Verb]) -> Step | None:
    verb = verbs.get(kept["verb"])
    if verb is None:  # of a domain that is no longer installed
        return None
    arguments = {n: Later(*v["later"]) if isinstance(v, dict) else v for n, v in kept["arguments"].items()}
    return Step(verb, arguments, (), kept.get("goal"))
