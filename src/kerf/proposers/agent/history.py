"""The messages of one conversation, kept short.

Old answers of tools and old sources are what fills a context and what is needed least: masking them works as well as having a model
summarise (Lindenbauer et al. 2025, The Complexity Trap), costs nothing, and gives the same history on every replay. It is done
rarely and for half of the room, since a provider's cache holds only as long as the beginning stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kerf.models.protocol import Message, Role, ToolCall

KEEP = 6
"""The last so many messages are never masked."""
SHORT = 240
"""Characters that a masked text keeps; what is no longer than twice this stays as it is."""


@dataclass
class History:
    """`most_chars`: of all messages together; about four make a token."""

    most_chars: int = 240_000
    messages: list[Message] = field(default_factory=list)
    new: int = 0
    """So many at the end have not been sent yet."""

    def say(self, text: str) -> None:
        """As the user; joined to what the user said last if the model has not spoken since."""
        last = self.messages[-1] if self.messages else None
        if last and last.role is Role.USER and self.new:
            self.messages[-1] = replace(last, text=f"{last.text}\n\n{text}")
        else:
            self._hear(Message(Role.USER, text))

    def answer(self, answers: Sequence[Message]) -> None:
        for message in answers:
            self._hear(message)

    def _hear(self, message: Message) -> None:
        self.messages.append(message)
        self.new += 1

    def said(self, message: Message) -> None:
        """The model's own."""
        self.messages.append(message)
        self.new = 0

    @property
    def chars(self) -> int:
        return sum(_chars(m) for m in self.messages)

    def compact(self) -> bool:
        """Mask the older messages when all is too long. False when that was not enough, and a new conversation is."""
        total = self.chars
        if total <= self.most_chars:
            return True
        keep = max(KEEP, self.new)
        for i in range(1, len(self.messages) - keep):
            long, self.messages[i] = self.messages[i], _masked(self.messages[i])
            total -= _chars(long) - _chars(self.messages[i])
            if total <= self.most_chars // 2:
                break
        return total <= self.most_chars


def _chars(message: Message) -> int:
    return len(message.text) + sum(len(c.raw) + len(json.dumps(c.arguments)) for c in message.calls)


def _masked(message: Message) -> Message:
    return replace(message, text=_cut(message.text), calls=tuple(_masked_call(c) for c in message.calls))


def _masked_call(call: ToolCall) -> ToolCall:
    arguments = None if call.arguments is None else _masked_value(call.arguments)
    return replace(call, arguments=arguments, raw=_cut(call.raw))


def _masked_value(value: Any) -> Any:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Mapping):
        return {k: _masked_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked_value(v) for v in value]
    return value


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= 2 * SHORT
        else f"{text[:SHORT]}\n[{len(text) - SHORT} more characters, left out now]"
    )
