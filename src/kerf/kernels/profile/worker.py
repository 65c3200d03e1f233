"""The process in which a candidate is watched: `python -m kerf.kernels.profile.worker REQUEST`. It confines itself as the referee's workers
do, loads the candidate, calls it on the problem's inputs, and leaves what the sampler saw. Nothing here is a verdict."""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kerf.kernels.referee.worker import _import
from kerf.sandbox import SYSTEM, Policy, enter, isolation, python_folders

PERIOD_NS = 499_000  # odd, so that ticks do not keep step with calls of a round length
TIMED_S, SAMPLED_S = 0.3, 1.0
WINDOWS, WINDOW_STEPS = 4, 20_000
WORDS = 17
ARMED_S = 1.0  # how long a window may wait for a tick inside the candidate's code


class _Where(ctypes.Structure):
    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


@dataclass
class Sampler:
    """sampler.c through ctypes."""

    library: ctypes.CDLL

    def __post_init__(self) -> None:
        self.library.sampler_clock_hz.restype = ctypes.c_double
        for name in ("sampler_samples", "sampler_steps"):
            getattr(self.library, name).restype = ctypes.c_long

    def open(self, threads: int) -> bool:
        most = int(4 * threads * SAMPLED_S / (PERIOD_NS * 1e-9))
        sizes = (ctypes.c_long(n) for n in (PERIOD_NS, most, WINDOWS * WINDOW_STEPS))
        return bool(self.library.sampler_open(*sizes) == 0)

    def watch_all(self, tasks: int) -> None:
        """Besides the main thread, which `open` watches, every other that there is. `tasks`: /proc/self/task, opened while that was allowed."""
        others = sorted(int(name) for name in os.listdir(tasks) if int(name) != os.getpid())
        for number, thread in enumerate(others, 1):
            self.library.sampler_watch(ctypes.c_int(number), ctypes.c_long(thread))

    def samples(self) -> np.ndarray:
        return self._array("sampler_samples", 1).ravel()

    def steps(self) -> np.ndarray:
        return self._array("sampler_steps", WORDS)

    def count(self) -> int:
        at = ctypes.POINTER(ctypes.c_uint64)()
        return int(self.library.sampler_steps(ctypes.byref(at)))

    def _array(self, name: str, words: int) -> np.ndarray:
        at = ctypes.POINTER(ctypes.c_uint64)()
        count = getattr(self.library, name)(ctypes.byref(at))
        if not count:
            return np.zeros((0, words), np.uint64)
        return np.ctypeslib.as_array(at, (count, words)).copy()


def main(request_file: str) -> None:
    request = json.loads(Path(request_file).read_text())
    out = Path(request["out"])
    sampler = Sampler(ctypes.CDLL(request["sampler"]))
    sampling = sampler.open(request["threads"])
    tasks = os.open("/proc/self/task", os.O_RDONLY | os.O_DIRECTORY)
    given = torch.load(request["given"], weights_only=False)
    result = (out / "result.json").open("w")
    _confine(request)
    torch.set_grad_enabled(False)
    torch.set_num_threads(request["threads"])
    call = _loaded(request, given)
    found = {"clock_hz": sampler.library.sampler_clock_hz(), **_timed(call, request["threads"])}
    if sampling and request["threads"] > 1:  # the first calls have started them
        sampler.watch_all(tasks)
    places = _sampled(call, sampler) if sampling else []
    windows = _stepped(call, sampler, places, Path(request["folder"]), out) if sampling else []
    json.dump(found | {"places": places, "windows": windows, "sampling": sampling}, result)
    result.close()


def _confine(request: dict[str, Any]) -> None:
    """Nothing of the user's may be read, one folder written; nothing left of the environment but thread counts."""
    for name in list(os.environ):
        if not name.startswith(("OMP_", "MKL_", "LC_")):
            del os.environ[name]
    os.chdir("/")
    here = isolation()
    if not here.sufficient:
        if not request["trust"]:
            here.require()
        return
    read = (*SYSTEM, *python_folders(), request["folder"])
    enter(
        Policy(
            read,
            (request["out"],),
            file_bytes=1 << 28,
            threads=request["threads"] + 1,
            trust=request["trust"],
        )
    )


def _loaded(request: dict[str, Any], given: dict[str, Any]) -> Callable[[], Any]:
    """One call of the candidate with the problem's inputs and weights."""
    sys.dont_write_bytecode = True
    made, init = _import(str(Path(request["folder"]) / request["entry"])).ModelNew, given["init"]
    module = made(**init) if isinstance(init, dict) else made(*init)
    module.train(given["training"])
    module.load_state_dict(given["state"])
    inputs = given["inputs"]
    if not request["native"]:
        return lambda: module(*inputs)
    outputs = tuple(given["outputs"])
    return lambda: module.run(*inputs, outputs)


def _timed(call: Callable[[], Any], threads: int) -> dict[str, Any]:
    """Median seconds a call: CPU time for one thread, wall time for several, as the referee's clock."""
    clock = time.process_time if threads == 1 else time.perf_counter
    call()
    taken: list[float] = []
    end = time.monotonic() + TIMED_S
    while len(taken) < 5 or (time.monotonic() < end and len(taken) < 10_000):
        start = clock()
        call()
        taken.append(clock() - start)
    return {"time_s": statistics.median(taken), "calls": len(taken)}


def _repeated(call: Callable[[], Any], seconds: float, going: Callable[[], bool] = lambda: True) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and going():
        call()


def _sampled(call: Callable[[], Any], sampler: Sampler) -> list[dict[str, Any]]:
    """Ticks by address: file, its base in memory, the exported symbol, and how many."""
    sampler.library.sampler_on(1)
    _repeated(call, SAMPLED_S)
    sampler.library.sampler_on(0)
    return [
        _place(int(pc)) | {"pc": int(pc), "count": n} for pc, n in Counter(sampler.samples().tolist()).items()
    ]


def _place(pc: int) -> dict[str, Any]:
    process, where = ctypes.CDLL(None), _Where()
    if not process.dladdr(ctypes.c_void_p(pc), ctypes.byref(where)):
        return {"file": "", "base": 0, "symbol": ""}
    return {
        "file": os.fsdecode(where.file or b""),
        "base": where.base or 0,
        "symbol": (where.symbol or b"").decode(errors="replace"),
    }


def _stepped(
    call: Callable[[], Any], sampler: Sampler, places: list[dict[str, Any]], folder: Path, out: Path
) -> list[int]:
    """Step through windows of the candidate's own code, where it has any that runs; how many instructions each has."""
    own = [p for p in places if p["file"].startswith(str(folder))]
    if not own:
        return []
    base, file = Counter({(p["base"], p["file"]): p["count"] for p in own}).most_common(1)[0][0]
    end = base + Path(file).stat().st_size
    ends = [0]
    for _ in range(WINDOWS):
        sampler.library.sampler_step(ctypes.c_uint64(base), ctypes.c_uint64(end), ctypes.c_long(WINDOW_STEPS))
        _repeated(call, ARMED_S, sampler.library.sampler_stepping)
        sampler.library.sampler_disarm()
        ends.append(sampler.count())
    np.save(out / "steps.npy", sampler.steps())
    return [b - a for a, b in pairwise(ends)]


if __name__ == "__main__":
    main(sys.argv[1])
