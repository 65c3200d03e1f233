"""The evaluator's clocks: a worker's CPU time read from outside, contention, and one timed phase at a time on a machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def cpu_clock(pid: int) -> int:
    """The clock id of all CPU time of a process (clock_getcpuclockid(3)): every thread of it, exact to the nanosecond."""
    return ((~pid) << 3) | 2


def cpu_time(pid: int) -> float:
    """Seconds of CPU that the process has used."""
    return time.clock_gettime(cpu_clock(pid))


def waited(pid: int) -> float:
    """Seconds that the process's threads stood ready without a core: contention. 0 where the kernel does not count it."""
    fields = (text.split() for text in _of_threads(pid, "schedstat"))
    return sum(int(f[1]) for f in fields if len(f) > 1) * 1e-9


def stopped(pid: int) -> bool:
    """True when every thread of the process is stopped (or gone)."""
    return all(text.rpartition(b")")[2].split()[0] in b"TtZX" for text in _of_threads(pid, "stat"))


def _of_threads(pid: int, name: str) -> Iterator[bytes]:
    """A file of /proc for each thread of a process that is still there."""
    with suppress(OSError):  # the process ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):  # the thread ended
                fd = os.open(f"/proc/{pid}/task/{thread}/{name}", os.O_RDONLY)
                try:
                    yield os.read(fd, 4096)
                finally:
                    os.close(fd)


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
