"""Attention's two products on matrix registers (see `codegen.amx`): queries, keys, values and each block of weights come apart into bfloat16 parts; the
scores, their softmax and the running sums are float32, as in `writer`, whose way values take that do not come apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kerf.kernels.codegen import amx
from kerf.kernels.codegen.amx import DEPTH, GUARD, ROWS, SIDE
from kerf.kernels.codegen.attention.writer import Writer, attention, up
from kerf.kernels.codegen.expr import CTYPE, literal, loaded
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, signature
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.codegen.vector import transpose_function, vector_types
from kerf.kernels.ir import Buffer, DType, Group
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip

REGISTER = 512  # 16-bit values
PARTS = 3  # of what is computed


def possible(group: Group, chip: Chip) -> bool:
    """Are there enough queries, keys and elements of each to fill registers?"""
    op = attention(group)
    q, k, v = (group.buffer(n).shape for n in (op.q, op.k, op.v))
    return amx.able(chip) and min(q[2], k[2]) >= SIDE and min(q[3], v[3]) >= ROWS


def emit(tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
    other = Writer(tail, choices, chip, threads, f"{symbol}_vector").emit()
    return _Registers(tail, choices, replace(chip, vector_bits=512), threads, symbol).joined(other)


class _Registers(Writer):
    """What differs from `Writer`: how operands lie, and the products."""

    def __init__(
        self, tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        super().__init__(tail, choices, chip, threads, symbol)
        z = self.z
        block_q = up(min(int(choices["block_q"]), z.L), SIDE)
        block_k = up(min(int(choices["block_k"]), z.S), SIDE)
        self.z = replace(
            z, rows=SIDE, width=SIDE, block_q=block_q, block_k=block_k, Ev_pad=up(z.Ev, SIDE), S_pad=up(z.S, SIDE)
        )  # fmt: skip
        self.v_packed = True
        self.deep = up(z.E, DEPTH) // DEPTH  # steps of a score
        self.k_parts, self.v_parts = (amx.parts_of(b.dtype) for b in (self.k, self.v))

    @property
    def pitch(self) -> int:
        """A line more than the block is wide, so that rows lie in different sets of the cache."""
        return self.z.block_k + ROWS

    def joined(self, other: Emitted) -> Emitted:
        s = self.symbol
        z = self.z
        code = [
            other.code,
            GUARD,
            MACROS,
            vector_types(s, "float", ROWS),
            transpose_function(s, ROWS),
            amx.micro(f"{s}_score", 2, 2, PARTS, self.k_parts, 0, self.pitch),
            amx.micro(f"{s}_sum", 2, 2, PARTS, self.v_parts, 0),
            self._load(f"{s}_key", self.k),
            self._load(f"{s}_value", self.v),
            self._pack_keys(),
            self._pack_values(),
            self._split_rows(),
            self._softmax(),
            self._block(),
            self._kernel(),
            "#endif",
            self._entry(other),
        ]
        scratch = self._own() * self.threads + self._head() * (z.B * z.Hk if self.all else self.threads)
        return replace(
            other,
            code="\n".join(c for c in code if c),
            symbol=s,
            scratch_bytes=max(scratch, other.scratch_bytes),
        )

    # ------------------------------------------------------------ scratch, in bytes

    @property
    def key_step(self) -> int:
        """16-bit values of 32 keys and 32 of their elements."""
        return 2 * self.k_parts * REGISTER

    @property
    def value_step(self) -> int:
        return 2 * self.v_parts * REGISTER

    def _keys(self) -> int:
        return self.z.S_pad // SIDE * self.deep * self.key_step * 2

    def _head(self) -> int:
        z = self.z
        return self._keys() + z.Ev_pad // SIDE * (z.S_pad // DEPTH) * self.value_step * 2

    def _own(self) -> int:
        return super()._own() + 4 * SIDE * SIDE

    def _parts(self) -> dict[str, int]:
        z = self.z
        strips = z.block_q // SIDE * PARTS * REGISTER  # floats are two 16-bit values
        return {
            "queries": strips * self.deep,
            "weights": strips * (z.block_k // DEPTH),
            "scores": z.block_q * self.pitch,
            "out": z.block_q * z.Ev_pad,
            "tops": z.block_q,
            "sums": z.block_q,
            "tile": SIDE * SIDE,
        }

    # ------------------------------------------------------------ packing

    def _load(self, name: str, b: Buffer) -> str:
        """16 values from a place on, the first n of them."""
        t = CTYPE[b.dtype]
        if b.dtype is DType.F32:
            body = "    return kf_some(p, n);"
        else:
            body = f"    float line[16] = {{0}};\n    for (long i = 0; i < 16 && i < n; i++) line[i] = {loaded('p[i]', b.dtype)};\n    return *(const kf_line *)(line);"
        return f"static inline kf_floats {name}(const {t} *p, long n) {{\n{body}\n}}\n"

    def _pack_keys(self) -> str:
        """Keys [from, to) as columns: parts of pairs of elements; 1 where that is not possible."""
        z, s = self.z, self.symbol
        return f"""/* keys as columns of parts */
