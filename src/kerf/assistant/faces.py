"""The commands of this face: `kerf do` and `kerf chat`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from kerf.core.records import Moment
from kerf.core.types import KerfError
from kerf.core.verb import Option, Result, Verb

if TYPE_CHECKING:
    from kerf.archive import Archive
    from kerf.assistant.dialogue import Dialogue
    from kerf.assistant.plan import Plan

Yes = Annotated[bool, Option("Run the plan without asking.", "--yes -y")]
ModelName = Annotated[
    str,
    Option(
        "A language model makes the plan (see docs/models.md); without one a grammar does, with no key and no network.",
        metavar="NAME",
    ),
]


def _ignore(event: object) -> None:
    """The watcher of calls from Python that do not watch."""


def do(
    sentence: Annotated[str, Option("What to do, as you would say it.", metavar="SENTENCE")],
    *,
    yes: Yes = False,
    model: ModelName = "",
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Do what a sentence says: its plan is shown, with every default and what it may cost, and runs after a yes."""
    from kerf.archive import Archive

    with Archive() as archive:
        dialogue = _dialogue(archive, yes, model, lambda text: _lines(watch, text), watch)
        heard = dialogue.hear(sentence)
        while heard.status == "asked" and sys.stdin.isatty():
            watch(Moment(heard.text, passing=False))
            heard = dialogue.hear(input("> "))
    if heard.status == "asked":
        raise KerfError(heard.text)
    return {
        "status": heard.status,
        "text": heard.text,
        "plan": [s.command() for s in heard.plan.steps] if heard.plan else [],
        "results": list(heard.results),
        "conversation": dialogue.conversation,
    }


def chat(
    *,
    resume: Annotated[
        str, Option("Take up this conversation again; `last` is the newest.", metavar="ID")
    ] = "",
    list_: Annotated[bool, Option("List the conversations there are.", "--list")] = False,
    yes: Yes = False,
    model: ModelName = "",
    watch: Any = _ignore,
) -> dict[str, Any]:
    """Talk: every sentence is a plan, or changes the last one ("now half the halo"), or asks about what was done."""
    from kerf.archive import Archive
    from kerf.archive.conversations import Conversations

    with Archive() as archive:
        if list_:
            return {"conversations": [_listed(c) for c in Conversations(archive.db).recent()]}
        dialogue = _dialogue(archive, yes, model, lambda text: _lines(watch, text), watch)
        if resume:
            for body in dialogue.recall(resume):
                watch(Moment(f"> {body['said']}", passing=False))
        count = _talk(dialogue, watch)
    return {"conversation": dialogue.conversation, "sentences": count}


def _talk(dialogue: Dialogue, watch: Callable[[Any], None]) -> int:
    """Until "quit" or the end of input; how many sentences were heard."""
    for count, sentence in enumerate(iter(_line, None)):
        if sentence.strip().lower() in ("quit", "exit", "bye"):
            return count
        try:
            heard = dialogue.hear(sentence)
        except KerfError as error:
            watch(Moment(str(error), passing=False))
            continue
        if heard.text:
            _lines(watch, heard.text)
    return count + 1 if "count" in locals() else 0


def _line() -> str | None:
    try:
        line = input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
    return line


def _lines(watch: Callable[[Any], None], text: str) -> None:
    for line in text.splitlines():
        watch(Moment(line, passing=False))


def _dialogue(
    archive: Archive, yes: bool, model: str, show: Callable[[str], None], watch: Callable[[Any], None]
) -> Dialogue:
    from kerf.assistant.context import Context
    from kerf.assistant.dialogue import Dialogue
    from kerf.assistant.grammar import understand
    from kerf.assistant.workspace import Workspace
    from kerf.verbs import all_verbs

    context = Context(all_verbs(), Workspace(None, [r.id for r in archive.runs(20)]))
    planned = _planner(model) if model else understand
    return Dialogue(context, archive, lambda plan: _agreed(plan, yes), show, watch, planned)


def _planner(name: str) -> Callable[[str, Any], Any]:
    from kerf.assistant.planner import ModelPlanner
    from kerf.models.keys import scrub
    from kerf.models.registry import open_model

    return ModelPlanner(open_model(name), scrub).understand


def _agreed(plan: Plan, yes: bool) -> bool | None:
    """A plan that a model made is not agreed to beforehand where it destroys."""
    if yes and not (plan.planner and any(s.verb.destroys for s in plan.steps)):
        return True
    if not sys.stdin.isatty():
        return None
    return input("run it? [y/N] ").strip().lower() in ("y", "yes")


def _listed(record: Any) -> Mapping[str, Any]:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.updated))
    return {"conversation": record.id, "updated": when, "title": record.title}


def _done_text(result: Result) -> str:
    if result["status"] == "planned":
        return "not run: say --yes, or run it on a terminal and answer y"
    return result["text"] or result["status"]


def _chat_text(result: Result) -> str:
    if "conversations" in result:
        rows = [f"{c['conversation']}  {c['updated']}  {c['title']}" for c in result["conversations"]]
        return "\n".join(rows) or "no conversations yet"
    if not result["conversation"]:
        return "nothing was said"
    return f"kept as {result['conversation']}: kerf chat --resume {result['conversation']}"


FACES: tuple[Verb, ...] = (
    Verb("do", do, _done_text, failed=lambda result: result["status"] in ("planned", "refused", "failed")),
    Verb("chat", chat, _chat_text),
)
