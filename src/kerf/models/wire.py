"""What the providers' wire formats have in common: tool arguments as text, and counting tokens where nobody reports them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kerf.models.keys import scrub
from kerf.models.protocol import Message, Tool, ToolCall, Usage

BYTES_PER_TOKEN = 3.0  # English and code take about 4; an estimate that pays should not be low


def call(id: str, name: str, raw: str) -> ToolCall:
    """The call that a model wrote. No arguments at all stand for none."""
    try:
        arguments = json.loads(raw or "{}")
    except ValueError:
        arguments = None
    return ToolCall(id, name, arguments if isinstance(arguments, dict) else None, raw)


def written(call: ToolCall) -> Mapping[str, Any]:
    """A call's arguments as an object, for wire formats that take nothing else: what was no object is shown as it was written."""
    return call.arguments if call.arguments is not None else {"malformed": call.raw}


def size(system: str, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
    """Bytes of text sent. Tokenizers that fall back on bytes, as today's do, make at most one token of each."""
    texts = [system]
    for message in messages:
        texts += [message.text, *(c.name + (c.raw or json.dumps(written(c))) for c in message.calls)]
    texts += [tool.name + tool.description + json.dumps(tool.schema) for tool in tools]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def without_keys(messages: Sequence[Message]) -> list[Message]:
    """The messages as they may leave: a key that a user typed or a tool printed is no part of any question."""
    return [
        replace(
            m,
            text=scrub(m.text),
            calls=tuple(call(c.id, c.name, scrub(c.raw or json.dumps(written(c)))) for c in m.calls),
        )
        for m in messages
    ]


def estimated(sent_bytes: int, said: str) -> Usage:
    """Usage of a call whose server did not say: cut off, or one that never does."""
    return Usage(
        int(sent_bytes / BYTES_PER_TOKEN) + 1, int(len(said.encode("utf-8", "replace")) / BYTES_PER_TOKEN) + 1
    )
