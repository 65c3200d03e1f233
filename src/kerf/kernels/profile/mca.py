"""llvm-mca's opinion of a loop, where LLVM's tools are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from kerf.kernels.profile.disassembly import Instruction
from kerf.kernels.targets.cpu import Chip

_TOOLS = ("llvm-mca", *(f"llvm-mca-{n}" for n in range(22, 12, -1)))
ITERATIONS = 200
_CARRIED = re.compile(r"\s(?:<[^>]*>|#.*)$")


@dataclass(frozen=True)
class Opinion:
    """`cycles` an iteration in llvm-mca's simulation with tables for `cpu`; `dependencies`, `resources`: shares of the cycles in which
    results were waited for, and ports."""

    cpu: str
    cycles: float
    dependencies: float
    resources: float


@cache
def find_mca() -> str | None:
    return next((path for name in _TOOLS if (path := shutil.which(name))), None)


def ask(body: Sequence[Instruction], chip: Chip) -> Opinion | None:
    """None where there is no llvm-mca, or it does not know an instruction."""
    tool = find_mca()
    if tool is None or chip.machine != "x86_64":
        return None
    for cpu in _names(chip):
        command = [
            tool,
            f"-mcpu={cpu}",
            f"-iterations={ITERATIONS}",
            "-bottleneck-analysis",
            "-instruction-info=0",
        ]
        said = subprocess.run(command, input=_assembly(body), capture_output=True, text=True, timeout=60)
        if said.returncode == 0 and "not a recognized processor" not in said.stderr:
            return _read(said.stdout, cpu)
    return None


def _names(chip: Chip) -> list[str]:
    """LLVM's names for the chip, the newest first: an older LLVM does not know the newest. Virtual machines lie about the model, so the
    features decide."""
    has = chip.features.__contains__
    if chip.vendor == "AuthenticAMD":
        return ["znver4", "znver3"] if has("avx512f") else ["znver3", "znver2"]
    if has("amx_tile"):
        return ["sapphirerapids", "icelake-server"]
    if has("avx_vnni"):
        return ["alderlake", "skylake"]
    if has("avx512_vbmi2"):
        return ["icelake-server", "skylake-avx512"]
    return ["skylake-avx512"] if has("avx512f") else ["skylake"]


def _assembly(body: Sequence[Instruction]) -> str:
    """The body as assembler text; jumps go to one label, calls are left out (their cost is not the loop's)."""
    lines = [f"{i.mnemonic} .Lloop" if i.target is not None else i.text for i in body if not i.mnemonic.startswith(("call", "nop", "xchg", "ret"))]  # fmt: skip
    return ".Lloop:\n" + "\n".join(_CARRIED.sub("", line) for line in lines) + "\n"


def _read(text: str, cpu: str) -> Opinion | None:
    cycles = re.search(r"^Total Cycles:\s+(\d+)", text, re.M)
    if cycles is None:
        return None
    return Opinion(
        cpu,
        int(cycles[1]) / ITERATIONS,
        _share(text, "Data Dependencies:"),
        _share(text, "Resource Pressure"),
    )


def _share(text: str, name: str) -> float:
    found = re.search(re.escape(name) + r"\s+\[\s*([\d.]+)%", text)
    return float(found[1]) / 100 if found else 0.0
