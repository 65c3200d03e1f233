"""Scans along an axis that is not the last: a running row, vectorized over what is contiguous."""

from __future__ import annotations

from kerf.kernels.codegen.scan.writer import LINE, Writer
from kerf.kernels.codegen.tail import pointer, signature, unflattened
from kerf.kernels.codegen.template import Emitted

SPAN = 1024  # columns of one loop
LINES = 4  # of a row that are streamed together: soon after they are made, without gaps


class ColumnScan(Writer):
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
                      "            for (long c = 0, m; c < n; c += m) {", *self._span(names, at, count), "            }"]  # fmt: skip
        return "\n".join([*lines, "    }", *(["    kf_stream_end();"] if self.streamed else []), "}", ""])

    def _span(self, names: list[str], at: int, count: int) -> list[str]:
        """`count` rows of some columns from column c of the block on; streamed ones end with a line of the first of them, and so of each if
        rows are whole lines."""
        indent, size = " " * 16, self.element_type
        bytes_ = self.op.out.dtype.bytes
        span, off = f"{SPAN}L", ""
        if self.streamed and (count == 1 or self.e.inner * bytes_ % LINE == 0):
            span = f"{LINES * LINE // bytes_}L"
            off = f" - (c ? 0 : (long)((uintptr_t)({self._target('s')}) % {LINE} / {bytes_}))"
        lines = [f"{indent}m = KF_MIN_L(n - c, {span}{off});"]
        if self.streamed:
            lines.append(f"{indent}{size} tile[{count}][{span[:-1]}] __attribute__((aligned({LINE})));")
        lines += self._rows_ahead(names, at, count)
        lines += [f"{indent}#pragma omp simd", f"{indent}for (long l = 0; l < m; l++) {{",
                  f"{indent}    const long j = c + l;", f"{indent}    {self.carry} next = run[j];"]  # fmt: skip
        for u in range(count):
            lines += [f"{indent}    {{", *self._element(names, at, u), f"{indent}    }}"]
        lines += [f"{indent}    run[j] = next;", f"{indent}}}"]
        if self.streamed:
            to = self._target("s + u")
            lines.append(
                f"{indent}for (long u = 0; u < {count}; u++) kf_stream({to}, tile[u], m * sizeof({size}));"
            )
        return lines

    def _target(self, step: str) -> str:
        """Where the columns from c on of a step's result go."""
        row = f"(row * {self.e.length} + {self._place(step)}) * {self.e.inner}L"
        return f"{pointer(self.op.out.name)} + {row} + left + c"

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
