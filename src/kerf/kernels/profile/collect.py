"""Build a candidate as the referee does (with line numbers and the vectorizer's report), and watch it run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kerf.core.types import Candidate, KerfError
from kerf.kernels.problem import KernelProblem
from kerf.kernels.referee.build import SECONDS_PER_MB
from kerf.kernels.referee.candidate import Malformed, Package, Unit, package
from kerf.sandbox import run_command
from kerf.toolchain.compilers import Compiler, compile_library, find_compiler

COMPILE_S, RUN_S = 60.0, 120.0
REPORT = "vectorizer.txt"
DETAILED = 300_000  # characters of C up to which gcc's whole account is asked for (about 90 times as long): its short one names only the
# reason of the last and narrowest vector type that it tried


@dataclass(frozen=True)
class Place:
    """`count` ticks of the sampler at one address; `address` is relative to where `file` was loaded."""

    file: str
    symbol: str
    address: int
    count: int


@dataclass(frozen=True)
class Steps:
    """Consecutive instructions of the candidate's library: `address` relative to its base, `registers` [n, 16] as they were before
    each (r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp); `windows`: how many instructions each stretch has."""

    address: np.ndarray
    registers: np.ndarray
    windows: tuple[int, ...]


@dataclass(frozen=True)
class Observed:
    """`reports`: what the compiler said of its vectorizing, by unit; `own`: the candidate's compiled library that ran the most, with the
    C text it came from."""

    time_s: float
    calls: int
    clock_hz: float
    places: tuple[Place, ...]
    steps: Steps | None
    library: Path | None
    unit: Unit | None
    report: str
    sampling: bool


def observe(
    problem: KernelProblem, candidate: Candidate, folder: Path, *, threads: int, trust: bool
) -> Observed:
    """Build in `folder`, run there, confined unless `trust`. KerfError where it does not build or run."""
    try:
        found = package(candidate.files)
    except Malformed as error:
        raise KerfError(f"the candidate cannot be profiled: {error}") from error
    home, out = folder / "candidate", folder / "out"
    for path in (home, out):
        path.mkdir()
    reports = _built(found, home, trust)
    _ask(problem, found, home, out, threads, trust)
    said = _ran(folder, out, threads)
    return _observed(said, found, home, out, reports)


def _built(found: Package, home: Path, trust: bool) -> dict[str, str]:
    """The candidate's files and libraries in `home`; the vectorizer's report of each output."""
    for name, text in found.files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {unit.output: _compiled(unit, home, trust) for unit in found.units}


def _compiled(unit: Unit, home: Path, trust: bool) -> str:
    tool = find_compiler()
    source, output = home / "unit_to_build.c", home / unit.output
    output.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(unit.text)
    told = _report_flags(tool, len(unit.text))
    command = [tool.path, *unit.flags, "-g", *told, "-shared", "-fPIC", "-o", unit.output, source.name, "-lm"]
    limit = COMPILE_S + SECONDS_PER_MB * len(unit.text) / 1e6
    said = run_command(command, cwd=home, timeout_s=limit, trust=trust)
    if said.returncode != 0 or not output.is_file():
        raise KerfError(
            f"the candidate does not compile: {said.output.strip()[-1500:] or 'no output'}. `kerf evaluate` says the same."
        )
    report = home / REPORT
    return said.output if tool.is_clang else report.read_text() if report.exists() else ""


def _report_flags(tool: Compiler, size: int) -> tuple[str, ...]:
    if tool.is_clang:
        return tuple(f"-Rpass{kind}=loop-vectorize" for kind in ("", "-missed", "-analysis"))
    if size <= DETAILED:
        return (f"-fdump-tree-vect-details={REPORT}",)
    return (f"-fopt-info-vec-optimized-missed={REPORT}",)


def _ask(problem: KernelProblem, found: Package, home: Path, out: Path, threads: int, trust: bool) -> None:
    """Leave what the worker needs: a request, and the call's arguments."""
    inputs = problem.inputs()
    with torch.no_grad():
        result = problem.fresh_module()(*inputs)
    from kerf.kernels.tensors import flat_tensors

    given = {"init": problem.init_inputs, "training": problem.module.training, "state": problem.module.state_dict(),
             "inputs": inputs, "outputs": [torch.empty_like(t) for t in flat_tensors(result)]}  # fmt: skip
    torch.save(given, home.parent / "given.pt")
    request = {"given": str(home.parent / "given.pt"), "folder": str(home), "out": str(out), "entry": found.entry,
               "native": found.native, "threads": threads, "trust": trust, "sampler": str(_sampler())}  # fmt: skip
    (home.parent / "request.json").write_text(json.dumps(request))


def _sampler() -> Path:
    text = (files("kerf.kernels.profile") / "sampler.c").read_text()
    build = compile_library(text, ["-O2", "-std=gnu11"])
    if build.library is None:
        raise KerfError(
            f"the sampler does not compile with {find_compiler().path}: {build.log.strip()[:400]}"
        )
    return build.library


def _ran(folder: Path, out: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "kerf.kernels.profile.worker", str(folder / "request.json")]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_DYNAMIC": "false"}
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=RUN_S, env=env, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise KerfError(
            f"the candidate ran past {RUN_S:.0f} s while it was profiled: smaller sizes (--set NAME=VALUE) keep its loops"
        ) from error
    if said.returncode != 0:
        raise KerfError(
            f"the candidate failed while it was profiled: {said.stderr.strip()[-800:]}. `kerf evaluate` says whether it is right."
        )
    answer: dict[str, Any] = json.loads((out / "result.json").read_text())
    return answer


def _observed(
    said: Mapping[str, Any], found: Package, home: Path, out: Path, reports: Mapping[str, str]
) -> Observed:
    places = [
        (p["base"], Place(p["file"], p["symbol"], p["pc"] - p["base"], p["count"])) for p in said["places"]
    ]
    own = [(p.count, base, p.file) for base, p in places if p.file.startswith(str(home))]
    library, base = _most(own)
    unit = next((u for u in found.units if library and home / u.output == library), None)
    return Observed(
        said["time_s"], said["calls"], said["clock_hz"], tuple(p for _, p in places), _steps(said, out, base),
        library, unit, reports.get(unit.output, "") if unit else "\n".join(reports.values()), said["sampling"],
    )  # fmt: skip


def _most(own: list[tuple[int, int, str]]) -> tuple[Path | None, int]:
    """The library with the most ticks, and its base."""
    counts: dict[tuple[str, int], int] = {}
    for count, base, file in own:
        counts[file, base] = counts.get((file, base), 0) + count
    if not counts:
        return None, 0
    (file, base), _ = max(counts.items(), key=lambda item: item[1])
    return Path(file), base


def _steps(said: Mapping[str, Any], out: Path, base: int) -> Steps | None:
    path = out / "steps.npy"
    if not path.exists() or not sum(said["windows"]):
        return None
    words = np.load(path)
    return Steps((words[:, 16] - np.uint64(base)).astype(np.int64), words[:, :16], tuple(said["windows"]))
