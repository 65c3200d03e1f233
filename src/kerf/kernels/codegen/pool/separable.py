"""Max and average pooling, 1 to 3 dimensions: windows are reduced over whole rows first (contiguous loads, whatever the
stride), then along the one row that is left, in the first-level cache. Average and maximum are separable, so a window of
k x k costs 2k operations; wide maxima use doubling (van Herk's idea in its vector form: a window of 2p from two of p)."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.pool.writer import Writer, even
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, signature, unflattened
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Pool
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip

VECTOR = 16  # elements done together at least: whole vectors of every chip
SEGMENT_TAPS = 12  # taps of one loop along a row: more would spill


class SeparablePool(Writer):
    """Rows first, then columns."""

    def __init__(
        self, tail: Tail, op: Pool, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        super().__init__(tail, op, choices, chip, threads, symbol)
        w = self.w
        self.block = min(int(choices["block_w"]), w.out[2])
        self.unroll = int(choices["row_unroll"])
        self.doubling = choices.get("row_window") == "doubling"
        self.depth_first = bool(choices.get("depth_first", False))
        self.span = (self.block - 1) * w.stride[2] + (w.kernel[2] - 1) * w.dilation[2] + 1
        # the rest of a vector loop would branch on every element; whole vectors do not, and what lies beyond a line may be anything
        self.padded = op.kind == "max" and self.x.dtype.is_float
        self.whole = self.block == w.out[2]
        self.band = int(choices["band"]) if self.whole else 1
        self.streamed = bool(choices["stream"]) and self.whole and tail.direct
        self.through = tail.direct and (self.streamed or (self.padded and w.out[2] % VECTOR != 0))
        self.ahead = 0 if self.depth_first else int(choices.get("ahead", 0))
        self.weighted = op.kind == "avg" and op.divisor is None and not w.uniform(op.count_include_pad)

    def emit(self) -> Emitted:
        flops, moved = self.work()
        parts = [
            MACROS,
            self.max_function() if self.op.kind == "max" else "",
            self._rows(CTYPE[self.x.dtype], "rows"),
        ]
        if self.depth_first:
            parts.append(self._rows(self.value, "planes"))
        parts += [self._columns(), self._kernel()]
        return Emitted(
            "\n".join(p for p in parts if p), self.symbol, self._scratch() * self.threads, (), flops, moved
        )

    # ------------------------------------------------------------ scratch

    def _sizes(self) -> dict[str, int]:
        """Elements of each array of one thread, in order."""
        w = self.w
        length = self.band * self._pitch() if self.whole else even(self.span) + self._beyond()
        sizes = {"line": length, "tile": even((self.band if self.whole else 1) * self.block) + VECTOR}
        if self.weighted:
            sizes["share"] = even(w.out[2])
        if self.depth_first:
            sizes["plane"] = even(w.size[1] * w.size[2])
        return sizes

    def _scratch(self) -> int:
        return sum(self._sizes().values()) * (8 if self.x.dtype.bytes == 8 else 4)

    def _arrays(self, indent: str) -> list[str]:
        thread = "omp_get_thread_num()" if self.threads > 1 else "0"
        lines = [
            f"{indent}{self.value} *const line = ({self.value} *)(scratch + {self._scratch()}L * {thread});"
        ]
        before = "line"
        sizes = list(self._sizes().items())
        for (name, _), (_, size) in zip(sizes[1:], sizes):
            lines.append(f"{indent}{self.value} *const {name} = {before} + {size};")
            before = name
        return lines

    def _beyond(self) -> int:
        """Elements after a line that whole vectors may touch."""
        w = self.w
        return even(VECTOR * w.stride[2] + (w.kernel[2] - 1) * w.dilation[2] + VECTOR) if self.padded else 0

    def _upto(self, count: str) -> str:
        return f"({count} + {VECTOR - 1}) / {VECTOR} * {VECTOR}" if self.padded else count

    # ------------------------------------------------------------ the two passes

    def _rows(self, stored_type: str, name: str) -> str:
        """line[j] = the reduction of m rows at j; at most `unroll` rows a pass."""
        t = self.value
        takes = self.x.dtype if stored_type != self.value else self.x.dtype.compute
        lines = [f"/* line[j] = the {self.op.kind} of m rows at j */",
                 f"static inline void {self.symbol}_{name}({t} *restrict line, const {stored_type} *const *r, long m, long n) {{",
                 f"    for (long t = 0; t < m; t += {self.unroll}, r += {self.unroll}) {{",
                 f"        const long c = m - t < {self.unroll} ? m - t : {self.unroll};"]  # fmt: skip
        for more in (False, True):
            for count in range(1, self.unroll + 1):
                total = "line[j]" if more else ""
                for k in range(count):
                    item = loaded(f"r{k}[j]", takes)
                    total = self.combine(total, item) if total else item
                names = ", ".join(f"*const r{k} = r[{k}]" for k in range(count))
                lines += [f"        if (t {'>' if more else '=='} 0 && c == {count}) {{",
                          f"            const {stored_type} {names};",
                          *self._along(total),
                          "        }"]  # fmt: skip
        return "\n".join([*lines, "    }", "}", ""])

    def _along(self, total: str) -> list[str]:
        """line[j] = `total` for the elements of a row; a maximum may be taken twice, so that the last vector is whole."""
        if not self.padded:
            return [f"            for (long j = 0; j < n; j++) line[j] = {total};"]
        return [f"            const long most = n / {VECTOR} * {VECTOR}, last = n < {VECTOR} ? 0 : n - {VECTOR};",
                f"            for (long j = 0; j < most; j++) line[j] = {total};",
                f"            if (most < n) for (long j = last; j < n; j++) line[j] = {total};"]  # fmt: skip

    def _columns(self) -> str:
        """o[i] = the reduction along `line` of the window of output i (times its share, for averages)."""
        t, w = self.value, self.w
        lines = [
            f"static inline void {self.symbol}_columns({t} *restrict o, {t} *restrict line, const {t} *share, {t} scale, long n) {{"
        ]
        lines += self._doubled() if self.doubling else self._direct()
        if self.op.kind == "avg":
            factor = "scale * share[i]" if self.weighted else "scale"
            lines.append(
                f"    for (long i = 0; i < n; i++) o[i] *= {factor};" if w.kernel[2] > SEGMENT_TAPS else ""
            )
        return "\n".join([*(ln for ln in lines if ln), "}", ""])

    def _direct(self) -> list[str]:
        w, lines = self.w, []
        for start in range(0, w.kernel[2], SEGMENT_TAPS):
            total = "o[i]" if start else ""
            for k in range(start, min(start + SEGMENT_TAPS, w.kernel[2])):
                item = f"line[i * {w.stride[2]} + {k * w.dilation[2]}]"
                total = self.combine(total, item) if total else item
            if self.op.kind == "avg" and w.kernel[2] <= SEGMENT_TAPS:
                total = f"({total}) * {'(scale * share[i])' if self.weighted else 'scale'}"
            lines.append(f"    for (long i = 0; i < {self._upto('n')}; i++) o[i] = {total};")
        return lines

    def _doubled(self) -> list[str]:
        """In place: after the step with distance p, line[j] covers 2p taps. Two windows of a power of two cover any."""
        w, lines, p = self.w, [], 1
        k, dil = w.kernel[2], w.dilation[2]
        lines.append(f"    const long m = (n - 1) * {w.stride[2]} + {(k - 1) * dil + 1};")
        while 2 * p <= k:
            lines.append(
                f"    for (long j = 0; j < {self._upto(f'(m - {(2 * p - 1) * dil})')}; j++) line[j] = {self.combine('line[j]', f'line[j + {p * dil}]')};"
            )
            p *= 2
        last = f"line[i * {w.stride[2]} + {(k - p) * dil}]"
        lines.append(
            f"    for (long i = 0; i < {self._upto('n')}; i++) o[i] = {self.combine(f'line[i * {w.stride[2]}]', last)};"
        )
        return lines

    # ------------------------------------------------------------ the kernel

    def _kernel(self) -> str:
        w = self.w
        lines = [f"/* {self.op.kind} pooling: {w.planes} planes of {w.size}, windows of {w.kernel} by {w.stride} */",
                 signature(self.tail.group, self.symbol), "{", "    (void)scratch; (void)threads;"]  # fmt: skip
        rows = not self.depth_first and w.planes * w.out[0] < 4 * self.threads
        items = w.planes * w.out[0] * (w.out[1] if rows else 1)
        lines.append(f"    {self.pragma()}for (long item = 0; item < {items}L; item++) {{")
        lines += self._arrays("        ")
        if self.weighted:
            lines += self._shares("        ")
        if rows:
            lines += [f"        const long oh = item % {w.out[1]}, outer = item / {w.out[1]};"]
        else:
            lines += ["        const long outer = item;"]
        lines += [f"        const long p = outer / {w.out[0]}, od = outer % {w.out[0]};",
                  f"        const {CTYPE[self.x.dtype]} *const x = {pointer(self.x.name)} + p * {prod(w.size)}L;"]  # fmt: skip
        lines += self._depth_range("        ")
        if self.whole:
            lines += self._bands(rows, "        ")
        else:
            head = [] if rows else [f"        for (long oh = 0; oh < {w.out[1]}; oh++) {{"]
            lines += [*head, *self._output_row("            "), *(["        }"] if head else [])]
        end = ["    kf_stream_end();"] if self.whole and self.streamed else []
        return "\n".join([*lines, "    }", *end, "}", ""])

    def _shares(self, indent: str) -> list[str]:
        """1 over the number of columns that count, per output column."""
        return [
            f"{indent}for (long i = 0; i < {self.w.out[2]}; i++) share[i] = ({self.value})1 / ({self.value})({self.count('i', 2)});"
        ]

    def _depth_range(self, indent: str) -> list[str]:
        if not self.depth_first:
            return []
        w = self.w
        return [f"{indent}const {CTYPE[self.x.dtype]} *deep[{w.kernel[0]}];", f"{indent}long depth = 0;",
                *self._taps("od", 0, f"{indent}", f"deep[depth++] = x + d0 * {w.size[1] * w.size[2]}L;"),
                f"{indent}if (depth > 0) {self.symbol}_rows(plane, deep, depth, {w.size[1] * w.size[2]}L);",
                f"{indent}else for (long j = 0; j < {w.size[1] * w.size[2]}L; j++) plane[j] = {self.lowest};"]  # fmt: skip

    def _taps(self, index: str, d: int, indent: str, body: str) -> list[str]:
        w = self.w
        return [f"{indent}for (long t{d} = 0; t{d} < {w.kernel[d]}; t{d}++) {{",
                f"{indent}    const long d{d} = {index} * {w.stride[d]} - {w.padding[d]} + t{d} * {w.dilation[d]};",
                f"{indent}    if (d{d} < 0 || d{d} >= {w.size[d]}) continue;", f"{indent}    {body}", f"{indent}}}"]  # fmt: skip

    def _row_list(self, indent: str) -> list[str]:
        """Pointers to the rows under the window of this output row."""
        w = self.w
        if self.depth_first:
            return [f"{indent}const {self.value} *r[{w.kernel[1]}];", f"{indent}long m = 0;",
                    *self._taps("oh", 1, indent, f"r[m++] = plane + d1 * {w.size[2]}L;")]  # fmt: skip
        inner = self._taps("oh", 1, "", f"r[m++] = x + (d0 * {w.size[1]} + d1) * {w.size[2]}L;")
        if w.kernel[0] == 1 and w.size[0] == 1 and w.padding[0] == 0:
            taps = [indent + ln for ln in ("const long d0 = 0;", *inner)]
        else:
            taps = self._taps("od", 0, indent, ("\n" + indent + "    ").join(inner))
        return [
            f"{indent}const {CTYPE[self.x.dtype]} *r[{w.kernel[0] * w.kernel[1]}];",
            f"{indent}long m = 0;",
            *taps,
        ]

    # ------------------------------------------------------------ whole rows: margins are filled once, lengths are constants

    def _left(self) -> int:
        """Where column 0 lies in a line: what is left of it is padding, and it starts a vector."""
        return even(self.w.padding[2])

    def _filled(self) -> tuple[int, int]:
        """Columns of a line that come from the input, and up to where windows read."""
        w = self.w
        end = (w.out[2] - 1) * w.stride[2] - w.padding[2] + (w.kernel[2] - 1) * w.dilation[2] + 1
        return min(end, w.size[2]), end

    def _pitch(self) -> int:
        return self._left() + even(max(self._filled()[1], 0)) + self._beyond()

    def _bands(self, rows: bool, indent: str) -> list[str]:
        """`band` lines over the height, then the windows along each of them: loads find what earlier stores have left."""
        w, band = self.w, 1 if rows else self.band
        margins = self._margins("line + g * " + str(self._pitch()), indent + "    ")
        head = [f"{indent}for (long g = 0; g < {band}; g++) {{", *margins, f"{indent}}}"] if margins else []
        if rows:
            body = [f"{indent}{{", f"{indent}    const long g = 0;", *self._fill(indent + "    "),
                    *self._emit_row(indent + "    "), *self._sent("oh", "1", indent + "    "), f"{indent}}}"]  # fmt: skip
            return [*head, *body]
        inner = indent + "        "
        step = [
            f"{indent}    for (long g = 0; g < {band} && top + g < {w.out[1]}; g++) {{",
            f"{inner}const long oh = top + g;",
        ]
        return [*head, f"{indent}for (long top = 0; top < {w.out[1]}; top += {band}) {{",
                *step, *self._fill(inner), f"{indent}    }}", *step, *self._emit_row(inner), f"{indent}    }}",
                *self._sent("top", f"KF_MIN_L({band}L, {w.out[1]} - top)", indent + "    "), f"{indent}}}"]  # fmt: skip

    def _margins(self, line: str, indent: str) -> list[str]:
        left, (count, end), lines = self._left(), self._filled(), list[str]()
        if self.w.padding[2]:
            lines.append(
                f"{indent}for (long j = {left - self.w.padding[2]}; j < {left}; j++) ({line})[j] = {self.lowest};"
            )
        if end > count:
            lines.append(
                f"{indent}for (long j = {left + max(count, 0)}; j < {left + end}; j++) ({line})[j] = {self.lowest};"
            )
        return lines

    def _fill(self, indent: str) -> list[str]:
        """Line g: the rows under the windows of output row oh."""
        count = self._filled()[0]
        kind = "planes" if self.depth_first else "rows"
        again = self._margins("at", indent) if self.doubling else []
        return [*self._row_list(indent), *self._fetched(indent), f"{indent}{self.value} *const at = line + g * {self._pitch()};", *again,
                f"{indent}if (m > 0) {self.symbol}_{kind}(at + {self._left()}, r, m, {count}L);",
                f"{indent}else for (long j = 0; j < {count}; j++) at[{self._left()} + j] = {self.lowest};"]  # fmt: skip

    def _fetched(self, indent: str) -> list[str]:
        """As many rows as the next window does not share with this one, some bytes after its last row."""
        if not self.ahead:
            return []
        count, size = min(self.w.stride[1], self.w.kernel[1]) * self.w.size[2], self.x.dtype.bytes
        return [f"{indent}if (m > 0) for (long l = 0; l < {count}; l += {64 // size})",
                f"{indent}    __builtin_prefetch(r[m - 1] + {self.ahead // size} + l, 0, 2);"]  # fmt: skip

    def _emit_row(self, indent: str) -> list[str]:
        """Output row oh from line g."""
        w = self.w
        flat = f"((p * {w.out[0]} + od) * {w.out[1]} + oh) * {w.out[2]}L"
        own = f"tile + g * {w.out[2]}" if self.through else "tile"
        target = f"{pointer(self.op.out.name)} + {flat}" if self.tail.direct and not self.through else own
        source = f"line + g * {self._pitch()} + {self._left() - w.padding[2]}"
        lines = [
            *self._scale(indent),
            f"{indent}{self.symbol}_columns({target}, {source}, {'share' if self.weighted else '0'}, scale, {w.out[2]}L);",
        ]
        if not self.tail.direct:
            lines += [f"{indent}const long left = 0, n = {w.out[2]};", *self._apply_tail(flat, indent)]
        return lines

    def _sent(self, first: str, rows: str, indent: str) -> list[str]:
        """The output rows in the tile, which follow one another in memory too."""
        if not self.through:
            return []
        w = self.w
        to = f"{pointer(self.op.out.name)} + ((p * {w.out[0]} + od) * {w.out[1]} + {first}) * {w.out[2]}L"
        copy = "kf_stream" if self.streamed else "memcpy"
        return [f"{indent}{copy}({to}, tile, {rows} * {w.out[2]} * sizeof *tile);"]

    # ------------------------------------------------------------ rows in blocks

    def _output_row(self, indent: str) -> list[str]:
        w, inner = self.w, indent + "    "
        lines = [*self._row_list(indent), *self._scale(indent)]
        flat = f"((p * {w.out[0]} + od) * {w.out[1]} + oh) * {w.out[2]}L"
        lines += [f"{indent}for (long left = 0; left < {w.out[2]}; left += {self.block}) {{",
                  f"{inner}const long n = KF_MIN_L({w.out[2]} - left, {self.block}L);",
                  f"{inner}const long first = left * {w.stride[2]} - {w.padding[2]}, span = (n - 1) * {w.stride[2]} + {(w.kernel[2] - 1) * w.dilation[2] + 1};",
                  f"{inner}long lo = first < 0 ? KF_MIN_L(-first, span) : 0, hi = KF_MIN_L(span, {w.size[2]} - first);",
                  f"{inner}if (m == 0 || hi < lo) lo = hi = span;",
                  f"{inner}for (long j = 0; j < lo; j++) line[j] = {self.lowest};",
                  f"{inner}for (long j = hi; j < span; j++) line[j] = {self.lowest};",
                  f"{inner}if (hi > lo) {{",
                  f"{inner}    const {self.value if self.depth_first else CTYPE[self.x.dtype]} *at[{w.kernel[1] * (1 if self.depth_first else w.kernel[0])}];",
                  f"{inner}    for (long t = 0; t < m; t++) at[t] = r[t] + first + lo;",
                  f"{inner}    {self.symbol}_{'planes' if self.depth_first else 'rows'}(line + lo, at, m, hi - lo);",
                  f"{inner}}}"]  # fmt: skip
        to = f"{pointer(self.op.out.name)} + {flat} + left"
        target = to if self.tail.direct and not self.padded else "tile"
        share = "share + left" if self.weighted else "0"
        lines.append(f"{inner}{self.symbol}_columns({target}, line, {share}, scale, n);")
        if self.tail.direct and self.padded:
            lines.append(f"{inner}memcpy({to}, tile, n * sizeof *tile);")
        if not self.tail.direct:
            lines += self._apply_tail(flat, inner)
        return [*lines, f"{indent}}}"]

    def _scale(self, indent: str) -> list[str]:
        t, op, w = self.value, self.op, self.w
        if op.kind == "max":
            scale = "0"
        elif op.divisor is not None:
            scale = f"({t})1 / ({t}){op.divisor}"
        elif self.weighted:
            scale = f"({t})1 / ({t})(({self.count('od', 0)}) * ({self.count('oh', 1)}))"
        else:
            scale = f"({t})1 / ({t}){prod(w.kernel)}"
        return [f"{indent}const {t} scale = {scale};"]

    def _apply_tail(self, flat: str, indent: str) -> list[str]:
        shape = self.op.out.shape
        d = len(self.op.kernel)
        lead = [f"a{k}" for k in range(len(shape) - d)]
        position = [*lead, *["od", "oh", "left + i"][3 - d :]]
        lines = unflattened("p", shape[: len(lead)], lead, indent) if self.tail.maps else []
        return [*lines, f"{indent}for (long i = 0; i < n; i++) {{",
                *self.tail.lines("tile[i]", position, f"{flat} + left + i", indent + "    "), f"{indent}}}"]  # fmt: skip
