"""What models behind HTTP share: the clock of a call, and a vendor's exceptions as ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from kerf.models import wire
from kerf.models.keys import scrub
from kerf.models.protocol import ModelError, Usage
from kerf.models.retry import Transient

MAY_PASS = (408, 409, 429)
ADVICE = {
    401: "Check the key: it is wrong, expired or of another account.",
    403: "The account may not use this model: ask for access, or use another model.",
    404: "Check the model's name and the server's address.",
    413: "What was sent is too long for this provider: shorten it.",
}


def sdk(module: str, whose: str) -> Any:
    """A vendor's library. ModelError, with what installs it, where it is missing."""
    try:
        return import_module(module)
    except ImportError:
        raise ModelError(f"{whose} library is not installed: pip install 'kerf-ai[models]'") from None


@dataclass
class Attempt:
    """One call: when it must end, how much was sent, what has arrived. `usage`: what the server has reported so far."""

    sent_bytes: int
    timeout_s: float
    watch: Callable[[str], None]
    said: list[str] = field(default_factory=list)
    usage: Usage | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def tick(self) -> None:
        """Called at every event: a server that goes on for ever in small pieces never trips a socket's own timeout."""
        if self.seconds > self.timeout_s:
            raise Transient(f"no whole answer in {self.timeout_s:.0f} s", usage=self.spent)

    def hear(self, text: str, *, aloud: bool = True) -> None:
        """Text that arrived; thoughts and tool arguments count but are not watched."""
        self.said.append(text)
        if aloud:
            self.watch(text)

    @property
    def spent(self) -> Usage:
        """What a call that broke off has cost: what the server reported, and what was written after that."""
        guess = wire.estimated(self.sent_bytes, "".join(self.said))
        told = self.usage
        if told is None:
            return guess
        return Usage(told.input_tokens, max(told.output_tokens, guess.output_tokens), told.cached_tokens)


@contextmanager
def translated(sdk: Any, name: str, attempt: Attempt) -> Iterator[None]:
    """Turns the exceptions of a vendor's library (`sdk`: its module; both vendors' have the same names) into Transient or ModelError
    without a key in them. The vendor's own are not chained: a traceback would show their request."""
    try:
        yield
    except ModelError:
        raise
    except sdk.APITimeoutError:
        raise Transient(f"no answer in {attempt.timeout_s:.0f} s", usage=attempt.spent) from None
    except sdk.APIStatusError as error:
        raise _status(error, name, attempt) from None
    except sdk.APIConnectionError as error:
        cause = scrub(str(error.__cause__ or error))
        raise Transient(
            f"no connection ({cause})", usage=attempt.spent if attempt.said else Usage()
        ) from None
    except (sdk.APIError, *_broken_streams()) as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise Transient(f"the answer broke off ({scrub(said)})", usage=attempt.spent) from None


def _broken_streams() -> tuple[type[Exception], ...]:
    """What reading a stream raises where it breaks off, or is no stream of JSON."""
    import httpx2  # the HTTP library of both vendors' libraries

    return (httpx2.HTTPError, httpx2.StreamError, OSError, json.JSONDecodeError, UnicodeDecodeError)


def _status(error: Any, name: str, attempt: Attempt) -> ModelError:
    status, text = error.status_code, scrub(_message(error))
    if status in MAY_PASS or status >= 500 or (status == 200 and _overloaded(error)):
        usage = attempt.spent if attempt.said else Usage()
        return Transient(
            f"HTTP {status}: {text}", retry_after_s=_retry_after(error.response.headers), usage=usage
        )
    return ModelError(f"{name}: HTTP {status}: {text} {ADVICE.get(status, '')}".rstrip())


def _message(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error", body)
    said = inner.get("message") if isinstance(inner, dict) else inner
    return str(said or error.message)[:500]


def _overloaded(error: Any) -> bool:
    """An error that came as an event of a stream that had begun well."""
    return any(word in str(error.body) for word in ("overloaded", "rate_limit", "api_error", "timeout"))


def _retry_after(headers: Any) -> float:
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except ValueError:  # a date: rare, and the backoff does as well
        return 0.0


def address(text: str) -> str:
    """A server's address as users give it. ModelError where it is none, or holds what must be secret: names are kept in the archive."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(
            f"{scrub(text)!r} is no server's address: write, for instance, http://localhost:8000/v1"
        )
    if parts.username or parts.password or parts.query:
        raise ModelError(
            f"the address of {parts.hostname} holds a password or a query, and addresses are written down. Give the key in "
            "the environment: export KERF_SERVER_KEY=..."
        )
    return text.rstrip("/")
