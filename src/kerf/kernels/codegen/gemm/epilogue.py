"""From finished sums to stored results: the maps after a contraction, applied to a tile that is still in L1."""

from __future__ import annotations

from dataclasses import dataclass, field

from kerf.kernels.codegen.expr import CTYPE, always_inside, bound, ctype, stored
from kerf.kernels.codegen.gemm.analysis import Problem, pointer, result_mask
from kerf.kernels.ir import Affine, Apply, Load, affine, apply

STREAM = """/* Stores that bypass the caches, for results larger than they are. `d` must be aligned to the vector. */
#if defined(__clang__)
#define {s}_STREAM(d, x) __builtin_nontemporal_store((x), (d))
#elif defined(__AVX512F__) && {bits} == 512
#define {s}_STREAM(d, x) __builtin_ia32_movnt{letter}512(({ctype} *)(d), (x))
#elif defined(__AVX__) && {bits} == 256
#define {s}_STREAM(d, x) __builtin_ia32_movnt{letter}256(({ctype} *)(d), (x))
#else
#define {s}_STREAM(d, x) (*(d) = (x))
#endif
"""


@dataclass(frozen=True)
class Signature:
    """The pointers that every helper of one kernel takes, and how weights that were packed arrive."""

    problem: Problem
    packed: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> str:
        group = self.problem.group
        ins = [
            f"const {self.packed.get(b.name, CTYPE[b.dtype])} *restrict {pointer(b.name)}"
            for b in group.inputs
        ]
        outs = [f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in group.outputs]
        return ", ".join([*ins, *outs])

    @property
    def arguments(self) -> str:
        return ", ".join(pointer(b.name) for b in (*self.problem.group.inputs, *self.problem.group.outputs))


def element(p: Problem, indent: str, value: str) -> list[str]:
    """C statements that take one sum `value`, at z, m, n, through the maps and into memory."""
    names = {p.main.out.name: "sum"}
    memory = p.memory()
    lines = [f"{indent}const {ctype(p.main.out.dtype)} sum = {value};"]
    kept = {b.name for b in p.stored}
    if p.main.out.name in kept:
        lines.append(_write(p, p.main.out.name, "sum", indent))

    def load(ld: Load) -> str:
        return names.get(ld.buffer) or memory(ld)

    inside = always_inside(p.main.axes, p.group.buffer, names)
    for i, (buffer, expr) in enumerate(p.maps):
        made, result = bound(expr, p.codes, load, indent, f"e{i}_", inside)
        names[buffer.name] = f"r{i}"
        lines += [*made, f"{indent}const {ctype(buffer.dtype)} r{i} = {result};"]
        if buffer.name in kept:
            lines.append(_write(p, buffer.name, f"r{i}", indent))
    return lines


def _write(p: Problem, name: str, value: str, indent: str) -> str:
    buffer = p.group.buffer(name)
    return f"{indent}{pointer(name)}[{p.place(p.where(buffer))}] = {stored(value, buffer.dtype)};"


def store(p: Problem, sig: Signature, symbol: str, stream: bool = False) -> str:
    """`SYMBOL_store`: the epilogue of a tile of `rows` x `columns` sums at (m0, n0), whose rows are `step` apart."""
    acc = CTYPE[p.acc]
    head = [
        "/* Epilogue: sums of one tile, still in L1, to the results. */",
        f"static inline __attribute__((always_inline)) void {symbol}_store({sig.parameters}, const {acc} *restrict tile,",
        "        long step, long z, long m0, long rows, long n0, long columns) {",
        "    (void)z;",
        "    for (long i = 0; i < rows; ++i) {",
        f"        const long m = m0 + i; const {acc} *restrict row = tile + i * step; (void)m;",
    ]
    loop = [
        "#pragma GCC ivdep",
        "        for (long j = 0; j < columns; ++j) {",
        "            const long n = n0 + j; (void)n;",
        *element(p, " " * 12, "row[j]"),
        "        }",
    ]
    return "\n".join([*head, *(_streamed(p, symbol) if stream else loop), "    }", "}"]) + "\n"


def can_stream(p: Problem, lanes: int) -> bool:
    """Are whole, aligned vectors of the single result stored, so that they may bypass the caches?"""
    if len(p.stored) != 1 or p.stored[0].dtype is not p.acc or p.n.extent % lanes:
        return False
    form = p.where(p.stored[0])
    return p.n.stride(form) == 1 and all(
        c % lanes == 0 for a, c in form.coefficients.items() if a not in p.n.codes()
    )


def _streamed(p: Problem, symbol: str) -> list[str]:
    """The row's results go to an aligned line first, then past the caches."""
    out = p.stored[0]
    buffer, acc = pointer(out.name), CTYPE[p.acc]
    address = f"{buffer}[{p.place(p.where(out))}]"
    lines = [line.replace(address, "line[j]") for line in element(p, " " * 12, "row[j]")]
    return [
        f"        {acc} line[{symbol}_WIDTH] __attribute__((aligned(64)));",
        "#pragma GCC ivdep",
        "        for (long j = 0; j < columns; ++j) {",
        "            const long n = n0 + j; (void)n;",
        *lines,
        "        }",
        "        const long n = n0;",
        f"        for (long j = 0; j < columns; j += {symbol}_LANES)",
        f"            {symbol}_STREAM(({symbol}_v *)(&{address} + j), *(const {symbol}_v *)(line + j));",
    ]


def never(p: Problem, m: tuple[str, str], n: tuple[str, str]) -> str | None:
    """C that is true when the triangular mask on the result is false everywhere in rows m[0]..m[1] and columns n[0]..n[1]
    (both inclusive), or None where the result has no such mask."""
    mask = result_mask(p)
    form = _margin(mask) if mask else None
    if form is None:
        return None
    single = {f.axes[0].name: r for f, r in ((p.m, m), (p.n, n)) if len(f.axes) == 1}
    if not set(form.coefficients) <= set(single):
        return None
    # The largest margin over the tile: each term at the end that makes it largest.
    terms = [f"{c}L * ({single[a][1] if c > 0 else single[a][0]})" for a, c in form.coefficients.items()]
    return f"{' + '.join([*terms, f'{form.offset}L'])} < 0"


def _margin(mask: Apply) -> Affine | None:
    """An affine form that is >= 0 exactly where the mask holds."""
    a, b = mask.args
    left, right = (b, a) if mask.op in ("lt", "le") else (a, b)
    form = affine(apply("sub", left, right))
    if form is None:
        return None
    return Affine(form.offset - (mask.op in ("lt", "gt")), form.coefficients)
