"""What the providers' wire formats have in common: tool arguments as text, and counting tokens where nobody reports them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kerf.models.keys import scrub
from kerf.models.protocol import Message, Request, ToolCall, Usage

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


def size(request: Request) -> int:
    """Bytes of text sent. Tokenizers that fall back on bytes, as today's do, make at most one token of each."""
    texts = [request.system]
    for message in request.messages:
        texts += [message.text, *(c.name + (c.raw or json.dumps(written(c))) for c in message.calls)]
    texts += [tool.name + tool.description + json.dumps(tool.schema) for tool in request.tools]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def without_keys(request: Request) -> Request:
    """The request as it may leave: a key that a user typed or a tool printed is no part of any question."""
    return replace(request, system=scrub(request.system), messages=[_struck(m) for m in request.messages])


def _struck(message: Message) -> Message:
    calls = tuple(call(c.id, c.name, scrub(c.raw or json.dumps(written(c)))) for c in message.calls)
    return replace(message, text=scrub(message.text), calls=calls)


def estimated(sent_bytes: int, said: str) -> Usage:
    """Usage of a call whose server did not say: cut off, or one that never does."""
    return Usage(
        int(sent_bytes / BYTES_PER_TOKEN) + 1, int(len(said.encode("utf-8", "replace")) / BYTES_PER_TOKEN) + 1
    )
