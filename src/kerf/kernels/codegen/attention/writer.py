"""Attention without the score matrix: blocks of keys stream past a block of queries with an online softmax (Milakov and
Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022). Keys are packed once a
head, transposed into panels, so that both products are register tiles of broadcast times vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kerf.kernels.codegen.expr import CTYPE, literal, loaded
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, signature
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.codegen.vector import tile_function, transpose_function, vector_types
from kerf.kernels.ir import Attention, Buffer, DType, Group
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip


def attention(group: Group) -> Attention:
    op = group.ops[0]
    assert isinstance(op, Attention)
    return op


@dataclass(frozen=True)
class Sizes:
    """Of one problem (as in `ir.Attention`) and its blocks; *_pad are rounded up to whole vectors or tiles."""

    B: int
    H: int
    Hk: int
    L: int
    S: int
    E: int
    Ev: int
    rows: int  # of a register tile
    width: int  # columns of a register tile, float32 values
    block_q: int
    block_k: int
    Ev_pad: int
    S_pad: int


class Writer:
    def __init__(
        self, tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.tail, self.threads, self.symbol, self.lanes = tail, threads, symbol, chip.lanes
        self.group, self.op = tail.group, attention(tail.group)
        self.q, self.k, self.v = (self.group.buffer(n) for n in (self.op.q, self.op.k, self.op.v))
        rows, self.vectors = (int(n) for n in str(choices["tile"]).split("x"))
        rows = min(rows, self.q.shape[2])
        width = self.vectors * self.lanes
        (B, H, L, E), (_, Hk, S, _) = self.q.shape, self.k.shape
        Ev = self.v.shape[3]
        self.z = Sizes(B, H, Hk, L, S, E, Ev, rows, width, up(min(int(choices["block_q"]), L), rows),
                       up(min(int(choices["block_k"]), S), width), up(Ev, self.lanes), up(S, width))  # fmt: skip
        self.v_packed = self.v.dtype is not DType.F32 or Ev % self.lanes != 0
        self.all = choices["pack"] == "all" and threads > 1

    @property
    def pitch(self) -> int:
        """float32 values from one query's scores to the next's."""
        return self.z.block_k

    def emit(self) -> Emitted:
        z = self.z
        extra = (z.Ev_pad // self.lanes) % self.vectors
        code = [
            MACROS,
            vector_types(self.symbol, "float", self.lanes),
            transpose_function(self.symbol, self.lanes),
        ]
        code += [
            tile_function(self.symbol, z.rows, n, self.lanes)
            for n in dict.fromkeys([self.vectors, *([extra] if extra else [])])
        ]
        code += [
            self._pack_keys(),
            self._pack_values() if self.v_packed else "",
            self._softmax(),
            self._block(),
            self._kernel(),
        ]
        pairs = z.L * z.S / (2 if self.op.causal else 1)
        moved = float(sum(b.bytes for b in (*self.group.inputs, *self.group.outputs)))
        scratch = self._own() * self.threads + self._head() * (z.B * z.Hk if self.all else self.threads)
        return Emitted(
            "\n".join(c for c in code if c),
            self.symbol,
            scratch,
            (),
            2.0 * z.B * z.H * pairs * (z.E + z.Ev),
            moved,
        )

    # ------------------------------------------------------------ scratch, in bytes

    def _head(self) -> int:
        """Packed keys and values of one head."""
        z = self.z
        return 4 * up(z.S_pad * z.E + (z.S * z.Ev_pad if self.v_packed else 0), 16)

    def _own(self) -> int:
        """A thread's query block, scores, outputs, maxima and sums, and a converted block of keys."""
        z = self.z
        return 4 * sum(up(n, 16) for n in self._parts().values()) + 4 * up(z.block_q, 16)

    def _parts(self) -> dict[str, int]:
        z = self.z
        return {"queries": z.block_q * z.E, "scores": z.block_q * self.pitch, "out": z.block_q * z.Ev_pad, "tops": z.block_q,
                "sums": z.block_q}  # fmt: skip

    # ------------------------------------------------------------ packing

    def _pack_keys(self) -> str:
        """packed[panel][e][lane] = k[panel * width + lane][e], zero beyond the last key."""
        z, n, t = self.z, self.lanes, CTYPE[self.k.dtype]
        value = loaded(f"k[j * {z.E} + e]", self.k.dtype)
        at = f"packed[j / {z.width} * {z.width * z.E} + e * {z.width} + j % {z.width}]"
        lines = [f"/* keys [from, to) into panels of {z.width}, transposed */",
                 f"static void {self.symbol}_keys(const {t} *restrict k, float *restrict packed, long from, long to) {{",
                 f"    for (long g = from; g < to; g += {n}) {{", "        long e0 = 0;"]  # fmt: skip
        if self.k.dtype is DType.F32:
            lines += [f"        if (g + {n} <= {z.S}) for (; e0 + {n} <= {z.E}; e0 += {n})",
                      f"            {self.symbol}_turn(k + g * {z.E} + e0, {z.E}, packed + g / {z.width} * {z.width * z.E}L + e0 * {z.width} + g % {z.width}, {z.width});"]  # fmt: skip
        else:
            lines += [f"        if (g + {n} <= {z.S}) for (; e0 + {n} <= {z.E}; e0 += {n}) {{", f"            float wide[{n * n}];",
                      f"            for (long l = 0; l < {n}; l++) for (long e = 0; e < {n}; e++) wide[l * {n} + e] = {loaded(f'k[(g + l) * {z.E} + e0 + e]', self.k.dtype)};",
                      f"            {self.symbol}_turn(wide, {n}, packed + g / {z.width} * {z.width * z.E}L + e0 * {z.width} + g % {z.width}, {z.width});", "        }"]  # fmt: skip
        lines += [f"        for (long j = g; j < g + {n}; j++)",
                  f"            for (long e = e0; e < {z.E}; e++) {at} = j < {z.S} ? {value} : 0;", "    }", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _pack_values(self) -> str:
        z, t = self.z, CTYPE[self.v.dtype]
        return "\n".join([f"static void {self.symbol}_values(const {t} *restrict v, float *restrict packed, long from, long to) {{",
                          "    for (long j = from; j < to; j++) {",
                          f"        for (long e = 0; e < {z.Ev}; e++) packed[j * {z.Ev_pad} + e] = {loaded(f'v[j * {z.Ev} + e]', self.v.dtype)};",
                          f"        for (long e = {z.Ev}; e < {z.Ev_pad}; e++) packed[j * {z.Ev_pad} + e] = 0;", "    }", "}", ""])  # fmt: skip

    # ------------------------------------------------------------ the online softmax of one row

    def _softmax(self) -> str:
        """Scores of `n` keys become weights; the running maximum, sum and output are rescaled to the new maximum."""
        z, s = self.z, self.symbol
        if self.op.weighting == "relu":
            return f"static inline void {s}_weigh(float *restrict s, long n) {{\n    for (long j = 0; j < n; j++) s[j] = s[j] < 0 ? 0 : s[j];\n}}\n"
        return f"""static inline void {s}_weigh(float *restrict s, long n, float *restrict top, float *restrict sum, float *restrict out) {{
    float high = *top, total = 0;
    #pragma omp simd reduction(max:high)
    for (long j = 0; j < n; j++) high = s[j] > high ? s[j] : high;
    const float base = high == -INFINITY ? 0 : high; /* nothing kept yet: every weight is exp(-inf) = 0 */
    #pragma omp simd reduction(+:total)
    for (long j = 0; j < n; j++) {{
        const float w = kf_exp_fade(s[j] - base);
        s[j] = w;
        total += w;
    }}
    const float shrink = kf_exp_fade(*top - base);
    if (shrink != 1.0f) for (long e = 0; e < {z.Ev_pad}; e++) out[e] *= shrink;
    *sum = *sum * shrink + total;
    *top = high;
}}
"""

    # ------------------------------------------------------------ one block of queries

    def _block(self) -> str:
        z, s = self.z, self.symbol
        pointers = [f"const {CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.inputs]
        pointers += [f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.outputs]
        limit = f"KF_MIN_L({z.S}, q0 + nq)" if self.op.causal else str(z.S)
        values = (
            "values"
            if self.v_packed
            else f"{pointer(self.v.name)} + (b * {z.Hk} + h / {z.H // z.Hk}) * {z.S * z.Ev}L"
        )
        lines = [f"/* queries [q0, q0 + {z.block_q}) of head (b, h) */",
                 f"static void {s}_block({', '.join(pointers)}, const float *restrict keys, const float *restrict values, float *restrict own, long b, long h, long q0) {{",
                 f"    const long nq = KF_MIN_L({z.L} - q0, {z.block_q}), mq = (nq + {z.rows - 1}) / {z.rows} * {z.rows}, limit = {limit};",
                 *self._own_arrays(), f"    const float *const v = {values};", "    (void)values; (void)tops; (void)sums;",
                 *self._load_queries(), f"    memset(out, 0, sizeof(float) * mq * {z.Ev_pad});",
                 "    for (long i = 0; i < nq; i++) { tops[i] = -INFINITY; sums[i] = 0; }",
                 f"    for (long j0 = 0; j0 < limit; j0 += {z.block_k}) {{",
                 f"        const long n = KF_MIN_L(limit - j0, {z.block_k});",
                 f"        for (long c = 0; c < n; c += {z.width})", f"            for (long r = {self._first_row('c')}; r < mq; r += {z.rows})",
                 f"                {s}_tile{z.rows}x{self.vectors}({z.E}, queries + r * {z.E}, {z.E}, keys + (j0 + c) * {z.E}, {z.width}, scores + r * {self.pitch} + c, {self.pitch}, 0);",
                 *self._rows(), *self._product(), "    }", *self._store(), "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _first_row(self, column: str) -> str:
        """C of the first register tile whose queries may see key j0 + column."""
        return (
            f"KF_MAX_L(0L, (j0 + {column} - q0) / {self.z.rows} * {self.z.rows})" if self.op.causal else "0"
        )

    def _own_arrays(self) -> list[str]:
        lines, at = [], 0
        for name, size in self._parts().items():
            lines.append(f"    float *const {name} = own + {at};")
            at += up(size, 16)
        return lines

    def _load_queries(self) -> list[str]:
        z = self.z
        value = f"{literal(self.op.scale, DType.F32)} * {loaded('q[e]', self.q.dtype)}"
        return [f"    for (long i = 0; i < nq; i++) {{",  # noqa: F541
                f"        const {CTYPE[self.q.dtype]} *const q = {pointer(self.q.name)} + ((b * {z.H} + h) * {z.L} + q0 + i) * {z.E}L;",
                f"        for (long e = 0; e < {z.E}; e++) queries[i * {z.E} + e] = {value};", "    }",
                f"    memset(queries + nq * {z.E}, 0, sizeof(float) * (mq - nq) * {z.E});"]  # fmt: skip

    def _rows(self) -> list[str]:
        """Mask and weigh the scores, row by row."""
        z = self.z
        lines = [
            "        for (long i = 0; i < nq; i++) {",
            f"            float *const s = scores + i * {self.pitch};",
        ]
        keys = "n"
        if self.op.causal:
            lines.append("            const long seen = KF_MIN_L(n, KF_MAX_L(q0 + i - j0 + 1, 0));")
            lines.append("            for (long j = seen; j < n; j++) s[j] = 0;")
            keys = "seen"
        lines += self._mask(keys)
        more = "" if self.op.weighting == "relu" else f", tops + i, sums + i, out + i * {z.Ev_pad}"
        return [*lines, f"            {self.symbol}_weigh(s, {keys}{more});", "        }"]

    def _mask(self, keys: str) -> list[str]:
        if self.op.mask is None:
            return []
        mask = self.group.buffer(self.op.mask)
        value = loaded("m[j]" if mask.shape[-1] > 1 or self.z.S == 1 else "m[0]", mask.dtype)
        new = f"{value} ? s[j] : -INFINITY" if mask.dtype is DType.BOOL else f"s[j] + {value}"
        column = " + j0" if mask.shape[-1] > 1 else ""
        return [f"            const {CTYPE[mask.dtype]} *const m = {pointer(mask.name)} + {_mask_row(mask)}{column};",
                f"            for (long j = 0; j < {keys}; j++) s[j] = {new};"]  # fmt: skip

    def _product(self) -> list[str]:
        """out += weights times values."""
        z, lines = self.z, []
        stride = z.Ev_pad
        whole, extra = divmod(z.Ev_pad // self.lanes, self.vectors)
        call = "{s}_tile{r}x{n}({k}, scores + r * {bk}, {bk}, v + j0 * {ld} + {e}, {ld}, out + r * {ld} + {e}, {ld}, 1);"
        rows = f"for (long r = {self._first_row('0')}; r < mq; r += {z.rows})"
        count = f"KF_MIN_L(n, q0 + r + {z.rows} - j0)" if self.op.causal else "n"
        common = {"k": count, "s": self.symbol, "r": z.rows, "bk": self.pitch, "ld": stride}
        if whole:
            lines += [f"        for (long e = 0; e < {whole * z.width}; e += {z.width})", f"            {rows}",
                      "                " + call.format(n=self.vectors, e="e", **common)]  # fmt: skip
        if extra:
            lines += [f"        {rows}", "            " + call.format(n=extra, e=whole * z.width, **common)]
        return lines

    def _store(self) -> list[str]:
        z = self.z
        weight = {
            "relu": "1.0f",
            "softmax": "1.0f / sums[i]",
            "safe_softmax": "sums[i] == 0 ? 0 : 1.0f / sums[i]",
        }[self.op.weighting]
        body = self.tail.lines(
            "y", ["b", "h", "(q0 + i)", "e"], f"((b * {z.H} + h) * {z.L} + q0 + i) * {z.Ev}L + e", " " * 12
        )
        return ["    for (long i = 0; i < nq; i++) {", f"        const float share = {weight};",
                f"        for (long e = 0; e < {z.Ev}; e++) {{", f"            const float y = out[i * {z.Ev_pad} + e] * share;",
                *body, "        }", "    }"]  # fmt: skip

    # ------------------------------------------------------------ all heads

    def _kernel(self) -> str:
        z, each = self.z, self.z.H // self.z.Hk
        names = ", ".join(pointer(b.name) for b in (*self.group.inputs, *self.group.outputs))
        blocks = -(-z.L // z.block_q)
        head = [signature(self.group, self.symbol), "{", "    (void)threads;"]
        call = f"{self.symbol}_block({names}, keys, values, own, b, h, q0);"
        if self.all:
            return "\n".join([*head, *self._pack_all(), *self._parallel_blocks(blocks, call), "}", ""])
        pragma = (
            "    #pragma omp parallel for num_threads(threads) schedule(static)\n" if self.threads > 1 else ""
        )
        thread = "omp_get_thread_num()" if self.threads > 1 else "0"
        lines = [*head, f"{pragma}    for (long kv = 0; kv < {z.B * z.Hk}; kv++) {{",
                 f"        char *const mine = scratch + {self._own() + self._head()}L * {thread};",
                 "        float *const own = (float *)mine;", f"        float *const keys = (float *)(mine + {self._own()}L);",
                 f"        float *const values = keys + {z.S_pad * z.E}L;",
                 *self._pack("kv", "0", str(z.S_pad), str(z.S), "        "),
                 f"        for (long g = 0; g < {each}; g++)", f"            for (long q0 = 0; q0 < {z.L}; q0 += {z.block_q}) {{",
                 f"                const long b = kv / {z.Hk}, h = kv % {z.Hk} * {each} + g;", f"                {call}", "            }",
                 "    }", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _pack(self, kv: str, start: str, end: str, last: str, indent: str) -> list[str]:
        z = self.z
        lines = [
            f"{indent}{self.symbol}_keys({pointer(self.k.name)} + {kv} * {z.S * z.E}L, keys, {start}, {end});"
        ]
        if self.v_packed:
            lines.append(
                f"{indent}{self.symbol}_values({pointer(self.v.name)} + {kv} * {z.S * z.Ev}L, values, {start}, {last});"
            )
        return lines

    def _heads(self, kv: str, indent: str) -> list[str]:
        z = self.z
        return [f"{indent}float *const keys = (float *)(scratch + {self._own() * self.threads}L + {self._head()}L * ({kv}));",
                f"{indent}float *const values = keys + {z.S_pad * z.E}L;", f"{indent}(void)values;"]  # fmt: skip

    def _pack_all(self) -> list[str]:
        """Few heads: threads share the packing of each."""
        z = self.z
        parts = max(1, min(z.S_pad // z.width, -(-2 * self.threads // (z.B * z.Hk))))
        step = up(-(-z.S_pad // parts), z.width)
        return ["    #pragma omp parallel for num_threads(threads) schedule(static)",
                f"    for (long item = 0; item < {z.B * z.Hk * parts}; item++) {{",
                f"        const long kv = item / {parts}, from = KF_MIN_L(item % {parts} * {step}, {z.S_pad}), to = KF_MIN_L(from + {step}, {z.S_pad});",
                *self._heads("kv", "        "), *self._pack("kv", "from", "to", f"KF_MIN_L(to, {z.S})", "        "), "    }"]  # fmt: skip

    def _parallel_blocks(self, blocks: int, call: str) -> list[str]:
        z, each = self.z, self.z.H // self.z.Hk
        return ["    #pragma omp parallel for num_threads(threads) schedule(dynamic)",
                f"    for (long item = 0; item < {z.B * z.H * blocks}; item++) {{",
                f"        float *const own = (float *)(scratch + {self._own()}L * omp_get_thread_num());",
                # the last blocks, which are the longest when causal, go first
                f"        const long head = item / {blocks}, q0 = ({blocks - 1} - item % {blocks}) * {z.block_q};",
                f"        const long b = head / {z.H}, h = head % {z.H};", *self._heads(f"b * {z.Hk} + h / {each}", "        "),
                f"        {call}", "    }"]  # fmt: skip


def _mask_row(mask: Buffer) -> str:
    """C of the offset of the mask's row for (b, h, q0 + i); extents of 1 are broadcast."""
    names = ("b", "h", "(q0 + i)")
    shape = (1,) * (4 - len(mask.shape)) + mask.shape
    strides = (0,) * (4 - len(mask.shape)) + mask.strides
    terms = [f"{s}L * {n}" for n, e, s in zip(names, shape, strides) if e > 1]
    return " + ".join(terms) or "0"


def up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
