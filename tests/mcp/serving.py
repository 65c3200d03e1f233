"""The server as agents meet it: the official client over both transports, each in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

KERF = [sys.executable, "-m", "kerf.cli"]


@asynccontextmanager
async def stdio(folder: Path, *options: str) -> AsyncIterator[Client]:
    """By the protocol's `initialize`, as most agents still do; over HTTP it is the newest version."""
    command, *rest = [*KERF, "mcp", *options]
    server = StdioServerParameters(command=command, args=rest, env=dict(os.environ), cwd=folder)
    async with Client(stdio_client(server), mode="legacy") as client:
        yield client


@contextmanager
def http(folder: Path, *options: str) -> Iterator[str]:
    """The address of a server that answers until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*KERF, "mcp", "--http", str(port), *options], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.terminate()
        server.communicate(timeout=15)


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"no server on port {port}")


def said(result: Any) -> str:
    return "\n".join(part.text for part in result.content)
