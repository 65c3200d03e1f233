"""Workers as the evaluator holds them: started, called, timed from outside, stopped between calls, killed."""

from __future__ import annotations

import atexit
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerf
from kerf.core.types import KerfError
from kerf.kernels.referee import clock
from kerf.kernels.referee.pool import Pool
from kerf.kernels.referee.protocol import Fds, answer, pair, read_answer, send
from kerf.kernels.referee.worker import cushion_bytes, serve, steady_allocator
from kerf.sandbox import SYSTEM, Policy, isolation, python_folders

if TYPE_CHECKING:
    from kerf.kernels.referee.case import Case

STOP_TIMEOUT_S = 20.0  # a process takes a signal when it next gets a core: seconds, on a full machine
START_TIMEOUT_S = 60.0
OMP_PAUSE_HARD = 2


class Ended(Exception):
    """The worker did not answer: `status` is its exit code (negative for a signal), None when it ran past its time."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"worker ended with {status}")
        self.status = status


@dataclass(frozen=True)
class Timing:
    """Seconds of one message: `cpu` is everything the process used since the last one ended, so work done between calls is
    charged to the next; `wall` from sending to the answer; `waited`: ready, but without a core."""

    cpu: float
    wall: float
    waited: float


@dataclass
class Worker:
    """One process on the other side of `channel`. Stopped (SIGSTOP) whenever no message is under way."""

    pid: int
    channel: socket.socket
    outputs: Pool
    reap: Callable[[int], int]
    force: dict[str, Any] = field(default_factory=dict)
    used: float = 0.0
    delayed: float = 0.0
    alive: bool = True

    def settle(self) -> None:
        """Stop it and take its clocks as the starting point of the next call."""
        self._stop()
        self.used, self.delayed = clock.cpu_time(self.pid), clock.waited(self.pid)

    def ask(self, message: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], Timing]:
        """Send, wait, stop. Raises Ended when it dies, talks nonsense, has answered before it was asked (an early answer to the call before,
        on a core that it shares with us, comes with the true one) or takes too long (it is dead afterwards)."""
        if select.select([self.channel], [], [], 0)[0]:
            raise self._ended()
        started = time.perf_counter()
        try:
            os.kill(self.pid, signal.SIGCONT)
            send(self.channel, message)
            ready = select.select([self.channel], [], [], timeout_s)[0]
        except OSError:
            raise self._ended() from None
        if not ready:
            self.kill()
            raise Ended(None)
        reply = read_answer(self.channel)
        wall = time.perf_counter() - started
        if reply is None:
            raise self._ended()
        return reply, self._reading(wall)

    def _reading(self, wall: float) -> Timing:
        try:
            self._stop()
            used, delayed = clock.cpu_time(self.pid), clock.waited(self.pid)
        except OSError:
            raise self._ended() from None
        timing = Timing(used - self.used, wall, delayed - self.delayed)
        self.used, self.delayed = used, delayed
        return timing

    def _stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not clock.stopped(self.pid):
            if time.monotonic() > deadline:
                raise self._ended()
            time.sleep(0)

    def _ended(self) -> Ended:
        """It closed its side: give it a moment to die of what it did, then make sure."""
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline and not _gone(self.pid):
            time.sleep(0.002)
        return Ended(self.kill())

    def kill(self) -> int:
        """End it (and its pid namespace) and return its exit status."""
        if not self.alive:
            return 0
        self.alive = False
        with suppress(ProcessLookupError):  # already gone: the status says how
            os.kill(self.pid, signal.SIGKILL)
        status = self.reap(self.pid)
        self.channel.close()
        self.outputs.close()
        return status


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


class Zygote:
    """The warm process that candidates' workers are forked from. Replaced when it dies."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self.lock = threading.Lock()

    def fork(
        self,
        outputs: Pool,
        inputs: Pool,
        params: Pool,
        policy: Policy | None,
        entry: str,
        *,
        writable: bool = False,
    ) -> Worker:
        """A new worker over these pools; `policy` None means trusted code. Ended when it cannot enter its sandbox."""
        with self.lock:
            channel = self._running()
            mine, theirs = pair()
            message = {
                "op": "fork",
                "policy": policy,
                "entry": entry,
                "writable": writable,
                "pid_namespace": policy is not None and isolation().pid,
            }
            send(channel, message, [theirs.fileno(), inputs.fd, outputs.fd, params.fd])
            theirs.close()
            said = self._answer(channel)
        worker = Worker(said["pid"], mine, outputs, self._reap)
        ready = select.select([mine], [], [], 30)[0]
        first = read_answer(mine) if ready else None
        if first is None:
            raise Ended(worker.kill())
        worker.force = {**first.get("force", {}), "pid": said["pid_namespace"]}
        worker.settle()
        return worker

    def _reap(self, pid: int) -> int:
        with self.lock:
            if self.channel is None or self.process is None or self.process.poll() is not None:
                return -int(signal.SIGKILL)
            send(self.channel, {"op": "reap", "pid": pid})
            return int(self._answer(self.channel)["status"])

    def _answer(self, channel: socket.socket) -> dict[str, Any]:
        ready = select.select([channel], [], [], 60)[0]
        found = read_answer(channel) if ready else None
        if found is None:
            self.close()
            raise Ended(None)
        return found

    def _running(self) -> socket.socket:
        if self.channel is None or self.process is None or self.process.poll() is not None:
            self._start()
        assert self.channel is not None
        return self.channel

    def _start(self) -> None:
        self.close()
        mine, theirs = pair()
        command = [sys.executable, "-m", "kerf.kernels.referee.zygote", str(theirs.fileno())]
        self.process = subprocess.Popen(command, env=self._environment(), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        theirs.close()
        self.channel = mine
        if not select.select([mine], [], [], 120)[0] or read_answer(mine) is None:
            self.close()
            raise KerfError(
                "the referee's worker process did not start: check that `python -c 'import torch'` works here"
            )

    def _environment(self) -> dict[str, str]:
        one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(kerf.__file__).parent.parent), "HOME": "/nonexistent",
                "OMP_NUM_THREADS": str(self.threads), "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000", **one}  # fmt: skip

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.channel = self.process = None