static int {s}_keys(const {CTYPE[self.k.dtype]} *restrict k, uint16_t *restrict packed, long from, long to) {{
    int odd = 0;
    for (long g = from; g < to; g += 16) {{
        kf_words top = (kf_words){{0}};
        for (long e0 = 0; e0 < {z.E}; e0 += 32) {{
            float lines[16 * 16], block[32 * 16] __attribute__((aligned(64)));
            for (int half = 0; half < 2; half++) {{
                for (long j = 0; j < 16; j++)
                    *(kf_line *)(lines + j * 16) = g + j < {z.S} ? {s}_key(k + (g + j) * {z.E}L + e0 + 16 * half, {z.E} - e0 - 16 * half) : (kf_floats){{0}};
                {s}_turn(lines, 16, block + half * 256, 16);
            }}
            uint16_t *to_part = packed + g / 32 * {self.deep * self.key_step}L + e0 / 32 * {self.key_step} + g % 32 / 16 * {self.k_parts * REGISTER};
            for (long e = 0; e < 32; e += 2) {{
                const kf_floats x = *(const kf_line *)(block + e * 16), y = *(const kf_line *)(block + e * 16 + 16);
                top = kf_larger(kf_larger(top, x), y);
                kf_split(x, y, to_part + e * 16, {REGISTER}, {self.k_parts}, 1);
            }}
        }}
        for (int j = 0; j < 16; j++) odd |= kf_odd(top[j]);
    }}
    return odd;
}}
"""

    def _pack_values(self) -> str:
        """Values of keys [from, to) as columns; pairs are of neighbouring keys."""
        z, s = self.z, self.symbol
        strip = z.S_pad // DEPTH * self.value_step
        return f"""/* values as columns of parts */
