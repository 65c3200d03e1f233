"""What a conversation knows: what was planned and run, and which things that gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.assistant.clause import Filling
from kerf.assistant.declared import option_words, parameters, places
from kerf.assistant.plan import Done, Later, Plan
from kerf.assistant.words import FILLERS
from kerf.assistant.workspace import Workspace
from kerf.core.speech import Said
from kerf.core.verb import Parameter, Verb


@dataclass
class Turn:
    """A plan that was agreed to, and what its steps gave as far as it was run."""

    plan: Plan
    done: list[Done] = field(default_factory=list)


@dataclass
class Pending:
    """A plan that lacks one thing: what was asked for, and among what."""

    filling: Filling
    parameter: str
    choices: Sequence[str]


@dataclass
class Context:
    verbs: Mapping[str, Verb]
    workspace: Workspace
    turns: list[Turn] = field(default_factory=list)
    undone: list[Turn] = field(default_factory=list)
    pending: Pending | None = None

    def things(self, earlier: Sequence[Filling] = ()) -> dict[str, Any]:
        """Thing -> value, the latest of each: what steps named, what they gave, what earlier clauses of this sentence will give."""
        found: dict[str, Any] = {}
        for turn in self.turns:
            for step in turn.plan.steps:
                _named(found, step.verb, step.arguments)
            for done in turn.done:
                found |= done.things
        for number, f in enumerate(earlier, 1):
            _named(found, f.verb, f.arguments)
            found |= {thing: Later(thing, number) for thing in f.verb.says.gives}
        return found

    def ran(self) -> list[str]:
        """Runs of this conversation, the newest first, those of plans that were undone too."""
        turns = [*self.undone, *self.turns]
        return sorted({d.things["run"] for t in turns for d in t.done if "run" in d.things}, reverse=True)

    def recent(self) -> list[str]:
        """Runs, the newest first: of this conversation, then of the archive."""
        return list(dict.fromkeys([*self.ran(), *self.workspace.runs]))

    def undo(self) -> Turn | None:
        """Forget the last plan; it, or None where there is none."""
        if not self.turns:
            return None
        self.undone.append(self.turns.pop())
        return self.undone[-1]


def _named(found: dict[str, Any], verb: Verb, arguments: Mapping[str, Any]) -> None:
    """A step about another design forgets what belonged to the last one."""
    for p, said in parameters(verb):
        if said.thing not in ("", "none", "run") and said.files and p.name in arguments:
            if found.get(said.thing) != arguments[p.name]:
                for gone in ("placement", "top", "define", "include", "parameter", "reset", "lef"):
                    found.pop(gone, None)
            found[said.thing] = arguments[p.name]
    for p, said in parameters(verb):
        if said.thing not in ("", "none", "run") and not said.files and p.name in arguments:
            found[said.thing] = arguments[p.name]


def complete(f: Filling, context: Context, earlier: Sequence[Filling] = ()) -> Filling:
    """What was not said, from what was done before; else from what is there, if that is one thing only; else it is missing."""
    things = context.things(earlier)
    words = {t.norm for t in f.tokens}
    taken = False
    for p, said in parameters(f.verb):
        if f.arguments.get(p.name) == "@run":
            f.arguments[p.name] = things.get("run", "last" if context.workspace.runs else "")
            if not f.arguments[p.name]:
                f.missing[p.name] = []
        needless = any(p.name in its.instead for q, its in parameters(f.verb) if q.name in f.arguments)
        if needless or p.name in f.arguments or p.name in f.missing or said.thing == "none":
            continue
        if said.thing == "run":
            _run(f, p, things, context)
        elif (p.required or (p.option.positional and said.files)) and not _shifted(f, p, said, things, words):
            taken = _thing(f, p, said, things, context) or taken
        elif said.thing and not said.files and taken and said.thing in things:
            f.arguments[p.name] = things[said.thing]
    needs = f.verb.says.needs
    if needs and not f.missing and not set(needs) & set(f.arguments):
        f.wrong = f.wrong or f"say at least one of {', '.join(needs)}"
    if any(
        "THEM" in v.split() for values in f.arguments.values() if isinstance(values, list) for v in values
    ):
        f.wrong = f.wrong or "say of what: no names were given"
    return f


def _shifted(f: Filling, p: Parameter, said: Said, things: Mapping[str, Any], words: set[str]) -> bool:
    """In "is it the same as b.v" the one file that is named is the second."""
    for other, its in parameters(f.verb):
        pair = other.name != p.name and its.files == said.files and its.thing in things and not said.thing
        if pair and other.name in f.arguments and words & {"it", "that", "this"} and said.files:
            f.arguments[p.name] = f.arguments.pop(other.name)
            value = things[its.thing]
            f.arguments[other.name] = ",".join(value) if isinstance(value, list) else value
            return True
    return False


def _run(f: Filling, p: Parameter, things: Mapping[str, Any], context: Context) -> None:
    taken = [
        f.arguments[q.name] for q, said in parameters(f.verb) if said.thing == "run" and q.name in f.arguments
    ]
    if taken:  # two runs are two
        other = next((r for r in context.recent() if r not in taken), None)
        if other:
            f.arguments[p.name] = other
        else:
            f.missing[p.name] = []
    elif "run" in things:
        f.arguments[p.name] = things["run"]
    elif p.required and context.workspace.runs:
        f.arguments[p.name] = "last"
        f.notes.append(f"the last run for {p.option.metavar or p.name}")
    elif p.required:
        f.missing[p.name] = []


def _thing(f: Filling, p: Parameter, said: Said, things: Mapping[str, Any], context: Context) -> bool:  # fmt: skip
    """Whether it came from what was done before."""
    many = "list" in str(p.kind)
    if said.thing in things and said.thing:
        if said.thing == "placement" and f.arguments.get("design") != things.get("chip"):
            return False
        value = things[said.thing]
        f.arguments[p.name] = [value] if many and not isinstance(value, list) else value if many or not isinstance(value, list) else ",".join(value)  # fmt: skip
        return True
    if said.thing == "placement":
        return False
    choices = context.workspace.fitting(said) if said.files else []
    used = {
        v for a in f.arguments.values() for v in (a if isinstance(a, list) else [a]) if isinstance(v, str)
    }
    choices = [c for c in choices if c not in used]
    if len(choices) == 1:
        _spoken_of(f, p)
    if len(choices) == 1 and not f.leftover:
        f.arguments[p.name] = [choices[0]] if many else choices[0]
        f.notes.append(f"{choices[0]}: the only {p.option.metavar or p.name} here")
    else:
        f.missing[p.name] = choices
    return False


def _spoken_of(f: Filling, p: Parameter) -> None:
    """What there is one of, is meant by its kind: "my design"."""
    for words in option_words(f.verb, p.name):
        for span in places(f.tokens, words):
            if f.free(span):
                f.take(span, 0.2)


def unread(f: Filling) -> list[str]:
    """The words that nobody used, as they were written."""
    return [t.misspelt or t.text for t in f.leftover if t.norm not in FILLERS]
