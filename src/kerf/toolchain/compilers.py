"""C compilers: found, called and cached by content. Every domain that compiles goes through here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kerf.core import temporary
from kerf.core.types import KerfError

CANDIDATES = (
    "gcc",
    "clang",
    "cc",
    "gcc-14",
    "gcc-13",
    "gcc-12",
    "clang-19",
    "clang-18",
    "clang-17",
    "clang-16",
    "clang-15",
    "clang-14",
)


@dataclass(frozen=True)
class Compiler:
    path: str
    version: str

    @property
    def is_clang(self) -> bool:
        return "clang" in self.version


@dataclass(frozen=True)
class Build:
    """`library` is None when the build failed; `log` is what the compiler said."""

    library: Path | None
    log: str
    cached: bool = False
    seconds: float = 0.0


@cache
def find_compiler(name: str = "") -> Compiler:
    """The C compiler to use: `name`, else $CC, else the first known one on the PATH. Raises KerfError when there is none."""
    wanted = (name or os.environ.get("CC", ""), *CANDIDATES)
    for option in filter(None, wanted):
        path = shutil.which(option)
        if path:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
            return Compiler(path, said.stdout.splitlines()[0] if said.stdout else option)
    raise KerfError(
        "no C compiler found (looked for gcc, clang, cc and $CC). Install one, for instance: apt-get install gcc libc6-dev"
    )


def native_flags(machine: str, vector_bits: int = 0) -> list[str]:
    """Flags for the fastest code on this machine that keep IEEE semantics of NaN and infinity."""
    flags = [
        "-O3",
        "-march=native" if machine == "x86_64" else "-mcpu=native",
        "-std=gnu11",
        "-fno-math-errno",
        "-fno-trapping-math",
    ]
    if machine == "x86_64" and vector_bits == 512:
        flags.append("-mprefer-vector-width=512")
    return [*flags, "-ffp-contract=fast", "-fopenmp"]


def cache_folder() -> Path:
    """Where compiled libraries are kept: $KERF_HOME/build or the user's cache folder."""
    from platformdirs import user_cache_path

    home = os.environ.get("KERF_HOME")
    folder = Path(home) / "build" if home else user_cache_path("kerf") / "build"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep(made: Path, library: Path) -> None:
    """Copy what was compiled to its place in the cache, there whole or not at all."""
    copy = library.with_suffix(f".{os.getpid()}")
    shutil.copyfile(made, copy)
    os.replace(copy, library)


def compile_library(
    source: str, flags: Sequence[str], *, compiler: Compiler | None = None, timeout_s: float = 60.0
) -> Build:
    """Compile one C text to a shared library, or find it in the cache. A failed build is a value, not an exception."""
    import time

    tool = compiler or find_compiler()
    key = hashlib.sha256("\0".join([tool.version, *flags, source]).encode()).hexdigest()[:24]
    library = cache_folder() / f"{key}.so"
    if library.exists():
        return Build(library, "", cached=True)
    start = time.monotonic()
    with temporary.folder("compile") as scratch:
        text, made = Path(scratch) / "kernel.c", Path(scratch) / "kernel.so"
        text.write_text(source)
        command = [tool.path, *flags, "-shared", "-fPIC", "-o", str(made), str(text), "-lm"]
        try:
            said = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return Build(None, f"the compiler ran past {timeout_s:.0f} s", seconds=time.monotonic() - start)
        if said.returncode != 0 or not made.exists():
            return Build(
                None,
                said.stderr or f"the compiler exited with {said.returncode}",
                seconds=time.monotonic() - start,
            )
        keep(made, library)
    return Build(library, said.stderr, seconds=time.monotonic() - start)
