"""How long `kerf mcp` takes to answer `initialize`, and what a tool call costs besides its verb.

    python bench/mcp_start.py [N]

Starts the server N times (default 10) as an agent does, over standard input and output, and prints the median and the worst wall time from starting
the process to the answer; then the same for `tools/list`, and for a call of `runs` on an empty archive. The aim for `initialize` is 1.5 s. On a
machine that does other work too, the processor time of a start says more: it is printed beside.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

AIM_S = 1.5
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


def ask(server: subprocess.Popen[str], number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    to, back = _pipes(server)
    to.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
    to.flush()
    return dict(json.loads(back.readline())["result"])


def _pipes(server: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert server.stdin and server.stdout
    return server.stdin, server.stdout


def start(home: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "kerf.cli", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERF_HOME": home},
    )


def once(home: str) -> dict[str, float]:
    """Seconds to `initialize`, `tools/list` and one call; and of the processor for a server that only said hello."""
    began = time.perf_counter()
    with start(home) as server:
        ask(server, 1, "initialize", HELLO)
        marks = {"initialize": time.perf_counter() - began}
        _pipes(server)[0].write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        marks["tools/list"] = timed(server, 2, "tools/list", {})
        marks["call of runs"] = timed(server, 3, "tools/call", {"name": "runs", "arguments": {}})
    before = spent()
    with start(home) as server:
        ask(server, 1, "initialize", HELLO)
    return {**marks, "start, CPU": spent() - before}


def timed(server: subprocess.Popen[str], number: int, method: str, params: dict[str, Any]) -> float:
    began = time.perf_counter()
    ask(server, number, method, params)
    return time.perf_counter() - began


def spent() -> float:
    """Processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as home:
        rows = [once(home) for _ in range(count)]
    for name in rows[0]:
        times = [r[name] for r in rows]
        print(f"{name:<14} median {statistics.median(times):.3f} s   worst {max(times):.3f} s   of {count}")
    median = statistics.median(r["initialize"] for r in rows)
    print(f"aim            initialize in {AIM_S} s: {'met' if median < AIM_S else 'missed'}")


if __name__ == "__main__":
    main()
