"""A language model that says what a test tells it to, in this process and with no network.

    model = Scripted([said("no tools needed"), asked("evaluate", {"source": "..."}), said("done")])

Each call of `reply` gets the next reply of the list, or raises it where it is an exception; `heard` keeps what it was sent. Where the
list is used up the last reply is given again, so that a model that never stops is `Scripted([asked(...)])`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerf.models.protocol import Finish, Message, Reply, Request, Role, ToolCall, Usage, Watch, unwatched


@dataclass
class Scripted:
    replies: Sequence[Reply | Exception | Callable[[Request], Reply]]
    name: str = "scripted/model"
    heard: list[Request] = field(default_factory=list)

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        self.heard.append(replace(request, messages=tuple(request.messages)))  # lists go on growing
        step = self.replies[min(len(self.heard), len(self.replies)) - 1]
        if isinstance(step, Exception):
            raise step
        given = step(self.heard[-1]) if callable(step) else step
        watch(given.message.text)
        return given


def said(text: str, usage: Usage = Usage(100, 20), finish: Finish = Finish.DONE) -> Reply:
    return Reply(Message(Role.ASSISTANT, text), usage, finish)


def asked(
    name: str, arguments: Mapping[str, Any], text: str = "", id: str = "c1", usage: Usage = Usage(100, 20)
) -> Reply:
    """A reply that asks for one tool."""
    call = ToolCall(id, name, arguments)
    return Reply(Message(Role.ASSISTANT, text, (call,)), usage, Finish.TOOLS)
