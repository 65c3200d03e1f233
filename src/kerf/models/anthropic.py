"""Anthropic's Messages API through its own library: "anthropic/NAME", or "anthropic/NAME@ADDRESS" for a proxy that speaks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.core.types import content_hash
from kerf.models import keys, wire
from kerf.models.hosted import Attempt, address, sdk, translated
from kerf.models.protocol import (
    Finish,
    Message,
    Model,
    Reply,
    Request,
    Role,
    ToolCall,
    Usage,
    Watch,
    unwatched,
)

VARIABLE = "ANTHROPIC_API_KEY"
FINISHES = {
    "tool_use": Finish.TOOLS,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "refusal": Finish.REFUSED,
}


def open_anthropic(name: str, *, base_url: str = "") -> Model:
    """`name`: a model's name at Anthropic, and "@" and an address where another server answers. Such a server gets KERF_SERVER_KEY,
    never the key for Anthropic."""
    model, _, server = name.partition("@")
    if server or base_url:
        server = address(server or base_url)
        client = sdk("anthropic", "Anthropic's").Anthropic(
            api_key=keys.find("KERF_SERVER_KEY") or "none", base_url=server, max_retries=0
        )
        return Anthropic(f"anthropic/{model}@{server}", model, client)
    client = sdk("anthropic", "Anthropic's").Anthropic(
        api_key=keys.need(VARIABLE, "Anthropic"), base_url="https://api.anthropic.com", max_retries=0
    )
    return Anthropic(f"anthropic/{model}", model, client)


@dataclass
class Anthropic:
    """One model. Asks for the conversation to be cached, which makes a long one several times cheaper. A model's thoughts are opaque and
    bound to the conversation they belong to, so those of this process are sent back where the conversation is the same up to there,
    and left out where it was shortened or resumed."""

    name: str
    model: str
    client: Any = field(repr=False)
    _thoughts: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        request = wire.without_keys(request)
        attempt = Attempt(wire.size(request), request.timeout_s, watch)
        with (
            translated(sdk("anthropic", "Anthropic's"), self.name, attempt),
            self.client.messages.create(stream=True, **self._body(request)) as events,
        ):
            answer = _streamed(events, attempt)
        self._keep_thoughts(request, answer)
        return Reply(answer.message, attempt.usage or attempt.spent, answer.finish, attempt.seconds)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "timeout": request.timeout_s,
            "messages": list(self._turns(request.system, request.messages)),
            "cache_control": {"type": "ephemeral"},
        }
        if request.system:
            body["system"] = request.system
        if request.tools:
            body["tools"] = [
                {"name": t.name, "description": t.description, "input_schema": t.schema}
                for t in request.tools
            ]
        return body

    def _keep_thoughts(self, request: Request, answer: _Answer) -> None:
        thoughts = [b for b in answer.blocks if "thinking" in b["type"]]
        if thoughts:
            self._thoughts[_place(request.system, [*request.messages, answer.message])] = answer.blocks

    def _turns(self, system: str, messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
        """Messages as the API takes them: the results of one turn's tools in one message of the user."""
        results: list[dict[str, Any]] = []
        for index, message in enumerate(messages):
            if message.role is Role.TOOL:
                results.append(_result(message))
                continue
            if results:
                yield {"role": "user", "content": results}
                results = []
            if message.role is Role.USER:
                yield {"role": "user", "content": message.text or "(nothing)"}  # an empty text is refused
            elif self._thoughts and (kept := self._thoughts.get(_place(system, messages[: index + 1]))):
                yield {"role": "assistant", "content": kept}
            else:
                yield {"role": "assistant", "content": _said(message)}
        if results:
            yield {"role": "user", "content": results}


@dataclass
class _Answer:
    """An answer as it arrives. `blocks`: its content as the API sent it."""

    blocks: list[dict[str, Any]] = field(default_factory=list)
    raw: dict[int, list[str]] = field(default_factory=dict)
    calls: list[ToolCall] = field(default_factory=list)
    finish: Finish = Finish.DONE

    @property
    def message(self) -> Message:
        text = "".join(b["text"] for b in self.blocks if b["type"] == "text")
        return Message(Role.ASSISTANT, text, tuple(self.calls))

    def extend(self, index: int, delta: Any, attempt: Attempt) -> None:
        block = self.blocks[index]
        if delta.type == "text_delta":
            block["text"] += delta.text
            attempt.hear(delta.text)
        elif delta.type == "input_json_delta":
            self.raw.setdefault(index, []).append(delta.partial_json)
            attempt.hear(delta.partial_json, aloud=False)
        elif delta.type == "thinking_delta":
            block["thinking"] += delta.thinking
            attempt.hear(delta.thinking, aloud=False)
        elif delta.type == "signature_delta":
            block["signature"] = delta.signature

    def close(self, index: int) -> None:
        block = self.blocks[index]
        if block["type"] == "tool_use":
            asked = wire.call(block["id"], block["name"], "".join(self.raw.get(index, ())))
            block["input"] = wire.written(asked)
            self.calls.append(asked)


def _streamed(events: Any, attempt: Attempt) -> _Answer:
    """The answer that a stream of events makes; Transient where the stream ends before it does."""
    answer, ended = _Answer(), False
    for event in events:
        attempt.tick()
        if event.type == "message_start":
            attempt.usage = _usage(event.message.usage)
        elif event.type == "content_block_start":
            answer.blocks.append(event.content_block.model_dump(exclude_none=True))
        elif event.type == "content_block_delta":
            answer.extend(event.index, event.delta, attempt)
        elif event.type == "content_block_stop":
            answer.close(event.index)
        elif event.type == "message_delta":
            answer.finish = FINISHES.get(event.delta.stop_reason or "", Finish.DONE)
            attempt.usage = _usage(event.usage, attempt.usage or Usage())
        elif event.type == "message_stop":
            ended = True
    if not ended:
        raise ConnectionError("the stream ended in the middle")
    return answer


def _usage(told: Any, before: Usage = Usage()) -> Usage:
    """Tokens so far: the API counts those read from or written to the cache apart, and repeats at the end only what it may have to
    correct."""
    if told.input_tokens is None:
        return Usage(before.input_tokens, told.output_tokens or 0, before.cached_tokens)
    cached, written = told.cache_read_input_tokens or 0, told.cache_creation_input_tokens or 0
    return Usage(told.input_tokens + cached + written, told.output_tokens or 0, cached)


def _said(message: Message) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": message.text}] if message.text.strip() else []
    calls = [
        {"type": "tool_use", "id": c.id, "name": c.name, "input": wire.written(c)} for c in message.calls
    ]
    return [*text, *calls] or [{"type": "text", "text": "(nothing)"}]


def _result(message: Message) -> dict[str, Any]:
    return {
        "type": "tool_result",
        "tool_use_id": message.call,
        "content": message.text,
        "is_error": message.failed,
    }


def _place(system: str, messages: Sequence[Message]) -> str:
    """Names a point of one conversation."""
    said = [(m.role, m.text, [(c.id, c.name, c.raw) for c in m.calls], m.call, m.failed) for m in messages]
    return content_hash([system, said])
