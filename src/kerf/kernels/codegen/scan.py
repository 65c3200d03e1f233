"""Running sums, products, extrema and log-sum-exps along any axis.

Along the last axis: a prefix within each vector by log2(lanes) shuffled steps (Hillis and Steele, "Data parallel
algorithms", 1986), and a scalar carry between vectors; the carry of float32 sums and products is kept in double, so that
long rows lose no more than one rounding a vector, as torch's double accumulator does. Along other axes: one running row,
vectorized over what is contiguous. One long row with several threads: totals of chunks first, then the chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from kerf.kernels.codegen.expr import CTYPE, bound, ctype, literal, memory_loads, offset
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, pointers, signature, split, unflattened
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.codegen.vector import BYTES, shuffle, vector_types
from kerf.kernels.ir import DType, Group, Load, Scan, affine, loads
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

LINE = 64  # bytes of a cache line
SPAN = 1024  # columns of one loop: what it makes is streamed to memory from the first-level cache


@dataclass(frozen=True)
class Extent:
    """The loops around and along a scan: `outer` x `length` x `inner` elements, the middle one scanned."""

    outer: int
    length: int
    inner: int


def extent(op: Scan) -> Extent:
    at = [a.name for a in op.axes].index(op.axis)
    sizes = [a.extent for a in op.axes]
    return Extent(prod(sizes[:at]), sizes[at], prod(sizes[at + 1 :]))


class ScanTemplate:
    name = "scan"

    def accepts(self, group: Group) -> bool:
        tail = split(group, Scan)
        if tail is None:
            return False
        op = tail.main
        assert isinstance(op, Scan)
        return op.kind != "logsumexp" or op.value.dtype.is_float

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        op = _scan(group)
        e = extent(op)
        if e.inner > 1:
            return _column_decisions(group, e, chip)
        chunks = (256, 1024, 4096)
        return (
            Decision("chunk", chunks, 1024),
            Decision("stream", (False, True), _row_streams(group, chip)),
            *_ahead(group, chip, _row_streams(group, chip)),
            Decision("split_rows", (True, False), threads > 1 and e.outer < threads and e.length >= 16384),
        )

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        tail = split(group, Scan)
        assert tail is not None
        kind = ColumnScan if extent(_scan(group)).inner > 1 else RowScan
        return kind(tail, choices, chip, threads, symbol).emit()


def _ahead(group: Group, chip: Chip, streams: bool) -> tuple[Decision, ...]:
    """Bytes by which what is read is fetched before it is used, where it does not lie in a near cache: beside plain stores, which read
    their lines too, it takes 5 % longer."""
    far = group.buffer(_scan(group).out.name).bytes > chip.l2_bytes
    return (Decision("ahead", (0, 2048, 4096, 8192), chip.ahead_bytes if streams else 0),) if far else ()


def _row_streams(group: Group, chip: Chip) -> bool:
    """Results past the caches by default? Where every vector of them is a line (measured beside loads that are fetched ahead)."""
    op = _scan(group)
    size = op.out.dtype.bytes
    lines = extent(op).length * size % LINE == 0 and chip.vector_bits == 8 * LINE and op.kind != "prod"
    return lines and _moved(group) > chip.l3_bytes and chip.ahead_bytes > 0


def _moved(group: Group) -> int:
    return sum(b.bytes for b in (*group.inputs, *group.outputs))


def _scan(group: Group) -> Scan:
    op = group.ops[0]
    assert isinstance(op, Scan)
    return op


class _Writer:
    """What both directions share: the running operation in C, and how elements are read and stored."""

    def __init__(
        self, tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.tail, self.choices, self.chip, self.threads, self.symbol = tail, choices, chip, threads, symbol
        self.op = _scan(tail.group)
        self.e = extent(self.op)
        computed, out = self.op.value.dtype.compute, self.op.out.dtype.compute
        self.kind: DType = computed if out.is_float and computed.is_float else out
        self.element_type = ctype(self.kind)
        if self.op.kind == "prod" and self.kind is DType.F32:
            self.kind = DType.F64  # a stretch may overflow float32 where what came before it is small
        self.value = ctype(self.kind)
        self.direct = self.tail.direct and self.element_type == ctype(out)
        self.identity = _identity(self.op.kind, self.kind)
        # sums and products of float32 carry in double between vectors
        wide = self.kind is DType.F32 and self.op.kind in ("sum", "prod")
        self.carry = "double" if wide else self.value

    def combine(self, a: str, b: str) -> str:
        if self.op.kind in ("sum", "prod"):
            return f"{a} {'+' if self.op.kind == 'sum' else '*'} {b}"
        return f"{self.symbol}_join({a}, {b})"

    def join_function(self) -> str:
        t, kind = self.value, self.op.kind
        if kind in ("sum", "prod"):
            return ""
        if kind == "logsumexp":
            body = _logaddexp(t, "" if t == "float" else "_f64")
        else:
            keep = "a != a ? a : m" if self.kind.is_float else "m"
            body = f"    {t} m = a {'>' if kind == 'max' else '<'} b ? a : b;\n    return {keep};\n"
        return f"static inline {t} {self.symbol}_join({t} a, {t} b) {{\n{body}}}\n"

    def element(self, axes: dict[str, str], indent: str) -> tuple[list[str], str]:
        """C of the scanned value at these loop variables."""
        group = self.tail.group
        lines, code = bound(self.op.value, axes, memory_loads(group.buffer, axes, pointers(group)), indent)
        return lines, f"({self.element_type})({code})"

    def fetched(self, axes: dict[str, str], count: str, indent: str, ahead: int) -> list[str]:
        """Statements that fetch the next `count` elements after these loop variables, `ahead` bytes on, from each buffer that runs along
        with the output."""
        out = []
        for load in dict.fromkeys(loads(self.op.value)) if ahead else ():
            buffer = self.tail.group.buffer(load.buffer)
            if buffer.size < self.op.out.size or any(affine(i) is None for i in load.index):
                continue
            size = buffer.dtype.bytes
            at = f"{pointer(buffer.name)} + {offset(load, buffer, axes)} + {ahead // size}"
            out.append(
                f"{indent}for (long l = 0; l < {count}; l += {64 // size}) __builtin_prefetch({at} + l, 0, 2);"
            )
        return out

    def emitted(self, code: str, scratch: int) -> Emitted:
        moved = sum(b.bytes for b in (*self.tail.group.inputs, *self.tail.group.outputs))
        return Emitted(MACROS + code, self.symbol, scratch, (), float(self.op.out.size), float(moved))

    def pragma(self, wanted: bool = True) -> str:
        return (
            "#pragma omp parallel for num_threads(threads) schedule(static)\n    "
            if self.threads > 1 and wanted
            else ""
        )


def _column_decisions(group: Group, e: Extent, chip: Chip) -> tuple[Decision, ...]:
    """Whole rows, in the order of memory; several at once where the running row alone would fill half of the first-level cache."""
    widths = tuple(w for w in (64, 256, 1024, 4096, 16384) if w < 4 * e.inner) or (64,)
    streams = _moved(group) > chip.l3_bytes
    return (
        Decision("block_inner", widths, widths[-1]),
        Decision("rows", (1, 4, 8), 1 if 16 * min(e.inner, widths[-1]) <= chip.l1_bytes else 8),
        Decision("stream", (False, True), streams),
        *_ahead(group, chip, streams),
    )


class ColumnScan(_Writer):
    """The scanned axis is not the last: a running row of `block_inner` elements, `rows` rows in one go over it."""

    def emit(self) -> Emitted:
        block = min(int(self.choices["block_inner"]), self.e.inner)
        if self.threads > 1:  # enough blocks to share
            block = min(block, max(64, -(-self.e.inner * self.e.outer // self.threads)))
        self.rows = min(int(self.choices["rows"]), self.e.length)
        self.streamed = bool(self.choices["stream"]) and self.direct
        per_thread = -(-block // 16) * 16 * 8
        return self.emitted(self.join_function() + self._kernel(block, per_thread), per_thread * self.threads)

    def _kernel(self, block: int, per_thread: int) -> str:
        e, op = self.e, self.op
        blocks = -(-e.inner // block)
        at = [a.name for a in op.axes].index(op.axis)
        names = [f"i{k}" for k in range(len(op.axes))]
        thread = "omp_get_thread_num()" if self.threads > 1 else "0"
        lines = [signature(self.tail.group, self.symbol), "{", "    (void)scratch; (void)threads;",
                 f"    {self.pragma()}for (long item = 0; item < {e.outer * blocks}L; item++) {{",
                 f"        {self.carry} *const run = ({self.carry} *)(scratch + {per_thread}L * {thread});",
                 f"        const long row = item / {blocks}, left = item % {blocks} * {block}, n = KF_MIN_L({e.inner} - left, {block}L);",
                 *unflattened("row", [a.extent for a in op.axes[:at]], names[:at], "        "),
                 f"        for (long j = 0; j < n; j++) run[j] = {self.identity};", "        long s = 0;"]  # fmt: skip
        for count in dict.fromkeys((self.rows, 1) if e.length % self.rows else (self.rows,)):
            lines += [f"        for (; s + {count} <= {e.length}L; s += {count})",
                      f"            for (long c = 0; c < n; c += {SPAN}) {{", *self._span(names, at, count), "            }"]  # fmt: skip
        return "\n".join([*lines, "        kf_stream_end();" if self.streamed else "", "    }", "}", ""])

    def _span(self, names: list[str], at: int, count: int) -> list[str]:
        """`count` rows of at most SPAN columns from column c of the block on."""
        indent, size = " " * 16, self.element_type
        lines = [f"{indent}const long m = KF_MIN_L(n - c, {SPAN}L);"]
        if self.streamed:
            lines.append(f"{indent}{size} tile[{count}][{SPAN}] __attribute__((aligned(64)));")
        lines += self._rows_ahead(names, at, count)
        lines += [f"{indent}#pragma omp simd", f"{indent}for (long l = 0; l < m; l++) {{",
                  f"{indent}    const long j = c + l;", f"{indent}    {self.carry} next = run[j];"]  # fmt: skip
        for u in range(count):
            lines += [f"{indent}    {{", *self._element(names, at, u), f"{indent}    }}"]
        lines += [f"{indent}    run[j] = next;", f"{indent}}}"]
        if self.streamed:
            to = f"{pointer(self.op.out.name)} + (row * {self.e.length} + {self._place('s + u')}) * {self.e.inner}L + left + c"
            lines.append(
                f"{indent}for (long u = 0; u < {count}; u++) kf_stream({to}, tile[u], m * sizeof({size}));"
            )
        return lines

    def _rows_ahead(self, names: list[str], at: int, count: int) -> list[str]:
        """The same span of each row, some bytes on."""
        op, indent, ahead = self.op, " " * 20, int(self.choices.get("ahead", 0))
        axes = {a.name: n for a, n in zip(op.axes, names)}
        lines = []
        for u in range(count):
            fetches = self.fetched(axes, "m", indent, ahead)
            if fetches:
                lines += [f"{indent[4:]}{{", f"{indent}const long {names[at]} = {self._place(f's + {u}')};",
                          *unflattened("(left + c)", [a.extent for a in op.axes[at + 1 :]], names[at + 1 :], indent), *fetches, f"{indent[4:]}}}"]  # fmt: skip
        return lines

    def _place(self, step: str) -> str:
        """Where step number `step` is on the scanned axis."""
        return f"({self.e.length - 1} - ({step}))" if self.op.reverse else f"({step})"

    def _element(self, names: list[str], at: int, u: int) -> list[str]:
        """Row s + u of column j."""
        op, indent = self.op, " " * 24
        axes = {a.name: n for a, n in zip(op.axes, names)}
        lines = [f"{indent}const long {names[at]} = {self._place(f's + {u}')}, base = (row * {self.e.length} + {names[at]}) * {self.e.inner}L + left;",
                 *unflattened("(left + j)", [a.extent for a in op.axes[at + 1 :]], names[at + 1 :], indent)]  # fmt: skip
        body, value = self.element(axes, indent)
        lines += body
        if op.exclusive:
            lines.append(f"{indent}const {self.value} now = ({self.value})next;")
        lines.append(f"{indent}next = {self.combine('next', value)};")
        if not op.exclusive:
            lines.append(f"{indent}const {self.value} now = ({self.value})next;")
        if self.streamed:
            return [*lines, f"{indent}tile[{u}][l] = now;"]
        return [*lines, *self.tail.lines("now", names, "base + j", indent)]


class RowScan(_Writer):
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
        if self.split:
            return "\n".join([*head, *self._split(lead), "}", ""])
        arrays = self._arrays("omp_get_thread_num()" if self.threads > 1 else "0", "        ")
        return "\n".join([*head, f"    {self.pragma()}for (long row = 0; row < {e.outer}L; row++) {{", *arrays, *lead,
                          f"        {self.carry} carry = {self.identity};", f"        const long from = 0, to = {e.length};",
                          *self._row("        "), *self._ended("        "), "    }", "}", ""])  # fmt: skip

    def _ended(self, indent: str) -> list[str]:
        return [f"{indent}kf_stream_end();"] if self.streamed else []

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
                *self._row(" " * 12), *self._ended(" " * 12), "        }", "    }"]  # fmt: skip


def _shifted(lanes: int, by: int, reverse: bool) -> list[int]:
    """Lane numbers of (none, p) that move p by `by` lanes away from where the scan starts."""
    if reverse:
        return [lanes + i + by if i + by < lanes else 0 for i in range(lanes)]
    return [lanes + i - by if i >= by else 0 for i in range(lanes)]


def _identity(kind: str, dtype: DType) -> str:
    ends = {DType.I64: ("INT64_MIN", "INT64_MAX"), DType.I32: ("INT32_MIN", "INT32_MAX"), DType.I16: ("INT16_MIN", "INT16_MAX"),
            DType.I8: ("INT8_MIN", "INT8_MAX"), DType.U8: ("0", "UINT8_MAX")}  # fmt: skip
    if kind in ("sum", "prod"):
        return literal(int(kind == "prod"), dtype)
    low, high = ends.get(dtype, ("(-INFINITY)", "INFINITY"))
    return high if kind == "min" else low


def _logaddexp(t: str, suffix: str) -> str:
    """log(exp(a) + exp(b)); equal infinities stay, NaN wins."""
    return (f"    const {t} high = a > b ? a : b, low = a > b ? b : a;\n    const {t} gap = low - high;\n"
            f"    const {t} sum = high + kf_log1p{suffix}(kf_exp{suffix}(gap));\n"
            f"    return (low == high) & (high - high != 0) & (high == high) ? high : a != a ? a : sum;\n")  # fmt: skip


TEMPLATE = ScanTemplate()
