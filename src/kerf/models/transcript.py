"""Messages and replies as plain JSON, for recordings and the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kerf.models.protocol import Finish, Message, Reply, Role, ToolCall, Usage

EMPTY: Mapping[str, Any] = {"text": "", "calls": (), "call": "", "failed": False}


def message_json(message: Message) -> dict[str, Any]:
    """A message without what is empty in it."""
    whole: dict[str, Any] = {"role": str(message.role), "text": message.text}
    whole |= {"calls": [asdict(c) for c in message.calls], "call": message.call, "failed": message.failed}
    return {k: v for k, v in whole.items() if v or k == "role"}


def message_of(data: Mapping[str, Any]) -> Message:
    """The inverse of `message_json`. KeyError, TypeError or ValueError where it is no message."""
    whole = {**EMPTY, **data}
    calls = tuple(ToolCall(**call) for call in whole["calls"])
    return Message(Role(whole["role"]), whole["text"], calls, whole["call"], whole["failed"])


def reply_json(reply: Reply) -> dict[str, Any]:
    return {
        "message": message_json(reply.message),
        "usage": asdict(reply.usage),
        "finish": str(reply.finish),
        "seconds": round(reply.seconds, 3),
    }


def reply_of(data: Mapping[str, Any]) -> Reply:
    """The inverse of `reply_json`, with its errors."""
    usage = Usage(**data["usage"])
    return Reply(message_of(data["message"]), usage, Finish(data["finish"]), float(data.get("seconds", 0)))
