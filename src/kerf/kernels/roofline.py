"""The machine's roofline: peak arithmetic and bandwidth by working-set size, measured once and cached.

The model: a kernel can take no less time than its arithmetic at the peak rate, nor than the bytes it must move at the best bandwidth
that was measured for a working set of that size (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009).
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.kernels.targets.cpu import Chip, native
from kerf.toolchain.compilers import cache_folder, compile_library, find_compiler, native_flags

KINDS = ("read", "write", "copy", "triad")
SAMPLE_S = 2e-3  # one sample: long against the clock's own cost, short against a scheduling quantum
SAMPLES = 9


@dataclass(frozen=True)
class Level:
    """Bandwidth in GB/s for working sets up to `bytes` (in all, over every thread)."""

    level: str
    bytes: int
    read: float
    write: float
    copy: float
    triad: float

    @property
    def best(self) -> float:
        return max(self.read, self.write, self.copy, self.triad)


@dataclass(frozen=True)
class Roofline:
    """`peak_gflops`: of float32 vectors; multiply-adds count 2. `product_gflops`: of float32 products on matrix registers, each six products of
    bfloat16 parts (see `codegen.amx`); 0 where there are none. Levels from the nearest cache to memory."""

    chip: str
    threads: int
    peak_gflops: float
    bandwidth: tuple[Level, ...]
    product_gflops: float = 0.0

    def arithmetic(self, flops: float, products: float = 0.0) -> float:
        """The fewest seconds that so many operations take, of which `products` are those of float32 matrix products."""
        fast = max(self.product_gflops, self.peak_gflops)
        return (flops - products) / (self.peak_gflops * 1e9) + products / (fast * 1e9)

    def bandwidth_at(self, working_set: int) -> float:
        """The best GB/s of any kind of access for a working set of so many bytes. Just above the last cache part of the data
        stays in it, so there the figure falls, on a logarithmic scale, to that of memory at four times its size."""
        *caches, memory = self.bandwidth
        for level in caches:
            if working_set <= level.bytes:
                return level.best
        last = caches[-1]
        t = min(1.0, math.log(working_set / last.bytes) / math.log(4.0))
        return float(last.best ** (1 - t) * memory.best**t)

    def bound(
        self, flops: float, bytes_moved: float, working_set: float | None = None, products: float = 0.0
    ) -> float:
        """The fewest seconds that so many operations and bytes can take. `working_set` (default: the bytes) decides the level."""
        arithmetic = self.arithmetic(flops, products)
        return max(arithmetic, bytes_moved / (self.bandwidth_at(int(working_set or bytes_moved or 1)) * 1e9))

    def share(
        self,
        seconds: float,
        flops: float,
        bytes_moved: float,
        working_set: float | None = None,
        products: float = 0.0,
    ) -> float:
        """bound / seconds: 1.0 is a kernel on the roof."""
        return self.bound(flops, bytes_moved, working_set, products) / seconds

    def limit(
        self, flops: float, bytes_moved: float, working_set: float | None = None, products: float = 0.0
    ) -> str:
        """ "compute" or "memory": which of the two the bound comes from."""
        return (
            "compute"
            if self.arithmetic(flops, products) >= self.bound(flops, bytes_moved, working_set, products)
            else "memory"
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@cache
def _cached(threads: int) -> Roofline:
    path = _cache_path(threads)
    if path.exists():
        try:
            return _from_json(json.loads(path.read_text()))
        except (ValueError, TypeError, KeyError):
            path.unlink()  # a half-written or older file: measure again
    found = measure(threads)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(found.as_json()))
    os.replace(scratch, path)
    return found


def roofline(threads: int = 1, *, again: bool = False) -> Roofline:
    """The roofline of this machine with so many threads: cached under the chip's fingerprint in the user's cache folder, else
    measured (about 2 s). KerfError when there is no compiler."""
    if again:
        _cached.cache_clear()
        _cache_path(threads).unlink(missing_ok=True)
    return _cached(threads)


def _from_json(data: dict[str, Any]) -> Roofline:
    return Roofline(**{**data, "bandwidth": tuple(Level(**level) for level in data["bandwidth"])})


def _cache_path(threads: int) -> Path:
    key = hashlib.sha256((_source() + find_compiler().version).encode()).hexdigest()[:8]
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in native().fingerprint)
    return cache_folder().parent / "roofline" / f"{name}-{threads}t-{key}.json"


# ---------------------------------------------------------------- measuring


def _source() -> str:
    return (files("kerf.kernels") / "probes.c").read_text()


def measure(threads: int, chip: Chip | None = None) -> Roofline:
    """Compile the probes and run them in a process of their own (an OpenMP pool here would make later forks unsafe)."""
    machine = chip or native()
    build = compile_library(_source(), native_flags(machine.machine, machine.vector_bits))
    if build.library is None:
        raise KerfError(
            f"the roofline's probes do not compile with {find_compiler().path}: {build.log.strip()[:400]}"
        )
    levels = {name: [size, first] for name, size, first in _levels(machine, threads)}
    request = json.dumps({"library": str(build.library), "threads": threads, "levels": levels})
    said = subprocess.run(
        [sys.executable, "-m", __name__, request],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_DYNAMIC": "false"},
    )
    if said.returncode != 0:
        raise KerfError(f"measuring the roofline failed: {said.stderr.strip()[-400:]}")
    return _from_json({"chip": machine.name, "threads": threads, **json.loads(said.stdout)})


def _levels(chip: Chip, threads: int) -> list[tuple[str, int, int]]:
    """(name, capacity over the threads, working set of the probe): the probe takes half a cache, and four times the last for memory."""
    l1, l2, l3 = chip.l1_bytes * threads, chip.l2_bytes * threads, chip.l3_bytes
    memory = min(4 * l3, 1 << 30)
    return [
        ("L1", l1, l1 // 2),
        ("L2", l2, l2 // 2),
        ("L3", l3, max(l3 // 2, l2)),
        ("memory", memory, memory),
    ]


class _Probes:
    """The compiled probes, called through ctypes."""

    def __init__(self, library: str, threads: int) -> None:
        self.threads, self.library = threads, ctypes.CDLL(library)
        for probe in (self.library.probe_fma, self.library.probe_products, self.library.probe_bandwidth):
            probe.restype = ctypes.c_double

    def gflops(self) -> float:
        done, rounds = ctypes.c_long(), 200_000
        seconds = self.library.probe_fma(self.threads, ctypes.c_long(rounds), SAMPLES, ctypes.byref(done))
        return float(done.value / seconds / 1e9)

    def product_gflops(self) -> float:
        """0 where there are no matrix registers, or none for this process."""
        done, rounds = ctypes.c_long(), 100_000
        seconds = self.library.probe_products(
            self.threads, ctypes.c_long(rounds), SAMPLES, ctypes.byref(done)
        )
        return float(done.value / seconds / 1e9) if seconds > 0 else 0.0

    def bandwidth(self, kind: int, size: int) -> float:
        """GB/s, the better of ordinary and streaming stores."""
        once = size / 20e9  # a pass at a modest bandwidth, to size the sample
        repeats = max(1, int(SAMPLE_S / once))
        streams = (0,) if kind == 0 else (0, 1)
        return max(self._rate(kind, stream, size, repeats) for stream in streams)

    def _rate(self, kind: int, stream: int, size: int, repeats: int) -> float:
        moved = ctypes.c_long()
        seconds = self.library.probe_bandwidth(
            kind, stream, self.threads, ctypes.c_long(size), repeats, SAMPLES, ctypes.byref(moved)
        )
        if seconds <= 0:
            raise MemoryError(f"no memory for a probe of {size} bytes")
        return float(moved.value / seconds / 1e9)


def _main(text: str) -> None:
    request = json.loads(text)
    probes = _Probes(request["library"], request["threads"])
    levels = [
        {"level": name, "bytes": capacity, **{k: probes.bandwidth(i, size) for i, k in enumerate(KINDS)}}
        for name, (capacity, size) in request["levels"].items()
    ]
    print(
        json.dumps(
            {"peak_gflops": probes.gflops(), "product_gflops": probes.product_gflops(), "bandwidth": levels}
        )
    )


if __name__ == "__main__":
    _main(sys.argv[1])
