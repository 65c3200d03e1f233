"""What the instructions of a loop did to memory, from windows of single steps: strides, lines touched, misses in a simulated cache, trips."""

from __future__ import annotations

import ctypes
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from kerf.core.types import KerfError
from kerf.kernels.profile.collect import Steps
from kerf.kernels.profile.disassembly import Instruction, Loop
from kerf.kernels.targets.cpu import Chip
from kerf.toolchain.compilers import compile_library

_ORDER = (
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
    "rdi",
    "rsi",
    "rbp",
    "rbx",
    "rdx",
    "rax",
    "rcx",
    "rsp",
)
_COLUMN = {name: i for i, name in enumerate(_ORDER)}
L1_WAYS, L2_WAYS = 12, 16
LINE = 64
MOST_ROWS = 4000  # executions of an instruction that are enough to see which bytes of its lines are used


@dataclass(frozen=True)
class Access:
    """One instruction's operand in memory. `stride`: bytes from one execution to the next inside the loop, the commonest (None where none
    is common); `used`: bytes of each line it touches that the loop uses before it is left; `count`: executions in the windows; shares of them
    that were in L1, in L2, beyond, or lines never seen before in the window."""

    address: int
    text: str
    width: int
    store: bool
    stride: int | None
    used: float
    count: int
    l1: float
    l2: float
    beyond: float
    first: float


@dataclass(frozen=True)
class Traffic:
    """`accesses` in order of address; `executed`: how often each instruction of the loop ran in the windows; `trips`: passes through the loop
    from entry to exit, the median (None where no whole one was seen)."""

    accesses: tuple[Access, ...]
    executed: Mapping[int, int]
    trips: float | None


def addresses(steps: Steps, instructions: Sequence[Instruction]) -> np.ndarray:
    """The address that each step's operand in memory had; 0 where the step has none."""
    found = np.zeros(len(steps.address), np.uint64)
    for instruction in instructions:
        memory = instruction.memory
        if memory is None or memory.index.startswith(("xmm", "ymm", "zmm")) or memory.base in ("", "rip"):
            continue
        rows = steps.address == instruction.address
        value = steps.registers[rows, _COLUMN[memory.base]] + np.uint64(memory.offset % (1 << 64))
        if memory.index in _COLUMN:
            value = value + steps.registers[rows, _COLUMN[memory.index]] * np.uint64(memory.scale)
        found[rows] = value
    return found


def misses(steps: Steps, address: np.ndarray, chip: Chip) -> np.ndarray:
    """By step: 0 in L1, 1 in L2, 2 beyond, 3 first touched; -1 where the step has no operand in memory. Each window starts cold."""
    result = np.full(len(address), -1, np.int8)
    library, start = _simulator(), 0
    for length in steps.windows:
        rows = np.flatnonzero(address[start : start + length]) + start
        trace = np.ascontiguousarray(address[rows])
        out = np.zeros(len(rows), np.int8)
        sizes = (_sets(chip.l1_bytes, L1_WAYS), L1_WAYS, _sets(chip.l2_bytes, L2_WAYS), L2_WAYS)
        library.cache_run(
            ctypes.c_void_p(trace.ctypes.data), ctypes.c_long(len(rows)), *map(ctypes.c_long, sizes),
            ctypes.c_void_p(out.ctypes.data),
        )  # fmt: skip
        result[rows] = out
        start += length
    return result


