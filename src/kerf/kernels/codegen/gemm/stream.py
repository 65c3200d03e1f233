"""Contractions bound by memory: one operand is read once, as it lies, and nothing is packed but a small other one.

`dot`: both operands run along k; a tile of dot products shares its loads. `axpy`: the large operand runs along n; a few
of its rows at a time are added into a block of sums that stays in L1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm.analysis import Problem
from kerf.kernels.codegen.gemm.epilogue import Signature, store
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

ROWS, COLUMNS, STEPS, BLOCKS = (1, 2, 4), (1, 2, 4, 6, 8), (1, 2, 4, 8), (256, 512, 1024, 2048, 4096)
STACK = 256 << 10


def algorithms(p: Problem, chip: Chip) -> tuple[str, ...]:
    """Those of dot and axpy that read both operands along memory."""
    found = []
    if (
        p.left.stride(p.k) == 1
        and (p.right.stride(p.k) == 1 or _small(p, chip))
        and min(p.m.extent, p.n.extent) <= 64
    ):
        found.append("dot")
    if p.right.stride(p.n) == 1 and p.m.extent <= 32:
        found.append("axpy")
    return tuple(found)


def _small(p: Problem, chip: Chip) -> bool:
    """Is the right operand worth turning in scratch, so that it runs along k?"""
    return (
        p.n.extent <= 16 and p.n.extent * p.k.extent * p.acc.bytes <= chip.l2_bytes // 2 and p.m.extent >= 16
    )


def decisions(p: Problem, chip: Chip, among: tuple[str, ...]) -> tuple[Decision, ...]:
    """What may vary in those of dot and axpy that are `among` the algorithms."""
    rows = max(r for r in ROWS if r <= max(1, p.m.extent))
    columns = max(c for c in COLUMNS if c <= max(1, p.n.extent) and rows * c <= 16)
    block = max([b for b in BLOCKS if b * p.m.extent * p.acc.bytes <= chip.l1_bytes // 2], default=BLOCKS[0])
    dot = (Decision("dot_rows", ROWS, rows), Decision("dot_columns", COLUMNS, columns))
    axpy = (Decision("axpy_rows", STEPS, 8), Decision("axpy_block", BLOCKS, block))
    return (*(dot if "dot" in among else ()), *(axpy if "axpy" in among else ()))


def emit(p: Problem, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
    writer = _Dot if choices["algorithm"] == "dot" else _Axpy
    return writer(p, Signature(p), symbol, threads, dict(choices)).emitted()


@dataclass(frozen=True)
class _Stream:
    p: Problem
    sig: Signature
    s: str
    threads: int
    choices: dict[str, Value]

    @property
    def acc(self) -> str:
        return CTYPE[self.p.acc]

    def _team(self) -> list[str]:
        return ["#pragma omp parallel for schedule(static) num_threads(threads)"] if self.threads > 1 else []

    def _open(self) -> list[str]:
        return [
            f"static void {self.s}({self.sig.parameters}, char *restrict scratch, int threads) {{",
            "    (void)scratch; (void)threads;",
        ]

    def _emitted(self, body: list[str], scratch: int = 0) -> Emitted:
        code = store(self.p, self.sig, self.s) + "\n".join(body) + "\n"
        return Emitted(code, self.s, scratch, (), self.p.flops, self.p.bytes)


class _Dot(_Stream):
    @property
    def turned(self) -> bool:
        return self.p.right.stride(self.p.k) != 1

    def emitted(self) -> Emitted:
        p = self.p
        rows = min(int(self.choices["dot_rows"]), p.m.extent)
        columns = min(int(self.choices["dot_columns"]), p.n.extent)
        sizes = list(product(_sizes(p.m.extent, rows), _sizes(p.n.extent, columns)))
        body = [line for r, c in sizes for line in self._tile(r, c)]
        across = -(-p.n.extent // columns)
        tiles = -(-p.m.extent // rows) * across
        body += [
            *self._open(),
            *self._turn(),
            *self._team(),
            f"    for (long tile = 0; tile < {p.z.extent * tiles}; ++tile) {{",
            f"        const long z = tile / {tiles}, m = tile % {tiles} / {across} * {rows}, n = tile % {across} * {columns};",
            *(
                f"        if ({self._fits('m', r, rows)} && {self._fits('n', c, columns)}) {self.s}_dot_{r}x{c}({self._arguments()}, z, m, n);"
                for r, c in sizes
            ),
            "    }",
            "}",
        ]
        layers = p.z.extent if p.right.batched else 1
        return self._emitted(body, layers * p.n.extent * p.k.extent * p.acc.bytes if self.turned else 0)

    def _fits(self, var: str, size: int, full: int) -> str:
        extent = self.p.m.extent if var == "m" else self.p.n.extent
        return f"{var} + {full} {'<=' if size == full else '>'} {extent}"

    def _arguments(self) -> str:
        return self.sig.arguments + (f", (const {self.acc} *)scratch" if self.turned else "")

    def _tile(self, rows: int, columns: int) -> list[str]:
        p, acc = self.p, self.acc
        turned = f", const {acc} *restrict turned" if self.turned else ""
        sums = [f"s{i}_{j}" for i in range(rows) for j in range(columns)]
        return [
            f"/* {rows} x {columns} dot products that share their loads. */",
            f"static void {self.s}_dot_{rows}x{columns}({self.sig.parameters}{turned}, long z, long m0, long n0) {{",
            f"    {acc} {', '.join(f'{s} = 0' for s in sums)};",
            f"#pragma omp simd reduction(+ : {', '.join(sums)})",
            f"    for (long k = 0; k < {p.k.extent}; ++k) {{",
            *(
                f"        {acc} a{i}; {{ const long m = m0 + {i}; (void)m; a{i} = {p.value(p.left)}; }}"
                for i in range(rows)
            ),
            *(
                f"        {acc} b{j}; {{ const long n = n0 + {j}; (void)n; b{j} = {self._right()}; }}"
                for j in range(columns)
            ),
            *(f"        s{i}_{j} += a{i} * b{j};" for i in range(rows) for j in range(columns)),
            "    }",
            f"    const {acc} sums[{rows * columns}] = {{{', '.join(sums)}}};",
            f"    {self.s}_store({self.sig.arguments}, sums, {columns}, z, m0, {rows}, n0, {columns});",
            "}",
        ]

    def _right(self) -> str:
        if not self.turned:
            return self.p.value(self.p.right)
        layer = f"z * {self.p.n.extent * self.p.k.extent}L + " if self.p.right.batched else ""
        return f"turned[{layer}n * {self.p.k.extent}L + k]"

    def _turn(self) -> list[str]:
        p = self.p
        if not self.turned:
            return []
        layers = p.z.extent if p.right.batched else 1
        return [
            f"    {self.acc} *restrict turned = ({self.acc} *)scratch;",
            f"    for (long z = 0; z < {layers}; ++z)",
            f"        for (long n = 0; n < {p.n.extent}; ++n)",
            f"            for (long k = 0; k < {p.k.extent}; ++k)",
            f"                turned[(z * {p.n.extent} + n) * {p.k.extent}L + k] = {p.value(p.right)};",
        ]


def _sizes(extent: int, step: int) -> list[int]:
    return [s for s in dict.fromkeys((step if extent >= step else 0, extent % step)) if s]


class _Axpy(_Stream):
    def emitted(self) -> Emitted:
        p, acc = self.p, self.acc
        steps, block = (
            min(int(self.choices["axpy_rows"]), p.k.extent),
            min(int(self.choices["axpy_block"]), p.n.extent),
        )
        blocks, rows = -(-p.n.extent // block), p.m.extent
        whole = p.k.extent // steps * steps
        body = [
            *self._open(),
            *self._team(),
            f"    for (long part = 0; part < {p.z.extent * blocks}; ++part) {{",
            f"        const long z = part / {blocks}, n0 = part % {blocks} * {block}; (void)z;",
            f"        const long columns = {p.n.extent} - n0 < {block} ? {p.n.extent} - n0 : {block};",
            f"        {acc} sums[{rows * block}] __attribute__((aligned(64))) = {{0}};",
            f"        for (long k0 = 0; k0 < {whole}; k0 += {steps}) {{",
            *self._step(steps, block, "k0"),
            "        }",
            f"        for (long k0 = {whole}; k0 < {p.k.extent}; ++k0) {{",
            *self._step(1, block, "k0"),
            "        }",
            f"        {self.s}_store({self.sig.arguments}, sums, {block}, z, 0, {rows}, n0, columns);",
            "    }",
            "}",
        ]
        return self._emitted(body)

    def _step(self, steps: int, block: int, k0: str) -> list[str]:
        p, acc, pad = self.p, self.acc, " " * 12
        rows = range(p.m.extent)
        factors = [
            f"{pad}{acc} x{m}_{u}; {{ const long m = {m}, k = {k0} + {u}; (void)m; (void)k; x{m}_{u} = {p.value(p.left)}; }}"
            for m in rows
            for u in range(steps)
        ]
        sums = [
            f"{pad}    sums[{m * block} + j] += {' + '.join(f'x{m}_{u} * b{u}' for u in range(steps))};"
            for m in rows
        ]
        return [
            *factors,
            "#pragma omp simd",
            f"{pad}for (long j = 0; j < columns; ++j) {{",
            f"{pad}    const long n = n0 + j;",
            *(
                f"{pad}    {acc} b{u}; {{ const long k = {k0} + {u}; (void)k; b{u} = {p.value(p.right)}; }}"
                for u in range(steps)
            ),
            *sums,
            f"{pad}}}",
        ]


def default(p: Problem, options: tuple[str, ...], chip: Chip, resident: bool) -> str:
    """Which algorithm suits: with few rows each element of the matrix is used too little to pay for a copy of it, and out
    of memory it is better read row by row. `resident` says that a packed copy is made once, not in each call."""
    few = 1 if resident else 4
    far = p.n.extent * p.k.extent * p.acc.bytes > chip.l2_bytes
    if "dot" in options and (p.m.extent <= few or p.n.extent <= 4):
        return "dot"
    if "axpy" in options and (p.m.extent <= few or (far and not resident and p.m.extent <= 8)):
        return "axpy"
    return "panel"
