"""The loops that the samples fall into, each described from its instructions, its source and its windows of single steps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerf.kernels.profile import mca, ports, traffic
from kerf.kernels.profile.collect import Observed
from kerf.kernels.profile.disassembly import Disassembly, Instruction, Loop, source_lines
from kerf.kernels.profile.record import HotLoop
from kerf.kernels.profile.vectorizer import Remark, remarks, within
from kerf.kernels.targets.cpu import Chip

MOST_LOOPS, LEAST_SHARE = 3, 0.05
RARE = 0.02  # of a loop's passes: an instruction that runs so seldom is not its body
NEAR = 2  # lines before a loop's first instruction that its `for` may stand on


@dataclass(frozen=True)
class Machine:
    """The candidate's library and what was seen of it."""

    seen: Observed
    code: Disassembly
    chip: Chip

    @cached_property
    def address(self) -> np.ndarray:
        steps = self.seen.steps
        assert steps is not None
        return traffic.addresses(steps, [i for body in self.code.functions.values() for i in body])

    @cached_property
    def missed(self) -> np.ndarray:
        assert self.seen.steps is not None
        return traffic.misses(self.seen.steps, self.address, self.chip)

    def hot(self) -> tuple[HotLoop, ...]:
        """The innermost loops with the most samples."""
        total = sum(p.count for p in self.seen.places)
        counts: Counter[Loop] = Counter()
        loops: dict[str, list[Loop]] = {}
        for place in self.seen.places:
            name = self.code.function_at(place.address) if place.file == str(self.seen.library) else ""
            if name:
                known = loops.setdefault(name, self.code.loops(name))
                counts.update(
                    {
                        x: place.count
                        for x in known
                        if place.address in x and _innermost(x, place.address, known)
                    }
                )
        best = [(x, n / total) for x, n in counts.most_common(MOST_LOOPS) if n >= LEAST_SHARE * total]
        return tuple(self.described(loop, share) for loop, share in best)

    def described(self, loop: Loop, share: float) -> HotLoop:
        body, accesses, trips = self._stepped(loop)
        core = ports.core_of(self.chip)
        bits = max((i.bits for i in body if _vector(i)), default=0)
        lines = self._lines(loop, body)
        text = self.seen.unit.text.splitlines() if self.seen.unit else []
        return HotLoop(
            function=loop.function,
            share=share,
            lines=lines,
            source=tuple(text[lines[0] - 1 : lines[1]]) if lines else (),
            assembly=tuple(i.text for i in body),
            kinds=dict(Counter(ports.kind(i) for i in body)),
            vector_bits=bits,
            scalar_math=sum(_scalar(i) for i in body),
            flops=sum(_flops(i) for i in body),
            read_bytes=sum(i.width for i in body if i.loads),
            written_bytes=sum(i.width for i in body if i.stores),
            spilled=sum(_on_stack(i) for i in body),
            calls=_calls(body),
            remarks=self._remarks(lines, bits),
            estimate=ports.estimate(body, core) if core else None,
            opinion=mca.ask(body, self.chip),
            accesses=accesses,
            trips=trips,
        )

    def _stepped(
        self, loop: Loop
    ) -> tuple[tuple[Instruction, ...], tuple[traffic.Access, ...], float | None]:
        """The loop's body without what hardly ever runs, its accesses and trips."""
        steps = self.seen.steps
        if steps is None:
            return loop.body, (), None
        function = self.code.functions[loop.function]
        found = traffic.traffic(
            loop, (function[0].address, function[-1].address), steps, self.address, self.missed
        )
        most = max(found.executed.values(), default=0)
        if most < 50:  # hardly seen: its own text is the better witness
            return loop.body, (), None
        body = tuple(i for i in loop.body if found.executed.get(i.address, 0) >= RARE * most)
        return body, found.accesses, found.trips

    def _remarks(self, lines: tuple[int, int] | None, bits: int) -> tuple[Remark, ...]:
        """Why a loop that was written in whole vectors was not vectorized again is no news."""
        found = within(remarks(self.seen.report), lines[0] - NEAR, lines[1]) if lines else []
        return tuple(r for r in found if r.done or bits < self.chip.vector_bits)

    def _lines(self, loop: Loop, body: Sequence[Instruction]) -> tuple[int, int] | None:
        """First and last line of the C text, without the outliers that inlining and hoisting bring (5 % at either end)."""
        found = (
            sorted(source_lines(self.seen.library, [i.address for i in body]).values())
            if self.seen.library
            else []
        )
        if not found:
            return None
        cut = len(found) // 20
        return found[cut], found[-1 - cut]


def _innermost(loop: Loop, address: int, known: Sequence[Loop]) -> bool:
    """`known` is in order of length."""
    return next(x for x in known if address in x) is loop


def _vector(instruction: Instruction) -> bool:
    """Work on several elements; copies between registers are not, nor is what only makes zeros."""
    copies = ports.kind(instruction) == "move" and instruction.memory is None
    return instruction.packed and not copies and not ports.zeroes(instruction)


def _scalar(instruction: Instruction) -> bool:
    """Arithmetic on one float at a time."""
    return (
        bool(instruction.bits)
        and not instruction.packed
        and ports.kind(instruction) in ("multiply-add", "add", "divide")
    )


def _flops(instruction: Instruction) -> float:
    what, name = ports.kind(instruction), instruction.mnemonic
    if what not in ("multiply-add", "add", "divide") or not re.search(r"(p[sdh]|s[sdh])$", name):
        return 0.0
    element = {"h": 2, "s": 4, "d": 8}[name[-1]]
    lanes = instruction.bits / 8 / element if instruction.packed else 1
    return float((2 if "fm" in name or "fnm" in name else 1) * lanes)


def _on_stack(instruction: Instruction) -> bool:
    """A load or store of the stack: what did not fit in registers, or was put away around a call."""
    memory = instruction.memory
    return (
        memory is not None
        and memory.base in ("rsp", "rbp")
        and not memory.index
        and not instruction.mnemonic.startswith(("call", "prefetch"))
    )


def _calls(body: Sequence[Instruction]) -> tuple[str, ...]:
    found: Mapping[str, None] = {
        name[1]: None
        for i in body
        if i.mnemonic.startswith("call") and (name := re.search(r"<(.+?)(?:@plt)?>", " ".join(i.operands)))
    }
    return tuple(found)