def candidate_policy(case: Case, folder: Path, threads: int, trust: bool) -> Policy:
    """What a candidate's worker may do: read the system's libraries, Python's packages and its own folder, and use memory in
    proportion to the problem."""
    memory = (
        (1 << 30)
        + 6 * (case.inputs.size + case.output_bytes + case.params.size)
        + cushion_bytes(case.output_bytes)
    )
    read = (*SYSTEM, *python_folders(), str(folder))
    return Policy(read=read, memory_bytes=memory, threads=threads, trust=trust)


@cache
def zygote(threads: int) -> Zygote:
    """One per thread count in this process, started when first used, ended with it."""
    found = Zygote(threads)
    atexit.register(found.close)
    return found


def trusted_worker(
    outputs: Pool, inputs: Pool, params: Pool, make: Callable[[], Any], threads: int
) -> Worker:
    """A worker forked from this very process, for baselines: `make` gives the module, inside the worker. It runs in the worker's main
    thread, as a candidate does: the allocator of any other thread maps and unmaps large blocks at every call, and the page faults
    would make a baseline look several times slower than it is."""
    mine, theirs = pair()
    fds = Fds(os.dup(inputs.fd), os.dup(outputs.fd), os.dup(params.fd))
    clean = _end_openmp_threads()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the evaluator's to handle
        arguments = (theirs, mine, fds, make, threads)
        if clean:
            _trusted_main(*arguments)
        thread = threading.Thread(target=_trusted_main, args=arguments)
        thread.start()
        thread.join()
        os._exit(0)
    theirs.close()
    for fd in (fds.inputs, fds.outputs, fds.params):
        os.close(fd)
    worker = Worker(pid, mine, outputs, _reap_child)
    if not select.select([mine], [], [], START_TIMEOUT_S)[0] or read_answer(mine) is None:
        raise Ended(worker.kill())
    return worker


def _end_openmp_threads() -> bool:
    """End this thread's OpenMP pool (OpenMP 5.0, 3.2.44: omp_pause_resource_all), which a fork would leave behind as threads that are
    not there. False where the runtime cannot: then only a fresh thread has no such pool."""
    done = True
    for path in _openmp_libraries():
        pause = getattr(ctypes.CDLL(path), "omp_pause_resource_all", None)
        done = pause is not None and pause(OMP_PAUSE_HARD) == 0 and done
    return done


def _openmp_libraries() -> set[str]:
    """The OpenMP runtimes that are loaded in this process."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return set()
    paths = {line.split()[-1] for line in lines if "/" in line}
    return {p for p in paths if Path(p).name.startswith(("libgomp", "libomp", "libiomp"))}


def _trusted_main(
    own: socket.socket, other: socket.socket, fds: Fds, make: Callable[[], Any], threads: int
) -> None:
    import torch

    from kerf.sandbox import linux

    status = 1
    try:
        other.close()
        linux.prctl(linux.PR_SET_PDEATHSIG, int(signal.SIGKILL))
        steady_allocator()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        answer(own, {"ok": True})  # from here on it dies with its parent, so it may be stopped
        serve(own, fds, make())
        status = 0
    except BaseException:
        traceback.print_exc()  # trusted code: a failure here is a bug or a reference that does not run
    finally:
        os._exit(status)


def _reap_child(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0
