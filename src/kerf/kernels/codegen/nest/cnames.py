"""Small pieces of C text shared by the parts of the nest generator."""

from __future__ import annotations

from collections.abc import Sequence

from kerf.kernels.codegen.expr import render
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.index import expression
from kerf.kernels.ir import Affine, DType


class Own(dict[str, str]):
    """Loop variables are called like their axes."""

    def __missing__(self, key: str) -> str:
        return key


def affine_c(value: Affine) -> str:
    return render(expression(value), Own(), lambda load: load.buffer)


def simd(reductions: Sequence[tuple[str, DType, list[str]]]) -> str:
    """The pragma of a vector loop with these (kind, dtype, accumulators)."""
    clauses = "".join(
        f" reduction({reduction.clause(kind, dtype)} : {', '.join(names)})"
        for kind, dtype, names in reductions
    )
    return f"#pragma omp simd{clauses}"


def padded(size: int) -> int:
    """Bytes up to the next cache line."""
    return -(-size // 64) * 64
