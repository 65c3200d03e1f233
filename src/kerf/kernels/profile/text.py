"""A profile as text."""

from __future__ import annotations

from collections.abc import Iterator

from kerf.kernels.profile.record import HotLoop, Profile, Roof
from kerf.kernels.profile.traffic import Access

MOST_ASSEMBLY, MOST_SOURCE, MOST_ACCESSES = 10, 5, 3


def as_text(profile: Profile) -> str:
    """Time, roofline, places, findings, loops, in this order."""
    lines = [
        f"{profile.problem}, candidate {profile.candidate}: {seconds(profile.time_s)} a call ({profile.time_source}), {profile.threads} thread(s), {profile.chip} at {profile.clock_hz / 1e9:.1f} GHz",
        *_roof(profile.roof),
        "time      "
        + (", ".join(f"{p.share:.0%} {p.where}" for p in profile.places) or "not sampled")
        + f" ({profile.samples} samples)",
        "",
        "What limits it",
        *(f"- {text}" for text in profile.findings or ("nothing that this profile can see",)),
    ]
    for number, loop in enumerate(profile.loops, 1):
        lines += ["", *_loop(number, loop, full=number == 1)]
    if profile.missing:
        lines += ["", *(f"not available: {text}" for text in profile.missing)]
    return "\n".join(lines)


def seconds(value: float) -> str:
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def _amount(value: float) -> str:
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} "


def _roof(roof: Roof | None) -> Iterator[str]:
    if roof is None:
        yield "roofline  not available: no compiler for its probes"
        return
    levels = ", ".join(f"{name} {seconds(t)}" for name, t in roof.levels_s.items())
    yield f"work      {_amount(roof.flops)}flop, {_amount(roof.bytes)}B to move at least"
    yield f"floor     arithmetic {seconds(roof.arithmetic_s)} (peak {roof.peak_gflops:.0f} GFLOP/s); bytes from {levels}; this working set is of {roof.level}"
    yield f"roofline  {roof.share:.0%} of the {roof.bound} bound of {seconds(roof.bound_s)}"


def _loop(number: int, loop: HotLoop, full: bool) -> Iterator[str]:
    where = f", C lines {loop.lines[0]}-{loop.lines[1]}" if loop.lines else ""
    trips = f", {loop.trips:.0f} iterations at a time" if loop.trips else ""
    yield f"Loop {number}: {loop.share:.0%} of the time, in {loop.function}{where}{trips}"
    yield from (f"  | {line.rstrip()[:130]}" for line in _middle(loop.source, MOST_SOURCE if full else 2))
    kinds = ", ".join(
        f"{n} {k}" for k, n in sorted(loop.kinds.items(), key=lambda item: -item[1]) if k != "nothing"
    )
    width = f"{loop.vector_bits}-bit vectors" if loop.vector_bits else "scalar"
    yield f"  {loop.instructions} instructions, {width}: {kinds}; an iteration does {loop.flops:.0f} flop, reads {loop.read_bytes:.0f} B, writes {loop.written_bytes:.0f} B; {loop.spilled} stack accesses"
    yield from (f"  compiler, line {r.line}: {r.text}" for r in loop.remarks[: 3 if full else 1])
    yield from _estimate(loop)
    yield from (f"  {_access(a)}" for a in _telling(loop.accesses)[: MOST_ACCESSES if full else 1])
    if full:
        yield from (f"    {text[:100]}" for text in _middle(loop.assembly, MOST_ASSEMBLY))


def _estimate(loop: HotLoop) -> Iterator[str]:
    e = loop.estimate
    if e:
        ports = ", ".join(f"{k} {v:.1f}" for k, v in sorted(e.ports.items(), key=lambda item: -item[1])[:4])
        seen = f"; it took about {loop.cycles_seen:.1f}" if loop.cycles_seen else ""
        yield f"  cycles an iteration if all is in L1: {e.cycles:.1f} (ports: {ports}; loop-carried chain {e.chain:.1f}){seen}"
    if loop.opinion:
        o = loop.opinion
        yield f"  llvm-mca ({o.cpu}): {o.cycles:.1f} cycles; waiting for results {o.dependencies:.0%}, for ports {o.resources:.0%}"


def _telling(accesses: tuple[Access, ...]) -> list[Access]:
    """Those that are not served by L1 first, then the longest strides."""
    return sorted(accesses, key=lambda a: (a.l1, -abs(a.stride or 0)))


def _access(a: Access) -> str:
    step = f"steps {a.stride} B" if a.stride is not None else "no steady step"
    hits = f"L1 {a.l1:.0%}, L2 {a.l2:.0%}, beyond {a.beyond:.0%}, first touch {a.first:.0%}"
    return f"{'store' if a.store else 'load '} {a.text[:48]:<48} {step}, {a.used:.0f} of 64 B used; simulated: {hits}"


def _middle(lines: tuple[str, ...], most: int) -> list[str]:
    """At most so many lines; what is left out is counted."""
    if len(lines) <= most:
        return list(lines)
    head = most * 2 // 3
    return [*lines[:head], f"... {len(lines) - most + 1} more", *lines[len(lines) - (most - head - 1) :]]
