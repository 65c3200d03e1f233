"""A language model's weights on this machine, run by transformers: "local/PATH", a folder that `from_pretrained` takes.

Nothing is downloaded: a name that is no folder is refused. Models write calls of tools as text; the two common ways are understood:
`<tool_call>{"name": ..., "arguments": {...}}</tool_call>` (Hermes, Qwen) and a reply that is one such JSON object (Llama).
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerf.models import wire
from kerf.models.protocol import (
    Finish,
    Message,
    Model,
    ModelError,
    Reply,
    Request,
    Role,
    Tool,
    ToolCall,
    Usage,
    Watch,
    unwatched,
)

TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.S)
THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)


def open_local(path: str, *, dtype: str = "auto", device: str = "cpu") -> Model:
    """The model in the folder `path`. `dtype`: as it is stored, or "float32", "bfloat16", ...; `device`: "cpu", "cuda", ... ModelError where the
    folder holds no model, or transformers is not installed."""
    if not Path(path).is_dir():
        raise ModelError(f"{path} is no folder. Download the model's weights first, then write local/FOLDER.")
    try:
        import transformers
    except ImportError:
        raise ModelError("transformers is not installed: pip install 'kerf-ai[local]'") from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, dtype=dtype
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} holds no model that transformers can load: {error}") from None
    return Local(f"local/{path}", tokenizer, network.to(device).eval())


@dataclass
class Local:
    """One model, one call at a time. A template of the tokenizer writes the conversation; without one, it is written as plain turns."""

    name: str
    tokenizer: Any = field(repr=False)
    network: Any = field(repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        """As Model.reply. A reply that is not finished after `timeout_s` ends there, with Finish.LENGTH."""
        start = time.monotonic()
        with self._lock:
            asked = self._encoded(request)
            sent = int(asked["input_ids"].shape[1])
            room = self._room(sent)
            tokens, text = self._generate(asked, min(request.max_tokens, room), request.timeout_s, watch)
        calls, said = split(text) if request.tools else ((), THOUGHT.sub("", text).strip())
        whole = bool(tokens) and tokens[-1] in self._ends()
        finish = Finish.TOOLS if calls else Finish.DONE if whole else Finish.LENGTH
        usage = Usage(sent, len(tokens))
        return Reply(Message(Role.ASSISTANT, said, calls), usage, finish, time.monotonic() - start)

    def _room(self, sent: int) -> int:
        """Tokens that the model's window leaves. ModelError where it leaves none."""
        window = getattr(self.network.config, "max_position_embeddings", None)
        if window is None:
            return 1 << 30
        if sent >= window:
            raise ModelError(
                f"{self.name}: {sent} tokens were sent and its window holds {window}. Shorten what is sent."
            )
        return int(window) - sent

    def _encoded(self, request: Request) -> Mapping[str, Any]:
        if not getattr(self.tokenizer, "chat_template", None):
            encoded = self.tokenizer(plain(request), return_tensors="pt")
        else:
            start = [{"role": "system", "content": request.system}] if request.system else []
            encoded = self.tokenizer.apply_chat_template(
                [*start, *map(_turn, request.messages)],
                tools=[_function(t) for t in request.tools] or None,
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
            )
        return {
            k: v.to(self.network.device) for k, v in encoded.items() if k in ("input_ids", "attention_mask")
        }

    def _generate(
        self, asked: Mapping[str, Any], most: int, timeout_s: float, watch: Watch
    ) -> tuple[list[int], str]:
        """The tokens written, and their text without the special ones."""
        import torch
        from transformers import MaxTimeCriteria, StoppingCriteriaList

        with torch.no_grad():
            written = self.network.generate(
                **asked,
                max_new_tokens=most,
                stopping_criteria=StoppingCriteriaList([MaxTimeCriteria(max_time=timeout_s)]),
                streamer=_streamer(self.tokenizer, watch),
                pad_token_id=self.tokenizer.pad_token_id or next(iter(self._ends()), 0),
            )
        tokens = written[0, asked["input_ids"].shape[1] :].tolist()
        return tokens, self.tokenizer.decode(tokens, skip_special_tokens=True)

    def _ends(self) -> set[int]:
        ends = self.network.generation_config.eos_token_id
        return set(ends) if isinstance(ends, list) else set() if ends is None else {ends}


def split(text: str) -> tuple[tuple[ToolCall, ...], str]:
    """The calls in a model's text, and the text without them and without thoughts."""
    said = THOUGHT.sub("", text).strip()
    raws = TAGGED.findall(said)
    if raws:
        said = TAGGED.sub("", said).strip()
    elif _named(said):
        raws, said = [said], ""
    return tuple(_call(n, raw) for n, raw in enumerate(raws)), said


def _call(number: int, raw: str) -> ToolCall:
    """A call as text. Where it is no JSON, or names nothing, the name is "" and `raw` is all of it."""
    data = _named(raw)
    if data is None:
        return ToolCall(f"call_{number}", "", None, raw)
    arguments = data.get("arguments", data.get("parameters", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return wire.call(f"call_{number}", data["name"], text)


def _named(text: str) -> Mapping[str, Any] | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    named = isinstance(data, dict) and isinstance(data.get("name"), str)
    return data if named and {"arguments", "parameters"} & data.keys() else None


def plain(request: Request) -> str:
    """A conversation for a model that has no template of its own."""
    parts = [request.system] if request.system else []
    if request.tools:
        described = "\n".join(json.dumps(_function(t)["function"]) for t in request.tools)
        how = '<tool_call>{"name": ..., "arguments": {...}}</tool_call>'
        parts.append(f"Tools, called by writing {how}:\n{described}")
    for message in request.messages:
        calls = "".join(f"\n<tool_call>{_written(c)}</tool_call>" for c in message.calls)
        parts.append(f"{str(message.role).capitalize()}: {message.text}{calls}")
    return "\n\n".join([*parts, "Assistant:"])


def _written(call: ToolCall) -> str:
    return json.dumps({"name": call.name, "arguments": wire.written(call)}, ensure_ascii=False)


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": str(message.role), "content": message.text}
    if message.calls:
        turn["tool_calls"] = [
            {"type": "function", "id": c.id, "function": {"name": c.name, "arguments": wire.written(c)}}
            for c in message.calls
        ]
    if message.role is Role.TOOL:
        turn["tool_call_id"] = message.call
    return turn


def _function(tool: Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}
    return {"type": "function", "function": described}


def _streamer(tokenizer: Any, watch: Watch) -> Any:
    from transformers import TextStreamer

    class Watched(TextStreamer):  # type: ignore[misc]
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            watch(text)

    return Watched(tokenizer, skip_prompt=True, skip_special_tokens=True)
