"""The evaluator's clocks: a worker's CPU time read from outside, contention, and one timed phase at a time on a machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cpu_clock(pid: int) -> int:
    """The clock id of all CPU time of a process (clock_getcpuclockid(3)): every thread of it, exact to the nanosecond."""
    return ((~pid) << 3) | 2


def cpu_time(pid: int) -> float:
    """Seconds of CPU that the process has used."""
    return time.clock_gettime(cpu_clock(pid))


def waited(pid: int) -> float:
    """Seconds that the process's threads stood ready without a core: contention. 0 where the kernel does not count it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue  # the thread ended
    return total * 1e-9


def stopped(pid: int) -> bool:
    """True when every thread of the process is stopped (or gone)."""
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            if task.read_text().rpartition(")")[2].split()[0] not in "TtZX":
                return False
        except (OSError, IndexError):
            continue
    return True


@contextmanager
def alone() -> Iterator[None]:
    """Hold the machine's lock on timed phases (a file in the folder for temporary files, shared by all users)."""
    path = Path(tempfile.gettempdir()) / "kerf-timed-phase.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
