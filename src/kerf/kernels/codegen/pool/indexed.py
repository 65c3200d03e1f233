"""Maxima with the positions of the winners."""

from __future__ import annotations

from math import prod

from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.pool.writer import Writer, even
from kerf.kernels.codegen.tail import MACROS, pointer, signature, unflattened
from kerf.kernels.codegen.template import Emitted


class IndexedPool(Writer):
    """Maximum with the position of the winner: tap by tap over a row of outputs, in torch's order (the first of equals
    wins, the last of NaNs)."""

    def emit(self) -> Emitted:
        flops, moved = self.work()
        n = even(self.w.out[2])
        per_thread = n * (8 if self.value in ("double", "int64_t") else 4) + n * 8
        return Emitted(self._kernel(per_thread, n), self.symbol, per_thread * self.threads, (), flops, moved)

    def _kernel(self, per_thread: int, n: int) -> str:
        w, t = self.w, self.value
        thread = "omp_get_thread_num()" if self.threads > 1 else "0"
        rows = w.out[0] * w.out[1]
        lines = [MACROS + signature(self.tail.group, self.symbol), "{", "    (void)threads;",
                 f"    {self.pragma()}for (long item = 0; item < {w.planes * rows}L; item++) {{",
                 f"        {t} *const best = ({t} *)(scratch + {per_thread}L * {thread});",
                 f"        int64_t *const where = (int64_t *)(best + {n});",
                 f"        const long p = item / {rows}, od = item / {w.out[1]} % {w.out[0]}, oh = item % {w.out[1]};",
                 f"        const {CTYPE[self.x.dtype]} *const x = {pointer(self.x.name)} + p * {prod(w.size)}L;",
                 f"        for (long i = 0; i < {w.out[2]}; i++) {{ best[i] = {self.lowest}; where[i] = {self.start('i')}; }}",
                 *self._tap_loops("        "), *self._store("        "), "    }", "}", ""]  # fmt: skip
        return "\n".join(lines)

    def _tap_loops(self, indent: str) -> list[str]:
        w = self.w
        lines: list[str] = []
        closing: list[str] = []
        for d, index in ((0, "od"), (1, "oh")):
            lines += [f"{indent}for (long t{d} = 0; t{d} < {w.kernel[d]}; t{d}++) {{",
                      f"{indent}    const long d{d} = {index} * {w.stride[d]} - {w.padding[d]} + t{d} * {w.dilation[d]};",
                      f"{indent}    if (d{d} < 0 || d{d} >= {w.size[d]}) continue;"]  # fmt: skip
            closing.insert(0, f"{indent}}}")
            indent += "    "
        s, first = w.stride[2], f"(t2 * {w.dilation[2]} - {w.padding[2]})"
        lines += [f"{indent}for (long t2 = 0; t2 < {w.kernel[2]}; t2++) {{",
                  f"{indent}    const long first = {first}, base = (d0 * {w.size[1]} + d1) * {w.size[2]}L + first;",
                  f"{indent}    const long lo = first < 0 ? (-first + {s - 1}) / {s} : 0;",
                  f"{indent}    const long hi = KF_MIN_L({w.out[2]}, {w.size[2]} - first <= 0 ? 0 : ({w.size[2]} - first - 1) / {s} + 1);",
                  f"{indent}    for (long i = lo; i < hi; i++) {{",
                  f"{indent}        const {self.value} v = {loaded(f'x[base + i * {s}]', self.x.dtype)};",
                  f"{indent}        const int take = (v > best[i]) | (v != v);",
                  f"{indent}        best[i] = take ? v : best[i];",
                  f"{indent}        where[i] = take ? base + i * {s} : where[i];", f"{indent}    }}", f"{indent}}}"]  # fmt: skip
        return [*lines, *closing]

    def _store(self, indent: str) -> list[str]:
        w, op = self.w, self.op
        assert op.indices is not None
        d, shape = len(op.kernel), op.out.shape
        lead = [f"a{k}" for k in range(len(shape) - d)]
        lines = unflattened("p", shape[: len(lead)], lead, indent) if self.tail.maps else []
        offset = f"item * {w.out[2]}L + i"
        body = self.tail.lines("best[i]", [*lead, *["od", "oh", "i"][3 - d :]], offset, indent + "    ")
        if op.indices in self.tail.group.outputs:
            body.append(f"{indent}    {pointer(op.indices.name)}[{offset}] = where[i];")
        return [*lines, f"{indent}for (long i = 0; i < {w.out[2]}; i++) {{", *body, f"{indent}}}"]
