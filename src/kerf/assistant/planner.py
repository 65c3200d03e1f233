"""A language model makes the plan instead of the grammar. It can only write steps down: they are checked by the verbs' own types, shown, and run
after the user's yes, like any plan.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from kerf.assistant.context import Context
from kerf.assistant.grammar import Ask, Understood
from kerf.assistant.plan import Later, Plan, Step, base, checked, plain
from kerf.assistant.questions import question
from kerf.assistant.workspace import listed
from kerf.core.types import KerfError
from kerf.core.verb import Verb
from kerf.models.protocol import Message, Model, Request, Role, Tool, ToolCall

ROUNDS = 6
STEPS = 8
KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


class ModelPlanner:
    """`scrub` takes secrets out of whatever the model says before anybody keeps or shows it."""

    def __init__(self, model: Model, scrub: Callable[[str], str] = lambda text: text) -> None:
        self.model = model
        self.scrub = scrub

    def understand(self, sentence: str, context: Context) -> Understood:
        """As `grammar.understand`. Questions to the archive are never the model's to answer. Raises ModelError."""
        asked = question(sentence)
        if asked:
            return asked
        messages = [Message(Role.USER, told(sentence, context))]
        steps: list[Step] = []
        said = ""
        for _ in range(ROUNDS):
            reply = self.model.reply(Request(messages, system(), tools(context.verbs), max_tokens=2048))
            said = self.scrub(reply.message.text)
            if not reply.message.calls:
                break
            messages.append(reply.message)
            messages += [self._written(call, steps, context.verbs) for call in reply.message.calls]
        if not steps:
            return Ask(f"{self.model.name} made no plan: {plain(said[:500]) or 'it said nothing'}")
        return Plan(tuple(steps), sentence, self.model.name)

    def _written(self, call: ToolCall, steps: list[Step], verbs: Mapping[str, Verb]) -> Message:
        """The answer to a call: it is a step now, or why it is none."""
        try:
            steps.append(_step(call, verbs, steps))
        except KerfError as error:
            return Message(Role.TOOL, f"not planned: {error}", call=call.id, failed=True)
        return Message(Role.TOOL, f"planned as step {len(steps)}; it has not run", call=call.id)


def _step(call: ToolCall, verbs: Mapping[str, Verb], steps: list[Step]) -> Step:
    if call.name not in verbs:
        raise KerfError(f"there is no verb {call.name!r}: {', '.join(verbs)}")
    if len(steps) >= STEPS:
        raise KerfError(f"a plan has at most {STEPS} steps")
    if call.arguments is None:
        raise KerfError("the arguments are no JSON object")
    arguments = {n: _later(v, steps) for n, v in call.arguments.items()}
    return Step(verbs[call.name], checked(verbs[call.name], arguments))


def _later(value: Any, steps: list[Step]) -> Any:
    m = re.fullmatch(r"@(\w+):(\d+)", value) if isinstance(value, str) else None
    if m is None:
        return value
    thing, number = m[1], int(m[2])
    if not 1 <= number <= len(steps) or thing not in steps[number - 1].verb.says.gives:
        raise KerfError(f"{value}: no earlier step gives that")
    return Later(thing, number)


def system() -> str:
    return (files("kerf.assistant") / "prompts" / "plan.md").read_text()


def told(sentence: str, context: Context, mark: str = "") -> str:
    """What the model hears: the sentence, and what there is, fenced as data by a mark that nobody can foresee."""
    mark = mark or secrets.token_hex(6)
    commands = [s.command() for t in context.turns[-3:] for s in t.plan.steps]
    things = {k: str(v) for k, v in context.things().items()}
    data = [f"files: {listed(context.workspace.files[:60])}", *(f"done: {c}" for c in commands)]
    data += [f"known: {json.dumps(things)}"] if things else []
    body = "\n".join(plain(line).replace(mark, "") for line in data)
    return f"<data {mark}>\n{body}\n</data {mark}>\n\nThe person says: {sentence}"


def tools(verbs: Mapping[str, Verb]) -> list[Tool]:
    """The verbs, each with the JSON Schema of its parameters."""
    return [Tool(name, verb.summary, schema(verb)) for name, verb in verbs.items()]


def schema(verb: Verb) -> dict[str, Any]:
    properties = {}
    for p in verb.parameters():
        kind, many = base(p.kind)
        one: dict[str, Any] = {"type": KINDS.get(kind, "string")}
        whole = {"type": "array", "items": one} if many else one
        properties[p.name] = {**whole, "description": p.option.help}
    needed = [p.name for p in verb.parameters() if p.required]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
