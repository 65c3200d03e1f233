"""Scans along the last axis.

Along the last axis: a prefix within each vector by log2(lanes) shuffled steps (Hillis and Steele, "Data parallel
algorithms", 1986), and a scalar carry between vectors; the carry of float32 sums and products is kept in double, so that
long rows lose no more than one rounding a vector, as torch's double accumulator does. Along other axes: one running row,
vectorized over what is contiguous. One long row with several threads: totals of chunks first, then the chunks."""

from __future__ import annotations

from kerf.kernels.codegen.expr import CTYPE, memory_loads
from kerf.kernels.codegen.scan.writer import LINE, Writer
from kerf.kernels.codegen.tail import pointer, pointers, signature, unflattened
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.codegen.vector import BYTES, shuffle, vector_types
from kerf.kernels.ir import Load, affine


class RowScan(Writer):
    """The scanned axis is the last one: vectors along it."""

    def emit(self) -> Emitted:
        self.lanes = max(2, self.chip.vector_bits // 8 // BYTES[self.value])
        self.chunk = -(-int(self.choices["chunk"]) // self.lanes) * self.lanes
        self.split = bool(self.choices["split_rows"]) and self.threads > 1
        self.ahead = int(self.choices.get("ahead", 0))
        self.streamed = bool(self.choices["stream"]) and self.direct
        self.lined = self.streamed and self.lanes * BYTES[self.element_type] == LINE
        lines = [
            self.join_function(),
            vector_types(self.symbol, self.value, self.lanes),
            self._stored_vector(),
            self._joined(),
            self._prefix(),
            self._span("span", False),
            self._span("lines", True) if self.lined else "",
            self._kernel(),
        ]
        per_thread = 2 * self.chunk * 8
        return self.emitted(
            "\n".join(ln for ln in lines if ln), per_thread * self.threads + 8 * 64 * self.threads
        )

    def _stored_vector(self) -> str:
        """`SYMBOL_io`: as many elements in the type they are read and written in."""
        t, size = self.element_type, BYTES[self.element_type]
        return f"typedef {t} {self.symbol}_io __attribute__((vector_size({self.lanes * size}), aligned({size}), may_alias));\n"

    @property
    def _at(self) -> int:
        return [a.name for a in self.op.axes].index(self.op.axis)

    def _axes(self, along: str) -> dict[str, str]:
        """Loop variables: `along` on the scanned axis; what follows it has extent 1."""
        names = {a.name: f"i{k}" if k < self._at else "0" for k, a in enumerate(self.op.axes)}
        return names | {self.op.axis: along}

    # ------------------------------------------------------------ within a vector

    def _prefix(self) -> str:
        """`vector` inclusive prefix: after the step with distance d, lane i holds the last 2d values up to its own."""
        s, v, n = self.symbol, f"{self.symbol}_v", self.lanes
        lines = [
            f"static inline {v} {s}_prefix({v} p) {{",
            f"    const {v} none = {{{', '.join([self.identity] * n)}}};",
        ]
        d = 1
        while d < n:
            shifted = shuffle("none", "p", _shifted(n, d, self.op.reverse), f"{s}_mask")
            lines.append(f"    p = {self._vector_combine(shifted, 'p')};")
            d *= 2
        return "\n".join([*lines, "    return p;", "}", ""])

    def _vector_combine(self, a: str, b: str) -> str:
        if self.op.kind in ("sum", "prod"):
            return f"{a} {'+' if self.op.kind == 'sum' else '*'} {b}"
        return f"{self.symbol}_joined({a}, {b})"

    def _joined(self) -> str:
        if self.op.kind in ("sum", "prod"):
            return ""
        v, n = f"{self.symbol}_v", self.lanes
        if self.op.kind in ("max", "min"):
            m = f"{self.symbol}_mask"
            wins = f"(a {'>' if self.op.kind == 'max' else '<'} b) | (a != a)"
            return (f"static inline {v} {self.symbol}_joined({v} a, {v} b) {{\n    const {m} w = ({m})({wins});\n"
                    f"    return ({v})((w & ({m})a) | (~w & ({m})b));\n}}\n")  # fmt: skip
        t, size = self.value, f"sizeof({v})"
        return (f"static inline {v} {self.symbol}_joined({v} a, {v} b) {{\n    {t} x[{n}], y[{n}];\n    {v} r;\n"
                f"    memcpy(x, &a, {size});\n    memcpy(y, &b, {size});\n"
                f"    for (int l = 0; l < {n}; l++) x[l] = {self.symbol}_join(x[l], y[l]);\n"
                f"    memcpy(&r, x, {size});\n    return r;\n}}\n")  # fmt: skip

    # ------------------------------------------------------------ along a row

    def _span(self, name: str, past: bool) -> str:
        """Scan `n` values (a whole number of vectors) from `x` to `y`, and return the carry; `past` the caches, where vectors are lines."""
        s, v, n, c = self.symbol, f"{self.symbol}_v", self.lanes, self.carry
        last = 0 if self.op.reverse else n - 1
        order = f"n - {n} - j" if self.op.reverse else "j"
        shown = "p"
        if self.op.exclusive:
            shown = shuffle("none", "p", _shifted(n, 1, self.op.reverse), f"{s}_mask")
        t = self.element_type
        made = f"__builtin_convertvector({self._vector_combine('all', shown)}, {s}_io)"
        store = f"*({s}_io *)(y + {order}) = {made};"
        if past:
            store = f"const {s}_io line = {made};\n        kf_stream_lines(y + {order}, &line, sizeof line);"
        ahead = (-self.ahead if self.op.reverse else self.ahead) // BYTES[t]
        lines = [f"static {c} {s}_{name}(const {t} *restrict x, {t} *restrict y, long n, {c} carry) {{",
                 f"    const {v} none = {{{', '.join([self.identity] * n)}}};", "    (void)none;",
                 f"    for (long j = 0; j < n; j += {n}) {{",
                 *([f"        __builtin_prefetch(x + {order} + ({ahead}), 0, 2);"] if ahead else []),
                 f"        const {v} p = {s}_prefix(__builtin_convertvector(*(const {s}_io *)(x + {order}), {v}));",
                 f"        const {self.value} c = ({self.value})carry;",
                 f"        const {v} all = {{{', '.join(['c'] * n)}}};",
                 f"        {store}",
                 f"        carry = {self.combine('carry', f'p[{last}]')};", "    }", "    return carry;", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _plain(self) -> str | None:
        """The pointer to a row's first element where the value is a plain load of the compute type, contiguous along it."""
        load, op = self.op.value, self.op
        if (
            not isinstance(load, Load)
            or CTYPE[self.tail.group.buffer(load.buffer).dtype] != self.element_type
        ):
            return None
        forms = [affine(i) for i in load.index]
        last = op.axis
        strides = self.tail.group.buffer(load.buffer).strides
        steps = [None if f is None else f.of(last) * s for f, s in zip(forms, strides, strict=True)]
        if None in steps or sum(s for s in steps if s) != 1:
            return None
        code = memory_loads(self.tail.group.buffer, self._axes("0"), pointers(self.tail.group))(load)
        return f"&{code}"

    def _row(self, indent: str) -> list[str]:
        """C that scans the columns [from, to) of one row, starting with `carry`."""
        op, e, inner = self.op, self.e, indent + "    "
        plain, direct = self._plain(), self.direct
        lines = []
        if plain:
            lines.append(f"{indent}const {self.element_type} *const source = {plain};")
        lines += [f"{indent}for (long k = 0; k < to - from; k += {self.chunk}) {{",
                  f"{inner}const long n = KF_MIN_L(to - from - k, {self.chunk}L), at = {'KF_MAX_L(to - k - n, from)' if op.reverse else 'from + k'};",
                  f"{inner}const long m = (n + {self.lanes - 1}) / {self.lanes} * {self.lanes};"]  # fmt: skip
        lines += self._fill(inner, plain)
        target = f"{pointer(op.out.name)} + row * {e.length}L + at"
        whole = f"m == n ? {target} : tile" if direct and (self.lined or not self.streamed) else "tile"
        span = f"{self.symbol}_span"
        if self.lined:
            span = f"(m == n && (uintptr_t)to_y % {LINE} == 0 ? {self.symbol}_lines : {span})"
        lines += [f"{inner}{self.element_type} *const to_y = {whole};",
                  f"{inner}carry = {span}(from_x, to_y, m, carry);"]  # fmt: skip
        if self.streamed and not self.lined:
            return [*lines, f"{inner}kf_stream({target}, tile, n * sizeof *tile);", f"{indent}}}"]
        body = self.tail.lines(
            "tile[j]", list(self._axes("(at + j)").values()), f"row * {e.length}L + at + j", inner + "    "
        )
        guard = "if (m != n) " if direct else ""
        return [*lines, f"{inner}{guard}for (long j = 0; j < n; j++) {{", *body, f"{inner}}}", f"{indent}}}"]

    def _fill(self, indent: str, plain: str | None) -> list[str]:
        """`from_x`: the values of this chunk, padded with the identity to a whole number of vectors."""
        axes = self._axes("(at + j)")
        lines, value = self.element(axes, indent + "    ")
        loop = [f"{indent}for (long j = 0; j < n; j++) {{", *lines, f"{indent}    line[j] = {value};", f"{indent}}}",
                f"{indent}for (long j = n; j < m; j++) line[j] = {self.identity};"]  # fmt: skip
        if not plain:
            return [
                *self.fetched(self._axes("at"), "n", indent, self.ahead),
                *loop,
                f"{indent}const {self.element_type} *const from_x = line;",
            ]
        return [f"{indent}const {self.element_type} *from_x = source + at;", f"{indent}if (m != n) {{", *("    " + ln for ln in loop),
                f"{indent}    from_x = line;", f"{indent}}}"]  # fmt: skip

    def _kernel(self) -> str:
        op, e, at = self.op, self.e, self._at
        names = [f"i{k}" for k in range(at)]
        lead = unflattened("row", [a.extent for a in op.axes[:at]], names, "        ")
        head = [signature(self.tail.group, self.symbol), "{", "    (void)scratch; (void)threads;"]
        end = ["    kf_stream_end();"] if self.streamed else []
        if self.split:
            return "\n".join([*head, *self._split(lead), *end, "}", ""])
        arrays = self._arrays("omp_get_thread_num()" if self.threads > 1 else "0", "        ")
        return "\n".join([*head, f"    {self.pragma()}for (long row = 0; row < {e.outer}L; row++) {{", *arrays, *lead,
                          f"        {self.carry} carry = {self.identity};", f"        const long from = 0, to = {e.length};",
                          *self._row("        "), "    }", *end, "}", ""])  # fmt: skip

    def _arrays(self, thread: str, indent: str) -> list[str]:
        size = 2 * self.chunk * 8
        return [
            f"{indent}{self.element_type} *const line = ({self.element_type} *)(scratch + {size}L * {thread}), *const tile = line + {self.chunk};"
        ]

    def _split(self, lead: list[str]) -> list[str]:
        """Every thread takes the total of its part of the row, then scans it from the total of the parts before."""
        e, c, t = self.e, self.carry, self.threads
        part = -(-e.length // (64 * t)) * 64
        totals = f"({c} *)(scratch + {2 * self.chunk * 8 * t}L)"
        axes = self._axes("q")
        lines, value = self.element(axes, " " * 16)
        parts = f"for (long s = 0; s < {t}; s++) {{"
        edges = f"const long from = KF_MIN_L(s * {part}L, {e.length}L), to = KF_MIN_L(from + {part}L, {e.length}L);"
        before = f"for (long b = {'s + 1; b < ' + str(t) if self.op.reverse else '0; b < s'}; b++)"
        return [f"    for (long row = 0; row < {e.outer}L; row++) {{", *lead, f"        {c} *const total = {totals};",
                "        #pragma omp parallel for num_threads(threads) schedule(static)", f"        {parts}", f"            {edges}",
                f"            {c} sum = {self.identity};", "            for (long q = from; q < to; q++) {", *lines,
                f"                sum = {self.combine('sum', value)};", "            }", "            total[s * 8] = sum;", "        }",
                "        #pragma omp parallel for num_threads(threads) schedule(static)", f"        {parts}", f"            {edges}",
                *self._arrays("s", " " * 12), f"            {c} carry = {self.identity};",
                f"            {before} carry = {self.combine('carry', 'total[b * 8]')};",
                *self._row(" " * 12), "        }", "    }"]  # fmt: skip


def _shifted(lanes: int, by: int, reverse: bool) -> list[int]:
    """Lane numbers of (none, p) that move p by `by` lanes away from where the scan starts."""
    if reverse:
        return [lanes + i + by if i + by < lanes else 0 for i in range(lanes)]
    return [lanes + i - by if i >= by else 0 for i in range(lanes)]
