"""ABC (Brayton and Mishchenko, CAV 2010), the model checker that comes with pyosys: PDR, bounded model checking, equivalence."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kerf.sandbox import linux
from kerf.verification.scratch import check_whole


@dataclass(frozen=True)
class Answer:
    """`holds`: True proved, False refuted in cycle `frame`, None undecided (`frame`: cycles without a violation, where known)."""

    holds: bool | None
    frame: int = -1
    log: str = ""
    seconds: float = 0.0


@cache
def executable() -> str:
    import pyosys

    return str(Path(pyosys.__file__).parent / "yosys-abc")


def run(commands: str, folder: Path, timeout_s: float) -> str:
    """What ABC prints; what it printed so far when it runs past `timeout_s`."""
    process = subprocess.Popen(
        [executable(), "-q", commands], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        preexec_fn=_end_with_parent,
    )  # fmt: skip
    try:
        return process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def _end_with_parent() -> None:
    """A proof whose asker is killed has nobody to tell."""
    linux.prctl(linux.PR_SET_PDEATHSIG, int(signal.SIGKILL))


def check(file: Path, engine: str, timeout_s: float) -> Answer:
    """Model-check an AIGER file (`engine`: an ABC command such as "pdr" or "bmc3 -F 40")."""
    begun = time.monotonic()
    said = run(f"read_aiger {file.name}; strash; {engine}", file.parent, timeout_s)
    return Answer(*_read(said), said[-2000:], time.monotonic() - begun)


def _read(said: str) -> tuple[bool | None, int]:
    if refuted := re.search(r"was asserted in frame (\d+)", said):
        return False, int(refuted[1])
    if "Property proved" in said or re.search(r"(?m)^Networks are equivalent", said):
        return True, -1
    clean = re.findall(r"No output (?:was )?asserted in (\d+) frames", said)
    return None, int(clean[-1]) if clean else -1


def invariant(file: Path) -> list[list[int]]:
    """The cubes of PDR's inductive invariant (a PLA over the flip-flops): each a list of latch literals, 2 * index + inverted, none of which
    the invariant's states satisfy all of."""
    check_whole(file, b".e")
    names: Sequence[str] = []
    cubes = []
    for line in file.read_text().splitlines():
        if line.startswith(".ilb"):
            names = line.split()[1:]
        elif line and line[0] in "01-":
            pattern = line.split()[0]
            cubes.append([(i, c) for i, c in enumerate(pattern) if c != "-"])
    order = [int(re.sub(r"\D", "", n) or 0) for n in names]
    return [[2 * order[i] + (c == "0") for i, c in cube] for cube in cubes]
