"""What is said to a model and what it answers, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from kerf.core.types import KerfError

Watch = Callable[[str], None]
"""Gets the text of a reply as it arrives."""


def unwatched(text: str) -> None:
    """A watch for who wants the whole reply only."""


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Finish(StrEnum):
    """Why a model stopped."""

    DONE = "done"
    TOOLS = "tools"
    LENGTH = "length"
    REFUSED = "refused"


@dataclass(frozen=True)
class Tool:
    """A function a model may ask for. `schema`: JSON Schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """`arguments` is None where the model wrote what is no JSON object; `raw` is then what it wrote."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    raw: str = ""


@dataclass(frozen=True)
class Message:
    """One turn. `calls`: what an assistant asks for. `call`, `failed`: of a TOOL message, which call it answers, and whether that
    call failed. Every call of an assistant's message is answered, in order, before anybody else speaks."""

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Request:
    """One question to a model: all that was said so far, and what the answer may use. `tools`: what the model may ask for. `max_tokens`:
    how long the reply may be, thoughts included; `timeout_s`: when it must be whole, counted from the call, all attempts together."""

    messages: Sequence[Message]
    system: str = ""
    tools: Sequence[Tool] = ()
    max_tokens: int = 8192
    timeout_s: float = 300.0


@dataclass(frozen=True)
class Usage:
    """Tokens. `cached_tokens` are those of `input_tokens` that a provider read from its cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True)
class Reply:
    message: Message
    usage: Usage
    finish: Finish
    seconds: float = 0.0


class ModelError(KerfError):
    """A model could not answer: no key, no network, refused by its provider, retries used up. The message holds no key."""


class Model(Protocol):
    """`name` is what opens it: "anthropic/NAME", "openai/NAME", "local/PATH", "replay/PATH"."""

    name: str

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        """The next message of the assistant. Raises ModelError."""
