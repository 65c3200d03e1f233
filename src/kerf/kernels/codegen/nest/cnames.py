"""Small pieces of C text shared by the parts of the nest generator."""

from __future__ import annotations

from collections.abc import Sequence

from kerf.kernels.codegen.expr import ctype, render
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import expression
from kerf.kernels.ir import Affine, Axis, DType

LINE = 64  # bytes of a cache line
CHUNK = 64  # elements of one aligned step along a row: whole vectors, several of them


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


def nested(axes: Sequence[Axis], body: Sequence[str]) -> list[str]:
    lines = list(body)
    for a in reversed(axes):
        lines = [f"for (long {a.name} = 0; {a.name} < {a.extent}; {a.name}++) {{", *indented(lines), "}"]
    return lines


def indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]


def arg_update(s: Step, value: str, best: str, at: str) -> list[str]:
    """The first winner keeps its place; a NaN wins over everything but an earlier NaN."""
    name, here = s.out.name, affine_c(s.position)
    position = reduction.position_type(s.value.dtype)
    lines = [f"const {ctype(s.value.dtype)} y_{name} = {value};"]
    lines += [
        f"const {ctype(s.value.dtype)} z_{name} = {best};",
        f"const {position} j_{name} = ({position})({here});",
    ]
    sign, not_better = (">", "<=") if s.kind == "argmax" else ("<", ">=")
    wins = f"(y_{name} {sign} z_{name})"
    ties = f"(y_{name} == z_{name})"
    if s.value.dtype.is_float:
        wins = f"(!(y_{name} {not_better} z_{name}) & (z_{name} == z_{name}))"
        ties += f" | ((y_{name} != y_{name}) & (z_{name} != z_{name}))"
    if not s.ordered:
        wins += f" | (({ties}) & (j_{name} < {at}))"
    lines += [
        f"const int w_{name} = {wins};",
        f"{best} = w_{name} ? y_{name} : z_{name};",
        f"{at} = w_{name} ? j_{name} : {at};",
    ]
    return lines
