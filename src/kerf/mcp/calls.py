"""A tool call: the verb in a child process, its progress as notifications, its end as the tool's result.

Clients drop a call that is silent for long (most after 60 s), so a heartbeat repeats the last progress; a client that gives up cancels, and
the child is interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from kerf.core.verb import Verb

HEARTBEAT_S = 15.0
GRACE_S = 20.0
"""How long an interrupted verb may take to keep what it has, before it is killed."""

Report = Callable[[float, float | None, str], Awaitable[None]]


@dataclass
class Rising:
    """Progress as the protocol wants it: every value above the one before. `share` of the budget where a verb has one, in percent;
    otherwise only the message says how far it is."""

    report: Report
    value: float = 0.0
    total: float | None = None
    message: str = "started"
    said_s: float = 0.0

    async def tell(self, message: str | None = None, share: float | None = None) -> None:
        self.value = round(self.value + 0.001, 3)
        if share is not None:
            self.value, self.total = max(self.value, round(min(99.0, 100 * share), 3)), 100.0
        self.message, self.said_s = message or self.message, time.monotonic()
        await self.report(self.value, self.total, self.message)

    async def beat(self) -> None:
        """Never ends."""
        while True:
            await anyio.sleep(HEARTBEAT_S)
            if time.monotonic() - self.said_s >= HEARTBEAT_S:
                await self.tell()


async def run(verb: Verb, arguments: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """The child's last message: {"result", "text", "failed"} or {"error"}. `arguments` have been checked."""
    rising, last = (
        Rising(report),
        {"error": f"kerf {verb.name} ended without a word; its standard error is this server's"},
    )
    async with _child() as child, anyio.create_task_group() as beside:
        beside.start_soon(rising.beat)
        assert child.stdin is not None
        await child.stdin.send(json.dumps({"verb": verb.name, "arguments": dict(arguments)}).encode() + b"\n")
        async for message in _messages(child):
            if "message" in message:
                await rising.tell(message["message"], message.get("share"))
            else:
                last = message
                break  # what the verb left running may hold the pipe open
        beside.cancel_scope.cancel()
    return last


async def _messages(child: Process) -> AsyncIterator[dict[str, Any]]:
    assert child.stdout is not None
    rest = ""
    async for text in TextReceiveStream(child.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield json.loads(line)


@asynccontextmanager
async def _child() -> AsyncIterator[Process]:
    """Interrupted, then killed with all it started, where the caller is cancelled. `-P`: the user's folder must not shadow modules."""
    command = [sys.executable, "-P", "-m", "kerf.mcp.child"]
    child = await anyio.open_process(command, stderr=None, start_new_session=True)
    try:
        yield child
        await child.wait()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(child)
            await child.aclose()


async def _end(child: Process) -> None:
    for sign, patience_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, GRACE_S)):
        if child.returncode is not None:
            return
        with suppress(ProcessLookupError):
            _signal_group(child, sign)
        with anyio.move_on_after(patience_s):
            await child.wait()


def _signal_group(child: Process, sign: signal.Signals) -> None:
    """As a terminal would: to the verb and to the processes it started."""
    os.killpg(child.pid, sign)
