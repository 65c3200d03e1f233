"""Copies of a contraction's operands as bfloat16 parts (see `codegen.amx`), in each call or once for good.

Rows of A: for 32 rows and 32 steps of k two registers' rows, each with its parts. Columns of B: the same, with pairs of neighbours along k in each 32-bit
element. The largest magnitude of each row and column is looked at on the way."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.kernels.codegen.amx import DEPTH, GUARD, SIDE
from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm import micro, packing
from kerf.kernels.codegen.gemm.amx_plan import LINE, REGISTER, Layout, Plan
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.codegen.gemm.plan import sources

AHEAD = 8  # rows of B
PANEL = 16 * SIDE  # columns that are taken apart at a time where it is done once


@dataclass(frozen=True)
class Copies:
    plan: Plan
    s: str

    @property
    def p(self) -> Problem:
        return self.plan.p

    @property
    def fixed(self) -> list[tuple[str, Layout]]:
        """Operands whose parts are made once."""
        return [(w, o) for w, o in (("a", self.plan.a), ("b", self.plan.b)) if o.once]

    def code(self) -> list[str]:
        """`S_copy_a(own, dst, z, rows begin to end, steps low to far)`: 1 where values do not come apart. `S_copy_b(own, dst, z, columns left to
        right, steps begin to end, strip, top)`: `strip` values from 32 columns to the next; `top`: each column's largest so far."""
        turned = [
            micro.transpose(f"{self.s}_{w}", "float")
            for w, layout in (("a", self.plan.a), ("b", self.plan.b))
            if self._crosswise(layout) and layout.operand.plain
        ]
        return [*turned, self._copy_a(), self._copy_b()]

    def once(self) -> list[str]:
        return [self._once(w, o) for w, o in self.fixed]

    # ---------------------------------------------------------------- how operands lie

    def _crosswise(self, layout: Layout) -> bool:
        """Does memory run along the rows of A, or along k in B? Then blocks are turned on the way."""
        o = layout.operand
        row, k = o.stride(o.row), o.stride(self.p.k)
        return k != 1 and row == 1 if o is self.p.left else k == 1 and row != 1

    def _direct(self, layout: Layout) -> bool:
        """May values be read where they lie, 16 at a time?"""
        o = layout.operand
        row, k = o.stride(o.row), o.stride(self.p.k)
        steps = (k, row) if o is self.p.left else (row, k)
        return o.plain and steps[0] == 1 and steps[1] is not None

    def _at(self, operand: Operand) -> str:
        assert operand.load is not None and operand.form is not None
        return f"{pointer(operand.load.buffer)} + ({self.p.place(operand.form)})"

    def _head(self, result: str, w: str, layout: Layout, rest: str) -> list[str]:
        own = packing.own_parameters(self.p, layout.operand)
        first = f"{own}, " if own else ""  # a constant operand reads nothing
        return [
            f"static {result} {self.s}_copy_{w}({first}uint16_t *restrict dst, long z, {rest}) {{",
            "    (void)z;",
        ]

    def _block(self, w: str, layout: Layout) -> list[str]:
        """C that fills `block` with rows m0 to m1 of A by k (32 wide), or with k by columns n0 to n1 of B (16 wide), zeros around."""
        o = layout.operand
        row, width = ("m", 32) if w == "a" else ("n", 16)
        cell = (
            "block[(m - m0) * 32 + k - k0]" if w == "a" else "block[(k - k0) * 16 + n - n0]"
        )  # as the registers want it
        inner, outer = ("k", "m") if w == "a" else ("n", "k")
        if self._crosswise(layout):
            inner, outer = outer, inner
        lines = [
            f"if ({row}1 - {row}0 < 16 || k1 - k0 < 32) memset(block, 0, sizeof block);",
            f"for (long {outer} = {outer}0; {outer} < {outer}1; ++{outer})",
            f"    for (long {inner} = {inner}0; {inner} < {inner}1; ++{inner}) {cell} = {self.p.value(o)};",
        ]
        if not (self._crosswise(layout) and o.plain):
            return lines
        step = o.stride(self.p.k if w == "a" else o.row)
        return [
            f"if ({row}1 - {row}0 == 16 && k1 - k0 == 32)",
            f"    for (long {row} = {row}0; {row} < {row}1; {row} += 8)",
            "        for (long k = k0; k < k1; k += 8)",
            f"            {self.s}_{w}_transpose8({self._at(o)}, {step}L, &{cell}, {width});",
            "else {",
            *("    " + line for line in lines),
            "}",
        ]

    # ---------------------------------------------------------------- rows

    def _copy_a(self) -> str:
        layout = self.plan.a
        if self._direct(layout):
            fill: list[str] = []
            read = [
                f"const long m = r + i; const float *row = m < end ? {self._at(layout.operand)} : 0;",
                "const kf_floats x = row ? kf_some(row, far - k) : (kf_floats){0}, y = row ? kf_some(row + 16, far - k - 16) : (kf_floats){0};",
            ]
        else:
            fill = [
                "float block[16 * 32] __attribute__((aligned(64)));",
                "const long m0 = r, m1 = r + 16 < end ? r + 16 : end, k0 = k, k1 = k + 32 < far ? k + 32 : far;",
                "{",
                *("    " + f for f in self._block("a", layout)),
                "}",
            ]
            read = [
                "const kf_floats x = *(const kf_line *)(block + 32 * i), y = *(const kf_line *)(block + 32 * i + 16);"
            ]
        lines = [
            "/* Rows of A as parts; 1 where that is not possible. */",
            *self._head("int", "a", layout, "long begin, long end, long low, long far"),
            "    int odd = 0;",
            "    for (long r = begin; r < end; r += 16) {",
            f"        uint16_t *to = dst + (r - begin) / 32 * {self.plan.high}L + (r - begin) % 32 / 16 * {layout.parts * REGISTER};",
            "        kf_words top[16];",
            "        for (int i = 0; i < 16; ++i) top[i] = (kf_words){0};",
            f"        for (long k = low; k < far; k += 32, to += {layout.step}) {{",
            *("            " + f for f in fill),
            "            for (int i = 0; i < 16; ++i) {",
            *("                " + r for r in read),
            "                top[i] = kf_larger(kf_larger(top[i], x), y);",
            f"                kf_split(x, y, to + 32 * i, {REGISTER}, {layout.parts}, 0);",
            "            }",
            "        }",
            "        for (int i = 0; i < 16; ++i) odd |= kf_odd(kf_largest(top[i]));",
            "    }",
            "    return odd;",
            "}",
        ]
        return "\n".join(lines) + "\n"

    # ---------------------------------------------------------------- columns

    def _copy_b(self) -> str:
        layout = self.plan.b
        body = self._turned(layout) if self._crosswise(layout) else self._lines(layout)
        lines = [
            "/* Columns of B as parts. */",
            *self._head(
                "void",
                "b",
                layout,
                "long left, long right, long begin, long end, long strip, uint32_t *top",
            ),
            *body,
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _place(self, column: str) -> str:
        """Where the pair of steps k, k + 1 of 16 columns goes."""
        layout = self.plan.b
        return (
            f"dst + ({column} - left) / 32 * strip + (k - begin) / 32 * {layout.step}"
            f" + ({column} - left) % 32 / 16 * {layout.parts * REGISTER} + (k - begin) % 32 * 16"
        )

    def _pair(self, column: str) -> list[str]:
        """Takes x and y, two steps of 16 columns, apart."""
        return [
            f"kf_words *most = (kf_words *)(top + {column} - left);",
            "*most = kf_larger(kf_larger(*most, x), y);",
            f"kf_split(x, y, {self._place(column)}, {REGISTER}, {self.plan.b.parts}, 1);",
        ]

    def _lines(self, layout: Layout) -> list[str]:
        """Memory runs along n, or is computed: two steps of k at a time."""
        return [
            "    for (long k = begin; k < end; k += 2) {",
            *self._two(layout),
            "        for (long q = left; q < right; q += 16) {",
            "            const kf_floats x = kf_some(upper + q - left, right - q);",
            "            const kf_floats y = k + 1 < end ? kf_some(lower + q - left, right - q) : (kf_floats){0};",
            *("            " + line for line in (*self._further(layout), *self._pair("q"))),
            "        }",
            "    }",
            *self._rest(),
        ]

    def _two(self, layout: Layout) -> list[str]:
        """C of `upper` and `lower`: the columns' values at steps k and k + 1, where they lie or computed."""
        o, lines = layout.operand, []
        for name, step in (("upper", 0), ("lower", 1)):
            if self._direct(layout):
                lines += [
                    f"        const float *{name};",
                    f"        {{ const long n = left, q = k + {step}; {{ const long k = q; (void)n; {name} = {self._at(o)}; }} }}",
                ]
            else:
                lines += [
                    f"        float {name}[{PANEL if layout.once else self.plan.nc}];",
                    f"        if (k + {step} < end) {{ const long q = k + {step}; {{ const long k = q; for (long n = left; n < right; ++n) {name}[n - left] = {self.p.value(o)}; }} }}",
                ]
        return lines

    def _further(self, layout: Layout) -> list[str]:
        """Rows of B are short pieces of memory far apart, which are asked for in time."""
        step = layout.operand.stride(self.p.k)
        if not self._direct(layout) or step is None:
            return []
        return [f"__builtin_prefetch({row} + q - left + {AHEAD * step}L);" for row in ("upper", "lower")]

    def _rest(self) -> list[str]:
        """Zeros in the steps of k after the last."""
        if self.p.k.extent % DEPTH == 0:
            return []
        return [
            "    for (long k = begin + (end - begin + 1) / 2 * 2; (k - begin) % 32; k += 2)",
            "        for (long q = left; q < right; q += 16)",
            f"            for (int i = 0; i < {self.plan.b.parts}; ++i)",
            f"                memset({self._place('q')} + {REGISTER} * i, 0, 64);",
        ]

    def _turned(self, layout: Layout) -> list[str]:
        """Memory runs along k: blocks of 32 steps and 16 columns are turned."""
        return [
            "    for (long q = left; q < right; q += 16)",
            "        for (long b = begin; b < end; b += 32) {",
            "            float block[32 * 16] __attribute__((aligned(64)));",
            "            {",
            "                const long n0 = q, n1 = q + 16 < right ? q + 16 : right, k0 = b, k1 = b + 32 < end ? b + 32 : end;",
            *("                " + line for line in self._block("b", layout)),
            "            }",
            "            for (long k = b; k < b + 32; k += 2) {",
            "                const kf_floats x = *(const kf_line *)(block + (k - b) * 16), y = *(const kf_line *)(block + (k - b) * 16 + 16);",
            *("                " + line for line in self._pair("q")),
            "            }",
            "        }",
        ]

    # ---------------------------------------------------------------- once

    def _once(self, w: str, layout: Layout) -> str:
        """`S_once_W`: a line that says whether the operand came apart, its parts, and the values as they were."""
        p, names = self.p, sources(layout.operand)
        layers = p.z.extent if layout.operand.batched else 1
        lines = [
            f"static void {self.s}_once_{w}(const void *const *sources, void *packed) {{",
            "    int *fit = packed;",
            "    *fit = 0;",
            f"    memcpy((char *)packed + {self.plan.packed(layout)[0]}, sources[0], {p.group.buffer(names[0]).bytes});",
            GUARD,
            *(
                f"    const {CTYPE[p.group.buffer(n).dtype]} *restrict {pointer(n)} = sources[{i}];"
                for i, n in enumerate(names)
            ),
            f"    uint16_t *restrict dst = (uint16_t *)((char *)packed + {LINE});",
            "    *fit = 1;",
            f"    for (long z = 0; z < {layers}; ++z, dst += {self.plan.matrix(layout) // 2}L) {{",
            *(self._once_a(layout) if w == "a" else self._once_b(layout)),
            "    }",
            "#endif",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _once_a(self, layout: Layout) -> list[str]:
        own = packing.own_arguments(layout.operand)
        whole = f"0, {self.p.m.extent}, 0, {self.p.k.extent}"
        return [f"        *fit &= !{self.s}_copy_a({own}, dst, z, {whole});"]

    def _once_b(self, layout: Layout) -> list[str]:
        own, n = packing.own_arguments(layout.operand), self.p.n.extent
        strip = self.plan.strip
        return [
            f"        for (long left = 0; left < {n}; left += {PANEL}) {{",
            f"            const long right = left + {PANEL} < {n} ? left + {PANEL} : {n};",
            f"            uint32_t top[{PANEL}] __attribute__((aligned(64)));",
            "            memset(top, 0, sizeof top);",
            f"            {self.s}_copy_b({own}, dst + left / 32 * {strip}L, z, left, right, 0, {self.p.k.extent}, {strip}L, top);",
            "            for (long n = left; n < right; ++n) *fit &= !kf_odd(top[n - left]);",
            "        }",
        ]
