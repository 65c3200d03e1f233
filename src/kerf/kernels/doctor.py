"""What making and judging kernels needs of a machine, for `kerf doctor`."""

from __future__ import annotations

import shutil

from kerf.core.types import KerfError


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


def _objdump() -> str:
    tool = shutil.which("objdump")
    if not tool:
        raise KerfError("kerf profile shows no assembly without it")
    return tool


def _mca() -> str:
    from kerf.kernels.profile.mca import find_mca

    tool = find_mca()
    if not tool:
        raise KerfError("kerf profile has its own estimate alone")
    return tool


def _chip() -> str:
    from kerf.kernels.targets.cpu import native

    chip = native()
    return f"{chip.name}, {chip.vector_bits}-bit vectors, {chip.cores} cores, L2 {chip.l2_bytes >> 10} KiB, L3 {chip.l3_bytes >> 20} MiB"


CHECKS = (
    ("chip", True, "", _chip),
    ("C compiler", True, "apt-get install gcc libc6-dev", _compiler),
    ("OpenMP", True, "apt-get install gcc (clang needs libomp-dev)", _openmp),
    ("PyTorch", True, "pip install torch", _torch),
    ("objdump", False, "apt-get install binutils", _objdump),
    ("llvm-mca", False, "apt-get install llvm", _mca),
    ("C++ compiler for the torch.compile baseline", False, "apt-get install g++", _inductor),
)
