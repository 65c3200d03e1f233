"""Contractions on matrix registers (see `codegen.amx`): both operands are copied as bfloat16 parts, a block of rows whole, a block of columns k block
after k block, so that the latter stays in the L2 cache; the sums of a square of 32 x 32 are kept in four registers.

Values that do not come apart, and machines that have no matrix registers or do not grant them, take the way of `panel`, which is in the same kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from kerf.kernels.codegen import amx
from kerf.kernels.codegen.amx import DEPTH, GUARD, ROWS, SIDE
from kerf.kernels.codegen.blocks import balanced, rounded
from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm import packing, panel
from kerf.kernels.codegen.gemm.amx_copy import Copies
from kerf.kernels.codegen.gemm.amx_plan import LINE, Layout, Plan
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.codegen.gemm.epilogue import Signature, never, store
from kerf.kernels.codegen.gemm.parts import bounds, everything, ranges
from kerf.kernels.codegen.gemm.plan import can_be_weights, sources
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.ir import DType
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

DEPTHS, WIDTHS = (128, 256, 512, 1024), (128, 256, 384, 512)
PRODUCT_NS, COPY_NS = 5.6, 0.38  # measured: an instruction with its loads; a value that is copied
STORE_NS = 0.35  # ... a result that is stored, which nothing else is done beside
VECTOR_GFLOPS, BYTE_NS = 170.0, 0.022  # what the vector units reach, and wait for each byte read or written


def possible(p: Problem, chip: Chip) -> bool:
    """Are there float32 sums whose registers would not be mostly empty?"""
    return (
        amx.able(chip) and p.acc is DType.F32 and min(p.m.extent, p.n.extent) > ROWS and p.k.extent >= DEPTH
    )


def faster(p: Problem) -> bool:
    """Is it worth taking the operands apart? By the time of the products, padded, of what is copied in each call and of the stores."""
    stores = p.m.extent * p.n.extent * STORE_NS
    here = p.z.extent * (_product_ns(p) + sum(_copy_ns(p)) + stores)
    return here < 0.95 * (p.flops / VECTOR_GFLOPS + p.bytes * BYTE_NS)


def dealt_out(p: Problem, threads: int) -> str:
    """Rows or columns, "m" or "n": by the larger share of the products, and of the copies, of which those of the other operand are made by
    every thread."""

    def time(axis: str) -> float:
        tiles = ceil((p.m if axis == "m" else p.n).extent / SIDE)
        share = ceil(tiles / threads) / tiles
        a, b = _copy_ns(p)
        return share * _product_ns(p) + (share * a + b if axis == "m" else a + share * b)

    return min("mn", key=time)


def _product_ns(p: Problem) -> float:
    squares = ceil(p.m.extent / ROWS) * ceil(p.n.extent / ROWS) * ceil(p.k.extent / DEPTH)
    return squares * len(amx.products(_parts(p, p.left), _parts(p, p.right))) * PRODUCT_NS


def _copy_ns(p: Problem) -> tuple[float, float]:
    """Of A and of B in each call."""
    a, b = (0 if can_be_weights(p, o) else o.row.extent * p.k.extent * COPY_NS for o in (p.left, p.right))
    return a, b


def decisions(p: Problem) -> tuple[Decision, ...]:
    """Where all sums wait for the next block of k, rows are read in longer pieces of memory."""
    depth = 1024 if _plan(p, {"amx_k": 512, "amx_n": 256}, 1, []).deep else 512
    return Decision("amx_k", DEPTHS, depth), Decision("amx_n", WIDTHS, 256)


def emit(p: Problem, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
    other = panel.emit(p, {**choices, "pack_weights": False}, chip, threads, f"{symbol}_vector")
    once = [o for o in (p.left, p.right) if choices.get("pack_weights") and can_be_weights(p, o)]
    return _Writer(_plan(p, choices, threads, once), symbol, other).emitted()


def _plan(p: Problem, choices: Mapping[str, Value], threads: int, once: list[Operand]) -> Plan:
    parallel = str(choices.get("parallel", "none")) if threads > 1 else "none"
    return Plan(
        p,
        kc=balanced(p.k.extent, int(choices["amx_k"]), DEPTH),
        nc=balanced(p.n.extent, int(choices["amx_n"]), SIDE),
        a=Layout(p.left, _parts(p, p.left), p.left in once),
        b=Layout(p.right, _parts(p, p.right), p.right in once),
        parallel="grid" if parallel == "k" else parallel,
        parts=threads if parallel != "none" else 1,
    )


def _parts(p: Problem, operand: Operand) -> int:
    load = operand.load
    stored = p.group.buffer(load.buffer).dtype if load is not None and operand.expr is load else None
    return amx.parts_of(stored)


@dataclass(frozen=True)
class _Writer:
    plan: Plan
    s: str
    other: Emitted

    @property
    def p(self) -> Problem:
        return self.plan.p

    @property
    def copies(self) -> Copies:
        return Copies(self.plan, self.s)

    @property
    def fixed(self) -> list[tuple[str, Layout]]:
        """Operands whose parts are made once."""
        return self.copies.fixed

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
            *self.copies.code(),
            *kernels,
            store(p, self.sig, s),
            self._part(),
            "#endif",
            *self.copies.once(),
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
            "    kf_tiles_open();",
            "    for (long z = z0; z < z1 && !odd; ++z)",
            *("    " * (depth + 1) + line for depth, loop in enumerate(loops) for line in loop),
            *("    " * 4 + line for line in self._squares()),
            *(
                "    " * (3 - depth) + line
                for depth, end in enumerate(ends)
                for line in (*("    " + e for e in end), "}")
            ),
            "    kf_tiles_close();",
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
        return declared, ["for (long n = jc; n < je; ++n) odd |= kf_odd(top[n - jc]);"]

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

    def _made(self, layout: Layout) -> str:
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
            f"    if (kf_tiles(){fit}) {{",
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
