"""Run one command (a compiler, a simulator) under limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kerf.sandbox.isolation import isolation
from kerf.sandbox.policy import SYSTEM, Policy, enter

TOOLS = (
    "/usr/bin",
    "/bin",
    "/usr/libexec",
    "/usr/include",
    "/usr/local/include",
    "/usr/local/bin",
    "/etc/alternatives",
    *SYSTEM,
)


@dataclass(frozen=True)
class Completed:
    """`returncode` is negative for a signal; None when it ran past its time."""

    returncode: int | None
    output: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        return self.returncode is None


def run_command(argv: Sequence[str], *, cwd: Path, timeout_s: float, read: Sequence[str] = (), memory_bytes: int = 4 << 30,
                file_bytes: int = 256 << 20, env: Mapping[str, str] | None = None, trust: bool = False) -> Completed:  # fmt: skip
    """`argv` in `cwd`, which is the only folder it may write; it may read that, the system's tools and `read`. No network; killed
    with all its children after `timeout_s`. Output is standard output and error together. Without `trust`, KerfError where the
    machine cannot isolate."""
    here = isolation()
    if not trust:
        here.require()
    policy = Policy(
        (*TOOLS, *read), (str(cwd),), memory_bytes, file_bytes, 1024, threads=64, children=True, trust=trust
    )
    confined = here.sufficient and sys.platform.startswith("linux")
    started = time.monotonic()
    process = subprocess.Popen(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TMPDIR": str(cwd), **(env or {})},
        preexec_fn=(lambda: _confine(policy)) if confined else None, start_new_session=not confined,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=timeout_s)[0]
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, code = process.communicate()[0], None
    return Completed(code, said[: 1 << 20].decode(errors="replace"), time.monotonic() - started)


def _confine(policy: Policy) -> None:
    enter(replace(policy, namespaces=True))