def _sets(size: int, ways: int) -> int:
    return max(1, size // LINE // ways)


@cache
def _simulator() -> ctypes.CDLL:
    build = compile_library((files("kerf.kernels.profile") / "cache.c").read_text(), ["-O2", "-std=gnu11"])
    if build.library is None:
        raise KerfError(f"the cache simulation does not compile: {build.log.strip()[:400]}")
    return ctypes.CDLL(str(build.library))


def traffic(
    loop: Loop, extent: tuple[int, int], steps: Steps, address: np.ndarray, missed: np.ndarray
) -> Traffic:
    """Of the steps inside `loop`. `extent`: the first and last address of its function (what a call inside the loop runs is no leaving
    of it). `address`, `missed`: as from `addresses` and `misses`."""
    rows = np.flatnonzero((steps.address >= extent[0]) & (steps.address <= extent[1]))
    steps, address, missed = _only(steps, rows), address[rows], missed[rows]
    inside = (steps.address >= loop.start) & (steps.address <= loop.end)
    executed = Counter(steps.address[inside].tolist())
    passes = _passes(steps, loop)
    used = _used(loop, steps, address, passes)
    found = [
        _access(i, steps, address, missed, passes, used)
        for i in loop.body
        if (i.loads or i.stores) and executed[i.address]
    ]
    return Traffic(tuple(a for a in found if a is not None), executed, _trips(steps, loop))


def _only(steps: Steps, rows: np.ndarray) -> Steps:
    ends = np.searchsorted(rows, np.cumsum((0, *steps.windows)))
    return Steps(steps.address[rows], steps.registers[rows], tuple(np.diff(ends).tolist()))


def _access(
    instruction: Instruction,
    steps: Steps,
    address: np.ndarray,
    missed: np.ndarray,
    passes: np.ndarray,
    used: Mapping[int, float],
) -> Access | None:
    rows = np.flatnonzero((steps.address == instruction.address) & (address != 0))
    if not len(rows):
        return None
    same = passes[rows][1:] == passes[rows][:-1]
    jumps = np.diff(address[rows].astype(np.int64))[same]
    shares = [float(np.mean(missed[rows] == k)) for k in (0, 1, 2, 3)]
    where, text, stride = instruction.address, instruction.text, _commonest(jumps)
    return Access(
        where, text, instruction.width, instruction.stores, stride, used.get(where, LINE), len(rows), *shares
    )


def _used(loop: Loop, steps: Steps, address: np.ndarray, passes: np.ndarray) -> dict[int, float]:
    """By instruction: the mean over the lines it touches of the bytes that any instruction of the loop uses in the same stay."""
    words, owners, places = [], [], []
    for instruction in loop.body:
        if not (instruction.loads or instruction.stores):
            continue
        rows = np.flatnonzero((steps.address == instruction.address) & (address != 0))[:MOST_ROWS]
        offsets = np.arange(0, max(instruction.width, 4), 4, dtype=np.uint64)
        touched = ((address[rows, None] + offsets) >> np.uint64(2)).ravel()
        words.append(touched)
        places.append(np.repeat(passes[rows], len(offsets)))
        owners.append(np.full(len(touched), instruction.address))
    if not words:
        return {}
    word, stay, owner = (
        np.concatenate(words),
        np.concatenate(places).astype(np.uint64),
        np.concatenate(owners),
    )
    key = stay << np.uint64(46) | word  # 46 bits: addresses of 48 bits, in words
    lines, count = np.unique(np.unique(key) >> np.uint64(4), return_counts=True)
    mine = count[np.searchsorted(lines, key >> np.uint64(4))]
    return {int(a): 4 * float(np.mean(mine[owner == a])) for a in np.unique(owner)}


def _commonest(jumps: np.ndarray) -> int | None:
    if not len(jumps):
        return None
    value, count = Counter(jumps.tolist()).most_common(1)[0]
    return int(value) if count >= len(jumps) / 2 else None


def _passes(steps: Steps, loop: Loop) -> np.ndarray:
    """By step: the number of its stay in the loop; a stay ends where control leaves it."""
    inside = (steps.address >= loop.start) & (steps.address <= loop.end)
    starts = np.zeros(len(inside), bool)
    starts[np.cumsum((0, *steps.windows))[:-1].clip(max=max(len(inside) - 1, 0))] = True
    entered = inside & (~np.roll(inside, 1) | starts)
    return np.cumsum(entered)


def _trips(steps: Steps, loop: Loop) -> float | None:
    """Jumps back are counted over whole stays only: the first and the last of a window may be cut."""
    stays, heads = _passes(steps, loop), steps.address == loop.start
    counts: list[int] = []
    start = 0
    for length in steps.windows:
        part, head = stays[start : start + length], heads[start : start + length]
        numbers = np.unique(part[head])
        counts += [int(np.sum(head & (part == n))) for n in numbers[1:-1][:200]]
        start += length
    return statistics.median(counts) if counts else None


def sparsest(accesses: Sequence[Access]) -> Access | None:
    """The access that steps over the largest part of its lines; None where none leaves more than half of them unused."""
    steps = [a for a in accesses if a.stride and abs(a.stride) >= LINE and a.used <= LINE / 2]
    return min(steps, key=lambda a: (a.store, a.used, -abs(a.stride or 0)), default=None)
