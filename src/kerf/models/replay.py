"""A conversation with a model, recorded and played back: the same run again with no key, no network and no cost.

A recording is JSON lines. The first names its format and the model; each other is one exchange: how many messages it shares with the
exchange before it (`keep`), those that come after, `system` and `tools` where they changed, and the reply. Keys are struck from all of it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kerf.models.keys import scrub
from kerf.models.protocol import Model, ModelError, Reply, Request, Watch, unwatched
from kerf.models.transcript import message_json, reply_json, reply_of

FORMAT = 1
MEASURED = re.compile(r"\b[0-9a-f]{8,}\b|\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")  # identities and numbers
MATCHES = ("numbers", "exact", "order")


@dataclass(frozen=True)
class Sent:
    """What one call sent, as plain JSON without keys."""

    system: str
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...]


def record(model: Model, path: Path) -> Model:
    """The model, with every exchange written to `path`, at once and in order. ModelError where it cannot be written, or exists."""
    head = {"format": FORMAT, "model": model.name}
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(scrub(json.dumps(head)) + "\n")
    except OSError as error:
        raise ModelError(f"no recording can begin in {path}: {error.strerror}. Choose a new file.") from None
    return Recording(model, path)


@dataclass
class Recording:
    model: Model
    path: Path
    _before: Sent = Sent("", (), ())
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.name = self.model.name

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        given = self.model.reply(request, watch)
        with self._lock:
            self._write(_sent(request), given)
        return given

    def _write(self, sent: Sent, given: Reply) -> None:
        keep = _shared(self._before.messages, sent.messages)
        line: dict[str, Any] = {"keep": keep, "messages": sent.messages[keep:]}
        if sent.system != self._before.system:
            line["system"] = sent.system
        if sent.tools != self._before.tools:
            line["tools"] = sent.tools
        line["reply"] = _clean(reply_json(given))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._before = sent


def open_replay(path: str, *, match: str = "numbers") -> Model:
    """Plays the recording in the file `path`. `match`: how what is sent must match what was recorded: "exact"; "numbers", where numbers
    and hexadecimal identities may differ, since a run measures anew; "order", where the n-th call gets the n-th reply, whatever it
    sends. ModelError where the file is no recording."""
    if match not in MATCHES:
        raise ModelError(f"match is {match!r}; it may be one of: {', '.join(MATCHES)}")
    return Replay(f"replay/{path}", match, list(_exchanges(Path(path))))


@dataclass
class Replay:
    """Each recorded reply is given once: to the first call that sends what it answered, in whatever order calls come."""

    name: str
    match: str
    left: list[tuple[Sent, Reply]] = field(repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
        """The reply that was recorded. ModelError where none is left that answers this, with where it differs from the next."""
        sent = _sent(request)
        with self._lock:
            given = self._take(sent)
        watch(given.message.text)
        return given

    def _take(self, sent: Sent) -> Reply:
        for index, (recorded, reply) in enumerate(self.left):
            if self.match == "order" or self._form(recorded) == self._form(sent):
                del self.left[index]
                return reply
        if not self.left:
            raise ModelError(
                f"{self.name}: every recorded reply has been given. Record a longer conversation."
            )
        raise ModelError(
            f"{self.name}: what is sent is not what was recorded: {self._difference(self.left[0][0], sent)}. "
            "Record it again, or play it with match='order'."
        )

    def _form(self, sent: Sent) -> str:
        text = json.dumps(asdict(sent), sort_keys=True)
        return text if self.match == "exact" else MEASURED.sub("#", text)

    def _difference(self, recorded: Sent, sent: Sent) -> str:
        for what in ("system", "tools", "messages"):
            before, now = getattr(recorded, what), getattr(sent, what)
            parts = [(what, before, now)]
            if what == "messages":
                if len(before) != len(now):
                    return f"{len(now)} messages, where {len(before)} were recorded"
                parts = [(f"message {n + 1}", b, a) for n, (b, a) in enumerate(zip(before, now))]
            for name, old, new in parts:
                found = self._apart(json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True))
                if found:
                    return f"{name} {found}"
        return "nothing that numbers do not explain"

    def _apart(self, old: str, new: str) -> str:
        if self.match != "exact":
            old, new = MEASURED.sub("#", old), MEASURED.sub("#", new)
        if old == new:
            return ""
        at = next((n for n, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
        start = max(0, at - 20)
        return f"says {new[start : at + 40]!r}, where {old[start : at + 40]!r} was recorded"


def _exchanges(path: Path) -> Iterator[tuple[Sent, Reply]]:
    before = Sent("", (), ())
    for number, line in enumerate(_lines(path), 1):
        try:
            data = json.loads(line)
            if number == 1:
                _check(data, path)
                continue
            messages = (*before.messages[: data["keep"]], *data["messages"])
            before = Sent(data.get("system", before.system), messages, tuple(data.get("tools", before.tools)))
            yield before, reply_of(data["reply"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{path}:{number} is no line of a recorded conversation ({error!r}). Record it again."
            ) from None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"no recorded conversation can be read from {path}: {error}") from None


def _check(head: Mapping[str, Any], path: Path) -> None:
    if head["format"] != FORMAT:
        raise ModelError(f"{path} has format {head['format']}; this version of kerf reads format {FORMAT}")


def _sent(request: Request) -> Sent:
    described = [{"name": t.name, "description": t.description, "schema": t.schema} for t in request.tools]
    said = [message_json(m) for m in request.messages]
    whole = _clean({"system": request.system, "messages": said, "tools": described})
    return Sent(whole["system"], tuple(whole["messages"]), tuple(whole["tools"]))


def _clean(value: Any) -> Any:
    """The value without keys: each text by itself, so that what is struck never breaks the JSON around it."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(k)): _clean(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [_clean(v) for v in value]
    return value


def _shared(a: Sequence[Any], b: Sequence[Any]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
