"""A language model's HTTP server that follows a script, for tests of anything that talks to one.

It listens on a free port of this machine and speaks, streamed, Anthropic's Messages (`/v1/messages`) and OpenAI's chat completions
(`/v1/chat/completions`). Each request is answered with the next step of the script:

    with ScriptedServer([Fault(429, retry_after=0.01), Turn("hello", calls=[("evaluate", {"source": "..."})])]) as server:
        model = open_model(server.openai)      # or server.anthropic
        reply = model.reply(Request([Message(Role.USER, "hi")], "be brief"))
        assert server.requests[-1].body["messages"]

A step is a `Turn`, a `Fault`, a `Cut`, or a function of the request that returns one (for an answer that depends on what was
asked). The script may be any iterable: `itertools.repeat(Turn(calls=[...]))` is a model that never stops. When it is used up,
requests are answered 400.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Turn:
    """What the model says. `calls`: pairs of a tool's name and its arguments, an object or the raw text that stands for one. `usage`:
    tokens of input, output and input read from the cache; None where the server reports none. `finish`: the wire's own word for why it
    stopped, where that is not what follows from `calls`. `numbered`: do pieces of calls say which call they belong to, as OpenAI's do. Text and arguments arrive in `pieces`, `pause_s` apart."""

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    usage: tuple[int, int, int] | None = (100, 20, 0)
    finish: str = ""
    thinking: str = ""
    numbered: bool = True
    pieces: int = 3
    pause_s: float = 0.0


@dataclass(frozen=True)
class Fault:
    """An HTTP error; `retry_after` in seconds becomes the header of that name."""

    status: int
    retry_after: float | None = None
    message: str = "the script says so"


@dataclass(frozen=True)
class Cut:
    """The connection breaks after so many events of a turn; before the first line of an answer with -1."""

    turn: Turn
    events: int = 2


Step = Turn | Fault | Cut


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass
class ScriptedServer:
    """`requests`: everything received, in order. `url`: the server's root. `openai`, `anthropic`: names that `open_model` takes."""

    script: Iterable[Step | Callable[[Request], Step]]
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._steps, self._lock = iter(self.script), threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def openai(self) -> str:
        return f"openai/scripted@{self.url}/v1"

    @property
    def anthropic(self) -> str:
        return f"anthropic/scripted@{self.url}"

    def next_step(self, request: Request) -> Step:
        with self._lock:
            self.requests.append(request)
            step = next(self._steps, Fault(400, message="the script is used up"))
        return step(request) if callable(step) else step


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # the end of an answer is the end of its connection

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            step = server.next_step(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            try:
                self._answer(step)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client left, as a client with a timeout does

        def _answer(self, step: Step) -> None:
            if isinstance(step, Fault):
                return self._fault(step)
            turn, left = (step.turn, step.events) if isinstance(step, Cut) else (step, None)
            if left is not None and left < 0:
                return self.connection.close()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            if left is not None:
                self.send_header("content-length", "1000000")  # so that a client sees that the end is missing
            self.end_headers()
            for number, event in enumerate(_events(self.path, turn)):
                if left is not None and number >= left:
                    return None
                self.wfile.write(event.encode())
                self.wfile.flush()
                time.sleep(turn.pause_s)
            return None

        def _fault(self, fault: Fault) -> None:
            kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(fault.status, "api_error")
            text = json.dumps({"type": "error", "error": {"type": kind, "message": fault.message}}).encode()
            self.send_response(fault.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            if fault.retry_after is not None:
                self.send_header("retry-after", str(fault.retry_after))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: what was asked is in `requests`."""

    return Handler


def _events(path: str, turn: Turn) -> Iterator[str]:
    return _anthropic(turn) if path.endswith("/messages") else _openai(turn)


def _parts(text: str, pieces: int) -> list[str]:
    size = max(1, -(-len(text) // pieces))
    return [text[i : i + size] for i in range(0, len(text), size)]


def _raw(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _anthropic(turn: Turn) -> Iterator[str]:
    fresh, out, cached = turn.usage or (0, 0, 0)
    usage = {"input_tokens": fresh - cached, "output_tokens": 1, "cache_read_input_tokens": cached}
    yield _event(
        type="message_start",
        message={"id": "m", "type": "message", "role": "assistant", "model": "scripted", "content": [], "usage": usage}
        | {"stop_reason": None, "stop_sequence": None},
    )  # fmt: skip
    yield _event(type="ping")
    for index, (block, deltas) in enumerate(_blocks(turn)):
        yield _event(type="content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _event(type="content_block_delta", index=index, delta=delta)
        yield _event(type="content_block_stop", index=index)
    stop = turn.finish or ("tool_use" if turn.calls else "end_turn")
    yield _event(
        type="message_delta",
        delta={"stop_reason": stop, "stop_sequence": None},
        usage={"output_tokens": out},
    )
    yield _event(type="message_stop")


def _blocks(turn: Turn) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if turn.thinking:
        thought = [{"type": "thinking_delta", "thinking": p} for p in _parts(turn.thinking, turn.pieces)]
        signed = [*thought, {"type": "signature_delta", "signature": "signed"}]
        yield {"type": "thinking", "thinking": "", "signature": ""}, signed
    if turn.text:
        said = [{"type": "text_delta", "text": p} for p in _parts(turn.text, turn.pieces)]
        yield {"type": "text", "text": ""}, said
    for number, (name, arguments) in enumerate(turn.calls):
        asked = [
            {"type": "input_json_delta", "partial_json": p} for p in _parts(_raw(arguments), turn.pieces)
        ]
        yield {"type": "tool_use", "id": f"call_{number}", "name": name, "input": {}}, asked


def _event(**data: Any) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"


def _openai(turn: Turn) -> Iterator[str]:
    yield _chunk({"role": "assistant", "content": ""})
    for part in _parts(turn.thinking, turn.pieces):  # as vLLM and llama.cpp name it
        yield _chunk({"reasoning_content": part})
    for part in _parts(turn.text, turn.pieces):
        yield _chunk({"content": part})
    for index, (name, arguments) in enumerate(turn.calls):
        first, *rest = _parts(_raw(arguments), turn.pieces) or [""]
        number = {"index": index} if turn.numbered else {}
        head = {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": first}}
        yield _chunk({"tool_calls": [number | head]})
        for part in rest:
            yield _chunk({"tool_calls": [number | {"function": {"arguments": part}}]})
    yield _chunk({}, turn.finish or ("tool_calls" if turn.calls else "stop"))
    if turn.usage:
        fresh, out, cached = turn.usage
        yield _data(
            choices=[],
            usage={"prompt_tokens": fresh, "completion_tokens": out, "total_tokens": fresh + out}
            | {"prompt_tokens_details": {"cached_tokens": cached}},
        )
    yield "data: [DONE]\n\n"


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
    return _data(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


def _data(**fields: Any) -> str:
    whole = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "scripted"} | fields
    return f"data: {json.dumps(whole)}\n\n"