static int {s}_values(const {CTYPE[self.v.dtype]} *restrict v, uint16_t *restrict packed, long from, long to) {{
    int odd = 0;
    for (long e = 0; e < {z.Ev_pad}; e += 16) {{
        kf_words top = (kf_words){{0}};
        for (long j = from; j < to; j += 2) {{
            const kf_floats x = j < {z.S} ? {s}_value(v + j * {z.Ev}L + e, {z.Ev} - e) : (kf_floats){{0}};
            const kf_floats y = j + 1 < {z.S} ? {s}_value(v + (j + 1) * {z.Ev}L + e, {z.Ev} - e) : (kf_floats){{0}};
            top = kf_larger(kf_larger(top, x), y);
            kf_split(x, y, packed + e / 32 * {strip}L + j / 32 * {self.value_step} + e % 32 / 16 * {self.v_parts * REGISTER} + j % 32 * 16, {REGISTER}, {self.v_parts}, 1);
        }}
        for (int j = 0; j < 16; j++) odd |= kf_odd(top[j]);
    }}
    return odd;
}}
"""

    def _split_rows(self) -> str:
        """`S_rows`: 32 rows of n floats (a multiple of 32), `ld` apart, as parts; 1 where that is not possible."""
        s = self.symbol
        return f"""static int {s}_rows(const float *restrict from, long ld, long n, uint16_t *restrict to) {{
    int odd = 0;
    for (long r = 0; r < 32; r++) {{
        kf_words top = (kf_words){{0}};
        for (long k = 0; k < n; k += 32) {{
            const kf_floats x = *(const kf_line *)(from + r * ld + k), y = *(const kf_line *)(from + r * ld + k + 16);
            top = kf_larger(kf_larger(top, x), y);
            kf_split(x, y, to + k / 32 * {2 * PARTS * REGISTER} + r / 16 * {PARTS * REGISTER} + r % 16 * 32, {REGISTER}, {PARTS}, 0);
        }}
        odd |= kf_odd(kf_largest(top));
    }}
    return odd;
}}
"""

    # ------------------------------------------------------------ one block of queries

    def _block(self) -> str:
        z, s = self.z, self.symbol
        pointers = [f"const {CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.inputs]
        pointers += [f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.outputs]
        limit = f"KF_MIN_L({z.S}, q0 + nq)" if self.op.causal else str(z.S)
        query = 2 * PARTS * REGISTER
        strip = z.S_pad // DEPTH * self.value_step
        checked = "odd |= " if self.op.weighting == "relu" else "(void)"
        lines = [
            f"/* queries [q0, q0 + {z.block_q}) of head (b, h) */",
            f"static int {s}_block({', '.join(pointers)}, const uint16_t *restrict keys, const uint16_t *restrict values, float *restrict own, long b, long h, long q0) {{",
            f"    const long nq = KF_MIN_L({z.L} - q0, {z.block_q}), mq = (nq + 31) / 32 * 32, limit = {limit};",
            *self._own_arrays(),
            "    uint16_t *const q_parts = (uint16_t *)queries, *const w_parts = (uint16_t *)weights;",
            "    (void)tops; (void)sums;",
            "    int odd = 0;",
            *self._load_queries(),
            f"    memset(out, 0, sizeof(float) * mq * {z.Ev_pad});",
            "    for (long i = 0; i < nq; i++) { tops[i] = -INFINITY; sums[i] = 0; }",
            f"    for (long j0 = 0; j0 < limit && !odd; j0 += {z.block_k}) {{",
            f"        const long n = KF_MIN_L(limit - j0, {z.block_k}), wide = (n + 31) / 32 * 32;",
            "        for (long c = 0; c < n; c += 32)",
            f"            for (long r = {self._first_row('c')}; r < mq; r += 32)",
            f"                {s}_score_micro_2x2(q_parts + r / 32 * {self.deep * query}L, keys + (j0 + c) / 32 * {self.deep * self.key_step}L, {self.deep}, scores + r * {self.pitch} + c, 0);",
            *self._rows(),
            f"        for (long r = {self._first_row('0')}; r < mq; r += 32) {{",
            "            for (long i = r; i < r + 32; i++) {",
            f"                const long from = i < nq ? {'KF_MIN_L(n, KF_MAX_L(q0 + i - j0 + 1, 0))' if self.op.causal else 'n'} : 0;",
            f"                for (long j = from; j < wide; j++) scores[i * {self.pitch} + j] = 0;",
            "            }",
            f"            {checked}{s}_rows(scores + r * {self.pitch}, {self.pitch}, wide, w_parts);",
            f"            for (long e = 0; e < {z.Ev_pad}; e += 32) {{",
            f"                {s}_sum_micro_2x2(w_parts, values + e / 32 * {strip}L + j0 / 32 * {self.value_step}, wide / 32, tile, 0);",
            f"                for (long i = 0; i < 32; i++) for (long j = 0; j < 32; j++) out[(r + i) * {z.Ev_pad} + e + j] += tile[i * 32 + j];",
            "            }",
            "        }",
            "    }",
            *self._store(),
            "    return odd;",
            "}",
            "",
        ]  # fmt: skip
        return "\n".join(lines)

    def _load_queries(self) -> list[str]:
        z = self.z
        value = f"{literal(self.op.scale, DType.F32)} * {loaded('q[e]', self.q.dtype)}"
        wide = self.deep * DEPTH
        return [
            "    for (long r = 0; r < mq; r += 32) {",
            f"        float rows[32 * {wide}];",
            "        for (long i = 0; i < 32; i++) {",
            f"            float *const row = rows + i * {wide};",
            f"            const {CTYPE[self.q.dtype]} *const q = {pointer(self.q.name)} + ((b * {z.H} + h) * {z.L} + q0 + r + i) * {z.E}L;",
            f"            for (long e = 0; e < {z.E} && r + i < nq; e++) row[e] = {value};",
            f"            for (long e = r + i < nq ? {z.E} : 0; e < {wide}; e++) row[e] = 0;",
            "        }",
            f"        odd |= {self.symbol}_rows(rows, {wide}, {wide}, q_parts + r / 32 * {self.deep * 2 * PARTS * REGISTER}L);",
            "    }",
        ]  # fmt: skip

    # ------------------------------------------------------------ all heads

    def _kernel(self) -> str:
        z, s, each = self.z, self.symbol, self.z.H // self.z.Hk
        names = ", ".join(pointer(b.name) for b in (*self.group.inputs, *self.group.outputs))
        blocks = -(-z.L // z.block_q)
        head = [
            signature(self.group, f"{s}_all").replace("static void", "static int"),
            "{",
            "    (void)threads;",
            "    int odd = 0;",
        ]
        call = f"odd |= {s}_block({names}, keys, values, own, b, h, q0);"
        if self.all:
            body = [*self._pack_all(), *self._parallel_blocks(blocks, call)]
        else:
            pragma = ["    #pragma omp parallel for num_threads(threads) schedule(static) reduction(| : odd)"]
            thread = "omp_get_thread_num()" if self.threads > 1 else "0"
            body = [
                *(pragma if self.threads > 1 else []),
                f"    for (long kv = 0; kv < {z.B * z.Hk}; kv++) {{",
                "        if (odd) continue;",
                f"        char *const mine = scratch + {self._own() + self._head()}L * {thread};",
                "        float *const own = (float *)mine;",
                f"        uint16_t *const keys = (uint16_t *)(mine + {self._own()}L), *const values = keys + {self._keys() // 2}L;",
                *self._pack("kv", "0", str(z.S_pad), str(z.S_pad), "        "),
                "        kf_tiles_open();",
                f"        for (long g = 0; g < {each}; g++)",
                f"            for (long q0 = 0; q0 < {z.L} && !odd; q0 += {z.block_q}) {{",
                f"                const long b = kv / {z.Hk}, h = kv % {z.Hk} * {each} + g;",
                f"                {call}",
                "            }",
                "        kf_tiles_close();",
                "    }",
            ]
        return "\n".join([*head, *body, "    return odd;", "}", ""])

    def _pack(self, kv: str, start: str, end: str, last: str, indent: str) -> list[str]:
        z, s = self.z, self.symbol
        return [
            f"{indent}odd |= {s}_keys({pointer(self.k.name)} + {kv} * {z.S * z.E}L, keys, {start}, {end});",
            f"{indent}odd |= {s}_values({pointer(self.v.name)} + {kv} * {z.S * z.Ev}L, values, {start}, {end});",
        ]

    def _heads(self, kv: str, indent: str) -> list[str]:
        base = f"scratch + {self._own() * self.threads}L + {self._head()}L * ({kv})"
        return [f"{indent}uint16_t *const keys = (uint16_t *)({base}), *const values = keys + {self._keys() // 2}L;"]  # fmt: skip

    def _pack_all(self) -> list[str]:
        return [
            line.replace("schedule(static)", "schedule(static) reduction(| : odd)")
            for line in super()._pack_all()
        ]

    def _parallel_blocks(self, blocks: int, call: str) -> list[str]:
        opened = f"if (odd) continue; kf_tiles_open(); {call} kf_tiles_close();"
        return [
            line.replace("schedule(dynamic)", "schedule(dynamic) reduction(| : odd)")
            for line in super()._parallel_blocks(blocks, opened)
        ]

    def _entry(self, other: Emitted) -> str:
        names = ", ".join(pointer(b.name) for b in (*self.group.inputs, *self.group.outputs))
        s = self.symbol
        return f"""{signature(self.group, s)}
{{
{GUARD}
    if (kf_tiles() && !{s}_all({names}, scratch, threads)) return;
#endif
    {other.symbol}({names}, scratch, threads);
}}
"""
