"""What this machine has for making and judging kernels, and what would mend what is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from typing import Any

from kerf.core.types import KerfError


def examine() -> dict[str, Any]:
    """The JSON of `kerf doctor`: a list of checks, each with `ok`, what was found, and the one command that mends it."""
    checks = [_check(*row) for row in ROWS]
    missing = [c for c in checks if not c["ok"] and c["needed"]]
    summary = (
        "everything that is needed is here"
        if not missing
        else f"{len(missing)} missing: " + ", ".join(c["what"] for c in missing)
    )
    return {"ok": not missing, "summary": summary, "checks": checks}


def _check(what: str, needed: bool, fix: str, look: Callable[[], str]) -> dict[str, Any]:
    try:
        found, ok = look(), True
    except (KerfError, ImportError, OSError) as error:
        found, ok = str(error).splitlines()[0], False
    return {"what": what, "ok": ok, "needed": needed, "found": found, "fix": "" if ok else fix}


def _system() -> str:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise KerfError(
            f"{sys.platform} on {platform.machine()}: `kerf audit`, `runs` and `show` work; making and judging kernels needs Linux"
        )
    return f"Linux {platform.release()} on {platform.machine()}"


def _compiler() -> str:
    from kerf.toolchain.compilers import find_compiler

    return find_compiler().version


def _openmp() -> str:
    from kerf.toolchain.compilers import compile_library

    build = compile_library(
        "#include <omp.h>\nint kerf_probe(void) { return omp_get_max_threads(); }\n", ["-O1", "-fopenmp"]
    )
    if build.library is None:
        raise KerfError(build.log)
    return "the compiler links it"


def _torch() -> str:
    import torch

    return f"{torch.__version__}, oneDNN {'yes' if torch.backends.mkldnn.is_available() else 'no'}"


def _inductor() -> str:
    tool = shutil.which("g++") or shutil.which("clang++")
    if not tool:
        raise KerfError("no C++ compiler: the torch.compile baseline is left out")
    return tool


def _isolation() -> str:
    from kerf.sandbox import isolation

    found = isolation()
    if not found.sufficient:
        raise KerfError(f"not enough: {found.describe()}")
    return found.describe()


def _chip() -> str:
    from kerf.kernels.targets.cpu import native

    chip = native()
    return f"{chip.name}, {chip.vector_bits}-bit vectors, {chip.cores} cores, L2 {chip.l2_bytes >> 10} KiB, L3 {chip.l3_bytes >> 20} MiB"


def _archive() -> str:
    from kerf.archive import Archive

    with Archive() as archive:
        return f"{archive.folder} ({len(archive.runs())} runs)"


ROWS = (
    ("system", True, "run kerf on Linux, x86-64 or AArch64 (a container will do)", _system),
    ("chip", True, "", _chip),
    ("C compiler", True, "apt-get install gcc libc6-dev", _compiler),
    ("OpenMP", True, "apt-get install gcc (clang needs libomp-dev)", _openmp),
    ("PyTorch", True, "pip install torch", _torch),
    ("sandbox", True, "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1 (or judge with --trust)", _isolation),
    ("C++ compiler for the torch.compile baseline", False, "apt-get install g++", _inductor),
    ("archive", True, "set KERF_HOME to a folder that can be written", _archive),
)  # fmt: skip
