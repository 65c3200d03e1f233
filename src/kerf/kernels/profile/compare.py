"""Two profiles side by side: what changed, and whether it shows in the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kerf.kernels.profile.record import HotLoop, Profile
from kerf.kernels.profile.text import seconds

_Number = Callable[[HotLoop], str]


def compare(a: Profile, b: Profile) -> str:
    """How `b` differs from `a`, as text. The profiles should be of one problem and one number of threads; it says where they are not."""
    lines = [
        f"{b.candidate} against {a.candidate}: {seconds(a.time_s)} -> {seconds(b.time_s)} ({a.time_s / b.time_s:.2f} times as fast)"
    ]
    if (a.problem, a.threads) != (b.problem, b.threads):
        lines.append(
            f"not the same work: {a.problem} with {a.threads} thread(s), {b.problem} with {b.threads}"
        )
    if a.time_source.split(",")[0] != b.time_source.split(",")[0]:
        lines.append(f"not the same clock: {a.time_source}; {b.time_source}")
    if a.roof and b.roof:
        lines.append(f"roofline: {a.roof.share:.0%} -> {b.roof.share:.0%} of the {b.roof.bound} bound")
    lines += [*_places(a, b), *_loops(a, b), *_findings(a, b)]
    return "\n".join(lines)


def _places(a: Profile, b: Profile) -> Iterator[str]:
    before, after = ({p.where: p.share * x.time_s for p in x.places} for x in (a, b))
    for where in dict.fromkeys([*before, *after]):
        old, new = before.get(where, 0.0), after.get(where, 0.0)
        if abs(new - old) >= 0.05 * max(a.time_s, b.time_s):
            yield f"in {where}: {seconds(old) if old else '0'} -> {seconds(new) if new else '0'} a call"


def _loops(a: Profile, b: Profile) -> Iterator[str]:
    if not a.loops or not b.loops:
        return
    old, new = a.loops[0], b.loops[0]
    yield f"hottest loop: {_where(old)} -> {_where(new)}"
    rows: tuple[tuple[str, _Number], ...] = (
        ("share of the time", lambda x: f"{x.share:.0%}"),
        ("instructions", lambda x: str(x.instructions)),
        ("vector bits", lambda x: str(x.vector_bits)),
        ("flop an iteration", lambda x: f"{x.flops:.0f}"),
        ("flop a byte read", lambda x: f"{x.flops / x.read_bytes:.2f}" if x.read_bytes else "-"),
        ("flop a cycle at best", lambda x: f"{x.flops / x.estimate.cycles:.1f}" if x.estimate and x.estimate.cycles else "-"),
        ("loop-carried chain, cycles", lambda x: f"{x.estimate.chain:.1f}" if x.estimate else "-"),
        ("busiest resource", lambda x: x.estimate.busiest if x.estimate else "-"),
        ("stack accesses", lambda x: str(x.spilled)),
        ("loads served by L1", _l1),
    )  # fmt: skip
    for name, number in rows:
        if number(old) != number(new):
            yield f"  {name}: {number(old)} -> {number(new)}"


def _where(loop: HotLoop) -> str:
    return loop.function + (f" lines {loop.lines[0]}-{loop.lines[1]}" if loop.lines else "")


def _l1(loop: HotLoop) -> str:
    loads = [a for a in loop.accesses if not a.store]
    count = sum(a.count for a in loads)
    return f"{sum(a.l1 * a.count for a in loads) / count:.0%}" if count else "-"


def _findings(a: Profile, b: Profile) -> Iterator[str]:
    yield from (f"no longer: {text}" for text in a.findings if text not in b.findings)
    yield from (f"now: {text}" for text in b.findings if text not in a.findings)
