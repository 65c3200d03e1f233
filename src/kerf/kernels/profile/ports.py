"""How fast a core can run a loop's instructions when every load hits the nearest cache: a bound for each of its resources, and the chain of
results that wait for each other from one iteration to the next.

The model is that of OSACA and IACA (Laukemann et al., PMBS 2018): the larger of the busiest resource and the longest loop-carried chain.
Figures are rounded from the tables of uops.info (Abel and Reineke, ASPLOS 2019) and Agner Fog's instruction tables. llvm-mca knows far more
about single instructions and is quoted beside this where it is installed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from kerf.kernels.profile.disassembly import Instruction
from kerf.kernels.targets.cpu import Chip


@dataclass(frozen=True)
class Core:
    """Operations a cycle by resource, for 512-bit vectors and for narrower ones; latencies in cycles."""

    name: str
    front_end: float
    wide: dict[str, float]
    narrow: dict[str, float]
    add_latency: float = 4  # to the next addition; 2 or 3 with a fast adder (a sum on Sapphire Rapids: 2.4)
    multiply_latency: int = 4
    load_latency: int = 7
    divide: dict[int, float] = field(default_factory=dict)  # bits -> cycles for one packed division or root


_DIVIDE_INTEL = {512: 16.0, 256: 5.0, 128: 3.0, 0: 6.0}
_DIVIDE_AMD = {512: 10.0, 256: 5.0, 128: 3.5, 0: 7.0}
INTEL_NEW = Core("Golden Cove (Alder Lake, Sapphire Rapids and later)", 6,
                 {"multiply-add": 2, "shuffle": 1, "vector": 2, "load": 2, "store": 1},
                 {"multiply-add": 2, "shuffle": 2, "vector": 3, "load": 3, "store": 2}, add_latency=2.5, divide=_DIVIDE_INTEL)  # fmt: skip
INTEL_OLD = Core("Skylake-X, Ice Lake", 4,
                 {"multiply-add": 2, "shuffle": 1, "vector": 2, "load": 2, "store": 1},
                 {"multiply-add": 2, "shuffle": 1, "vector": 3, "load": 2, "store": 1}, divide=_DIVIDE_INTEL)  # fmt: skip
AMD = Core("Zen 3, Zen 4", 6,
           {"multiply-add": 1, "add": 1, "shuffle": 1, "vector": 2, "load": 1, "store": 0.5},
           {"multiply-add": 2, "add": 2, "shuffle": 2, "vector": 4, "load": 2, "store": 1}, add_latency=3, divide=_DIVIDE_AMD)  # fmt: skip


def core_of(chip: Chip) -> Core | None:
    """The table for this chip; None for what is not x86-64."""
    if chip.machine != "x86_64":
        return None
    if chip.vendor == "AuthenticAMD":
        return AMD
    return INTEL_NEW if chip.features & {"amx_tile", "serialize", "avx_vnni"} else INTEL_OLD


@dataclass(frozen=True)
class Estimate:
    """Cycles an iteration. `ports`: by resource; `chain`: of the longest loop-carried chain, whose instructions are `links`."""

    core: str
    ports: dict[str, float]
    chain: float
    links: tuple[str, ...]

    @property
    def busiest(self) -> str:
        return max(self.ports, key=lambda k: self.ports[k]) if self.ports else "front end"

    @property
    def throughput(self) -> float:
        return self.ports.get(self.busiest, 0.0)

    @property
    def cycles(self) -> float:
        return max(self.throughput, self.chain)


def estimate(body: Sequence[Instruction], core: Core) -> Estimate:
    """The bounds of one pass through `body`."""
    demand: Counter[str] = Counter()
    for instruction in body:
        for resource, cycles in _demand(instruction, core).items():
            demand[resource] += cycles  # type: ignore[assignment]
    demand["front end"] = sum(_slots(i) for i in body) / core.front_end  # type: ignore[assignment]
    chain, links = _chain(body, core)
    return Estimate(core.name, dict(demand), chain, links)


def kind(instruction: Instruction) -> str:
    """What it occupies: "multiply-add", "add", "divide", "shuffle", "vector" (other vector work), "move", "integer", "jump", "call"."""
    name = instruction.mnemonic
    if name.startswith("call"):
        return "call"
    if instruction.target is not None or name.startswith(("jmp", "ret")):
        return "jump"
    if not instruction.bits:
        return (
            "move"
            if name.startswith("mov")
            else "nothing"
            if name.startswith(("nop", "xchg", "prefetch"))
            else "integer"
        )
    for pattern, found in _KINDS:
        if re.match(pattern, name):
            return found
    return "vector"


_KINDS = (
    (r"v?(div|sqrt|rsqrt14pd)", "divide"),
    (r"vfn?m(add|sub)|vdp|vpdp|v?mul[ps]|vpmul|vpmadd|vscalef", "multiply-add"),
    (r"v?(add|sub)[ps][sd]", "add"),
    (r"v?mov(a|u|nt|dq|s[sd]|[dq]$|ddup|s[hl]dup)|vbroadcast|vpbroadcast|vlddqu", "move"),
    (r"v?(p?shuf|p?perm|p?unpck|unpck|p?extract|p?insert|extract|insert|p?blendv|palignr|align|p?expand|p?compress|movhl|movlh|pack)|vpmov|vcvtp[sh]2p[hs]|vhadd", "shuffle"),
    (r"v?p?gather", "gather"),
)  # fmt: skip


def _demand(instruction: Instruction, core: Core) -> dict[str, float]:
    rates, what = core.wide if instruction.bits == 512 else core.narrow, kind(instruction)
    taken: dict[str, float] = {}
    if instruction.loads:
        taken["load"] = 1 / rates["load"]
    if instruction.stores:
        taken["store"] = 1 / rates["store"]
    if what == "divide":
        taken["divide"] = core.divide[instruction.bits if instruction.packed else 0]
    elif what == "gather":
        taken["load"] = instruction.bits / 32 / rates["load"]
    elif what in ("multiply-add", "add") and what in rates:
        taken[what] = 1 / rates[what]
    elif what == "add":  # on Intel's cores additions share the multipliers' ports
        taken["multiply-add"] = 1 / rates["multiply-add"]
    elif what == "shuffle" or (what == "move" and _crosses(instruction)):
        taken["shuffle"] = 1 / rates["shuffle"]
    if what in ("multiply-add", "add", "shuffle", "vector", "divide") and not zeroes(instruction):
        taken["vector"] = 1 / rates["vector"]
    return taken


def _crosses(instruction: Instruction) -> bool:
    """A broadcast from a register; one from memory is done by the load."""
    return "broadcast" in instruction.mnemonic and not instruction.loads


def _slots(instruction: Instruction) -> int:
    """Slots of the front end, after fusion of a load with what uses it, and of a comparison with its jump."""
    name = instruction.mnemonic
    return 0 if name.startswith(("cmp", "test")) else 2 if instruction.stores and instruction.loads else 1


def zeroes(instruction: Instruction) -> bool:
    """x ^ x and x - x: cores know that these wait for nothing."""
    operands = instruction.operands
    return (
        bool(re.match(r"v?p?xor|v?p?sub[bwdq]", instruction.mnemonic))
        and len(operands) > 1
        and len(set(operands)) == 1
    )


# ---------------------------------------------------------------- the chain

_WIDER = {
    "eax": "rax",
    "ebx": "rbx",
    "ecx": "rcx",
    "edx": "rdx",
    "esi": "rsi",
    "edi": "rdi",
    "ebp": "rbp",
    "esp": "rsp",
}
_UNWRITTEN = (
    "cmp",
    "test",
    "vucomis",
    "vcomis",
    "ucomis",
    "comis",
    "prefetch",
    "j",
    "call",
    "ret",
    "nop",
    "push",
    "kortest",
    "ktest",
    "vptest",
)


def whole(register: str) -> str:
    """The name that all widths of a register share."""
    if re.fullmatch(r"[xyz]mm\d+", register):
        return "v" + register[3:]
    if re.fullmatch(r"r\d+[dwb]", register):
        return register[:-1]
    return _WIDER.get(register, register)


def reads_writes(instruction: Instruction) -> tuple[set[str], str | None]:
    """Registers read, and the one written (in AT&T order the last operand, unless it is memory or nothing is written)."""
    name, operands = instruction.mnemonic, instruction.operands
    if zeroes(instruction):
        return set(), whole(operands[-1].lstrip("%"))
    last = operands[-1] if operands else ""
    named = re.match(r"%(\w+)", last)
    written = whole(named[1]) if named and not name.startswith(_UNWRITTEN) else None
    read = {whole(r) for o in operands[:-1] for r in re.findall(r"%(\w+)", o)}
    read |= {whole(r) for r in re.findall(r"%(\w+)", last)} - ({written} if written else set())
    if written and _keeps(instruction, last):
        read.add(written)
    return read, written


def _keeps(instruction: Instruction, last: str) -> bool:
    """Whether the destination's old value takes part."""
    name = instruction.mnemonic
    if re.match(r"vfn?m(add|sub)|vpdp|vdpbf|vpternlog|vpermi2|vpermt2|v?p?gather", name):
        return True
    if "{%k" in last and "{z}" not in last:
        return True
    if name.startswith(("v", "mov", "lea", "k", "set", "tzcnt", "lzcnt", "popcnt", "pop")):
        return False
    return not (name.startswith("imul") and len(instruction.operands) == 3)


