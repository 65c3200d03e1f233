"""The two ways in: standard input and output for one client, HTTP for several."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import anyio

from kerf.core.types import KerfError

BY_HAND = "kerf mcp talks to an agent over standard input and output: `kerf connect AGENT` sets one up. Ctrl-C ends it."
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


def stdio() -> None:
    """Until the client closes standard input, or a signal ends the process: what its calls began then ends as if interrupted."""
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # by itself the event loop would wait for its thread that reads standard input
    if sys.stdin.isatty():
        print(BY_HAND, file=sys.stderr, flush=True)
    anyio.run(_stdio)


async def _stdio() -> None:
    from mcp.server.stdio import stdio_server

    from kerf.mcp.server import server

    serving = server()
    async with stdio_server() as (receive, send):
        await serving.run(receive, send, serving.create_initialization_options())


def http(address: str) -> None:
    """Until interrupted. Without a host only this machine can reach it. Off this machine every request must carry a token: the tools run
    Python files."""
    host, port = parse(address)
    import uvicorn

    token = "" if host in LOOPBACK else os.environ.get("KERF_MCP_TOKEN") or secrets.token_urlsafe(24)
    print(reached(host, port, token), file=sys.stderr, flush=True)
    uvicorn.run(
        application(host, token), host=host, port=port, log_level="warning", timeout_graceful_shutdown=3
    )


def parse(address: str) -> tuple[str, int]:
    """`8080`, `HOST:8080` or `[::1]:8080`. KerfError otherwise."""
    match = re.fullmatch(r"(?:\[(.+)\]:|([^:]+):)?(\d{1,5})", address)
    if not match or not 0 < int(match[3]) < 65536:
        raise KerfError(f"--http takes PORT or HOST:PORT, got {address!r}")
    return match[1] or match[2] or LOOPBACK[0], int(match[3])


def reached(host: str, port: int, token: str) -> str:
    """Two lines for whoever started it."""
    place = f"[{host}]" if ":" in host else host
    lines = [f"kerf mcp: http://{place}:{port}/mcp, for paths below {Path.cwd()}; Ctrl-C ends it"]
    if token:
        lines.append(
            f"each request needs the header `Authorization: Bearer {token}` (KERF_MCP_TOKEN sets it)"
        )
    return "\n".join(lines)


def application(host: str, token: str) -> App:
    """Pages in a browser on this machine must not reach it: on the loopback the SDK refuses foreign Host and Origin headers; elsewhere
    there is the token, which no page knows."""
    from kerf.mcp.server import server

    app: Any = server().streamable_http_app(host=host)
    return guarded(app, token) if token else app


def guarded(app: App, token: str) -> App:
    """`app` for requests that carry the token; 401 for all others."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: Message, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "lifespan" or hmac.compare_digest(given, wanted):
            await app(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]}
        )
        await send({"type": "http.response.body", "body": b"a bearer token is needed; kerf mcp printed it\n"})

    return guard
