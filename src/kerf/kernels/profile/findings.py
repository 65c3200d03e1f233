"""What limits a candidate, in sentences: each names the number it rests on and the change that would move it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from kerf.kernels.profile.record import HotLoop, Profile
from kerf.kernels.profile.traffic import Access, sparsest
from kerf.kernels.targets.cpu import Chip

ON_THE_ROOF = 0.75
MATTERS = 0.15  # of the time: less is not worth a sentence
WAITING = 1.3  # times the busiest resource: from here the chain decides
SLOWER = 1.3  # times the estimate: from here memory is told of
SPILLS = 0.15  # of a loop's instructions


def findings(profile: Profile, chip: Chip) -> Iterator[str]:
    """The weightiest first."""
    roof = profile.roof
    if roof and roof.share >= ON_THE_ROOF:
        what = "only fewer bytes help" if roof.bound == "memory" else "only fewer operations help"
        yield f"It is at {roof.share:.0%} of the {roof.bound} roof: {what} (fusion, smaller types, another algorithm)."
    yield from _elsewhere(profile)
    for number, loop in enumerate(profile.loops, 1):
        if loop.share >= MATTERS:
            yield from (f"Loop {number}: {text}" for text in _of(loop, chip))


def _elsewhere(profile: Profile) -> Iterator[str]:
    for place in profile.places:
        if place.own or place.share < MATTERS:
            continue
        if place.where.startswith("Python"):
            yield f"{place.share:.0%} of the time is Python and its calls: one C function for the whole of forward(), and outputs written where the caller wants them, remove it."
        elif place.where.startswith("libc"):
            yield f"{place.share:.0%} of the time is allocation and copying: hand out fewer or smaller tensors."
        elif place.where.startswith("threads that wait"):
            yield f"{place.share:.0%} of the time is threads that wait for others: their shares of the work are uneven, or too small to be worth starting (other loop, other schedule, fewer and longer parallel regions)."
        elif place.where.startswith("the math"):
            yield f"{place.share:.0%} of the time is the math library, one element a call: write the functions out as arithmetic that the compiler can inline and vectorize."
        else:
            yield f"{place.share:.0%} of the time is in {place.where}, not the candidate's own code: only calling it less, or replacing it, helps."


def _of(loop: HotLoop, chip: Chip) -> Iterator[str]:
    if loop.calls and loop.vector_bits == 0:
        yield f"it calls {', '.join(loop.calls)} for every element, so it cannot be vectorized: write that out as arithmetic (a polynomial) that the compiler can inline."
        return  # what its own instructions cost hides behind the call
    yield from _memory(loop)
    yield from _chain(loop)
    yield from _width(loop, chip)
    yield from _resources(loop)


def _memory(loop: HotLoop) -> Iterator[str]:
    sparse = sparsest(loop.accesses)
    if sparse:
        yield (
            f"the {_name(sparse)} moves {sparse.stride} bytes an iteration and uses {sparse.used:.0f} of the 64 bytes of each line before the loop ends "
            f"({sparse.l1:.0%} of these accesses hit L1): exchange the loops, or pack that operand, so that the inner loop reads it in order."
        )
    worst = min(
        (a for a in loop.accesses if not a.store and a.l1 < 0.7 and a.l2 + a.beyond > 0.3),
        key=lambda a: a.l1,
        default=None,
    )
    if worst and worst != sparse:
        yield f"the {_name(worst)} comes from L1 in {worst.l1:.0%}, from L2 in {worst.l2:.0%} of its executions: block the loops so that what is used again is still in L1."
    if loop.spilled > SPILLS * loop.instructions:
        yield f"{loop.spilled} of its {loop.instructions} instructions load or store the stack: too many values are alive for the registers; a smaller tile needs none."
    if loop.estimate and loop.cycles_seen and _starved(loop):
        and_stack = " and the stack" if loop.spilled > SPILLS * loop.instructions else ""
        yield f"an iteration takes about {loop.cycles_seen:.1f} cycles where its instructions need {loop.estimate.cycles:.1f} if all is in L1: the rest is waiting for memory{and_stack} (smaller blocks, packing, prefetching, fewer passes)."


def _starved(loop: HotLoop) -> bool:
    """Whether memory, not its instructions, is seen to decide."""
    e = loop.estimate
    return e is not None and loop.cycles_seen is not None and loop.cycles_seen > SLOWER * e.cycles


def _name(access: Access) -> str:
    return f"{'store' if access.store else 'load'} {access.text}"


def _waits(loop: HotLoop) -> bool:
    """Whether the chain decides. A stretch that is hardly ever repeated has none."""
    e = loop.estimate
    return (
        e is not None
        and bool(e.links)
        and e.chain >= WAITING * e.throughput
        and (loop.trips is None or loop.trips >= 4)
    )


def _chain(loop: HotLoop) -> Iterator[str]:
    e = loop.estimate
    if e is None or not _waits(loop):
        return
    head = f"each iteration waits {e.chain:.0f} cycles for the one before it through {_short(e.links)}, while the ports need {e.throughput:.1f}: "
    lanes = [link for link in e.links if re.match(r"v?(add|sub|mul|max|min)ss", link)]
    if len(lanes) > 1 and len(lanes) == len(e.links):
        yield (
            head
            + "elements are added one after the other, because the order of float additions is fixed. Keep several vector accumulators (one sum a lane) and add them up after the loop."
        )
    else:
        ways = math.ceil(e.chain / max(e.throughput, 0.5))
        yield head + f"up to {ways} independent accumulators (or rows, or columns, at once) would hide it."


def _short(links: tuple[str, ...]) -> str:
    return links[0] + (f" and {len(links) - 1} more" if len(links) > 1 else "")


def _width(loop: HotLoop, chip: Chip) -> Iterator[str]:
    if loop.scalar_math and loop.vector_bits == 0:
        done = any(r.done for r in loop.remarks)
        why = (
            ""
            if done
            else next((f" The compiler says at line {r.line}: {r.text}." for r in loop.remarks), "")
        )
        yield f"its arithmetic is scalar: {chip.lanes} float32 values fit a vector of this chip.{why}"
    elif 0 < loop.vector_bits < chip.vector_bits:
        yield f"its vectors have {loop.vector_bits} bits of the chip's {chip.vector_bits}."


def _resources(loop: HotLoop) -> Iterator[str]:
    e = loop.estimate
    if e is None or _waits(loop) or _starved(loop):
        return
    yield f"at its best {e.throughput:.1f} cycles an iteration: {_FULL[e.busiest]}"


_FULL = {
    "load": "the load ports are full: keep more in registers (a larger register tile), so that each loaded value is used more often.",
    "store": "the store ports are full: keep results in registers, and store them once.",
    "shuffle": "the shuffle port is full: lay the data out so that lanes need no rearranging.",
    "divide": "the divider is full: multiply by a reciprocal, or divide once outside.",
    "front end": "the front end is full: fewer, wider instructions (unrolling removes counters and addresses).",
    "multiply-add": "the multiply-add ports are full, which is the best that these instructions can do.",
    "vector": "the vector ports are full: fewer vector instructions an element.",
    "add": "the adders are full.",
}