def _latency(instruction: Instruction, core: Core) -> float:
    what = kind(instruction)
    if what == "divide":
        return 11.0
    if what == "multiply-add":
        return core.multiply_latency
    if what == "add":
        return core.add_latency
    if what == "shuffle":
        return 3.0 if re.search(r"perm|extract|insert|broadcast|64x|32x", instruction.mnemonic) else 1.0
    if what == "vector":
        return 4.0 if re.search(r"max|min|rndscale|cvt|getexp|getmant", instruction.mnemonic) else 1.0
    if what == "move":
        return 0.0 if not instruction.loads else core.load_latency
    if what == "integer":
        return 3.0 if "mul" in instruction.mnemonic else 1.0
    return 0.0


def _chain(body: Sequence[Instruction], core: Core) -> tuple[float, tuple[str, ...]]:
    """Run the body's dependences many times with no limit but latency; the growth of the latest result per pass is the chain."""
    ready: dict[str, float] = defaultdict(float)
    passes, marks = 12, []
    before: dict[str, float] = {}
    for _ in range(passes):
        before = dict(ready)
        for instruction in body:
            _advance(instruction, ready, core)
        marks.append(dict(ready))
    growth = {r: (ready[r] - marks[5].get(r, 0.0)) / (passes - 6) for r in ready}
    if not growth:
        return 0.0, ()
    slowest = max(growth.values())
    return slowest, _links(body, {r for r, g in growth.items() if g >= slowest - 1e-9 and r in before}, core)


def _advance(instruction: Instruction, ready: dict[str, float], core: Core) -> None:
    read, written = reads_writes(instruction)
    if written is None:
        return
    memory = instruction.memory
    address = {whole(r) for r in (memory.base, memory.index) if r} if memory else set()
    start = max((ready[r] for r in read - address), default=0.0)
    latency = _latency(instruction, core)
    if address:
        own = 0.0 if kind(instruction) == "move" else latency
        ready[written] = max(start + own, max(ready[r] for r in address) + core.load_latency + own)
    else:
        ready[written] = start + latency


def _links(body: Sequence[Instruction], slow: set[str], core: Core) -> tuple[str, ...]:
    """The instructions of the loop-carried chain: those that pass a slow register's value to a slow register, and cost something."""
    return tuple(
        i.text
        for i in body
        for read, written in [reads_writes(i)]
        if written in slow and read & slow and _latency(i, core) > 0
    )
