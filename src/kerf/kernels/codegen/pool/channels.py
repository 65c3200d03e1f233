"""Pooling where channels lie side by side: the taps of a window are as many rows of channels, reduced together. A window inside of the input
has its rows at fixed distances, and is one loop; one over the edge, or with many taps, takes its rows by a list of pointers."""

from __future__ import annotations

from math import prod

from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.pool.writer import Writer, even
from kerf.kernels.codegen.tail import MACROS, pointer, signature
from kerf.kernels.codegen.template import Emitted

TAPS = 32  # of one loop over channels
TOGETHER = 4  # rows of a list in one loop


class ChannelsPool(Writer):
    """Window by window; vectors run along channels."""

    def emit(self) -> Emitted:
        flops, moved = self.work()
        n = even(self.w.channels)
        per_thread = n * (8 if self.value in ("double", "int64_t") else 4) + (n * 8 if self.op.indices else 0)
        parts = [
            MACROS,
            self.max_function() if self.op.kind == "max" else "",
            "" if self.op.indices else self._rows(),
            self._kernel(per_thread),
        ]
        code = "\n".join(p for p in parts if p)
        return Emitted(code, self.symbol, per_thread * self.threads, (), flops, moved)

    def _rows(self) -> str:
        """line[c] = the reduction of m rows at c."""
        x, rest = CTYPE[self.x.dtype], self.combine("line[c]", loaded("r[t][c]", self.x.dtype))
        some = "line[c]"
        for k in range(TOGETHER):
            some = self.combine(some, loaded(f"r{k}[c]", self.x.dtype))
        names = ", ".join(f"*const r{k} = r[t + {k}]" for k in range(TOGETHER))
        lines = [f"/* line[c] = the {self.op.kind} of m rows at c */",
                 f"static void {self.symbol}_rows({self.value} *restrict line, const {x} *const *r, long m, long n) {{",
                 "    long t = 0;",
                 f"    for (long c = 0; c < n; c++) line[c] = {self.lowest};",
                 f"    for (; t + {TOGETHER} <= m; t += {TOGETHER}) {{",
                 f"        const {x} {names};",
                 f"        for (long c = 0; c < n; c++) line[c] = {some};",
                 "    }",
                 f"    for (; t < m; t++) for (long c = 0; c < n; c++) line[c] = {rest};", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _kernel(self, per_thread: int) -> str:
        w, n, t = self.w, self.w.channels, self.value
        thread = "omp_get_thread_num()" if self.threads > 1 else "0"
        lines = [f"/* {self.op.kind} pooling of {n} channels: {w.planes} times {w.size}, windows of {w.kernel} by {w.stride} */",
                 signature(self.tail.group, self.symbol), "{", "    (void)scratch; (void)threads;",
                 f"    {self.pragma()}for (long item = 0; item < {w.planes * w.out[0] * w.out[1]}L; item++) {{",
                 f"        {t} *const line = ({t} *)(scratch + {per_thread}L * {thread});",
                 f"        const long a0 = item / {w.out[0] * w.out[1]}, od = item / {w.out[1]} % {w.out[0]}, oh = item % {w.out[1]};",
                 f"        const {CTYPE[self.x.dtype]} *const x = {pointer(self.x.name)} + a0 * {prod(w.size) * n}L;",
                 f"        const long f0 = od * {w.stride[0]}L - {w.padding[0]}, f1 = oh * {w.stride[1]}L - {w.padding[1]};",
                 f"        for (long ow = 0; ow < {w.out[2]}; ow++) {{",
                 f"            const long f2 = ow * {w.stride[2]}L - {w.padding[2]}, flat = (item * {w.out[2]} + ow) * {n}L;",
                 *(self._positions(per_thread) if self.op.indices else self._window()),
                 "        }", "    }", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _window(self) -> list[str]:
        indent, taps = " " * 12, prod(self.w.kernel)
        scale = [] if self.op.kind == "max" else [f"{indent}const {self.value} scale = {self._scale()};"]
        if taps > TAPS:
            return [*scale, *self._listed(indent)]
        inside = self._inside()
        if not inside:
            return [*scale, *self._direct(indent)]
        inner = indent + "    "
        return [*scale, f"{indent}if ({inside}) {{", *self._direct(inner), f"{indent}}} else {{",
                *self._listed(inner), f"{indent}}}"]  # fmt: skip

    def _inside(self) -> str:
        """C that asks whether every tap is in the input; "" where that always holds."""
        w, tests = self.w, []
        for d in range(3):
            reach = (w.kernel[d] - 1) * w.dilation[d]
            if w.padding[d]:
                tests.append(f"f{d} >= 0")
            if (w.out[d] - 1) * w.stride[d] - w.padding[d] + reach >= w.size[d]:
                tests.append(f"f{d} + {reach} < {w.size[d]}")
        return " && ".join(tests)

    def _direct(self, indent: str) -> list[str]:
        w, n, total = self.w, self.w.channels, ""
        for tap in range(prod(w.kernel)):
            d0, d1, d2 = (tap // prod(w.kernel[d + 1 :]) % w.kernel[d] * w.dilation[d] for d in range(3))
            item = loaded(f"r[c + {((d0 * w.size[1] + d1) * w.size[2] + d2) * n}]", self.x.dtype)
            total = self.combine(total, item) if total else item
        x = CTYPE[self.x.dtype]
        at = f"const {x} *const r = x + ((f0 * {w.size[1]} + f1) * {w.size[2]} + f2) * {n}L;"
        return [f"{indent}{at}", *self._stored(total, indent)]

    def _listed(self, indent: str) -> list[str]:
        w, n = self.w, self.w.channels
        add = f"r[m++] = x + ((d0 * {w.size[1]} + d1) * {w.size[2]} + d2) * {n}L;"
        return [f"{indent}const {CTYPE[self.x.dtype]} *r[{prod(w.kernel)}];", f"{indent}long m = 0;",
                *self._taps([add], indent), f"{indent}{self.symbol}_rows(line, r, m, {n}L);",
                *self._stored("line[c]", indent)]  # fmt: skip

    def _taps(self, body: list[str], indent: str) -> list[str]:
        """`body` for every tap in the input, at (d0, d1, d2)."""
        w, lines, closing = self.w, list[str](), list[str]()
        for d in range(3):
            lines += [f"{indent}for (long t{d} = 0; t{d} < {w.kernel[d]}; t{d}++) {{",
                      f"{indent}    const long d{d} = f{d} + t{d} * {w.dilation[d]};",
                      f"{indent}    if (d{d} < 0 || d{d} >= {w.size[d]}) continue;"]  # fmt: skip
            closing.insert(0, f"{indent}}}")
            indent += "    "
        return [*lines, *(indent + line for line in body), *closing]

    def _scale(self) -> str:
        w, op, t = self.w, self.op, self.value
        if op.divisor is not None:
            return f"({t})1 / ({t}){op.divisor}"
        if w.uniform(op.count_include_pad):
            return f"({t})1 / ({t}){prod(w.kernel)}"
        counts = " * ".join(f"({self.count(index, d)})" for d, index in enumerate(("od", "oh", "ow")))
        return f"({t})1 / ({t})({counts})"

    def _stored(self, total: str, indent: str) -> list[str]:
        """The reduction `total` of channel c through the tail and into memory, for every channel."""
        value = total if self.op.kind == "max" else f"({total}) * scale"
        position = ["a0", *["od", "oh", "ow"][3 - len(self.op.kernel) :], "c"]
        return [f"{indent}for (long c = 0; c < {self.w.channels}; c++) {{",
                f"{indent}    const {self.value} v = {value};",
                *self.tail.lines("v", position, "flat + c", indent + "    "), f"{indent}}}"]  # fmt: skip

    def _positions(self, per_thread: int) -> list[str]:
        """Maxima with the places of the winners, tap by tap in torch's order (the first of equals wins, the last of NaNs)."""
        indent, n, op = " " * 12, self.w.channels, self.op
        assert op.indices is not None
        body = [f"const long place = (d0 * {self.w.size[1]} + d1) * {self.w.size[2]} + d2;",
                f"const {CTYPE[self.x.dtype]} *const r = x + place * {n}L;",
                f"for (long c = 0; c < {n}; c++) {{",
                f"    const {self.value} v = {loaded('r[c]', self.x.dtype)};",
                "    const int take = (v > line[c]) | (v != v);",
                "    line[c] = take ? v : line[c];",
                "    where[c] = take ? place : where[c];", "}"]  # fmt: skip
        kept = op.indices in self.tail.group.outputs
        store = f"{pointer(op.indices.name)}[flat + c] = where[c];"
        return [f"{indent}int64_t *const where = (int64_t *)(line + {even(n)});",
                f"{indent}const long first = {self.start('ow')};",
                f"{indent}for (long c = 0; c < {n}; c++) {{ line[c] = {self.lowest}; where[c] = first; }}",
                *self._taps(body, indent), *self._stored("line[c]", indent),
                *([f"{indent}for (long c = 0; c < {n}; c++) {store}"] if kept else [])]  # fmt: skip
