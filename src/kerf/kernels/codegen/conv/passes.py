"""Small constant matrices applied to vectors, as straight-line C."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from kerf.kernels.codegen.conv.toom import Matrix


def apply_matrix(
    matrix: Matrix, inputs: list[str], prefix: str, literal: Callable[[Fraction], str]
) -> tuple[list[str], list[str]]:
    """C expressions of matrix @ inputs, and the shared sums to bind first. Two rows that differ only in signs (a pair of
    points p, -p) are the sum and the difference of the same two halves."""
    bindings: list[str] = []
    results: dict[int, str] = {}
    for i, row in enumerate(matrix):
        if i in results:
            continue
        partner = next(
            (j for j in range(i + 1, len(matrix)) if j not in results and _mirrored(row, matrix[j])), None
        )
        if partner is None:
            results[i] = _combination(row, inputs, literal)
            continue
        even = tuple(a if a == b else Fraction(0) for a, b in zip(row, matrix[partner], strict=True))
        odd = tuple(a if a != b else Fraction(0) for a, b in zip(row, matrix[partner], strict=True))
        bindings += [
            f"{prefix}e{i} = {_combination(even, inputs, literal)}",
            f"{prefix}o{i} = {_combination(odd, inputs, literal)}",
        ]
        results[i], results[partner] = f"{prefix}e{i} + {prefix}o{i}", f"{prefix}e{i} - {prefix}o{i}"
    return bindings, [results[i] for i in range(len(matrix))]


def _mirrored(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> bool:
    shared = sum(1 for x, y in zip(a, b, strict=True) if x and abs(x) == abs(y))
    return a != b and all(abs(x) == abs(y) for x, y in zip(a, b, strict=True)) and shared > 1


def _combination(row: tuple[Fraction, ...], inputs: list[str], literal: Callable[[Fraction], str]) -> str:
    text = ""
    for c, name in zip(row, inputs, strict=True):
        if not c:
            continue
        term = name if abs(c) == 1 else f"{literal(abs(c))} * {name}"
        text += (f" {'-' if c < 0 else '+'} " if text else ("-" if c < 0 else "")) + term
    return text or "zero"


def pass_code(symbol: str, name: str, matrix: Matrix, kind: str) -> str:
    """`SYMBOL_NAME(in, in_step, out, out_step)`: out = matrix @ in on vectors, anywhere in memory."""
    suffix = "f" if kind == "float" else ""
    inputs = [f"x{i}" for i in range(len(matrix[0]))]
    used = [i for i in range(len(matrix[0])) if any(row[i] for row in matrix)]
    bindings, results = apply_matrix(matrix, inputs, "", lambda c: f"{float(c)!r}{suffix}")
    loads = "\n".join(
        f"    const {symbol}_vec x{i} = *(const {symbol}_any *)(in + {i} * in_step);" for i in used
    )
    shared = "\n".join(f"    const {symbol}_vec {b};" for b in bindings)
    stores = "\n".join(f"    *({symbol}_any *)(out + {i} * out_step) = {r};" for i, r in enumerate(results))
    return f"""static inline __attribute__((always_inline)) void {symbol}_{name}(const {kind} *in, long in_step, {kind} *out, long out_step)
{{
{loads}
{shared}
{stores}
}}
"""


def pass_from_code(symbol: str, name: str, matrix: Matrix, kind: str) -> str:
    """The same, with the inputs found through a table of offsets."""
    return (
        pass_code(symbol, name, matrix, kind)
        .replace("long in_step", "const int *site, long site_step")
        .replace("const int *site, long site_step,", "const int *restrict site, long site_step,")
        .replace("* in_step)", "* site_step])")
        .replace("(in + ", "(in + site[")
    )
