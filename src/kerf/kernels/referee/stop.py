"""Why a trial ends before its candidate passed: what a failed reply, or a worker that died, says of the candidate."""

from __future__ import annotations

import errno
import signal
from typing import Any

from kerf.core.types import Status


class Stop(Exception):
    """The verdict is reached."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def died(status: int | None, limit_s: float, doing: str) -> Stop:
    """What the end of its worker means: an exit status, negative for a signal, None where it was killed at its limit."""
    if status is None:
        return Stop(Status.TIMED_OUT, f"{doing} took longer than {limit_s:.0f} s")
    if status == -signal.SIGSYS:
        return Stop(
            Status.REJECTED,
            f"{doing}, it made a system call that the sandbox forbids (a process, a thread beyond the allowed ones, the network, another process's memory)",
        )
    if status >= 0:
        return Stop(
            Status.REJECTED,
            f"{doing}, it ended its own process (exit status {status}) instead of returning",
        )
    name = signal.Signals(-status).name
    return Stop(
        Status.CRASHED,
        f"{doing}, it was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else ""),
    )


def failed(reply: dict[str, Any], doing: str) -> Stop:
    """What an exception inside the worker means. Its words are the candidate's own: they can only harm itself."""
    kind, text = str(reply.get("kind"))[:100], str(reply.get("text"))[:1000]
    if reply.get("errno") in (errno.EPERM, errno.EACCES, errno.EROFS):
        return Stop(Status.REJECTED, f"{doing}, it tried what the sandbox forbids: {kind}: {text}")
    if kind == "Refused":
        return Stop(Status.WRONG, f"{doing}: {text}")
    if kind == "RuntimeError" and "state_dict" in text:
        return Stop(Status.WRONG, f"its state dict differs from the reference's: {text}")
    if kind in ("SystemExit", "KeyboardInterrupt"):
        return Stop(Status.REJECTED, f"{doing}, it raised {kind} instead of returning")
    return Stop(Status.CRASHED, f"{doing}, it raised {kind}: {text}")
