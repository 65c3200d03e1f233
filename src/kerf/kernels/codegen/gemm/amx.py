"""Contractions on matrix registers (see `codegen.amx`): both operands are copied as bfloat16 parts, a block of rows whole, a block of columns k block
after k block, so that the latter stays in the L2 cache; the sums of a square of 32 x 32 are kept in four registers.

Values that do not come apart, and machines that have no matrix registers or do not grant them, take the way of `panel`, which is in the same kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from kerf.kernels.codegen import amx
from kerf.kernels.codegen.amx import DEPTH, GUARD, ROWS, SIDE
from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm import micro, packing, panel
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.codegen.gemm.epilogue import Signature, never, store
from kerf.kernels.codegen.gemm.parts import bounds, everything, ranges
from kerf.kernels.codegen.gemm.plan import balanced, can_be_weights, rounded, sources
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.ir import DType
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

DEPTHS, WIDTHS = (128, 256, 512, 1024), (128, 256, 384, 512)
ROOM = 16 << 20  # bytes of the parts of rows that are copied at a time
NEAR = 256 << 10  # ... where one block of columns is all that they are used for
DEEP = 1 << 20  # bytes of a narrow B's parts that stay near
LINE = 64
AHEAD = 8  # rows of B
REGISTER = 512  # 16-bit values
PRODUCT_NS, COPY_NS = 5.6, 0.45  # measured: an instruction with its loads; a value that is copied
VECTOR_GFLOPS = 170.0  # what the vector units reach


def possible(p: Problem, chip: Chip) -> bool:
    """Are there float32 sums whose registers would not be mostly empty?"""
    return (
        amx.able(chip) and p.acc is DType.F32 and min(p.m.extent, p.n.extent) > ROWS and p.k.extent >= DEPTH
    )


def faster(p: Problem, pack_weights: bool = True) -> bool:
    """Is it worth taking the operands apart? By the time of the products, padded, and of what is copied in each call."""
    squares = ceil(p.m.extent / ROWS) * ceil(p.n.extent / ROWS) * ceil(p.k.extent / DEPTH)
    order = amx.products(_parts(p, p.left), _parts(p, p.right))
    copied = sum(
        o.row.extent * p.k.extent for o in (p.left, p.right) if not (pack_weights and can_be_weights(p, o))
    )
    here = p.z.extent * (squares * len(order) * PRODUCT_NS + copied * COPY_NS)
    return here < 0.9 * p.flops / VECTOR_GFLOPS


def decisions() -> tuple[Decision, ...]:
    return Decision("amx_k", DEPTHS, 512), Decision("amx_n", WIDTHS, 256)


def emit(p: Problem, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
    other = panel.emit(p, {**choices, "pack_weights": False}, chip, threads, f"{symbol}_vector")
    parallel = str(choices.get("parallel", "none")) if threads > 1 else "none"
    once = [o for o in (p.left, p.right) if choices.get("pack_weights") and can_be_weights(p, o)]
    plan = _Plan(
        p,
        kc=balanced(p.k.extent, int(choices["amx_k"]), DEPTH),
        nc=balanced(p.n.extent, int(choices["amx_n"]), SIDE),
        a=_Layout(p.left, _parts(p, p.left), p.left in once),
        b=_Layout(p.right, _parts(p, p.right), p.right in once),
        parallel="grid" if parallel == "k" else parallel,
        parts=threads if parallel != "none" else 1,
    )
    return _Writer(plan, symbol, other).emitted()


def _parts(p: Problem, operand: Operand) -> int:
    load = operand.load
    stored = p.group.buffer(load.buffer).dtype if load is not None and operand.expr is load else None
    return amx.parts_of(stored)


@dataclass(frozen=True)
class _Layout:
    """How an operand comes apart, and whether once for good."""

    operand: Operand
    parts: int
    once: bool

    @property
    def step(self) -> int:
        """16-bit values of 32 rows or columns and 32 steps of k."""
        return 2 * self.parts * REGISTER

    @property
    def name(self) -> str:
        """The buffer that its parts take the place of."""
        return sources(self.operand)[0]


@dataclass(frozen=True)
class _Plan:
    p: Problem
    kc: int
    nc: int
    a: _Layout
    b: _Layout
    parallel: str
    parts: int

    @property
    def steps(self) -> int:
        """Of 32, in the whole of k."""
        return ceil(self.p.k.extent / DEPTH)

    @property
    def narrow(self) -> bool:
        """Is one block of columns all there is? Then it is copied once, and rows stay near for the little that they are used."""
        return self.p.n.extent <= self.nc

    @property
    def deep(self) -> bool:
        """... and is it too large to stay near? Then a block of k is copied at a time of both, and all sums wait."""
        return self.narrow and not self.b.once and self.several and self.matrix(self.b) > DEEP

    @property
    def mc(self) -> int:
        """Rows copied at a time."""
        room, reach = NEAR if self.narrow else ROOM, self.kc if self.deep else self.steps * DEPTH
        return balanced(self.p.m.extent, max(SIDE, room // (reach * self.a.parts * 2)), SIDE)

    @property
    def strip(self) -> int:
        """16-bit values between 32 columns of B and the next."""
        whole = self.b.once or (self.narrow and not self.deep)
        return (self.steps if whole else self.kc // DEPTH) * self.b.step

    @property
    def high(self) -> int:
        """16-bit values between 32 rows of A and the next."""
        return (self.kc // DEPTH if self.deep and not self.a.once else self.steps) * self.a.step

    @property
    def several(self) -> bool:
        """Do sums wait between blocks of k?"""
        return self.kc < self.p.k.extent

    def rooms(self) -> tuple[int, int, int]:
        """Bytes of one part's copies of A and of B, and of its sums."""
        a = 0 if self.a.once else self.mc // SIDE * self.high * 2
        b = 0 if self.b.once else self.nc // SIDE * self.strip * 2
        rows = rounded(self.p.m.extent, SIDE) if self.deep else self.mc if self.several else SIDE
        return a, b, rows * (self.nc if self.several else SIDE) * 4

    def matrix(self, layout: _Layout) -> int:
        """Bytes of one whole operand's parts."""
        return ceil(layout.operand.row.extent / SIDE) * self.steps * layout.step * 2

    def packed(self, layout: _Layout) -> tuple[int, int]:
        """Bytes before the unchanged values that follow an operand's parts, and in all. The first line says whether it is fit."""
        layers = self.p.z.extent if layout.operand.batched else 1
        before = LINE + layers * self.matrix(layout)
        return before, before + rounded(self.p.group.buffer(layout.name).bytes, LINE)


