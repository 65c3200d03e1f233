"""Profile a candidate: build it, watch it, and say what limits it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from kerf.core import temporary
from kerf.core.types import Candidate, KerfError
from kerf.kernels.problem import KernelProblem
from kerf.kernels.profile import collect, findings, mca
from kerf.kernels.profile.disassembly import disassemble
from kerf.kernels.profile.loops import Machine
from kerf.kernels.profile.record import HotLoop, Place, Profile, Roof
from kerf.kernels.roofline import Roofline, roofline
from kerf.kernels.targets.cpu import native

MOST_PLACES, LEAST_SHARE = 5, 0.01
DOMINATES = 0.7  # share of the time from which one loop stands for the whole
CONTRACTION = 8  # operations a byte from which multiply-adds are what a problem is about


def profile_candidate(
    problem: KernelProblem,
    candidate: Candidate,
    threads: int = 1,
    *,
    measured_s: float | None = None,
    trust: bool = False,
) -> Profile:
    """The candidate's profile on the problem's inputs. `measured_s`: seconds a call by the referee, where they are known; else the time is
    measured here, which is no verdict. KerfError where the candidate does not build or run, or the machine cannot confine it (`trust`)."""
    with temporary.folder("profile") as folder:
        seen = collect.observe(problem, candidate, Path(folder), threads=threads, trust=trust)
        code = disassemble(seen.library) if seen.library else None
        loops = Machine(seen, code, native()).hot() if code else ()
    time_s = measured_s or seen.time_s
    profile = Profile(
        candidate=candidate.id,
        problem=problem.name,
        chip=native().name,
        threads=threads,
        time_s=time_s,
        time_source="referee" if measured_s else f"measured here, median of {seen.calls} calls",
        clock_hz=seen.clock_hz,
        samples=sum(p.count for p in seen.places),
        roof=_roof(problem, time_s, threads),
        places=_places(seen, code is not None),
        loops=tuple(with_cycles(x, problem, time_s * seen.clock_hz) if threads == 1 else x for x in loops),
        missing=_missing(seen, code is not None, loops),
    )
    return replace(profile, findings=tuple(findings.findings(profile, native())))


def with_cycles(loop: HotLoop, problem: KernelProblem, cycles: float) -> HotLoop:
    """The loop with the cycles that an iteration took (of one thread), if it does nearly all: a contraction's operations over those of an iteration count
    its iterations, as do the bytes of a problem that has few operations for each of them."""
    flops, moved = problem.flops_bytes()
    if loop.share < DOMINATES:
        return loop
    if flops > CONTRACTION * moved and loop.flops:
        return replace(loop, cycles_seen=cycles * loop.share * loop.flops / flops)
    own = loop.read_bytes + loop.written_bytes
    if flops <= moved and own and not loop.spilled and not loop.calls:
        return replace(loop, cycles_seen=cycles * loop.share * own / moved)
    return loop


def _roof(problem: KernelProblem, seconds: float, threads: int) -> Roof | None:
    try:
        roof: Roofline = roofline(threads)
    except KerfError:
        return None
    (flops, moved), products = problem.flops_bytes(), problem.products
    level = next((x.level for x in roof.bandwidth[:-1] if moved <= x.bytes), roof.bandwidth[-1].level)
    return Roof(
        flops=flops,
        bytes=moved,
        peak_gflops=flops / (roof.arithmetic(flops, products) * 1e9) if flops else roof.peak_gflops,
        arithmetic_s=roof.arithmetic(flops, products),
        levels_s={x.level: moved / (x.best * 1e9) for x in roof.bandwidth},
        level=level,
        bound_s=roof.bound(flops, moved, products=products),
        bound=roof.limit(flops, moved, products=products),
        share=roof.share(seconds, flops, moved, products=products),
    )


def _places(seen: collect.Observed, named: bool) -> tuple[Place, ...]:
    """Time by function: of the candidate's own code, of libraries, of the interpreter."""
    total = sum(p.count for p in seen.places)
    counts: Counter[tuple[str, bool]] = Counter()
    for place in seen.places:
        own = seen.library is not None and place.file == str(seen.library)
        counts[_named(place, own), own] += place.count
    return tuple(
        Place(where, n / total, own)
        for (where, own), n in counts.most_common(MOST_PLACES)
        if n >= LEAST_SHARE * total
    )


def _named(place: collect.Place, own: bool) -> str:
    file = Path(place.file).name or "the kernel's own pages"
    if own:
        return "the candidate's code"
    if file.startswith(("python", "libpython", "_ctypes", "libffi", "ld-linux", "libtorch_python")):
        return "Python and its calls"
    if file.startswith("libc.so"):
        return "libc (allocation, copies)"
    if file.startswith(("libgomp", "libomp", "libiomp")):
        return "threads that wait for others (OpenMP)"
    return "the math library" if file.startswith(("libm.so", "libmvec")) else file


def _missing(seen: collect.Observed, code: bool, loops: tuple[HotLoop, ...]) -> tuple[str, ...]:
    """What could not be looked at, and what would add it."""
    found = []
    if not seen.sampling:
        found.append("where the time goes: this system gives no timer signals")
    if seen.library and not code:
        found.append("assembly: no objdump. Add it with: apt-get install binutils")
    if loops and mca.find_mca() is None:
        found.append("llvm-mca's estimate: not installed. Add it with: apt-get install llvm")
    if seen.library and seen.steps is None:
        found.append(
            "strides and cache misses: single stepping works on x86-64 only, and no instruction was caught"
        )
    return tuple(found)
