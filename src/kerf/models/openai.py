"""OpenAI's chat completions through its own library, and every server that speaks them (vLLM, Ollama, llama.cpp, gateways):
"openai/NAME", or "openai/NAME@ADDRESS" with the address as the server documents it, mostly ending in /v1."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from kerf.models import keys, wire
from kerf.models.hosted import Attempt, address, sdk, translated
from kerf.models.protocol import (
    Finish,
    Message,
    Model,
    Reply,
    Request,
    Role,
    Tool,
    ToolCall,
    Usage,
    Watch,
    unwatched,
)

VARIABLE = "OPENAI_API_KEY"
FINISHES = {
    "tool_calls": Finish.TOOLS,
    "function_call": Finish.TOOLS,
    "length": Finish.LENGTH,
    "content_filter": Finish.REFUSED,
}


def open_openai(name: str, *, base_url: str = "") -> Model:
    """`name`: a model's name, and "@" and an address where another server than OpenAI's answers (or KERF_OPENAI_BASE_URL gives it). Such a
    server gets KERF_SERVER_KEY, never the key for OpenAI."""
    model, server = _split(name)
    server = server or base_url or os.environ.get("KERF_OPENAI_BASE_URL", "")
    if server:
        server = address(server)
        client = sdk("openai", "OpenAI's").OpenAI(
            api_key=keys.find("KERF_SERVER_KEY") or "none", base_url=server, max_retries=0
        )
        return OpenAI(f"openai/{model}@{server}", model, client, "max_tokens")
    client = sdk("openai", "OpenAI's").OpenAI(
        api_key=keys.need(VARIABLE, "OpenAI"), base_url="https://api.openai.com/v1", max_retries=0
    )
    return OpenAI(f"openai/{model}", model, client, "max_completion_tokens")


def _split(name: str) -> tuple[str, str]:
    """Names of models may hold an "@" of their own; an address starts with http."""
    model, at, server = name.rpartition("@http")
    return (model, "http" + server) if at else (name, "")


@dataclass
class OpenAI:
    """One model. `limit`: what this server calls the most tokens to write: OpenAI's newer models know only `max_completion_tokens`, most
    other servers only `max_tokens`."""

    name: str
    model: str
    client: Any = field(repr=False)
    limit: str = "max_tokens"

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        request = wire.without_keys(request)
        attempt = Attempt(wire.size(request), request.timeout_s, watch)
        with (
            translated(sdk("openai", "OpenAI's"), self.name, attempt),
            self.client.chat.completions.create(stream=True, **self._body(request)) as chunks,
        ):
            answer = _streamed(chunks, attempt)
        return Reply(answer.message, attempt.usage or attempt.spent, answer.reason, attempt.seconds)

    def _body(self, request: Request) -> dict[str, Any]:
        start = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, Any] = {
            "model": self.model,
            self.limit: request.max_tokens,
            "timeout": request.timeout_s,
            "messages": [*start, *map(_turn, request.messages)],
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = [_function(tool) for tool in request.tools]
        return body


@dataclass
class _Answer:
    """An answer as it arrives. `pieces`: of each call its id, its name and its arguments in pieces, by the server's own index."""

    text: list[str] = field(default_factory=list)
    pieces: dict[int, tuple[str, str, list[str]]] = field(default_factory=dict)
    refusal: str = ""
    finish: str = ""

    @property
    def message(self) -> Message:
        return Message(Role.ASSISTANT, "".join(self.text) or self.refusal, self.calls)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        ordered = [self.pieces[index] for index in sorted(self.pieces)]
        return tuple(
            wire.call(id or f"call_{n}", name, "".join(raw)) for n, (id, name, raw) in enumerate(ordered)
        )

    @property
    def reason(self) -> Finish:
        """Some servers say "stop" for an answer that asks for tools."""
        if self.refusal:
            return Finish.REFUSED
        found = FINISHES.get(self.finish, Finish.DONE)
        return Finish.TOOLS if found is Finish.DONE and self.pieces else found

    def extend(self, delta: Any, attempt: Attempt) -> None:
        if delta.content:
            self.text.append(delta.content)
            attempt.hear(delta.content)
        if delta.refusal:
            self.refusal += delta.refusal
            attempt.hear(delta.refusal)
        thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if isinstance(thought, str):  # vLLM, llama.cpp, Ollama: billed as output, sent back by nobody
            attempt.hear(thought, aloud=False)
        for piece in delta.tool_calls or ():
            self._join(piece, attempt)

    def _join(self, piece: Any, attempt: Attempt) -> None:
        """Adds a piece of a call to the call it belongs to."""
        index = self._index(piece)
        id, name, raw = self.pieces.get(index, ("", "", []))
        given = piece.function
        if given and given.arguments:
            raw.append(given.arguments)
            attempt.hear(given.arguments, aloud=False)
        self.pieces[index] = (piece.id or id, (given and given.name) or name, raw)

    def _index(self, piece: Any) -> int:
        """Some servers number every call 0, or none: a new id is then a new call, and a piece without one goes on with the last."""
        last = max(self.pieces, default=-1)
        index = getattr(piece, "index", None)
        if index is None:
            return last + 1 if piece.id or last < 0 else last
        if index in self.pieces:
            return last + 1 if piece.id and self.pieces[index][0] not in ("", piece.id) else index
        return index if piece.id or last < 0 or index > last else last


def _streamed(chunks: Any, attempt: Attempt) -> _Answer:
    """The answer that a stream of chunks makes; Transient where the stream ends before it does."""
    answer = _Answer()
    for chunk in chunks:
        attempt.tick()
        if chunk.usage:
            attempt.usage = _usage(chunk.usage)
        for choice in chunk.choices or ():
            if choice.delta:
                answer.extend(choice.delta, attempt)
            answer.finish = choice.finish_reason or answer.finish
    if not answer.finish:
        raise ConnectionError("the stream ended in the middle")
    return answer


def _usage(told: Any) -> Usage:
    """Tokens as told; a server may leave any of them out."""
    cached = getattr(getattr(told, "prompt_tokens_details", None), "cached_tokens", None) or 0
    sent, said = getattr(told, "prompt_tokens", None) or 0, getattr(told, "completion_tokens", None) or 0
    return Usage(sent, said, cached)


def _turn(message: Message) -> dict[str, Any]:
    if message.role is Role.TOOL:
        text = f"error: {message.text}" if message.failed else message.text
        return {"role": "tool", "tool_call_id": message.call, "content": text}
    turn: dict[str, Any] = {"role": str(message.role), "content": message.text}
    if message.calls:
        turn["tool_calls"] = [_asked(c) for c in message.calls]
    return turn


def _asked(call: ToolCall) -> dict[str, Any]:
    import json

    arguments = json.dumps(wire.written(call), ensure_ascii=False)  # servers parse what they once wrote badly
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _function(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
    }
