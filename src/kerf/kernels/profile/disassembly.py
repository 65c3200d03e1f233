"""A compiled library as functions, instructions and loops, from objdump's AT&T text."""

from __future__ import annotations

import re
import shutil
import subprocess
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_LINE = re.compile(
    r"^\s+([0-9a-f]+):\s+(?:(?:data16|cs|ds|rep|repz|repnz|lock|bnd|notrack|rex\.W|\{vex\}|\{evex\}) )*(\S+)\s*(.*?)(?:\s+#.*)?$"
)
_HEAD = re.compile(r"^([0-9a-f]+) <(.+)>:$")
_MEMORY = re.compile(r"(?:%[c-gs]s:)?(-?0x[0-9a-f]+)?\((%\w+)?(?:,(%\w+)(?:,(\d))?)?\)")
_JUMP = re.compile(r"j[a-z]+|loop")
_REGISTER = re.compile(r"%([a-z]\w*)")


@dataclass(frozen=True)
class Memory:
    """base + index * scale + offset; registers by their 64-bit names, empty where there is none."""

    base: str
    index: str
    scale: int
    offset: int
    text: str


@dataclass(frozen=True)
class Instruction:
    address: int
    mnemonic: str
    operands: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {', '.join(self.operands)}".strip()

    @cached_property
    def memory(self) -> Memory | None:
        """The operand in memory; None where there is none, or it is only an address (lea) or padding (nop)."""
        if self.mnemonic.startswith(("lea", "nop")):
            return None
        for operand in self.operands:
            found = _MEMORY.search(operand)
            if found:
                offset, base, index, scale = found.groups()
                return Memory(
                    (base or "")[1:], (index or "")[1:], int(scale or 1), int(offset or "0", 16), found[0]
                )
        return None

    @property
    def stores(self) -> bool:
        """Whether the operand in memory is written (in AT&T order the destination is last)."""
        compares = self.mnemonic.startswith(
            ("cmp", "test", "prefetch", "vucomis", "vcomis", "ucomis", "comis", "push", "call", "jmp")
        )
        return self.memory is not None and not compares and "(" in self.operands[-1]

    @property
    def loads(self) -> bool:
        """Whether the operand in memory is read; an addition to memory does both."""
        if self.memory is None or self.mnemonic.startswith("prefetch"):
            return False
        return not self.stores or not self.mnemonic.startswith(
            ("mov", "vmov", "vextract", "vpextr", "vcvtps2ph", "vscatter", "vcompress", "vpcompress", "set")
        )

    @property
    def registers(self) -> tuple[str, ...]:
        return tuple(_REGISTER.findall(",".join(self.operands)))

    @property
    def bits(self) -> int:
        """The width of the widest vector register named: 512, 256, 128, or 0."""
        named = self.registers
        return next(
            (
                bits
                for letter, bits in (("zmm", 512), ("ymm", 256), ("xmm", 128))
                if any(r.startswith(letter) for r in named)
            ),
            0,
        )

    @property
    def packed(self) -> bool:
        """Whether it computes or moves more than one element."""
        return self.bits > 0 and not re.search(
            r"(ss|sd|[dq]2ss|si2s[sd]|s[sd]2si)$|^v?mov[dq]$", self.mnemonic
        )

    @property
    def width(self) -> int:
        """Bytes that the operand in memory has."""
        operand = next((o for o in self.operands if "(" in o), "")
        element = 8 if re.search(r"(pd|sd|q)$", self.mnemonic) else 4
        if "{1to" in operand or re.search(
            r"broadcasts|(ss|sd)$|^v?mov[dq]$|^v?pbroadcast[dq]$", self.mnemonic
        ):
            return element
        if self.bits:
            return self.bits // 8
        return {"b": 1, "w": 2, "l": 4}.get(self.mnemonic[-1], _general_width(self.registers, self.memory))

    @property
    def target(self) -> int | None:
        """Where a jump goes, if that is written in it."""
        if not _JUMP.fullmatch(self.mnemonic):
            return None
        found = re.match(r"([0-9a-f]+)(?: <|$)", self.operands[0]) if self.operands else None
        return int(found[1], 16) if found else None


def _general_width(registers: Sequence[str], memory: Memory | None) -> int:
    value = [r for r in registers if memory is None or r not in (memory.base, memory.index)]
    return 4 if value and (value[0].startswith("e") or value[0].endswith("d")) else 8


@dataclass(frozen=True)
class Loop:
    """Instructions from a jump's target to the jump back to it, in order of address."""

    function: str
    body: tuple[Instruction, ...]

    @property
    def start(self) -> int:
        return self.body[0].address

    @property
    def end(self) -> int:
        return self.body[-1].address

    def __contains__(self, address: int) -> bool:
        return self.start <= address <= self.end


@dataclass(frozen=True)
class Disassembly:
    """`functions`: name -> instructions in order of address."""

    functions: Mapping[str, tuple[Instruction, ...]]

    @cached_property
    def _starts(self) -> list[tuple[int, str]]:
        return sorted((body[0].address, name) for name, body in self.functions.items() if body)

    def function_at(self, address: int) -> str:
        """Its name; empty outside of all."""
        at = bisect_right(self._starts, (address, "\U0010ffff")) - 1
        if at < 0:
            return ""
        name = self._starts[at][1]
        return name if address <= self.functions[name][-1].address else ""

    def loops(self, function: str) -> list[Loop]:
        """Every stretch that a jump back closes, shortest first. Jumps to one place close one loop, with the farthest of them."""
        body = self.functions[function]
        addresses = [i.address for i in body]
        ends: dict[int, int] = {}
        for instruction in body:
            target = instruction.target
            if target is not None and addresses[0] <= target <= instruction.address:
                ends[target] = max(ends.get(target, 0), instruction.address)
        found = [
            Loop(function, body[bisect_left(addresses, a) : bisect_right(addresses, b)])
            for a, b in ends.items()
        ]
        return sorted((x for x in found if x.body), key=lambda x: len(x.body))


def disassemble(library: Path) -> Disassembly | None:
    """None where there is no objdump, or it knows no such file."""
    tool = shutil.which("objdump")
    if tool is None:
        return None
    command = [tool, "-d", "--no-show-raw-insn", "-j", ".text", str(library)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return read(said.stdout) if said.returncode == 0 else None


def read(text: str) -> Disassembly:
    """objdump's text. A name that occurs twice (static functions) gets its address."""
    functions: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name = head[2] if head[2] not in functions else f"{head[2]}@{head[1].lstrip('0')}"
            current = functions.setdefault(name, [])
        elif found := _LINE.match(line):
            current.append(Instruction(int(found[1], 16), found[2], _operands(found[3])))
    return Disassembly({name: tuple(body) for name, body in functions.items() if body})


def _operands(text: str) -> tuple[str, ...]:
    """Split at the commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return tuple(p for p in (*parts, text[start:].strip()) if p)


def source_lines(library: Path, addresses: Sequence[int]) -> dict[int, int]:
    """Address -> line of the C text that it came from, where the debug information says one."""
    tool = shutil.which("addr2line")
    if tool is None or not addresses:
        return {}
    command = [tool, "-e", str(library), *(hex(a) for a in addresses)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = {}
    for address, line in zip(addresses, said.stdout.splitlines()):
        number = re.search(r"unit_to_build\.c:(\d+)", line)
        if number:
            found[address] = int(number[1])
    return found
