"""A warm process from which candidates' workers are forked: torch is imported, one thread runs, and there is nothing to steal: no
reference, no inputs, no seeds, no problem file. It never runs a line of a candidate itself.

`python -m kerf.kernels.referee.zygote FD`"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from kerf.kernels.referee.protocol import Fds, answer, receive
from kerf.kernels.referee.worker import serve, steady_allocator
from kerf.sandbox import linux
from kerf.sandbox.policy import enter


def main(fd: int) -> None:
    import ctypes  # noqa: F401  (warm: a candidate's own imports should cost nothing)
    import math  # noqa: F401

    import numpy  # noqa: F401

    steady_allocator()
    _warm_libraries()
    linux.prctl(linux.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    sys.dont_write_bytecode = True
    channel = socket.socket(fileno=fd)
    answer(channel, {"ok": True})
    while True:
        message, fds = receive(channel, 8)
        if message is None:
            return
        if message["op"] == "fork":
            _fork(channel, message, fds)
        else:
            answer(channel, {"status": _reap(message["pid"])})


def _warm_libraries() -> None:
    """A product and a convolution: what MKL and oneDNN allocate when they are first used is then there before the fork, as it is in the
    process that the baselines are forked from. Without it candidates' products were 1 to 6 % slower than the same ones of the baselines."""
    import torch

    with torch.no_grad():
        torch.mm(torch.zeros(256, 512), torch.zeros(512, 512))
        torch.nn.functional.conv2d(torch.zeros(1, 16, 16, 16), torch.zeros(16, 16, 3, 3))


def _fork(channel: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    """One worker, in a pid namespace of its own where that can be had (kill one process and all of it is gone)."""
    home = _new_pid_namespace() if message["pid_namespace"] else None
    pid = os.fork()
    if pid == 0:
        _child(channel, message, fds)
    if home is not None:
        linux.setns(home, linux.CLONE_NEWPID)
        os.close(home)
    for fd in fds:
        os.close(fd)
    answer(channel, {"pid": pid, "pid_namespace": home is not None})


def _new_pid_namespace() -> int | None:
    home = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        linux.unshare(linux.CLONE_NEWPID)
        return home
    except OSError:
        os.close(home)
        return None


def _child(channel: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    status = 1
    try:
        channel.close()
        own = socket.socket(fileno=fds[0])
        force: dict[str, Any] = {}
        if message["policy"] is not None:
            _sandbox_view()
            force = enter(message["policy"])
        answer(own, {"ok": True, "force": force})
        serve(own, Fds(*fds[1:4]), None, message["writable"], message["entry"])
        status = 0
    finally:
        os._exit(status)


def _sandbox_view() -> None:
    """Nothing of where this came from: no arguments, no environment beyond the thread counts, standard streams on /dev/null."""
    for name in list(os.environ):
        if not name.startswith(("OMP_", "MKL_", "OPENBLAS_", "MALLOC_", "LC_")):
            del os.environ[name]
    os.chdir("/")


def _reap(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