@dataclass(frozen=True)
class _Writer:
    plan: _Plan
    s: str
    other: Emitted

    @property
    def p(self) -> Problem:
        return self.plan.p

    @property
    def fixed(self) -> list[tuple[str, _Layout]]:
        """Operands whose parts are made once."""
        return [(w, o) for w, o in (("a", self.plan.a), ("b", self.plan.b)) if o.once]

    @property
    def sig(self) -> Signature:
        return Signature(self.p, {o.name: "char" for _, o in self.fixed})

    def emitted(self) -> Emitted:
        plan, p, s = self.plan, self.p, self.s
        kernels = [
            amx.micro(s, r, c, plan.a.parts, plan.b.parts, self._ahead())
            for r in self._sizes(p.m.extent)
            for c in self._sizes(p.n.extent)
        ]
        parts = [
            self.other.code,
            GUARD,
            amx.registers(s),
            amx.split(s),
            *self._copies(),
            *kernels,
            store(p, self.sig, s),
            self._part(),
            "#endif",
            *(self._once(w, o) for w, o in self.fixed),
            self._entry(),
        ]
        room = max(sum(plan.rooms()) * plan.parts, self.other.scratch_bytes)
        packed = tuple(
            Packed(o.name, f"{s}_once_{w}", plan.packed(o)[1], "char", sources(o.operand))
            for w, o in self.fixed
        )
        return Emitted("\n".join(parts), s, room, packed, p.flops, p.bytes)

    def _sizes(self, extent: int) -> list[int]:
        """Registers along one side of the squares that an extent needs."""
        left = extent % SIDE
        whole = extent >= SIDE or left > ROWS
        return [2] * whole + [1] * (0 < left <= ROWS)

    # ---------------------------------------------------------------- copies

    def _copies(self) -> list[str]:
        texts = []
        for w, layout in (("a", self.plan.a), ("b", self.plan.b)):
            if self._crosswise(layout) and layout.operand.plain:
                texts.append(micro.transpose(f"{self.s}_{w}", "float"))
        return [*texts, self._copy_a(), self._copy_b()]

    def _crosswise(self, layout: _Layout) -> bool:
        """Does memory run along the rows of A, or along k in B? Then blocks are turned on the way."""
        o = layout.operand
        row, k = o.stride(o.row), o.stride(self.p.k)
        return k != 1 and row == 1 if o is self.p.left else k == 1 and row != 1

    def _direct(self, layout: _Layout) -> bool:
        """May values be read where they lie, 16 at a time?"""
        o = layout.operand
        row, k = o.stride(o.row), o.stride(self.p.k)
        steps = (k, row) if o is self.p.left else (row, k)
        return o.plain and steps[0] == 1 and steps[1] is not None

    def _head(self, w: str, layout: _Layout, rest: str) -> str:
        own = packing.own_parameters(self.p, layout.operand)
        return f"static int {self.s}_copy_{w}({own + ', ' if own else ''}uint16_t *restrict dst, long z, {rest}) {{"

    def _at(self, operand: Operand) -> str:
        assert operand.load is not None and operand.form is not None
        return f"{pointer(operand.load.buffer)} + ({self.p.place(operand.form)})"

    def _block(self, w: str, layout: _Layout, rows: str, columns: str) -> list[str]:
        """Fill block[32 values of the one][..]: rows of A by k, or k by columns of B."""
        o, s = layout.operand, self.s
        value = self.p.value(o)
        inner, outer = ("k", "m") if w == "a" else ("n", "k")
        cell = "block[(m - m0) * 32 + k - k0]" if w == "a" else "block[(k - k0) * 16 + n - n0]"
        across = self._crosswise(layout)
        if across:
            inner, outer = outer, inner
        fill = [
            f"for (long {outer} = {outer}0; {outer} < {outer}1; ++{outer})",
            f"    for (long {inner} = {inner}0; {inner} < {inner}1; ++{inner}) {cell} = {value};",
        ]
        if not (across and o.plain):
            return fill
        step, width = o.stride(self.p.k if w == "a" else o.row), 32 if w == "a" else 16
        long, short = ("k", "m") if w == "a" else ("n", "k")
        turned = [
            f"if ({long}1 - {long}0 == {32 if w == 'a' else 16} && {short}1 - {short}0 == {16 if w == 'a' else 32})",
            f"    for (long {long} = {long}0; {long} < {long}1; {long} += 8)",
            f"        for (long {short} = {short}0; {short} < {short}1; {short} += 8)",
            f"            {s}_{w}_transpose8({self._at(o)}, {step}L, &{cell}, {width});",
            "else",
        ]
        return [*turned, *("    " + f for f in fill)]

    def _copy_a(self) -> str:
        """All of k of some rows: a step is two registers' rows, each with its parts."""
        layout = self.plan.a
        o, parts = layout.operand, layout.parts
        if self._direct(layout):
            load = [
                "const long m = r + i; const float *row = m < end ? " + self._at(o) + " : 0; (void)row;",
            ]
            x, y = f"row ? {self.s}_some(row, far - k) : _mm512_setzero_ps()", f"row ? {self.s}_some(row + 16, far - k - 16) : _mm512_setzero_ps()"  # fmt: skip
            fill: list[str] = []
        else:
            load = []
            x, y = "_mm512_load_ps(block + 32 * i)", "_mm512_load_ps(block + 32 * i + 16)"
            fill = [
                "float block[16 * 32] __attribute__((aligned(64)));",
                "const long m0 = r, m1 = r + 16 < end ? r + 16 : end, k0 = k, k1 = k + 32 < far ? k + 32 : far;",
                "if (m1 - m0 < 16 || k1 - k0 < 32) memset(block, 0, sizeof block);",
                "{",
                *("    " + f for f in self._block("a", layout, "16", "32")),
                "}",
            ]
        lines = [
            "/* Rows of A as parts; 1 where that is not possible. */",
            self._head("a", layout, "long begin, long end, long low, long far"),
            "    (void)z;",
            "    int odd = 0;",
            "    for (long r = begin; r < end; r += 16) {",
            f"        uint16_t *to = dst + (r - begin) / 32 * {self.plan.high}L + (r - begin) % 32 / 16 * {parts * REGISTER};",
            "        __m512i top[16];",
            "        for (int i = 0; i < 16; ++i) top[i] = _mm512_setzero_si512();",
            f"        for (long k = low; k < far; k += 32, to += {layout.step}) {{",
            *("            " + f for f in fill),
            "            for (int i = 0; i < 16; ++i) {",
            *("                " + f for f in load),
            f"                const __m512 x = {x}, y = {y};",
            f"                top[i] = {self.s}_larger({self.s}_larger(top[i], x), y);",
            f"                {self.s}_split(x, y, to + 32 * i, {REGISTER}, {parts}, 0);",
            "            }",
            "        }",
            f"        for (int i = 0; i < 16; ++i) odd |= {self.s}_odd(_mm512_reduce_max_epu32(top[i]));",
            "    }",
            "    return odd;",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _copy_b(self) -> str:
        """Some steps of k of some columns; `strip`: 16-bit values from one 32 columns to the next; `top`: each column's largest."""
        layout, s = self.plan.b, self.s
        parts = layout.parts
        pair = [
            f"uint16_t *to = dst + (q - left) / 32 * strip + (k - begin) / 32 * {layout.step} + (q - left) % 32 / 16 * {parts * REGISTER} + (k - begin) % 32 * 16;",
            "__m512i *most = (__m512i *)(top + q - left);",
            f"*most = {s}_larger({s}_larger(*most, x), y);",
            f"{s}_split(x, y, to, {REGISTER}, {parts}, 1);",
        ]
        if self._crosswise(layout):
            body = self._blocks(layout, pair)
        else:
            body = self._lines(layout, pair)
        lines = [
            "/* Columns of B as parts. */",
            self._head("b", layout, "long left, long right, long begin, long end, long strip, uint32_t *top").replace("static int", "static void"),
            "    (void)z;",
            *body,
            "}",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def _lines(self, layout: _Layout, pair: list[str]) -> list[str]:
        """Memory runs along n, or is computed: two rows at a time."""
        o, p, s = layout.operand, self.p, self.s
        rows = []
        for name, k in (("upper", "q"), ("lower", "q + 1")):
            if self._direct(layout):
                rows += [f"        const float *{name} = 0;", f"        if ({k} < end) {{ const long k = {k}, n = left; (void)n; {name} = {self._at(o)}; }}"]  # fmt: skip
            else:
                rows += [
                    f"        float {name}[{self.plan.nc if not layout.once else rounded(p.n.extent, SIDE)}];",
                    f"        if ({k} < end) {{ const long k = {k}; for (long n = left; n < right; ++n) {name}[n - left] = {p.value(o)}; }}",
                ]
        inside = [
            "        for (long n = left; n < right; n += 16) {",
            f"            const __m512 x = {s}_some(upper + n - left, right - n), y = q + 1 < end ? {s}_some(lower + n - left, right - n) : _mm512_setzero_ps();",
            "            const long k = q;",
            *self._further(layout),
            *("            " + line.replace("(q - left)", "(n - left)").replace("top + q - left", "top + n - left") for line in pair),
            "        }",
        ]  # fmt: skip
        return [
            "    for (long q = begin; q < end; q += 2) {",
            *rows,
            *inside,
            "    }",
            *self._rest(layout),
        ]

    def _further(self, layout: _Layout) -> list[str]:
        """Rows of B are short pieces of memory far apart, which are asked for in time."""
        step = layout.operand.stride(self.p.k)
        if not self._direct(layout) or step is None:
            return []
        return [
            f"            _mm_prefetch(upper + n - left + {AHEAD * step}L, _MM_HINT_T0);",
            f"            _mm_prefetch(upper + n - left + {(AHEAD + 1) * step}L, _MM_HINT_T0);",
        ]

    def _rest(self, layout: _Layout) -> list[str]:
        """Zeros in the steps of k after the last."""
        if self.p.k.extent % DEPTH == 0:
            return []
        parts = layout.parts
        return [
            "    for (long k = begin + (end - begin + 1) / 2 * 2; (k - begin) % 32; k += 2)",
            "        for (long q = left; q < right; q += 16)",
            f"            for (int i = 0; i < {parts}; ++i)",
            f"                memset(dst + (q - left) / 32 * strip + (k - begin) / 32 * {layout.step} + (q - left) % 32 / 16 * {parts * REGISTER} + (k - begin) % 32 * 16 + {REGISTER} * i, 0, 64);",
        ]

    def _blocks(self, layout: _Layout, pair: list[str]) -> list[str]:
        """Memory runs along k: blocks of 32 steps and 16 columns are turned."""
        return [
            "    for (long q = left; q < right; q += 16)",
            "        for (long b = begin; b < end; b += 32) {",
            "            float block[32 * 16] __attribute__((aligned(64)));",
            "            {",
            "                const long n0 = q, n1 = q + 16 < right ? q + 16 : right, k0 = b, k1 = b + 32 < end ? b + 32 : end;",
            "                if (n1 - n0 < 16 || k1 - k0 < 32) memset(block, 0, sizeof block);",
            *("                " + f for f in self._block("b", layout, "32", "16")),
            "            }",
            "            for (long k = b; k < b + 32; k += 2) {",
            "                const __m512 x = _mm512_load_ps(block + (k - b) * 16), y = _mm512_load_ps(block + (k - b) * 16 + 16);",
            *("                " + line for line in pair),
            "            }",
            "        }",
        ]

    # ---------------------------------------------------------------- parts made once

    def _once(self, w: str, layout: _Layout) -> str:
        """`S_once_W`: a line that says whether the operand came apart, its parts, and the values as they were."""
        p, s = self.p, self.s
        names = sources(layout.operand)
        before, _ = self.plan.packed(layout)
        layers = p.z.extent if layout.operand.batched else 1
        own = packing.own_arguments(layout.operand)
        extent = layout.operand.row.extent
        values = self.plan.matrix(layout) // 2
        if w == "a":
            copy = [f"        *fit &= !{s}_copy_a({own}, dst, z, 0, {extent}, 0, {p.k.extent});"]
        else:
            copy = [
                f"        uint32_t top[{rounded(extent, ROWS)}] __attribute__((aligned(64)));",
                "        memset(top, 0, sizeof top);",
                f"        {s}_copy_b({own}, dst, z, 0, {extent}, 0, {p.k.extent}, {self.plan.strip}L, top);",
                f"        for (long n = 0; n < {extent}; ++n) *fit &= !{s}_odd(top[n]);",
            ]
        buffer = p.group.buffer(names[0])
        lines = [
            f"static void {s}_once_{w}(const void *const *sources, void *packed) {{",
            "    int *fit = packed;",
            "    *fit = 0;",
            f"    memcpy((char *)packed + {before}, sources[0], {buffer.bytes});",
            GUARD,
            *(
                f"    const {CTYPE[p.group.buffer(n).dtype]} *restrict {pointer(n)} = sources[{i}];"
                for i, n in enumerate(names)
            ),
            f"    uint16_t *restrict dst = (uint16_t *)((char *)packed + {LINE});",
            "    *fit = 1;",
            f"    for (long z = 0; z < {layers}; ++z, dst += {values}L) {{",
            *copy,
            "    }",
            "#endif",
            "}",
        ]
        return "\n".join(lines) + "\n"

    # ---------------------------------------------------------------- one thread's part

    def _part(self) -> str:
        plan, p, s = self.plan, self.p, self.s
        a_room, b_room, _ = plan.rooms()
        k_loop = [
            f"for (long k = 0; k < {p.k.extent}; k += {plan.kc}) {{",
            f"    const long ke = k + {plan.kc} < {p.k.extent} ? k + {plan.kc} : {p.k.extent}, steps = (ke - k + 31) / 32;",
        ]
        rows = [
            f"for (long ic = m0; ic < m1 && !odd; ic += {plan.mc}) {{",
            f"    const long ie = ic + {plan.mc} < m1 ? ic + {plan.mc} : m1;",
        ]
        columns = [
            f"for (long jc = n0; jc < n1 && !odd; jc += {plan.nc}) {{",
            f"    const long je = jc + {plan.nc} < n1 ? jc + {plan.nc} : n1;",
        ]
        fetch_a, fetch_b, top, seen = self._fetch_a(), self._fetch_b(), *self._tops()
        if plan.deep:
            loops = [columns + top, k_loop + fetch_b, rows + fetch_a]
            ends = [[], [], seen]
        else:
            loops = [rows + fetch_a, columns + top, k_loop + fetch_b]
            ends = [[], seen, []]
        lines = [
            "/* One thread's part of the result; 1 where values do not come apart, and nothing is to be believed. */",
            f"static int {s}_part({self.sig.parameters}, char *restrict room, long z0, long z1, long m0, long m1, long n0, long n1, long k0, long k1) {{",
            f"    uint16_t *pa = (uint16_t *)room, *pb = (uint16_t *)(room + {a_room}L);",
            f"    float *sums = (float *)(room + {a_room + b_room}L);",
            "    (void)pa; (void)pb; (void)k0; (void)k1;",
            "    int odd = 0;",
            *([f"    float tile[{SIDE * SIDE}] __attribute__((aligned(64)));"] if plan.several else []),
            f"    {s}_open();",
            "    for (long z = z0; z < z1 && !odd; ++z)",
            *("    " * (depth + 1) + line for depth, loop in enumerate(loops) for line in loop),
            *("    " * 4 + line for line in self._squares()),
            *(
                "    " * (3 - depth) + line
                for depth, end in enumerate(ends)
                for line in (*("    " + e for e in end), "}")
            ),
            "    _tile_release();",
            "    return odd;",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _squares(self) -> list[str]:
        """All squares of the rows, columns and steps of k at hand."""
        plan, p, s = self.plan, self.p, self.s
        place = (
            f"((m - {'m0' if plan.deep else 'ic'}) / 32 * {plan.nc // SIDE} + (n - jc) / 32) * {SIDE * SIDE}"
        )
        return [
            "for (long m = ic; m < ie; m += 32)",
            "    for (long n = jc; n < je; n += 32) {",
            "        const long rows = ie - m < 32 ? ie - m : 32, columns = je - n < 32 ? je - n : 32;",
            f"        float *sum = sums{' + ' + place if plan.several else ''};",
            *self._skip(" " * 8),
            f"        const uint16_t *a = {self._at_a()}, *b = {self._at_b()};",
            f"        const char *next = (const char *)(m + 32 < ie ? a + {plan.high}L : a) + (n - jc) / 32 * steps * {LINE * self._ahead()};",
            *self._multiply(" " * 8),
            f"        if (ke == {p.k.extent}) {s}_store({self.sig.arguments}, sum, 32, z, m, rows, n, columns);",
            "    }",
        ]

    def _tops(self) -> tuple[list[str], list[str]]:
        """The largest of each column of B, before it is copied and after."""
        if self.plan.b.once:
            return [], []
        declared = [f"    uint32_t top[{self.plan.nc}] __attribute__((aligned(64)));", "    memset(top, 0, sizeof top);"]  # fmt: skip
        return declared, [f"for (long n = jc; n < je; ++n) odd |= {self.s}_odd(top[n - jc]);"]

    def _ahead(self) -> int:
        """Lines of the next rows to ask for in each step, so that they are there when their turn comes."""
        calls = max(1, min(self.plan.nc, rounded(self.p.n.extent, SIDE)) // SIDE)
        return ceil(self.plan.a.step * 2 / LINE / calls)

    def _fetch_a(self) -> list[str]:
        if self.plan.a.once:
            return []
        own = packing.own_arguments(self.p.left)
        steps = "k, ke" if self.plan.deep else f"0, {self.p.k.extent}"
        call = f"{self.s}_copy_a({own + ', ' if own else ''}pa, z, ic, ie, {steps});"
        return [f"    odd |= {call}", "    if (odd) break;"]

    def _fetch_b(self) -> list[str]:
        plan = self.plan
        if plan.b.once:
            return []
        own = packing.own_arguments(self.p.right)
        kept = plan.narrow and not plan.deep
        here = f"pb + k / 32 * {plan.b.step}" if kept else "pb"
        test = "if (ic == m0) " if kept and plan.mc < self.p.m.extent else ""
        call = f"{self.s}_copy_b({own + ', ' if own else ''}{here}, z, jc, je, k, ke, {plan.strip}L, top);"
        return [f"    {test}{call}"]

    def _at_a(self) -> str:
        plan = self.plan
        step = f"k / 32 * {plan.a.step}"
        if not plan.a.once:
            return f"pa + (m - ic) / 32 * {plan.high}L" + ("" if plan.deep else f" + {step}")
        return f"{self._made(plan.a)} + m / 32 * {plan.high}L + {step}"

    def _at_b(self) -> str:
        plan = self.plan
        if not plan.b.once:
            return f"pb + (n - jc) / 32 * {plan.strip}L" + (
                f" + k / 32 * {plan.b.step}" if plan.narrow and not plan.deep else ""
            )
        return f"{self._made(plan.b)} + n / 32 * {plan.strip}L + k / 32 * {plan.b.step}"

    def _made(self, layout: _Layout) -> str:
        layer = f" + z * {self.plan.matrix(layout) // 2}L" if layout.operand.batched else ""
        return f"(const uint16_t *)({pointer(layout.name)} + {LINE}){layer}"

    def _multiply(self, pad: str) -> list[str]:
        """A square's sums over one block of k: a chain of all of k would round three times as often as float32's own."""
        high, wide = self._sizes(self.p.m.extent), self._sizes(self.p.n.extent)
        several = self.plan.several
        lines = [f"{pad}float *to = k ? tile : sum;"] if several else []
        to = "to" if several else "sum"
        for r in high:
            for c in wide:
                tests = [f"rows {'>' if r == 2 else '<='} 16"] * (len(high) > 1)
                tests += [f"columns {'>' if c == 2 else '<='} 16"] * (len(wide) > 1)
                test = f"if ({' && '.join(tests)}) " if tests else ""
                lines.append(f"{pad}{test}{self.s}_micro_{r}x{c}(a, b, steps, {to}, next);")
        if several:
            lines.append(f"{pad}if (k) for (int i = 0; i < {SIDE * SIDE}; ++i) sum[i] += tile[i];")
        return lines

    def _skip(self, pad: str) -> list[str]:
        """A square that a triangular mask on the result hides costs nothing but its zeros."""
        test = never(self.p, ("m", "m + rows - 1"), ("n", "n + columns - 1"))
        if test is None:
            return []
        done = f"{self.s}_store({self.sig.arguments}, sum, 32, z, m, rows, n, columns);"
        return [
            f"{pad}if ({test}) {{",
            f"{pad}    if (ke == {self.p.k.extent}) {{ memset(sum, 0, {4 * SIDE * SIDE}); {done} }}",
            f"{pad}    continue;",
            f"{pad}}}",
        ]

    # ---------------------------------------------------------------- all parts

    def _entry(self) -> str:
        plan, s = self.plan, self.s
        room = sum(plan.rooms())
        fit = "".join(f" && *(const int *){pointer(o.name)}" for _, o in self.fixed)
        if plan.parts == 1:
            run = [f"        const int odd = {s}_part({self.sig.arguments}, scratch, {', '.join(everything(self.p))});"]  # fmt: skip
        else:
            run = [
                "        int odd = 0;",
                "#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(| : odd)",
                f"        for (long part = 0; part < {plan.parts}; ++part) {{",
                *ranges(self.p, plan.parallel, plan.parts, SIDE, SIDE, plan.kc),
                f"            odd |= {s}_part({self.sig.arguments}, scratch + part * {room}L, {', '.join(bounds(self.p, plan.parallel))});",
                "        }",
            ]
        lines = [
            f"static void {s}({self.sig.parameters}, char *restrict scratch, int threads) {{",
            GUARD,
            f"    if ({s}_amx(){fit}) {{",
            *run,
            "        if (!odd) return;",
            "    }",
            "#endif",
            f"    {self.other.symbol}({self._raw()}, scratch, threads);",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _raw(self) -> str:
        """The arguments with the values of parameters as they were."""
        group = self.p.group
        args = self.sig.arguments.split(", ")
        for _, layout in self.fixed:
            buffer = group.buffer(layout.name)
            before = self.plan.packed(layout)[0]
            at = args.index(pointer(layout.name))
            args[at] = f"(const {CTYPE[buffer.dtype]} *)({pointer(layout.name)} + {before}L)"
        return ", ".join(args)
