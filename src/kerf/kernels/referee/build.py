"""Turn a package into a folder that can be loaded. Only the compiler runs, confined to a scratch folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kerf.core import temporary
from kerf.kernels.referee.candidate import Package, Unit
from kerf.kernels.referee.claims import empty_functions
from kerf.sandbox import run_command
from kerf.toolchain.compilers import cache_folder, find_compiler, keep

# Time on top of the limit for a megabyte of C: gcc -O3 takes about 13 s of CPU for one, and other work may hold the machine.
SECONDS_PER_MB = 30.0


@dataclass(frozen=True)
class Built:
    """`problem` is empty when everything compiled."""

    problem: str
    seconds: float


def build(package: Package, folder: Path, *, timeout_s: float, trust: bool) -> Built:
    """Write the candidate's files and compiled outputs into `folder`.

    `timeout_s` is the limit for a small source; a network's has megabytes, and gets SECONDS_PER_MB more for each."""
    for name, text in package.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seconds = 0.0
    for unit in package.units:
        limit_s = timeout_s + SECONDS_PER_MB * len(unit.text) / 1e6
        made, log, cost = _compiled(unit, package.files, limit_s, trust)
        seconds += cost
        if made is None:
            return Built(log, seconds)
        (folder / unit.output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, folder / unit.output)
    return Built("", seconds)


def build_empty(library: Path, *, timeout_s: float, trust: bool) -> Path | None:
    """A shared object with the functions of `library`, every one empty; None where that does not compile."""
    unit = Unit(empty_functions(library), library.name, ("-O1", "-w", "-fno-builtin"))
    return _compiled(unit, {}, timeout_s, trust)[0]


def _compiled(
    unit: Unit, files: Mapping[str, str], timeout_s: float, trust: bool
) -> tuple[Path | None, str, float]:
    tool = find_compiler()
    headers = {n: t for n, t in files.items() if n.endswith((".h", ".c"))}
    key = hashlib.sha256(repr((tool.version, unit, sorted(headers.items()))).encode()).hexdigest()[:24]
    kept = cache_folder() / f"referee-{key}.so"
    if kept.exists():
        return kept, "", 0.0
    with temporary.folder("build") as scratch:
        for name, text in headers.items():
            (Path(scratch) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(scratch) / name).write_text(text)
        (Path(scratch) / "unit_to_build.c").write_text(unit.text)
        command = [
            tool.path,
            *unit.flags,
            "-shared",
            "-fPIC",
            "-o",
            "unit_built.so",
            "unit_to_build.c",
            "-lm",
        ]
        said = run_command(command, cwd=Path(scratch), timeout_s=timeout_s, trust=trust)
        made = Path(scratch) / "unit_built.so"
        if said.timed_out:
            return None, f"the compiler ran past {timeout_s:.0f} s", said.seconds
        if said.returncode != 0 or not made.is_file() or made.is_symlink():
            return (
                None,
                said.output.strip()[-4000:] or f"the compiler ended with {said.returncode}",
                said.seconds,
            )
        keep(made, kept)
    return kept, "", said.seconds
