"""What limits a candidate, in sentences: each names the number it rests on and the change that would move it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kerf.kernels.profile.record import HotLoop, Profile
from kerf.kernels.profile.traffic import LINE, widest_stride
from kerf.kernels.targets.cpu import Chip

ON_THE_ROOF = 0.75
MATTERS = 0.15  # of the time: less is not worth a sentence
WAITING = 1.3  # times the busiest resource: from here the chain decides


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
    outside = [p for p in profile.places if not p.own and p.share >= MATTERS]
    for place in outside:
        if place.where.startswith("Python"):
            yield f"{place.share:.0%} of the time is Python and its calls: one C function for the whole of forward(), and outputs that are reused or written in place by the caller, remove it."
        elif place.where.startswith("libc"):
            yield f"{place.share:.0%} of the time is allocation and copying: hand out fewer or smaller tensors."
        else:
            yield f"{place.share:.0%} of the time is in {place.where}: not the candidate's own code, so only calling it less, or replacing it, helps."


def _of(loop: HotLoop, chip: Chip) -> Iterator[str]:
    if loop.calls and loop.vector_bits == 0:
        yield f"it calls {', '.join(loop.calls)} for every element, so it cannot be vectorized: write the function out as arithmetic (a polynomial) that the compiler can inline."
        return  # what its own instructions cost hides behind the call
    yield from _chain(loop)
    yield from _walks(loop)
    if loop.scalar_math and loop.vector_bits == 0 and not loop.calls:
        why = next((f" gcc says at line {r.line}: {r.text}." for r in loop.remarks if not r.done), "")
        yield f"its arithmetic is scalar: {chip.lanes} float32 values fit a vector of this chip.{why}"
    elif 0 < loop.vector_bits < chip.vector_bits:
        yield f"its vectors have {loop.vector_bits} bits of the chip's {chip.vector_bits}."
    yield from _resources(loop)


def _chain(loop: HotLoop) -> Iterator[str]:
    e = loop.estimate
    if e is None or e.chain < WAITING * e.throughput or not e.links:
        return
    ways = math.ceil(e.chain / max(e.throughput, 0.5))
    scalar_sum = loop.kinds.get("shuffle", 0) and len(e.links) > 1
    head = f"each iteration waits {e.chain:.0f} cycles for the one before it through {_short(e.links)}, while the ports need {e.throughput:.1f}: "
    if scalar_sum:
        yield (
            head
            + "the sum is added one lane after the other, because the order of float additions is fixed. Keep one accumulator a lane (a vector), and several of them, and add them up after the loop."
        )
    else:
        yield head + f"up to {ways} independent accumulators (or rows, or columns, at once) would hide it."


def _short(links: tuple[str, ...]) -> str:
    return links[0] + (f" and {len(links) - 1} more" if len(links) > 1 else "")


def _walks(loop: HotLoop) -> Iterator[str]:
    far = widest_stride(loop.accesses)
    if far and far.stride and abs(far.stride) > max(LINE, far.width):
        yield (
            f"the load {far.text} moves {far.stride} bytes an iteration and uses {far.width} of each {LINE}-byte line ({far.l1:.0%} of these loads hit L1): "
            "exchange the loops, or pack that operand, so that the inner loop reads it in order."
        )
    missing = [a for a in loop.accesses if not a.store and a.l1 < 0.7 and (a.l2 + a.beyond) > 0.3]
    if missing:
        worst = min(missing, key=lambda a: a.l1)
        yield f"the load {worst.text} comes from L1 in {worst.l1:.0%}, from L2 in {worst.l2:.0%} of its executions: block the loops so that what is used again is still in L1."


def _resources(loop: HotLoop) -> Iterator[str]:
    e = loop.estimate
    if loop.spilled and loop.spilled >= 0.1 * loop.instructions:
        yield f"{loop.spilled} of its {loop.instructions} instructions load or store the stack: too many values are alive for the registers; a smaller tile needs none."
    if e is None or e.chain >= WAITING * e.throughput:
        return
    told = {
        "load": "the load ports are full: keep more in registers (a larger register tile), so that each loaded value is used more often.",
        "store": "the store ports are full: keep results in registers, and store them once.",
        "shuffle": "the shuffle port is full: lay the data out so that lanes need no rearranging.",
        "divide": "the divider is full: multiply by a reciprocal, or divide once outside.",
        "front end": "the front end is full: fewer, wider instructions (unrolling removes counters and addresses).",
        "multiply-add": "the multiply-add ports are full, which is the best that these instructions can do.",
        "vector": "the vector ports are full: fewer vector instructions an element.",
        "add": "the adders are full.",
    }
    yield f"at its best {e.throughput:.1f} cycles an iteration: {told[e.busiest]}"
