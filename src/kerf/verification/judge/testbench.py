"""VerilogEval's testbenches, run: under Icarus Verilog where it is found, else under Verilator; confined to a folder of their own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from kerf.core import temporary
from kerf.core.types import KerfError
from kerf.sandbox import run_command
from kerf.verification.testbenches import FAST_BUILD, PYTHON, verilator

TOP = "tb"
SAID = re.compile(r"Mismatches:\s*(\d+) in (\d+) samples")


class Run(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NONE = "none"
    """No simulator, or one that does not build this."""


def simulate(files: Sequence[Path], *, timeout_s: float = 60.0) -> Run:
    """Whether a testbench of the top module `tb` counts no mismatch."""
    with temporary.folder("judge") as name:
        folder = Path(name).resolve()
        names = [f"s{index}.sv" for index, _ in enumerate(files)]
        for path, staged in zip(files, names, strict=True):
            (folder / staged).write_bytes(path.read_bytes())
        said = _run(names, folder, timeout_s)
    counts = SAID.findall(said)
    if not counts:
        return Run.NONE
    return Run.PASSED if all(wrong == "0" and total != "0" for wrong, total in counts) else Run.FAILED


def _run(names: Sequence[str], folder: Path, timeout_s: float) -> str:
    if icarus := shutil.which("iverilog"):
        where = str(Path(icarus).resolve().parent.parent)
        build = [icarus, "-g2012", "-s", TOP, "-o", "run.vvp", *names]
        run_command(build, cwd=folder, timeout_s=timeout_s, read=[where], env={"TMPDIR": str(folder)})
        return run_command(
            [shutil.which("vvp") or "vvp", "run.vvp"], cwd=folder, timeout_s=timeout_s, read=[where]
        ).output
    try:
        command, environment, needed = verilator()
    except KerfError:
        return ""
    flags = [
        "--binary",
        "--timing",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--top-module",
        TOP,
        "-Mdir",
        "obj",
    ]
    run_command([*command, *flags, *FAST_BUILD, *names], cwd=folder, timeout_s=2 * timeout_s, read=[*needed, *PYTHON],
                env={**environment, "HOME": str(folder)})  # fmt: skip
    return run_command([f"./obj/V{TOP}"], cwd=folder, timeout_s=timeout_s).output
